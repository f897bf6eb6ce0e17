"""Encoding of sentences on the simulated hardware by many processes, local or on Dask."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from golden.bert.encoder import batches, scattered
from golden.bert.functions import Real
from golden.bert.quantized import QuantizedModel, quantized_encoder
from hw.buildspec import BuildSpec
from hw.config import Config
from scripts.eval.kept import Batches
from scripts.files import check_folder
from scripts.models import load_model
from scripts.workers import processes
from sim.backend import RtlBackend, Tally
from sim.build import build

BATCH = 32
"""Sentences of equal length that share the row tiles of a linear GEMM."""


@dataclass(frozen=True)
class Setup:
    """A model in the mode of a build, which has one mode, and the core that runs it."""

    build: BuildSpec
    checkpoint: Path | None = None
    post_training: bool = False

    @property
    def config(self) -> Config:
        """The core's parameters; they include w8a8, in which attention runs."""
        return self.build.including("w8a8").config


def embed_on_rtl(
    setup: Setup,
    sequences: Sequence[Sequence[int]],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    folder: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> tuple[Real, Tally]:
    """Vectors [len(sequences), hidden], and totals of what was simulated.

    The batches run on `workers` processes, or on the Dask cluster at `scheduler`. The result does
    not depend on the number of workers. Finished batches are kept in `folder`, if given; an
    interrupted run that is repeated reads them. Raises ValueError for a cluster that cannot be
    reached and a folder that cannot be written, and any exception of a batch.
    """
    check_folder(folder, "--keep")
    groups = batches(sequences, BATCH)
    done: dict[int, tuple[Real, Tally]] = {}
    # Connect first, so that a missing cluster is reported before the core is built.
    with executor(workers, scheduler) as pool:
        backend(setup)  # Built and quantized once, before the workers ask for it.
        kept = None
        if folder is not None:
            kept = Batches(folder, _model(setup), setup.config, build(setup.config).design.sha256)
            for index, group in enumerate(groups):
                if (found := kept.read(group)) is not None:
                    done[index] = found
        # Start the longest batches first, so that none of them runs alone at the end.
        order = sorted(
            set(range(len(groups))) - done.keys(), key=lambda i: -len(groups[i]) * len(groups[i][0])
        )
        futures: dict[Future[Any], int] = {
            pool.submit(_embed, setup, groups[index]): index for index in order
        }
        total = sum(map(len, groups))
        try:
            for future in as_completed(futures):
                index = futures[future]
                done[index] = future.result()
                if kept is not None:
                    kept.write(groups[index], *done[index])
                if progress is not None:
                    progress(sum(len(groups[each]) for each in done) / total)
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    tally = Tally()
    for _, part in sorted(done.items()):
        tally.add(part[1])
    return scattered(sequences, groups, [done[index][0] for index in range(len(groups))]), tally


@lru_cache(maxsize=1)
def backend(setup: Setup) -> tuple[Any, RtlBackend]:
    """The encoder of a setup and the simulated core that it uses; cached in each process."""
    rtl = RtlBackend(build(setup.config))
    return quantized_encoder(_model(setup), rtl), rtl


@lru_cache(maxsize=1)
def _model(setup: Setup) -> QuantizedModel:
    return load_model(setup.build.first_mode, setup.checkpoint, trained=not setup.post_training)


def _embed(setup: Setup, group: Sequence[tuple[int, ...]]) -> tuple[Real, Tally]:
    encoder, rtl = backend(setup)
    rtl.tally = Tally()
    return encoder.sentence_vectors(list(group)), rtl.tally


def executor(workers: int, scheduler: str | None) -> Executor:
    """A pool of local processes, or the Dask cluster at `scheduler`.

    Raises ValueError that names the option.
    """
    if scheduler is None:
        return processes(workers)
    try:
        from distributed import Client
    except ImportError:
        raise ValueError(
            "--scheduler: expected the package distributed; pip install -e '.[cluster]'"
        ) from None
    try:
        executor: Executor = Client(scheduler, timeout=10).get_executor()
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(
            f"--scheduler: expected the address of a Dask scheduler, got {scheduler} ({error})"
        ) from None
    return executor
