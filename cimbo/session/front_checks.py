"""What is measured of a front after the search: on test images, and on bit-accurate arrays; and how long that takes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from cimbo.evaluation.joint import JointEvaluator
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.session.bounds import BY_ZIGZAG, ZIGZAG_EVALUATIONS, BoundDesigns
from cimbo.session.context import StudyContext
from cimbo.session.finalists import (
    FrontMeasurement,
    bit_accurate_seconds,
    images_given,
    on_bit_accurate,
    unverified,
)
from cimbo.session.front import front_records
from cimbo.session.workers import Workers
from cimbo.storage import Record
from cimbo.study import events

#: Time in evaluations of the search, as first estimates: test images are twice the validation images of the shipped
#: networks, an evaluation takes some 2 s.
TEST_EVALUATIONS = 2.0
EVALUATION_SECONDS = 2.0
ON_TEST_IMAGES = "on the test images"

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class _OnTestImages:
    """Evaluates a design's accuracy on the test images."""

    evaluator: StudyEvaluator

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        return {"accuracy_test": self.evaluator.on_test(design)}


def measure_front_on_test_images(
    context: StudyContext, workers: Workers, listener: events.Listener = events.ignore
) -> None:
    """Measure the front on the test images, which the search never sees.

    The accuracies are kept in the study; designs that have one are left out. Nothing happens where
    there are no test images.

    Args:
        context: The study.
        workers: Where the measurements run.
        listener: Told of each measurement.
    """
    study = context.study
    measuring = FrontMeasurement(
        _OnTestImages(context.evaluator), ON_TEST_IMAGES, workers, listener
    )
    for outcome in measuring.outcomes(untested(context)):
        study.record_test_accuracy(outcome.key, outcome.metrics["accuracy_test"])


def untested(context: StudyContext) -> list[Record]:
    """List the designs of the front that are still to be measured on the test images.

    Args:
        context: The study.

    Returns:
        The designs; none where there are no test images.
    """
    if not context.evaluator.has_test():
        return []
    known = context.study.test_accuracies()
    return [r for r in front_records(context.study) if r.key not in known]


def phases_ahead(
    context: StudyContext, images: int, bounds: BoundDesigns | None = None
) -> tuple[events.Phase, ...]:
    """Estimate what the checks of today's front would take.

    Args:
        context: The study.
        images: Test images of the bit-accurate verification; 0 for none.
        bounds: The designs that ZigZag would simulate; None: none.

    Returns:
        The phases with something to do, in their order.
    """
    tested, found = len(untested(context)), []
    if tested:
        found.append(events.Phase(ON_TEST_IMAGES, tested, TEST_EVALUATIONS))
    evaluator, finalists = context.evaluator, unverified(context, images)
    if isinstance(evaluator, JointEvaluator) and finalists:
        given = images_given(evaluator, finalists, images)
        seconds = bit_accurate_seconds(evaluator, finalists, given)
        each = seconds / EVALUATION_SECONDS / len(finalists)
        if seconds:
            found.append(events.Phase(on_bit_accurate(given), len(finalists), each))
    if bounds is None:
        simulated = []
    else:
        simulated = bounds.unsimulated()
    if simulated:
        found.append(events.Phase(BY_ZIGZAG, len(simulated), ZIGZAG_EVALUATIONS))
    return tuple(found)


def announcing(
    context: StudyContext,
    images: int,
    listener: events.Listener,
    *,
    simulates_bounds: bool = True,
) -> events.Listener:
    """Make a listener that is told, before every evaluation, what the checks after the search would take.

    Args:
        context: The study.
        images: Test images of the bit-accurate verification; 0 for none.
        listener: Told of everything.
        simulates_bounds: Whether ZigZag simulates what is a bound.

    Returns:
        The listener to give to the search.
    """
    if simulates_bounds:
        bounds = BoundDesigns(context)
    else:
        bounds = None

    def told(event: events.Event) -> None:
        """Pass an event on, after the phases ahead of it."""
        if isinstance(event, events.Recorded):
            listener(events.Ahead(phases_ahead(context, images, bounds)))
        listener(event)

    return told
