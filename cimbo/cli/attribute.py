"""``cimbo attribute``: what the network alone, the chip alone and both together gain over the baseline."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import click

from cimbo.cli.grouped import command
from cimbo.cli.options import at_least_one, existing, existing_to_write
from cimbo.cli.output import emit, format_option, say
from cimbo.cli.progress import Progress
from cimbo.session import attribution
from cimbo.session.attribution_result import Attribution, Speedup
from cimbo.session.session import Session
from cimbo.session.text import genes_text
from cimbo.session.workers import Workers

SHOWN_METRICS = ("accuracy_test", "latency_ms", "energy_uj", "area_mm2")


@command()
@click.argument("files", nargs=-1, metavar="[STUDY]...")
@click.option(
    "--within",
    type=float,
    default=attribution.DEFAULT_WITHIN,
    show_default=True,
    help="Points of accuracy a design may lack.",
)
@click.option(
    "--complete",
    type=int,
    default=0,
    metavar="N",
    help="Also search with the chip fixed and with the network fixed, N evaluations each, in files beside "
    "the study; the same command resumes.",
)
@click.option(
    "--test",
    "measure",
    is_flag=True,
    help="Measure winners on test images where that was not done yet.",
)
@click.option(
    "--jobs",
    type=int,
    default=1,
    show_default=True,
    callback=at_least_one,
    help="Evaluations at a time, with --complete.",
)
@format_option
def attribute(
    *, files: tuple[str, ...], within: float, complete: int, measure: bool, jobs: int, style: str
) -> None:
    """Tell how much of the speed-up over the baseline, at its accuracy, comes from the network, from the chip, and from both.

    The baseline is the largest network on the chip that the preset draws. Several studies of one problem (seeds) give
    an interval over them; one study gives a bootstrap interval. Default: cimbo.db.

    Example: cimbo attribute seed0.db seed1.db --within 0.3
    """
    with ExitStack() as stack, Progress(0) as progress:
        workers = Workers(jobs=jobs)
        settings = attribution.AttributionSettings(within, complete, measure, workers, progress)
        studies = []
        for file in files or ("cimbo.db",):
            studies.append(stack.enter_context(_open(file, measure)))
        found = attribution.attribute(studies, settings)
    emit(style, [_row(found, speedup, style) for speedup in found.speedups], found.to_json())
    if style == "table":
        click.echo("\nwith other baselines, at their accuracy and area:\n")
        emit(style, [baseline.to_json() for baseline in found.baselines], None)
    for line in _remarks(found):
        say(line)


def _open(file: str, measure: bool) -> Session:
    """A study to read, or one that measurements are added to."""
    if measure:
        return existing_to_write(file)
    return existing(file)


def _row(found: Attribution, speedup: Speedup, style: str) -> dict[str, Any]:
    """A line a condition and side; of several studies, the design of the best one."""
    best = speedup.points[speedup.each.index(max(speedup.each))]
    row: dict[str, Any] = {
        "held": speedup.held,
        "side": speedup.side,
        "speedup": speedup.speedup,
        "low": speedup.low,
        "high": speedup.high,
        "accuracy": best.metrics["accuracy"],
    }
    for name, value in best.metrics.items():
        if name in SHOWN_METRICS:
            row[name] = value
    if style == "csv":
        row["accuracy_is"] = found.accuracy["kind"]
    row["candidates"] = min(speedup.candidates)
    row["hardware"] = genes_text(best.hardware)
    return row


def _remarks(found: Attribution) -> list[str]:
    metrics = ", ".join(f"{k} {v:.5g}" for k, v in found.baseline.metrics.items())
    chip = genes_text(found.baseline.hardware)
    return [
        f"baseline: largest network on the chip of {found.drawn_by}: {chip}; {metrics}",
        f"a design counts within {found.within:g} points of its accuracy; interval: {found.interval}",
        _checked(found),
    ]


def _checked(found: Attribution) -> str:
    """How far the accuracies of the winners were measured on images that no search saw."""
    if found.accuracy["kind"] != "measured":
        return str(found.accuracy["label"])
    if found.all_tested:
        return "every winner was checked on test images"
    return "winners were not all checked on test images (--test)"
