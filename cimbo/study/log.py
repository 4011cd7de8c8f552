"""The log of a study, read under one question: which evaluations there are, which count, and their front."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cimbo.optimizer.convergence import Forecast, ahead
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Constraint, Metrics, Problem
from cimbo.problem.pareto import GrowingFront, non_dominated
from cimbo.storage import Record, Store
from cimbo.storage.markup import html_table
from cimbo.study import accuracy_cache, replicates
from cimbo.study import stored_values as stored
from cimbo.study.final_front import FinalFront, final_front
from cimbo.study.front import Front

TEST_ACCURACIES = "accuracy_test"  # names of what is kept in the file beside the evaluations
BIT_ACCURATE_DIFFERENCES = "accuracy_exact"
NOISE_ACCURACIES = "accuracy_by_noise"
ZIGZAG_COSTS = "costs_by_zigzag"
ACCURACY_PARAMETERS = "shaping"
EXPENSIVE_METRIC = "expensive"
EVALUATOR_NAME = "evaluator"


class StudyLog:
    """What a study file holds, for ``problem`` and with the genes in ``fixed`` kept at their values.

    Everything is computed from the recorded evaluations whenever it is asked for, so that what other processes
    recorded meanwhile is in it.
    """

    def __init__(self, store: Store, problem: Problem, fixed: Mapping[str, Any]) -> None:
        self.store = store
        self.problem = problem
        self.fixed = dict(fixed)
        self._records = self._completed(stored.records(store))
        # What follows from the log so far, and from how many of its evaluations: those after them are all that is looked at.
        self._feasible: list[Record] = []
        self._n_examined = 0
        self._front: GrowingFront | None = None
        self._n_in_front = 0
        self._further: dict[str, list[replicates.Metrics]] = {}

    @property
    def path(self) -> str:
        """Where the study lies; "study in memory" for one without a file."""
        return self.store.path

    @property
    def metadata(self) -> dict[str, Any]:
        """What the study was started with: definition, seed, configuration, versions, command."""
        return self.store.definition

    def running(self) -> list[Record]:
        """Return the designs that some process is evaluating now."""
        return self.store.running()

    def evaluations(self) -> list[Record]:
        """Return every recorded evaluation, in order of number.

        Returns:
            The records, those of other processes included. A design that was measured several times
            has the mean of all measurements.

        Raises:
            BadInput: A row in the file is damaged.
        """
        last = self._records[-1].number if self._records else 0
        self._records += self._completed(stored.records(self.store, after=last))
        further = replicates.stored(self.store)
        if (
            further != self._further
        ):  # means have changed, and with them all that follows from the log
            self._further = further
            self._forget_front()
        return replicates.merged(self._records, further)

    def _completed(self, records: list[Record]) -> list[Record]:
        """Records with what follows from their metrics: a question may be about what nobody thought of before."""
        derived = self.problem.derived
        if not derived:
            return records
        found = []
        for r in records:
            complete = r.status != "done" or all(name in r.metrics for name in derived.expressions)
            if complete:
                found.append(r)
            else:
                found.append(replace(r, metrics=derived.completed(r.metrics, r.params)))
        return found

    def _forget_front(self) -> None:
        self._feasible, self._n_examined = [], 0
        self._front, self._n_in_front = None, 0

    def matching_fixed(self) -> list[Record]:
        """Return evaluations of designs that have the fixed genes at their values, where they have them."""
        return [r for r in self.evaluations() if self._matches_fixed(r)]

    def feasible_evaluations(self) -> list[Record]:
        """Return those of `matching_fixed` that measured every objective and keep every constraint."""
        records = self.matching_fixed()
        for r in records[self._n_examined :]:
            if r.status == "done" and self.problem.feasible(r.metrics):
                self._feasible.append(r)
        self._n_examined = len(records)
        return list(self._feasible)

    def pareto(self) -> Front:
        """Return the evaluated, feasible and non-dominated designs, best first objective first."""
        records = self.feasible_evaluations()
        if not records:
            return Front([], self.problem.objectives)
        scores = self.problem.scores([r.metrics for r in records])
        front = [records[i] for i in np.flatnonzero(non_dominated(scores))]
        first = self.problem.objectives[0]
        front.sort(key=lambda r: (-first.sign * r.metrics[first.name], r.number))
        return Front(front, self.problem.objectives)

    def hypervolume(self) -> float | None:
        """Return the front's volume above the references, in natural units; None without references."""
        reference = self.problem.reference()
        if reference is None:
            return None
        feasible = self.feasible_evaluations()
        if self._front is None:
            self._front = GrowingFront(reference)
        fresh = feasible[self._n_in_front :]
        self._n_in_front += len(fresh)
        return self._front.add(self.problem.scores([r.metrics for r in fresh]))

    def forecast(self, more: int = 50) -> Forecast | None:
        """Return what ``more`` evaluations are expected to add, see `cimbo.optimizer.convergence`.

        Args:
            more: How many evaluations from now on.

        Returns:
            The forecast of the hypervolume; None without references, and while too few designs were
            chosen by a model.
        """
        return ahead(self.problem, self.matching_fixed(), more)

    def nearest_to_feasible(self) -> str | None:
        """Describe the design nearest to the constraints, where some were measured and none is feasible.

        Returns:
            A line with its key and the constraints that it does not keep; None where nothing was
            measured, there are no constraints, or a design is feasible.
        """
        done = [r for r in self.matching_fixed() if r.status == "done"]
        constraints = self.problem.constraints
        if not done or not constraints or self.feasible_evaluations():
            return None
        nearest = min(done, key=lambda r: _distance(r.metrics, constraints))
        told = []
        for c in constraints:
            value = nearest.metrics.get(c.metric)
            if value is None:
                told.append(f"{c.metric} was not measured")
            elif not c.holds(nearest.metrics):
                told.append(f"{c.metric} is {value:.4g}, asked is {c.relation} {c.bound:.4g}")
        return f"none of {len(done)} evaluated designs is feasible; of the nearest, {nearest.key}, {'; '.join(told)}"

    def test_accuracies(self) -> dict[str, float]:
        """Return the accuracies on images that the search never sees.

        Returns:
            Accuracy in percent, by the key of the design.

        Raises:
            BadInput: What is stored is damaged.
        """
        check = stored.mapping_of(stored.is_number)
        found: dict[str, float] = stored.read(self.store, TEST_ACCURACIES, check) or {}
        return found

    def record_test_accuracy(self, key: str, accuracy: float) -> None:
        """Keep the test accuracy of one design.

        Args:
            key: The key of the design.
            accuracy: Its accuracy in percent, on images that the search never sees.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        self.store.update_meta(TEST_ACCURACIES, lambda known: {**(known or {}), key: accuracy})

    def bit_accurate_differences(self) -> dict[str, dict[str, float]]:
        """Return what bit-accurate arrays do to accuracies.

        Returns:
            By the key of the design, by how many ``points`` (percentage points) they change its
            accuracy, on how many ``images`` that was measured, and its sampling ``error`` in
            percentage points where that is known.

        Raises:
            BadInput: What is stored is damaged.
        """
        check = stored.mapping_of(stored.is_bit_accurate_difference)
        found = stored.read(self.store, BIT_ACCURATE_DIFFERENCES, check)
        return dict(found or {})

    def record_bit_accurate(
        self, key: str, points: float, images: int, *, error: float | None = None
    ) -> None:
        """Keep what bit-accurate arrays do to the accuracy of one design.

        Args:
            key: The key of the design.
            points: Change of its accuracy in percentage points.
            images: How many images it was measured on.
            error: Sampling error of ``points``; without it the design does not count as verified.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        found = {"points": points, "images": images}
        if error is not None:
            found["error"] = error
        change = {key: found}
        self.store.update_meta(BIT_ACCURATE_DIFFERENCES, lambda known: {**(known or {}), **change})

    def final_front(self) -> FinalFront | None:
        """Return the front by the accuracies of bit-accurate arrays, see `cimbo.study.final_front`.

        Returns:
            The front; None while a design of `pareto` is not verified.
        """
        return final_front(self)

    def noise_accuracies(self) -> dict[str, dict[str, float]]:
        """Return the accuracies at some noises of the converters.

        Returns:
            By the key of the design, accuracy in percent by the noise in steps of the converter,
            written as text.

        Raises:
            BadInput: What is stored is damaged.
        """
        check = stored.mapping_of(stored.mapping_of(stored.is_number))
        return dict(stored.read(self.store, NOISE_ACCURACIES, check) or {})

    def record_noise_accuracies(self, key: str, by_noise: Mapping[str, float]) -> None:
        """Keep the accuracies of one design at some noises of its converters, in place of earlier ones.

        Args:
            key: The key of the design.
            by_noise: Accuracy in percent by the noise, in steps of the converter, written as text.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        change = {key: dict(by_noise)}
        self.store.update_meta(NOISE_ACCURACIES, lambda known: {**(known or {}), **change})

    def zigzag_costs(self) -> dict[str, dict[str, Any]]:
        """Return what ZigZag says of designs whose costs are bounds; never mixed with what was evaluated.

        Returns:
            By the key of the design ``latency_ms`` and ``energy_uj``, or the ``reason`` why ZigZag cannot simulate it.

        Raises:
            BadInput: What is stored is damaged.
        """
        check = stored.mapping_of(stored.is_simulated_cost)
        return dict(stored.read(self.store, ZIGZAG_COSTS, check) or {})

    def record_zigzag_costs(self, key: str, costs: Mapping[str, Any]) -> None:
        """Keep what ZigZag says of one design, beside its evaluation.

        Args:
            key: The key of the design.
            costs: ``latency_ms`` and ``energy_uj``, or the ``reason`` why there are none.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        change = {key: dict(costs)}
        self.store.update_meta(ZIGZAG_COSTS, lambda known: {**(known or {}), **change})

    def accuracies_measured(self) -> int:
        """Return how many networks had the expensive metric measured: one measurement serves every chip."""
        metric = self.expensive_metric()
        if metric is None:
            return 0
        parameters = stored.read(self.store, ACCURACY_PARAMETERS, stored.list_of(stored.is_text))
        return len(accuracy_cache.measured(self.evaluations(), parameters, metric))

    def record_expensive(self, options: OptimizerOptions) -> None:
        """Keep which metric is expensive and what it depends on, so that its measurements can be counted later.

        Args:
            options: What the optimizer knows.

        Raises:
            BadInput: The expensive metric that ``options`` names is not measured by this study, or
                the study cannot be written.
        """
        metric = options.expensive_metric(self.problem)
        if metric != OptimizerOptions().expensive_metric(self.problem):
            self.store.set_meta(EXPENSIVE_METRIC, metric)
        parameters = options.expensive_parameters(self.problem)
        if parameters is not None:
            self.store.set_meta(ACCURACY_PARAMETERS, sorted(parameters))

    def record_evaluator(self, evaluate: object) -> None:
        """Keep the name of a function that evaluates, so that commands can import it and go on with it.

        Args:
            evaluate: What evaluates. Nothing is kept where another process cannot import it.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        name = importable_name(evaluate)
        if name is not None and name != self.evaluator_name():
            self.store.set_meta(EVALUATOR_NAME, name)

    def evaluator_name(self) -> str | None:
        """Return the function that evaluated last, as "package:function"; None where there is none to import."""
        found: str | None = stored.read(self.store, EVALUATOR_NAME, stored.is_text)
        return found

    def expensive_metric(self) -> str | None:
        """Return the metric whose measurements are counted, most often an accuracy; None where all are computed."""
        metric: str | None = stored.read(self.store, EXPENSIVE_METRIC, stored.is_text)
        return metric or OptimizerOptions().expensive_metric(self.problem)

    def measurement_noise(self) -> dict[str, float]:
        """Return the standard deviation of one measurement by metric, from designs that were told several times."""
        return replicates.noise(self.evaluations())

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Write all that is recorded to a new study file, while others go on writing here.

        Args:
            path: The file to make.

        Raises:
            BadInput: ``path`` exists or cannot be written.
        """
        self.store.backup(path)

    def __repr__(self) -> str:
        """What was read so far; touches no file."""
        goals = ", ".join(f"{o.name} {o.goal}" for o in self.problem.objectives)
        genes, count = len(self.problem.space.names), len(self._records)
        return f"<{type(self).__name__} {self.path}: {count} evaluations, {genes} genes; {goals}>"

    def _repr_html_(self) -> str:
        goals = ", ".join(f"{o.name} {o.goal}" for o in self.problem.objectives)
        constraints = [f"{c.metric} {c.relation} {c.bound:g}" for c in self.problem.constraints]
        rows = [
            ("evaluations", len(self.evaluations())),
            ("objectives", goals),
            ("constraints", ", ".join(constraints) or "none"),
            ("genes", ", ".join(self.problem.space.names)),
            ("hypervolume", self.hypervolume()),
        ]
        front = self.pareto()._repr_html_()
        return html_table([], rows, caption=f"Study {self.path}") + "\n" + front

    def _matches_fixed(self, record: Record) -> bool:
        return all(record.params.get(name, v) == v for name, v in self.fixed.items())


def importable_name(function: object) -> str | None:
    """Return the name by which another process can import a function.

    Args:
        function: Any object.

    Returns:
        "package:function" where that is ``function`` itself; None for all else, such as a lambda, a
        method of an object, or what is defined in the script that runs.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is function:
        return f"{module}:{name}"
    return None


def _distance(metrics: Metrics, constraints: Sequence[Constraint]) -> float:
    """The largest violation as a share of its bound; infinite where a constrained metric was not measured."""
    worst = 0.0
    for c in constraints:
        if c.metric not in metrics:
            return math.inf
        beyond = float(c.violation(np.array([metrics[c.metric]]))[0])
        worst = max(worst, beyond / (abs(c.bound) or 1.0))
    return worst
