"""Which processing element a build uses."""

from hw.config import Config
from hw.operands import Product
from hw.pe import PE
from hw.row_pe import RowPE
from hw.shift_pe import ShiftPE


def pe_class(config: Config) -> type[PE] | type[ShiftPE] | type[RowPE]:
    """The cheapest PE that serves all modes of the build. All have the ports of `PE` and a `latency`."""
    match config.product:
        case Product.SHIFTER:
            return ShiftPE
        case Product.ROWS:
            return RowPE
    return PE


def processing_element(config: Config) -> PE | ShiftPE | RowPE:
    """A PE of that class."""
    return pe_class(config)(config)
