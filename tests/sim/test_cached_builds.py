"""Cached builds: any path of the cache, damaged libraries and Verilog, full disks."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from golden.schedule.backend import golden_backend
from golden.spec.modes import mode
from hw.config import Config
from sim import cache
from sim.backend import _write
from sim.build import DESIGN, Build, build, kept_design
from sim.compilation import LIBRARY, compile_key
from sim.errors import ToolError
from sim.native.compiled import Model
from sim.native.compiler import RUNTIME, VPI_RUNTIME, runtime_key
from sim.simulation import simulate
from tests.support.jobs import random_job

CONFIG = Config(modes=(mode("w8a8"),), rows=1, cols=1, k_max=16)


def test_a_library_that_cannot_be_loaded(tmp_path: Path) -> None:
    """As on a disk mounted noexec."""
    (tmp_path / LIBRARY).write_bytes(b"")
    design = kept_design(CONFIG, True, "")
    with pytest.raises(
        ToolError, match=f"cache: expected a library that can be loaded, got {tmp_path}.*noexec"
    ):
        Model(Build(CONFIG, design, "verilator", tmp_path, 0.0))


ODD = 'ü $HOME #: (it\'s) & "a\\b" %'
"""Characters that make, shells and linkers interpret."""


def move_cache(path: Path, simulator: str, patch: pytest.MonkeyPatch) -> None:
    """Switch to another cache that has the simulator's runtime, which takes a minute to compile."""
    build(CONFIG, simulator)
    names = VPI_RUNTIME if simulator == "cocotb" else RUNTIME
    key = compile_key("", simulator)
    usual = {name: cache.find("builds", runtime_key(name, key)) for name in names}
    patch.setenv("TILEBERT_CACHE", str(path))
    for name, folder in usual.items():
        assert folder is not None
        key = runtime_key(name, compile_key("", simulator))
        shutil.copytree(folder, path / "builds" / key)


def checked(simulator: str) -> Build:
    """A build whose results equal golden's."""
    job = random_job(np.random.default_rng(1), mode("w8a8"), (2, 3, 2), requantize=True)
    built = build(CONFIG, simulator)
    (group,) = simulate(built, [[job]]).groups
    assert np.array_equal(group.y[0], golden_backend([job])[0])
    return built


@pytest.mark.slow
@pytest.mark.parametrize("simulator", ["verilator", "cocotb"])
def test_a_cache_of_any_name(
    simulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move_cache(tmp_path / ODD, simulator, monkeypatch)
    assert checked(simulator).folder.is_relative_to(tmp_path / ODD)


@pytest.mark.slow
def test_a_damaged_build_and_damaged_verilog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Loading a truncated library would end in SIGBUS."""
    move_cache(tmp_path, "verilator", monkeypatch)
    folder = checked("verilator").folder
    (design,) = tmp_path.glob(f"designs/*/{DESIGN}")
    for path in (design, folder / LIBRARY):
        # Write a new file, because this process has mapped the old one.
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[: len(content) // 2])
    assert checked("verilator").folder == folder
    assert capfd.readouterr().err.splitlines() == [
        f"tilebert: {path}: damaged, is made again" for path in (design.parent, folder)
    ]


def test_a_dump_on_a_full_disk_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump/w.npy").symlink_to("/dev/full")
    job = random_job(np.random.default_rng(1), mode("w8a8"), (2, 3, 2), requantize=True)
    with pytest.raises(OSError, match="No space left on device") as caught:
        _write(tmp_path / "dump", job, golden_backend([job])[0])
    assert caught.value.filename == str(tmp_path / "dump/w.npy")
