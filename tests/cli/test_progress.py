"""Progress where stderr is no terminal, and what is told there."""

import warnings
from collections.abc import Iterator

import pytest

from scripts import console
from scripts.console import Log, progress, tell, warnings_told


@pytest.fixture(autouse=True)
def _first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_told", set())


def test_a_log_has_every_stage_and_a_line_in_so_many_seconds(
    capfd: pytest.CaptureFixture[str],
) -> None:
    times: Iterator[float] = iter((0.0, 1.0, 10.0, 31.0, 31.0, 60.0, 62.0, 62.0, 63.0))
    log = Log(30, lambda: next(times))
    log.stage("training [rte]")  # at 1
    log(0.25, "step 1 of 4, loss 0.5")  # at 10
    log(0.5, "step 2 of 4, loss 0.4")  # at 31
    log(0.75)  # at 60
    log(1.0)  # at 62
    log.stage("evaluating")  # at 63
    assert capfd.readouterr().err.splitlines() == [
        "training [rte]",
        "training [rte]: step 2 of 4, loss 0.4",
        "training [rte]: 100%",
        "evaluating",
    ]


def test_lines_only_where_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    for lines in (False, True):
        with progress(lines=lines) as bar:
            bar.stage("training")
            bar(0.5)
    assert capfd.readouterr().err == "training\n"


def test_a_text_is_told_once_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tell("a [path]:\n  damaged")
    tell("a [path]:\n  damaged")
    with warnings_told():
        warnings.warn("cut to 3 tokens", stacklevel=1)
        warnings.warn("cut to 3 tokens", stacklevel=1)
    assert capfd.readouterr().err == "tilebert: a [path]: damaged\ntilebert: cut to 3 tokens\n"
    # The command says what its workers find, too.
    monkeypatch.setattr(console, "parent_process", lambda: object())
    tell("another")
    assert capfd.readouterr().err == ""
