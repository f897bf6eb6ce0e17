"""Entry point of `tilebert` and `python -m tilebert`."""

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 130
"""Exit status of a command that control-C stopped."""


def main() -> None:
    """Run one command and exit with its status; errors end as `scripts.cli.run` says."""
    # Importing the commands takes a second, in which there is nothing to clean up.
    signal.signal(signal.SIGINT, quit_at_once)
    from scripts.cli import run

    status = run()
    signal.signal(signal.SIGINT, quit_at_once)
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


def quit_at_once(number: int, frame: FrameType | None) -> None:
    """A signal handler: one line on stderr, and the process ends without unwinding."""
    os.write(2, b"tilebert: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
