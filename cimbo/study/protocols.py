"""What the loop of a study needs of the study and of a planner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cimbo.optimizer.convergence import Forecast
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import Candidate, Problem
from cimbo.storage import Record
from cimbo.study import events
from cimbo.study.planner import PlannedDesign


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

    def matches_fixed(self, record: Record) -> bool:
        """Tell whether a design has these genes at their values, where it has them."""
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

    def keep_replicates(self, row: Record, metrics: Mapping[str, float], times: int = 1) -> bool:
        """Keep a further measurement of a design."""
        ...

    def keep_failure(self, row: Record, reason: str, times: int = 1) -> bool:
        """Keep that a further measurement of a design failed."""
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

    def predictions(
        self, records: Sequence[Record], options: OptimizerOptions
    ) -> Mapping[str, Mapping[str, tuple[float, float]]]:
        """Predict what full measurements of evaluated designs would give."""
        ...

    def claim_again(self, records: Sequence[Record]) -> list[PlannedDesign]:
        """Lease to this process designs whose measurement is to be continued."""
        ...

    def release(self) -> None:
        """End the leases of this process."""
        ...
