"""How the program starts, what it keeps, and what it asks for: version, cache, extras."""

import importlib.metadata
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import tilebert
from hw.boards.platforms import platform_of
from scripts.cli import COMMANDS, run
from scripts.eval.fleet import executor
from scripts.eval.trainer import load_trainer
from sim import cache
from tests.support.program import ROOT, environment
from tests.support.refusal import refused


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capfd.readouterr().out == f"tilebert {importlib.metadata.version('tilebert')}\n"
    assert tilebert.__version__ == importlib.metadata.version("tilebert")


def test_python_runs_the_package() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tilebert", "--version"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"tilebert {tilebert.__version__}\n".encode())


def test_tools_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in Python's packages refuse to run where they find no folder for a cache."""

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("TILEBERT_CACHE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "before")
    assert run(["cache"]) == 0
    assert os.environ["XDG_CACHE_HOME"] == "before"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nobody)
    assert run(["cache"]) == 0
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path / "tools")


def test_help_lists_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    out, _ = capfd.readouterr()
    assert all(re.search(rf"^\W*{name}\b", out, re.MULTILINE) for name in COMMANDS)
    for name in COMMANDS:
        assert run([name, "--help"]) == 0
        assert f"tilebert {name}" in capfd.readouterr().out


def test_a_command_is_imported_alone() -> None:
    """Others bring what takes a second to import."""
    slow = {"numpy", "amaranth", "scipy", "matplotlib", "cocotb"}
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from scripts.cli import run; "
    code += f"run(['cache', '--help']); print({slow} & set(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stderr == "set()\n"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache: a build used a week ago, a design used now, a trained model used a year ago."""
    monkeypatch.setenv("TILEBERT_CACHE", str(tmp_path / "cache"))
    for kind, key, days in (("builds", "b", 7), ("designs", "d", 0), ("training", "t", 365)):
        folder, _ = cache.entry(
            kind, key, lambda place: (place / "x").write_bytes(bytes(1_500_000)), f"what {key} is"
        )
        os.utime(folder, (0, time.time() - days * cache.DAY))
    return tmp_path / "cache"


def keys(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*/*")}


def test_the_cache_is_listed(kept: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["cache"]) == 0
    out, _ = capfd.readouterr()
    rows = [re.findall(r"[^│]+", line) for line in out.splitlines() if line.startswith("│")]
    cells = {tuple(cell.strip() for cell in row) for row in rows}
    assert cells == {
        ("builds", "what b is", "1.5 MB", "7.0"),
        ("designs", "what d is", "1.5 MB", "0.0"),
        ("training", "what t is", "1.5 MB", "365.0"),
    }
    assert out.splitlines()[-1] == f"3 entries, 4.5 MB in {kept}"
    assert run(["cache", "list", "--older-than", "8"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == f"1 entries, 1.5 MB in {kept}"


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], {"t"}),
        (["--older-than", "6.5"], {"d", "t"}),
        (["--older-than", "8"], {"b", "d", "t"}),
        (["--older-than", "8", "--training"], {"b", "d"}),
        (["--training"], set()),
    ],
)
def test_the_cache_is_cleaned(
    options: list[str], left: set[str], kept: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["cache", "clean", *options]) == 0
    assert keys(kept) == left
    count = 3 - len(left)
    assert capfd.readouterr().out == f"{count} entries, {1.5 * count:.1f} MB removed from {kept}\n"


def test_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TILEBERT_CACHE", str(tmp_path / "none"))
    for action in ("list", "clean"):
        assert run(["cache", action]) == 0
        assert capfd.readouterr().out.startswith("0 entries, 0.0 MB ")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("days", ["-1", "nan", "inf"])
def test_days_are_checked(days: str, kept: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused(
        ["cache", "clean", "--older-than", days],
        f"--older-than: expected days, 0 or more, got {days}",
        capfd,
    )
    assert keys(kept) == {"b", "d", "t"}


@pytest.mark.parametrize(
    "error", [ValueError("missing port number"), OSError("timed out"), TypeError("no")]
)
def test_an_address_that_is_none(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Dask raises for it does not name the option."""

    def refuse(address: str, timeout: int) -> None:
        raise error

    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(Client=refuse))
    expected = rf"^--scheduler: expected the address of a Dask scheduler, got x \({error}\)$"
    with pytest.raises(ValueError, match=expected):
        executor(1, "x")


def test_hints_are_those_of_the_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to run where a package is missing; the guide has the same words."""
    guide = "".join(page.read_text() for page in (ROOT / "docs/guide").glob("*.md"))
    for name in ("amaranth_boards.ulx3s", "distributed", "train"):
        monkeypatch.setitem(sys.modules, name, None)
    wanting = {
        "pip install -e '.[board]'": lambda: platform_of("ulx3s-85f"),
        "pip install -e '.[cluster]'": lambda: executor(1, "host:1"),
        "make .venv/train": load_trainer,
    }
    for hint, ask in wanting.items():
        with pytest.raises(ValueError, match=f"expected the package .*; {re.escape(hint)}$"):
            ask()
        assert f"`{hint}`" in guide
