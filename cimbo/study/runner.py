"""The loop of a study: take a planned batch, have it evaluated, record what came of it, until the budget is spent."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from cimbo import execution
from cimbo.optimizer.convergence import Forecast
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.fidelity import Race
from cimbo.problem.noted_metrics import NotedMetrics
from cimbo.problem.objectives import Candidate, Problem, candidate
from cimbo.problem.space import SearchSpace
from cimbo.storage import Record
from cimbo.study import events
from cimbo.study.failures import FailureWatch
from cimbo.study.planner import PlannedDesign

SHORT_KEY = 8  # letters of a key in a message
SHOWN_KEYS = 3  # of the designs that another process evaluates


class RecordingStudy(Protocol):
    """What the loop needs of a study: to read how far it is, and to record.

    ``evaluations()`` returns every recorded evaluation, those of other processes included, and
    ``problem`` what is searched with the genes of ``fixed`` kept. ``running()`` returns what others
    evaluate now. ``pareto()`` returns the front. ``same_provenance()`` returns the
    evaluations by what evaluates now. ``hypervolume()`` is None without references, and
    ``forecast()`` None where nothing can be said yet. ``record()`` writes the evaluation of one
    candidate, with ``status``, ``reason``, ``seconds`` and ``extra`` as in
    `cimbo.storage.Store.record`; it is on the disk when that returns.
    """

    def evaluations(self) -> list[Record]:
        """Return every recorded evaluation, those of other processes included."""
        ...

    @property
    def fixed(self) -> Mapping[str, Any]:
        """Return the genes that are kept at a value."""
        ...

    @property
    def problem(self) -> Problem:
        """Return what is searched."""
        ...

    def running(self) -> list[Record]:
        """Return the designs that some process is evaluating now."""
        ...

    def pareto(self) -> Sequence[Record]:
        """Return the front."""
        ...

    def same_provenance(self) -> list[Record]:
        """Return the evaluations by what evaluates now."""
        ...

    def hypervolume(self) -> float | None:
        """Return the hypervolume of the front; None without references."""
        ...

    def forecast(self) -> Forecast | None:
        """Return what further evaluations promise; None where nothing can be said yet."""
        ...

    def record(self, c: Candidate, metrics: Mapping[str, float], **about: Any) -> Record:
        """Write the evaluation of one candidate; it is on the disk when that returns."""
        ...


class BatchPlanner(Protocol):
    """What the loop needs of a planner, see `cimbo.study.planner.Planner`.

    ``plan()`` chooses up to ``n`` designs and writes them down. ``claim_planned()`` leases to this
    process what is written down and nobody has evaluated or is evaluating, as far as a budget of
    evaluations and leases allows. ``release()`` ends the
    leases of this process.
    """

    def plan(self, n: int, options: OptimizerOptions) -> events.Proposed:
        """Choose up to ``n`` designs and write them down."""
        ...

    def claim_planned(self, budget: int) -> list[PlannedDesign]:
        """Lease to this process what is written down and nobody has or makes."""
        ...

    def release(self) -> None:
        """End the leases of this process."""
        ...


def _as_it_is(evaluate: execution.Evaluate) -> execution.Evaluate:
    """What evaluates, with nothing around it."""
    return evaluate


@dataclass(frozen=True)
class Runner:
    """One call of ``Study.optimize``: what evaluates, how candidates are chosen, and how many evaluations there may be."""

    study: RecordingStudy
    planner: BatchPlanner
    evaluate: execution.Evaluate
    budget: int
    options: OptimizerOptions
    listener: events.Listener = events.ignore
    failures: FailureWatch = field(default_factory=FailureWatch)
    told: list[str] = field(default_factory=list)  # what the planner said of its plans
    # What is put around an evaluation in this process
    guard: Callable[[execution.Evaluate], execution.Evaluate] = _as_it_is

    def in_batches(self, size: int, n_jobs: int, conditions: execution.ExecutionOptions) -> None:
        """Run batches of ``size``, the next one chosen when all of the last are evaluated.

        Ends when the budget is spent, the search has converged, nothing is left to evaluate, or
        evaluations fail again and again.

        Args:
            size: Designs in a batch; the last one may have fewer.
            n_jobs: Evaluations at a time, see `cimbo.execution.run`.
            conditions: Further options of `cimbo.execution.run`.

        Raises:
            BadInput: The evaluator says that it can evaluate no design, or the study cannot be
                written.
        """
        while len(self.study.evaluations()) < self.budget:
            if self._converged():
                break
            batch = self.planner.claim_planned(self.budget) or self._plan(min(size, self._left()))
            if not batch:
                self._tell_why_not_more()
                break
            if not self._run(batch, n_jobs, conditions):
                break

    def _left(self) -> int:
        """How many evaluations nobody has made or is making yet, of those that there may be.

        What was handed out does not count: nobody can tell whether it is evaluated at all.

        Returns:
            The number, which is below 0 where more was evaluated than asked for.
        """
        evaluating = 0
        for record in self.study.running():
            if not record.extra.get("handed_out"):
                evaluating += 1
        return self.budget - len(self.study.evaluations()) - evaluating

    def retry_failed(
        self, space: SearchSpace, n_jobs: int, conditions: execution.Conditions
    ) -> None:
        """Evaluate once more every design that has failed and never succeeded; what succeeds is recorded.

        Args:
            space: The space of the designs.
            n_jobs: Evaluations at a time, see `cimbo.execution.run`.
            conditions: Further options of `cimbo.execution.run`.

        Raises:
            BadInput: The evaluator says that it can evaluate no design, or the study cannot be
                written.
        """
        records = self.study.evaluations()
        done = {r.key for r in records if r.status == "done"}
        again = {}
        for r in records:
            if r.key not in done:
                c = candidate(space, r.params, origin=r.origin)
                again[c.key] = PlannedDesign(c, {})
        if again:
            self._run(list(again.values()), n_jobs, conditions)

    def _run(
        self, batch: Sequence[PlannedDesign], n_jobs: int, conditions: execution.Conditions
    ) -> bool:
        """Evaluate and record a batch; whether the search may go on."""
        candidates = [planned.candidate for planned in batch]
        self._recall(candidates)
        self._prepare(candidates)
        evaluate = self.evaluate
        if execution.runs_here(n_jobs, **conditions):
            evaluate = self.guard(evaluate)
        outcomes = execution.run(candidates, evaluate, n_jobs=n_jobs, **conditions)
        return self._record_all(outcomes, {planned.candidate.key: planned for planned in batch})

    def asynchronously(self, n_jobs: int, conditions: execution.ExecutionOptions) -> None:
        """Run without batches: each worker that is free gets a candidate at once.

        Ends as `in_batches` does.

        Args:
            n_jobs: Evaluations at a time, see `cimbo.execution.flow`.
            conditions: Further options of `cimbo.execution.flow`.

        Raises:
            BadInput: The evaluator says that it can evaluate no design, ``conditions`` name a
                cluster, or the study cannot be written.
        """
        flight: dict[str, PlannedDesign] = {}
        outcomes = execution.flow(
            lambda: self._following(flight), self.evaluate, n_jobs=n_jobs, **conditions
        )
        may_go_on = self._record_all(outcomes, flight)
        is_spent = len(self.study.evaluations()) >= self.budget
        if may_go_on and not is_spent and not self._converged():
            self._tell_why_not_more()

    def _following(self, flight: dict[str, PlannedDesign]) -> Candidate | None:
        """One more candidate for a free worker, conditional on those in ``flight``; None when the budget is given out."""
        if len(self.study.evaluations()) + len(flight) >= self.budget or self._converged():
            return None
        following = self._waiting(flight) or self._plan(min(1, self._left()))
        if not following:
            return None
        chosen = following[0]
        flight[chosen.candidate.key] = chosen
        self._recall([planned.candidate for planned in flight.values()])
        return chosen.candidate

    def _waiting(self, flight: Mapping[str, PlannedDesign]) -> list[PlannedDesign]:
        """What was planned for this process and no worker of it has yet."""
        waiting = []
        for planned in self.planner.claim_planned(self.budget):
            if planned.candidate.key not in flight:
                waiting.append(planned)
        return waiting

    def _converged(self) -> bool:
        if not self.options.converged:
            return False
        expected = self.study.forecast()
        return expected is not None and expected.share < self.options.converged

    def _plan(self, n: int) -> list[PlannedDesign]:
        """Choose and lease ``n`` designs; none where other processes evaluate all that is left."""
        if n <= 0:
            return []
        proposed = self.planner.plan(n, self.options)
        self.listener(proposed)
        self.told.extend(proposed.notes)
        return self.planner.claim_planned(self.budget)

    def _tell_why_not_more(self) -> None:
        """Tell the listener why a search ends before its budget: others evaluate the rest, or there is none."""
        running = self.study.running()
        count = len(self.study.evaluations())
        reason = f"ended at {count} of {self.budget} evaluations: "
        if running:
            reason += (
                f"{_at_work(running)}; this front is not final, the same command goes on later"
            )
        elif self.told:
            return  # the planner has said it
        else:
            part = " with these genes fixed" if self.study.fixed else ""
            reason += f"every design{part} is evaluated"
        self.listener(events.Stopped(reason))

    def _recall(self, candidates: Sequence[Candidate] = ()) -> None:
        """Tell an evaluator what was measured, by whichever process, and what ``candidates`` have to beat.

        The first is for evaluators that remember, the second for those that measure in stages.
        """
        race_against = getattr(self.evaluate, "race_against", None)
        if race_against is not None:
            race_against(self._race(candidates))
        remember = getattr(self.evaluate, "remember", None)
        if remember is not None:
            for record in self.study.same_provenance():
                remember(record.params, NotedMetrics(record.metrics, record.extra))

    def _race(self, candidates: Sequence[Candidate]) -> Race:
        """The front that ``candidates`` have to beat, and what is predicted of them."""
        predicted = {}
        for c in candidates:
            if c.predicted:
                predicted[c.key] = c.predicted
        front = tuple(record.metrics for record in self.study.pareto())
        race = Race(self.study.problem, front, predicted)
        return replace(race, gain_elsewhere=self._gain_of_new(race, candidates))

    def _gain_of_new(self, race: Race, candidates: Sequence[Candidate]) -> float:
        """What new designs are expected to add to the hypervolume, for the cost of one full evaluation.

        Args:
            race: What they have to beat, and what is predicted of them.
            candidates: The designs that were chosen last.

        Returns:
            The mean of what is expected of those that a surrogate chose.
        """
        gains = []
        for c in candidates:
            if c.predicted:
                gains.append(race.expected_gain(c.params, {}, {}) or 0.0)
        return math.fsum(gains) / max(len(gains), 1)

    def _prepare(self, candidates: list[Candidate]) -> None:
        """Let an evaluator that takes several designs at a time have them."""
        prepare = getattr(self.evaluate, "prepare", None)
        if prepare is not None:
            prepare([dict(c.params) for c in candidates])

    def _record_all(
        self, outcomes: Iterator[execution.Outcome], planned: dict[str, PlannedDesign]
    ) -> bool:
        """Record each outcome as it comes, and take it off what is ``planned``; whether the search may go on."""
        self.failures.any_done = any(r.status == "done" for r in self.study.evaluations())
        try:
            for outcome in outcomes:
                record = self._record(outcome, planned.pop(outcome.key))
                self._tell_of(record)
                reason = self.failures.stops(record)
                if reason:
                    self.listener(events.Stopped(reason))
                    return False
            return True
        finally:
            if isinstance(outcomes, Generator):
                outcomes.close()
            self.planner.release()

    def _tell_of(self, record: Record) -> None:
        """Tell the listener of an evaluation, and how far the study is with it."""
        count = len(self.study.evaluations())
        volume = self.study.hypervolume()
        self.listener(events.Recorded(record, count, self.budget, volume))

    def _record(self, outcome: execution.Outcome, planned: PlannedDesign) -> Record:
        return self.study.record(
            planned.candidate,
            outcome.metrics,
            status=outcome.status,
            reason=outcome.reason,
            seconds=outcome.seconds,
            extra={**planned.extra, **outcome.extra},
        )


def _at_work(running: Sequence[Record]) -> str:
    """Who is evaluating which designs, in words."""
    by: dict[str, list[str]] = {}
    for record in running:
        by.setdefault(str(record.extra.get("owner", "another process")), []).append(record.key)
    parts = []
    for owner, keys in by.items():
        shown = ", ".join(key[:SHORT_KEY] for key in keys[:SHOWN_KEYS])
        more = "" if len(keys) <= SHOWN_KEYS else " and others"
        parts.append(f"{owner} is evaluating {len(keys)} designs ({shown}{more})")
    return ", ".join(parts)
