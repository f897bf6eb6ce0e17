"""Where outputs go: links, pipes, devices, `-`, full and read-only disks.

An output is whole or not there.
"""

import errno
import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from golden import files
from golden.bert.calibration import quantize_model
from golden.spec.modes import mode
from scripts.cli import run
from scripts.commands import quantize as quantize_command
from tests.support import tiny
from tests.support.program import program
from tests.support.refusal import refused

GEMM = ["gemm", "--x", "x.npy", "--w", "w.npy"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with operands of a GEMM; `quantize` takes a small model."""
    for name in ("x", "w"):
        np.save(tmp_path / f"{name}.npy", np.full((3, 3), 2, np.int8))
    monkeypatch.chdir(tmp_path)
    model = quantize_model(tiny.tiny_weights(), mode("w8a8"), tiny.SENTENCES)
    monkeypatch.setattr(quantize_command, "quantized", lambda chosen, clip: model)
    monkeypatch.setattr("golden.bert.checkpoint.to_bytes", lambda model: b"a model")
    return tmp_path


OUTPUTS = {
    "gemm -o": [*GEMM, "-o"],
    "gemm --json": [*GEMM, "-o", "other.npy", "--json"],
    "quantize -o": ["quantize", "-o"],
}
"""Commands before the name of the file that they write: arrays, records, checkpoints."""


def written(words: list[str], path: Path) -> bytes:
    """What a command writes to a plain file; records hold times."""
    assert run([*words, str(path)]) == 0
    return path.read_bytes()


@pytest.mark.parametrize("case", OUTPUTS)
def test_a_link_stays_and_its_target_is_written(case: str, folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "link").symlink_to("again")
    (folder / "again").symlink_to("elsewhere/file")
    assert run([*OUTPUTS[case], "link"]) == 0
    assert (folder / "link").is_symlink()
    assert (folder / "again").is_symlink()
    assert (folder / "elsewhere/file").read_bytes() == written(OUTPUTS[case], folder / "plain")
    assert [path.name for path in (folder / "elsewhere").iterdir()] == ["file"]


@pytest.mark.parametrize("case", OUTPUTS)
def test_a_pipe_takes_the_bytes(case: str, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert run([*OUTPUTS[case], "pipe"]) == 0
    assert os.read(reader, 1 << 16) == written(OUTPUTS[case], folder / "plain")
    os.close(reader)
    assert (folder / "pipe").is_fifo()


@pytest.mark.parametrize("name", ["-", "link", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("case", OUTPUTS)
def test_stdout_holds_the_output_alone(
    case: str, name: str, folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The command prints to stderr; `capfd` makes stdout a file, which is continued, not cut."""
    (folder / "link").symlink_to("/dev/stdout")
    os.write(1, b"before ")
    assert run([*OUTPUTS[case], name]) == 0
    os.write(1, b" after")
    out, _ = capfdbinary.readouterr()
    assert out == b"before " + written(OUTPUTS[case], folder / "plain") + b" after"
    assert (folder / "link").is_symlink()
    assert not (folder / "-").exists()


def test_one_output_alone_is_stdout(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused(
        [*GEMM, "-o", "-", "--json", "-"], "--json: expected stdout, got it for --output too", capfd
    )
    # The next command has it again.
    assert run(["cache", "list", "--older-than", "100000"]) == 0
    assert capfd.readouterr().out.startswith("0 entries")


def test_stdin_is_one_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO((folder / "x.npy").read_bytes()))
    monkeypatch.setattr("sys.stdin", stdin)
    assert run(["gemm", "--x", "-", "--w", "w.npy", "-o", "y.npy"]) == 0
    assert np.load("y.npy").tolist() == [[12] * 3] * 3
    refused(
        ["gemm", "--x", "-", "--w", "w.npy", "-o", "y.npy"],
        "--x: expected a .npy file, got - (",
        capfd,
    )
    refused(
        ["gemm", "--x", "-", "--w", "-", "-o", "y.npy"],
        "--w: expected a file, got - that --x has too",
        capfd,
    )


def test_an_input_may_be_a_pipe(folder: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, (folder / "x.npy").read_bytes())
    os.close(writer)
    assert run(["gemm", "--x", f"/dev/fd/{reader}", "--w", "w.npy", "-o", "y.npy"]) == 0
    os.close(reader)


def test_an_input_that_never_ends(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["gemm", "--w", "w.npy", "-o", "y.npy", "--x"]
    refused([*words, "/dev/zero"], "--x: expected a .npy file, got /dev/zero (a device)", capfd)
    monkeypatch.setattr("scripts.files.MOST", 100)
    assert run([*words, "x.npy"]) == 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bytes(101))))
    refused([*words, "-"], "--x: expected a .npy file, got - (more than 0 MiB)", capfd)


@pytest.mark.parametrize("case", OUTPUTS)
def test_a_full_device(case: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # A link, which is all that a fault here can destroy.
    (folder / "full").symlink_to("/dev/full")
    option = "--json" if "json" in case else "--output"
    assert run([*OUTPUTS[case], "full"]) == 2
    assert capfd.readouterr().err == (
        f"tilebert: {option}: expected a writable place, got full (No space left on device)\n"
    )
    assert (folder / "full").is_symlink()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("case", OUTPUTS)
def test_a_full_or_read_only_disk_leaves_nothing(
    case: str,
    number: int,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The old file stays, and nothing else: the error comes when the new one is written."""
    (folder / "old").write_text("old")

    def fail(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:1])
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "write_bytes", fail)
    if "json" in case:
        monkeypatch.setattr("scripts.commands.gemm.write_array", lambda *arguments: None)
    before = sorted(folder.iterdir())
    option = "--json" if "json" in case else "--output"
    assert run([*OUTPUTS[case], "old"]) == 2
    _, err = capfd.readouterr()
    assert (
        err == f"tilebert: {option}: expected a writable place, got old ({os.strerror(number)})\n"
    )
    assert (folder / "old").read_text() == "old"
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_full_stdout_or_stderr(stream: str, folder: Path) -> None:
    (folder / "r.csv").write_text("name,unit,value,better\na/COMB,cells,1,less\n")
    with open("/dev/full", "wb") as full:
        how = {"stdout": -1, "stderr": -1, stream: full}
        done = program("compare", "r.csv", "r.csv", capture_output=False, cwd=folder, **how)
    if stream == "stdout":
        assert done.returncode == 1
        assert done.stderr == b"tilebert: stdout: No space left on device\n"
    else:
        assert done.returncode == 0


def test_a_reader_that_has_seen_enough(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = program("cache", "list", capture_output=False, stdout=writer, stderr=-1, cwd=folder)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_name_as_long_as_a_folder_allows(folder: Path) -> None:
    assert run([*GEMM, "-o", "y" * 255]) == 0
    assert run([*GEMM, "-o", "y", "--json", "ü" * 127]) == 0
    assert json.loads((folder / ("ü" * 127)).read_text())["k"] == 3


def test_an_interrupt_while_a_file_is_begun_leaves_none(folder: Path) -> None:
    begun = files.tempfile.mkstemp

    def interrupted(**how: str):
        made = begun(**how)
        signal.raise_signal(signal.SIGINT)
        return made

    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.tempfile, "mkstemp", interrupted)
        before = sorted(folder.iterdir())
        assert run([*GEMM, "-o", "y"]) == 130
    signal.signal(signal.SIGINT, heard)
    assert sorted(folder.iterdir()) == before
