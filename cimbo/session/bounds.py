"""Designs whose costs are bounds: which of a front they are, and what a schedule that ZigZag finds costs them.

Where inputs and partial sums do not fit the buffer together, the closed form knows two schedules between which the best one
lies, and counts the worse. ZigZag searches for a schedule; what it finds stands beside the evaluation, never in its place.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cimbo import hardware
from cimbo.errors import BadInput
from cimbo.evaluation.simulators.zigzag import ZigZag, checked_chip, is_installed
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.session.context import StudyContext
from cimbo.session.finalists import FrontMeasurement
from cimbo.session.front import front_records
from cimbo.session.workers import Workers
from cimbo.storage import Record
from cimbo.study import events
from cimbo.workloads.layers import Workload

ZIGZAG_COSTS = ("latency_ms", "energy_uj")
INSTALL_ZIGZAG = "pip install 'cimbo[zigzag]' lets ZigZag look for their schedules"
ZIGZAG_EVALUATIONS = (
    5.0  # time of one in evaluations: some 3 s (transformers) to a minute (many convolutions)
)
BY_ZIGZAG = "by ZigZag, for their costs are bounds"

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class OnZigZag:
    """Evaluates a design's costs by ZigZag."""

    evaluator: StudyEvaluator

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        """Computes what a schedule that ZigZag finds costs.

        Args:
            design: Each active gene to its value.

        Returns:
            ``latency_ms`` and ``energy_uj``.

        Raises:
            BadInput: ZigZag cannot express the chip.
        """
        workload, chip = self.evaluator.placed(design)
        return zigzag_costs(workload, chip)


def zigzag_costs(workload: Workload, chip: Mapping[str, Any]) -> dict[str, float]:
    """Compute what a schedule that ZigZag finds for a network on a chip costs; takes seconds to a minute.

    Args:
        workload: The network.
        chip: Genes of the chip.

    Returns:
        ``latency_ms`` and ``energy_uj``. Weights are loaded in every run, and leakage is not in the energy.

    Raises:
        BadInput: ZigZag is not installed, or cannot express the chip.
        RuntimeError: ZigZag finds no schedule.
    """
    found = ZigZag().simulate(workload, chip)
    return {name: float(found[name]) for name in ZIGZAG_COSTS}


@dataclass(frozen=True)
class BoundDesigns:
    """The designs of a study's front whose costs are bounds.

    Attributes:
        context: The study.
        known: Whether the costs of a design are bounds, by its key; found out once for each design.
    """

    context: StudyContext
    known: dict[str, bool] = field(default_factory=dict)

    def on_front(self) -> list[Record]:
        """List those of today's front.

        Returns:
            The designs; none where the costs are not of cimbo's chip model.
        """
        if self.context.evaluator.simulator != "cimbo":
            return []
        return [record for record in front_records(self.context.study) if self._is_bound(record)]

    def unsimulated(self) -> list[Record]:
        """List those that ZigZag has neither simulated nor refused.

        Returns:
            The designs; none where ZigZag is not installed.
        """
        if not is_installed():
            return []
        known = self.context.study.zigzag_costs()
        return [record for record in self.on_front() if record.key not in known]

    def refuse_inexpressible(self) -> None:
        """Keep in the study, of each design that ZigZag cannot express, why that is so."""
        for record in self.unsimulated():
            reason = self._refusal(record)
            if reason is not None:
                self.context.study.record_zigzag_costs(record.key, {"reason": reason})

    def _refusal(self, record: Record) -> str | None:
        """Why ZigZag cannot express a design; None where it can."""
        workload, chip = self.context.evaluator.placed(record.params)
        try:
            checked_chip(chip)
        except BadInput as error:
            return str(error)
        if workload.loop is not None:
            return "ZigZag counts one run of a network, and not the tokens that it generates"
        return None

    def _is_bound(self, record: Record) -> bool:
        if record.key not in self.known:
            self.known[record.key] = self._computed(record)
        return self.known[record.key]

    def _computed(self, record: Record) -> bool:
        if not self.context.is_placed(record.params):
            return False
        workload, chip = self.context.evaluator.placed(record.params)
        try:
            return bool(hardware.simulate_batch(workload, chip)["is_bound"][0])
        except BadInput:  # a chip of an earlier release, whose genes mean something else today
            return False


def simulate_bounds(
    context: StudyContext, workers: Workers, listener: events.Listener = events.ignore
) -> None:
    """Simulate the designs of the front whose costs are bounds by ZigZag; kept beside their evaluations.

    Of a design that ZigZag cannot express the reason is kept. Where ZigZag is not installed, a line says so.

    Args:
        context: The study.
        workers: Where the simulations run.
        listener: Told of each simulation.
    """
    bounds = BoundDesigns(context)
    if not is_installed():
        found = len(bounds.on_front())
        if found:
            logger.info(f"costs of {found} designs of the front are bounds: {INSTALL_ZIGZAG}")
        return
    bounds.refuse_inexpressible()
    measuring = FrontMeasurement(OnZigZag(context.evaluator), BY_ZIGZAG, workers, listener)
    for outcome in measuring.outcomes(bounds.unsimulated()):
        context.study.record_zigzag_costs(outcome.key, outcome.metrics)
