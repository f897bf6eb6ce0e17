"""Every option of every command with wrong values: one line, status 2, no file."""

import random
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from scripts.cli import COMMANDS, Commands, run

BASE = {
    "simulate": "--rows 2 --cols 2",
    "gemm": "--x x.npy --w w.npy -o y.npy",
    "bert": "text",
    "bench": "--rows 2 --cols 2 --tokens 2",
    "quantize": "-o m.safetensors",
    "train": "--task similarity --glue glue -o m.safetensors",
    "table": "--glue glue --records r.jsonl",
    "formats": "--glue glue",
    "verilog": "-o out",
    "synth": "--pnr",
    "build": "--board ulx3s-85f -o out",
    "sweep": "-o s.csv --unit pe",
    "compare": "r.csv new.csv",
    "report": "-o page",
    "cache": "clean",
    "eval": "--task sts-b --glue glue",
}
"""What each command needs."""

WORK = (
    "scripts.commands.bench.time_layer",
    "scripts.commands.bert.load_model",
    "scripts.commands.bert.read_weights",
    "scripts.commands.build.script",
    "scripts.commands.eval.load_model",
    "scripts.commands.eval.read_weights",
    "scripts.commands.formats.measure",
    "scripts.commands.gemm.golden_backend",
    "scripts.eval.grid.run",
    "scripts.commands.quantize.quantized",
    "scripts.commands.report.page",
    "scripts.commands.simulate.layer_groups",
    "scripts.commands.sweep.executor",
    "scripts.commands.synth.synthesize",
    "scripts.commands.train.load_trainer",
    "scripts.commands.verilog.generate",
)
"""What commands do once all is checked: here it is refused, too."""

NUMBERS = [
    "-1",
    "0",
    "1",
    "3",
    "nan",
    "inf",
    "-inf",
    "1e309",
    "1e-320",
    "0.5",
    "1" + 30 * "0",
    "-1" + 30 * "0",
]
WORDS = [
    "",
    " ",
    "x",
    "\udcff",
    "[/x]",
    "ü",
    "a\nb",
    "-",
    "w8a8",
    "fp32",
    "rtl",
    "all",
    "8x8",
    "0x0",
    "99999999x8",
]
PATHS = [
    *(
        ".",
        "/",
        "/dev/null",
        "/dev/zero",
        "full",
        "loop",
        "gone/x",
        "folder",
        "x.npy/y",
        "n" * 5000,
    ),
    *(
        "empty",
        "bytes",
        "part.json",
        "list.json",
        "object.json",
        "x.npy",
        "real.npy",
        "object.npy",
        "text.npy",
    ),
    *("scalar.npy", "archive.npz", "r.csv", "nan.csv", "short.jsonl"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Good files, and of every kind of bad ones one."""
    arrays: dict[str, Any] = {
        "x": np.ones((3, 3), np.int8),
        "w": np.ones((3, 3), np.int8),
        "real": np.ones((3, 3)),
    }
    arrays |= {"object": np.array([[None]]), "text": np.array([["a"]]), "scalar": np.int8(3)}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
    np.savez(tmp_path / "archive.npz", a=np.ones(3))
    files = {
        "empty": "",
        "part.json": '{"a": [',
        "list.json": "[1, 2]",
        "object.json": "{}",
        "r.csv": "name,unit,value,better\na/COMB,cells,1,less\n",
        "new.csv": "name,unit,value,better\na/COMB,cells,2,less\n",
        "nan.csv": "name,unit,value,better\na/COMB,cells,nan,less\n",
        "r.jsonl": '{"task": "rte", "row": "fp32", "seed": 0, "trained": {"accuracy": 1}}\n',
        "short.jsonl": '{"task": "similarity", "row": "w4a8", "seed": 0}\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "full").symlink_to("/dev/full")
    (tmp_path / "glue/STS-B").mkdir(parents=True)
    for split in ("train", "dev"):
        (tmp_path / f"glue/STS-B/{split}.csv").write_text(
            "A cat.,A dog.,3\nSnow.,Tea.,0\nA b.,A c.,4\n"
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILEBERT_CACHE", str(tmp_path / "gone/cache"))
    for name in WORK:
        monkeypatch.setattr(name, refuse)
    return tmp_path


def refuse(*arguments: Any, **options: Any) -> NoReturn:
    raise ValueError("work: expected none")


def cases(name: str) -> list[list[str]]:
    """For each parameter a few values of every kind."""
    rng = random.Random(name)
    found = []
    for parameter in Commands().get_command(None, name).params:
        if parameter.name == "help":
            continue
        option = parameter.opts[0]
        if getattr(parameter, "is_flag", False):
            found.append([name, *BASE[name].split(), option])
            continue
        for value in [*rng.sample(NUMBERS, 4), *rng.sample(WORDS, 4), *rng.sample(PATHS, 6)]:
            words = BASE[name].split()
            if parameter.param_type_name == "argument":
                words = [*words[:-1], value]
            else:
                given = {"-o" if option == "--output" else option, option} & set(words)
                for each in given:
                    del words[words.index(each) : words.index(each) + 2]
                words.append(f"{option}={value}")
            found.append([name, *words])
    return found


def files(folder: Path) -> set[str]:
    return {f"{path.relative_to(folder)}" for path in folder.rglob("*")}


@pytest.mark.parametrize("name", COMMANDS)
def test_any_value_ends_in_one_line(
    name: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = files(folder)
    wrong = []
    for words in cases(name):
        status = run(words)
        out, err = capfd.readouterr()
        # Before the error there may be a line for a file that ends in the middle of one.
        *said, error = err.splitlines() or [""]
        refused = status == 2 and out == "" and error.startswith("tilebert: ")
        refused &= all(re.fullmatch("tilebert: .*: cut short, is dropped", line) for line in said)
        # What does its work here ends well, or in its own verdict.
        done = name in ("cache", "compare", "table") and status in (0, 1) and out
        if not refused and not done:
            wrong.append((words, status, out[-200:], err[-200:]))
    assert wrong == []
    assert files(folder) == before
