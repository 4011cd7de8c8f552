"""``cimbo compare``: search methods at equal budget on the same problem."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cimbo.benchmarking import METHOD_MODULES, QUICK_METHODS
from cimbo.benchmarking.problem_sets import known_names
from cimbo.benchmarking.ranks import MIN_PROBLEMS, Ranking
from cimbo.cli.grouped import command
from cimbo.cli.options import AskedStudy, at_least_one, new_study_options
from cimbo.cli.output import emit, format_option
from cimbo.errors import BadInput
from cimbo.session import benchmark, comparison
from cimbo.session.method_curves import Comparison, MethodCurve
from cimbo.session.text import write_text

COLUMNS_TOLD = (
    "overhead_s: CPU seconds of the method itself for each evaluation; costs: computed where a method "
    "may compute costs while it searches, learned where it sees them in evaluations alone"
)
FEW_PROBLEMS = (
    f"no test of significance: it takes {MIN_PROBLEMS} problems that tell methods apart (and Friedman's "
    f"{MIN_PROBLEMS} methods), so friedman_p and its like are null"
)

TALK_NAMES = ("quiet", "verbose", "log_file")
USED_WITH_PROBLEM = (
    "problems",
    "methods",
    "budget",
    "seeds",
    "seed",
    "batch",
    "plot",
    "style",
    *TALK_NAMES,
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
) -> int:
    """Compare random search, NSGA-II, TPE, LINAS-like, cimbo and others at equal budget; nothing is stored.

    --seed is the first of the seeds. A method that fails is a row that says so; exit code 1.

    Example: cimbo compare --budget 100 --seeds 5 --plot curves.svg
    """
    if plot is not None and plot.suffix not in ("", ".svg"):
        raise BadInput(
            "--plot", f"{plot} does not end in .svg", "name an SVG file: no other is drawn"
        )
    names = tuple(name for name in methods.split(",") if name)
    settings = comparison.ComparisonSettings(methods=names, first_seed=asked.seed or 0, **numbers)
    if problems == "list":
        names_known = known_names()
        emit(style, [{"problem": name} for name in names_known], names_known)
        return 0
    if problems is not None:
        _refuse_unused_options()
        return _on_problems(problems, settings, plot, style)
    config, problem, records = comparison.subject(asked.file, asked.described())
    found = comparison.compare(config, problem, records, settings)
    if plot is not None:
        write_text(plot, found.svg())
    emit(style, _rows_of(found), found.to_json())
    click.echo(COLUMNS_TOLD, err=True)
    return _code_of_failures([found])


def _refuse_unused_options() -> None:
    """Raises BadInput for an option of the study that is given beside --problem, where it would change nothing."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in USED_WITH_PROBLEM:
            continue
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = parameter.opts[0]
            raise BadInput(option, "is of a study, not of --problem", f"leave {option} out")


def _code_of_failures(compared: Sequence[Comparison]) -> int:
    """The exit code: 1 where a method failed, which stderr then says, else 0."""
    failed = dict.fromkeys(each.method for found in compared for each in found.failed)
    if failed:
        click.echo(f"failed: {', '.join(failed)}; the other methods are complete", err=True)
        return 1
    return 0


def _on_problems(
    problems: str, settings: comparison.ComparisonSettings, plot: Path | None, style: str
) -> int:
    """A line for each problem and method, then the mean ranks on stderr; the exit code."""
    found = benchmark.compare_problems(problems, settings)
    if plot is not None:
        write_text(plot, found.svg())
    emit(style, _rows(found), found.to_json())
    click.echo(COLUMNS_TOLD, err=True)
    _say_ranks(found)
    return _code_of_failures(found.comparisons)


def _rows(found: benchmark.ProblemsComparison) -> list[dict[str, Any]]:
    rows = []
    for compared in found.comparisons:
        rows += [{"problem": compared.title, **row} for row in _rows_of(compared)]
    return rows


def _rows_of(compared: Comparison) -> list[dict[str, Any]]:
    """A row for each method that came to its end with a seed, then one for each that failed with its first."""
    rows = {curve.method: _row(curve) for curve in compared.curves}
    for each in compared.failed:
        row = rows.setdefault(each.method, {"method": each.method})
        row["failed"] = f"seed {each.seed}: {each.reason}"
    return list(rows.values())


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


def _row(curve: MethodCurve) -> dict[str, Any]:
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
