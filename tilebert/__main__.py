"""Entry point of `tilebert` and `python -m tilebert`."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130
"""Exit status of a command that control-C stopped."""


def main() -> None:
    """Run one command and exit with its status; errors end as `scripts.cli.run` says."""
    # Importing the commands takes a second, in which there is nothing to clean up.
    _hear(quit_at_once)
    from scripts.cli import run

    status = run()
    _hear(quit_at_once)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # A full disk or a closed pipe: said already, and Python would say it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if status == INTERRUPTED:
        # What was begun has been cleaned up; what it leaves in memory may have something to say.
        os._exit(status)
    sys.exit(status)


def _hear(handler: Callable[[int, FrameType | None], object]) -> None:
    """Have control-C call `handler`, unless a shell had it ignored for a background job."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def quit_at_once(number: int, frame: FrameType | None) -> None:
    """A signal handler: one line on stderr, and the process ends without unwinding."""
    os.write(2, b"tilebert: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
