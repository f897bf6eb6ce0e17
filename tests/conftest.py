"""What is optional is left out where it is not installed: one skip for each file says so."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import pytest

MISSING = [name for name in ("torch", "transformers") if find_spec(name) is None]


class LeftOut(pytest.Item):
    """A whole file that is skipped, without importing it."""

    def runtest(self) -> None:
        pytest.skip(f"{self.path.name}: {' and '.join(MISSING)} not installed (make .venv/train)")


class LeftOutFile(pytest.Module):
    """A file that cannot be imported here."""

    def collect(self) -> Iterator[pytest.Item]:
        yield LeftOut.from_parent(self, name="left_out")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Tests of training run where its packages are installed (extra `train`)."""
    if MISSING and module_path.name.startswith("test_train_"):
        return LeftOutFile.from_parent(parent, path=module_path)
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `icarus` runs where Icarus Verilog is installed."""
    if shutil.which("iverilog"):
        return
    dropped = []
    marked = [item for item in items if item.get_closest_marker("icarus")]
    for path, group in groupby(marked, lambda item: item.path):
        first, *others = group
        reason = f"{path.name}: Icarus Verilog is not installed, {1 + len(others)} tests left out"
        first.add_marker(pytest.mark.skip(reason=reason))
        dropped += others
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        left = {id(item) for item in dropped}
        items[:] = [item for item in items if id(item) not in left]
