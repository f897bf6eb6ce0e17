"""The packages: what each may import, and how long its files and functions are."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "golden": {"golden"},
    "golden.spec": {"golden.spec"},
    "golden.numeric": {"golden.spec", "golden.numeric"},
    "golden.schedule": {"golden.spec", "golden.numeric", "golden.schedule"},
    "golden.tasks": {"golden.tasks"},
    "train": {"golden", "train"},
    "hw": {"golden.spec", "hw"},
    "hw.gateware": {"golden.spec", "hw.buildspec", "hw.config", "hw.gateware"}
    | {"hw.operands", "hw.sums", "hw.target"},
    "hw.tools": {"hw.tools"},
    "sim": {"golden", "hw", "sim"},
    "scripts": {"golden", "hw", "scripts", "sim", "train"},
    "tilebert": {"golden", "hw", "scripts", "sim", "tilebert"},
}
"""Prefixes of the modules of this project that a package may import, by the package's prefix.

The longest prefix counts. Of golden, hw takes only the records: widths, codes and commands, no
arithmetic.
"""

ORDER = {
    "golden": ("spec", "numeric", "schedule", "bert"),
    "hw": ("gateware", "verilog", "flow", "boards"),
    "scripts": ("eval", "report", "commands", "cli"),
}
"""Packages of which none imports a later one.

Modules beside them import none of them, but for those in ABOVE.
"""

ABOVE = {"scripts.cli", "golden.arrays", "golden.checks", "golden.files"}
"""Modules beside the packages that may import some of them, without a cycle."""

NOT_IN_GATEWARE = {"ctypes", "multiprocessing", "os", "scipy", "subprocess", "tempfile"}

FUNCTION_LINES = 60
FILE_LINES = 300
MEDIAN_LINES = 150


def name_of(file: Path) -> str:
    """The dotted name of a module."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(*packages: str) -> dict[str, Path]:
    """The files of packages, by the names of their modules."""
    found = {name_of(file): file for name in packages for file in (ROOT / name).glob("**/*.py")}
    assert found
    return found


@cache
def imported(file: Path) -> frozenset[str]:
    """Modules that a file imports, also inside functions; `a.b` of `from a import b` as a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                path = ROOT.joinpath(*inner.split("."))
                is_module = path.with_suffix(".py").exists() or path.is_dir()
                names.add(inner if is_module else node.module)
    return frozenset(names)


def below(name: str, prefixes: Iterable[str]) -> bool:
    """Whether a module is one of the prefixes, or in one of them."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def wrong_imports(name: str, file: Path) -> set[str]:
    """Modules of this project that a module imports and may not."""
    ours = {each for each in imported(file) if each.partition(".")[0] in MAY_IMPORT}
    prefix = max((each for each in MAY_IMPORT if below(name, [each])), key=len)
    return {each for each in ours if not below(each, MAY_IMPORT[prefix])}


@pytest.mark.parametrize("package", [name for name in MAY_IMPORT if "." not in name])
def test_packages_import_what_they_may(package: str) -> None:
    found = {name: wrong_imports(name, file) for name, file in modules(package).items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("package", ORDER)
def test_no_package_imports_a_later_one(package: str) -> None:
    later = [f"{package}.{name}" for name in ORDER[package]]
    wrong = []
    for name, file in modules(package).items():
        own = next((index for index, each in enumerate(later) if below(name, [each])), -1)
        wrong += [(name, each) for each in sorted(imported(file)) if below(each, later[own + 1 :])]
    assert [(name, each) for name, each in wrong if name not in ABOVE] == []


def test_commands_import_no_command() -> None:
    for name, file in modules("scripts/commands").items():
        assert not {each for each in imported(file) if below(each, ["scripts.commands"])}, name


def test_gateware_runs_no_tools() -> None:
    for name, file in modules("hw/gateware").items():
        assert not {each.partition(".")[0] for each in imported(file)} & NOT_IN_GATEWARE, name


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Nodes that reach themselves, each once, empty for none."""

    def reached(start: str) -> Iterator[str]:
        seen, waiting = set(), list(graph[start])
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                yield node
                waiting += graph.get(node, ())

    return sorted(node for node in graph if node in reached(node))


@pytest.mark.parametrize("package", ["golden", "hw", "scripts", "sim", "train"])
def test_modules_import_in_one_direction(package: str) -> None:
    files = modules(package)
    graph = {
        name: {each for each in imported(file) if each in files} for name, file in files.items()
    }
    assert cycle(graph) == []


@pytest.mark.parametrize("package", ["golden", "hw", "scripts"])
def test_packages_import_in_one_direction(package: str) -> None:
    """Each folder counts as a whole; modules beside the folders count by themselves."""
    graph: dict[str, set[str]] = {}
    for name, file in modules(package).items():
        own = folder(name)
        others = {folder(each) for each in imported(file) if below(each, [package])}
        graph.setdefault(own, set()).update(others - {own})
    assert cycle(graph) == []


def folder(name: str) -> str:
    """A module's package of two parts, or a module that is in none."""
    return ".".join(name.split(".")[:2])


def functions(file: Path) -> Iterator[tuple[str, int]]:
    """Names and lines of a file's functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def test_functions_of_the_hardware_are_short() -> None:
    long = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in modules("hw").values()
        for name, lines in functions(file)
        if lines > FUNCTION_LINES
    }
    assert long == set()


def test_files_of_the_hardware_are_short() -> None:
    lines = {
        f"{file.relative_to(ROOT)}": file.read_text().count("\n")
        for file in modules("hw").values()
        if file.name != "__init__.py"
    }
    assert {name for name, count in lines.items() if count > FILE_LINES} == set()
    assert median(lines.values()) <= MEDIAN_LINES
