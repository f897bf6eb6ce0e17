"""Which processing element a build uses."""

from hw.config import Config
from hw.gateware.array.pe import PE
from hw.gateware.array.row_pe import RowPE
from hw.gateware.array.shift_pe import ShiftPE
from hw.operands import Product


def pe_class(config: Config) -> type[PE] | type[ShiftPE] | type[RowPE]:
    """The cheapest PE that serves all modes of the build.

    All have the ports of `PE` and a `latency`.
    """
    match config.product:
        case Product.SHIFTER:
            return ShiftPE
        case Product.ROWS:
            return RowPE
    return PE


def processing_element(config: Config) -> PE | ShiftPE | RowPE:
    """A PE of that class."""
    return pe_class(config)(config)
