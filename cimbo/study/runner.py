"""The loop of a study: plan a batch, write it down, have it evaluated, record what came of it, until the budget is spent."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cimbo import execution
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Candidate, candidate
from cimbo.study import accuracy_cache, events

if TYPE_CHECKING:
    from cimbo.study.study import Study

Planned = tuple[Candidate, dict[str, Any]]  # with what will be kept beside its evaluation


@dataclass(frozen=True)
class Campaign:
    """One call of ``Study.optimize``: what evaluates, how candidates are chosen, and how many evaluations there may be."""

    study: Study
    evaluate: execution.Evaluate
    budget: int
    guidance: OptimizerOptions
    listener: events.Listener = events.ignore

    def in_batches(self, size: int, n_jobs: int, conditions: execution.Conditions) -> None:
        """Batches of ``size``, the next one chosen when all of the last are evaluated."""
        while (left := self.budget - len(self.study.evaluations())) > 0:
            if self._converged():
                break
            batch = (self._planned() or self._plan(min(size, left)))[:left]
            if not batch:
                break  # nothing left to propose, or others are evaluating all that was
            self._recall()
            outcomes = execution.run(
                [c for c, _ in batch], self.evaluate, n_jobs=n_jobs, **conditions
            )
            self._record_all(outcomes, {c.key: (c, extra) for c, extra in batch})

    def flowing(self, n_jobs: int, conditions: execution.Conditions) -> None:
        """No batches: each worker that is free gets a candidate at once."""
        flight: dict[str, Planned] = {}
        outcomes = execution.flow(
            lambda: self._following(flight), self.evaluate, n_jobs=n_jobs, **conditions
        )
        self._record_all(outcomes, flight)

    def _following(self, flight: dict[str, Planned]) -> Candidate | None:
        """One more candidate for a free worker, conditional on those in ``flight``; None when the budget is given out."""
        if len(self.study.evaluations()) + len(flight) >= self.budget or self._converged():
            return None
        waiting = [planned for planned in self._planned() if planned[0].key not in flight]
        for c, extra in (waiting or self._plan(1))[:1]:
            flight[c.key] = (c, extra)
            self._recall()
            return c
        return None

    def _converged(self) -> bool:
        expected = self.study.forecast() if self.guidance.converged else None
        return expected is not None and expected.share < (self.guidance.converged or 0.0)

    # ---- planning -------------------------------------------------------------------------------------------------

    def _plan(self, n: int) -> list[Planned]:
        """Choose a batch and write it down, so that after a crash the same designs are finished first."""
        start, study = time.perf_counter(), self.study
        study.clear_pending()
        candidates, notes = self._affordable(n)
        seconds = time.perf_counter() - start
        first = len(study.evaluations()) + len(study.running())
        plan = [
            {
                "params": c.params,
                "origin": c.origin,
                "predicted": c.predicted,
                "extra": {"position": first + i, "overhead_s": seconds / len(candidates)},
                "question": self._question(),
            }
            for i, c in enumerate(candidates)
        ]
        study.store.set_meta("plan", plan)
        self.listener(events.Proposed(len(candidates), seconds, tuple(notes)))
        return self._planned()

    def _affordable(self, n: int) -> tuple[list[Candidate], list[str]]:
        """Candidates within the budget of accuracies; when it is spent, new chips that add to the hypervolume."""
        study, guidance = self.study, self.guidance
        if guidance.accuracies is None:
            return study.propose(n, guidance)
        known = accuracy_cache.Known.of(
            study.problem.space, guidance.shaping, study.matching_fixed()
        )
        started = {
            accuracy_cache.network(r.params, guidance.shaping) for r in study.running()
        } - known.accuracies.keys()
        left = guidance.accuracies - study.accuracies_measured() - len(started)
        if left > 0:
            candidates, notes = study.propose(n, guidance)
            return known.first(candidates, left), notes
        if guidance.shaping is None or not known.accuracies:
            return [], ["as many accuracies are measured as may be"]
        (candidates, notes), front = (
            study.propose(n, guidance, known),
            [r.metrics for r in study.pareto()],
        )
        return [c for c in candidates if accuracy_cache.adds(study.problem, front, c)], notes

    def _planned(self) -> list[Planned]:
        """What the last written plan still has to be evaluated and nobody else is evaluating; claimed for this process."""
        study = self.study
        # What was planned for another question (see Study.with_constraints) is no answer to this one.
        plan = [e for e in study.store.meta("plan") or [] if e.get("question") == self._question()]
        done = {r.key for r in study.evaluations()}
        entries = [
            (
                candidate(
                    study.problem.space, e["params"], origin=e["origin"], predicted=e["predicted"]
                ),
                e["extra"],
            )
            for e in plan
        ]
        entries = [(c, extra) for c, extra in entries if c.key not in done]
        if not entries:
            return []
        claimed = set(
            study.store.claim([(c.key, c.params) for c, _ in entries], owner=study.worker_id)
        )
        return [(c, extra) for c, extra in entries if c.key in claimed]

    def _question(self) -> dict[str, Any]:
        """What tells this study from others over the same log; JSON."""
        return {
            "constraints": self.study.problem.to_json()["constraints"],
            "fixed": self.study.fixed,
        }

    # ---- evaluating -----------------------------------------------------------------------------------------------

    def _recall(self) -> None:
        """Tell an evaluator that remembers what was measured, by whichever process."""
        remember = getattr(self.evaluate, "remember", None)
        if remember is not None:
            for r in self.study.evaluations():
                remember(r.params, r.metrics)

    def _record_all(
        self, outcomes: Iterable[execution.Outcome], planned: dict[str, Planned]
    ) -> None:
        """Record each outcome as it comes, and take it off what is ``planned``."""
        study = self.study
        try:
            for outcome in outcomes:
                c, extra = planned.pop(outcome.key)
                record = study.record(
                    c,
                    outcome.metrics,
                    status=outcome.status,
                    reason=outcome.reason,
                    seconds=outcome.seconds,
                    extra=extra | dict(outcome.extra),
                )
                self.listener(
                    events.Recorded(
                        record, len(study.evaluations()), self.budget, study.hypervolume()
                    )
                )
        finally:
            study.store.release(study.worker_id)
