"""The study: the one stateful object. It asks, has measured, records, and can always go on from its log."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Unpack

from cimbo import execution
from cimbo.errors import BadInput, choose_from, naming, unknown_option
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.surrogates import AnalyticFunction, Surrogate
from cimbo.problem.objectives import Candidate, Constraint, Objective, Problem, candidate
from cimbo.problem.scalars import finite, integer, shown
from cimbo.problem.space import SearchSpace
from cimbo.storage import Record, Store
from cimbo.storage.values import finite_metrics, one_line
from cimbo.study import events, records_table, replicates
from cimbo.study.front import Front
from cimbo.study.log import StudyLog
from cimbo.study.planner import Planner
from cimbo.study.provenance import (
    FINGERPRINT_REFERENCE,
    RESULTS_VERSIONS_NAME,
    admit,
    check_definition,
    fingerprints,
    reference,
    refuse_changed,
    results_versions,
    versions,
)
from cimbo.study.readiness import get_ready
from cimbo.study.runner import Runner

LARGEST_SEED = 2**63 - 1  # what every generator of random numbers takes
LARGEST_METRIC = (
    1e100  # larger metrics are an evaluator's way to say that it failed; their squares overflow
)

# Kept for one release.
FORMER_NAMES = {
    "forget_asked": "clear_pending",
    "exact": "bit_accurate_differences",
    "record_exact": "record_bit_accurate",
    "record_test": "record_test_accuracy",
    "relevant": "matching_fixed",
    "replay": "import_evaluation",
    "tested": "test_accuracies",
    "verified": "feasible_evaluations",
    "what_if": "with_constraints",
}


class Study(StudyLog):
    """A search with a log. Open it with ``Study.open``.

    Examples:
        >>> from cimbo import Choice, Objective, SearchSpace, Study
        >>> space = SearchSpace([Choice("depth", [2, 4, 8])], [Choice("rows", [64, 128, 256])])
        >>> objectives = [
        ...     Objective("accuracy", "max", reference=60.0),
        ...     Objective("latency_ms", "min", reference=10.0),
        ... ]
        >>> def evaluate(design):
        ...     return {"accuracy": 60.0 + design["depth"], "latency_ms": 64 * design["depth"] / design["rows"]}
        >>> with Study.open(None, space, objectives) as study:
        ...     front = study.optimize(evaluate, budget=6, listener=None)
        ...     len(study.evaluations()), study.hypervolume() > 0
        (6, True)
    """

    def __init__(
        self, store: Store, problem: Problem, seed: int, fixed: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(store, problem, fixed or {})
        self.seed = seed
        self._planner = Planner(self, seed)
        self._fingerprint: str | None = None  # identifier of what evaluates, while `optimize` runs

    @staticmethod
    def open(
        path: str | os.PathLike[str] | None,
        space: SearchSpace | None = None,
        objectives: Sequence[Objective] | None = None,
        constraints: Iterable[Constraint] = (),
        seed: int = 0,
        *,
        metrics: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        readonly: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> Study:
        """Open the study at ``path``, or start it there.

        An existing file needs no space and objectives: they come from it, and so does the seed.

        Args:
            path: The study file; None keeps the study in memory.
            space: The genes and their values. A plain list of choices is a space of architectures.
            objectives: What is minimised or maximised; one may stand by itself.
            constraints: Bounds on metrics; one may stand by itself.
            seed: Decides the course of a new study, from 0 to `LARGEST_SEED`.
            metrics: Those that follow from others, as expressions:
                ``{"edp": "energy_uj * latency_ms"}``.
            metadata: JSON that is kept with a new study (its configuration), besides the versions
                of what decides its course.
            readonly: Whether to refuse writing.
            about: The former name of ``metadata``.

        Returns:
            The study. Close it, or use it in a ``with`` block.

        Raises:
            BadInput: The file is no study or is another study, or the arguments do not describe
                one.
        """
        if space is None and objectives is None:
            if path is None:
                raise BadInput(
                    "study", "has neither a file nor a space", "give space= and objectives="
                )
            return Study._of(Store.open(path, None, readonly=readonly))
        if isinstance(space, list | tuple):
            space = SearchSpace(space)
        if isinstance(objectives, Objective):
            objectives = (objectives,)
        if isinstance(constraints, Constraint):
            constraints = (constraints,)
        if space is None or not objectives:
            raise BadInput(
                "study",
                "needs a space and objectives together",
                "give both, or neither for an existing file",
            )
        problem = Problem(space, tuple(objectives), tuple(constraints), metrics or {})
        seed = integer("seed", seed, least=0, most=LARGEST_SEED)
        # Not Path.exists, which raises for a name that is too long. Older files may have any names.
        if path is None or not os.path.exists(path):  # noqa: PTH110
            records_table.check_names(problem)
        definition = {
            **problem.to_json(),
            "seed": seed,
            "versions": versions(),
            RESULTS_VERSIONS_NAME: results_versions(),
            **(metadata or about or {}),
        }
        store = Store.open(path, definition, readonly=readonly)
        return Study._of(store)

    @staticmethod
    def _of(store: Store) -> Study:
        """The study in an open file, which is closed again when that holds none.

        Genes are those of the file, not those that the caller wrote: 2 and 2.0 are equal, their keys are not.
        """
        try:
            with naming(store.path):
                check_definition(store.definition)
                problem = Problem.from_json(store.definition)
                return Study(store, problem, store.definition.get("seed", 0))
        except BaseException:
            store.close()
            raise

    def with_constraints(
        self, limits: Iterable[Constraint] = (), fixed: Mapping[str, Any] | None = None
    ) -> Study:
        """Ask the same log another question: under other bounds, with genes kept at a value.

        Nothing is evaluated again. Front, hypervolume and proposals are those of the new question.
        Both studies share one file: closing either closes it.

        Args:
            limits: Constraints. Each takes the place of the study's own on the same metric and
                side.
            fixed: Values by gene, besides those that are fixed already; None for no further ones.

        Returns:
            The study with the new question.

        Raises:
            BadInput: A gene is unknown, or a value is one that it cannot take.
        """
        space, fixed = self.problem.space, {**self.fixed, **(fixed or {})}
        for name, value in fixed.items():
            if name not in space.column:
                raise BadInput(
                    f"fixed gene {name}",
                    "is no gene",
                    choose_from(name, space.names, "the genes are"),
                )
            space.choices[space.column[name]].index(value)
        other = Study(self.store, self.problem.limited(limits), self.seed, fixed)
        other._planner.pending = self._planner.pending
        return other

    # ---- ask and tell ---------------------------------------------------------------------------------------------

    def selection_reasons(self) -> dict[str, str]:
        """Tell how the predictors of this process's last proposal were chosen, with what older ones were worth.

        Returns:
            A line by metric; empty before a proposal by predictors.
        """
        return self._planner.selection_reasons()

    def ask(
        self,
        n: int = 1,
        *,
        cheap: Mapping[str, AnalyticFunction] | None = None,
        guidance: OptimizerOptions | None = None,
    ) -> list[Candidate]:
        """Propose designs to evaluate next, conditional on those asked for and not told yet.

        Args:
            n: How many; fewer come back when the space is exhausted.
            cheap: Metrics that are exact and cheap, by name; takes the place of
                ``guidance.analytic``.
            guidance: What the optimizer knows. Its budget of accuracies has no effect here.

        Returns:
            The candidates in order of choice. They count as asked for until they are told, until
            `clear_pending`, or until `optimize` plans a batch.

        Raises:
            BadInput: ``n`` is no integer or below 1.
        """
        n = integer("ask", n)
        if n < 1:
            raise BadInput("ask", f"cannot propose {shown(n)} designs", "ask for at least 1")
        guidance = guidance or OptimizerOptions()
        if cheap is not None:
            guidance = replace(guidance, analytic=cheap)
        candidates, _ = self._planner.propose(n, guidance)
        return candidates

    def surrogates(self, guidance: OptimizerOptions | None = None) -> dict[str, Surrogate]:
        """Fit what `ask` chooses candidates by, to look into it.

        Args:
            guidance: What the optimizer knows.

        Returns:
            A surrogate for each objective and constrained metric, by name; none while too few
            designs are measured.
        """
        return self._planner.surrogates(guidance or OptimizerOptions())

    def tell(
        self,
        asked: Candidate | Mapping[str, Any],
        metrics: Mapping[str, float] | None,
        *,
        reason: str | None = None,
    ) -> Record:
        """Record what was measured.

        A design that is told again with other values keeps its row, which is returned, and the
        values beside it: `evaluations` and all that is computed from them read the mean, and
        ``extra["replicates"]`` has every one.

        Args:
            asked: A candidate of `ask`, or the genes of a design of one's own by name.
            metrics: What was measured, by name. None, or a value that is no finite number, makes it
                a failed evaluation; so does a metric that the study needs and is not there.
            reason: Why it failed; kept as one line.

        Returns:
            The row that the study holds now.

        Raises:
            BadInput: ``asked`` is not of this study's space, or the study cannot be written.
        """
        if isinstance(asked, Candidate):
            c = asked
        else:
            c = candidate(self.problem.space, asked, origin="told")
        reason = None if reason is None else one_line(reason)
        if metrics is None:
            return self.record(c, {}, status="failed", reason=reason or "no metrics")
        if not isinstance(metrics, Mapping):
            told = reason or f"told {shown(metrics)} instead of a dict of metrics"
            return self.record(c, {}, status="failed", reason=told)
        row = self.record(c, metrics, reason=reason)
        self.keep_replicates(row, metrics)
        return row

    def keep_replicates(self, row: Record, metrics: Mapping[str, float], times: int = 1) -> bool:
        """Keep ``metrics`` beside ``row``, where they are another measurement of its design.

        Args:
            row: The row of the design.
            metrics: What was measured, by name.
            times: How often just these metrics were measured in all, the row's own measurement
                included. What is kept as often already is not added.

        Returns:
            Whether there was anything to keep: not for the row's own values told once, nor for a
            measurement that failed.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        good, complaint = finite_metrics(metrics)
        if row.status != "done" or complaint or self._complaint(good, row.params):
            return False
        good = self.problem.completed(good, row.params)
        if times == 1 and good == row.metrics:
            return False
        return replicates.add(self.store, row, good, times)

    def import_evaluation(
        self,
        c: Candidate,
        metrics: Mapping[str, float],
        *,
        seconds: float = 0.0,
        reason: str | None = None,
    ) -> Record:
        """Record what was measured earlier, with its prediction and the seconds it took then.

        Args:
            c: The candidate, with what was predicted of it.
            metrics: What was measured, by name.
            seconds: What the evaluation took.
            reason: Why it failed; None where it did not.

        Returns:
            The row that the study holds now.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        status = "done" if reason is None else "failed"
        return self.record(c, metrics, status=status, reason=reason, seconds=seconds)

    def frame(self) -> Any:
        """Return every evaluation as a pandas DataFrame, a row each, with the columns of ``cimbo export``.

        Raises:
            BadInput: Pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise BadInput("Study.frame", "needs pandas", "pip install 'cimbo[parquet]'") from None
        return pd.DataFrame(records_table.rows(self.evaluations(), self.test_accuracies()))

    def clear_pending(self) -> None:
        """Free the candidates that were asked for and never told, so that they may be proposed again."""
        self._planner.pending.clear()

    def hold_back(self, candidates: Iterable[Candidate]) -> None:
        """Let ``candidates`` count as asked for and not told, until `clear_pending`.

        Args:
            candidates: Designs that are not to be proposed.
        """
        self._planner.pending |= {c.key: c for c in candidates}

    def record(self, c: Candidate, metrics: Mapping[str, float], **about: Any) -> Record:
        """Write one evaluation to the log, with what was predicted of it.

        It is a failed one where nothing can be learned from the metrics: one that the study needs
        is missing, or any is no finite number or above `LARGEST_METRIC` in size.

        Args:
            c: The candidate.
            metrics: What was measured, by name. What the study derives from them is added.
            **about: ``status``, ``reason``, ``seconds`` and ``extra``, as in
                `cimbo.storage.Store.record`.

        Returns:
            The row that the study holds now.

        Raises:
            BadInput: The study is read-only or cannot be written, or something is not JSON.
        """
        extra: dict[str, Any] = {}
        if c.predicted:
            extra["predicted"] = {k: list(v) for k, v in c.predicted.items()}
        extra |= about.pop("extra", {})
        if self._fingerprint is not None:
            extra[FINGERPRINT_REFERENCE] = self._fingerprint
        complaint = None
        if about.get("status", "done") == "done":
            complaint = self._complaint(metrics, c.params)
            metrics = self.problem.completed(metrics, c.params)
        about |= {"status": "failed", "reason": complaint} if complaint else {}
        record = self.store.record(
            c.key, c.params, metrics=metrics, origin=c.origin, extra=extra, **about
        )
        self._planner.pending.pop(c.key, None)
        return record

    def _complaint(self, metrics: Mapping[str, float], params: Mapping[str, Any]) -> str | None:
        """Why nothing can be learned from ``metrics``: a search over nothing but such designs would never say so."""
        missing = self.problem.unmeasured(metrics, params)
        if missing:
            return missing
        for name, value in metrics.items():
            measured = finite(value)  # the store says of which it is none
            if measured is not None and abs(measured) > LARGEST_METRIC:
                return f"{name} is {measured:g}: no measurement"
        return None

    # ---- the loop -------------------------------------------------------------------------------------------------

    def optimize(
        self,
        evaluate: execution.Evaluate,
        budget: int,
        batch_size: int = events.DEFAULT_BATCH_SIZE,
        n_jobs: int = 1,
        *,
        cheap: Mapping[str, AnalyticFunction] | None = None,
        guidance: OptimizerOptions | None = None,
        listener: events.Listener | None = events.log_progress,
        asynchronous: bool = False,
        retry_failed: bool = False,
        accept_changed: bool = False,
        **conditions: Unpack[execution.ExecutionOptions],
    ) -> Front:
        """Propose, evaluate, record and refit until ``budget`` evaluations stand in the study.

        Whatever an evaluation does, it is one recorded value. The candidates of a batch do not
        depend on ``n_jobs``. Many equal failures in a row end the search. ``evaluate.check()``,
        where there is one, is called before anything is planned.

        Args:
            evaluate: Takes every active gene by name, and returns the metrics by name.
            budget: How many evaluations there may be in all; what the study already holds counts.
                It counts for the budget of accuracies in ``guidance`` too, which may end the search
                before.
            batch_size: Designs that are chosen at a time.
            n_jobs: Evaluations at a time; -1 for one a core, or all that a cluster gives.
            cheap: Metrics that are exact and cheap, by name; takes the place of
                ``guidance.analytic``.
            guidance: What the optimizer knows and may spend.
            listener: Told of every proposal and evaluation. By default a line a batch is logged;
                None is silence.
            asynchronous: Whether to do without batches. A worker that is free then gets a candidate
                chosen with what is known at that moment and conditional on what the others are
                evaluating. None waits, and the candidates depend on who is first.
            retry_failed: Whether to evaluate first, once more, what has failed.
            accept_changed: Whether to go on although the evaluator, or a file that it reads, is
                another one than before.
            **conditions: ``timeout_s``, ``retries``, ``memory_mb``, ``backend`` and ``isolate``, as
                in `cimbo.execution.run`.

        Returns:
            The front.

        Raises:
            BadInput: Budget or batch is below 1, or conditions are impossible; both before anything
                is planned. Also where ``evaluate`` raises one that is not about one design; that is
                not recorded.
            StudyError: The evaluator is another one than before, and ``accept_changed`` is not
                given.
            UnknownOption: A keyword is none of these.
        """
        budget, batch_size = integer("budget", budget), integer("batch_size", batch_size)
        _check_options(conditions)
        if budget < 1 or batch_size < 1:
            raise BadInput(
                "optimize",
                f"cannot run {shown(budget)} evaluations in batches of {shown(batch_size)}",
                "give numbers of at least 1",
            )
        guidance = guidance or OptimizerOptions()
        if cheap is not None:
            guidance = replace(guidance, analytic=cheap)
        execution.check(n_jobs, **conditions)
        get_ready(self, evaluate, is_here=conditions.get("backend", "loky") == "loky")
        # After the check: what cannot evaluate leaves no trace in the study.
        self.record_evaluator(evaluate)
        self._fingerprint = admit(self.store, evaluate, accept_changed=accept_changed)
        self.record_expensive(guidance)
        heard = listener or events.ignore
        runner = Runner(self, self._planner, evaluate, budget, guidance, listener=heard)
        try:
            if retry_failed:
                runner.retry_failed(self.problem.space, n_jobs, conditions)
            if asynchronous:
                runner.asynchronously(n_jobs, conditions)
            else:
                runner.in_batches(batch_size, n_jobs, conditions)
        finally:
            self._fingerprint = None
        return self.pareto()

    def refuse_changed(self, evaluator: object) -> None:
        """Refuse an evaluator that is not what evaluated this study; nothing is written.

        Args:
            evaluator: What would evaluate.

        Raises:
            StudyError: Its fingerprint is another one than those of the study; it names what
                differs.
        """
        refuse_changed(self.store, evaluator)

    def same_provenance(self) -> list[Record]:
        """Return the evaluations by what evaluates now; all of them where that has no fingerprint."""
        if self._fingerprint is None:
            return self.evaluations()
        known = fingerprints(self.store)
        same_provenance = []
        for r in self.evaluations():
            if reference(r, known) == self._fingerprint:
                same_provenance.append(r)
        return same_provenance

    if not TYPE_CHECKING:  # what is misspelt stays an error for a type checker

        def __getattr__(self, name: str) -> Any:
            """The method that was called ``name`` in the last release."""
            if name not in FORMER_NAMES:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            warnings.warn(
                f"Study.{name} is now Study.{FORMER_NAMES[name]}", DeprecationWarning, stacklevel=2
            )
            return getattr(self, FORMER_NAMES[name])

    def close(self) -> None:
        """Release what is under way and close the file."""
        self.store.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_options(conditions: Iterable[str]) -> None:
    """Raises UnknownOption for a keyword that `Study.optimize` does not have."""
    own = [
        name for name in signature(Study.optimize).parameters if name not in ("self", "conditions")
    ]
    options = [*own, *execution.ExecutionOptions.__annotations__]
    for name in conditions:
        if name not in options:
            raise unknown_option("Study.optimize", name, options)
