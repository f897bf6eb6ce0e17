"""Array files: equal to NumPy's reader, and refused if header and file do not match."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from golden.arrays import load_array, save_array
from golden.bert import checkpoint
from golden.bert.weights import read_weights
from tests.support import tiny
from tests.support.disk import largest_file
from tests.support.refusal import refused


def header(fields: str, version: tuple[int, int] = (1, 0), length: int = 118) -> bytes:
    """Start of a .npy file with a header of `fields`."""
    text = fields.encode().ljust(length) + b"\n"
    return (
        b"\x93NUMPY"
        + bytes(version)
        + len(text).to_bytes(2 if version == (1, 0) else 4, "little")
        + text
    )


def claim(shape: str, descr: str = "'|i1'") -> bytes:
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}") + b"\0" * 64


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["int8", "uint8", ">i4", "int64", "float32", "bool"])
def test_whole_files_are_read_as_numpy_reads_them(shape: tuple[int, ...], dtype: str) -> None:
    array = np.asarray(np.random.default_rng(1).integers(0, 100, shape)).astype(dtype)
    for given in (array, np.array(array, order="F")):
        file = io.BytesIO(b"before")
        file.seek(6)
        np.save(file, given)
        file.seek(6)
        found = load_array(file)
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_a_file_with_a_longer_header_is_read() -> None:
    content = (
        header("{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }", (2, 0)) + b"\1\2\3"
    )
    assert load_array(io.BytesIO(content)).tolist() == [1, 2, 3]


DAMAGED = {
    "1 TiB in 200 bytes": (
        claim("(1048576, 1048576)"),
        "a header for 1099511627776 bytes before 64",
    ),
    "one byte more": (claim("(5, 13)"), "a header for 65 bytes before 64"),
    "more than a size can be": (
        claim(f"({2**62}, {2**62})"),
        f"a header for {2**124} bytes before 64",
    ),
    "wide items": (claim("(2,)", f"'|V{2**30}'"), f"a header for {2**31} bytes before 64"),
    "a negative size": (claim("(-1, 4)"), "shape (-1, 4)"),
    "objects": (claim("(1,)", "'|O'"), "Object arrays cannot be loaded"),
    "a later version": (header("{}", (9, 0)), "version 9.0"),
    "a header cut short": (
        claim("(2, 2)")[:40],
        "EOF: reading array header, expected 119 bytes got 30",
    ),
    "no header": (b"\x93NUM", "EOF: reading magic string, expected 8 bytes got 4"),
    "text": (b"no array", "the magic string is not correct"),
    "an archive": (b"PK\3\4" + bytes(60), "the magic string is not correct"),
    "nothing": (b"", "No data left in file"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_header_that_does_not_fit_its_file_is_refused(case: str) -> None:
    content, message = DAMAGED[case]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as caught:
        load_array(io.BytesIO(content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [10, 10_000])
def test_a_full_disk_is_named_and_nothing_is_left(size: int, tmp_path: Path) -> None:
    """NumPy's own error, "10000 requested and 872 written", lacks path and system error."""
    with largest_file(100), pytest.raises(OSError, match=r"File too large: '.*/y\.npy'$") as caught:
        save_array(tmp_path / "y.npy", np.ones(size, np.int8))
    assert caught.value.strerror == "File too large"
    assert not list(tmp_path.iterdir())
    save_array(tmp_path / "y.npy", np.ones(size, np.int8))
    assert np.load(tmp_path / "y.npy").sum() == size


@pytest.mark.parametrize("option", ["x", "w", "bias", "mult", "shift"])
def test_a_command_refuses_what_claims_too_much(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {"x": np.ones((2, 3), np.int8), "w": np.ones((3, 4), np.int8)}
    files |= {name: np.ones(4, np.int32) for name in ("bias", "mult", "shift")}
    words = ["gemm", "-o", "y.npy"]
    for name, array in files.items():
        np.save(f"{name}.npy", array)
        words += [f"--{name}", f"{name}.npy"]
    (tmp_path / f"{option}.npy").write_bytes(claim("(1048576, 1048576)"))
    got = f"{option}.npy (a header for 1099511627776 bytes before 64)"
    refused(words, f"--{option}: expected a .npy file, got {got}", capfd)
    assert not (tmp_path / "y.npy").exists()


TENSOR = b'{"a": {"dtype": "I8", "shape": [1099511627776], "data_offsets": [0, 1099511627776]}}'

SAFETENSORS = {
    "a header of 1 TiB": (1 << 40).to_bytes(8, "little") + b"{}" + bytes(190),
    "a tensor of 1 TiB": len(TENSOR).to_bytes(8, "little") + TENSOR + bytes(64),
}


@pytest.mark.parametrize("case", SAFETENSORS)
def test_a_checkpoint_that_claims_too_much_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(SAFETENSORS[case])
    (tmp_path / "config.json").write_text(json.dumps(tiny.config_fields()))
    for read in (lambda: checkpoint.load(path), lambda: read_weights(tmp_path)):
        with pytest.raises(ValueError, match=r"model\.safetensors: not a safetensors file \("):
            read()
