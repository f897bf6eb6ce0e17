"""What is left out where something optional is missing shows as skips, which CI counts."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
HIDDEN = """
import importlib.util
found = importlib.util.find_spec
hidden = ("torch", "transformers")
importlib.util.find_spec = lambda name, *rest: None if name in hidden else found(name, *rest)
"""


@pytest.mark.slow
def test_each_file_is_one_skip_with_its_reason(tmp_path: Path) -> None:
    """Without Icarus Verilog, PyTorch and transformers."""
    (tmp_path / "hidden.py").write_text(HIDDEN)
    names = (
        "train/test_fake.py",
        "train/test_cli.py",
        "golden/test_encoder.py",
        "sim/test_simulators.py",
    )
    record = tmp_path / "tests.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "hidden",
        "-p",
        "no:cacheprovider",
        f"--junitxml={record}",
    ]
    command += ["-q", "-m", "icarus or training", *(f"tests/{name}" for name in names)]
    environment = {**os.environ, "PATH": "", "PYTHONPATH": str(tmp_path), "PYTEST_ADDOPTS": ""}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    cases = list(ElementTree.parse(record).iter("testcase"))
    reasons = [case.find("skipped").get("message") for case in cases]
    assert sorted(reasons) == [
        "golden/test_encoder.py: 5 tests left out, torch and transformers not installed",
        "sim/test_simulators.py: 5 tests left out, Icarus Verilog not installed",
        "train/test_cli.py: all tests left out, torch and transformers not installed",
        "train/test_fake.py: all tests left out, torch and transformers not installed",
    ]


PASSED, FAILED, ERROR = (
    "<testcase name='a'/>",
    "<testcase><failure/></testcase>",
    "<testcase><error/></testcase>",
)
SKIPPED, SILENT = (
    "<testcase><skipped message='why'/></testcase>",
    "<testcase><skipped message=''/></testcase>",
)


@pytest.mark.parametrize(
    ("cases", "status"),
    [
        ([PASSED, SKIPPED, SKIPPED], 0),
        ([PASSED, SKIPPED, SKIPPED, SKIPPED], 1),
        ([PASSED, SILENT], 1),
        ([PASSED, FAILED], 1),
        ([PASSED, ERROR], 1),
        ([], 1),
    ],
)
def test_ci_counts_skips(cases: list[str], status: int, tmp_path: Path) -> None:
    record = tmp_path / "tests.xml"
    record.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    command = [sys.executable, str(ROOT / ".ci" / "skips.py"), str(record), "2"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == status, run.stdout + run.stderr
    assert f"{len(cases)} tests" in run.stdout
