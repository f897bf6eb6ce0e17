"""Control-C: child processes end first, then the command removes its unfinished files."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes import CDLL
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any

INTERRUPTED = 130
"""Exit status of a command that control-C stopped."""

PATIENCE = 3
"""Number of control-C signals at which the process ends at once, without cleaning up."""

_SUBREAPER = 36
"""Option of Linux' prctl: orphaned descendants become children of this process."""


class Interrupts:
    """Whether control-C has been pressed since a command began."""

    def __init__(self) -> None:
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal handler.

        The first signal kills the child processes and raises KeyboardInterrupt. Signal number
        PATIENCE ends the process. Signals between these are ignored, so that cleaning up goes on.
        """
        self.count += 1
        if self.count == 1:
            # An interrupted command may warn, as Amaranth does of elaboratables that were not used.
            warnings.simplefilter("ignore")
            # Kill children first: a child that still writes could re-create files that are removed.
            end_children()
            raise KeyboardInterrupt
        if self.count >= PATIENCE:
            os._exit(INTERRUPTED)


@contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Context in which control-C ends all child processes and raises KeyboardInterrupt, once.

    Python ignores exceptions in some code (`__del__`, callbacks of weak references). If the
    KeyboardInterrupt is lost there, it is raised again a moment later. A library may replace it by
    another exception; therefore the yielded object is true if control-C was pressed.
    """
    interrupts = Interrupts()
    ignored = (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    )  # shells start background jobs in this way
    if ignored or threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = signal.signal(signal.SIGINT, interrupts.handle)
    alarm = signal.signal(signal.SIGALRM, _raise)
    hook = sys.unraisablehook
    sys.unraisablehook = _again(hook)
    try:
        with warnings.catch_warnings():
            yield interrupts
    finally:
        sys.unraisablehook = hook
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGINT, before)


class _Worker(SpawnProcess):
    """A process that does not receive control-C from the terminal."""

    def start(self) -> None:
        # Start the tracker first: its start unblocks SIGINT.
        resource_tracker.ensure_running()
        # The child inherits the mask. A signal that this process gets meanwhile stays pending.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Workers(SpawnContext):
    """A context of workers that ignore control-C; the command that started a worker ends it."""

    Process = _Worker


def end_children() -> None:
    """Kill all descendants of this process; without /proc, so outside Linux, do nothing."""
    if not Path("/proc/self/stat").exists():
        return
    # As a subreaper, this process becomes the parent of grandchildren whose parent is killed, so
    # the next search finds them.
    prctl = CDLL(None).prctl
    prctl(_SUBREAPER, 1, 0, 0, 0)
    # Spare the resource tracker: it ends with this process, which would restart it with a warning.
    spared = getattr(resource_tracker._resource_tracker, "_pid", None)
    own: set[int] | None = None
    while living := {
        child: parent for child, parent in _descendants(os.getpid()) if child != spared
    }:
        own = own or {child for child, parent in living.items() if parent == os.getpid()}
        for process in living:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
            with suppress(OSError):
                # Leave the exit status of own children (WNOWAIT) for the code that started them.
                # Reap adopted children, for which no other code waits.
                os.waitid(os.P_PID, process, os.WEXITED | (os.WNOWAIT if process in own else 0))
    prctl(_SUBREAPER, 0, 0, 0, 0)


def _descendants(ancestor: int) -> list[tuple[int, int]]:
    """Process ids of the living descendants, each with its parent's id; parents come first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            # The program's name, in brackets, may contain any character: parse after its end.
            state, parent = (
                (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            )
            if state not in "ZX":
                children.setdefault(int(parent), []).append(int(folder.name))
    found = [(ancestor, 0)]
    for process, _ in found:
        found += [(child, process) for child in children.get(process, [])]
    return found[1:]


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _again(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    def ignored(unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            hook(unraisable)

    return ignored
