"""Commands that look at a study and change nothing."""

from __future__ import annotations

from typing import Any

import click

from cimbo.cli.front_table import front_table
from cimbo.cli.grouped import command
from cimbo.cli.options import existing, study_option
from cimbo.cli.output import emit, format_option, say, terminal_width
from cimbo.cli.output import show as show_text
from cimbo.cli.values import numbers_of_objectives
from cimbo.cli.watch import watch
from cimbo.cli.what_if import narrowed, what_if_options
from cimbo.errors import BadInput
from cimbo.session.design import Design
from cimbo.session.design_details import DesignDetails
from cimbo.session.error_bars import told
from cimbo.session.front import Front, key_or_knee
from cimbo.session.leases import Lease


@command()
@click.option(
    "--prefer",
    default=None,
    help="How much each objective matters, the best design first: accuracy=2,latency_ms=1.",
)
@click.option(
    "--near",
    default=None,
    help="About where on the front you would like to be, the nearest design first: accuracy=90,latency_ms=0.01.",
)
@what_if_options
@study_option
@format_option
def pareto(
    *,
    file: str,
    style: str,
    fixes: tuple[str, ...],
    limits: tuple[str, ...],
    prefer: str | None,
    near: str | None,
) -> None:
    """Print the front: the evaluated, feasible designs that no other beats; with --fix and --limit, of a part of the study.

    Example: cimbo pareto --limit area_mm2=3 --prefer accuracy=2,latency_ms=1
    """
    if prefer is not None and near is not None:
        raise BadInput("--near", "is given beside --prefer", "give one of them")
    with existing(file) as session:
        asked = narrowed(session, fixes, limits)
        front = asked.pareto()
        if prefer is not None:
            weights = numbers_of_objectives("--prefer", prefer, "accuracy=2,latency_ms=1")
            front = front.preferring(asked.study.problem, weights)
        if near is not None:
            target = numbers_of_objectives("--near", near, "accuracy=90,latency_ms=0.01")
            front = front.nearest_to(asked.study.problem, target)
        print_front(front, style)


def print_front(front: Front, style: str) -> None:
    """Print a front, and on stderr its knees and ends.

    A table has a line a design, and what all have in common below; CSV has a column for each gene.

    Args:
        front: The front.
        style: "json", "csv" or "table".
    """
    if style == "table":
        show_text(front_table(front.designs).text(terminal_width()) + "\n")
    else:
        emit(style, [_row(design) for design in front.designs], front.to_json())
    told = front.verified_told()
    if told is not None:
        say(told)
    if front.worse_than_references is not None:
        say(front.worse_than_references)
    if front.unvalidated is not None:
        say(front.unvalidated)
    if front.knees:
        say(f"knees of the front: {', '.join(key[:8] for key in front.knees)}")
    ends = front.ends_told()
    if ends is not None:
        say(ends)
    stopped = front.stopped.told()
    if stopped is not None:
        say(stopped)


def _row(design: Design) -> dict[str, Any]:
    """Everything of a design in its own column, the genes of network and chip included."""
    columns = design.measured_columns() | design.zigzag_columns()
    return columns | dict(design.architecture) | dict(design.hardware)


@command()
@click.argument("key", required=False)
@click.option(
    "--bit-accurate",
    is_flag=True,
    help="Measure its accuracy on bit-accurate arrays, on all validation images; takes minutes.",
)
@study_option
@format_option
def show(key: str | None, bit_accurate: bool, file: str, style: str) -> None:
    """Show one evaluated design; KEY may be shortened, and without it the knee of the front is shown.

    Example: cimbo show fad64b39 --study demo.db
    """
    with existing(file) as session:
        details = session.show(key_or_knee(session, key), bit_accurate=bit_accurate)
    emit(style, design_rows(details, style), details.to_json())


def design_rows(details: DesignDetails, style: str) -> list[dict[str, Any]]:
    """Write one design as rows.

    Args:
        details: What is known of it.
        style: How rows are printed: "table" has a line a fact.

    Returns:
        The rows.
    """
    return _facts(_flat(details), style)


def _flat(details: DesignDetails) -> dict[str, Any]:
    genes = {**details.design.architecture, **details.design.hardware}
    return {**details.about(), **genes, **_metrics_with_bars(details)}


def _metrics_with_bars(details: DesignDetails) -> dict[str, Any]:
    """The metrics, each followed by how far it may be off where that is known."""
    metrics: dict[str, Any] = {}
    for name, value in details.design.metrics.items():
        metrics[name] = value
        if name in details.error_bars:
            metrics[f"{name} may be"] = told(details.error_bars, name)
    return metrics


def _facts(document: dict[str, Any], style: str) -> list[dict[str, Any]]:
    """A document of facts: a line each as a table, one line as CSV."""
    if style == "table":
        return [{"what": name, "value": value} for name, value in document.items()]
    return [document]


@command()
@click.option(
    "--watch",
    "every_s",
    type=click.FloatRange(min=0.1),
    is_flag=False,
    flag_value=2.0,
    default=None,
    metavar="[SECONDS]",
    help="Look again every few seconds [2]: how fast, what failed, who is at work; Ctrl-C ends it.",
)
@study_option
@format_option
def status(file: str, style: str, every_s: float | None) -> None:
    """Show how far a study is, and what it searches.

    Example: cimbo status --study demo.db
    """
    if every_s is not None:
        watch(file, every_s)
        return
    with existing(file) as session:
        found = session.status()
    facts = found.to_json()
    facts.pop("leases", None)
    for lease in found.leases:
        facts[f"lease {lease.key}"] = _in_words(lease)
    emit(style, _facts(facts, style), found.to_json())


def _in_words(lease: Lease) -> str:
    """Who has a design, and for how long."""
    if lease.until:
        return f"{lease.by}, until {lease.until}"
    return f"{lease.by}, while it runs"
