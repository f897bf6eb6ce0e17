"""Wrong input: one line on stderr that says what is wrong, exit status 2, and no file."""

import re
from pathlib import Path

import numpy as np
import pytest

from scripts.cli import run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A good x.npy [2, 3] and w.npy [3, 4], and bad ones beside them."""
    arrays = {
        "x": np.ones((2, 3), np.int8),
        "w": np.ones((3, 4), np.int8),
        "low": np.array([[1, 2, -128], [0, 0, 0]], np.int8),
        "float": np.ones((2, 3), np.float32),
        "unsigned": np.ones((2, 3), np.uint8),
        "vector": np.ones(3, np.int8),
        "none": np.ones((0, 3), np.int8),
        "deep": np.ones((2, 65), np.int8),
        "deep_w": np.ones((65, 4), np.int8),
        "bias": np.ones(4, np.int32),
        "bias_long": np.ones(5, np.int32),
        "bias_wide": np.full(4, 2**31, np.int64),
        "mult": np.full(4, 2**14, np.int32),
        "mult_wide": np.full(4, 2**15, np.int32),
        "shift": np.full(4, 10, np.int32),
        "shift_zero": np.zeros(4, np.int32),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "text.npy").write_text("no array")
    for name, header in (
        ("shape", "{'descr': '|i1', 'fortran_order': False, 'shape': (True, 5)}"),
        ("brackets", "(" * 200),
        ("signs", "-" * 9000 + "1"),
    ):
        content = (
            b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\0" * 5
        )
        (tmp_path / f"{name}.npy").write_bytes(content)
    return tmp_path


CASES = {
    "code -128": (
        "--x low.npy",
        "--x: expected int8 codes in -127..127 (linear-8), got -128 at [0, 2]",
    ),
    "float codes": ("--x float.npy", "--x: expected integers, got float32"),
    "codes of another type": (
        "--x unsigned.npy",
        "--x: expected int8 codes for linear-8, got uint8",
    ),
    "a vector": (
        "--x vector.npy",
        "--x: expected a non-empty array of 2 dimensions, got shape (3,)",
    ),
    "no rows": (
        "--x none.npy",
        "--x: expected a non-empty array of 2 dimensions, got shape (0, 3)",
    ),
    "K mismatch": ("--w x.npy", "--w: expected K = 3 rows to match --x, got 2"),
    "K over k_max": (
        "--x deep.npy --w deep_w.npy --k-max 64",
        "--k-max: expected K of 1..64, got 65",
    ),
    "empty file": (
        "--x empty.npy",
        "--x: expected a .npy file, got empty.npy (No data left in file)",
    ),
    "no .npy": ("--x text.npy", "--x: expected a .npy file, got text.npy ("),
    "missing path": ("--x gone.npy", "--x: expected a .npy file, got gone.npy (no such file)"),
    "rows 0": ("--rows 0 --backend rtl", "--rows: expected an integer >= 1, got 0"),
    "cols -1": ("--cols -1", "--cols: expected an integer >= 1, got -1"),
    "rows text": ("--rows two", "...'--rows'..."),
    "unknown mode": (
        "--mode w2a2",
        "--mode: expected one of w8a8, w4a8, w4a4, wlog-a8, wlog-alog, wpw-a8, got 'w2a2'",
    ),
    "unknown option": ("--fast", "No such option: --fast"),
    "log2 codes": ("--mode wlog-a8", "--w: expected uint8 codes for log2-4, got int8"),
    "exponent bits": (
        "--mode wlog-alog --exponent-bits 5",
        "--exponent-bits: expected 3 or 4 in wlog-alog, got 5",
    ),
    "ratio": ("--mode wpw-a8 --ratio 64", "--ratio: expected 1..63, got 64"),
    "offset": ("--mode wpw-a8 --offset 64", "--offset: expected 0..63, got 64"),
    "long bias": (
        "--bias bias_long.npy",
        "--bias: expected 4 values, one per column, got shape (5,)",
    ),
    "wide bias": (
        "--bias bias_wide.npy",
        "--bias: expected -2147483648..2147483647, got 2147483648 at [0]",
    ),
    "mult alone": ("--mult mult.npy", "--shift: expected with --mult, got none"),
    "shift alone": ("--shift shift.npy", "--mult: expected with --shift, got none"),
    "wide mult": (
        "--mult mult_wide.npy --shift shift.npy",
        "--mult: expected 0..32767, got 32768 at [0]",
    ),
    "shift 0": ("--mult mult.npy --shift shift_zero.npy", "--shift: expected 1..47, got 0 at [0]"),
    "bits": ("--mult mult.npy --shift shift.npy --bits 5", "--bits: expected 8 or 4, got 5"),
    "one file twice": ("--json y.npy", "--json: expected another file than --output, got y.npy"),
    "a header that is no shape": ("--x shape.npy", "--x: expected a .npy file, got shape.npy ("),
    "a header of brackets": ("--x brackets.npy", "--x: expected a .npy file, got brackets.npy ("),
    "a deep header": ("--x signs.npy", "--x: expected a .npy file, got signs.npy ("),
    "no folder": (
        "-o gone/y.npy",
        "--output: expected a file in an existing folder, got gone/y.npy",
    ),
}


def assert_one_line(err: str, message: str) -> None:
    """`message` begins the line; its dots stand for words that the option parser chooses."""
    pattern = ".*".join(re.escape(part) for part in message.split("..."))
    assert re.match(f"tilebert: {pattern}", err), err
    assert err.count("\n") == 1


@pytest.mark.parametrize("case", CASES)
def test_gemm_names_what_is_wrong(
    case: str, files: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    options, message = CASES[case]
    monkeypatch.chdir(files)
    arguments = {"--x": "x.npy", "--w": "w.npy", "-o": "y.npy"}
    words = options.split()
    for option in arguments.keys() & set(words):
        del arguments[option]
    before = sorted(files.iterdir())
    status = run(["gemm", *[part for pair in arguments.items() for part in pair], *words])
    out, err = capfd.readouterr()
    assert status == 2
    assert out == ""
    assert_one_line(err, message)
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("simulate --layer 6", "--layer: expected 0..5, got 6"),
        ("simulate --rows 0", "--rows: expected an integer >= 1, got 0"),
        ("simulate --simulator spice", "Invalid value for '--simulator': ...'spice' is not one of"),
        ("simulate --checkpoint gone.safetensors", "gone.safetensors: no such file"),
        ("simulate --text=", "text: expected at least one word, got ''"),
        ("synth --target gal", "Invalid value for '--target': ...'gal' is not one of"),
        ("synth --pnr --target xc7", "--pnr: expected --target ecp5 or ice40, got xc7"),
        (
            "synth --pnr --device LFE5U-99F",
            "--device: expected one of LFE5U-25F, LFE5U-45F, LFE5U-85F, got 'LFE5U-99F'",
        ),
        ("synth --pnr --clock 0", "--clock: expected MHz above 0, got 0"),
        (
            "synth --mode wpw-a8 --mode w4a4 --no-dsp",
            "--no-dsp: expected one mode, log2 modes only",
        ),
        (
            "verilog --mode wlog-alog --exponent-bits 5 -o out",
            "--exponent-bits: expected 3 or 4 in wlog-alog",
        ),
        (
            "verilog --mode w8a8 --mode wlog-a8 --exponent-bits 5 -o out",
            "--exponent-bits: expected 3 or 4 beside",
        ),
        (
            "bench --mode wlog3-a8 --exponent-bits 4",
            "--exponent-bits: expected 3 with wlog3-a8, got 4",
        ),
        (
            "quantize --mode wlog5-a8 --exponent-bits 4 -o m.safetensors",
            "--exponent-bits: expected 5 with wlog5-a8, got 4",
        ),
        (
            "synth --mode wlog3-a8 --mode wlog4-alog",
            "--mode: expected log2 modes of equal exponent bits, got wlog3-a8 and wlog4-alog",
        ),
        (
            "sweep -o s.csv --unit pe --modes wlog3-a8 --exponent-bits 3 --exponent-bits 4",
            "--exponent-bits: expected 3 with wlog3-a8, got 4",
        ),
        ("verilog", "Missing option '--output' / '-o'"),
        ("verilog -o x.npy", "--output: expected a folder, got the file x.npy"),
        ("quantize -o gone/model.safetensors", "--output: expected a file in an existing folder"),
        (
            "build --board de10 -o out",
            "--board: expected one of ulx3s-85f, ulx3s-45f, ulx3s-25f, got 'de10'",
        ),
        ("build --board ulx3s-85f -o x.npy", "--output: expected a folder, got the file x.npy"),
        ("build --board ulx3s-85f --k-max 8 -o out", "K: expected"),
        ("improve", "No such command 'improve'"),
    ],
)
def test_other_commands_name_what_is_wrong(
    arguments: str,
    message: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(files)
    before = sorted(files.iterdir())
    assert run(arguments.split()) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert_one_line(err, message)
    assert sorted(files.iterdir()) == before
