"""Keys of cached results: they depend on all files that matter, and on no others."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import models
from scripts.eval import kept
from sim import build, compilation, sources
from tests.support.program import ROOT

PACKAGES = ("golden", "hw", "scripts", "sim", "train")

SIGN_OFF = ("hw.flow.registry", "hw.flow.signoff", "hw.verilog.design")
"""As in the Makefile."""

KEYS = {
    "design": (
        build.DESIGN_SOURCES,
        ["hw/gateware/array/pe.py", "golden/spec/modes.py", "hw/verilog/text.py"],
        ["golden/tasks/glue.py", "sim/build.py"],
    ),
    "sign-off": (
        SIGN_OFF,
        ["hw/tools/nextpnr.py", "hw/gateware/lib/queue.py", "golden/spec/commands.py"],
        ["golden/tasks/glue.py", "golden/numeric/gemm.py"],
    ),
    "model": (
        models.SOURCES,
        ["golden/numeric/quantize.py", "golden/bert/data/calibration.txt"],
        ["hw/gateware/array/pe.py", "golden/schedule/timing.py"],
    ),
    "batch": (
        kept.SOURCES,
        [
            "golden/numeric/gemm.py",
            "golden/schedule/timing.py",
            "hw/gateware/array/pe.py",
            "sim/native/compiled.cpp",
            "sim/native/compiled.py",
        ],
        ["golden/bert/statistics.py", "scripts/commands/eval.py", "hw/boards/platforms.py"],
    ),
}
"""For each key: its modules, files that must change it, files that must not."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages."""
    folder = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def touched(tree: Path, name: str, modules: tuple[str, ...]) -> str:
    """Digest after appending a comment to a file."""
    path = tree / name
    before = path.read_bytes()
    path.write_bytes(before + b"\n# A remark.\n")
    try:
        return sources.digest(*modules, root=tree)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("key", KEYS)
def test_a_digest_changes_with_what_matters(key: str, tree: Path) -> None:
    modules, matters, other = KEYS[key]
    before = sources.digest(*modules, root=tree)
    assert before == sources.digest(*modules)
    for name in matters:
        assert touched(tree, name, modules) != before, name
    for name in other:
        assert touched(tree, name, modules) == before, name


def test_a_build_depends_on_what_drives_it(tree: Path) -> None:
    names = {f"{path.relative_to(ROOT)}" for path in compilation.BUILDER}
    assert {
        "sim/build.py",
        "sim/compilation.py",
        "sim/native/compiled.py",
        "sim/native/compiler.py",
        "sim/native/compiled.cpp",
        "sim/native/extend.h",
    } == names


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_found_through_imports_of_every_kind(tmp_path: Path) -> None:
    expected = {
        write(tmp_path, "a/__init__.py", ""),
        write(tmp_path, "a/one.py", "import b.c.two\nfrom a import three\nimport numpy"),
        write(tmp_path, "a/three.py", "def f():\n    from b.four import name"),
        write(tmp_path, "a/data/text.txt", "x"),
        write(tmp_path, "b/__init__.py", "import b.five"),
        write(tmp_path, "b/five.py", ""),
        write(tmp_path, "b/c/__init__.py", ""),
        write(tmp_path, "b/c/two.py", "import a.one"),
        write(tmp_path, "b/four.py", ""),
        write(tmp_path, "b/four.cpp", ""),
    }
    for name in ("a/six.py", "b/d/__init__.py", "b/d/seven.h", "b/notes.md", "a/one.pyc"):
        write(tmp_path, name, "")
    assert set(sources.files(["a.one"], tmp_path)) == expected


def test_a_file_that_moves_changes_the_digest(tmp_path: Path) -> None:
    write(tmp_path, "a/__init__.py", "")
    write(tmp_path, "a/one.py", "from a import two")
    path = write(tmp_path, "a/two.py", "x = 1")
    before = sources.digest("a.one", root=tmp_path)
    path.rename(tmp_path / "a/three.py")
    write(tmp_path, "a/one.py", "from a import three")
    assert sources.digest("a.one", root=tmp_path) != before


@pytest.mark.parametrize("name", ["hw.nothing", "nothing", "hw.config.Config", ""])
def test_a_module_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^module: expected one in .*, got '{name}'$"):
        sources.digest(name)


def test_the_sign_off_asks_for_its_digest() -> None:
    """The Makefile's command fails if a module is renamed."""
    assert f"sim.sources {' '.join(SIGN_OFF)} " in (ROOT / "Makefile").read_text()
    command = [sys.executable, "-m", "sim.sources", *SIGN_OFF]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed == f"{sources.digest(*SIGN_OFF)}\n"
