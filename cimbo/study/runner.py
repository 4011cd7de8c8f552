"""The loop of a study: take a planned batch, have it evaluated, record what came of it, until the budget is spent."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cimbo import execution
from cimbo.evaluation.low_fidelity import COST_IN_FULL
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.fidelity import remaining_cost
from cimbo.problem.noted_metrics import NotedMetrics
from cimbo.problem.objectives import Candidate, candidate
from cimbo.problem.space import SearchSpace
from cimbo.storage import Record
from cimbo.study import continuation, events
from cimbo.study.failures import FailureWatch
from cimbo.study.fidelity_offsets import calibrated
from cimbo.study.planner import PlannedDesign
from cimbo.study.protocols import BatchPlanner, RecordingStudy

N_CONTINUED = 2  # stopped designs that are continued at most with a batch, for each design of it
SHORT_KEY = 8  # letters of a key in a message
SHOWN_KEYS = 3  # of the designs that another process evaluates


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
    # Key of a stopped design to what was left to be spent on it when it was last continued
    continued_at: dict[str, float] = field(default_factory=dict)
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
            if not self._run(
                [*batch, *self._worth_continuing(batch, N_CONTINUED * size)], n_jobs, conditions
            ):
                return
        self._finish_stopped(size, n_jobs, conditions)

    def _finish_stopped(
        self, size: int, n_jobs: int, conditions: execution.ExecutionOptions
    ) -> None:
        """Continue stopped measurements while any is worth its cost, ``size`` at a time, each by a stage."""
        may_go_on = len(self.study.evaluations()) <= self.budget
        while may_go_on:
            batch = self._worth_continuing((), N_CONTINUED * size)
            may_go_on = bool(batch) and self._run(batch, n_jobs, conditions)

    def _cost_of_continuing(self, metrics: Mapping[str, float]) -> float | None:
        """What an evaluator says that one more stage of a stopped measurement costs; None where it continues none."""
        compute = getattr(self.evaluate, "cost_of_continuing", None)
        if compute is None:
            return None
        cost: float | None = compute(metrics)
        return cost

    def _has_stages(self) -> bool:
        """Whether the evaluator measures in stages and goes on with what it stopped."""
        return self._cost_of_continuing({}) is not None

    def _cost_of_next_stage(self, record: Record) -> float:
        """What going on with a stopped design costs; 0 where nothing comes of it.

        Returns:
            The cost, as a share of one full evaluation. An evaluator without stages measures in full
            what was stopped when the study had stages. A design that was continued in vain, as by an
            evaluator with stages of another kind, is not tried again.
        """
        if remaining_cost(record.metrics) >= self.continued_at.get(record.key, math.inf):
            return 0.0
        if self._has_stages():
            return self._cost_of_continuing(record.metrics) or 0.0
        return COST_IN_FULL if continuation.was_stopped_in_a_stage(record) else 0.0

    def _worth_continuing(
        self, new: Sequence[PlannedDesign], n: int, without: Collection[str] = ()
    ) -> list[PlannedDesign]:
        """Lease stopped designs that promise more for their cost than new ones do.

        Args:
            new: The designs that were chosen last and are not measured yet.
            n: How many to lease; more only of the first designs.
            without: Keys of designs that are under way.

        Returns:
            The designs.
        """
        costs: dict[str, float] = {}
        records = []
        every = self.study.same_provenance()
        for record in continuation.stopped(calibrated(every)):
            cost = self._cost_of_next_stage(record)
            if cost and record.key not in without and self.study.matches_fixed(record):
                costs[record.key] = cost
                records.append(record)
        if not records:
            return []
        predicted = self.planner.predictions(records, self.options)
        candidates = [planned.candidate for planned in new]
        race = continuation.patient_race(
            self.study, candidates, records, predicted, has_stages=self._has_stages()
        )
        chosen = continuation.choose(race, records, costs, n)
        keys = {record.key for record in chosen}
        return self._claim_again([record for record in every if record.key in keys])

    def _claim_again(self, records: Sequence[Record]) -> list[PlannedDesign]:
        """Lease stopped designs, as they were measured, to go on with them."""
        left = {record.key: remaining_cost(record.metrics) for record in records}
        claimed = self.planner.claim_again(records)
        for planned in claimed:
            self.continued_at[planned.candidate.key] = left[planned.candidate.key]
        return claimed

    def measure_in_full(
        self, keys: Collection[str], n_jobs: int, conditions: execution.Conditions
    ) -> None:
        """Go on with stopped measurements to their end, whatever the designs promise.

        Args:
            keys: The designs. Of those that were not stopped nothing is measured.
            n_jobs: Evaluations at a time, see `cimbo.execution.run`.
            conditions: Further options of `cimbo.execution.run`.

        Raises:
            BadInput: The evaluator says that it can evaluate no design, or the study cannot be
                written.
        """
        while True:
            going_on = []
            for record in self.study.same_provenance():
                is_asked_for = record.key in keys and continuation.was_stopped_in_a_stage(record)
                if is_asked_for and self._cost_of_next_stage(record):
                    going_on.append(record)
            batch = self._claim_again(going_on)
            if not batch:
                return
            self._run(batch, n_jobs, conditions)

    def _left(self) -> int:
        """How many evaluations nobody has made or is making yet, of those that there may be.

        What was handed out does not count: nobody can tell whether it is evaluated at all.

        Returns:
            The number, which is below 0 where more was evaluated than asked for.
        """
        recorded = {record.key for record in self.study.evaluations()}
        evaluating = 0
        for record in self.study.running():
            if not record.extra.get("handed_out") and record.key not in recorded:
                evaluating += 1
        return self.budget - len(recorded) - evaluating

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
        self._recall(batch)
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
        new = [planned for planned in flight.values() if planned.continues is None]
        following = self._stopped_beside(flight, new) or self._new_beside(flight, new)
        if not following:
            return None
        chosen = following[0]
        flight[chosen.candidate.key] = chosen
        self._recall(list(flight.values()))
        return chosen.candidate

    def _stopped_beside(
        self, flight: Mapping[str, PlannedDesign], new: Sequence[PlannedDesign]
    ) -> list[PlannedDesign]:
        """A stopped design that is worth continuing and that no worker has."""
        claimed = self._worth_continuing(new, 1, without=flight.keys())
        return claimed[:1]

    def _new_beside(
        self, flight: Mapping[str, PlannedDesign], new: Sequence[PlannedDesign]
    ) -> list[PlannedDesign]:
        """New designs that no worker has; none where the budget is given out."""
        if len(self.study.evaluations()) + len(new) >= self.budget or self._converged():
            return []
        return self._waiting(flight) or self._plan(min(1, self._left()))

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

    def _recall(self, planned: Sequence[PlannedDesign] = ()) -> None:
        """Tell an evaluator what was measured, by whichever process, and what designs have to beat.

        The first is for evaluators that remember, the second for those that measure in stages.
        """
        race_against = getattr(self.evaluate, "race_against", None)
        if race_against is not None:
            race = continuation.race(
                self.study, [p.candidate for p in planned if p.continues is None]
            )
            if self._has_stages():
                continued = [p.candidate.key for p in planned if p.continues is not None]
                race = replace(race, continued=frozenset(continued))
            race_against(race)
        remember = getattr(self.evaluate, "remember", None)
        if remember is not None:
            for record in self.study.same_provenance():
                remember(record.params, NotedMetrics(record.metrics, record.extra))

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
                of_batch = planned.pop(outcome.key)
                record = self._record(outcome, of_batch)
                if of_batch.continues is not None:
                    continue
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
        """Write what came of a design."""
        if planned.continues is not None:
            return self._keep_continued(outcome, planned.continues)
        return self.study.record(
            planned.candidate,
            outcome.metrics,
            status=outcome.status,
            reason=outcome.reason,
            seconds=outcome.seconds,
            extra={**planned.extra, **outcome.extra},
        )

    def _keep_continued(self, outcome: execution.Outcome, row: Record) -> Record:
        """Keep what a continued measurement gave beside the row of its design."""
        if outcome.status == "done":
            self.study.keep_replicates(row, outcome.metrics)
        else:
            self.study.keep_failure(row, outcome.reason or "failed")
        return row


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
