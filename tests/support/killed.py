"""The program, killed just before or after it moves a certain file to its final path."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

HOOK = """\
import fnmatch, os, signal, time

pattern, number, moment, root = os.environ["KILL_AT"].split("|")
os.environ["KILL_AT"] = "|".join([pattern, number, moment, root or str(os.getpid())])
root, left, original = int(root or os.getpid()), [int(number)], os.replace

def kill():
    os.kill(root, signal.SIGKILL)
    # In a worker, which ends when its parent has ended.
    time.sleep(1e6)

def replace(source, target, **options):
    counted = fnmatch.fnmatchcase(os.path.basename(target), pattern)
    left[0] -= counted
    if counted and left[0] == 0 and moment == "before":
        kill()
    original(source, target, **options)
    if counted and left[0] == 0:
        kill()

os.replace = replace
"""
"""Code that Python runs first, in the program and in its workers; it kills the program."""


def program(
    words: list[str], folder: Path, **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run the program in a folder and wait for all of its processes."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
        "from scripts.cli import run; sys.exit(run())"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        check=False,
    )


def killed(
    words: list[str],
    folder: Path,
    hooks: Path,
    pattern: str,
    number: int = 1,
    moment: str = "before",
    **more: str,
) -> None:
    """Run the program, and kill it around the `number`-th move of a file that matches the pattern.

    It is killed before or after the move. `hooks` is a folder for this function only.
    """
    hooks.mkdir(exist_ok=True)
    (hooks / "sitecustomize.py").write_text(HOOK)
    path = os.pathsep.join(
        [str(hooks), *filter(None, [more.pop("PYTHONPATH", os.environ.get("PYTHONPATH"))])]
    )
    result = program(
        words, folder, KILL_AT=f"{pattern}|{number}|{moment}|", PYTHONPATH=path, **more
    )
    assert result.returncode == -signal.SIGKILL, result.stderr.decode()


def finished(words: list[str], folder: Path, **environment: str) -> str:
    """Run the program to its end and return its stderr."""
    result = program(words, folder, **environment)
    assert result.returncode == 0, result.stderr.decode()
    return result.stderr.decode()
