"""Measurements as records in a CSV file: name, unit, value, and whether less or more is better."""

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
    """The records of a file; none if the file does not exist.

    Incomplete measurements at the end of the file (see `whole`) are skipped, with a line on stderr.
    A pipe is read to its end. Raises ValueError that names file and line.
    """
    if is_stream(path):
        return parse(read_text(path, f"{path}", "records").splitlines(), f"{path}")
    return parse(lines.read(path, whole), f"{path}")


def mend(path: Path) -> None:
    """Remove incomplete measurements from the end of a file; a sweep then measures them again."""
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
    """Append all given records to a file, or none; a new file gets a header first."""
    lines.append(path, whole, lambda first: text(records, header=first))


def whole(content: bytes) -> bytes:
    """The complete measurements in a file's content.

    The records of a build are written together. If the last record is cut short, the preceding
    records that may belong to the same build are dropped too; otherwise it would go unnoticed that
    the build lacks a record. Raises ValueError if the first line is not the header or the beginning
    of it.
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
    """Records as lines, with or without a header."""
    result = io.StringIO()
    writer = csv.writer(result, lineterminator="\n")
    writer.writerows([_HEADER] if header else [])
    writer.writerows(astuple(record) for record in records)
    return result.getvalue()


_BETTER: dict[str, Better] = {each: each for each in get_args(Better)}

_HEADER = [field.name for field in fields(Record)]
