"""The study: the one stateful object. It asks, has measured, records, and can always go on from its log."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Unpack

import numpy as np

from cimbo import engine, events, reuse, tabular
from cimbo.errors import BadInput, naming
from cimbo.forecast import Forecast, ahead
from cimbo.guidance import Guidance
from cimbo.objectives import Candidate, Constraint, Objective, Problem, candidate
from cimbo.origin import check_definition, versions
from cimbo.pareto import hypervolume, non_dominated
from cimbo.propose import Search, State, propose
from cimbo.space import Params, SearchSpace
from cimbo.store import Record, Store
from cimbo.surrogates import Exact, Teaching, targets

Evaluate = Callable[[Params], Mapping[str, float]]
Planned = tuple[Candidate, dict[str, Any]]  # with what will be kept beside its evaluation
LEASE_S = 24 * 3600.0
ABSURD = 1e100  # larger metrics are an evaluator's way to say that it failed; their squares overflow


class Study:
    """A search with a log. Open it with ``Study.open``."""

    def __init__(self, store: Store, problem: Problem, seed: int, fixed: Mapping[str, Any] | None = None) -> None:
        self.store, self.problem, self.seed, self.fixed = store, problem, seed, dict(fixed or {})
        self._records = store.records()
        self._pending: dict[str, Candidate] = {}
        self._fits: dict[tuple[str, str], Any] = {}
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"

    @staticmethod
    def open(
        path: str | os.PathLike[str] | None,
        space: SearchSpace | None = None,
        objectives: Sequence[Objective] | None = None,
        constraints: Iterable[Constraint] = (),
        seed: int = 0,
        *,
        about: Mapping[str, Any] | None = None,
        readonly: bool = False,
    ) -> Study:
        """Open the study at ``path``, or start it there; None keeps it in memory.

        An existing file needs no space and objectives: they come from it, and so does the seed. ``about`` is kept with a new
        study (the preset), besides the versions of what decides its course. Raises BadInput for a file that is no study, or is
        another study.
        """
        if space is None and objectives is None:
            if path is None:
                raise BadInput("study", "has neither a file nor a space", "give space= and objectives=")
            return Study._of(Store.open(path, None, readonly=readonly), None)
        if space is None or not objectives:
            raise BadInput(
                "study", "needs a space and objectives together", "give both, or neither for an existing file"
            )
        problem = Problem(space, tuple(objectives), tuple(constraints))
        definition = {**problem.to_json(), "seed": seed, "versions": versions(), **(about or {})}
        store = Store.open(path, definition, readonly=readonly)
        return Study._of(store, problem)

    @staticmethod
    def _of(store: Store, problem: Problem | None) -> Study:
        """The study in an open file, which is closed again when that holds none."""
        try:
            with naming(store.path):
                check_definition(store.definition)
                problem = problem or Problem.from_json(store.definition)
                return Study(store, problem, store.definition.get("seed", 0))
        except BaseException:
            store.close()
            raise

    def what_if(self, limits: Iterable[Constraint] = (), fixed: Mapping[str, Any] | None = None) -> Study:
        """The same log asked another question: under other bounds, with genes kept at a value. Nothing is evaluated again.

        A limit takes the place of the study's constraint on the same metric and side. Front, hypervolume and proposals are
        those of the new question. Both studies share one file: closing either closes it. Raises BadInput for an unknown
        gene or a value it cannot take.
        """
        space, fixed = self.problem.space, {**self.fixed, **(fixed or {})}
        for name, value in fixed.items():
            if name not in space.column:
                raise BadInput(f"fixed gene {name}", "is no gene", f"the genes are {', '.join(space.names)}")
            space.choices[space.column[name]].index(value)
        other = Study(self.store, self.problem.limited(limits), self.seed, fixed)
        other._pending = self._pending
        return other

    # ---- reading --------------------------------------------------------------------------------------------------

    def evaluations(self) -> list[Record]:
        """Every recorded evaluation, in order."""
        self._records += self.store.records(after=self._records[-1].number if self._records else 0)
        return list(self._records)

    def verified(self) -> list[Record]:
        """Evaluations that measured every objective, keep every constraint and have the fixed genes where those exist."""
        return [
            r
            for r in self.evaluations()
            if r.status == "done" and self.problem.feasible(r.metrics) and _agrees(r.params, self.fixed)
        ]

    def pareto(self) -> list[Record]:
        """Verified, feasible and non-dominated, best first objective first."""
        records = self.verified()
        if not records:
            return []
        scores = self.problem.scores([r.metrics for r in records])
        front = [records[i] for i in np.flatnonzero(non_dominated(scores))]
        first = self.problem.objectives[0]
        return sorted(front, key=lambda r: (-first.sign * r.metrics[first.name], r.number))

    def hypervolume(self) -> float | None:
        """Of the verified front above the references, in natural units; None when an objective has no reference."""
        reference = self.problem.reference()
        if reference is None:
            return None
        return hypervolume(self.problem.scores([r.metrics for r in self.verified()]), reference)

    def forecast(self, more: int = 50) -> Forecast | None:
        """What ``more`` evaluations are expected to add to the hypervolume, see `cimbo.forecast`."""
        return ahead(self.problem, [r for r in self.evaluations() if _agrees(r.params, self.fixed)], more)

    def tested(self) -> dict[str, float]:
        """Accuracy by key on images that the search never sees, of the designs that were measured on them."""
        found: dict[str, float] = self.store.meta("accuracy_test") or {}
        return found

    def record_test(self, key: str, accuracy: float) -> None:
        """Keep the test accuracy of one design."""
        self.store.set_meta("accuracy_test", {**self.tested(), key: accuracy})

    def accuracies_measured(self) -> int:
        """How many networks had their accuracy measured: one measurement serves every chip for a network."""
        return len(reuse.measured(self.evaluations(), self.store.meta("shaping")))

    # ---- ask and tell ---------------------------------------------------------------------------------------------

    def ask(
        self, n: int = 1, *, cheap: Mapping[str, Exact] | None = None, guidance: Guidance | None = None
    ) -> list[Candidate]:
        """``n`` designs to evaluate next, conditional on those asked for and not told yet.

        Fewer when the space is exhausted. Raises BadInput for ``n`` below 1.
        """
        if n < 1:
            raise BadInput("ask", f"cannot propose {n} designs", "ask for at least 1")
        guidance = guidance or Guidance()
        return self._propose(n, replace(guidance, cheap=cheap) if cheap is not None else guidance)[0]

    def tell(
        self, asked: Candidate | Mapping[str, Any], metrics: Mapping[str, float] | None, *, reason: str | None = None
    ) -> Record:
        """Record what was measured. ``metrics`` None, or with a value that is no finite number: a failed evaluation.

        ``asked`` may also be a design of one's own. Raises BadInput when it is not of this study's space.
        """
        c = asked if isinstance(asked, Candidate) else candidate(self.problem.space, asked, origin="told")
        status = "failed" if metrics is None else "done"
        return self._record(
            c, metrics or {}, status=status, reason=reason or ("no metrics" if metrics is None else None)
        )

    def replay(
        self, c: Candidate, metrics: Mapping[str, float], *, seconds: float = 0.0, reason: str | None = None
    ) -> Record:
        """Record what was measured earlier, with its prediction and the seconds it took then; a ``reason``: it failed."""
        status = "done" if reason is None else "failed"
        return self._record(c, metrics, status=status, reason=reason, seconds=seconds)

    def frame(self) -> Any:
        """Every evaluation as a pandas DataFrame, a row each, with the columns of ``cimbo export``.

        Raises BadInput when pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise BadInput("Study.frame", "needs pandas", "pip install 'cimbo[parquet]'") from None
        return pd.DataFrame(tabular.rows(self.evaluations(), self.tested()))

    def _propose(self, n: int, guidance: Guidance, known: reuse.Known | None = None) -> tuple[list[Candidate], list[str]]:
        """``n`` candidates; where ``known`` is given, chips for networks that are measured already."""
        cheap = guidance.cheap if known is None else {**guidance.cheap, reuse.COSTLY: known.accuracy}
        teaching = Teaching(self.problem.space, guidance.kind, guidance.views, cheap, guidance.priors, self._fits)
        search = Search(self.problem, teaching, guidance.start(targets(self.problem)), self.fixed)
        search = search if known is None else replace(search, snap=known.snap)
        records = sorted(self.evaluations(), key=lambda r: (r.extra.get("position", r.number - 1), r.number))
        pending = {r.key: r.params for r in self.store.running()} | {k: c.params for k, c in self._pending.items()}
        state = State(
            [r.params for r in records],
            [r.metrics if r.status == "done" else None for r in records],
            list(pending.values()),
        )
        proposal = propose(search, state, n, seed=self.seed)
        self._pending |= {c.key: c for c in proposal.candidates}
        return proposal.candidates, proposal.notes

    def _record(self, c: Candidate, metrics: Mapping[str, float], **about: Any) -> Record:
        extra = {"predicted": {k: list(v) for k, v in c.predicted.items()}} if c.predicted else {}
        extra |= about.pop("extra", {})
        complaint = self._complaint(metrics) if about.get("status", "done") == "done" else None
        about |= {"status": "failed", "reason": complaint} if complaint else {}
        record = self.store.record(c.key, c.params, metrics=metrics, origin=c.origin, extra=extra, **about)
        self._pending.pop(c.key, None)
        return record

    def _complaint(self, metrics: Mapping[str, float]) -> str | None:
        """Why nothing can be learned from ``metrics``: a search over nothing but such designs would never say so."""
        missing = [name for name in targets(self.problem) if name not in metrics]
        absurd = [f"{name} is {value:g}" for name, value in metrics.items() if abs(value) > ABSURD]
        if missing:
            return f"did not measure {', '.join(missing)}"
        return f"{absurd[0]}: no measurement" if absurd else None

    # ---- the loop -------------------------------------------------------------------------------------------------

    def optimize(
        self,
        evaluate: Evaluate,
        budget: int,
        batch_size: int = 5,
        n_jobs: int = 1,
        *,
        cheap: Mapping[str, Exact] | None = None,
        guidance: Guidance | None = None,
        listener: events.Listener = events.ignore,
        asynchronous: bool = False,
        **conditions: Unpack[engine.Conditions],
    ) -> list[Record]:
        """Propose, verify, record and refit until ``budget`` evaluations stand in the study; returns the front.

        evaluate: flat dict of every active gene -> dict of metrics. ``budget`` counts what the study already holds, and so
        does the budget of accuracies in ``guidance``, which may end the search before.
        Whatever an evaluation does, it is one recorded value. The candidates of a batch do not depend on ``n_jobs``.
        asynchronous: no batches; a worker that is free gets a candidate chosen with what is known at that moment and
        conditional on what the others are evaluating, so that none waits, and the candidates depend on who is first.
        conditions: ``timeout_s``, ``retries``, ``memory_mb``, ``backend`` and ``isolate``, as in `engine.run`.
        Raises BadInput for a budget or batch below 1, and for impossible conditions before anything is planned.
        """
        if budget < 1 or batch_size < 1:
            raise BadInput(
                "optimize", f"cannot run {budget} evaluations in batches of {batch_size}", "give numbers of at least 1"
            )
        guidance = guidance or Guidance()
        guidance = replace(guidance, cheap=cheap) if cheap is not None else guidance
        engine.check(n_jobs, **conditions)
        if guidance.shaping is not None:
            self.store.set_meta("shaping", sorted(guidance.shaping))
        report = _Report(listener, budget)
        if asynchronous:
            flight: dict[str, Planned] = {}
            following = partial(self._following, flight, evaluate, budget=budget, guidance=guidance, listener=listener)
            self._record_all(engine.flow(following, evaluate, n_jobs=n_jobs, **conditions), flight, report)
            return self.pareto()
        while (left := budget - len(self.evaluations())) > 0:
            if self._converged(guidance):
                break
            batch = (self._planned() or self._plan(min(batch_size, left), guidance, listener))[:left]
            if not batch:
                break  # nothing left to propose, or others are evaluating all that was
            self._recall(evaluate)
            outcomes = engine.run([c for c, _ in batch], evaluate, n_jobs=n_jobs, **conditions)
            self._record_all(outcomes, {c.key: (c, extra) for c, extra in batch}, report)
        return self.pareto()

    def _following(
        self, flight: dict[str, Planned], evaluate: Evaluate, *, budget: int, guidance: Guidance, listener: events.Listener
    ) -> Candidate | None:
        """One more candidate for a free worker, conditional on those in ``flight``; None when the budget is given out."""
        if len(self.evaluations()) + len(flight) >= budget or self._converged(guidance):
            return None
        waiting = [planned for planned in self._planned() if planned[0].key not in flight]
        for c, extra in (waiting or self._plan(1, guidance, listener))[:1]:
            flight[c.key] = (c, extra)
            self._recall(evaluate)
            return c
        return None

    def _plan(self, n: int, guidance: Guidance, listener: events.Listener) -> list[Planned]:
        """Choose a batch and write it down, so that after a crash the same designs are finished first."""
        start = time.perf_counter()
        self._pending.clear()
        candidates, notes = self._affordable(n, guidance)
        seconds = time.perf_counter() - start
        first = len(self.evaluations()) + len(self.store.running())
        plan = [
            {"params": c.params, "origin": c.origin, "predicted": c.predicted,
             "extra": {"position": first + i, "overhead_s": seconds / len(candidates)}, "question": self._question()}
            for i, c in enumerate(candidates)
        ]  # fmt: skip
        self.store.set_meta("plan", plan)
        listener(events.Proposed(len(candidates), seconds, tuple(notes)))
        return self._planned()

    def _converged(self, guidance: Guidance) -> bool:
        expected = self.forecast() if guidance.converged else None
        return expected is not None and expected.share < (guidance.converged or 0.0)

    def _affordable(self, n: int, guidance: Guidance) -> tuple[list[Candidate], list[str]]:
        """Candidates within the budget of accuracies; when it is spent, new chips that add to the hypervolume."""
        if guidance.accuracies is None:
            return self._propose(n, guidance)
        records = [r for r in self.evaluations() if _agrees(r.params, self.fixed)]
        known = reuse.Known.of(self.problem.space, guidance.shaping, records)
        started = {reuse.network(r.params, guidance.shaping) for r in self.store.running()} - known.accuracies.keys()
        left = guidance.accuracies - self.accuracies_measured() - len(started)
        if left > 0:
            candidates, notes = self._propose(n, guidance)
            return known.first(candidates, left), notes
        if guidance.shaping is None or not known.accuracies:
            return [], ["as many accuracies are measured as may be"]
        (candidates, notes), front = self._propose(n, guidance, known), [r.metrics for r in self.pareto()]
        return [c for c in candidates if reuse.adds(self.problem, front, c)], notes

    def _planned(self) -> list[Planned]:
        """What the last written plan still has to be evaluated and nobody else is evaluating; claimed for this process."""
        # What was planned for another question (see what_if) is no answer to this one.
        plan = [e for e in self.store.meta("plan") or [] if e.get("question") == self._question()]
        done = {r.key for r in self.evaluations()}
        entries = [
            (candidate(self.problem.space, e["params"], origin=e["origin"], predicted=e["predicted"]), e["extra"])
            for e in plan
        ]
        entries = [(c, extra) for c, extra in entries if c.key not in done]
        claimed = (
            set(self.store.claim([(c.key, c.params) for c, _ in entries], owner=self._owner, lease_s=LEASE_S))
            if entries
            else set()
        )
        return [(c, extra) for c, extra in entries if c.key in claimed]

    def _question(self) -> dict[str, Any]:
        """What tells this study from others over the same log; JSON."""
        return {"constraints": self.problem.to_json()["constraints"], "fixed": self.fixed}

    def _recall(self, evaluate: Evaluate) -> None:
        """Tell an evaluator that remembers what was measured, by whichever process."""
        remember = getattr(evaluate, "remember", None)
        if remember is not None:
            for r in self.evaluations():
                remember(r.params, r.metrics)

    def _record_all(self, outcomes: Iterable[engine.Outcome], planned: dict[str, Planned], report: _Report) -> None:
        """Record each outcome as it comes, and take it off what is ``planned``."""
        try:
            for outcome in outcomes:
                c, extra = planned.pop(outcome.key)
                record = self._record(
                    c, outcome.metrics, status=outcome.status, reason=outcome.reason, seconds=outcome.seconds,
                    extra=extra | dict(outcome.extra),
                )  # fmt: skip
                report(record, self)
        finally:
            self.store.release(self._owner)

    def close(self) -> None:
        """Release what is under way and close the file."""
        self.store.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _agrees(params: Params, fixed: Mapping[str, Any]) -> bool:
    """Whether every fixed gene that a design has keeps its value."""
    return all(params.get(name, value) == value for name, value in fixed.items())


@dataclass(frozen=True)
class _Report:
    listener: events.Listener
    budget: int

    def __call__(self, record: Record, study: Study) -> None:
        self.listener(events.Recorded(record, len(study.evaluations()), self.budget, study.hypervolume()))
