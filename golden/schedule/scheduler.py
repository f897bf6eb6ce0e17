"""The scheduler: GEMM jobs as a command stream and a load stream for a core."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from golden.schedule.commands import Heads, OutputTile, Panel, generate_commands
from golden.schedule.job import Job
from golden.schedule.orders import best_orders
from golden.schedule.panels import panels_of
from golden.schedule.tiling import Order, Tiling
from golden.schedule.timing import predict
from golden.spec.commands import Command, Geometry, Load, RingName
from golden.spec.modes import Mode

__all__ = ["OutputTile", "Panel", "Schedule", "schedule"]


@dataclass(frozen=True)
class Schedule:
    """Commands for a sequence of jobs on a core of `geometry`.

    `panels` holds the panel of each LOAD and `tiles` the output tile of each COMPUTE, in command
    order. `heads` are the write pointers of the rings at the end, from which a further schedule
    for the same core continues. `cycles` is the predicted time from the first command to the last
    result.
    """

    jobs: tuple[Job, ...]
    geometry: Geometry
    commands: list[Command]
    panels: list[Panel]
    tiles: list[OutputTile]
    heads: Heads
    cycles: int

    @property
    def products(self) -> int:
        """Products of all jobs, M * K * N each; padding is not counted."""
        return sum(int(np.prod(job.shape)) for job in self.jobs)

    @property
    def busy(self) -> float:
        """Cycles that the jobs take on an array whose multipliers are all busy in every cycle."""
        pes = self.geometry.rows * self.geometry.cols
        return sum(int(np.prod(job.shape)) / (pes * job.mode.products) for job in self.jobs)

    @property
    def load_transfers(self) -> int:
        """Transfers on the load stream."""
        loads = [command for command in self.commands if isinstance(command, Load)]
        return sum(self.geometry.rings[load.ring].transfers(load.lines) for load in loads)

    def load_stream(self) -> bytes:
        """Content of the load stream: `load_transfers` transfers of `geometry.bus` bytes each."""
        cached: dict[tuple[int, RingName], list[bytes]] = {}
        stream = []
        for panel in self.panels:
            key = panel.job, panel.ring
            if key not in cached:
                cached[key] = panels_of(self.jobs[panel.job], self.geometry, panel.ring)
            stream.append(cached[key][panel.index])
        return b"".join(stream)


def schedule(
    jobs: Sequence[Job],
    geometry: Geometry,
    index: Callable[[Mode], int],
    orders: Sequence[Order] | None = None,
    heads: Heads = (0, 0, 0),
) -> Schedule:
    """Schedule jobs one after another on a core of `geometry`.

    `index` returns a mode's index in the build. `orders` holds one tile order per job; by default
    each job gets the order with the fewest predicted cycles. `heads` are the write pointers of the
    rings before the first command: 0 after a reset. Raises ValueError, naming the argument, for a
    K above k_max and for orders whose blocks do not fit the rings.
    """
    for job in jobs:
        if job.shape[1] > geometry.k_max:
            raise ValueError(f"k: expected at most k_max = {geometry.k_max}, got {job.shape[1]}")
    tilings = [Tiling.of(job, geometry) for job in jobs]
    made = generate_commands(tilings, index, orders or best_orders(tilings), heads)
    cycles = predict(made.commands, geometry, heads)
    return Schedule(
        tuple(jobs), geometry, made.commands, made.panels, made.tiles, made.heads, cycles
    )
