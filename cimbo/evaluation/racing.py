"""Measures an accuracy on a few images, then on more, as long as the design may still beat the best ones so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from cimbo.errors import BadInput
from cimbo.problem.fidelity import DEVIATION_SUFFIX, Race, share_deviation
from cimbo.problem.objectives import FIDELITY_SUFFIX
from cimbo.problem.space import Params, canonical_key

ACCURACY_METRIC = "accuracy"
IMAGES_NAME = "accuracy_images"  # beside an accuracy: how many images it was measured on


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
        BadInput: When the last stage looks at all images, or at more than there are.
    """
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
        if seen and _may_stop(race, design, costs, counted_images, known, total):
            break
        right = source.count_right({**fixed, **design}, seen, last)
        counted_images = CountedImages(counted_images.right + right, last)
    quality = stated(counted_images.right, counted_images.seen, total)
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
    race: Race,
    design: Params,
    costs: Mapping[str, float],
    now: CountedImages,
    before: CountedImages,
    total: int,
) -> bool:
    """Whether a measurement ends with the images that were looked at by ``now``."""
    if race.continued is not None:
        return now.seen > before.seen or canonical_key(design) not in race.continued
    measured = {}
    # A prediction knows the images from before already
    news = now
    if race.predicts(design, ACCURACY_METRIC):
        news = now - before
    if news.seen:
        share = news.right / news.seen
        deviation = 100.0 * share_deviation(share, news.seen, total)
        measured[ACCURACY_METRIC] = (100.0 * share, deviation)
    return race.is_hopeless(design, measured, costs, 1.0 - now.seen / total)


def stated(right: int, seen: int, total: int) -> dict[str, float]:
    """State an accuracy that was measured on a part of the images, with its error.

    Args:
        right: Images that were classified rightly.
        seen: Images that were looked at, at least one.
        total: Images that there are.

    Returns:
        The accuracy in percent, its fidelity (the fraction of the images that were looked at), its
        standard deviation around the accuracy on all images in points, and the number of images.
    """
    return {
        ACCURACY_METRIC: 100.0 * right / seen,
        ACCURACY_METRIC + FIDELITY_SUFFIX: seen / total,
        ACCURACY_METRIC + DEVIATION_SUFFIX: 100.0 * share_deviation(right / seen, seen, total),
        IMAGES_NAME: float(seen),
    }
