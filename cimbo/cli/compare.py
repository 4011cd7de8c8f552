"""``cimbo compare``: search methods at equal budget on the same problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cimbo.benchmarking import METHOD_MODULES, QUICK_METHODS
from cimbo.cli.grouped import command
from cimbo.cli.options import AskedStudy, at_least_one, new_study_options
from cimbo.cli.output import emit, format_option
from cimbo.session import comparison
from cimbo.session.text import write_text


@command()
@click.option(
    "--budget",
    type=int,
    default=comparison.DEFAULT_COMPARED_BUDGET,
    show_default=True,
    callback=at_least_one,
    help="Evaluations of each method and seed.",
)
@click.option(
    "--seeds",
    type=int,
    default=comparison.DEFAULT_SEEDS,
    show_default=True,
    callback=at_least_one,
    help="Runs of each method.",
)
@click.option(
    "--methods",
    default=",".join(QUICK_METHODS),
    show_default=True,
    help=f"Some of {', '.join(METHOD_MODULES)}, with commas.",
)
@click.option(
    "--batch",
    type=int,
    default=comparison.COMPARED_BATCH,
    show_default=True,
    callback=at_least_one,
    help="Designs asked for at a time.",
)
@click.option(
    "--evaluate",
    type=click.Choice(comparison.EVALUATION_MODES),
    default="auto",
    show_default=True,
    help="For real, or by predictors of the study's own evaluations [auto: by those, where it has 30].",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    default=None,
    help="Also draw the curves into this SVG file.",
)
@click.option(
    "--jobs",
    type=int,
    default=1,
    show_default=True,
    callback=at_least_one,
    help="Real evaluations at a time.",
)
@new_study_options
@format_option
def compare(
    *, asked: AskedStudy, methods: str, plot: Path | None, style: str, **numbers: Any
) -> None:
    """Random search, NSGA-II, TPE, LINAS-like, cimbo and others at equal budget over several seeds; nothing is stored.

    Example: cimbo compare --budget 100 --seeds 5 --plot curves.svg
    """
    names = tuple(name for name in methods.split(",") if name)
    settings = comparison.ComparisonSettings(methods=names, **numbers)
    config, problem, records = comparison.subject(asked.file, asked.described())
    found = comparison.compare(config, problem, records, settings)
    if plot is not None:
        write_text(plot, found.svg())
    emit(style, [_row(curve) for curve in found.curves], found.to_json())


def _row(curve: comparison.MethodCurve) -> dict[str, Any]:
    """Median hypervolume at a quarter, half and all of the budget, its range, the method's own time."""
    row: dict[str, Any] = {"method": curve.method, "seeds": len(curve.seeds)}
    for share in (0.25, 0.5, 1.0):
        evaluations, hypervolume = curve.median_at(share)
        row[f"after_{evaluations}"] = hypervolume
    return row | {
        "least": curve.least[-1],
        "most": curve.most[-1],
        "overhead_s": curve.overhead_s,
    }
