"""Search methods at equal budget over several problems that cost nothing, and their ranks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cimbo.benchmarking import check_names, problem_sets, runner, start
from cimbo.benchmarking.method import Task
from cimbo.benchmarking.problem_sets import BenchmarkProblem
from cimbo.benchmarking.ranks import Ranking, ranking
from cimbo.benchmarking.runner import Run
from cimbo.session.comparison import ComparisonSettings, runs_of_methods
from cimbo.session.method_curves import (
    Comparison,
    MethodCurve,
    looked_at,
    method_curves,
    reached_in_words,
)

logger = logging.getLogger("cimbo")
RANKED_SHARES = (0.25, 0.5, 1.0)  # of the budget, after which methods are ranked


@dataclass(frozen=True)
class ProblemsComparison:
    """Curves of methods on several problems, and their ranks.

    Attributes:
        comparisons: One a problem.
        rankings: Evaluations -> ranking of the methods by their median over the seeds then; empty
            where no problem tells methods apart.
        left_out: Problems on which every run of every method ended with 0; no ranks are of these.
    """

    comparisons: tuple[Comparison, ...]
    rankings: dict[int, Ranking]
    left_out: tuple[str, ...] = ()

    def svg(self) -> str:
        """A panel a problem."""
        from cimbo.plots import curves

        panels = []
        for compared in self.comparisons:
            bands = [curve.band() for curve in compared.curves]
            panels.append(curves.Panel(compared.title, compared.evaluated, bands))
        return curves.svg(panels)

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo compare --problem ... --format json``."""
        return {
            "problems": {c.title: c.to_json() for c in self.comparisons},
            "left_out": list(self.left_out),
            "ranks": {str(n): found.to_json() for n, found in self.rankings.items()},
        }


def compare_problems(asked: str, settings: ComparisonSettings) -> ProblemsComparison:
    """Run search methods at equal budget over several seeds of several problems.

    Args:
        asked: Names of problems with commas, ``*`` for any letters; see `cimbo.benchmarking.problem_sets`.
        settings: What is compared; ``evaluate`` and ``jobs`` say nothing here.

    Returns:
        Curves and ranks.

    Raises:
        BadInput: For an unknown problem or method, or a method whose package is not installed.
    """
    found = problem_sets.find(asked)
    check_names(settings.methods, Task(found[0].problem, 0))
    comparisons = tuple(_compare(problem, settings) for problem in found)
    telling = [c for c in comparisons if any(curve.most[-1] > 0 for curve in c.curves)]
    left_out = tuple(c.title for c in comparisons if c.curves and c not in telling)
    if left_out:
        logger.warning(
            f"all methods have 0 on {', '.join(left_out)}: nothing is said of these in the ranks; "
            "give a larger --budget"
        )
    rankings = {}
    if telling:
        for share in RANKED_SHARES:
            after = looked_at(settings.budget, share)
            reached = _reached(comparisons, telling, after)
            if reached:
                rankings[after] = ranking(reached)
    return ProblemsComparison(comparisons, rankings, left_out)


def _compare(subject: BenchmarkProblem, settings: ComparisonSettings) -> Comparison:
    """Run every method with every seed on one problem."""
    runs, failed = runs_of_methods(settings, partial(_run, subject, settings))
    curves = method_curves(runs, subject.problem, subject.volume, settings.budget)
    return Comparison(subject.name, curves, settings.budget, subject.unit, failed)


def _run(subject: BenchmarkProblem, settings: ComparisonSettings, method: str, seed: int) -> Run:
    """One run of a method; says how far it came. Raises MethodFailure where the method raises."""
    started = start(method, Task(subject.problem, seed))
    measured, spent = runner.race(started, subject.measure, settings.budget, settings.batch)
    run = Run(method, seed, measured, spent)
    last = runner.anytime(run, subject.problem, subject.volume, [settings.budget])[0]
    words = reached_in_words(run, subject.problem, last, settings.budget)
    logger.info(f"{subject.name}, {method}, seed {seed}: {subject.unit} {last:.4g}{words}")
    return run


def _reached(
    comparisons: Sequence[Comparison], telling: Sequence[Comparison], after: int
) -> dict[str, list[float]]:
    """Method -> median on each problem after so many evaluations; of the methods that failed on none."""
    found: dict[str, list[float]] = {}
    failed = {each.method for compared in comparisons for each in compared.failed}
    for compared in telling:
        for curve in compared.curves:
            if curve.method in failed:
                continue
            found.setdefault(curve.method, []).append(_median_after(curve, after))
    return found


def _median_after(curve: MethodCurve, after: int) -> float:
    """The median at the first entry of a curve with so many evaluations, or at its end."""
    place = int(np.searchsorted(curve.evaluations, after))
    return curve.median[min(place, len(curve.median) - 1)]
