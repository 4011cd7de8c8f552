"""The two forms in which an accuracy under the errors of arrays is measured, and how long the exact one takes.

The equivalent-noise form, which a search uses, adds noise of the size of the errors to each layer's results. The bit-accurate
form ("exact") computes every partial sum and every reading of a converter (:mod:`cimbo.supernets.bit_accurate`). Digital
arrays sum without error: there both give the same.
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
# Images for calibration that a bit-accurate measurement computes, at most, besides those measured
CALIBRATION_IMAGES = 400


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
    """Tell whether an accuracy can be measured in the bit-accurate form.

    Args:
        measure: The method ``measure`` of a source of accuracy.

    Returns:
        Whether it has parameters ``exact`` and ``images``.
    """
    return {"exact", "images"} <= signature(measure).parameters.keys()


def compare_forms(accuracy: Any, design: Mapping[str, Any], images: int) -> FormDifference:
    """Measures what bit-accurate arrays change in an accuracy, on the first test images.

    Args:
        accuracy: A source of accuracy that `has_bit_accurate`. A method ``compare_forms`` of its own
            is preferred, because it can compare the forms image by image.
        design: Genes of the network and of the chip, fixed properties included.
        images: How many images.

    Returns:
        The difference. Unless the source compares the forms itself, the error is that of two
        accuracies p on n independent images: the variance of each is p (100 - p) / n.
    """
    own_comparison = getattr(accuracy, "compare_forms", None)
    if callable(own_comparison):
        difference: FormDifference = own_comparison(design, images)
        return difference
    exact = accuracy.measure(design, "test", exact=True, images=images)
    equivalent = accuracy.measure(design, "test", exact=False, images=images)
    variance = (exact * (100 - exact) + equivalent * (100 - equivalent)) / images
    return FormDifference(exact - equivalent, variance**0.5, images)


def is_exact_as_measured(chip: Mapping[str, Any]) -> bool:
    """Tell whether both forms give the same accuracy on a chip, because its arrays sum without error.

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
    """Count the readings of converters for one image.

    Args:
        workload: The network; its counts are of one inference.
        array: The arrays.

    Returns:
        Readings of all layers with weights; attention's products, which the digital unit computes,
        have none.
    """
    readings_per_sum = array.slices * array.input_steps
    total = 0.0
    for layer in workload.layers:
        if not layer.dynamic:
            partial_sums = ceil(layer.reduction / array.rows_active)
            results = layer.px * layer.columns * layer.groups
            total += results * partial_sums * readings_per_sum
    return total


def bit_accurate_seconds(workload: Workload, chip: Mapping[str, Any], images: int) -> float:
    """Estimates how long a bit-accurate measurement takes on one core.

    Args:
        workload: The network; its counts are of one inference.
        chip: Genes of the chip, fixed properties included.
        images: Images that are measured; those of the calibration are added.

    Returns:
        Seconds; 0 where the arrays are digital.
    """
    array = describe_array(chip)
    if array.is_digital:
        return 0.0
    return SECONDS_PER_READING * readings_per_image(workload, array) * (images + CALIBRATION_IMAGES)
