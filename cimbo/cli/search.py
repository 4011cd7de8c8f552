"""``cimbo optimize`` and ``cimbo fit-predictors``: the two commands that evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cimbo.cli.grouped import command, output_option
from cimbo.cli.options import AskedStudy, at_least_one, evaluation_options, new_study_options
from cimbo.cli.output import emit, format_option, say
from cimbo.cli.progress import watched
from cimbo.cli.values import numbers_of_objectives
from cimbo.cli.view import print_front
from cimbo.cli.what_if import narrowed, what_if_options
from cimbo.optimizer.convergence import MIN_GAINS
from cimbo.session.finalists import DEFAULT_BIT_ACCURATE_IMAGES
from cimbo.session.listeners import hearing
from cimbo.session.optimize import COST_MODELS, DEFAULT_BUDGET, Optimization
from cimbo.session.predictors import FittedPredictors, Scores
from cimbo.session.workers import Workers


@command()
@click.option(
    "--budget",
    type=int,
    default=DEFAULT_BUDGET,
    show_default=True,
    callback=at_least_one,
    help="Total number of evaluations in the study; those that it holds already or other processes make now count.",
)
@click.option(
    "--predictors",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder of bundles to start from.",
)
@click.option(
    "--accuracy-budget",
    type=int,
    default=None,
    callback=at_least_one,
    help="Total number of accuracies to measure; after that only new chips for measured networks are tried.",
)
@click.option(
    "--until-converged",
    type=float,
    is_flag=False,
    flag_value=1.0,
    default=None,
    metavar="[PERCENT]",
    help="Stop when 50 more evaluations are expected to add less than PERCENT of hypervolume [1].",
)
@click.option(
    "--async",
    "asynchronous",
    is_flag=True,
    help="No batches: each free worker gets a new candidate at once, chosen with regard to those under evaluation.",
)
@click.option("--warm-from", metavar="OTHER.db", default=None, help="Another study to start from.")
@click.option(
    "--cost-model",
    type=click.Choice(COST_MODELS),
    default="auto",
    show_default=True,
    help="Compute costs exactly while searching (analytic), or predict them (surrogate). auto: computed by "
    "cimbo's own chip model, predicted for any other simulator.",
)
@click.option(
    "--bit-accurate-images",
    type=int,
    default=DEFAULT_BIT_ACCURATE_IMAGES,
    show_default=True,
    help="At the end simulate the arrays of the front bit by bit, on at most so many test images, and rank it anew; 0: do not.",
)
@click.option(
    "--zigzag/--no-zigzag",
    "simulates_bounds",
    default=True,
    help="If ZigZag is installed, let it simulate designs of the front whose costs cimbo can only bound.",
)
@click.option(
    "--near",
    default=None,
    help="What you prefer: search about here on the front: accuracy=90,latency_ms=0.01. What is far from it does not count.",
)
@click.option(
    "--prefer",
    default=None,
    help="How much each objective matters: accuracy=2,latency_ms=1. The search goes on where the front is preferred.",
)
@click.option("--retry-failed", is_flag=True, help="First evaluate failed designs again.")
@click.option(
    "--listener",
    "listeners",
    multiple=True,
    metavar="NAME[=TEXT]",
    help="Report progress to a plug-in too, such as one for TensorBoard; may be given several times.",
)
@what_if_options
@evaluation_options
@new_study_options
@format_option
def optimize(
    *,
    budget: int,
    asked: AskedStudy,
    workers: Workers,
    fixes: tuple[str, ...],
    limits: tuple[str, ...],
    listeners: tuple[str, ...],
    style: str,
    near: str | None,
    prefer: str | None,
    **settings: Any,
) -> int:
    """Search for the best networks and chips, evaluate every candidate, and print the front. The same command resumes.

    Example: cimbo optimize --preset fmnist-vit --budget 200 --study vit.db
    """
    if near is not None:
        settings["near"] = numbers_of_objectives("--near", near, "accuracy=90,latency_ms=0.01")
    if prefer is not None:
        settings["prefer"] = numbers_of_objectives("--prefer", prefer, "accuracy=2,latency_ms=1")
    with asked.open(accept_changed=settings["accept_changed"]) as whole:
        session = narrowed(whole, fixes, limits)
        with watched(session.study) as progress, hearing(listeners, progress) as listener:
            found = session.optimize(budget, workers=workers, listener=listener, **settings)
    say(str(found.forecast or no_forecast(found)))
    print_front(found.front, style)
    if found.nearest_to_feasible:
        say(found.nearest_to_feasible)
    return 0 if found.succeeded else 1


def no_forecast(found: Optimization) -> str:
    """Say why nothing is forecast.

    Args:
        found: What a search came to.

    Returns:
        What is missing, and how much of it.
    """
    if not found.has_references:
        return "no forecast of the hypervolume: it takes a reference for every objective, given when a study begins"
    return (
        f"no forecast yet: it takes a feasible design and {MIN_GAINS} evaluations after the first "
        f"that the search proposed; it has proposed {found.proposed}"
    )


@command()
@click.option(
    "--samples",
    type=int,
    default=100,
    show_default=True,
    callback=at_least_one,
    help="Total number of sampled designs to fit to.",
)
@output_option("Folder for the bundles.", "bundles")
@click.option(
    "--licence", default="", help="Terms under which the bundles may be used; stored in them."
)
@evaluation_options
@new_study_options
@format_option
def fit_predictors(
    *, samples: int, asked: AskedStudy, workers: Workers, style: str, **options: Any
) -> None:
    """Evaluate a sample of designs, fit surrogates to them, judge how well these predict, and write them to files.

    Example: cimbo fit-predictors --samples 100 --out bundles
    """
    opened = asked.open(accept_changed=options["accept_changed"])
    with opened as session, watched(session.study) as progress:
        fitted = session.fit_predictors(samples, workers=workers, listener=progress, **options)
    emit(style, _rows(fitted), fitted.to_json())
    _say_reasons(fitted)
    say(f"bundles: {', '.join(fitted.bundles)}; which genes matter: {fitted.picture}")


def _say_reasons(fitted: FittedPredictors) -> None:
    for metric, objective in fitted.objectives.items():
        say(f"{metric}: {objective.reason()}; {objective.best.next_step}")
        say(f"{metric}: Kendall's tau by evaluations fitted: {objective.learning()}")


def _rows(fitted: FittedPredictors) -> list[dict[str, Any]]:
    """A line for each kind of predictor of each objective."""
    rows = []
    for metric, objective in fitted.objectives.items():
        for kind, scores in objective.kinds.items():
            chosen = "*" if kind == objective.kind else ""
            row = {"objective": metric, "kind": kind, "chosen": chosen}
            rows.append(row | _numbers(scores))
    return rows


def _numbers(scores: Scores) -> dict[str, Any]:
    """Scores without what is no number."""
    numbers = scores.to_json()
    for name in ("next_step", "curve"):
        numbers.pop(name)
    return numbers
