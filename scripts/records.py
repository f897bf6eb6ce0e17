"""Measurements as records in a CSV file: a name, a unit, a value, and which way is better."""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields
from pathlib import Path
from typing import get_args

from golden.files import is_stream
from hw.flow.registry import Better, Record
from scripts import lines
from scripts.files import read_text


def read(path: Path) -> list[Record]:
    """The records of a file, none if it is not there; raises ValueError that names file and line.

    What is cut short at the end of the file is said in a line on stderr: see `whole`. A pipe is
    read to its end.
    """
    if is_stream(path):
        return parse(read_text(path, f"{path}", "records").splitlines(), f"{path}")
    return parse(lines.read(path, whole), f"{path}")


def mend(path: Path) -> None:
    """Remove from a file what is cut short at its end, so that it is measured again."""
    lines.mend(path, whole)


def parse(rows: Iterable[str], place: str) -> list[Record]:
    """The records in lines of text; raises ValueError that names the place and the line."""
    records: list[Record] = []
    for number, row in enumerate(_rows(rows, place), 1):
        if number == 1 and row == _HEADER:
            continue
        try:
            name, unit, value, better = row
            if number == 1 or better not in _BETTER or not math.isfinite(float(value)):
                raise ValueError
            records.append(Record(name, unit, float(value), _BETTER[better]))
        except ValueError:
            expected = (
                ",".join(_HEADER) if number == 1 else "a name, a unit, a number, less or more"
            )
            raise ValueError(
                f"{place}:{number}: expected {expected}, got {','.join(row)[:60]!r}"
            ) from None
    return records


def _rows(rows: Iterable[str], place: str) -> Iterator[list[str]]:
    reader = csv.reader(rows)
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f"{place}:{reader.line_num}: expected records ({error})") from None


def append(path: Path, records: Iterable[Record]) -> None:
    """Add lines to a file, all of one call or none; the first ones get a header."""
    lines.append(path, whole, lambda first: text(records, header=first))


def whole(content: bytes) -> bytes:
    """What a file holds of whole measurements.

    A build has several records, which were written together. Where the last one is cut short, those
    before it that may be of the same build go too: one that is missing would not be missed. Raises
    ValueError where the first line is not the header, or a part of it.
    """
    kept, first, header = lines.whole_lines(content), lines.first_line(content), ",".join(_HEADER)
    if first != header and (kept or not header.startswith(first)):
        raise ValueError(f"expected {header}, got {first[:60]!r}")
    torn = content[len(kept) :]
    if not torn:
        return kept
    before = kept.splitlines(keepends=True)
    build = before[-1].split(b",")[0].rpartition(b"/")[0] + b"/" if before else b""
    if torn.startswith(build) or build.startswith(torn):
        while len(before) > 1 and before[-1].split(b",")[0].rpartition(b"/")[0] + b"/" == build:
            before.pop()
    return b"".join(before)


def text(records: Iterable[Record], *, header: bool) -> str:
    """Records as lines, under a header or not."""
    result = io.StringIO()
    writer = csv.writer(result, lineterminator="\n")
    writer.writerows([_HEADER] if header else [])
    writer.writerows(astuple(record) for record in records)
    return result.getvalue()


_BETTER: dict[str, Better] = {each: each for each in get_args(Better)}

_HEADER = [field.name for field in fields(Record)]
