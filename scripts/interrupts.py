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
"""The signal that ends the process at once, without cleaning up."""

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

        Raises KeyboardInterrupt once; later signals do not disturb the cleaning up.
        """
        self.count += 1
        if self.count == 1:
            # For example Amaranth's warnings of elaboratables that were created and not used.
            warnings.simplefilter("ignore")
            # Children first: a child that still writes would create removed files again.
            end_children()
            raise KeyboardInterrupt
        if self.count >= PATIENCE:
            os._exit(INTERRUPTED)


@contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Within it, control-C ends all child processes and raises KeyboardInterrupt, once.

    Code in which Python ignores exceptions (`__del__`, callbacks of weak references) may swallow
    it; then it is raised again a moment later. Libraries may turn it into another exception, so the
    object that is yielded tells whether control-C was pressed.
    """
    interrupts = Interrupts()
    ignored = (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    )  # as shells have it in the background
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
    """A process that a terminal's control-C does not reach."""

    def start(self) -> None:
        # Unblocks the signal when it starts.
        resource_tracker.ensure_running()
        # The mask is inherited, from the first instruction on; a signal that comes meanwhile waits.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Workers(SpawnContext):
    """A context of workers that ignore control-C: the command that made a worker ends it."""

    Process = _Worker


def end_children() -> None:
    """Kill every process that descends from this one, where /proc tells which do (Linux)."""
    if not Path("/proc/self/stat").exists():
        return
    # Grandchildren whose parent has been killed become children of this process, and are found
    # again.
    prctl = CDLL(None).prctl
    prctl(_SUBREAPER, 1, 0, 0, 0)
    # Ends by itself with this process, which would start it anew, and say so, if it were gone.
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
                # Whoever started a child asks how it ended; nobody does for those that were
                # adopted.
                os.waitid(os.P_PID, process, os.WEXITED | (os.WNOWAIT if process in own else 0))
    prctl(_SUBREAPER, 0, 0, 0, 0)


def _descendants(ancestor: int) -> list[tuple[int, int]]:
    """Process numbers of the living descendants, each with its parent; parents come first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            # The name of the program, in brackets, may contain any characters.
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
