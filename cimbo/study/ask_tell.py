"""A study that designs are asked of and that is told what was measured; each answer is one row of its log."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cimbo.errors import BadInput
from cimbo.optimizer.options import OptimizerOptions
from cimbo.optimizer.surrogates import AnalyticFunction, Surrogate
from cimbo.problem.objectives import Candidate, Problem, candidate
from cimbo.problem.scalars import finite, integer, shown
from cimbo.problem.units import is_amount
from cimbo.storage import Record, Store
from cimbo.storage.values import finite_metrics, one_line
from cimbo.study import replicates
from cimbo.study.log import StudyLog
from cimbo.study.planner import Planner
from cimbo.study.provenance import FINGERPRINT_REFERENCE

logger = logging.getLogger("cimbo")
# Larger metrics are an evaluator's way to say that it failed; their squares overflow.
LARGEST_METRIC = 1e100


class AskTellStudy(StudyLog):
    """A log that proposes designs, and records what was measured of them."""

    def __init__(self, store: Store, problem: Problem, seed: int, fixed: Mapping[str, Any]) -> None:
        super().__init__(store, problem, fixed)
        self.seed = seed
        self._planner = Planner(self, seed)
        self._n_told: Counter[str] = Counter()  # of each message, by this process
        self._warned_metrics: set[str] = set()  # declared ones of which something was said
        self._fingerprint: str | None = None  # identifier of what evaluates, while `optimize` runs

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
        candidates, _ = self._planner.propose(n, with_analytic(guidance, cheap))
        return candidates

    def evaluate_again(self, records: Sequence[Record]) -> None:
        """Let the next `optimize` evaluate designs of evaluations that were withdrawn, before any other.

        Args:
            records: The evaluations, which are no longer in the log; none where they are only dropped.

        Raises:
            BadInput: The study cannot be written.
        """
        self._planner.plan_again(records)

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
        replicate: bool = False,
    ) -> Record:
        """Record what was measured.

        A design that is told again keeps its row, which is returned, and the further measurement
        beside it: `evaluations` and all that is computed from them read the mean, and
        ``extra["replicates"]`` has every one. Why further measurements failed stands in
        ``extra["failed_replicates"]``.

        Every call on one open study is a measurement of its own, with equal values too. What an
        earlier process told already is not added once more by one that tells it again, so that a
        script may be run twice.

        Args:
            asked: A candidate of `ask`, or the genes of a design of one's own by name.
            metrics: What was measured, by name. None, or a value that is no finite number, makes it
                a failed evaluation; so does a metric that the study needs and is not there.
            reason: Why it failed; kept as one line.
            replicate: Whether this is a new measurement in any case, also where an earlier process
                told just these values.

        Returns:
            The row that the study holds now.

        Raises:
            BadInput: ``asked`` is not of this study's space, or the study cannot be written.
        """
        if isinstance(asked, Candidate):
            c = asked
        else:
            c = candidate(self.problem.space, asked, origin="told")
            warn_of_inactive(asked, c)
        if reason is not None:
            reason = one_line(reason)
        if not isinstance(metrics, Mapping):
            return self._tell_failed(c, metrics, reason)
        before = self.store.last_number()
        row = self.record(c, metrics, reason=reason)
        times = self._times_told(c.key, sorted(metrics.items(), key=str))
        if replicate and row.number <= before:
            times = replicates.count(self.store, row, self._finite(metrics, row.params)) + 1
        self.keep_replicates(row, metrics, times)
        return row

    def _times_told(self, key: str, what: object) -> int:
        """How often this process has told just this of a design, this time included."""
        message = f"{key} {what}"
        self._n_told[message] += 1
        return self._n_told[message]

    def _tell_failed(self, c: Candidate, told: object, reason: str | None) -> Record:
        """Record that nothing was measured of a design, or something that is no metrics."""
        if reason is None and told is None:
            reason = "no metrics"
        elif reason is None:
            reason = f"told {shown(told)} instead of a dict of metrics"
        row = self.record(c, {}, status="failed", reason=reason)
        self.keep_failure(row, reason, self._times_told(c.key, reason))
        return row

    def keep_failure(self, row: Record, reason: str, times: int = 1) -> bool:
        """Keep beside ``row`` that its design was measured once more, in vain.

        Args:
            row: The row of the design.
            reason: Why nothing was measured.
            times: How often that happened for this reason in all.

        Returns:
            Whether there was anything to keep: not where the row itself failed.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        if row.status != "done":
            return False
        return replicates.add_failure(self.store, row.key, one_line(reason), times)

    def _finite(self, metrics: Mapping[str, float], params: Mapping[str, Any]) -> dict[str, float]:
        """The finite metrics with all that follows from them, as a row keeps them."""
        good, _ = finite_metrics(self._without_echo(metrics, params))
        return self.problem.completed(good, params)

    def keep_replicates(self, row: Record, metrics: Mapping[str, float], times: int = 1) -> bool:
        """Keep ``metrics`` beside ``row``, where they are another measurement of its design.

        Args:
            row: The row of the design.
            metrics: What was measured, by name.
            times: How often just these metrics were measured in all, the row's own measurement
                included. What is kept as often already is not added.

        Returns:
            Whether there was anything to keep: not for the row's own values told once. Of a
            measurement that failed the reason is kept.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        if row.status != "done":
            return False
        good, complaint = finite_metrics(self._without_echo(metrics, row.params))
        complaint = complaint or self._complaint(good, row.params)
        if complaint:
            return self.keep_failure(row, complaint, times)
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
        is missing, or any is no finite number or above `LARGEST_METRIC` in size, an amount below 0,
        or another value under the name of a gene. A gene's own value is no metric, and left out.

        Args:
            c: The candidate.
            metrics: What was measured, by name. What the study derives from them is added.
            **about: ``status``, ``reason``, ``seconds`` and ``extra``, as in
                `cimbo.storage.Store.record`.

        Returns:
            The row that the study holds now.

        Raises:
            BadInput: The study is read-only or cannot be written, something is not JSON, or the
                first evaluation gives another value under the name of a derived metric.
        """
        complaint = None
        metrics = self._without_echo(metrics, c.params)
        if about.get("status", "done") == "done":
            complaint = self._complaint(metrics, c.params)
            completed = self.problem.completed(metrics, c.params)
            self._warn_of_contradictions(c.key, metrics, completed)
            self._warn_of_gaps(c, metrics, completed)
            metrics = completed
        if complaint is not None:
            about["status"] = "failed"
            about["reason"] = complaint
        about["extra"] = {**self._extra_of(c), **about.get("extra", {})}
        if self._fingerprint is not None:
            about["extra"][FINGERPRINT_REFERENCE] = self._fingerprint
        record = self.store.record(c.key, c.params, metrics=metrics, origin=c.origin, **about)
        self._planner.pending.pop(c.key, None)
        return record

    def _warn_of_contradictions(
        self, key: str, measured: Mapping[str, float], completed: Mapping[str, float]
    ) -> None:
        """Log, once a metric, where an evaluation contradicts the study's own expression.

        Raises:
            BadInput: It is the first evaluation: nothing is lost by another name.
        """
        for name in self.problem.derived.contradicted(measured, completed):
            if not any(record.status == "done" for record in self.evaluations()):
                raise measured_under_its_name(name, measured[name], completed[name])
            if name in self._warned_metrics:
                continue
            self._warned_metrics.add(name)
            logger.warning(
                f"metrics.{name}: of design {key} it gives {completed[name]:.4g}, and the evaluation "
                f"{measured[name]:.4g}; the expression counts: correct it, or leave it out"
            )

    def _warn_of_gaps(
        self, c: Candidate, measured: Mapping[str, float], completed: Mapping[str, float]
    ) -> None:
        """Log, once a metric, why a design has none of the metrics that the study derives and does not need."""
        problem = self.problem
        divided = problem.derived.not_finite(measured, c.params)
        for name in problem.metrics:
            if name in completed or name in problem.targets or name in self._warned_metrics:
                continue
            self._warned_metrics.add(name)
            lacking = problem.derived.missing(name, {**c.params, **measured})
            reason = divided.get(name, f"{', '.join(lacking)} is not measured")
            logger.warning(f"metrics.{name}: design {c.key} has none: {reason}")

    def _extra_of(self, c: Candidate) -> dict[str, Any]:
        """What is kept beside the evaluation of a candidate: what was predicted of it."""
        if not c.predicted:
            return {}
        predicted = {metric: list(guess) for metric, guess in c.predicted.items()}
        return {"predicted": predicted}

    def _complaint(self, metrics: Mapping[str, float], params: Mapping[str, Any]) -> str | None:
        """Why nothing can be learned from ``metrics``: a search over nothing but such designs would never say so."""
        missing = self.problem.unmeasured(metrics, params)
        if missing:
            return missing
        for name, value in metrics.items():
            measured = finite(value)  # the store says of which it is none
            if measured is None:
                continue
            if abs(measured) > LARGEST_METRIC:
                return f"{name} is {measured:g}: no measurement"
            if measured < 0 and is_amount(name):
                return f"{name} is {measured:g}: such an amount is never negative"
            if name in self.problem.space.column:
                return f"{name} is a gene, and a metric too: rename the metric"
        return None

    def _without_echo(
        self, metrics: Mapping[str, float], params: Mapping[str, Any]
    ) -> Mapping[str, float]:
        """Metrics without the design's own genes, which many programs print again beside what they measured."""
        kept = {}
        for name, value in metrics.items():
            if name not in params or params[name] != value:
                kept[name] = value
        return kept


def measured_under_its_name(name: str, measured: float, computed: float) -> BadInput:
    """Make the error for a derived metric of which an evaluation gives another value.

    Args:
        name: The metric.
        measured: What the evaluation gives.
        computed: What the study's expression gives.

    Returns:
        The error, not raised.
    """
    what = f"is measured: {measured:.4g}, where the expression gives {computed:.4g}"
    return BadInput(f"metrics.{name}", what, "rename the derived metric, or leave it out")


def warn_of_inactive(given: Mapping[str, Any], c: Candidate) -> None:
    """Log which genes of a design that somebody tells do not exist in it.

    Args:
        given: Its genes as they were given.
        c: The design, in its canonical form.
    """
    left_out = [name for name in given if name not in c.params]
    if left_out:
        logger.warning(
            f"design {c.key}: {', '.join(left_out)} is inactive in it (active_if) and left out"
        )


def with_analytic(
    options: OptimizerOptions | None, analytic: Mapping[str, AnalyticFunction] | None
) -> OptimizerOptions:
    """Put the metrics of the argument ``cheap`` into the optimizer's options.

    ``ask`` and ``optimize`` take analytic metrics either within the options or as ``cheap``.

    Args:
        options: What the optimizer knows; None for nothing.
        analytic: Functions of the metrics that are exact and cheap, by name. They replace all those
            of ``options``; None leaves these as they are.

    Returns:
        The options with these metrics.
    """
    found = options or OptimizerOptions()
    if analytic is None:
        return found
    return replace(found, analytic=analytic)
