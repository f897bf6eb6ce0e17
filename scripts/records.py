"""Measurements as records in a CSV file: a name, a unit, a value, and which way is better."""

import csv
import io
import os
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import get_args

from hw.registry import Better, Record


def read(path: Path) -> list[Record]:
    """The records of a file, none if it is not there; raises ValueError that names file and line."""
    if not path.exists():
        return []
    records: list[Record] = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if number == 1 and row == _HEADER:
                continue
            try:
                name, unit, value, better = row
                if number == 1 or better not in _BETTER:
                    raise ValueError
                records.append(Record(name, unit, float(value), _BETTER[better]))
            except ValueError:
                expected = ",".join(_HEADER) if number == 1 else "a name, a unit, a number, less or more"
                raise ValueError(
                    f"{path}:{number}: expected {expected}, got {','.join(row)[:60]!r}"
                ) from None
    return records


def append(path: Path, records: Iterable[Record]) -> None:
    """Add lines to a file, under a header if it is new; those of one call stay together."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists():
        writer.writerow(_HEADER)
    for record in records:
        writer.writerow(astuple(record))
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(text.getvalue())
        file.flush()
        os.fsync(file.fileno())


_BETTER: dict[str, Better] = {each: each for each in get_args(Better)}

_HEADER = [field.name for field in fields(Record)]
