"""HTML of the report: sections, tables that become lists on a phone, charts in two widths."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from scripts.report.charts import NARROW, WIDE

NOT_RUN = "<p class='none'>Not run.</p>"

_PAGE = (Path(__file__).parent / "report.html").read_text(encoding="utf-8")


def framed(sections: Iterable[tuple[str, str, str]]) -> str:
    """The page from sections: title, HTML, and the commands that made the figures ("" for none)."""
    parts = [
        f"<section><h2>{title}</h2>{body}"
        + (f"<p class='from'><code>{escape(command)}</code></p>" if command else "")
        + "</section>"
        for title, body, command in sections
    ]
    return _PAGE.replace("SECTIONS", "\n".join(parts))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain text; raises ValueError if a row and `heads` differ in length."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    # Store the heading in each cell: on a phone a row is shown as a list of heading and value.
    body = "".join(
        "<tr>"
        + "".join(
            f"<td data-head='{escape(name, quote=True)}'>{escape(text)}</td>"
            for name, text in zip(heads, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def both(draw: Callable[[int], str]) -> str:
    """The chart drawn at the widths for a desktop and a phone; the page shows one of the two."""
    return f"<div class='wide'>{draw(WIDE)}</div><div class='narrow'>{draw(NARROW)}</div>"


def number(value: float | None, digits: int) -> str:
    """A number with `digits` decimals, or "not run" for None."""
    return "not run" if value is None else f"{value:,.{digits}f}"


def span(values: Sequence[float], digits: int) -> str:
    """The least and the largest value, or one number if both have the same text."""
    low, high = (f"{value:,.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
