"""STS-B: file reading, correlations and the score of an encoder."""

import numpy as np
import pytest
from scipy import stats

from golden.bert.encoder import float_encoder
from golden.bert.evaluation import Similarity, evaluate_sts, similarity
from golden.bert.tokens import Tokenizer
from golden.bert.weights import read_weights
from golden.tasks.glue import TASKS, Example, read_examples
from golden.tasks.metrics import METRICS, pearson, ranks, spearman

STS = TASKS["sts-b"]

PAIRS = [
    Example("A dog runs across the field.", "A dog is running through a field.", 4.6),
    Example("The soup is too salty.", "This soup has too much salt in it.", 4.8),
    Example("The train was late.", "The soup is too salty.", 0.2),
    Example("A dog runs across the field.", "A cat sits on the roof.", 1.0),
    Example("He sold his old car.", "He bought a new house.", 1.5),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "STS-B").mkdir()
    return tmp_path


def test_metrics_by_hand():
    assert pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert pearson([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)
    assert ranks([10, 20, 20, 5]).tolist() == [2, 3.5, 3.5, 1]
    assert spearman([1, 2, 3, 4], [1, 4, 9, 16]) == pytest.approx(1)
    assert spearman([1, 2, 2, 4], [4, 3, 2, 1]) == pytest.approx(-0.9486832980505138)


def test_metrics_against_scipy():
    rng = np.random.default_rng(4)
    for _ in range(20):
        a, b = rng.integers(0, 8, 50), rng.normal(size=50)
        assert pearson(a, b) == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-12)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_metrics_errors():
    with pytest.raises(
        ValueError, match=r"^samples: expected differing values, got a constant sample$"
    ):
        pearson([1, 1], [1, 2])
    with pytest.raises(
        ValueError, match=r"^samples: expected two of one length, got shapes \(2,\) and \(3,\)$"
    ):
        spearman([1, 2], [1, 2, 3])


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_model_that_says_one_thing_scores_nothing(name):
    assert METRICS[name]([0.5, 0.5, 0.5], [1, 2, 3]) == 0
    assert METRICS[name]([1, 2, 3], [1, 2, 3]) == pytest.approx(1)
    with pytest.raises(ValueError, match="constant sample"):
        METRICS[name]([1, 2], [3, 3])
    vectors = np.ones((10, 4), np.float32)
    assert similarity(vectors, PAIRS) == Similarity(5, 0, 0)


def test_csv(folder):
    text = 'One.,"Two, ""three"".",0.25\n"A line\nbroken.",Whole.,5.000\n'
    (folder / "STS-B" / "dev.csv").write_text(text)
    (folder / "STS-B" / "train.csv").write_text("\ufeffÉté.,Hiver.,1\n", encoding="utf-8")
    assert read_examples(STS, folder) == [
        Example("One.", 'Two, "three".', 0.25),
        Example("A line\nbroken.", "Whole.", 5.0),
    ]
    assert read_examples(STS, folder, "train") == [Example("Été.", "Hiver.", 1.0)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("only,two", "expected 3 columns, got 2$"),
        ("a,b,c,1", "expected 3 columns, got 4$"),
        ("", "expected 3 columns, got 0$"),
        ("a,b,high", "score: expected a number, got 'high'$"),
        ("a,b,nan", r"score: expected 0\.\.5, got 'nan'$"),
        ("a,b,5.1", r"score: expected 0\.\.5, got '5\.1'$"),
        ("a, ,1", "expected two sentences, got an empty one$"),
        ('a,"b" b,1', "',' expected after '\"'$"),
        ('a,"b,1', "unexpected end of data$"),
    ],
)
def test_malformed_row(folder, row, message):
    (folder / "STS-B" / "dev.csv").write_text(f"One.,Two.,3\n{row}\n")
    with pytest.raises(ValueError, match=rf"dev\.csv:2: {message}"):
        read_examples(STS, folder)


def test_malformed_file(folder):
    with pytest.raises(
        FileNotFoundError, match=r"expected STS-B/dev\.csv or STS-B/dev\.tsv, found neither$"
    ):
        read_examples(STS, folder)
    path = folder / "STS-B" / "dev.csv"
    path.write_text("")
    with pytest.raises(ValueError, match=r"dev\.csv: expected rows, got none$"):
        read_examples(STS, folder)
    path.write_bytes(b"One.,Two.,3\n\xe9t\xe9,b,1\n")
    with pytest.raises(ValueError, match=r"dev\.csv:\d: expected UTF-8$"):
        read_examples(STS, folder)


def test_evaluate():
    encoder, tokenizer = float_encoder(read_weights()), Tokenizer()
    calls = []
    result = evaluate_sts(
        encoder, tokenizer, PAIRS, progress=lambda done, total: calls.append((done, total))
    )
    assert result.pairs == 5
    vectors = [
        [
            encoder.sentence_vectors([tokenizer.encode(text)])[0]
            for text in (pair.first, pair.second)
        ]
        for pair in PAIRS
    ]
    cosines, scores = [float(a @ b) for a, b in vectors], [pair.label for pair in PAIRS]
    assert result.pearson == pytest.approx(100 * np.corrcoef(cosines, scores)[0, 1], abs=1e-3)
    assert result.spearman == pytest.approx(100)
    assert calls[-1] == (8, 8)
    with pytest.raises(
        ValueError, match=r"^pairs: expected two or more of different scores, got 1 without$"
    ):
        evaluate_sts(encoder, tokenizer, PAIRS[:1])
