"""The two forms in which an accuracy under the errors of arrays is measured, and what the exact one costs.

The search measures with noise of the size of the errors; the bit-accurate form computes every partial sum and every reading
of a converter (:mod:`cimbo.supernets.bit_accurate`). Digital arrays sum without error: there the two are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from math import ceil
from typing import Any

from cimbo.errors import BadInput
from cimbo.hardware.array_description import ArrayDescription, describe_array
from cimbo.workloads.layers import Workload

# Time of the bit-accurate form on one core, measured on both shipped networks
SECONDS_PER_READING = 8e-9
CALIBRATION_IMAGES = (
    400  # that a bit-accurate measurement computes besides those that it is asked for, at most
)


@dataclass(frozen=True)
class FormDifference:
    """What bit-accurate arrays change in an accuracy, both forms seeing the same images.

    Attributes:
        points: Accuracy on bit-accurate arrays less that under equivalent noise, in percentage points.
        error: Standard deviation of ``points`` by the choice of images: that of a sum of so many gains and losses as
            there are images which only one form classifies rightly.
        images: How many images.
    """

    points: float
    error: float
    images: int


def has_bit_accurate(measure: Any) -> bool:
    """Tells whether an accuracy can be measured in the bit-accurate form.

    Args:
        measure: The method that measures it.

    Returns:
        Whether it takes ``exact`` and ``images``.
    """
    return {"exact", "images"} <= signature(measure).parameters.keys()


def compare_forms(accuracy: Any, design: Mapping[str, Any], images: int) -> FormDifference:
    """Measures what bit-accurate arrays change in an accuracy, on the first test images.

    Args:
        accuracy: A source of accuracies that `has_bit_accurate`; it may compare the forms itself.
        design: Genes of the network and of the chip, fixed properties included.
        images: How many images.

    Returns:
        The difference. Where the source says nothing of single images, its error is that of two independent shares.
    """
    own = getattr(accuracy, "compare_forms", None)
    if callable(own):
        found: FormDifference = own(design, images)
        return found
    exact, equivalent = (
        accuracy.measure(design, "test", exact=e, images=images) for e in (True, False)
    )
    variance = sum(share * (100 - share) for share in (exact, equivalent)) / images
    return FormDifference(exact - equivalent, variance**0.5, images)


def is_exact_as_measured(chip: Mapping[str, Any]) -> bool:
    """Tells whether the two forms of the accuracy are one on a chip: its arrays sum without error.

    Args:
        chip: Genes of the chip, fixed properties included.

    Returns:
        Whether its arrays are digital.
    """
    try:
        return describe_array(chip).is_digital
    except BadInput:
        return False


def readings_per_image(workload: Workload, array: ArrayDescription) -> float:
    """Counts what the converters read for one image.

    Args:
        workload: The network; its counts are of one inference.
        array: The arrays.

    Returns:
        Readings of all layers with weights; what the digital unit computes has none.
    """
    each = array.slices * array.input_steps
    total = 0.0
    for layer in workload.layers:
        if not layer.dynamic:
            blocks = ceil(layer.reduction / array.rows_active)
            total += layer.px * layer.columns * layer.groups * blocks * each
    return total


def bit_accurate_seconds(workload: Workload, chip: Mapping[str, Any], images: int) -> float:
    """Estimates how long a bit-accurate measurement takes on one core.

    Args:
        workload: The network; its counts are of one inference.
        chip: Genes of the chip, fixed properties included.
        images: Images that are measured; the calibration comes on top.

    Returns:
        Seconds; 0 where the arrays are digital.
    """
    array = describe_array(chip)
    if array.is_digital:
        return 0.0
    return SECONDS_PER_READING * readings_per_image(workload, array) * (images + CALIBRATION_IMAGES)
