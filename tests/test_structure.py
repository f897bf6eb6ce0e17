"""The house: which package may import which."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "golden": set(),
    "train": {"golden"},
    "hw": {"golden"},
    "sim": {"golden", "hw"},
    "scripts": {"golden", "hw", "sim", "train"},
    "tilebert": {"golden", "hw", "scripts", "sim"},
}

RECORDS = {"golden.spec.commands", "golden.spec.formats", "golden.spec.modes"}
"""What the hardware may know of golden: commands, widths and codes, no arithmetic."""


def imported(file: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            modules.add(node.module or "")
    return modules


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrows_point_one_way(package: str) -> None:
    files = sorted((ROOT / package).glob("**/*.py"))
    assert files
    for file in files:
        ours = {name.partition(".")[0] for name in imported(file)} & MAY_IMPORT.keys()
        assert ours <= MAY_IMPORT[package] | {package}, file


def test_the_hardware_knows_records_alone() -> None:
    for file in (ROOT / "hw").glob("**/*.py"):
        names = {name for name in imported(file) if name.partition(".")[0] == "golden"}
        assert names <= RECORDS, file
