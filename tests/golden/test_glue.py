"""GLUE files: every task on small files written here, and errors of malformed rows."""

from pathlib import Path

import pytest

from golden.tasks.glue import TASKS, Example, read_examples, task_of

FILES = {
    "sts-b": (
        "STS-B/dev.tsv",
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
        '0\tmain-news\theadlines\t2016\t7\tnone\tnone\t"Half a quote.\tWhole.\t3.5\n',
        [Example('"Half a quote.', "Whole.", 3.5)],
    ),
    "mrpc": (
        "MRPC/dev.tsv",
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
        '1\t10\t11\tHe said "no.\tHe refused.\n0\t12\t13\tIt rained.\tIt was dry.\n',
        [Example('He said "no.', "He refused.", 1), Example("It rained.", "It was dry.", 0)],
    ),
    "rte": (
        "RTE/dev.tsv",
        "index\tsentence1\tsentence2\tlabel\n"
        "0\tA cat sat.\tAn animal sat.\tentailment\n1\tA cat.\tA dog.\tnot_entailment\n",
        [Example("A cat sat.", "An animal sat.", 0), Example("A cat.", "A dog.", 1)],
    ),
    "cola": (
        "CoLA/dev.tsv",
        "gj04\t1\t\tThe boat sank.\nbc01\t0\t*\tBoat the sank.\n",
        [Example("The boat sank.", None, 1), Example("Boat the sank.", None, 0)],
    ),
    "sst-2": (
        "SST-2/dev.tsv",
        "sentence\tlabel\na fine film \t1\ndull \t0\n",
        [Example("a fine film ", None, 1), Example("dull ", None, 0)],
    ),
    "qnli": (
        "QNLI/dev.tsv",
        "index\tquestion\tsentence\tlabel\n"
        "0\tWho came?\tAnna came.\tentailment\n1\tWhen?\tIt is far.\tnot_entailment\n",
        [Example("Who came?", "Anna came.", 0), Example("When?", "It is far.", 1)],
    ),
    "qqp": (
        "QQP/dev.tsv",
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        "5\t1\t2\tHow old is it?\tWhat is its age?\t1\n",
        [Example("How old is it?", "What is its age?", 1)],
    ),
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", TASKS)
def test_every_task_s_rows(name: str, tmp_path: Path) -> None:
    path, text, expected = FILES[name]
    write(tmp_path, path, text)
    assert read_examples(TASKS[name], tmp_path) == expected
    assert TASKS[name].outputs == (1 if name == "sts-b" else 2)


def test_numbers_stand_for_entailment_s_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        "RTE/train.tsv",
        "sentence1\tsentence2\tlabel\tidx\nOne.\tTwo.\t1\t0\nThree.\tFour.\t0\t1\n",
    )
    assert [each.label for each in read_examples(TASKS["rte"], tmp_path, "train")] == [1, 0]


MALFORMED = {
    "a column short": ("mrpc", "1\t10\t11\tOnly one.\n", "4: expected 5 columns, got 4"),
    "a column too many": ("rte", "2\tA.\tB.\tentailment\tx\n", "4: expected 4 columns, got 5"),
    "another class": ("sst-2", "bad\t2\n", "4: label: expected one of 0, 1, got '2'"),
    "no class": (
        "qnli",
        "2\tWho?\tHe.\tperhaps\n",
        "4: label: expected one of entailment, not_entailment, 0, 1, got ",
    ),
    "an empty sentence": ("cola", "gj04\t1\t\t \n", "3: expected a sentence, got an empty one"),
    "an empty question": (
        "qnli",
        "2\t\tHe.\tentailment\n",
        "4: expected two sentences, got an empty one",
    ),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_row_is_named(case: str, tmp_path: Path) -> None:
    name, row, message = MALFORMED[case]
    path, text, _ = FILES[name]
    write(tmp_path, path, text + row)
    with pytest.raises(ValueError, match=f"{Path(path).name}:{message}"):
        read_examples(TASKS[name], tmp_path)


BROKEN = [
    "6\t1\t2\t\tWhy?\t0",
    "7\t1\t2\tOnly one?\t0",
    "8\t1\t2\tA question that\r is cut?\tWhy?\t0",
    "9\t1\t2\tWho?\tWho is it?\tmaybe",
    "",
]


def test_broken_rows_of_qqp_are_skipped_and_counted(tmp_path: Path) -> None:
    """QQP's published files have rows that are cut within a question."""
    path, text, expected = FILES["qqp"]
    good = text.splitlines()[1]
    write(tmp_path, path, "\n".join([text.rstrip(), *BROKEN, good]) + "\n")
    message = (
        r"QQP/dev\.tsv: 6 of 8 rows skipped, the first: "
        r".*QQP/dev\.tsv:3: expected two sentences, got an empty"
    )
    with pytest.warns(UserWarning, match=message):
        assert read_examples(TASKS["qqp"], tmp_path) == expected * 2
    (tmp_path / path).write_text(text.splitlines()[0] + "\n" + BROKEN[1] + "\n")
    with pytest.raises(ValueError, match=r"QQP/dev\.tsv:2: expected 6 columns, got 5$"):
        read_examples(TASKS["qqp"], tmp_path)
    (tmp_path / path).write_bytes(b"\xff" + text.encode())
    with pytest.raises(ValueError, match=r"QQP/dev\.tsv:1: expected UTF-8$"):
        read_examples(TASKS["qqp"], tmp_path)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    write(tmp_path, "QQP/dev.tsv", "")
    with pytest.raises(ValueError, match=r"dev\.tsv: expected rows, got none$"):
        read_examples(TASKS["qqp"], tmp_path)


def test_a_header_without_a_column_is_named(tmp_path: Path) -> None:
    write(tmp_path, "SST-2/dev.tsv", "text\tlabel\nfine\t1\n")
    with pytest.raises(
        ValueError, match=r"dev\.tsv:1: expected a column 'sentence', got text, label$"
    ):
        read_examples(TASKS["sst-2"], tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected QQP/dev\.tsv, found none$"):
        read_examples(TASKS["qqp"], tmp_path)


def test_another_task() -> None:
    assert task_of("similarity") is TASKS["sts-b"]
    with pytest.raises(
        ValueError, match=r"^--task: expected one of similarity, sts-b, .*, qqp, got 'mnli'$"
    ):
        task_of("mnli")
