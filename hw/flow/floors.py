"""Lower bounds of the fabric: single multiply-accumulate units, mapped as tightly as possible.

Measured with Yosys 0.70 and nextpnr 0.11 on LFE5U-85F, speed 6, median of three seeds. A unit can
clear its sum, but has no drain and no tags, and nothing surrounds it. Units without a multiplier
block instantiate carry cells. An array cannot reach these figures, because its PEs also pass
operands on and drain; the difference shows what that costs.
"""

from dataclasses import dataclass

from golden.spec.formats import Log2
from hw.config import Config


@dataclass(frozen=True)
class Floor:
    """A measured multiply-accumulate unit.

    `comb` and `ff` count cells for the products of one PE and a sum of `sum_width` bits.
    `mhz_alone` is the frequency of one unit, `mhz_as_64` of 64 in one netlist (None: not measured).
    """

    unit: str
    comb: int
    ff: int
    sum_width: int
    mhz_alone: int
    mhz_as_64: int | None


_FLOORS = {
    ("w8a8", 0, True): Floor("int8 on MULT18X18D", 32, 34, 32, 257, 151),
    ("w4a8", 0, True): Floor("two 8 x 4 on one MULT18X18D", 66, 66, 32, 251, 170),
    ("w8a8", 0, False): Floor("int8 in LUTs", 107, 116, 32, 290, 146),
    ("w4a8", 0, False): Floor("two int8 x int4 in LUTs", 126, 132, 32, 286, None),
    ("w4a4", 0, False): Floor("four int4 in LUTs", 172, 184, 24, 308, 179),
    ("wlog-a8", 3, False): Floor("log2 (3 exponent bits) x int8", 62, 49, 32, 259, None),
    ("wlog-a8", 4, False): Floor("log2 (4 exponent bits) x int8", 106, 57, 32, 246, 177),
    ("wlog-alog", 4, False): Floor("log2 x log2 (4 exponent bits)", 93, 80, 40, 268, 148),
}


def floor_of(config: Config) -> Floor | None:
    """The floor to compare a build of one mode with, if one was measured."""
    if len(config.modes) != 1:
        return None
    (mode,) = config.modes
    log2 = isinstance(mode.w_format, Log2)
    bits = mode.w_format.exponent_bits if isinstance(mode.w_format, Log2) else 0
    return _FLOORS.get((mode.name, bits, config.dsp and not log2))
