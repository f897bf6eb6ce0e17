"""The commands of `tilebert`, and their exit statuses after errors."""

import errno
import os
import sys
import tempfile
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hw.tools.nextpnr import PlaceAndRouteError
from hw.tools.yosys import YosysError
from scripts.console import err, out, tolerate
from scripts.interrupts import INTERRUPTED, interruptible
from sim.cache import cache_folder
from sim.errors import ToolError
from train.errors import TrainingError

COMMANDS = {
    "simulate": "simulate",
    "gemm": "gemm",
    "bert": "bert",
    "bench": "bench",
    "quantize": "quantize",
    "train": "train",
    "table": "table",
    "formats": "formats",
    "verilog": "verilog",
    "synth": "synth",
    "build": "build",
    "sweep": "sweep",
    "compare": "compare",
    "report": "report",
    "cache": "cache",
    "eval": "evaluate",
}
"""Function of each command, by the command's name, which is also the name of its module."""


class Commands(TyperGroup):
    """The commands. A command's module is imported only when needed: some take a second."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        own = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        own.command(cmd_name)(
            getattr(import_module(f"scripts.commands.{cmd_name}"), COMMANDS[cmd_name])
        )
        return typer.main.get_command(own)


app = typer.Typer(
    cls=Commands,
    help="A systolic GEMM accelerator for a quantized BERT: simulate, evaluate, generate, price.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        out.say(f"tilebert {version('tilebert')}")
        raise typer.Exit


@app.callback()
def _common(
    wanted: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def run(arguments: list[str] | None = None) -> int:
    """Run one command; an error becomes one line on stderr.

    Returns the exit status: 2 for wrong input, 1 if a tool fails, 130 after control-C.
    """
    for stream in (sys.stdout, sys.stderr):
        tolerate(stream)
    out.release()
    _give_tools_a_place()
    with interruptible() as interrupts:
        try:
            status, message = _outcome(arguments)
        except (KeyboardInterrupt, typer.Abort):
            status, message = INTERRUPTED, ""
        except Exception:
            # An interrupted library may raise another exception instead of KeyboardInterrupt.
            if not interrupts:
                raise
        # Typer handles some interrupts itself and prints nothing.
        if interrupts or status == INTERRUPTED:
            status, message = INTERRUPTED, "interrupted"
        if message:
            # OSError means that stderr is closed: nobody could read the message.
            with suppress(OSError):
                err.say(f"tilebert: {' '.join(message.split())}")
    return status


def _what_came(error: Exception) -> str:
    """Text ", got ..." with the value that failed an option's type check.

    It is empty if the parser's message already contains the value.
    """
    found = getattr(error.__cause__, "errors", None)
    if found is None:
        return ""
    first = found()[0]
    value = repr(first["input"])
    return "" if value in first["msg"] else f", got {value}"


_WRONG = (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError)
"""Exceptions of a wrong path; a full disk raises another one."""


def _give_tools_a_place() -> None:
    """Without a home folder, let Yosys and nextpnr use the cache; otherwise they refuse to run."""
    try:
        Path.home()
    except RuntimeError:
        os.environ.setdefault("XDG_CACHE_HOME", str(cache_folder() / "tools"))


def _outcome(arguments: list[str] | None) -> tuple[int, str]:
    """The exit status of a command and, after an error, a message."""
    try:
        status = app(arguments, standalone_mode=False, prog_name="tilebert")
    except (ToolError, TrainingError, YosysError, PlaceAndRouteError) as error:
        return 1, str(error)
    except ValueError as error:
        return 2, str(error)
    except BrokenPipeError:
        # The reader of stdout, such as `head`, has closed it.
        return 1, ""
    except OSError as error:
        wrong = isinstance(error, _WRONG) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP)
        if error.errno is None:
            return 2 if wrong else 1, str(error)
        place = (
            f"temporary file in {tempfile.gettempdir()}"
            if error.filename is None
            else error.filename
        )
        return 2 if wrong else 1, f"{place}: {error.strerror or error}"
    except MemoryError as error:
        return 1, f"memory: {error or 'not enough'}"
    except BrokenExecutor as error:
        return 1, f"workers: {error}"
    except Exception as error:
        # The option parser's exception classes are private, but `format_message` is public.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return 0, ""
        return 2, f"{error.format_message()}{_what_came(error)}"
    return int(status or 0), ""
