"""The log of a study, read under one question: which evaluations there are, which count, and their front."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cimbo.evaluation.function_identity import importable_name
from cimbo.optimizer.convergence import Forecast, ahead
from cimbo.problem.objectives import Constraint, Metrics, Problem
from cimbo.problem.pareto import GrowingFront, non_dominated
from cimbo.storage import Record, Store
from cimbo.storage.markup import html_table
from cimbo.storage.store import WITHDRAWALS_NAME
from cimbo.study import accuracy_cache, replicates
from cimbo.study import stored_values as stored
from cimbo.study.final_front import FinalFront, final_front
from cimbo.study.front import Front
from cimbo.study.kept_values import (
    ACCURACY_PARAMETERS,
    BIT_ACCURATE_DIFFERENCES,
    EXPENSIVE_METRIC,
    NOISE_ACCURACIES,
    TEST_ACCURACIES,
    ZIGZAG_COSTS,
    KeptValues,
)
from cimbo.study.provenance import EVALUATOR_NAME
from cimbo.study.recalibration import Recalibration

__all__ = [
    "ACCURACY_PARAMETERS",
    "BIT_ACCURATE_DIFFERENCES",
    "EVALUATOR_NAME",
    "EXPENSIVE_METRIC",
    "NOISE_ACCURACIES",
    "TEST_ACCURACIES",
    "ZIGZAG_COSTS",
    "StudyLog",
    "importable_name",
]


class StudyLog(KeptValues):
    """What a study file holds, for ``problem`` and with the genes in ``fixed`` kept at their values.

    Everything is computed from the recorded evaluations whenever it is asked for, so that what other processes
    recorded meanwhile is in it.
    """

    def __init__(self, store: Store, problem: Problem, fixed: Mapping[str, Any]) -> None:
        self.store = store
        self.problem = problem
        self.fixed = dict(fixed)
        self._withdrawals = store.meta(WITHDRAWALS_NAME) or 0
        self._records = self._completed(stored.records(store))
        # Results computed from the log, with the number of evaluations that they cover,
        # so that only new ones are looked at.
        self._feasible: list[Record] = []
        self._n_examined = 0
        self._front: GrowingFront | None = None
        self._n_in_front = 0
        self._further = replicates.Further()
        self._recalibration = Recalibration(problem)

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
        withdrawals = self.store.meta(WITHDRAWALS_NAME) or 0
        if withdrawals != self._withdrawals:
            self._withdrawals = withdrawals
            self._records = []
            self._forget_front()
        last = self._records[-1].number if self._records else 0
        self._records += self._completed(stored.records(self.store, after=last))
        further = replicates.stored(self.store)
        if further != self._further:
            # Means have changed, and with them all that follows from the log.
            self._further = further
            self._forget_front()
        return self._recalibration.corrected(replicates.merged(self._records, further))

    def _completed(self, records: list[Record]) -> list[Record]:
        """Records with what follows from their metrics: a question may be about what nobody thought of before."""
        derived = self.problem.derived
        if not derived:
            return records
        found = []
        for record in records:
            is_complete = all(name in record.metrics for name in derived.expressions)
            if record.status == "done" and not is_complete:
                record = replace(record, metrics=derived.completed(record.metrics, record.params))
            found.append(record)
        return found

    def _forget_front(self) -> None:
        """Let everything that follows from the log be computed anew."""
        self._feasible = []
        self._n_examined = 0
        self._front = None
        self._n_in_front = 0

    def matching_fixed(self) -> list[Record]:
        """Return evaluations of designs that have the fixed genes at their values, where they have them."""
        return [r for r in self.evaluations() if self.matches_fixed(r)]

    def matches_fixed(self, record: Record) -> bool:
        """Tell whether a design has the fixed genes at their values, where it has them."""
        return all(record.params.get(name, v) == v for name, v in self.fixed.items())

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
        front.sort(key=self._rank)
        return Front(front, self.problem.objectives)

    def _rank(self, record: Record) -> tuple[float, int]:
        """Sorts the front: the best of the first objective comes first, of equals the one that was measured first."""
        first = self.problem.objectives[0]
        return (-first.sign * record.metrics[first.name], record.number)

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
        broken = "; ".join(_broken(nearest.metrics, constraints))
        return f"none of {len(done)} evaluated designs is feasible; of the nearest, {nearest.key}, {broken}"

    def worse_than_references(self) -> str | None:
        """Say that no feasible design is better than the references, so that the hypervolume is 0.

        Returns:
            A line with the best value of each objective; None where one design is, where nothing is
            feasible, and without references.
        """
        reference = self.problem.reference()
        feasible = self.feasible_evaluations()
        if reference is None or not feasible:
            return None
        scores = self.problem.scores([r.metrics for r in feasible])
        if (scores > reference).all(1).any():
            return None
        best = scores.max(0)
        parts = []
        for objective, score, least in zip(self.problem.objectives, best, reference, strict=True):
            part = f"{objective.name} {objective.reference:g} ({objective.goal}; best seen "
            part += f"{objective.sign * score:.4g}"
            if score <= least:
                part += ", never better: is the goal right?"
            parts.append(part + ")")
        return (
            f"hypervolume 0: none of {len(feasible)} feasible designs is better than the reference "
            f"in every objective: {', '.join(parts)}"
        )

    def final_front(self) -> FinalFront | None:
        """Return the front by the accuracies of bit-accurate arrays, see `cimbo.study.final_front`.

        Returns:
            The front; None while a design of `pareto` is not verified.
        """
        return final_front(self)

    def accuracies_measured(self) -> int:
        """Return how many networks had the expensive metric measured: one measurement serves every chip."""
        metric = self.expensive_metric()
        if metric is None:
            return 0
        parameters = self.expensive_parameters()
        return len(accuracy_cache.measured(self.evaluations(), parameters, metric))

    def expensive_parameters(self) -> list[str] | None:
        """Return the genes that the expensive metric depends on; None for all of them."""
        names: list[str] | None = stored.read(
            self.store, ACCURACY_PARAMETERS, stored.list_of(stored.is_text)
        )
        return names

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
        n_genes = len(self.problem.space.names)
        count = len(self._records)
        return f"<{type(self).__name__} {self.path}: {count} evaluations, {n_genes} genes; {self._goals()}>"

    def _repr_html_(self) -> str:
        constraints = [f"{c.metric} {c.relation} {c.bound:g}" for c in self.problem.constraints]
        rows = [
            ("evaluations", len(self.evaluations())),
            ("objectives", self._goals()),
            ("constraints", ", ".join(constraints) or "none"),
            ("genes", ", ".join(self.problem.space.names)),
            ("hypervolume", self.hypervolume()),
        ]
        about = html_table([], rows, caption=f"Study {self.path}")
        return about + "\n" + self.pareto()._repr_html_()

    def _goals(self) -> str:
        return ", ".join(f"{o.name} {o.goal}" for o in self.problem.objectives)


def _distance(metrics: Metrics, constraints: Sequence[Constraint]) -> float:
    """The largest violation as a share of its bound; infinite where a constrained metric was not measured."""
    worst = 0.0
    for c in constraints:
        if c.metric not in metrics:
            return math.inf
        beyond = float(c.violation(np.array([metrics[c.metric]]))[0])
        worst = max(worst, beyond / (abs(c.bound) or 1.0))
    return worst


def _broken(metrics: Metrics, constraints: Sequence[Constraint]) -> Iterator[str]:
    """A phrase for each constraint that a design does not keep."""
    for c in constraints:
        value = metrics.get(c.metric)
        if value is None:
            yield f"{c.metric} was not measured"
        elif not c.holds(metrics):
            yield f"{c.metric} is {value:.4g}, asked is {c.relation} {c.bound:.4g}"
