"""`tilebert report`: hardware cost and accuracy of each format, on one page."""

from functools import partial
from html import escape
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.figure import Figure

from golden.bert.statistics import Histogram
from golden.spec.modes import mode
from golden.tasks.glue import TASK_NAMES, task_of
from scripts.console import out, status
from scripts.files import check_file, check_folder, make_folder, write_text
from scripts.report import charts, plots
from scripts.report.charts import NARROW, Spot
from scripts.report.evidence import SIZE, SUBJECTS, Evidence, gather
from scripts.report.page import NOT_RUN, both, framed, number, span, table
from scripts.report.peers import ARRAYS, PUBLISHED


def report(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for index.html; made if missing.")
    ],
    task: Annotated[
        str, typer.Option(help=f"Of the metric: one of {', '.join(TASK_NAMES)}.")
    ] = "similarity",
    trained: Annotated[Path, typer.Option(help="Records of `table`.")] = Path(
        "docs/data/trained.jsonl"
    ),
    cells: Annotated[Path, typer.Option(help="Records of `sweep`.")] = Path("docs/data/arrays.csv"),
    bench: Annotated[list[Path] | None, typer.Option(help="JSON of `bench`; several.")] = None,
    sign_off: Annotated[
        list[Path] | None, typer.Option(help="JSON of `synth --pnr`; several.")
    ] = None,
    histograms: Annotated[Path, typer.Option(help="histograms.json of `formats`.")] = Path(
        "docs/data/histograms.json"
    ),
) -> None:
    """Write one HTML page, without links to the network, from the figures of other commands.

    Missing figures are reported as "not run".
    """
    task_of(task)
    check_folder(output, "--output")
    for name, path in (("--trained", trained), ("--cells", cells), ("--histograms", histograms)):
        check_file(path, name)
    for name, paths in (("--bench", bench or []), ("--sign-off", sign_off or [])):
        for path in paths:
            if not path.is_file():
                missing = "no file" if path.exists() else "no such file"
                raise ValueError(f"{name}: expected a file, got {path} ({missing})")
    benches = bench or sorted(Path("docs/data").glob("bench-*.json"))
    signed = sign_off or sorted(Path("docs/data").glob("signoff-*.json"))
    with status("drawing"):
        evidence = gather(task, trained, cells, benches, signed, histograms)
        text = page(evidence)
    make_folder(output, "--output")
    write_text(output / "index.html", "--output", text)
    out.say(f"{output / 'index.html'}: {len(text.encode()):,} bytes")


def page(evidence: Evidence) -> str:
    """The whole page: sections of a title, content, and the commands that made the figures."""
    sections = (
        (
            "Formats",
            _formats(evidence),
            "tilebert table; tilebert sweep --unit array --seed 1 --seed 2 --seed 3",
        ),
        (
            "Accuracy against area",
            _plane(evidence, "area"),
            "tilebert table; tilebert sweep --unit array",
        ),
        (
            "Accuracy against speed",
            _plane(evidence, "speed"),
            "tilebert sweep --unit array --seed 1 --seed 2 --seed 3",
        ),
        (
            "Utilization by shape",
            _utilization(evidence),
            "tilebert bench --model MODEL --tokens N --mode MODE --json FILE",
        ),
        (
            "Sign-off",
            _signed(evidence),
            "tilebert synth --unit core --pnr --mode MODE --rows R --cols C --json FILE",
        ),
        ("Resources by unit", _resources(evidence), "tilebert synth --unit core --pnr --json FILE"),
        ("Weights in each format", _histograms(evidence), "tilebert formats -o DIR"),
        ("Others", _peers(evidence), ""),
    )
    return framed(sections)


def _formats(evidence: Evidence) -> str:
    rows = []
    for subject in SUBJECTS:
        before, after = evidence.accuracy.get(subject.label, (None, None))
        costs = {cost.dsp: cost for cost in evidence.costs[subject.label]}
        fast = costs.get(True) or costs.get(False)
        with_blocks = costs[True].comb_per_mac if True in costs else None
        rows.append(
            [
                subject.label,
                str(subject.mode.products),
                number(before, 2),
                number(after, 2),
                "none needed" if "log" in subject.mode_name else number(with_blocks, 1),
                number(costs[False].comb_per_mac if False in costs else None, 1),
                number(fast.mhz if fast else None, 1),
                number(fast.gops if fast else None, 1),
            ]
        )
    heads = [
        "format",
        "products per PE and cycle",
        f"{evidence.metric}, post-training, %",
        f"{evidence.metric}, trained, %",
        "COMB per product, with multipliers",
        "COMB per product, without",
        "MHz, worst seed",
        "GOPS",
    ]
    base = number(evidence.float_figure, 2)
    lead = (
        "<p>The linear GEMMs of all-MiniLM-L6-v2 in each format; attention's two products stay in "
        "w8a8. "
        f"Accuracy: {evidence.metric} on the dev split of {task_of(evidence.task).folder} "
        f"({escape(evidence.task)}), in FP32 {base} %. Cost: the {SIZE} x {SIZE} array that "
        "computes the linear "
        "GEMMs on LFE5U-85F, speed grade 6, edge decoders, skew and drain included. One product "
        "slot is one "
        "multiply-accumulate (MAC); 1 GOPS is 10<sup>9</sup> multiplications and additions a "
        "second at the array.</p>"
    )
    return lead + table(heads, rows)


def _plane(evidence: Evidence, what: str) -> str:
    spots = []
    for subject in SUBJECTS:
        figure = evidence.accuracy.get(subject.label)
        for cost in evidence.costs[subject.label]:
            x = cost.comb_per_mac if what == "area" else cost.gops
            if figure is not None and x is not None:
                spots.append(Spot(subject.label, x, figure[1], marked=cost.dsp))
    if not spots:
        return NOT_RUN
    label = "COMB per MAC" if what == "area" else f"GOPS of {SIZE} x {SIZE} PEs, worst seed"
    body = both(
        lambda width: charts.scatter(
            spots, label, f"{evidence.metric}, trained, %", width, less=what == "area"
        )
    )
    return (
        "<p><span class='dot mark'></span> one multiplier block per PE &nbsp; <span "
        "class='dot'></span> no multiplier. "
        "The line joins what no other beats in both (Pareto).</p>" + body
    )


def _utilization(evidence: Evidence) -> str:
    values = {}
    for record in evidence.benches:
        layer = next(each for each in record["results"] if each["gemm"] == "layer")
        size = f"{record['rows']}x{record['cols']}, {record['bus']} B a cycle"
        name = f"{record['model']}, {record['tokens']} tokens\n{record['mode']}, {size}"
        values[name] = 100 * layer["utilization"]
    if not values:
        return NOT_RUN
    lead = (
        "<p>Useful products over product slots of one encoder layer, loads included, "
        "counted in simulated RTL.</p>"
    )
    return lead + both(lambda width: charts.bars(values, "%", width, digits=1))


def _signed(evidence: Evidence) -> str:
    """The table of sign-offs: cells, frequency by seed, GOPS of the slowest and fastest mode."""
    rows = []
    for record in evidence.sign_offs:
        products = [
            record["rows"] * record["cols"] * mode(name, record["exponent_bits"]).products
            for name in record["modes"]
        ]
        slowest = min(record["fmax_mhz"].values(), default=None)
        speeds = [] if slowest is None else [2 * count * slowest / 1000 for count in products]
        cells = record["cells"]
        rows.append(
            [
                f"{record['unit']} {record['rows']} x {record['cols']}",
                _modes(record),
                *(f"{cells[name]:,.0f}" for name in ("COMB", "FF", "DSP", "BRAM")),
                span(products, 0),
                ", ".join(f"{mhz:.1f}" for mhz in record["fmax_mhz"].values()) or "not routed",
                span(speeds, 1) if speeds else "not routed",
            ]
        )
    heads = [
        "build",
        "modes",
        "COMB",
        "FF",
        "multipliers",
        "block RAMs",
        "products per cycle",
        "MHz, by seed",
    ]
    lead = (
        "<p>Whole units, placed and routed on the named part. GOPS at the array, at the slowest "
        "seed; from the mode "
        "of fewest products to that of most.</p>"
    )
    return lead + table([*heads, "GOPS"], rows) if rows else NOT_RUN


def _modes(record: dict[str, Any]) -> str:
    """The modes of a build; log2 modes with their exponent bits."""
    bits = record["exponent_bits"]
    return ", ".join(f"{name} ({bits})" if "log" in name else name for name in record["modes"])


def _resources(evidence: Evidence) -> str:
    parts = []
    for record in evidence.sign_offs:
        units = {name: cells["COMB"] for name, cells in record["cells_by_unit"].items()}
        ordered = dict(sorted(units.items(), key=lambda item: -item[1]))
        title = f"{record['unit']} {record['rows']} x {record['cols']}, {_modes(record)}"
        parts.append(f"<h3>{escape(title)}, on {escape(record['device'])}</h3>")
        parts.append(both(partial(charts.bars, ordered, "COMB")))
    return "".join(parts) or NOT_RUN


def _histograms(evidence: Evidence) -> str:
    data = evidence.histograms
    if not data:
        return NOT_RUN
    edges = np.array(data["relative_error_edges"])
    errors = {
        label: Histogram(edges, np.array(each["counts"]), each["below"], each["above"])
        for label, each in data["weight_errors"].items()
    }
    counts = {label: np.array(each["counts"]) for label, each in data["code_usage"].items()}

    def drawn(figure: Figure) -> str:
        plots.inked(figure, charts.INK, charts.SOFT)
        return charts.svg(figure)

    return both(
        lambda width: drawn(
            plots.errors(
                "Relative error of weights",
                "%",
                "share of weights in %",
                errors,
                3 if width > NARROW else 1,
            )
        )
    ) + both(
        lambda width: drawn(
            plots.usage("Use of codes", "share of weights in %", counts, 3 if width > NARROW else 1)
        )
    )


def _peers(evidence: Evidence) -> str:
    ours = {cost.dsp: cost for cost in evidence.costs["w8a8"]}
    wanted = (
        (True, "comb_per_mac", 1),
        (True, "ff_per_mac", 1),
        (False, "comb_per_mac", 1),
        (True, "mhz", 0),
    )
    own = [number(getattr(ours.get(dsp), name, None), digits) for dsp, name, digits in wanted]
    arrays = table(
        [
            "64 int8 MACs on LFE5U-85F",
            "COMB per MAC",
            "FF per MAC",
            "COMB without multipliers",
            "MHz",
        ],
        [
            [f"tilebert, w8a8 {SIZE} x {SIZE}, worst seed", *own],
            *([name, comb, ff, without, mhz] for name, comb, ff, without, mhz in ARRAYS),
        ],
    )
    published = table(["published", "figure", "source"], [list(row) for row in PUBLISHED])
    lead = (
        "<p>Other arrays under the same tools (Yosys 0.70, nextpnr 0.11, one or two seeds, ±10 %). "
        "None computes 4-bit "
        "packed, log2 or dual-scale products, none switches formats at run time.</p>"
    )
    return lead + arrays + published
