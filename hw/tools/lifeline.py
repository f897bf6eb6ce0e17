"""Child processes that end with the process that started them, also when that is killed."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Option of Linux' prctl: sets the signal this process gets when its parent thread ends."""


def end_with_parent() -> None:
    """Have Linux kill this process when its parent ends.

    Elsewhere it ends when its own work is done.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def tied(code: str) -> list[str]:
    """The command that runs Python `code` in a child process.

    The child ends with the thread that starts it. The prologue before `code` imports nothing of
    this project, so it runs in any folder.
    """
    prologue = (
        "import ctypes, os, sys; "
        f"sys.platform != 'linux' or ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, "
        f"{int(signal.SIGKILL)}); "
        # No signal comes if the parent ended before the call of prctl.
        f"os.getppid() == {os.getpid()} or os._exit(1); "
    )
    return [sys.executable, "-c", prologue + code]
