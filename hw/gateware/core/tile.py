"""What a tile is on its way through the core: its settings, its results and where its panels are."""

from amaranth.lib import data

from golden.spec.commands import Ring
from hw.config import OFFSET_WIDTH, RATIO_WIDTH, Config
from hw.gateware.core.ring import sequence_width


def panel_layout(ring: Ring) -> data.StructLayout:
    """Where a tile's panel is: its first line, when it is loaded, and the lines to give back behind it."""
    return data.StructLayout(
        {"line": range(ring.lines), "needs": sequence_width(ring), "frees": range(ring.lines + 1)}
    )


def tile_layout(config: Config) -> data.StructLayout:
    """A tile in the queue.

    `depth`, `rows`, `chunks` (of results) and `columns` (in the last chunk) are one less.
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
