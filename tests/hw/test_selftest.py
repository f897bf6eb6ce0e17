"""The self-test at its pins passes, and names the mode of a fault in script or hardware."""

from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from golden.spec.modes import MODE_NAMES, mode
from hw.boards.platforms import BoardTop, platform_of
from hw.boards.selftest import FAILED, MODE_LEDS, PASSED, RUNNING, Script, SelfTest
from hw.config import Config
from hw.gateware.output.requantizer import Requantizer
from sim.selftest import script

CONFIG = Config(modes=tuple(mode(name) for name in MODE_NAMES), rows=2, cols=2, k_max=32)


def verdict(config: Config, lines: Script, patience: int = 20_000) -> tuple[int, int]:
    """LEDs when RUNNING goes out, and the cycles until then."""
    bench = SelfTest(config, lines)
    simulator = Simulator(bench)
    simulator.add_clock(1e-6)
    seen = []

    async def watch(context) -> None:
        for cycle in range(patience):
            await context.tick()
            leds = context.get(bench.leds)
            if not leds >> RUNNING & 1:
                seen.append((leds, cycle))
                return
            assert leds == 1 << RUNNING

    simulator.add_testbench(watch)
    simulator.run()
    assert seen, "still running"
    return seen[0]


@pytest.fixture(scope="module")
def lines() -> Script:
    return script(CONFIG)


@pytest.mark.slow
def test_passes(lines: Script) -> None:
    leds, cycles = verdict(CONFIG, lines)
    assert leds == 1 << PASSED
    assert cycles < lines.cycles


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 3, 5])
def test_a_wrong_result_is_of_its_mode(index: int, lines: Script) -> None:
    place = lines.modes.index(index)
    results = list(lines.results)
    results[place] ^= 1
    leds, _ = verdict(CONFIG, replace(lines, results=tuple(results)))
    assert leds == 1 << FAILED | (index + 1) << MODE_LEDS


@pytest.mark.slow
def test_a_fault_in_the_hardware_is_seen(lines: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Requantizer, "_rounded", lambda self, doubled: doubled >> 1)
    leds, _ = verdict(CONFIG, lines)
    assert leds & 0b111 == 1 << FAILED


@pytest.mark.slow
def test_a_refused_command_and_a_hang_fail(lines: Script) -> None:
    commands = (lines.commands[0] & ~0xFF | 0x7F, *lines.commands[1:])
    leds, _ = verdict(CONFIG, replace(lines, commands=commands))
    assert leds & 0b111 == 1 << FAILED
    leds, cycles = verdict(CONFIG, replace(lines, loads=lines.loads[:-1], cycles=lines.cycles))
    assert leds & 0b111 == 1 << FAILED
    assert cycles >= lines.cycles


def test_scripts_hold_every_mode_and_clamp(lines: Script) -> None:
    assert set(lines.modes) == set(range(6))
    assert len(lines.results) == len(lines.modes)
    assert script(CONFIG) == lines
    assert script(CONFIG, seed=1) != lines


@pytest.mark.slow
def test_a_board_has_its_pins(lines: Script) -> None:
    platform = platform_of("ulx3s-85f")
    plan = platform.prepare(BoardTop(SelfTest(CONFIG, lines)), "selftest")
    pins = plan.files["selftest.lpf"]
    text = pins if isinstance(pins, str) else pins.decode()
    # The first and the last LED and the clock, as the board's schematic has them.
    for site in ("B2", "H3", "G2"):
        assert f'SITE "{site}"' in text
    assert "25000000.0 HZ" in text
    with pytest.raises(
        ValueError, match=r"^board: expected one of ulx3s-85f, ulx3s-45f, ulx3s-25f, got 'de10'$"
    ):
        platform_of("de10")
