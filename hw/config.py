"""The parameters of a build: its size, its modes, and the widths that follow from them."""

from dataclasses import dataclass

from amaranth.lib import data
from amaranth.utils import bits_for

from golden.spec.commands import PARAMETER_BYTES, Ring
from golden.spec.formats import Piecewise
from golden.spec.modes import K_MAX, Mode
from hw import operands
from hw.operands import CODE_WIDTH, Product
from hw.sums import Lanes, lanes_of, parts_of

BIAS_WIDTH, MULT_WIDTH, SHIFT_WIDTH = 32, 15, 6
RATIO_WIDTH = OFFSET_WIDTH = 6

LINES = 1 << 16
"""Most lines of a buffer: commands address lines with 16 bits."""

WIDEST = 256
"""Most bytes of the load stream, and most results, in a cycle.

Amaranth has no signals of more than 65,536 bits.
"""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Parameters of a build, and the widths in bits that follow from them.

    Parameters:
        modes: number formats that the build switches between at run time, each once.
        rows, cols: PEs of the array, 1 to 16384 each.
        k_max: most products in a sum, 1 to 65535.
        dsp: whether PEs use multiplier blocks; builds of log2 modes alone use none anyway.
        bus: bytes a cycle on the load stream, a power of two up to 256.
        x_words, w_words: words of `rows` and of `cols` bytes in the operand buffers, one for each k
            of a panel. By default two panels of `k_max`, rounded up to a power of two, or as many
            words as LINES lines hold. Other depths add a multiplexer between block RAMs, which
            costs a quarter of the clock.
        panels: panels of columns whose parameters their buffer holds.
        results: results that leave in a cycle, a power of two up to 256.

    Raises ValueError on an empty or repeated mode, on sizes out of range, on buffers that cannot
    hold a panel of `k_max`, on piece-wise codes of other than 8 bits, and on modes that no PE
    serves together.
    """

    modes: tuple[Mode, ...]
    rows: int = 8
    cols: int = 8
    k_max: int = K_MAX
    dsp: bool = True
    bus: int = 8
    x_words: int | None = None
    w_words: int | None = None
    panels: int = 16
    results: int = 4

    def __post_init__(self) -> None:
        for name in ("rows", "cols", "k_max", "panels"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: expected an integer >= 1, got {value!r}")
        for name in ("bus", "results"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= WIDEST or value & (value - 1):
                raise ValueError(f"{name}: expected a power of two up to {WIDEST}, got {value!r}")
        for name, most in (("rows", 1 << 14), ("cols", 1 << 14), ("k_max", (1 << 16) - 1)):
            if getattr(self, name) > most:
                raise ValueError(f"{name}: expected at most {most}, got {getattr(self, name)}")
        for name, ring in (("x_words", self.x_ring), ("w_words", self.w_ring)):
            most = LINES * ring.factor
            if not self.k_max <= ring.words <= most:
                raise ValueError(
                    f"{name}: expected {self.k_max} (k_max) to {most} words, got {ring.words}"
                )
        if self.p_ring.lines > LINES:
            raise ValueError(
                f"panels: expected parameters in at most {LINES} lines, got {self.p_ring.lines}"
            )
        if not self.modes:
            raise ValueError("mode: expected at least one mode, got none")
        if len({mode.name for mode in self.modes}) != len(self.modes):
            raise ValueError(
                f"mode: expected each mode once, got {', '.join(m.name for m in self.modes)}"
            )
        for mode in self.modes:
            for fmt in (mode.x_format, mode.w_format):
                # The decoder splits the two regions at a fixed bit.
                if isinstance(fmt, Piecewise) and fmt.bits != 8:
                    raise ValueError(
                        f"mode: expected piece-wise codes of 8 bits in {mode.name}, got {fmt}"
                    )
        operands.product_of(self.modes, self.dsp)

    def index(self, mode: Mode) -> int:
        """The run-time tag of the build's mode that computes the products of `mode`.

        The two have the same name, the same number of codes in a byte, and codes that the edge
        decoders of the build read: see `operands.reads`. Raises ValueError if the build has no such
        mode.
        """
        for index, built in enumerate(self.modes):
            if built.name != mode.name:
                continue
            if (
                (built.x_lanes, built.w_lanes) == (mode.x_lanes, mode.w_lanes)
                and operands.reads(built.x_format, mode.x_format)
                and operands.reads(built.w_format, mode.w_format)
            ):
                return index
            raise ValueError(f"mode: expected {_described(built)}, got {_described(mode)}")
        raise ValueError(
            f"mode: expected one of {', '.join(m.name for m in self.modes)}, got {mode.name!r}"
        )

    # Operands behind the edge decoders.

    @property
    def product(self) -> Product:
        """How a PE of this build forms its products."""
        return operands.product_of(self.modes, self.dsp)

    @property
    def x_width(self) -> int:
        """Bits of an x operand (18 at most)."""
        return operands.x_width(self.modes, self.product)

    @property
    def w_width(self) -> int:
        """Bits of a w operand (18 at most)."""
        return operands.w_width(self.modes, self.product)

    @property
    def x_lanes(self) -> int:
        """Most x codes that a row takes per cycle."""
        return max(mode.x_lanes for mode in self.modes)

    @property
    def w_lanes(self) -> int:
        """Most w codes that a column takes per cycle."""
        return max(mode.w_lanes for mode in self.modes)

    @property
    def mode_width(self) -> int:
        """Bits of the run-time mode tag, at least 1."""
        return max(1, bits_for(len(self.modes) - 1))

    # How a product splits into sums.

    @property
    def has_quad(self) -> bool:
        """Whether a mode forms four products per PE and cycle."""
        return any(mode.products == 4 for mode in self.modes)

    @property
    def has_pair(self) -> bool:
        """Whether a mode forms two products per PE and cycle."""
        return any(mode.products == 2 for mode in self.modes)

    @property
    def has_full(self) -> bool:
        """Whether a mode forms one product per PE and cycle."""
        return any(mode.products == 1 for mode in self.modes)

    @property
    def has_regions(self) -> bool:
        """Whether a mode keeps two accumulators per output (piece-wise codes)."""
        return any(len(mode.partial_bounds) == 2 for mode in self.modes)

    @property
    def lanes(self) -> Lanes:
        """Bits of the accumulator lanes of a PE (hw.sums.lanes_of)."""
        return lanes_of(self.modes, self.k_max)

    @property
    def joined(self) -> bool:
        """Whether split halves are also used whole, so that a carry passes between their lanes."""
        return self.has_quad and (self.has_pair or self.has_full)

    @property
    def sum_width(self) -> int:
        """Bits of all accumulators of one PE, as they drain."""
        return sum(width for half in self.lanes for width in half)

    @property
    def parts(self) -> tuple[tuple[int, bool], ...]:
        """The parts in which the sums of a PE drain (hw.sums.parts_of)."""
        return parts_of(self.modes, self.product, self.lanes, self.joined)

    @property
    def staggered(self) -> bool:
        """Whether some parts of a sum drain a cycle later than others."""
        return any(late for _, late in self.parts)

    # What leaves the core.

    @property
    def outputs(self) -> int:
        """Most results that one PE holds."""
        return max(mode.products for mode in self.modes)

    @property
    def output_width(self) -> int:
        """Bits of the widest sum as delivered, before the bias."""
        return max(mode.output_width(self.k_max) for mode in self.modes)

    @property
    def result_width(self) -> int:
        """Bits of a raw result: the sum, or the bias, plus one for their sum."""
        return max(self.output_width, BIAS_WIDTH) + 1

    # Around the array.

    @property
    def x_ring(self) -> Ring:
        """The buffer of x panels: a word holds the codes of one k."""
        return self._operand_ring(self.rows, self.x_words)

    @property
    def w_ring(self) -> Ring:
        """The buffer of w panels."""
        return self._operand_ring(self.cols, self.w_words)

    def _operand_ring(self, word: int, words: int | None) -> Ring:
        """A buffer of words of `word` bytes; by default with room for two panels of `k_max`."""
        if words is None:
            most = LINES * Ring(word, 1, self.bus).factor
            words = min(1 << (2 * self.k_max - 1).bit_length(), most)
        return Ring(word, words, self.bus)

    @property
    def p_ring(self) -> Ring:
        """The buffer of parameters: a word holds those of as many columns as leave in a cycle."""
        words = -(-self.cols * self.w_lanes // self.results)
        ring = Ring(PARAMETER_BYTES * self.results, words, self.bus)
        return Ring(ring.word, self.panels * ring.lines_for(words) * ring.factor, self.bus)

    @property
    def rings(self) -> tuple[Ring, Ring, Ring]:
        """By RingName."""
        return self.x_ring, self.w_ring, self.p_ring

    @property
    def line_width(self) -> int:
        """Bits of a number of lines."""
        return max(bits_for(ring.lines) for ring in self.rings)

    load_queue = 16
    """Loads that the core holds, the current one among them."""

    compute_queue = 8
    """Tiles that wait for the array."""

    # Timing, in cycles.

    @property
    def interval(self) -> int:
        """Least cycles between the last operands of two tiles: one drain occupies the chain."""
        return 2 * self.rows - 1

    @property
    def step_layout(self) -> data.StructLayout:
        """One k of a tile: `rows` x codes, `cols` w codes, mode, offset, flag of the last k."""
        return data.StructLayout(
            {
                "x": data.ArrayLayout(CODE_WIDTH, self.rows),
                "w": data.ArrayLayout(CODE_WIDTH, self.cols),
                "mode": self.mode_width,
                "offset": OFFSET_WIDTH,
                "last": 1,
            }
        )


def _described(mode: Mode) -> str:
    """A mode and what the hardware fixes of it at build time."""
    codes = f"{mode.x_format} x {mode.w_format} codes"
    return f"{mode.name} ({codes}, {mode.x_lanes} x {mode.w_lanes} to a PE)"
