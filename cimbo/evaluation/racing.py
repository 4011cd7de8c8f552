"""An accuracy measured on a few images, then on more, for as long as the design may still be worth it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from cimbo.errors import BadInput
from cimbo.problem.fidelity import DEVIATION_SUFFIX, Race, share_deviation
from cimbo.problem.objectives import FIDELITY_SUFFIX
from cimbo.problem.space import Params, canonical_key

METRIC = "accuracy"
IMAGES_NAME = "accuracy_images"  # beside an accuracy: how many images it was measured on


@runtime_checkable
class CountedAccuracy(Protocol):
    """A source of accuracy that can look at some of its images."""

    def image_count(self) -> int:
        """How many images there are."""
        ...

    def count_right(self, design: Mapping[str, Any], first: int, last: int) -> int:
        """Of the images from ``first`` to before ``last``, how many are classified rightly."""
        ...


def counted(source: object, name: str) -> CountedAccuracy:
    """``source`` itself. Raises BadInput where the accuracy called ``name`` cannot be measured in stages."""
    if not isinstance(source, CountedAccuracy):
        what = "cannot be measured on a part of its images"
        raise BadInput(f"accuracy {name}", what, "leave out [[fidelity]]")
    return source


def raced(
    source: CountedAccuracy,
    design: Params,
    fixed: Mapping[str, Any],
    stages: Sequence[int],
    race: Race,
    costs: Mapping[str, float],
) -> dict[str, float]:
    """Measure the accuracy of a design in stages.

    Args:
        source: What measures.
        design: The design's active genes.
        fixed: Properties of every chip that are no genes.
        stages: Numbers of images, ascending, after which the measurement may be stopped.
        race: What the design has to beat.
        costs: Its other metrics.

    Returns:
        The accuracy in percent, its fidelity, its deviation from what all images would say in points, and the images.
    """
    total = source.image_count()
    key = canonical_key(design)
    right, seen = 0, 0
    found: dict[str, float] = {}
    for last in [*(n for n in stages if n < total), total]:
        right += source.count_right({**fixed, **design}, seen, last)
        seen = last
        found = stated(right, seen, total)
        std = found[METRIC + DEVIATION_SUFFIX]
        if race.is_hopeless(key, METRIC, std, {**costs, METRIC: found[METRIC]}):
            break
    return found


def stated(right: int, seen: int, total: int) -> dict[str, float]:
    """An accuracy of which ``seen`` of ``total`` images are looked at, ``right`` of them rightly classified."""
    return {
        METRIC: 100.0 * right / seen,
        METRIC + FIDELITY_SUFFIX: seen / total,
        METRIC + DEVIATION_SUFFIX: 100.0 * share_deviation(right / seen, seen, total),
        IMAGES_NAME: float(seen),
    }
