"""Runs search methods at equal budgets, and computes their hypervolume in the course of a run, with its range over seeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cimbo.benchmarking.method import Array, Measured, MethodFailure, Peer
from cimbo.errors import CimboError
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import hypervolume
from cimbo.problem.space import Params

#: From designs to the metrics of each; None where the evaluation failed
Measure = Callable[[list[Params]], Sequence[Measured]]
#: From the metrics of feasible designs to their hypervolume
Volume = Callable[[Sequence[Mapping[str, float]]], float]


@dataclass(frozen=True)
class Run:
    """One run of one method with one seed.

    Attributes:
        method: Name of the method.
        seed: The seed.
        measured: Metrics of every evaluation in order; None where it failed.
        overhead_s: CPU seconds that the method itself took, for each evaluation.
    """

    method: str
    seed: int
    measured: list[Measured]
    overhead_s: float

    def feasible(self, problem: Problem, first: int | None = None) -> list[Mapping[str, float]]:
        """Select the evaluations that succeeded and keep the constraints.

        Args:
            problem: Has the constraints.
            first: How many of the first evaluations to look at; None for all.

        Returns:
            Their metrics, in order.
        """
        return [m for m in self.measured[:first] if m is not None and problem.feasible(m)]


@dataclass(frozen=True)
class Band:
    """Hypervolume of one method in the course of its runs, over its seeds.

    Attributes:
        method: Name of the method.
        at: Numbers of evaluations, (k,).
        median: Median over seeds of the hypervolume after so many evaluations, (k,).
        low: The least over seeds, (k,).
        high: The largest over seeds, (k,).
        by_seed: The hypervolume of each seed, (seeds, k), where it is kept.
    """

    method: str
    at: Array
    median: Array
    low: Array
    high: Array
    by_seed: Array | None = None


def race(peer: Peer, measure: Measure, budget: int, batch: int) -> tuple[list[Measured], float]:
    """Run a method until the budget is spent, or until it has no more designs.

    Args:
        peer: The method, as ``start`` returns it.
        measure: From designs to the metrics of each.
        budget: How many evaluations to make; repeated designs count.
        batch: How many designs are asked for at once.

    Returns:
        Every evaluation in order, and the method's own CPU seconds an evaluation.

    Raises:
        MethodFailure: The method raises.
    """
    measured: list[Measured] = []
    cpu_s = 0.0
    while len(measured) < budget:
        start = time.process_time()
        designs = _asked(peer, min(batch, budget - len(measured)))
        cpu_s += time.process_time() - start
        if not designs:
            break
        answers = measure(designs)
        start = time.process_time()
        _tell(peer, designs, answers)
        cpu_s += time.process_time() - start
        measured += answers
    return measured, cpu_s / max(len(measured), 1)


def _asked(peer: Peer, n: int) -> list[Params]:
    """At most ``n`` designs of a method. Raises MethodFailure for whatever it raises."""
    try:
        return peer.ask(n)
    except Exception as error:
        raise MethodFailure(_reason("ask", error)) from error


def _tell(peer: Peer, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
    """Tell a method what its designs measured. Raises MethodFailure for whatever it raises."""
    try:
        peer.tell(designs, measured)
    except Exception as error:
        raise MethodFailure(_reason("tell", error)) from error


def _reason(question: str, error: Exception) -> str:
    """What a method raised, in a line; our own errors say already where they come from."""
    if isinstance(error, CimboError):
        return str(error)
    return f"{question} raised {type(error).__name__}: {error}"


def natural(problem: Problem) -> Volume:
    """Make the function that computes the hypervolume above a problem's references, in natural units.

    Args:
        problem: A problem with a reference for every objective.

    Returns:
        A function from metrics of feasible designs to their hypervolume; 0 without designs.
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
    bands_of_methods = []
    for method in dict.fromkeys(run.method for run in runs):
        own_runs = [run for run in runs if run.method == method]
        curves = np.stack([anytime(run, problem, volume, at) for run in own_runs])
        band = Band(
            method=method,
            at=np.array(at, float),
            median=np.median(curves, 0),
            low=curves.min(0),
            high=curves.max(0),
            by_seed=curves,
        )
        bands_of_methods.append(band)
    return bands_of_methods


def checkpoints(budget: int) -> list[int]:
    """Choose the numbers of evaluations at which the hypervolume of a run is computed.

    Args:
        budget: Evaluations of a run.

    Returns:
        Evenly spaced numbers, the last of them ``budget``: every number up to a budget of 79, forty
        to sixty of a larger one.
    """
    step = max(budget // 40, 1)
    return sorted({*range(step, budget, step), budget})
