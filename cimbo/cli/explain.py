"""``cimbo explain``: why a design costs what it costs, what to buy next, and whom it beat."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cimbo.analysis.neighbours import Neighbour
from cimbo.cli.grouped import command
from cimbo.cli.options import existing, study_option
from cimbo.cli.output import emit, format_option, say
from cimbo.cli.tables import as_table
from cimbo.errors import BadInput, cut_list
from cimbo.session.error_bars import told
from cimbo.session.explanation import INTERVAL_ENDING, Explanation, Rows
from cimbo.session.front import key_or_knee
from cimbo.session.simulation import pipeline_told
from cimbo.session.text import write_text

MOST_CHANGES_SHOWN = 4  # changed genes in a cell
BAR_WIDTH = 40
ACCURACY_ROWS = "accuracy"
NEIGHBOUR_ROWS = "neighbours"
PRINTED_ROWS = {
    "layers": Explanation.layer_rows,
    "prices": Explanation.price_rows,
    "front": Explanation.front_rows,
    NEIGHBOUR_ROWS: Explanation.neighbour_rows,
    ACCURACY_ROWS: Explanation.accuracy_rows,
}


@command()
@click.argument("key", required=False)
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    default=None,
    help="Write time and energy as an SVG file.",
)
@click.option(
    "--rows",
    "which",
    type=click.Choice(list(PRINTED_ROWS)),
    default="layers",
    show_default=True,
    help="What the table lists: layers; prices (shadow prices at this design); front (shadow prices along the front); "
    "neighbours; accuracy (points lost to each cause of error, and in each layer).",
)
@study_option
@format_option
def explain(*, key: str | None, picture: Path | None, which: str, file: str, style: str) -> None:
    """Explain a design: what each layer waits for, what a mm2, GB/s or ADC bit more would buy, and which designs it beat.

    KEY may be shortened; without it the knee of the front is explained.

    Example: cimbo explain fad64b39 --study demo.db --rows prices
    """
    with existing(file) as session:
        found = session.explain(key_or_knee(session, key), accuracy=which == ACCURACY_ROWS)
    # Only cimbo's own model knows layers. Of other simulators' designs only neighbours can be told.
    if not found.bottleneck:
        if picture is not None:
            what = "is a picture of layers, and cimbo's model does not know this design's"
            raise BadInput("--picture", what, "leave it out")
        if which in found.lacking:
            say(f"--rows {which}: {found.lacking[which]}; neighbours instead")
            which = NEIGHBOUR_ROWS
    emit(style, _written(PRINTED_ROWS[which](found)), found.to_json())
    if which == ACCURACY_ROWS:
        say(_accuracy_summary(found.accuracy))
    elif found.bottleneck:
        say(_summary(found, which))
    elif which != NEIGHBOUR_ROWS:
        say("neighbours, and by how much this design is better")
        say(as_table(_written(_closest(found.neighbour_rows()))))
    step = found.step_to_evaluate()
    if step is not None:
        say(
            f"predicted is not measured; to have such a step evaluated: {_evaluation(found.key, step, file)}"
        )
    if picture is not None:
        write_text(picture, found.picture())


def _evaluation(key: str, step: Neighbour, file: str) -> str:
    """The command that evaluates a step from a design."""
    words = ["cimbo", "evaluate", key]
    for gene, (_, value) in step.changes.items():
        if value is not None:
            words += ["--fix", f"{gene}={value}"]
    return shlex.join([*words, "--study", file])


def _summary(found: Explanation, which: str) -> str:
    """The text that goes to stderr beside the rows that were asked for."""
    lines = [
        _costs(found.breakdown),
        _bottleneck(found.bottleneck),
        *pipeline_told(found.breakdown),
        _bars("time by bound, ms", found.breakdown["time_by_bound_ms"]),
        _bars("energy by part, uJ", found.breakdown["energy_by_part_uj"]),
    ]
    if which != "prices":
        lines.append("what one unit more changes (negative: saves)")
        lines.append(as_table(found.price_rows()))
    if which != "neighbours":
        lines.append("neighbours, and by how much this design is better")
        lines.append(as_table(_written(_closest(found.neighbour_rows()))))
    return "\n".join(lines)


def _bottleneck(b: Mapping[str, Any]) -> str:
    """Which layer takes most of the time, and what most of the time waits for."""
    layer = f"{b['layer']} takes {100 * b['layer_share']:.0f} % of the time"
    waits = f"{100 * b['share']:.0f} % of all time waits for: {b['interface']}"
    return f"bottleneck: {layer} (bound by {b['layer_bound']}); {waits} ({_remedy(b['genes'])})"


def _accuracy_summary(accuracy: Mapping[str, Any]) -> str:
    """The accuracies without and with the errors of the arrays, between which the losses lie."""
    return (
        f"in float {accuracy['in_float']:.2f} %, with all errors {accuracy['as_described']:.2f} % of "
        f"{accuracy['images']} validation images; losses overlap and need not add up"
    )


def _costs(breakdown: Mapping[str, Any]) -> str:
    """Latency, energy and area, each with the error bar that published chips give it."""
    bars = {metric: tuple(bar) for metric, bar in breakdown["error_bars"].items()}
    schedule = f"schedule: {breakdown['schedule']}"
    costs = ", ".join(f"{name} {breakdown[name]:.4g} ({told(bars, name)})" for name in bars)
    if not breakdown["is_bound"]:
        return f"{costs}\n{schedule}"
    lines = [costs, schedule, f"bounds: latency_ms at least {breakdown['latency_ms_low']:.4g}"]
    if "latency_ms" in breakdown.get("zigzag", {}):
        lines.append(f"by ZigZag: latency_ms {breakdown['zigzag']['latency_ms']:.4g}")
    return "\n".join(lines)


def _closest(rows: Rows) -> Rows:
    """The measured neighbours, and of the computed ones those that are not beaten."""
    undecided = ("better", "trade-off", "too close to say")
    closest = []
    for row in rows:
        if row["how"] == "measured" or row["verdict"] in undecided:
            closest.append(row)
    return closest


def _remedy(genes: Sequence[str]) -> str:
    if genes:
        return f"widen with {' or '.join(genes)}"
    return "no searched gene widens it further"


def _written(rows: Rows) -> Rows:
    """Rows with every list in one cell, cut where it is long."""
    written = []
    for row in rows:
        cells = dict(row)
        for name, value in row.items():
            if name.endswith(INTERVAL_ENDING):
                cells[name] = f"{value[0]:.3g} to {value[1]:.3g}"
            elif isinstance(value, list):
                cells[name] = cut_list(value, MOST_CHANGES_SHOWN)
        written.append(cells)
    return written


def _bars(title: str, values: Mapping[str, float]) -> str:
    """A bar of signs for each value above 0, the largest first."""
    total = sum(values.values()) or 1.0
    largest_first = sorted(((value, name) for name, value in values.items()), reverse=True)
    lines = [title]
    for value, name in largest_first:
        if value > 0:
            lines.append(_bar(name, value, total))
    return "\n".join(lines)


def _bar(name: str, value: float, total: float) -> str:
    """A line with the value, its share of the total, and a bar of that length."""
    signs = "#" * round(BAR_WIDTH * value / total)
    return f"  {name:13} {value:10.4g} {100 * value / total:5.1f} %  {signs}".rstrip()
