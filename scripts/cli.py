"""Entry point of `tilebert`: the commands, and how errors end."""

import sys

import typer

from hw.nextpnr import PlaceAndRouteError
from hw.yosys import YosysError
from scripts.bench import bench
from scripts.bert import bert
from scripts.build import build
from scripts.compare import compare
from scripts.console import err
from scripts.eval import evaluate
from scripts.formats import formats
from scripts.gemm import gemm
from scripts.quantize import quantize
from scripts.report import report
from scripts.simulate import simulate
from scripts.sweep import sweep
from scripts.synth import synth
from scripts.table import table
from scripts.train import train
from scripts.verilog import verilog
from sim.toolchain import ToolError
from train.errors import TrainingError

app = typer.Typer(
    help="A systolic GEMM accelerator for a quantized BERT: simulate, evaluate, generate, price.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    simulate,
    gemm,
    bert,
    bench,
    quantize,
    train,
    table,
    formats,
    verilog,
    synth,
    build,
    sweep,
    compare,
    report,
):
    app.command()(command)
app.command("eval")(evaluate)


def run(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors become one line on stderr: 2 for input, 1 for tools."""
    try:
        status = app(arguments, standalone_mode=False, prog_name="tilebert")
    except (ValueError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        return _fail(str(error), 2)
    except (ToolError, TrainingError, YosysError, PlaceAndRouteError) as error:
        return _fail(str(error), 1)
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    except Exception as error:
        # What the option parser finds; its classes are private, their message is not.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return 0
        return _fail(error.format_message(), 2)
    # Typer takes some interrupts for itself and says nothing.
    return _fail("interrupted", _INTERRUPTED) if status == _INTERRUPTED else int(status or 0)


_INTERRUPTED = 130
"""Exit status of a command that control-C stopped."""


def main() -> None:
    """Console entry point."""
    sys.exit(run())


def _fail(message: str, status: int) -> int:
    line = " ".join(message.split())
    err.print(f"tilebert: {line}", markup=False, highlight=False, soft_wrap=True)
    return status
