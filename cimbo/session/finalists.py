"""Finalists: the designs of a front on bit-accurate arrays, by which the final front is ranked.

What a bit-accurate measurement takes follows from what its converters read, so that the images a design can be given are
known before the first is measured: MOST_SECONDS of one core for all finalists together, whatever the machine.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cimbo import execution
from cimbo.evaluation.array_forms import is_exact_as_measured
from cimbo.evaluation.joint import JointEvaluator
from cimbo.session.context import StudyContext
from cimbo.session.workers import Workers
from cimbo.storage import Record
from cimbo.study import events
from cimbo.study.final_front import ACCURACY_METRIC, unverified_finalists
from cimbo.study.study import Study

DEFAULT_BIT_ACCURATE_IMAGES = 300
FEWEST_IMAGES = 100  # that a finalist is verified on where there is no time for more
MOST_SECONDS = 1200.0  # of one core, that the finalists of one search are given
MOST_ROUNDS = (
    3  # of verification: designs that come to the front where others fall are verified in turn
)

logger = logging.getLogger("cimbo")


@dataclass(frozen=True)
class _OnBitAccurateArrays:
    """Evaluates what bit-accurate arrays change in a design's accuracy."""

    evaluator: JointEvaluator
    images: int

    def __call__(self, design: dict[str, Any]) -> dict[str, float]:
        found = self.evaluator.compare_forms(design, self.images)
        return {"points": found.points, "error": found.error, "images": found.images}


def verify_finalists(
    context: StudyContext,
    images: int,
    workers: Workers,
    listener: events.Listener = events.ignore,
) -> None:
    """Verify the front on bit-accurate arrays; what is found is kept in the study, whose final front follows from it.

    Where a design falls, those that come to the front in its place are verified too. On digital
    arrays both forms are one: such designs are verified as they are.

    Args:
        context: The study.
        images: Test images to measure on, at most; fewer where MOST_SECONDS are too few for them. 0
            for no verification.
        workers: Where the measurements run.
        listener: Told of each measurement.
    """
    evaluator = context.evaluator
    if not isinstance(evaluator, JointEvaluator):
        return
    left = MOST_SECONDS
    asked: set[str] = set()
    for _ in range(MOST_ROUNDS):
        finalists = [r for r in unverified(context, images) if r.key not in asked]
        if not finalists or left <= 0:
            break
        given = images_given(evaluator, finalists, images, left)
        left -= bit_accurate_seconds(evaluator, finalists, given)
        asked.update(r.key for r in finalists)
        evaluate = _OnBitAccurateArrays(evaluator, given)
        measuring = FrontMeasurement(evaluate, on_bit_accurate(given), workers, listener)
        _verify(context.study, evaluator, finalists, measuring)
    late = [r for r in unverified(context, images) if r.key not in asked]
    if late:
        logger.warning(f"{len(late)} designs that came to the front late are not verified")


def unverified(context: StudyContext, images: int) -> list[Record]:
    """List the designs of the front that are still to be verified on bit-accurate arrays.

    Args:
        context: The study.
        images: Test images to measure on; 0 for no verification.

    Returns:
        The designs; none where such arrays are not known.
    """
    evaluator = context.evaluator
    if not images or not isinstance(evaluator, JointEvaluator):
        return []
    if not evaluator.has_test() or not evaluator.has_bit_accurate():
        return []
    unverified = []
    for r in unverified_finalists(context.study):
        if _can_be_verified(evaluator, r):
            unverified.append(r)
    return unverified


def images_given(
    evaluator: JointEvaluator,
    finalists: Sequence[Record],
    images: int,
    seconds: float = MOST_SECONDS,
) -> int:
    """Find how many images each finalist can be given.

    Args:
        evaluator: What evaluates the study.
        finalists: The designs.
        images: How many are asked for.
        seconds: Of one core, for all of them.

    Returns:
        At most ``images``; at least FEWEST_IMAGES, unless fewer were asked for.
    """
    fixed = bit_accurate_seconds(evaluator, finalists, 0)
    each = (bit_accurate_seconds(evaluator, finalists, images) - fixed) / images
    if each <= 0:
        return images
    affordable = int((seconds - fixed) / each)
    return max(min(images, affordable), min(images, FEWEST_IMAGES))


def bit_accurate_seconds(
    evaluator: JointEvaluator, finalists: Sequence[Record], images: int
) -> float:
    """Estimate what one core takes to verify designs.

    Args:
        evaluator: What evaluates the study.
        finalists: The designs.
        images: How many images each is given.

    Returns:
        Seconds; digital designs take none.
    """
    return sum(evaluator.bit_accurate_seconds(r.params, images) for r in finalists)


def _can_be_verified(evaluator: JointEvaluator, record: Record) -> bool:
    """Whether the arrays of a design are known, and its accuracy is one that they change."""
    return ACCURACY_METRIC in record.metrics and evaluator.is_placed(record.params)


def on_bit_accurate(images: int) -> str:
    """Say how finalists are measured.

    Args:
        images: How many images each is given.

    Returns:
        A few words.
    """
    return f"on bit-accurate arrays with {images} test images"


def _verify(
    study: Study,
    evaluator: JointEvaluator,
    finalists: Sequence[Record],
    measuring: FrontMeasurement,
) -> None:
    """Measure what bit-accurate arrays change; where they change nothing, no worker is asked."""
    erring = []
    for record in finalists:
        if is_exact_as_measured(evaluator.chip_of(record.params)):
            images = measuring.evaluate.images
            study.record_bit_accurate(record.key, 0.0, images, error=0.0)
        else:
            erring.append(record)
    for outcome in measuring.outcomes(erring):
        found = outcome.metrics
        images = int(found["images"])
        study.record_bit_accurate(outcome.key, found["points"], images, error=found["error"])


@dataclass(frozen=True)
class FrontMeasurement:
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
