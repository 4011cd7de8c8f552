"""What a comparison of methods finds: curves of hypervolume over evaluations, and the methods that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cimbo.benchmarking import runner
from cimbo.benchmarking.method import Array
from cimbo.benchmarking.runner import Band, Run, Volume
from cimbo.problem.objectives import Problem


def looked_at(budget: int, share: float) -> int:
    """Choose the number of evaluations at which methods are compared after a share of their budget.

    Args:
        budget: Evaluations of a run.
        share: Share of them, 0 to 1.

    Returns:
        The first point of the curves that is at least that share, rounded.
    """
    least = max(round(share * budget), 1)
    return next(n for n in runner.checkpoints(budget) if n >= least)


@dataclass(frozen=True)
class MethodCurve:
    """Anytime hypervolume of one method over its seeds.

    Attributes:
        method: Its name.
        seeds: The seeds that were run.
        evaluations: Numbers of evaluations, ascending.
        median: Hypervolume after each of them, the median over the seeds.
        least: The least.
        most: The largest.
        overhead_s: The method's own CPU seconds an evaluation, the median over the seeds.
        feasible: For each seed, how many of its evaluations keep the constraints.
        by_seed: For each seed the hypervolume after each of ``evaluations``.
        costs: "computed" where the method may compute costs exactly while it searches; else
            "learned", as it sees them in evaluations alone.
    """

    method: str
    seeds: tuple[int, ...]
    evaluations: tuple[float, ...]
    median: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]
    overhead_s: float
    feasible: tuple[int, ...]
    by_seed: tuple[tuple[float, ...], ...]
    costs: str = "learned"

    def median_at(self, share: float) -> tuple[int, float]:
        """Return how far the method was after a share of its budget.

        Args:
            share: Share of the budget, 0 to 1.

        Returns:
            The number of evaluations as `looked_at` chooses it, and the median hypervolume then.
        """
        after = looked_at(round(self.evaluations[-1]), share)
        return after, self.median[self.evaluations.index(after)]

    def band(self) -> Band:
        """Return the curve as arrays, to be drawn."""
        return Band(
            self.method,
            np.array(self.evaluations),
            np.array(self.median),
            np.array(self.least),
            np.array(self.most),
            np.array(self.by_seed),
        )

    def to_json(self) -> dict[str, Any]:
        """The curve as ``cimbo compare --format json`` lists it; ``final``: the end of each seed's curve."""
        by_seed = {}
        final = {}
        for seed, curve in zip(self.seeds, self.by_seed, strict=True):
            by_seed[str(seed)] = list(curve)
            final[str(seed)] = curve[-1]
        return {
            "seeds": list(self.seeds),
            "evaluations": list(self.evaluations),
            "hypervolume": {
                "median": list(self.median),
                "least": list(self.least),
                "most": list(self.most),
                "by_seed": by_seed,
                "final": final,
            },
            "overhead_s": self.overhead_s,
            "feasible": list(self.feasible),
            "costs": self.costs,
        }


@dataclass(frozen=True)
class FailedMethod:
    """A method that raised in one of its runs: with which seed, and what. A curve of it is of the seeds before."""

    method: str
    seed: int
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Curves of methods at equal budget; ``evaluated`` says what the evaluations were."""

    title: str
    curves: tuple[MethodCurve, ...]
    budget: int
    evaluated: str
    failed: tuple[FailedMethod, ...] = ()

    def svg(self) -> str:
        """The curves as a picture."""
        from cimbo.plots import curves

        bands = [curve.band() for curve in self.curves]
        return curves.svg([curves.Panel(self.title, "hypervolume", bands)])

    def to_json(self) -> dict[str, Any]:
        """The document of ``cimbo compare --format json``."""
        return {
            "methods": {curve.method: curve.to_json() for curve in self.curves},
            "failed": [asdict(each) for each in self.failed],
            "budget": self.budget,
            "evaluated": self.evaluated,
        }


def method_curves(
    runs: Sequence[Run], problem: Problem, volume: Volume, budget: int
) -> tuple[MethodCurve, ...]:
    """Make the curve of every method from its runs.

    Args:
        runs: Runs of all methods and seeds.
        problem: Says which designs are feasible.
        volume: From metrics of feasible designs to hypervolume.
        budget: Evaluations of a run.

    Returns:
        A curve a method, in the order in which they first appear; its overhead is the median over
        its runs, in CPU seconds an evaluation.
    """
    curves = []
    for band in runner.bands(runs, problem, volume, runner.checkpoints(budget)):
        own = [run for run in runs if run.method == band.method]
        curve = MethodCurve(
            band.method,
            tuple(run.seed for run in own),
            tuple(band.at.tolist()),
            tuple(band.median.tolist()),
            tuple(band.low.tolist()),
            tuple(band.high.tolist()),
            float(np.median([run.overhead_s for run in own])),
            tuple(len(run.feasible(problem)) for run in own),
            _as_tuples(band.by_seed),
        )
        curves.append(curve)
    return tuple(curves)


def _as_tuples(by_seed: Array | None) -> tuple[tuple[float, ...], ...]:
    """The curves of seeds (seeds, k) as plain numbers."""
    if by_seed is None:
        return ()
    return tuple(tuple(curve) for curve in by_seed.tolist())


def reached_in_words(run: Run, problem: Problem, reached: float, budget: int) -> str:
    """Say how much of a run counts, and why a hypervolume is 0.

    Args:
        run: One method, one seed.
        problem: Its constraints and references.
        reached: Hypervolume of the run.
        budget: How many evaluations it could make.

    Returns:
        Words to append to the line of the run; none where every design is feasible and some beat
        the reference.
    """
    feasible, made = len(run.feasible(problem)), len(run.measured)
    failed = sum(measured is None for measured in run.measured)
    told = ""
    if made < budget:
        told += f"; asked no more after {made} of {budget} evaluations: ask returned no designs"
    if failed:
        told += f"; {failed} of {made} failed"
    if feasible < made - failed:
        told += f"; {feasible} of {made} keep the constraints ({_bounds(problem)})"
    if reached == 0 and feasible:
        beaten = _references(problem)
        told += f"; none of these is better than the reference in every objective ({beaten})"
    return told


def _bounds(problem: Problem) -> str:
    return ", ".join(f"{c.metric} {c.relation} {c.bound:.4g}" for c in problem.constraints)


def _references(problem: Problem) -> str:
    return ", ".join(f"{o.name} {o.reference}" for o in problem.objectives)
