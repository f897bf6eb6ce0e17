"""Worker processes that end when their parent process ends, even if the parent is killed."""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

from scripts.interrupts import Workers


def processes(workers: int, *, tasks_per_process: int | None = None) -> ProcessPoolExecutor:
    """A pool of `workers` processes, each of which uses one CPU core.

    A process is replaced after `tasks_per_process` tasks (None: never).
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return ProcessPoolExecutor(
        workers, Workers(), initializer=end_with_parent, max_tasks_per_child=tasks_per_process
    )


def end_with_parent() -> None:
    """Make this process end when its parent ends.

    This is necessary because a parent that is killed cannot stop its workers.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        # Exiting without cleanup is safe: files that must be whole are written under a temporary
        # name, and all others are made again.
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
