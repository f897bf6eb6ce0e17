"""Panels: content of the load stream, cut from a job's operands and parameters."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.schedule.job import Job
from golden.schedule.tiling import Tiling
from golden.spec.commands import PARAMETER_BYTES, PARAMETER_FIELDS, Geometry, RingName

__all__ = ["panels_of"]


def panels_of(job: Job, geometry: Geometry, name: RingName) -> list[bytes]:
    """All panels of a job for the ring `name`, in order; each fills whole lines and transfers."""
    tiling, ring = Tiling.of(job, geometry), geometry.rings[name]
    panels: Iterable[NDArray[Any]]
    if name is RingName.X:
        panels = _operands(job.x.T, job.mode.x_lanes, tiling.m_tiles, geometry.rows)
    elif name is RingName.W:
        panels = _operands(job.w, job.mode.w_lanes, tiling.n_tiles, geometry.cols)
    else:
        panels = _parameters(job, tiling)
    result = []
    for index, panel in enumerate(panels):
        lines = tiling.lines(name, index)
        content = panel.tobytes()[: lines * ring.line]
        result.append(content.ljust(ring.transfers(lines) * ring.bus, b"\0"))
    return result


def _operands(codes: NDArray[np.integer], lanes: int, tiles: int, width: int) -> NDArray[np.uint8]:
    """Codes [K, count] as bytes [tiles, K, width], zero beyond `count`.

    A byte holds `lanes` neighbouring codes: one, or two with the first in the low nibble.
    """
    k, count = codes.shape
    padded = np.zeros((k, tiles * width * lanes), np.uint8)
    padded[:, :count] = codes.astype(np.int16) & 0xFF
    if lanes == 2:
        low, high = padded[:, 0::2] & 0xF, padded[:, 1::2] & 0xF
        padded = low | np.left_shift(high, 4, dtype=np.uint8)
    return np.ascontiguousarray(padded.reshape(k, tiles, width).transpose(1, 0, 2))


_PARAMETERS = np.dtype(
    {
        "names": list(PARAMETER_FIELDS),
        "formats": [
            f"<{'i' if name == 'bias' else 'u'}{width // 8}"
            for name, (_, width) in PARAMETER_FIELDS.items()
        ],
        "offsets": [start // 8 for start, _ in PARAMETER_FIELDS.values()],
        "itemsize": PARAMETER_BYTES,
    }
)


def _parameters(job: Job, tiling: Tiling) -> NDArray[np.void]:
    """bias, mult and shift as records [n_tiles, tile_n]; absent parameters are zero."""
    table = np.zeros(tiling.n_tiles * tiling.tile_n, _PARAMETERS)
    count = job.shape[2]
    if job.bias is not None:
        table["bias"][:count] = job.bias
    if job.epilogue is not None:
        table["mult"][:count] = job.epilogue.mult
        table["shift"][:count] = job.epilogue.shift
    return table.reshape(tiling.n_tiles, tiling.tile_n)
