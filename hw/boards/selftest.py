"""A core that tests itself: block RAMs drive it, LEDs show the verdict."""

from dataclasses import dataclass

from amaranth import C, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import Out

from golden.spec.commands import COMMAND_WIDTH
from hw.config import Config
from hw.gateware.core.core import Core
from hw.gateware.output.drain import result_layout

RUNNING, PASSED, FAILED = 0, 1, 2
"""LEDs by number.

On failure 5 to 7 show the failing mode's number in the build, from 1 on, lowest bit first.
"""

MODE_LEDS = 5


@dataclass(frozen=True)
class Script:
    """What goes in and what has to come out: payloads of the core's streams as numbers.

    `modes` has the number of the mode that each of `results` is of; `cycles` is how long it may
    take.
    """

    commands: tuple[int, ...]
    loads: tuple[int, ...]
    results: tuple[int, ...]
    modes: tuple[int, ...]
    cycles: int


class SelfTest(wiring.Component):
    """Runs a script once after reset.

    Members: leds Out(8). RUNNING is on until all results have come or one is wrong, a command is
    refused or the time is over; then PASSED or FAILED, and with FAILED the mode. Lanes beyond a
    result's count are not compared.
    """

    def __init__(self, config: Config, script: Script):
        self.config = config
        self._script = script
        super().__init__({"leds": Out(8)})

    def elaborate(self, platform: object) -> Module:
        config, script = self.config, self._script
        m = Module()
        m.submodules.core = core = Core(config)
        layout = result_layout(config)
        running, passed, failed = Signal(init=1), Signal(), Signal()
        mode = Signal(3)

        # The first words of all memories are at their outputs after two cycles.
        awake = Signal(2)
        m.d.sync += awake.eq((awake << 1) | 1)
        ready = awake[1]

        for name, stream, width, words in (
            ("commands", core.commands, COMMAND_WIDTH, script.commands),
            ("loads", core.loads, 8 * config.bus, script.loads),
        ):
            done = stream.valid & stream.ready
            word, more = self._next(m, name, width, words, done)
            m.d.comb += [stream.valid.eq(ready & more), stream.payload.eq(word)]

        answered = Signal(range(len(script.commands) + 1))
        refused = core.status.valid & (core.status.payload != 0)
        m.d.comb += core.status.ready.eq(1)
        with m.If(core.status.valid):
            m.d.sync += answered.eq(answered + 1)

        taken = core.results.valid & core.results.ready
        expected, more = self._next(
            m, "results", layout.size + 3, self._expected(layout.size), taken
        )
        want = data.View(layout, expected[: layout.size])
        got = core.results.payload
        wrong_lane: Value = C(0)
        for lane in range(config.results):
            wrong_lane = wrong_lane | ((want.count >= lane) & (want.y[lane] != got.y[lane]))
        wrong = taken & (~more | wrong_lane | (want.count != got.count) | (want.last != got.last))
        m.d.comb += core.results.ready.eq(ready)

        time = Signal(range(script.cycles + 1))
        late = time == script.cycles
        with m.If(running):
            m.d.sync += time.eq(time + 1)
            with m.If(wrong | refused | late):
                m.d.sync += [failed.eq(1), running.eq(0), mode.eq(expected[layout.size :] + 1)]
            with m.Elif(ready & ~more & (answered == len(script.commands))):
                m.d.sync += [passed.eq(1), running.eq(0)]
        m.d.comb += [
            self.leds[RUNNING].eq(running),
            self.leds[PASSED].eq(passed),
            self.leds[FAILED].eq(failed),
            self.leds[MODE_LEDS:].eq(Mux(failed, mode, 0)),
        ]
        return m

    def _expected(self, width: int) -> list[int]:
        """Results with the mode above them."""
        script = self._script
        return [
            word | (mode << width) for word, mode in zip(script.results, script.modes, strict=True)
        ]

    @staticmethod
    def _next(
        m: Module, name: str, width: int, words: list[int] | tuple[int, ...], done: Value
    ) -> tuple[Value, Value]:
        """The next word of a list, which `done` takes, and whether there is one."""
        m.submodules[name] = store = memory.Memory(
            shape=width, depth=max(2, len(words)), init=words
        )
        read = store.read_port()
        index = Signal(range(len(words) + 1), name=f"{name}_index")
        following = Signal.like(index, name=f"{name}_following")
        m.d.comb += [following.eq(index + done), read.addr.eq(following)]
        m.d.sync += index.eq(following)
        return read.data, index != len(words)
