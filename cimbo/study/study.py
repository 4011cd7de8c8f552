"""The study: the one stateful object. It asks, has measured, records, and can always go on from its log."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Unpack

from cimbo import execution
from cimbo.errors import BadInput, EvaluationsFailed, check_known, naming, unknown_option
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.surrogates import AnalyticFunction
from cimbo.problem.objectives import Constraint, Objective, Problem
from cimbo.problem.scalars import integer, shown
from cimbo.problem.space import Choice, SearchSpace
from cimbo.storage import Record, Store
from cimbo.storage.opening import with_declared_metrics
from cimbo.storage.store import IN_MEMORY
from cimbo.study import events, records_table
from cimbo.study.ask_tell import LARGEST_METRIC, AskTellStudy, with_analytic
from cimbo.study.front import Front
from cimbo.study.interrupted import FAILED_REASON, NotedEvaluation, runs_code_of_a_user, sudden_end
from cimbo.study.provenance import (
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

logger = logging.getLogger("cimbo")
__all__ = ["LARGEST_METRIC", "LARGEST_SEED", "Study"]
LARGEST_SEED = 2**63 - 1  # every generator of random numbers accepts it
# Former names of methods, kept for one release.
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


class Study(AskTellStudy):
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
        super().__init__(store, problem, seed, fixed or {})

    @staticmethod
    def open(
        path: str | os.PathLike[str] | None,
        space: SearchSpace | None = None,
        objectives: Sequence[Objective] | None = None,
        constraints: Iterable[Constraint] = (),
        seed: int | None = None,
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
            objectives: What is minimised or maximised. A single one needs no list.
            constraints: Bounds on metrics. A single one needs no list.
            seed: Seed of all random choices of a new study, from 0 to `LARGEST_SEED` (0 unless
                given). An existing one must have been started with it.
            metrics: Metrics that are computed from others, as expressions:
                ``{"edp": "energy_uj * latency_ms"}``.
            metadata: JSON that is stored with a new study, such as its configuration. The versions
                of the packages that its results depend on are stored in any case.
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
                todo = "give space= and objectives="
                raise BadInput("study", "has neither a file nor a space", todo)
            return Study._of(Store.open(path, None, readonly=readonly), seed)
        problem = _problem(space, objectives, constraints, metrics)
        if seed is not None:
            seed = integer("seed", seed, least=0, most=LARGEST_SEED)
        # os.path.exists, because Path.exists raises for a file name that is too long.
        is_new = path is None or not os.path.exists(path)  # noqa: PTH110
        if is_new:  # files of older releases may hold names that are refused today
            records_table.check_names(problem)
        definition = _definition(problem, seed or 0, metadata or about or {})
        return Study._of(Store.open(path, definition, readonly=readonly), seed)

    @staticmethod
    def _of(store: Store, seed: int | None) -> Study:
        """The study in an open file, which is closed again when that holds none.

        Genes are those of the file, not those that the caller wrote: 2 and 2.0 are equal, their keys are not.

        Returns:
            The study.
        """
        try:
            with naming(store.path):
                check_definition(store.definition)
                problem = Problem.from_json(with_declared_metrics(store.definition))
                started_with = store.definition.get("seed", 0)
                if seed is not None and seed != started_with:
                    what = f"was started with seed {started_with}, not {seed}"
                    raise BadInput("seed", what, "leave out the seed, or name another study")
                return Study(store, problem, started_with)
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
        kept = {**self.fixed, **(fixed or {})}
        self._check_fixed(kept)
        other = Study(self.store, self.problem.limited(limits), self.seed, kept)
        other._planner.pending = self._planner.pending
        return other

    def _check_fixed(self, fixed: Mapping[str, Any]) -> None:
        """Raises BadInput for a gene that is unknown, or a value that it cannot take."""
        space = self.problem.space
        for name, value in fixed.items():
            check_known(name, space.names, f"fixed gene {name}", "is no gene", "the genes are")
            space.choices[space.column[name]].index(value)

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
        in_full: Collection[str] = (),
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
            in_full: Keys of designs that are measured in full first, where stages stopped them.
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
            EvaluationsFailed: Many equal failures in a row ended the search, and nothing has
                succeeded. They are recorded.
            UnknownOption: A keyword is none of these.
        """
        budget = integer("budget", budget)
        batch_size = integer("batch_size", batch_size)
        _check_options(conditions)
        if budget < 1 or batch_size < 1:
            what = f"cannot run {shown(budget)} evaluations in batches of {shown(batch_size)}"
            raise BadInput("optimize", what, "give numbers of at least 1")
        options = with_analytic(guidance, cheap)
        execution.check(n_jobs, **conditions)
        get_ready(self, evaluate, is_here=conditions.get("backend", "loky") == "loky")
        # Only after the check, so that an evaluator that cannot run leaves no trace in
        # the study.
        fingerprint = admit(self.store, evaluate, accept_changed=accept_changed)
        self.record_evaluator(evaluate)
        self.record_expensive(options)
        heard = listener or events.ignore
        runner = Runner(self, self._planner, evaluate, budget, options, listener=heard)
        if self.store.path != IN_MEMORY and runs_code_of_a_user(evaluate):
            runner = replace(runner, guard=partial(NotedEvaluation, self.store))
        self._fingerprint = fingerprint
        self._tell_of_sudden_end()
        try:
            if retry_failed:
                runner.retry_failed(self.problem.space, n_jobs, conditions)
            if in_full:
                runner.measure_in_full(in_full, n_jobs, conditions)
            if asynchronous:
                runner.asynchronously(n_jobs, conditions)
            else:
                runner.in_batches(batch_size, n_jobs, conditions)
        finally:
            self._fingerprint = None
        if runner.failures.ended and not runner.failures.any_done:
            raise EvaluationsFailed(f"{self.path}: {runner.failures.ended}")
        return self.pareto()

    def _tell_of_sudden_end(self) -> None:
        """Say where the last process ended while it evaluated; a design that ended several is recorded as failed."""
        found = sudden_end(self)
        if found is None:
            return
        key, is_given_up = found
        told = f"{self.path}: the last evaluation of design {key} ended the process that ran it"
        planned = self._planner.unfinished(key)
        if planned is not None and is_given_up:
            self.record(planned.candidate, {}, status="failed", reason=FAILED_REASON)
            logger.warning(f"{told}, not for the first time: it is recorded as failed")
            return
        logger.warning(f"{told}; it is evaluated again")

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

    if not TYPE_CHECKING:  # hidden from type checkers, so that they still report misspelt names

        def __getattr__(self, name: str) -> Any:
            """The method that was called ``name`` in the last release."""
            if name not in FORMER_NAMES:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            current = FORMER_NAMES[name]
            warnings.warn(f"Study.{name} is now Study.{current}", DeprecationWarning, stacklevel=2)
            return getattr(self, current)

    def close(self) -> None:
        """Release what is under way and close the file."""
        self.store.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _problem(
    space: SearchSpace | Sequence[Choice] | None,
    objectives: Sequence[Objective] | Objective | None,
    constraints: Iterable[Constraint] | Constraint,
    metrics: Mapping[str, str] | None,
) -> Problem:
    """What a new study is about. Raises BadInput where one half of the description is missing."""
    if isinstance(space, list | tuple):
        space = SearchSpace(space)
    if isinstance(objectives, Objective):
        objectives = (objectives,)
    if isinstance(constraints, Constraint):
        constraints = (constraints,)
    if not isinstance(space, SearchSpace) or not objectives:
        todo = "give both, or neither for an existing file"
        raise BadInput("study", "needs a space and objectives together", todo)
    return Problem(space, tuple(objectives), tuple(constraints), metrics or {})


def _definition(problem: Problem, seed: int, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the file of a new study says of it."""
    return {
        **problem.to_json(),
        "seed": seed,
        "versions": versions(),
        RESULTS_VERSIONS_NAME: results_versions(),
        **metadata,
    }


def _check_options(conditions: Iterable[str]) -> None:
    """Raises UnknownOption for a keyword that `Study.optimize` does not have."""
    options = dict.fromkeys(signature(Study.optimize).parameters)
    del options["self"], options["conditions"]
    known = [*options, *execution.ExecutionOptions.__annotations__]
    for name in conditions:
        if name not in known:
            raise unknown_option("Study.optimize", name, known)
