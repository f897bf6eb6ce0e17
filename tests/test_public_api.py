"""The package `tilebert`: every public name resolves, is documented, and keeps its type."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest
from numpy.typing import NDArray

import tilebert
from tilebert import (
    MODE_NAMES,
    Config,
    Job,
    Mode,
    QuantizedModel,
    api,
    gemm,
    golden_backend,
    load_checkpoint,
    mode,
)

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "api.md"


@pytest.mark.parametrize("name", tilebert.__all__)
def test_name_is_documented(name: str) -> None:
    value = getattr(tilebert, name)
    assert value is getattr(api, name)
    if name.isupper():
        return
    assert (inspect.getdoc(value) or "").strip()
    kind = "class" if inspect.isclass(value) else "function"
    assert f".. auto{kind}:: tilebert.{name}\n" in PAGE.read_text()


def test_list_is_complete() -> None:
    assert len(set(api.__all__)) == len(api.__all__)
    defined = {name for name, value in vars(api).items() if not name.startswith("_")}
    assert defined == set(api.__all__)
    assert set(dir(tilebert)) == {"__version__", *api.__all__}


def test_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'tilebert' has no attribute 'nothing'"):
        _ = tilebert.nothing  # type: ignore[attr-defined]


def test_types_are_seen() -> None:
    """`assert_type` does nothing here; mypy, which checks this file too, reports a type it lost."""
    assert_type(mode("w8a8"), Mode)
    assert_type(MODE_NAMES, tuple[str, ...])
    assert_type(Config(modes=(mode("w8a8"),)).rows, int)
    codes = np.ones((1, 1), np.int8)
    assert_type(gemm(codes, codes, mode("w8a8")), NDArray[np.int64])
    job = Job("one", mode("w8a8"), codes, codes)
    assert_type(golden_backend([job]), list[NDArray[np.integer[Any]]])


def read(path: Path) -> QuantizedModel:
    """For mypy alone."""
    return load_checkpoint(path)


def test_command_line_starts_without_the_api() -> None:
    code = "import sys, tilebert.__main__; sys.exit('tilebert.api' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("package", ["golden", "hw", "sim", "tilebert"])
def test_package_declares_its_types(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
