"""Methods run side by side, and what came of it: the hypervolume after every evaluation, with the spread over seeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cimbo.benchmarking.method import Array, Measured, Peer
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import hypervolume
from cimbo.problem.space import Params

#: designs -> what each measured
Measure = Callable[[list[Params]], Sequence[Measured]]
#: metrics of feasible designs -> hypervolume
Volume = Callable[[Sequence[Mapping[str, float]]], float]


@dataclass(frozen=True)
class Run:
    """One method, one seed. ``measured``: every evaluation in order. overhead_s: the method's CPU seconds an evaluation."""

    method: str
    seed: int
    measured: list[Measured]
    overhead_s: float

    def feasible(self, problem: Problem, first: int | None = None) -> list[Mapping[str, float]]:
        """Select what counts of the run.

        Args:
            problem: Says which designs are feasible.
            first: Look at the first so many evaluations; None for all.

        Returns:
            Metrics of the evaluations that succeeded and keep the constraints, in order.
        """
        return [m for m in self.measured[:first] if m is not None and problem.feasible(m)]


@dataclass(frozen=True)
class Band:
    """Anytime hypervolume of one method over its seeds, after ``at`` evaluations: median, least and largest, each (k,)."""

    method: str
    at: Array
    median: Array
    low: Array
    high: Array


def race(peer: Peer, measure: Measure, budget: int, batch: int) -> tuple[list[Measured], float]:
    """Run a method until the budget is spent, or until it has no more designs.

    Args:
        peer: The method, as ``start`` returns it.
        measure: From designs to what each measured.
        budget: How many evaluations to make; repeated designs count.
        batch: How many designs are asked for at once.

    Returns:
        Every evaluation in order, and the method's own CPU seconds an evaluation.
    """
    measured: list[Measured] = []
    spent = 0.0
    while len(measured) < budget:
        start = time.process_time()
        designs = peer.ask(min(batch, budget - len(measured)))
        spent += time.process_time() - start
        if not designs:
            break
        answers = measure(designs)
        start = time.process_time()
        peer.tell(designs, answers)
        spent += time.process_time() - start
        measured += answers
    return measured, spent / max(len(measured), 1)


def natural(problem: Problem) -> Volume:
    """Make the hypervolume in natural units above a problem's references.

    Args:
        problem: A problem with a reference for every objective.

    Returns:
        From metrics of feasible designs to their hypervolume; 0 without designs.
    """
    reference = problem.reference()
    assert reference is not None
    return lambda metrics: hypervolume(problem.scores(metrics), reference) if metrics else 0.0


def anytime(run: Run, problem: Problem, volume: Volume, at: Sequence[int]) -> Array:
    """Compute the hypervolume in the course of a run.

    Args:
        run: One method, one seed.
        problem: Says which designs are feasible.
        volume: From metrics of feasible designs to hypervolume.
        at: k numbers of evaluations.

    Returns:
        (k,) hypervolume of the feasible designs among the first so many evaluations.
    """
    return np.array([volume(run.feasible(problem, n)) for n in at])


def bands(runs: Sequence[Run], problem: Problem, volume: Volume, at: Sequence[int]) -> list[Band]:
    """Compute how each method's hypervolume grows, over its seeds.

    Args:
        runs: Runs of all methods and seeds.
        problem: Says which designs are feasible.
        volume: From metrics of feasible designs to hypervolume.
        at: k numbers of evaluations.

    Returns:
        A band for each method, in the order in which they first appear.
    """
    found = []
    for method in dict.fromkeys(r.method for r in runs):
        curves = np.stack([anytime(r, problem, volume, at) for r in runs if r.method == method])
        found.append(
            Band(method, np.array(at, float), np.median(curves, 0), curves.min(0), curves.max(0))
        )
    return found


def checkpoints(budget: int) -> list[int]:
    """Choose after how many evaluations a run is looked at.

    Args:
        budget: Evaluations of a run.

    Returns:
        Evenly spaced numbers, the last of them ``budget``: every number up to a budget of 79, forty
        to sixty of a larger one.
    """
    return sorted({*range(max(budget // 40, 1), budget, max(budget // 40, 1)), budget})
