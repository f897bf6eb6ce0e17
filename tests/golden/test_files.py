"""Atomic files: orphans of killed processes and files that are being written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from golden.files import UNFINISHED, replacing, write_bytes

ROOT = Path(__file__).parents[2]

BEGUN = """
import os, sys, time
from pathlib import Path
from golden.files import replacing
with replacing(Path({path!r})) as scratch:
    scratch.write_bytes(b"half")
    os.write(1, b"begun")
    time.sleep(1e6)
"""


def unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(UNFINISHED)]


@pytest.fixture
def writer(tmp_path: Path) -> "subprocess.Popen[bytes]":
    """A process that has written half of tmp_path/y."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{BEGUN.format(path=str(tmp_path / 'y'))}"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"begun"
        yield process
        process.kill()


def test_what_a_killed_process_had_begun_goes(
    writer: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    (tmp_path / "y").write_bytes(b"old")
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(unfinished(tmp_path)) == 1
    write_bytes(tmp_path / "y", b"new")
    assert (tmp_path / "y").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["y"]


def test_what_a_living_process_writes_stays(
    writer: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    write_bytes(tmp_path / "y", b"new")
    (left,) = unfinished(tmp_path)
    assert left.read_bytes() == b"half"


def test_other_files_stay(tmp_path: Path) -> None:
    others = [f".x.12345678{UNFINISHED}", ".y.12345678", f"y.12345678{UNFINISHED}", "y"]
    for name in others:
        (tmp_path / name).write_bytes(b"other")
    write_bytes(tmp_path / "y", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_a_file_taken_for_an_orphan_while_it_was_new_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process removes the file after its creation and before its lock."""
    from golden import files

    original, removed = files.fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(unfinished(tmp_path))
            os.unlink(removed[0])
        original(descriptor, operation)

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with replacing(tmp_path / "y") as scratch:
        assert removed
        assert scratch not in removed
        scratch.write_bytes(b"new")
    assert (tmp_path / "y").read_bytes() == b"new"


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from golden import files

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    (tmp_path / f".y.12345678{UNFINISHED}").write_bytes(b"another's")
    write_bytes(tmp_path / "y", b"new")
    assert (tmp_path / "y").read_bytes() == b"new"
    assert len(unfinished(tmp_path)) == 1
