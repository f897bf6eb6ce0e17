"""Tests of optional parts are left out where these are not installed: one skip for each file."""

import shutil
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import pytest

MISSING = {
    "icarus": [] if shutil.which("iverilog") else ["Icarus Verilog"],
    "training": [name for name in ("torch", "transformers") if find_spec(name) is None],
}
"""By marker, what its tests need and is not installed."""

ON_DEMAND = {"--long": {"long", "in_ci"}, "--prove": {"proof"}}
"""By option of pytest, the markers of the tests that run only with it."""


def _trains(path: Path) -> bool:
    return path.parent.name == "train"


def _reason(path: Path, marker: str, tests: str) -> str:
    missing = " and ".join(MISSING[marker])
    return f"{path.parent.name}/{path.name}: {tests} left out, {missing} not installed"


class LeftOut(pytest.Item):
    """All tests of a file that is not imported."""

    def runtest(self) -> None:
        pytest.skip(_reason(self.path, "training", "all tests"))


class LeftOutFile(pytest.Module):
    """A file that cannot be imported here."""

    def collect(self) -> Iterator[pytest.Item]:
        yield LeftOut.from_parent(self, name="left_out")


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    """Tests of training import its packages."""
    if MISSING["training"] and _trains(module_path):
        return LeftOutFile.from_parent(parent, path=module_path)
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    """What takes hours is run when it is asked for."""
    parser.addoption("--long", action="store_true", help="also run tests marked long or in_ci")
    parser.addoption("--prove", action="store_true", help="also run proofs, which need Yices")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """Mark tests by their folder, for -m; of what -m and -k leave, keep what can run."""
    for item in items:
        if _trains(item.path):
            item.add_marker("training")
        if item.path.parent.name == "proofs":
            item.add_marker("proof")
    yield
    for option, marks in ON_DEMAND.items():
        if not config.getoption(option):
            left = {item for item in items if marks & {mark.name for mark in item.iter_markers()}}
            config.hook.pytest_deselected(items=list(left))
            items[:] = [item for item in items if item not in left]
    for marker in MISSING:
        if MISSING[marker]:
            _leave_out(marker, config, items)


def _leave_out(marker: str, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the first marked test of each file for all of them."""
    dropped = set()
    marked = [
        item for item in items if item.get_closest_marker(marker) and not isinstance(item, LeftOut)
    ]
    for path, group in groupby(marked, lambda item: item.path):
        first, *others = group
        count = 1 + len(others)
        first.add_marker(
            pytest.mark.skip(reason=_reason(path, marker, f"{count} test{'s' * (count > 1)}"))
        )
        dropped |= set(others)
    if dropped:
        config.hook.pytest_deselected(items=list(dropped))
        items[:] = [item for item in items if item not in dropped]
