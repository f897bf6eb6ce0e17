"""Pipelined multiplier in a DSP block, where the family has one."""

from amaranth import C, ClockSignal, Module, Signal, Value, signed
from amaranth.hdl import Instance
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.gateware.lib.bits import extended
from hw.gateware.lib.delay import register

__all__ = ["MAX_WIDTH", "Multiplier"]

MAX_WIDTH = 18
"""Bits of a signed operand that one DSP block multiplies on every family with a primitive here."""

# Ports and parameters of DSP48E1.
_UNUSED_REGISTERS = (
    "ADREG",
    "ALUMODEREG",
    "CARRYINREG",
    "CARRYINSELREG",
    "CREG",
    "DREG",
    "INMODEREG",
    "OPMODEREG",
)
_USED_ENABLES = ("CEA2", "CEB2", "CEP")
_UNUSED_ENABLES = (
    "CEA1",
    "CEAD",
    "CEALUMODE",
    "CEB1",
    "CEC",
    "CECARRYIN",
    "CECTRL",
    "CED",
    "CEINMODE",
    "CEM",
)
_RESETS = ("A", "ALLCARRYIN", "ALUMODE", "B", "C", "CTRL", "D", "INMODE", "M", "P")


class Multiplier(wiring.Component):
    """Signed multiplier with registered operands and a registered product.

    Formula: p = x * w.

    Parameters:
        x_width: Bits of x, 1..18.
        w_width: Bits of w, 1..18.

    Members:
        x: In(signed(`x_width`)).
        w: In(signed(`w_width`)).
        p: Out(signed(`x_width` + `w_width`)).

    Latency: 2 cycles. Throughput: one product per cycle, without flow control. No register is
    reset.

    Raises:
        ValueError: A width is not in 1..18.

    The platform's `family` selects the implementation:

    - "ecp5": a MULT18X18D with its input and output registers. nextpnr does not time the path
      between these registers. Project Trellis' cell timings for speed grade 6 give its delay: clock
      to P with input registers alone (3.864 ns), plus setup of A with output registers alone
      (3.486 ns), minus A to P without registers (3.927 ns), is 3.423 ns, or 292 MHz. An upper bound
      that subtracts nothing is clock to P plus the 0.084 ns setup of a register: 3.948 ns, or
      253 MHz. The block's pipeline register would only add a cycle.
    - "xc7": a DSP48E1 with its A, B and P registers. UG953 recommends the M register for a
      multiplier of two cycles; P is used instead because an adder in the fabric follows. P leaves
      0.33 ns after the clock instead of 1.67 ns, at 2.87 ns instead of 1.54 ns between the
      registers (Yosys' timing of the cell).
    - otherwise: the operator between registers.
    """

    latency = 2

    def __init__(self, *, x_width: int, w_width: int):
        for name, width in (("x_width", x_width), ("w_width", w_width)):
            if not 1 <= width <= MAX_WIDTH:
                raise ValueError(f"{name}: expected 1 to {MAX_WIDTH} bits, got {width!r}")
        super().__init__(
            {
                "x": In(signed(x_width)),
                "w": In(signed(w_width)),
                "p": Out(signed(x_width + w_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        match getattr(platform, "family", None):
            case "ecp5":
                self._mult18x18d(m)
            case "xc7":
                self._dsp48e1(m)
            case _:
                self._operator(m)
        return m

    def _operator(self, m: Module) -> None:
        x, w = register(m, self.x, "x"), register(m, self.w, "w")
        m.d.comb += self.p.eq(register(m, x * w, "p"))

    def _mult18x18d(self, m: Module) -> None:
        p = Signal(2 * MAX_WIDTH)
        # The bitstream writer supports the first enable and reset of the output register only.
        registers = {
            f"p_REG_{name}_{pin}": f"{pin}0" if pin != "CLK" or name != "PIPELINE" else "NONE"
            for name in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")
            for pin in ("CLK", "CE", "RST")
        }
        m.submodules.mult18x18d = Instance(
            "MULT18X18D",
            **registers,
            p_GSR="DISABLED",
            p_RESETMODE="SYNC",
            **_scalars("i_A", extended(self.x, MAX_WIDTH)),
            **_scalars("i_B", extended(self.w, MAX_WIDTH)),
            **_scalars("o_P", p),
            i_SIGNEDA=C(1, 1),
            i_SIGNEDB=C(1, 1),
            i_SOURCEA=C(0, 1),
            i_SOURCEB=C(0, 1),
            i_CLK0=ClockSignal(),
            i_CE0=C(1, 1),
            i_RST0=C(0, 1),
        )
        m.d.comb += self.p.eq(p)

    def _dsp48e1(self, m: Module) -> None:
        p = Signal(48)
        registers = {"p_AREG": 1, "p_ACASCREG": 1, "p_BREG": 1, "p_BCASCREG": 1, "p_PREG": 1}
        m.submodules.dsp48e1 = Instance(
            "DSP48E1",
            **registers,
            p_MREG=0,
            **{f"p_{name}": 0 for name in _UNUSED_REGISTERS},
            p_USE_DPORT="FALSE",
            p_USE_MULT="MULTIPLY",
            i_A=extended(self.x, 30),
            i_B=extended(self.w, 18),
            i_C=C(0, 48),
            i_D=C(0, 25),
            i_ACIN=C(0, 30),
            i_BCIN=C(0, 18),
            i_PCIN=C(0, 48),
            i_CARRYCASCIN=C(0, 1),
            i_MULTSIGNIN=C(0, 1),
            i_CARRYIN=C(0, 1),
            i_CARRYINSEL=C(0, 3),
            i_INMODE=C(0, 5),
            # X and Y select the two parts of the product, Z selects zero.
            i_OPMODE=C(0b000_01_01, 7),
            i_ALUMODE=C(0, 4),
            i_CLK=ClockSignal(),
            **{f"i_{name}": C(1, 1) for name in _USED_ENABLES},
            **{f"i_{name}": C(0, 1) for name in _UNUSED_ENABLES},
            **{f"i_RST{name}": C(0, 1) for name in _RESETS},
            o_P=p,
        )
        m.d.comb += self.p.eq(p)


def _scalars(prefix: str, value: Value) -> dict[str, Value]:
    """Return the bits of a vector as the scalar ports prefix0, prefix1, ..."""
    return {f"{prefix}{index}": value[index] for index in range(len(value))}
