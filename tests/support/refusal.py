"""Refusal of wrong input, common to all commands."""

import pytest

from scripts.cli import run


def refused(words: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Assert one line on stderr that begins with the message, no output, and status 2."""
    assert run(words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"tilebert: {message}"), err
    assert err.count("\n") == 1
