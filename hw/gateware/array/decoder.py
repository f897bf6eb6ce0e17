"""Edge decoders: the code byte of a row or column becomes the operand that its PEs multiply."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from amaranth import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec.formats import Format, Linear, Piecewise
from hw.config import OFFSET_WIDTH, Config
from hw.gateware.array import encoding
from hw.gateware.lib.bits import extended
from hw.gateware.lib.delay import register
from hw.operands import (
    CODE_WIDTH,
    W_PITCH,
    X_PITCH,
    Product,
    has_coarse_x,
    has_power_x,
)

__all__ = ["WDecoder", "XDecoder", "decoder_latency", "mode_tags"]


def decoder_latency(config: Config) -> int:
    """Return the cycles from a code to its operand, of both decoders.

    0 where the code is the operand: one mode of linear weights, with a multiplier in each PE. Else
    1: the operands of all formats are registered, then selected.
    """
    plain = len(config.modes) == 1 and isinstance(config.modes[0].w_format, Linear)
    return 0 if plain and config.product is Product.MULTIPLIER else 1


def mode_tags(config: Config, mode: Value) -> dict[str, Value]:
    """Return the tag's fields `pair` and `quad` of a run-time mode: two or four products per PE."""

    def any_of(products: int) -> Value:
        tags = [
            index for index, candidate in enumerate(config.modes) if candidate.products == products
        ]
        return Cat(*(mode == tag for tag in tags)).any() if tags else C(0)

    return {"pair": any_of(2), "quad": any_of(4)}


class XDecoder(wiring.Component):
    """Decoder of the x codes of one row.

    Formula: x is the value of the code, or, for two 4-bit codes and a multiplier, x0 + 2^7 * x1.
    Shifters and gated rows take other encodings, see `hw.operands`.

    Parameters:
        config: Build, which gives the modes and the encoding of the operands.

    Members:
        code: In(8). One code, or two 4-bit codes, low nibble first.
        valid: In(1). The code counts; otherwise the operand has the value 0.
        mode: In(`mode_width`). Index of the mode in `config.modes`.
        x: Out(signed `x_width`). Operand.

    Latency: `decoder_latency`. Throughput: one byte per cycle, without flow control.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "code": In(CODE_WIDTH),
                "valid": In(1),
                "mode": In(config.mode_width),
                "x": Out(signed(config.x_width)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a code to its operand."""
        return decoder_latency(self._config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kinds = {(mode.x_format, mode.x_lanes) for mode in self._config.modes}
        # With several formats, gate the select instead of zeroing the eight bits of the code.
        code = self.code if len(kinds) > 1 else Mux(self.valid, self.code, 0)
        choices = [
            _Choice(
                self.valid & (self.mode == index),
                (mode.x_format, mode.x_lanes),
                self._operand(code, mode.x_format, mode.x_lanes),
            )
            for index, mode in enumerate(self._config.modes)
        ]
        m.d.comb += self.x.eq(_selected(m, self._config, choices, self._config.x_width))
        return m

    def _operand(self, code: Value, fmt: Format, codes: int) -> Value:
        """Return the operand of a byte that holds `codes` codes of a format."""
        config = self._config
        match config.product:
            case Product.SHIFTER if has_power_x(config.modes):
                return encoding.power(code, fmt, config.x_width)
            case Product.SHIFTER if has_coarse_x(config.modes):
                return encoding.coarse(code, fmt)
            case Product.ROWS if codes == 2:
                return _magnitudes(code)
            case Product.ROWS:
                return encoding.magnitude(encoding.decoded(code, fmt), CODE_WIDTH)
        return encoding.packed(code, X_PITCH) if codes == 2 else encoding.decoded(code, fmt)


class WDecoder(wiring.Component):
    """Decoder of the w codes of one column.

    Formula: w is the value of the code, or, for two 4-bit codes and a multiplier, w0 + 2^14 * w1. A
    piece-wise code q of region 2 gives sign(q) * (|q| - 64 + offset), without the ratio, which is
    applied to the sum. Shifters and gated rows take other encodings, see `hw.operands`.

    Parameters:
        config: Build, which gives the modes and the encoding of the operands.

    Members:
        code: In(8). One code, or two 4-bit codes, low nibble first.
        mode: In(`mode_width`). Index of the mode in `config.modes`.
        offset: In(6). Offset t of piece-wise codes.
        w: Out(signed `w_width`). Operand.
        region: Out(1). 1 for a piece-wise code of region 2, otherwise 0.

    Latency: `decoder_latency`. Throughput: one byte per cycle, without flow control.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "code": In(CODE_WIDTH),
                "mode": In(config.mode_width),
                "offset": In(OFFSET_WIDTH),
                "w": Out(signed(config.w_width)),
                "region": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a code to its operand."""
        return decoder_latency(self._config)

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        choices: list[_Choice] = []
        piecewise, outer = Signal(reset_less=True), Signal(reset_less=True)
        for index, mode in enumerate(config.modes):
            chosen = self.mode == index
            if isinstance(mode.w_format, Piecewise):
                m.d.sync += [piecewise.eq(chosen), outer.eq(encoding.is_outer(self.code))]
                far = self._sized(encoding.outer(self.code, self.offset))
                # Codes of region 1 share the operand of linear codes.
                near = self._operand(Linear(), mode.w_lanes)
                choices.append(_Choice(C(0), ("outer", 1), far, piecewise & outer))
                choices.append(_Choice(C(0), (Linear(), mode.w_lanes), near, piecewise & ~outer))
            else:
                operand = self._operand(mode.w_format, mode.w_lanes)
                choices.append(_Choice(chosen, (mode.w_format, mode.w_lanes), operand))
        m.d.comb += [
            self.w.eq(_selected(m, config, choices, config.w_width)),
            self.region.eq(piecewise & outer),
        ]
        return m

    def _operand(self, fmt: Format, codes: int) -> Value:
        """Return the operand of a byte that holds `codes` codes of a format."""
        config = self._config
        if config.product is Product.SHIFTER:
            return encoding.power(self.code, fmt, config.w_width)
        if codes == 2 and config.product is Product.ROWS:
            return _magnitudes(self.code)
        if codes == 2:
            return encoding.packed(self.code, W_PITCH)
        return self._sized(encoding.decoded(self.code, fmt))

    def _sized(self, number: Value) -> Value:
        """Return a number in the encoding that the build's PEs take."""
        if self._config.product is Product.ROWS:
            return encoding.magnitude(number, CODE_WIDTH)
        return number


class _Choice(NamedTuple):
    """One operand that a decoder can select.

    `kind` identifies equal operands. The operand is selected by `chosen`, in the cycle of the code,
    or by `chosen_late`, one cycle later.
    """

    chosen: Value
    kind: Hashable
    operand: Value
    chosen_late: Value = C(0)


def _selected(m: Module, config: Config, choices: Sequence[_Choice], width: int) -> Value:
    """Return the selected operand, or 0; operands of one kind share a register."""
    if decoder_latency(config) == 0:
        return choices[0].operand
    distinct = {choice.kind: choice.operand for choice in choices}
    result: Value = C(0, width)
    for number, (kind, operand) in enumerate(distinct.items()):
        stage = register(m, extended(operand, width), f"operand_{number}")
        if len(distinct) == 1:
            return stage
        # Register the select here: the mode's bits have a long wire to these multiplexers.
        same = [choice for choice in choices if choice.kind == kind]
        chosen = register(m, Cat(choice.chosen for choice in same).any(), f"chosen_{number}")
        late = Cat(choice.chosen_late for choice in same).any()
        result = result | Mux(chosen | late, stage, 0)
    return result


def _magnitudes(code: Value) -> Value:
    """Return the two 4-bit codes of a byte as sign and magnitude."""
    return Cat(encoding.magnitude(nibble.as_signed(), 4) for nibble in (code[:4], code[4:]))
