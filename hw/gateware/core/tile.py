"""The tile descriptor: settings, size and panels of one tile on its way through the core."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import Ring
from hw.config import OFFSET_WIDTH, RATIO_WIDTH, Config
from hw.gateware.core.operand_buffer import sequence_width

__all__ = ["Handoff", "panel_layout", "tile_layout"]


def panel_layout(ring: Ring) -> data.StructLayout:
    """One panel of a tile in its operand buffer.

    `line` is its first line; the panel can be read once `needs` lines are loaded (a sequence
    number); the tile frees the `frees` oldest lines of the buffer at its end.
    """
    return data.StructLayout(
        {"line": range(ring.lines), "needs": sequence_width(ring), "frees": range(ring.lines + 1)}
    )


def tile_layout(config: Config) -> data.StructLayout:
    """A tile: settings, size and a panel of each buffer.

    `depth` (k), `rows`, `chunks` (of `results` columns) and `columns` (of the last chunk) are
    stored less one.
    """
    return data.StructLayout(
        {
            "mode": config.mode_width,
            "output": 2,
            "depth": range(config.k_max),
            "ratio": RATIO_WIDTH,
            "offset": OFFSET_WIDTH,
            "rows": range(max(2, config.rows * config.x_lanes)),
            "chunks": range(max(2, -(-config.cols * config.w_lanes // config.results))),
            "columns": range(max(2, config.results)),
            "x": panel_layout(config.x_ring),
            "w": panel_layout(config.w_ring),
            "p": panel_layout(config.p_ring),
        }
    )


class Handoff(wiring.Signature):
    """Hands a tile from the feeder to the drain, from the feeder's side.

    Parameters:
      config   the build

    Members:
      tile (tile_layout, to the drain)    the tile that `started` announces
      started (1 bit, to the drain)       one cycle for each tile, in order, 3 cycles apart or more
      finished (1 bit, from the drain)    one cycle for each tile: its slot in the collector is free
    """

    def __init__(self, config: Config):
        super().__init__({"tile": Out(tile_layout(config)), "started": Out(1), "finished": In(1)})
