"""The identity of a build: its text, which records are named after, and what it parses."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golden.spec.modes import MODE_NAMES
from hw.buildspec import BuildSpec
from hw.flow.registry import registry

DATA = Path(__file__).parents[2] / "docs/data"


def paths(name: str) -> set[str]:
    """The names of a file's records without the kind of measurement."""
    with open(DATA / name, newline="") as file:
        return {row["name"].rpartition("/")[0] for row in csv.DictReader(file)}


def test_records_are_named_after_the_text() -> None:
    assert {point.path for point in registry()} == paths("units.csv")
    for path in sorted(paths("units.csv") | paths("arrays.csv")):
        _, _, text = path.split("/", 2)
        assert str(BuildSpec.parse(text)) == text


@given(
    names=st.lists(st.sampled_from(MODE_NAMES), min_size=1, max_size=6, unique=True),
    bits=st.sampled_from((3, 4)),
    rows=st.integers(1, 64),
    cols=st.integers(1, 64),
    k_max=st.integers(1, 4096),
    bus=st.sampled_from((1, 8, 64)),
    results=st.sampled_from((1, 4, 32)),
    words=st.one_of(st.none(), st.integers(4096, 8192)),
    panels=st.integers(1, 64),
)
def test_every_build_parses_from_its_text(
    names: list[str], bits: int, words: int | None, **sizes: int
) -> None:
    build = BuildSpec.of(names, bits, x_words=words, **sizes)
    again = BuildSpec.parse(str(build))
    assert (again, hash(again)) == (build, hash(build))
    assert again.config == build.config


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("8x8/wlog3-a8", "8x8/wlog-a8-3"),
        ("8x8/w8a8+wlog5-a8/no-dsp", None),
        ("8x8/wlog-a8", "8x8/wlog-a8-4"),
        ("8x8/wlog3-a8+wlog-alog", "8x8/wlog-a8+wlog-alog-3"),
        ("4x2/all/bus16", "4x2/all-4/bus16"),
    ],
)
def test_names_may_state_exponent_bits(text: str, known: str | None) -> None:
    if known is None:
        with pytest.raises(ValueError, match=r"^exponent bits: expected 3 or 4 beside modes other"):
            BuildSpec.parse(text)
    else:
        assert str(BuildSpec.parse(text)) == known


def test_exponent_bits_do_not_count_without_log2_modes() -> None:
    assert BuildSpec(exponent_bits=3) == BuildSpec()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8x8", "build: expected ROWSxCOLS/MODES, got '8x8'"),
        ("8/w8a8", "build: expected ROWSxCOLS/MODES, got '8/w8a8'"),
        ("8x8/w8a8/q3", "build: expected parts among kN, busN, resultsN, xN, wN, panelsN, no-dsp"),
        ("8x8/w2a2", "mode: expected one of w8a8, "),
        ("0x8/w8a8", "rows: expected an integer >= 1, got 0"),
        ("8x8/wlog3-a8-4", "exponent bits: expected 3 with wlog3-a8, got 4"),
        (
            "8x8/wlog3-a8+wlog4-alog",
            "mode: expected log2 modes of equal exponent bits, got wlog3-a8 and wlog4-alog",
        ),
    ],
)
def test_other_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        BuildSpec.parse(text)
