"""Measurements as records in a CSV file: a name, a unit, a value, and which way is better."""

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields
from pathlib import Path
from typing import get_args

from hw.registry import Better, Record
from scripts.files import read_text


def read(path: Path) -> list[Record]:
    """The records of a file, none if it is not there; raises ValueError that names file and line."""
    if not path.exists():
        return []
    return parse(read_text(path, f"{path}", "records").splitlines(), f"{path}")


def parse(lines: Iterable[str], place: str) -> list[Record]:
    """The records in lines of text; raises ValueError that names the place and the line."""
    records: list[Record] = []
    for number, row in enumerate(_rows(lines, place), 1):
        if number == 1 and row == _HEADER:
            continue
        try:
            name, unit, value, better = row
            if number == 1 or better not in _BETTER or not math.isfinite(float(value)):
                raise ValueError
            records.append(Record(name, unit, float(value), _BETTER[better]))
        except ValueError:
            expected = ",".join(_HEADER) if number == 1 else "a name, a unit, a number, less or more"
            raise ValueError(f"{place}:{number}: expected {expected}, got {','.join(row)[:60]!r}") from None
    return records


def _rows(lines: Iterable[str], place: str) -> Iterator[list[str]]:
    reader = csv.reader(lines)
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f"{place}:{reader.line_num}: expected records ({error})") from None


def append(path: Path, records: Iterable[Record]) -> None:
    """Add lines to a file, under a header if it is new; those of one call stay together."""
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(text(records, header=not path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())


def text(records: Iterable[Record], *, header: bool) -> str:
    """Records as lines, under a header or not."""
    result = io.StringIO()
    writer = csv.writer(result, lineterminator="\n")
    writer.writerows([_HEADER] if header else [])
    writer.writerows(astuple(record) for record in records)
    return result.getvalue()


_BETTER: dict[str, Better] = {each: each for each in get_args(Better)}

_HEADER = [field.name for field in fields(Record)]
