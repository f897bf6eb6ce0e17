"""Every program in examples/ runs from any folder and reports results equal to golden's."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

QUICK = {
    "core_in_a_design": "winners [2, 0, 1, 2, 2], golden [2, 0, 1, 2, 2]",
    "requantizer_in_a_project": "100 of 100 codes equal the golden model",
}
"""A line that each prints; those below also build a simulator."""

SLOW = {
    "gemm": "120 results equal",
    "sentence": "67,020 of 67,020 results equal the golden model",
}


def run(name: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr
    return result.stdout


@pytest.mark.parametrize("name", QUICK)
def test_example(name: str, tmp_path: Path) -> None:
    assert QUICK[name] in run(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_example_with_a_simulator(name: str, tmp_path: Path) -> None:
    assert SLOW[name] in run(name, tmp_path)


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == QUICK.keys() | SLOW.keys()
