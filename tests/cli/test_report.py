"""`tilebert report`: the drawings from its files, and the text for missing ones."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from golden.bert.statistics import ERROR_EDGES
from hw.flow.registry import Record
from scripts import records
from scripts.cli import run
from scripts.report.charts import NARROW, WIDE, Spot, pareto, scatter
from tests.support.refusal import refused


def write_data(folder: Path) -> None:
    """One format with everything, one with accuracy alone."""
    docs = folder / "docs" / "data"
    docs.mkdir(parents=True)
    trained = [
        {"task": "similarity", "row": "fp32", "seed": 0, "trained": {"pearson": 89.59}},
        {
            "task": "similarity",
            "row": "8 bits, clipped",
            "seed": 0,
            "post": {"pearson": 86.5},
            "trained": {"pearson": 89.75},
        },
        {"task": "similarity", "row": "wlog-a8, 3", "seed": 0, "trained": {"pearson": 89.11}},
    ]
    (docs / "trained.jsonl").write_text("".join(json.dumps(each) + "\n" for each in trained))
    build = "ecp5/array/8x8/w8a8"
    found = [
        (f"{build}/COMB", 6400.0),
        (f"{build}/DSP", 64.0),
        (f"{build}/FF", 5472.0),
        (f"{build}/fmax-1", 240.0),
        (f"{build}/fmax-2", 200.0),
    ]
    found += [(f"{build}/no-dsp/COMB", 12800.0), (f"{build}/no-dsp/DSP", 0.0)]
    found += [("ecp5/array/8x8/wlog-a8-3/COMB", 4736.0), ("ecp5/array/8x8/wlog-a8-3/DSP", 0.0)]
    records.append(
        docs / "arrays.csv", [Record(name, "cells", value, "less") for name, value in found]
    )
    layer = {"gemm": "layer", "utilization": 0.987}
    bench = {
        "model": "minilm",
        "tokens": 32,
        "mode": "w8a8",
        "rows": 4,
        "cols": 4,
        "bus": 8,
        "results": [layer],
    }
    (docs / "bench-a.json").write_text(json.dumps(bench))
    units = {"pe": {"COMB": 4321}, "controller": {"COMB": 987}}
    signed = {
        "unit": "core",
        "rows": 4,
        "cols": 4,
        "modes": ["w8a8", "w4a4", "wlog-a8"],
        "exponent_bits": 4,
        "device": "LFE5U-85F",
        "cells": {"COMB": 5432, "FF": 6543, "DSP": 16, "BRAM": 7},
        "fmax_mhz": {"1": 151.25, "2": 150.0},
    }
    (docs / "signoff-a.json").write_text(json.dumps(signed | {"cells_by_unit": units}))
    counts = [1] * (len(ERROR_EDGES) - 1)
    histograms = {
        "relative_error_edges": ERROR_EDGES.tolist(),
        "weight_errors": {"linear 8": {"counts": counts, "below": 0, "above": 0}},
        "code_usage": {"linear 8": {"lowest_code": -1, "counts": [1, 2, 1]}},
    }
    (docs / "histograms.json").write_text(json.dumps(histograms))


class Outline(HTMLParser):
    """Tags that are open, and what was found in them."""

    VOID = frozenset(["meta", "br", "img", "input", "link", "hr"])

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        self.addresses += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.addresses += [
            value for name, value in attrs if name.endswith(("src", "href")) and value
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.slow
def test_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    assert run(["report", "-o", "out"]) == 0
    text = (tmp_path / "out" / "index.html").read_text()
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert outline.count["section"] == 8
    # A desk's and a phone's: two planes, utilization, one core, two sheets of histograms.
    assert outline.count["svg"] == 2 * 6
    # Nothing is fetched: every address is within the page.
    assert all(address.startswith("#") for address in outline.addresses)
    for figure in ("89.75", "86.50", "89.59", "100.0", "200.0", "25.6", "4,321", "98.7", "74.0"):
        assert figure in text, figure
    # Beside those of others.
    for figure in ("85.5", "200"):
        assert f">{figure}</td>" in text, figure
    # 16 PEs of one or four products, at the slower seed.
    for figure in (
        "w8a8, w4a4, wlog-a8 (4)",
        "5,432",
        "6,543",
        "16 to 64",
        "151.2, 150.0",
        "4.8 to 19.2",
    ):
        assert f">{figure}</td>" in text, figure
    assert "none needed" in text
    # wlog-a8 was not routed, the other formats not run.
    assert text.count("not run") > 10
    assert run(["report", "-o", "again"]) == 0
    assert (tmp_path / "again" / "index.html").read_text() == text


def test_without_data_every_section_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["report", "-o", "out"]) == 0
    text = (tmp_path / "out" / "index.html").read_text()
    assert text.count("<p class='none'>Not run.</p>") == 6
    assert "<svg" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("report", "Missing option '--output' / '-o'"),
        ("report -o out --task mnli", "--task: expected one of similarity, "),
        (
            "report -o out --bench gone.json",
            "--bench: expected a file, got gone.json (no such file)",
        ),
        (
            "report -o out --sign-off gone.json",
            "--sign-off: expected a file, got gone.json (no such file)",
        ),
        ("report -o out --histograms bad.txt", "bad.txt: expected JSON ("),
        (
            "report -o out --trained bad.txt",
            "bad.txt:1: expected a record of task, row and seed, got 'text'",
        ),
        ("report -o out --cells bad.txt", "bad.txt:1: expected name,unit,value,better, got 'text'"),
        ("report -o bad.txt", "--output: expected a folder, got the file bad.txt"),
    ],
)
def test_names_what_is_wrong(
    arguments: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.txt").write_text("text\n")
    refused(arguments.split(), message, capfd)
    assert not (tmp_path / "out").exists()


def test_pareto() -> None:
    spots = [Spot("a", 1, 5), Spot("b", 2, 4), Spot("c", 3, 7), Spot("d", 3, 6), Spot("e", 4, 7)]
    assert [spot.label for spot in pareto(spots, less=True)] == ["a", "c"]
    assert [spot.label for spot in pareto(spots, less=False)] == ["e"]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_labels_are_inside(width: int) -> None:
    spots = [
        Spot(f"format {index}", x, y)
        for index, (x, y) in enumerate([(0, 0), (10, 10), (10, 0), (0.2, 0.1)])
    ]
    text = scatter(spots, "x", "y", width, less=True)
    assert len(re.findall(r">format \d<", text)) == 4
    assert "#010203" not in text
    assert "var(--ink)" in text
