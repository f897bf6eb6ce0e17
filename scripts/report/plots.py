"""Histograms as PNG files: small multiples, one panel for each format."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from golden.bert.statistics import Histogram, entropy
from scripts.files import write_atomically

COLUMNS = 3
"""Panels side by side."""

FILL, MARK = "#4878a8", "#c44e28"


def errors(
    title: str, x_label: str, y_label: str, panels: Mapping[str, Histogram], columns: int = COLUMNS
) -> Figure:
    """Relative errors in percent, on a logarithmic axis, with each panel's median.

    All panels have the same axes.
    """
    figure, axes = _grid(title, x_label, y_label, len(panels), columns)
    top = max(100 * float(subject.shares.max()) for subject in panels.values())
    for axis, (label, subject) in zip(axes, panels.items(), strict=True):
        # Plot logarithms on a linear axis: a logarithmic axis of matplotlib takes twice as long.
        edges, median = np.log10(100 * subject.edges), 100 * subject.median()
        axis.stairs(100 * subject.shares, edges, fill=True, color=FILL)
        axis.axvline(np.log10(median), color=MARK, linewidth=1)
        decades = range(round(edges[0]), round(edges[-1]) + 1)
        axis.set_xticks(decades, [f"{10.0**decade:g}" for decade in decades])
        axis.set_xlim(edges[0], edges[-1])
        axis.set_ylim(0, 1.15 * top)
        axis.set_title(label, fontsize=9)
        _note(axis, f"median {median:.2g} %", MARK)
    return figure


def usage(
    title: str, y_label: str, panels: Mapping[str, NDArray[np.int64]], columns: int = COLUMNS
) -> Figure:
    """The frequency of each code, from counts in the order of golden.bert.statistics.code_usage.

    Zero is highlighted.
    """
    x_label = "code q; of log2 formats the exponent field e with the code's sign"
    figure, axes = _grid(title, x_label, y_label, len(panels), columns)
    for axis, (label, counts) in zip(axes, panels.items(), strict=True):
        top = len(counts) // 2
        shares = 100 * counts / max(1, counts.sum())
        edges = np.arange(-top - 0.5, top + 1)
        axis.stairs(shares, edges, fill=True, color=FILL)
        axis.stairs(shares[top : top + 1], edges[top : top + 2], fill=True, color=MARK)
        axis.set_xticks([-top, -round(top / 2), 0, round(top / 2), top])
        axis.set_xlim(edges[0], edges[-1])
        axis.set_ylim(0, 1.5 * shares.max())
        axis.set_title(label, fontsize=9)
        _note(axis, f"zero {shares[top]:.1f} %", MARK)
        _note(
            axis, f"entropy {entropy(counts):.1f} of {np.log2(len(counts)):.1f} bits", FILL, line=1
        )
    return figure


def trained(
    panels: Mapping[str, Mapping[str, tuple[float | None, float]]], order: Sequence[str]
) -> Figure:
    """Plot a metric in percent by format: ring before training, dot after it, line for FP32."""
    layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.08)
    rows = [row for row in order if any(row in panel for panel in panels.values())]
    figure = Figure(
        figsize=(1.8 + 2.1 * max(1, len(panels)), 1.4 + 0.24 * len(rows)), dpi=110, layout=layout
    )
    FigureCanvasAgg(figure)
    figure.suptitle(
        "Post-training (ring) and trained (dot), by format; the line is FP32", fontsize=11
    )
    axes = figure.subplots(1, max(1, len(panels)), squeeze=False, sharey=True)[0]
    for axis, (title, panel) in zip(axes, panels.items(), strict=False):
        for row, (before, after) in panel.items():
            if row == "fp32":
                axis.axvline(after, color=MARK, linewidth=1)
                continue
            place = rows.index(row)
            if before is not None:
                axis.plot([before, after], [place, place], color=FILL, linewidth=1)
                axis.plot(
                    before, place, "o", markerfacecolor="white", markeredgecolor=FILL, markersize=5
                )
            axis.plot(after, place, "o", color=FILL, markersize=5)
        axis.set_title(title, fontsize=9)
        axis.set_yticks(range(len(rows)), rows)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.grid(axis="x", linewidth=0.3)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("%", fontsize=9)
    return figure


def write(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, atomically; equal figures give equal files."""
    metadata = {"Software": None}  # would name matplotlib's version
    write_atomically(
        path, "--output", lambda file: figure.savefig(file, format="png", metadata=metadata)
    )


def _grid(
    title: str, x_label: str, y_label: str, count: int, most: int
) -> tuple[Figure, list[Axes]]:
    columns = min(most, count)
    rows = -(-count // columns)
    layout = ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.08)
    figure = Figure(figsize=(3.2 * columns, 0.9 + 2.1 * rows), dpi=110, layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    figure.supxlabel(x_label, fontsize=9)
    figure.supylabel(y_label, fontsize=9)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def _note(axis: Axes, text: str, color: str, line: int = 0) -> None:
    axis.text(
        0.03, 0.95 - 0.12 * line, text, transform=axis.transAxes, fontsize=8, color=color, va="top"
    )


def inked(figure: Figure, ink: str, soft: str) -> None:
    """Set the colours of text and axes of a figure that have no colour of their own."""
    for text in figure.texts:
        text.set_color(ink)
    for axis in figure.axes:
        axis.tick_params(colors=ink)
        axis.title.set_color(ink)
        axis.spines[["left", "bottom"]].set_color(soft)
