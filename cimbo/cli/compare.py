"""``cimbo compare``: search methods at equal budget on the same problem."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import click

from cimbo.benchmarking import METHOD_MODULES, QUICK_METHODS
from cimbo.benchmarking.problem_sets import known_names
from cimbo.benchmarking.ranks import MIN_PROBLEMS, Ranking
from cimbo.cli.grouped import command
from cimbo.cli.options import AskedStudy, at_least_one, new_study_options
from cimbo.cli.output import emit, format_option
from cimbo.session import benchmark, comparison
from cimbo.session.text import write_text

COLUMNS_TOLD = (
    "overhead_s: CPU seconds of the method itself for each evaluation; costs: computed where a method "
    "may compute costs while it searches, learned where it sees them in evaluations alone"
)
FEW_PROBLEMS = (
    f"no test of significance: it takes {MIN_PROBLEMS} problems that tell methods apart (and Friedman's "
    f"{MIN_PROBLEMS} methods), so friedman_p and its like are null"
)


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
    help=f"Methods to compare, of {', '.join(METHOD_MODULES)}, with commas; package:object is one of yours.",
)
@click.option(
    "--problem",
    "problems",
    default=None,
    help="Instead of the study: public and generated problems, and CIM-NAS-Bench, with commas and *: "
    "zdt1,cim-nas-bench-*. list: print their names.",
)
@click.option(
    "--batch",
    type=int,
    default=comparison.COMPARED_BATCH,
    show_default=True,
    callback=at_least_one,
    help="Designs that a method proposes at a time.",
)
@click.option(
    "--evaluate",
    type=click.Choice(comparison.EVALUATION_MODES),
    default="auto",
    show_default=True,
    help="Evaluate for real, or replay: ask predictors fitted to the study's evaluations. auto: replay if there are 30.",
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
    *,
    asked: AskedStudy,
    methods: str,
    problems: str | None,
    plot: Path | None,
    style: str,
    **numbers: Any,
) -> None:
    """Compare random search, NSGA-II, TPE, LINAS-like, cimbo and others at equal budget; nothing is stored.

    Example: cimbo compare --budget 100 --seeds 5 --plot curves.svg
    """
    names = tuple(name for name in methods.split(",") if name)
    settings = comparison.ComparisonSettings(methods=names, **numbers)
    if problems == "list":
        names_known = known_names()
        emit(style, [{"problem": name} for name in names_known], names_known)
        return
    if problems is not None:
        _on_problems(problems, settings, plot, style)
        return
    config, problem, records = comparison.subject(asked.file, asked.described())
    found = comparison.compare(config, problem, records, settings)
    if plot is not None:
        write_text(plot, found.svg())
    emit(style, [_row(curve) for curve in found.curves], found.to_json())
    click.echo(COLUMNS_TOLD, err=True)


def _on_problems(
    problems: str, settings: comparison.ComparisonSettings, plot: Path | None, style: str
) -> None:
    """A line for each problem and method, then the mean ranks on stderr."""
    found = benchmark.compare_problems(problems, settings)
    if plot is not None:
        write_text(plot, found.svg())
    emit(style, _rows(found), found.to_json())
    click.echo(COLUMNS_TOLD, err=True)
    _say_ranks(found)


def _rows(found: benchmark.ProblemsComparison) -> list[dict[str, Any]]:
    rows = []
    for compared in found.comparisons:
        rows += [{"problem": compared.title, **_row(curve)} for curve in compared.curves]
    return rows


def _say_ranks(found: benchmark.ProblemsComparison) -> None:
    for evaluations, ranked in found.rankings.items():
        click.echo(f"mean rank after {evaluations}: {_ranks(ranked)}", err=True)
    if len(found.comparisons) - len(found.left_out) < MIN_PROBLEMS:
        click.echo(FEW_PROBLEMS, err=True)


def _ranks(ranked: Ranking) -> str:
    """The mean rank of each method, and whether the methods differ."""
    pairs = zip(ranked.methods, ranked.mean_rank, strict=True)
    told = ", ".join(f"{method} {rank:.2f}" for method, rank in pairs)
    return told + _significance(ranked)


def _significance(ranked: Ranking) -> str:
    """What the tests of a ranking say, in words."""
    if ranked.critical_difference is None or ranked.friedman_p is None:
        return ""
    friedman = (
        f"were all methods alike, ranks would differ so much with p = {ranked.friedman_p:.2g}"
    )
    return f" ({friedman}, Friedman; ranks {ranked.critical_difference:.2f} apart differ at 5 %)"


def _row(curve: comparison.MethodCurve) -> dict[str, Any]:
    """Median hypervolume at a quarter, half and all of the budget, its range, what is feasible, the method's own time."""
    row: dict[str, Any] = {"method": curve.method, "seeds": len(curve.seeds)}
    for share in (0.25, 0.5, 1.0):
        evaluations, hypervolume = curve.median_at(share)
        row[f"after_{evaluations}"] = hypervolume
    row["least"] = curve.least[-1]
    row["most"] = curve.most[-1]
    row["feasible"] = round(statistics.median(curve.feasible))
    row["overhead_s"] = curve.overhead_s
    row["costs"] = curve.costs
    return row
