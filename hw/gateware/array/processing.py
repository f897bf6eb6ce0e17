"""Choice of the processing element of a build."""

from hw.config import Config
from hw.gateware.array.pe import PE
from hw.gateware.array.row_pe import RowPE
from hw.gateware.array.shift_pe import ShiftPE
from hw.operands import Product

__all__ = ["pe_class", "processing_element"]


def pe_class(config: Config) -> type[PE] | type[ShiftPE] | type[RowPE]:
    """Return the smallest PE that serves all modes of the build.

    All classes have the ports `pe_signature`, a static method `latency_of(config)` and a property
    `latency`.
    """
    match config.product:
        case Product.SHIFTER:
            return ShiftPE
        case Product.ROWS:
            return RowPE
    return PE


def processing_element(config: Config) -> PE | ShiftPE | RowPE:
    """Return a PE of that class."""
    return pe_class(config)(config)
