"""What is measured of a front after the search: on test images, and on bit-accurate arrays; and how long that takes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cimbo import execution
from cimbo.evaluation.whole import StudyEvaluator
from cimbo.hardware import is_chip
from cimbo.session.context import StudyContext
from cimbo.session.workers import Workers
from cimbo.storage import Record
from cimbo.study import events

BIT_ACCURATE_FINALISTS = 5  # designs of the front that are verified on bit-accurate arrays
#: Time in evaluations of the search, as first estimates: test images are twice the validation images of the shipped
#: networks; a bit-accurate image takes 3 ms (digital) to 100 ms (analog), an evaluation some 2 s.
TEST_EVALUATIONS = 2.0
BIT_ACCURATE_EVALUATIONS_AN_IMAGE = 0.005
ON_TEST_IMAGES = "on the test images"

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class _OnTestImages:
    """Evaluates a design's accuracy on the test images."""

    evaluator: StudyEvaluator

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        return {"accuracy_test": self.evaluator.on_test(design)}


@dataclass(frozen=True)
class _OnBitAccurateArrays:
    """Evaluates what bit-accurate arrays change in a design's accuracy."""

    evaluator: StudyEvaluator
    images: int

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        return {"points": self.evaluator.bit_accurate_difference(design, self.images)}


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
    measuring = _Measuring(_OnTestImages(context.evaluator), ON_TEST_IMAGES, workers, listener)
    for outcome in measuring.outcomes(untested(context)):
        study.record_test_accuracy(outcome.key, outcome.metrics["accuracy_test"])


def verify_finalists(
    context: StudyContext,
    images: int,
    workers: Workers,
    listener: events.Listener = events.ignore,
) -> None:
    """Verify five designs, spread over the front, on bit-accurate arrays; kept in the study.

    Args:
        context: The study.
        images: Test images to measure on; 0 for no verification.
        workers: Where the measurements run.
        listener: Told of each measurement.
    """
    study = context.study
    evaluate = _OnBitAccurateArrays(context.evaluator, images)
    measuring = _Measuring(evaluate, _on_bit_accurate(images), workers, listener)
    for outcome in measuring.outcomes(unverified(context, images)):
        study.record_bit_accurate(outcome.key, outcome.metrics["points"], images)


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
    return [r for r in context.study.pareto() if r.key not in known]


def unverified(context: StudyContext, images: int) -> list[Record]:
    """List the designs of the front that are still to be verified on bit-accurate arrays.

    Args:
        context: The study.
        images: Test images to measure on; 0 for no verification.

    Returns:
        Five designs at most, spread over the front; none where such arrays are not known.
    """
    evaluator = context.evaluator
    if not images or not evaluator.has_test() or not evaluator.has_bit_accurate():
        return []
    known = context.study.bit_accurate_differences()
    missing = []
    for record in _spread(context.study.pareto(), BIT_ACCURATE_FINALISTS):
        if not is_chip(evaluator.placed(record.params)[1]):
            continue  # nothing is known of its arrays
        if record.key not in known or known[record.key]["images"] < images:
            missing.append(record)
    return missing


def phases_ahead(context: StudyContext, images: int) -> tuple[events.Phase, ...]:
    """Estimate what the checks of today's front would take.

    Args:
        context: The study.
        images: Test images of the bit-accurate verification; 0 for none.

    Returns:
        The phases with something to do, in their order.
    """
    tested, verified = len(untested(context)), len(unverified(context, images))
    found = []
    if tested:
        found.append(events.Phase(ON_TEST_IMAGES, tested, TEST_EVALUATIONS))
    if verified:
        each = BIT_ACCURATE_EVALUATIONS_AN_IMAGE * images
        found.append(events.Phase(_on_bit_accurate(images), verified, each))
    return tuple(found)


def announcing(context: StudyContext, images: int, listener: events.Listener) -> events.Listener:
    """Make a listener that is told, before every evaluation, what the checks after the search would take.

    Args:
        context: The study.
        images: Test images of the bit-accurate verification; 0 for none.
        listener: Told of everything.

    Returns:
        The listener to give to the search.
    """

    def told(event: events.Event) -> None:
        """Pass an event on, after the phases ahead of it."""
        if isinstance(event, events.Recorded):
            listener(events.Ahead(phases_ahead(context, images)))
        listener(event)

    return told


def _on_bit_accurate(images: int) -> str:
    return f"on bit-accurate arrays with {images} test images"


def _spread(designs: list[Record], n: int) -> list[Record]:
    """``n`` of ``designs``, evenly from the first to the last."""
    if not designs:
        return []
    places = sorted({round(i) for i in np.linspace(0, len(designs) - 1, n)})
    return [designs[i] for i in places]


@dataclass(frozen=True)
class _Measuring:
    """One more measurement of designs of the front: by ``evaluate``, which ``where`` says in words."""

    evaluate: Any
    where: str
    workers: Workers
    listener: events.Listener

    def outcomes(self, designs: list[Record]) -> Iterator[execution.Outcome]:
        """Measure designs side by side.

        The listener is told of every design. A failure is logged.

        Args:
            designs: The designs to measure.

        Yields:
            The outcome of each design that succeeded, as soon as it is there.
        """
        if not designs:
            return
        self.listener(events.Checked(self.where, 0, len(designs)))
        running = execution.run(
            designs, self.evaluate, n_jobs=self.workers.n_jobs, **self.workers.conditions
        )
        for count, outcome in enumerate(running, 1):
            if outcome.status == "done":
                yield outcome
            else:
                logger.warning(f"{outcome.key} failed {self.where}: {outcome.reason}")
            self.listener(events.Checked(self.where, count, len(designs)))
