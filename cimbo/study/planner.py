"""What is evaluated next: candidates within the budget of accuracies, written down and leased before they run."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.recommend import Search, State, fit_surrogates, recommend
from cimbo.optimizer.row_cache import RowCache
from cimbo.optimizer.surrogates import Inputs, Surrogate, SurrogateFactory, targets
from cimbo.problem.fidelity import deviations
from cimbo.problem.objectives import Candidate, Problem, candidate
from cimbo.problem.preferences import preferred_point
from cimbo.problem.space import Rows
from cimbo.storage import Record
from cimbo.study import accuracy_cache, replicates, stored_values
from cimbo.study.events import Proposed
from cimbo.study.fidelity_offsets import calibrated
from cimbo.study.log import StudyLog
from cimbo.study.withdrawal import withdrawn_by_key

PLAN_NAME = "plan"  # name under which a study file keeps the plan


@dataclass(frozen=True)
class PlannedDesign:
    """A candidate of the written plan.

    Attributes:
        candidate: The design.
        extra: What is kept beside its evaluation: position and overhead in seconds.
        continues: The evaluation whose measurement was stopped and is continued; None for a new design.
    """

    candidate: Candidate
    extra: Mapping[str, Any]
    continues: Record | None = None


class Planner:
    """Chooses candidates for one study, and remembers those that were asked for and not told yet."""

    def __init__(self, log: StudyLog, seed: int) -> None:
        self._log = log
        self._seed = seed
        self._fits: dict[tuple[str, str, int], Any] = {}
        self._encoded = RowCache(log.problem.space)
        self.pending: dict[str, Candidate] = {}
        self.worker_id = f"{os.getpid()}-{secrets.token_hex(4)}"

    def propose(
        self, n: int, options: OptimizerOptions, known: accuracy_cache.Known | None = None
    ) -> tuple[list[Candidate], list[str]]:
        """Choose ``n`` candidates.

        Args:
            n: How many; fewer come back when the space is exhausted.
            options: What the optimizer knows and may spend.
            known: Networks whose accuracy is measured; where given, only new chips for them are proposed.

        Returns:
            The candidates, and lines worth telling the user.
        """
        proposal = recommend(self._search(options, known), self._state(), n, seed=self._seed)
        self.pending |= {c.key: c for c in proposal.candidates}
        return proposal.candidates, proposal.notes

    def surrogates(self, options: OptimizerOptions) -> dict[str, Surrogate]:
        """Fit what the search would choose candidates by.

        Args:
            options: What the optimizer knows.

        Returns:
            A surrogate by metric; none while too few designs are measured.
        """
        return fit_surrogates(self._search(options, None), self._state(), seed=self._seed)

    def plan(self, n: int, options: OptimizerOptions) -> Proposed:
        """Choose a batch and write it down, so that after a crash the same designs are finished first.

        Candidates that were asked for and never told are forgotten.

        Args:
            n: How many designs; fewer are chosen when the space is exhausted or the budget of
                accuracies is nearly spent.
            options: What the optimizer knows and may spend.

        Returns:
            How many were chosen, the seconds it took, and lines for the user.

        Raises:
            BadInput: ``options`` limits the measurements of an expensive metric and there is none,
                or the study cannot be written.
        """
        start = time.perf_counter()
        self.pending.clear()
        candidates, notes = self._affordable(n, options)
        seconds = time.perf_counter() - start
        self._write(candidates, seconds)
        return Proposed(len(candidates), seconds, tuple(notes))

    def plan_again(self, records: Sequence[Record]) -> None:
        """Write down designs that are to be evaluated first of all, before what is planned already.

        Args:
            records: Evaluations of these designs, which are no longer in the log.

        Raises:
            BadInput: The study cannot be written.
        """
        self._fits.clear()
        space = self._log.problem.space
        again = {}
        for record in records:
            chosen = candidate(space, record.params, origin=record.origin)
            again[chosen.key] = chosen
        for planned in self._unfinished():
            again.setdefault(planned.candidate.key, planned.candidate)
        self._write(list(again.values()), 0.0)

    def _write(self, candidates: Sequence[Candidate], seconds: float) -> None:
        """Write down a batch that took so many seconds to choose."""
        first = len(self._log.evaluations()) + len(self._log.running())
        question = self._question()
        plan = []
        for i, c in enumerate(candidates):
            entry = {
                "params": c.params,
                "origin": c.origin,
                "predicted": c.predicted,
                "extra": {"position": first + i, "overhead_s": seconds / len(candidates)},
                "question": question,
            }
            plan.append(entry)
        self._log.store.set_meta(PLAN_NAME, plan)

    def selection_reasons(self) -> dict[str, str]:
        """Tell how the predictors of the last proposal were chosen.

        Returns:
            A line by metric; empty before a proposal by predictors.
        """
        reasons = {}
        for (metric, _, _), (_, model) in self._fits.items():  # in the order of their last use
            reasons[metric] = model.selection_reason
        return reasons

    def claim_planned(self, budget: int) -> list[PlannedDesign]:
        """Lease to this process what the written plan still has and nobody else is evaluating.

        Args:
            budget: How many evaluations the study may hold, those that anybody has leased included.

        Returns:
            The designs that are leased to this process now.
        """
        planned = self._unfinished()
        if not planned:
            return []
        designs = [(p.candidate.key, p.candidate.params) for p in planned]
        claimed = self._log.store.claim(designs, owner=self.worker_id, budget=budget)
        return [p for p in planned if p.candidate.key in claimed]

    def claim_again(self, records: Sequence[Record]) -> list[PlannedDesign]:
        """Lease to this process designs whose measurement was stopped, to continue it.

        Args:
            records: Their evaluations, as they were when they were chosen.

        Returns:
            The designs that are leased to this process now; none that another process continues, or
            has continued meanwhile.
        """
        designs = [(record.key, record.params) for record in records]
        claimed = set(self._log.store.claim(designs, owner=self.worker_id, again=True))
        now = {record.key: record for record in self._log.evaluations()}
        found = []
        for record in records:
            if record.key in claimed and now[record.key].metrics == record.metrics:
                c = candidate(self._log.problem.space, record.params, origin=record.origin)
                found.append(PlannedDesign(c, {}, record))
        return found

    def predictions(
        self, records: Sequence[Record], options: OptimizerOptions
    ) -> dict[str, dict[str, tuple[float, float]]]:
        """Predict what full measurements of evaluated designs would give, by all that is measured now.

        Args:
            records: Evaluations of the designs.
            options: What the optimizer knows.

        Returns:
            Key to metric to mean and standard deviation, in natural units. Empty while too few
            designs are measured.
        """
        inputs = Inputs(
            self._log.problem.space, self._encoded.rows((r.key, r.params) for r in records)
        )
        found: dict[str, dict[str, tuple[float, float]]] = {record.key: {} for record in records}
        for name, surrogate in self.surrogates(options).items():
            means, stds = surrogate.mean_and_std(inputs)
            stds = np.hypot(stds, surrogate.noise)  # by which designs deviate from what genes tell
            if surrogate.log:
                means = np.exp(means)
                stds = means * stds
            for record, mean, std in zip(records, means, stds, strict=True):
                found[record.key][name] = (float(mean), float(std))
        return found

    def unfinished(self, key: str) -> PlannedDesign | None:
        """Find a design of the written plan that is not evaluated yet.

        Args:
            key: The design's key.

        Returns:
            The design; None where the plan has none of that key, or it is evaluated.
        """
        for planned in self._unfinished():
            if planned.candidate.key == key:
                return planned
        return None

    def _unfinished(self) -> list[PlannedDesign]:
        """What of the written plan is not evaluated yet."""
        done = {r.key for r in self._log.evaluations()}
        return [p for p in self._written() if p.candidate.key not in done]

    def release(self) -> None:
        """End the leases of this process."""
        self._log.store.release(self.worker_id)

    def _written(self) -> list[PlannedDesign]:
        """The written plan; without what was planned for another question (see Study.with_constraints)."""
        question = self._question()
        check = stored_values.list_of(stored_values.is_planned_design)
        found = []
        for entry in stored_values.read(self._log.store, PLAN_NAME, check) or []:
            if entry.get("question") == question:
                found.append(PlannedDesign(self._candidate(entry), entry["extra"]))
        return found

    def _candidate(self, entry: Mapping[str, Any]) -> Candidate:
        """The candidate of an entry of the written plan."""
        return candidate(
            self._log.problem.space,
            entry["params"],
            origin=entry["origin"],
            predicted=entry["predicted"],
        )

    def _question(self) -> dict[str, Any]:
        """What tells this study from others over the same log; JSON."""
        constraints = self._log.problem.to_json()["constraints"]
        return {"constraints": constraints, "fixed": self._log.fixed}

    def _affordable(self, n: int, options: OptimizerOptions) -> tuple[list[Candidate], list[str]]:
        """Candidates within the budget of accuracies; when it is spent, new chips that add to the hypervolume."""
        if options.expensive_budget is None:
            return self.propose(n, options)
        log = self._log
        metric, parameters = _counted(log.problem, options)
        known = accuracy_cache.Known.of(log.problem.space, parameters, log.matching_fixed(), metric)
        left = options.expensive_budget - log.accuracies_measured() - self._n_started(known)
        if left > 0:
            candidates, notes = self.propose(n, options)
            return known.first(candidates, left), notes
        if parameters is None or not known.values:
            return [], [f"{metric} is measured as often as may be"]
        candidates, notes = self.propose(n, options, known)
        front = [r.metrics for r in log.pareto()]
        return [c for c in candidates if accuracy_cache.adds(log.problem, front, c)], notes

    def _n_started(self, known: accuracy_cache.Known) -> int:
        """How many networks are being measured for the first time."""
        parameters = known.parameters
        running = {accuracy_cache.network(r.params, parameters) for r in self._log.running()}
        return len(running - known.values.keys())

    def _search(self, options: OptimizerOptions, known: accuracy_cache.Known | None) -> Search:
        """What is searched and with what; among new chips for known networks where these are given."""
        problem = self._log.problem
        analytic = options.analytic
        if known is not None:
            metric, _ = _counted(problem, options)
            analytic = {**analytic, metric: known}
        factory = SurrogateFactory(
            problem.space, options.kind, options.views, analytic, options.priors, self._fits
        )
        search = Search(problem, factory, options.start(targets(problem)), self._log.fixed)
        elsewhere = None
        if options.measured_elsewhere:
            elsewhere = problem.space.rows(list(options.measured_elsewhere))
        search = replace(
            search,
            about=options.about,
            preferred=self._preferred_point(options),
            measured_elsewhere=elsewhere,
        )
        if known is None:
            return search
        return replace(search, project=known.project_to_known, projected=known.projected_columns)

    def _preferred_point(self, options: OptimizerOptions) -> Mapping[str, float]:
        """Objective to value, of the place on the present front that the user's weights prefer; empty without weights."""
        if not options.prefer:
            return {}
        front = [record.metrics for record in self._log.pareto()]
        return preferred_point(self._log.problem, front, options.prefer)

    def _state(self) -> State:
        """Everything recorded, in the order of the search, and what is being evaluated."""
        records = sorted(
            calibrated(self._log.evaluations()), key=lambda r: (stored_values.position(r), r.number)
        )
        metrics = []
        for record in records:
            metrics.append(record.metrics if record.status == "done" else None)
        recorded = {record.key for record in records}
        pending = {r.key: r.params for r in self._log.running() if r.key not in recorded}
        for key, c in self.pending.items():
            pending[key] = c.params
        return State(
            self._encoded.rows((r.key, r.params) for r in records),
            metrics,
            self._encoded.rows(pending.items()),
            self._deviations(records),
            self._withdrawn_rows(),
        )

    def _withdrawn_rows(self) -> Rows | None:
        """(q, d) rows of withdrawn designs; they are measured anew only where a user says so."""
        found = withdrawn_by_key(self._log.store)
        if not found:
            return None
        return self._encoded.rows((key, kept[-1]["params"]) for key, kept in found.items())

    def _deviations(self, records: Sequence[Record]) -> dict[str, NDArray[np.float64]]:
        """Standard deviation (n,) of what was measured, by metric: of repeated measurements, and of partial ones."""
        found = replicates.noise_of_means(records)
        metrics = [r.metrics for r in records]
        for name, stated in deviations(metrics, targets(self._log.problem)).items():
            known = found.get(name)
            if known is None:
                found[name] = stated
            else:
                found[name] = np.hypot(known, stated)
        return found


def _counted(problem: Problem, options: OptimizerOptions) -> tuple[str, frozenset[str] | None]:
    """The expensive metric whose measurements are counted, and the genes it depends on."""
    metric = options.expensive_metric(problem)
    if metric is None:
        what = "has nothing to count: every objective is analytic"
        raise BadInput("expensive_budget", what, "leave it out")
    return metric, options.expensive_parameters(problem)
