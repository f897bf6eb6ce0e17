"""Both decoders of a build of all modes give the values of the formats, whatever came before."""

import pytest
from amaranth import Module, Mux, Signal, Value, signed

from golden.spec.modes import MODE_NAMES
from hw.gateware.array import decoder, encoding
from hw.gateware.array.decoder import WDecoder, XDecoder
from tests.support.fault import planted
from tests.support.jobs import config
from tests.support.proof import Bench, RefutedError, prove

BUILD = config(*MODE_NAMES, rows=1, cols=1)
LINEAR_8, LINEAR_4, PAIRS, LOG, LOG_LOG, PIECEWISE = range(len(MODE_NAMES))
WIDTH = 20


def value(m: Module, expression: Value, name: str) -> Signal:
    """A number of its own width, so that no expression is cut by another's."""
    signal = Signal(signed(WIDTH), name=name)
    m.d.comb += signal.eq(expression)
    return signal


def readings(m: Module, code: Value) -> tuple[Signal, Signal, Signal, Signal]:
    """A byte as a linear code, as two 4-bit codes, and as a log2 code of 4 exponent bits."""
    linear = value(m, code.as_signed(), "linear")
    low = value(m, code[:4].as_signed(), "low")
    high = value(m, code[4:].as_signed(), "high")
    # 0 for e = 0, else 2^(e - 1), with the sign in the bit above.
    power = value(m, Mux(code[:4] == 0, 0, (1 << code[:4]) >> 1), "power")
    return linear, low, high, value(m, Mux(code[4], -power, power), "log")


def w_bench() -> Bench:
    bench = Bench()
    m = bench.m
    m.submodules.unit = unit = WDecoder(BUILD)
    code, mode, offset = bench.free(8, "code"), bench.free(3, "mode"), bench.free(6, "offset")
    m.d.comb += [unit.code.eq(code), unit.mode.eq(mode), unit.offset.eq(offset)]
    linear, low, high, log = readings(m, code)
    size = value(m, Mux(linear < 0, -linear, linear), "size")
    far = value(m, size - 64 + offset, "far")
    outer = (mode == PIECEWISE) & (size >= 64)
    pair = value(m, low + (high << 14), "pair")
    expected = Signal(signed(WIDTH))
    with m.Switch(mode):
        with m.Case(LINEAR_8):
            m.d.comb += expected.eq(linear)
        with m.Case(LINEAR_4, PAIRS):
            m.d.comb += expected.eq(pair)
        with m.Case(LOG, LOG_LOG):
            m.d.comb += expected.eq(log)
        with m.Default():
            m.d.comb += expected.eq(Mux(outer, Mux(linear < 0, -far, far), linear))
    packed = (mode == LINEAR_4) | (mode == PAIRS)
    illegal = Mux(packed, (low == -8) | (high == -8), linear == -128)
    legal = bench.past((mode <= PIECEWISE) & ~illegal, unit.latency)
    settled = (bench.since_start(unit.latency) == unit.latency) & legal
    bench.require(~settled | (unit.w == bench.past(expected, unit.latency)), "w")
    bench.require(~settled | (unit.region == bench.past(outer, unit.latency)), "region")
    return bench


def x_bench() -> Bench:
    bench = Bench()
    m = bench.m
    m.submodules.unit = unit = XDecoder(BUILD)
    code, mode, valid = bench.free(8, "code"), bench.free(3, "mode"), bench.free(1, "valid")
    m.d.comb += [unit.code.eq(code), unit.mode.eq(mode), unit.valid.eq(valid)]
    linear, low, high, log = readings(m, code)
    pair = value(m, low + (high << 7), "pair")
    expected = value(
        m,
        Mux(~valid, 0, Mux(mode == PAIRS, pair, Mux(mode == LOG_LOG, log, linear))),
        "expected",
    )
    legal = bench.past(mode <= PIECEWISE, unit.latency)
    settled = (bench.since_start(unit.latency) == unit.latency) & legal
    bench.require(~settled | (unit.x == bench.past(expected, unit.latency)), "x")
    return bench


BENCHES = {"w": w_bench, "x": x_bench}

FAULTS = {
    "a region that forgets -64": ("w", encoding, "~code[6] | ~code[:6].any()", "~code[6]"),
    "a negative zero": (
        "w",
        encoding,
        "Cat(*ones, negative & field.any())",
        "Cat(*ones, negative)",
    ),
    "an operand of the wrong region": (
        "w",
        decoder,
        '("outer", 1), far, piecewise & outer)',
        '("outer", 1), far, piecewise)',
    ),
    "an x that is not gated": (
        "x",
        decoder,
        "self.valid & (self.mode == index)",
        "self.mode == index",
    ),
}


@pytest.mark.parametrize("side", BENCHES)
def test_equals_the_formats(side: str) -> None:
    prove(BENCHES[side](), 4)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    side, module, right, wrong = FAULTS[fault]
    with planted(module, right, wrong), pytest.raises(RefutedError):
        prove(BENCHES[side](), 4)
