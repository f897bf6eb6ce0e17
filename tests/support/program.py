"""The program as a separate process, as a shell starts it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def command(*words: str | bytes) -> list[str | bytes]:
    """Command line that starts the program from any folder."""
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {_MAIN}", *words]


_MAIN = "from tilebert.__main__ import main; main()"


def environment(**changes: str | None) -> dict[str, str]:
    """This process' environment with changes; None removes a variable."""
    merged: dict[str, str | None] = {**os.environ, "OMP_NUM_THREADS": "1", **changes}
    return {name: value for name, value in merged.items() if value is not None}


def program(
    *words: str | bytes, env: dict[str, str] | None = None, **how: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run the program to its end; its output is bytes."""
    how = {"capture_output": True, "stdin": subprocess.DEVNULL, **how}
    return subprocess.run(command(*words), env=env or environment(), check=False, **how)
