"""Processes that work for this one, and end with it, also when it is killed."""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor

from scripts.interrupts import Workers


def processes(workers: int, *, tasks_per_process: int | None = None) -> ProcessPoolExecutor:
    """A pool of `workers` processes, one core each.

    Every process ends after `tasks_per_process` tasks (None: never).
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return ProcessPoolExecutor(
        workers, Workers(), initializer=end_with_parent, max_tasks_per_child=tasks_per_process
    )


def end_with_parent() -> None:
    """Have this process end when its parent has.

    Whoever is killed leaves nobody who would tell it to stop.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        # At once: what has to be whole is written beside its place, and what is not is made again.
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
