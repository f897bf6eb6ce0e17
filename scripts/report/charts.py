"""Charts of the report as SVG; they take their colours from the page, light or dark."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

WIDE, NARROW = 860, 350
"""Chart widths in pixels, for a desktop and for a phone; the font size is the same in both."""

INK, SOFT, FILL, MARK = "#010203", "#020304", "#4a7fb5", "#c8553d"
"""Colours of text and axes, of grids, and of data; INK and SOFT become colours of the page."""

_DPI = 96


@dataclass(frozen=True)
class Spot:
    """A point of a scatter chart: a format's cost or benefit (x) and accuracy (y)."""

    label: str
    x: float
    y: float
    marked: bool = False


def scatter(spots: Sequence[Spot], x_label: str, y_label: str, width: int, *, less: bool) -> str:
    """Scatter chart with the Pareto front of large y and of small x if `less`, else large x."""
    figure, axis = _figure(width, 420 if width > NARROW else 380)
    front = pareto(spots, less=less)
    axis.plot([s.x for s in front], [s.y for s in front], color=SOFT, linewidth=1.2, zorder=1)
    for spot in spots:
        axis.plot(
            spot.x,
            spot.y,
            "s" if spot.marked else "o",
            color=MARK if spot.marked else FILL,
            markersize=7,
            zorder=2,
        )
    axis.margins(0.14 if width > NARROW else 0.22)
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.grid(color=SOFT, linewidth=0.4)
    _labelled(figure, axis, spots)
    return svg(figure)


def bars(values: Mapping[str, float], x_label: str, width: int, digits: int = 0) -> str:
    """Chart of horizontal bars, from top to bottom, each labelled with its value."""
    pitch = 36 if any("\n" in name for name in values) else 24
    figure, axis = _figure(width, 60 + pitch * max(1, len(values)))
    places = range(len(values))
    axis.barh(places, list(values.values()), color=FILL, height=0.7)
    axis.set_yticks(places, list(values))
    axis.invert_yaxis()
    top = max(values.values(), default=1.0)
    axis.set_xlim(0, 1.22 * top)
    for place, value in zip(places, values.values(), strict=True):
        axis.text(
            value + 0.01 * top, place, f"{value:,.{digits}f}", va="center", color=INK, fontsize=9
        )
    axis.set_xlabel(x_label)
    return svg(figure)


def pareto(spots: Sequence[Spot], *, less: bool) -> list[Spot]:
    """The spots of the Pareto front, those that no other spot equals or beats in x and y; by x."""
    best: list[Spot] = []
    for spot in sorted(spots, key=lambda s: (s.x if less else -s.x, -s.y)):
        if not best or spot.y > best[-1].y:
            best.append(spot)
    return sorted(best, key=lambda s: s.x)


def svg(figure: Figure) -> str:
    """A figure as an SVG element; text stays text, INK and SOFT become the page's colours."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tilebert"}):
        file = io.StringIO()
        figure.savefig(
            file, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" role="img">', text, count=1
    )
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, name in ((INK, "ink"), (SOFT, "soft"), ("#000000", "ink")):
        text = text.replace(colour, f"var(--{name})")
    return re.sub(r"font: (\d+(?:\.\d+)?)px[^;\"]*", r"font: \1px sans-serif", text)


def _figure(width: int, height: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.tick_params(colors=INK, labelsize=9)
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set_color(INK)
        label.set_fontsize(9.5)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(SOFT)
    return figure, axis


_DIRECTIONS = (
    *((dx, dy) for dy in (0, 9, -9, 20, -20, 31, -31, 42, -42) for dx in (8, -8)),
    (0, 13),
    (0, -13),
)
"""Offsets of a label in points, nearest first."""


def _labelled(figure: Figure, axis: Axes, spots: Sequence[Spot]) -> None:
    """Put names beside the spots, each at the first offset where it covers nothing."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    whole = axis.get_window_extent()
    taken = [_around(*axis.transData.transform((spot.x, spot.y))) for spot in spots]
    for index, spot in enumerate(spots):
        others = [box for place, box in enumerate(taken) if place != index]
        for dx, dy in _DIRECTIONS:
            text = axis.annotate(
                spot.label,
                (spot.x, spot.y),
                (dx, dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right" if dx < 0 else "center",
                va="center",
                color=INK,
                fontsize=8.5,
                # Connect a label that had to move away to its mark by a line.
                arrowprops={"arrowstyle": "-", "color": SOFT, "linewidth": 0.7}
                if abs(dy) > 9
                else None,
            )
            box = text.get_window_extent().padded(3, 0)
            inside = (
                whole.x0 <= box.x0
                and box.x1 <= whole.x1
                and whole.y0 <= box.y0
                and box.y1 <= whole.y1
            )
            if inside and not any(box.overlaps(other) for other in others):
                taken.append(box)
                break
            if (dx, dy) != _DIRECTIONS[-1]:
                text.remove()


def _around(x: float, y: float) -> Bbox:
    """The area that a mark covers."""
    return Bbox.from_extents(x - 5, y - 5, x + 5, y + 5)
