"""Places of outputs that are refused before anything is computed, and change no file."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.refusal import refused

GEMM = ["gemm", "--x", "x.npy", "--w", "w.npy"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with operands of a GEMM."""
    for name in ("x", "w"):
        np.save(tmp_path / f"{name}.npy", np.full((3, 3), 2, np.int8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*GEMM, "-o", "gone/y"], "--output: expected a file in an existing folder, got gone/y"),
        (
            [*GEMM, "-o", "y", "--json", "gone/j"],
            "--json: expected a file in an existing folder, got gone/j",
        ),
        (["quantize", "-o", "."], "--output: expected a file in an existing folder, got ."),
        (
            ["simulate", "--json", "x.npy/j"],
            "--json: expected a file in an existing folder, got x.npy/j",
        ),
        (
            ["bench", "--json", "gone/j"],
            "--json: expected a file in an existing folder, got gone/j",
        ),
        (
            ["bert", "a", "--backend", "rtl", "--dump", "x.npy"],
            "--dump: expected a folder, got the file x.npy",
        ),
        (
            [*GEMM, "-o", "loop"],
            "--output: expected a writable place, got loop (Too many levels of symbolic",
        ),
        (
            [*GEMM, "-o", "y" * 300],
            f"--output: expected a writable place, got {'y' * 300} (File name too long",
        ),
    ],
)
def test_places_are_checked_first(
    words: list[str], message: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "loop").symlink_to("loop")
    before = sorted(folder.iterdir())
    refused(words, message, capfd)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    "words",
    [
        "eval --task sts-b --glue . --backend rtl --keep PLACE --json",
        "bert text --backend rtl --dump PLACE --json",
        "bert text --backend rtl --dump PLACE -o",
        "formats -o PLACE --json",
        "table --glue . -o PLACE --records",
    ],
)
@pytest.mark.parametrize("place", ["new", "new/in/it", "./new"])
def test_a_folder_is_no_other_option_s_file(
    words: str, place: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Found at the end, it would cost all that was computed."""
    option = next(word for word in ("--keep", "--dump", "-o PLACE") if word in words)
    option = option.replace("-o PLACE", "--output")
    before = sorted(folder.iterdir())
    refused(
        [*words.replace("PLACE", place).split(), "new"],
        f"{option}: expected another place than --",
        capfd,
    )
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    "words",
    [
        "verilog -o",
        "formats -o",
        "report -o",
        "build --board ulx3s-85f -o",
        "bert text --backend rtl --dump",
    ],
)
def test_a_folder_is_not_stdout(
    words: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(
        [*words.split(), "-"],
        f"{words.split()[-1].replace('-o', '--output')}: expected a folder, got -",
        capfd,
    )
    assert not (folder / "-").exists()
