"""All that a study knows of one design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cimbo import hardware
from cimbo.errors import BadInput
from cimbo.session.context import StudyContext
from cimbo.session.design import Design, design, find, without_none
from cimbo.session.error_bars import Bars, of_designs, own_evaluator
from cimbo.session.front import front_records
from cimbo.session.schedule_words import schedule_told
from cimbo.storage import Record
from cimbo.study.asked import TELLER_NAME
from cimbo.study.readiness import log_file
from cimbo.study.stored_values import predictions


@dataclass(frozen=True)
class DesignDetails:
    """One design with all that a study knows of it.

    Attributes:
        design: The design itself.
        number: Number of its evaluation.
        status: "done" or "failed".
        origin: What proposed it.
        on_front: Whether it is on the front.
        seconds: What its evaluation took.
        reason: Why it failed.
        bit_accurate_accuracy: Accuracy in percent on bit-accurate arrays, where that was asked for.
        predicted: Mean and standard deviation by metric before it was evaluated.
        told_by: Who told what was measured, where it was measured outside.
        log: The file that holds what the programs which evaluated it printed, where they printed anything.
        schedule: Whether weights stay on its chip, and what that was chosen by; None where cimbo's chip model does not say.
        error_bars: Least and most of each cost by what published chips say; empty where another simulator gave it.
    """

    design: Design
    number: int
    status: str
    origin: str
    on_front: bool
    seconds: float
    reason: str | None
    bit_accurate_accuracy: float | None
    predicted: Mapping[str, Any]
    told_by: str | None = None
    log: str | None = None
    error_bars: Bars = field(default_factory=dict)
    schedule: str | None = None

    def about(self) -> dict[str, Any]:
        """What is said of the design besides its genes and metrics."""
        about = {
            "key": self.design.key,
            "number": self.number,
            "status": self.status,
            "origin": self.origin,
            "on_front": self.on_front,
            "seconds": self.seconds,
            "reason": self.reason,
            "told_by": self.told_by,
            "log": self.log,
            "accuracy_is": self.design.accuracy_is,
            "accuracy_exact": self.bit_accurate_accuracy,
            "schedule": self.schedule,
            **self.design.zigzag_columns(),
        }
        return without_none(about)

    def to_json(self) -> dict[str, Any]:
        """The details as ``cimbo show --format json`` prints them."""
        return {
            **self.about(),
            "architecture": dict(self.design.architecture),
            "hardware": dict(self.design.hardware),
            "metrics": dict(self.design.metrics),
            "error_bars": {name: list(bar) for name, bar in self.error_bars.items()},
            "predicted": dict(self.predicted),
        }


def details(context: StudyContext, key: str, *, bit_accurate: bool = False) -> DesignDetails:
    """Collect all that a study knows of one design.

    Args:
        context: The study.
        key: The design's key, which may be shortened.
        bit_accurate: Also measure the design's accuracy on bit-accurate arrays; nothing is
            recorded.

    Returns:
        The design with its evaluation, predictions and error bars.

    Raises:
        BadInput: No design has the key, or several do, or the accuracy cannot be measured on
            bit-accurate arrays.
    """
    record = find(context, key)
    measured = None
    if bit_accurate:
        measured = context.evaluator.on_bit_accurate_arrays(record.params)
    return DesignDetails(
        design(context, record),
        number=record.number,
        status=record.status,
        origin=record.origin,
        on_front=any(record.key == other.key for other in front_records(context.study)),
        seconds=record.seconds,
        reason=record.reason or None,
        bit_accurate_accuracy=measured,
        predicted=predictions(record),
        told_by=record.extra.get(TELLER_NAME),
        log=log_file(context.study, record.key),
        error_bars=of_designs(context, [record]).get(record.key, {}),
        schedule=_schedule(context, record),
    )


def _schedule(context: StudyContext, record: Record) -> str | None:
    """How the chip of a design runs its network; None where cimbo's chip model did not evaluate it."""
    evaluator = own_evaluator(context)
    if evaluator is None or record.status != "done" or not context.is_placed(record.params):
        return None
    workload, chip = evaluator.placed(record.params)
    try:
        costs = hardware.simulate(workload, chip)
    except BadInput:  # a chip of an earlier release, whose genes mean something else today
        return None
    return schedule_told(chip, is_resident=costs["resident"])
