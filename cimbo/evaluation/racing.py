"""Measures an accuracy on a few images, then on more, as long as the design may still beat the best ones so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from cimbo.errors import BadInput
from cimbo.problem.calibration import Estimate
from cimbo.problem.fidelity import DEVIATION_SUFFIX, Race, share_deviation
from cimbo.problem.objectives import FIDELITY_SUFFIX
from cimbo.problem.space import Params, canonical_key

ACCURACY_METRIC = "accuracy"
IMAGES_NAME = "accuracy_images"  # beside an accuracy: how many images it was measured on
# Beside an accuracy that is no share of these images, but estimated from them: how many were classified rightly
RIGHT_NAME = "accuracy_images_right"


@runtime_checkable
class CountedAccuracy(Protocol):
    """A source of accuracy that can look at some of its images."""

    def image_count(self) -> int:
        """How many images there are."""
        ...

    def count_right(self, design: Mapping[str, Any], first: int, last: int) -> int:
        """Counts the images of a stretch that are classified rightly.

        Consecutive stretches have to add up to what a measurement of all images counts.

        Args:
            design: Genes of a network and of a chip, fixed properties included.
            first: Number of the first image.
            last: Number of the image after the last.

        Returns:
            How many are right.
        """
        ...


@runtime_checkable
class RankedAccuracy(CountedAccuracy, Protocol):
    """A counted accuracy whose first images are chosen so that they say most of what all images would say."""

    def estimate(self, right: int, seen: int) -> Estimate:
        """Estimates the share of all images that is classified rightly.

        Args:
            right: How many of the first images are.
            seen: How many these are, at least one.

        Returns:
            The share, 0 to 1, with its standard deviation.
        """
        ...


def counted(source: object, name: str) -> CountedAccuracy:
    """Check that an accuracy can be measured in stages.

    Args:
        source: The source of accuracy.
        name: Its name in the study, for the error.

    Returns:
        ``source`` itself.

    Raises:
        BadInput: When it cannot look at a part of its images.
    """
    if not isinstance(source, CountedAccuracy):
        what = "cannot be measured on a part of its images"
        raise BadInput(f"accuracy {name}", what, "leave out [[fidelity]]")
    return source


def check_stages(source: CountedAccuracy, stages: Sequence[int]) -> None:
    """Check that every stage looks at a part of the images.

    Args:
        source: What measures.
        stages: Numbers of images, ascending.

    Raises:
        BadInput: When the last stage looks at all images, or at more than there are; or a stage ends
            within images that the source can only look at together.
    """
    at_once = getattr(source, "images_at_once", 1)
    for stage in stages:
        if stage % at_once:
            what = f"has a stage of {stage} images, and {at_once} are looked at together"
            raise BadInput("fidelity", what, f"use {max(stage // at_once, 1) * at_once}")
    total = source.image_count()
    if stages[-1] >= total:
        what = f"has a stage of {stages[-1]} images, and there are {total}"
        raise BadInput("fidelity", what, "give fewer images than all")


@dataclass(frozen=True)
class CountedImages:
    """What is known of a design's accuracy.

    Attributes:
        right: Images that were classified rightly.
        seen: Images that were looked at, from the first.
    """

    right: int = 0
    seen: int = 0

    @classmethod
    def of(cls, metrics: Mapping[str, float]) -> CountedImages:
        """Read what `stated` made of them; none where ``metrics`` say nothing of images."""
        seen = round(metrics.get(IMAGES_NAME, 0.0))
        if not seen:
            return cls()
        if RIGHT_NAME in metrics:
            return cls(round(metrics[RIGHT_NAME]), seen)
        return cls(round(metrics[ACCURACY_METRIC] / 100.0 * seen), seen)

    def __sub__(self, earlier: CountedImages) -> CountedImages:
        """The images beyond ``earlier`` ones."""
        return CountedImages(self.right - earlier.right, self.seen - earlier.seen)


def raced(
    source: CountedAccuracy,
    design: Params,
    fixed: Mapping[str, Any],
    stages: Sequence[int],
    race: Race,
    costs: Mapping[str, float],
    known: CountedImages = CountedImages(),
) -> dict[str, float]:
    """Measure the accuracy of a design in stages.

    Args:
        source: The source of accuracy.
        design: The design's active genes.
        fixed: Properties of every chip that are no genes.
        stages: Numbers of images, ascending, after which the measurement may be stopped.
        race: The best designs so far, which the design has to beat.
        costs: The design's other metrics.
        known: Images that were looked at earlier. They are not looked at again.

    Returns:
        The metrics that `stated` makes of the images that were looked at; no deviation where these are all.
    """
    total = source.image_count()
    counted_images = known
    for last in [*(n for n in stages if n < total), total]:
        seen = counted_images.seen
        if last <= seen:
            continue
        if seen and _may_stop(source, race, design, costs, counted_images, known):
            break
        right = source.count_right({**fixed, **design}, seen, last)
        counted_images = CountedImages(counted_images.right + right, last)
    quality = stated(source, counted_images)
    # It deviates from nothing; that images are a sample is what the interval says
    if counted_images.seen == total:
        del quality[ACCURACY_METRIC + DEVIATION_SUFFIX]
    return quality


def next_stage_cost(seen: int, stages: Sequence[int], total: int) -> float:
    """Compute what going on by a stage costs.

    Args:
        seen: Images that were looked at.
        stages: Numbers of images after which a measurement may be stopped, ascending.
        total: How many images there are.

    Returns:
        The cost as a share of that of all images; 0 where all were looked at.
    """
    later = [last for last in (*stages, total) if last > seen]
    return (min(later, default=seen) - seen) / total


def _may_stop(
    source: CountedAccuracy,
    race: Race,
    design: Params,
    costs: Mapping[str, float],
    now: CountedImages,
    before: CountedImages,
) -> bool:
    """Whether a measurement ends with the images that were looked at by ``now``."""
    if race.continued is not None:
        return now.seen > before.seen or canonical_key(design) not in race.continued
    measured = {}
    news = now
    # A prediction knows the images from before already; those after them are no ranked ones
    if race.predicts(design, ACCURACY_METRIC) and not isinstance(source, RankedAccuracy):
        news = now - before
    if news.seen:
        known = estimated(source, news)
        measured[ACCURACY_METRIC] = (100.0 * known.mean, 100.0 * known.std)
    return race.is_hopeless(design, measured, costs, 1.0 - now.seen / source.image_count())


def estimated(source: CountedAccuracy, images: CountedImages) -> Estimate:
    """Estimate the share of all images that a design classifies rightly.

    Args:
        source: What counted.
        images: What was counted, at least one image.

    Returns:
        The share, 0 to 1, with its standard deviation: what the source estimates, or the share of the
        images that were looked at.
    """
    if isinstance(source, RankedAccuracy):
        return source.estimate(images.right, images.seen)
    share = images.right / images.seen
    return Estimate(share, share_deviation(share, images.seen, source.image_count()))


def stated(source: CountedAccuracy, images: CountedImages) -> dict[str, float]:
    """State an accuracy that was measured on a part of the images, with its error.

    Args:
        source: What counted.
        images: What was counted, at least one image.

    Returns:
        The accuracy in percent, its fidelity (the fraction of the images that were looked at), its
        standard deviation around the accuracy on all images in points, and the number of images;
        and that of right answers, where the accuracy is estimated from them.
    """
    known = estimated(source, images)
    metrics = {
        ACCURACY_METRIC: 100.0 * known.mean,
        ACCURACY_METRIC + FIDELITY_SUFFIX: images.seen / source.image_count(),
        ACCURACY_METRIC + DEVIATION_SUFFIX: 100.0 * known.std,
        IMAGES_NAME: float(images.seen),
    }
    if isinstance(source, RankedAccuracy):
        metrics[RIGHT_NAME] = float(images.right)
    return metrics
