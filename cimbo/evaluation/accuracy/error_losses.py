"""Measures how much accuracy a design loses to each cause of its arrays' errors, and in which layer.

Each cause is switched off by itself; the accuracy gained is its loss. Every measurement is of the equivalent-noise form, on the
same images and dies, its batch norms calibrated on few images, so that accuracies are a little off those of a search;
differences between them are what counts. A layer's errors are drawn from a sequence of its own: where one is switched off, the
others stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy, examples, supernetwork
from cimbo.supernets.array_instance import ArrayInstance
from cimbo.supernets.error_causes import (
    EVERYTHING,
    SwitchedOff,
    TrialDie,
    adding_exactly,
    causes_of,
)
from cimbo.supernets.measurement import deployed, logits
from cimbo.workloads.layers import Workload

LOSS_IMAGES = 400  # validation images, divided among the dies
LOSS_DIES = 2  # dies that share the images where dies differ
CALIBRATION_IMAGES = 50  # calibration images for each die
WORST_LAYERS = 3  # layers with the largest loss, which are then measured cause by cause
OPERAND_BITS_CAUSE = "operand bits"


@dataclass(frozen=True)
class Loss:
    """Accuracy that is lost to one cause, in one layer or in all.

    Attributes:
        layer: Name of the layer, or "all".
        cause: The cause of errors; "everything": all causes of the layer, which then computes in float; "operand bits":
            the rounding of operands.
        points: Accuracy without the cause less the accuracy with all errors, in percentage points. For "operand bits",
            accuracy in float less that with rounded operands and no other error.
        error: Standard deviation of ``points`` by the choice of images.
    """

    layer: str
    cause: str
    points: float
    error: float

    def to_json(self) -> dict[str, Any]:
        """The loss as ``cimbo explain --format json`` prints it."""
        return asdict(self)


@dataclass(frozen=True)
class ErrorLosses:
    """Where a design loses its accuracy.

    Attributes:
        images: Validation images that all was measured on.
        in_float: Accuracy in percent without any error.
        as_described: Accuracy in percent with all errors.
        losses: First the causes, each in all layers; then the layers, the worst first, each with all its causes; then
            the worst layers cause by cause.
    """

    images: int
    in_float: float
    as_described: float
    losses: tuple[Loss, ...]

    def to_json(self) -> dict[str, Any]:
        """The losses as ``cimbo explain --format json`` prints them."""
        return {
            "images": self.images,
            "in_float": self.in_float,
            "as_described": self.as_described,
            "losses": [loss.to_json() for loss in self.losses],
        }


@dataclass(frozen=True)
class _Trials:
    """Measurements of one design with some of its errors switched off.

    Attributes:
        source: The source of accuracy.
        design: Genes of the network and of the chip.
        chip: The design's arrays.
        images: Validation images of each measurement.
    """

    source: ShippedAccuracy
    design: Mapping[str, Any]
    chip: ArrayInstance
    images: int

    def hits(self, off: SwitchedOff | None, chip: ArrayInstance | None = None) -> Tensor:
        """Tell which images are classified rightly with some errors off.

        Args:
            off: What is switched off; None: nothing.
            chip: Other arrays than the design's own; None: its own.

        Returns:
            True or False for each image, (images,).
        """
        chip = chip or self.chip
        return self._hits([TrialDie(chip, number, off) for number in range(self.n_dies)])

    def in_float(self) -> Tensor:
        """Which images are classified rightly without a chip, (images,)."""
        return self._hits([None] * self.n_dies)

    @property
    def n_dies(self) -> int:
        """How many dies share the images."""
        return min(LOSS_DIES, self.chip.n_dies)

    def _hits(self, dies: Sequence[TrialDie | None]) -> Tensor:
        """Which images are classified rightly, (images,): die i of n has images i, i + n, i + 2n, ..."""
        name = self.source.supernet
        pixels, labels = (tensor[: self.images] for tensor in examples(name, "validation"))
        calibration = examples(name, "calibration")[0]
        is_right = torch.zeros(len(labels), dtype=torch.bool)
        with torch.inference_mode():
            for number, die in enumerate(dies):
                images_of_die = slice(number, None, len(dies))
                calibration_of_die = calibration[images_of_die][:CALIBRATION_IMAGES]
                ready = deployed(supernetwork(name), self.design, calibration_of_die, die)
                predicted = logits(ready, pixels[images_of_die]).argmax(1)
                is_right[images_of_die] = predicted == labels[images_of_die]
        return is_right


def error_losses(
    source: ShippedAccuracy,
    design: Mapping[str, Any],
    workload: Workload,
    images: int = LOSS_IMAGES,
) -> ErrorLosses:
    """Measure what a design loses to each cause and in each layer, in some minutes of one core at most.

    Args:
        source: The source of accuracy.
        design: Genes of the network and of the chip, fixed properties included.
        workload: The network's layers, for their names.
        images: How many validation images.

    Returns:
        The losses.

    Raises:
        BadInput: The design names no array.
    """
    chip = source.chip_of(design)
    if chip is None:
        raise BadInput("losses of accuracy", "need a chip", "name the design's array")
    trials = _Trials(source, design, chip, images)
    layers = [layer.name for layer in workload.layers if not layer.dynamic]
    all_errors = trials.hits(None)
    in_float = trials.in_float()
    losses = [_operand_loss(trials, in_float)]
    causes = causes_of(chip.array)
    for cause in causes:
        losses.append(_loss("all", cause, trials.hits(SwitchedOff(cause)), all_errors))
    by_layer = []
    for number, name in enumerate(layers):
        off = SwitchedOff(EVERYTHING, number)
        by_layer.append(_loss(name, EVERYTHING, trials.hits(off), all_errors))
    by_layer.sort(key=lambda loss: -loss.points)
    losses += by_layer
    for worst in by_layer[:WORST_LAYERS]:
        for cause in causes:
            off = SwitchedOff(cause, layers.index(worst.layer))
            losses.append(_loss(worst.layer, cause, trials.hits(off), all_errors))
    return ErrorLosses(len(all_errors), _percent(in_float), _percent(all_errors), tuple(losses))


def _operand_loss(trials: _Trials, in_float: Tensor) -> Loss:
    """The loss to the rounding of operands alone, on arrays that add without error."""
    rounded = replace(trials.chip, array=adding_exactly(trials.chip.array))
    return _loss("all", OPERAND_BITS_CAUSE, in_float, trials.hits(None, rounded))


def _loss(layer: str, cause: str, without: Tensor, with_all: Tensor) -> Loss:
    """The loss to a cause, from the images that are right without it and with all errors, (images,) each.

    The error is that of a sum of independent gains and losses of 1, of which there are as many as
    images that change.

    Returns:
        The loss.
    """
    changes = without.double() - with_all.double()
    error = 100 * float(changes.abs().sum()) ** 0.5 / len(changes)
    return Loss(layer, cause, 100 * float(changes.mean()), error)


def _percent(hits: Tensor) -> float:
    """Percentage of the images (images,) that are True."""
    return 100 * int(hits.sum()) / len(hits)
