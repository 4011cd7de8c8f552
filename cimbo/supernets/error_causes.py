"""A die with some causes of its errors switched off, in all layers or in one, to find what costs accuracy.

Each layer draws its errors from a sequence of its own, so that switching one off leaves the others' as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription
from cimbo.supernets.array_instance import ArrayInstance
from cimbo.supernets.bit_accurate import BitAccurateMVM, WrittenStep
from cimbo.supernets.die import Die, Product, QuantisedMVM

STEPS_AND_RANGE = "converter range and steps"
EVERYTHING = "everything"
SEEDS_OF_A_LAYER = 100_003  # a die's seed times this, plus the layer's number, is the layer's seed


def _without_noise(array: ArrayDescription) -> ArrayDescription:
    return replace(array, noise_lsb=0.0, sum_noise=0.0)


def _without_curve(array: ArrayDescription) -> ArrayDescription:
    return replace(array, offset_lsb=0.0, inl_lsb=0.0)


def _without_cell_errors(array: ArrayDescription) -> ArrayDescription:
    return replace(array, cell_noise=0.0, cell_levels=(), stuck_cells=0.0)


def _unchanged(array: ArrayDescription) -> ArrayDescription:
    return array


WITHOUT_CAUSE: Mapping[str, Callable[[ArrayDescription], ArrayDescription]] = {
    "noise": _without_noise,
    "offset and non-linearity": _without_curve,
    "cells": _without_cell_errors,
    STEPS_AND_RANGE: _unchanged,
}
"""For each cause of errors, a function that makes an array without it. The converters' range and steps are no property of the
array: `UnroundedMVM` leaves them out."""


def causes_of(array: ArrayDescription) -> tuple[str, ...]:
    """Lists the causes of errors that an array has, besides operands of few bits.

    Args:
        array: The array.

    Returns:
        Names in WITHOUT_CAUSE; none where sums are digital.
    """
    if array.is_digital:
        return ()
    causes = []
    for name, without in WITHOUT_CAUSE.items():
        if without(array) != array:
            causes.append(name)
    return (*causes, STEPS_AND_RANGE)


class UnroundedMVM(BitAccurateMVM):
    """A layer whose converters have all their errors, but neither steps nor an end of their range."""

    def _is_lossless(self) -> bool:
        return False

    def _convert(self, sums: Tensor, step: WrittenStep, spare: Tensor) -> Tensor:
        return self._disturbed_sums(sums, step, spare)


class FloatMVM:
    """A layer without errors, whose operands are as they were trained."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.range = _NoRange()

    def calibrate(self, inputs: Tensor, every: Tensor | None = None) -> None:
        """Does nothing: there is no range to set.

        Args:
            inputs: Ignored.
            every: Ignored.
        """

    def __call__(self, inputs: Tensor) -> Tensor:
        """Computes the product in float.

        Args:
            inputs: (groups, samples, rows).

        Returns:
            (groups, samples, outputs).
        """
        return torch.bmm(inputs, self.weight.transpose(1, 2))


class _NoRange:
    """A range that holds every value."""

    def quantise(self, values: Tensor) -> Tensor:
        """Leaves values as they are.

        Args:
            values: Activations of any shape.

        Returns:
            The same.
        """
        return values


@dataclass(frozen=True)
class SwitchedOff:
    """A cause of errors that is switched off.

    Attributes:
        cause: A name in WITHOUT_CAUSE, or EVERYTHING: the layer computes in float.
        layer: Number of the only layer where it is off, counted from 0 in the order of the network; None: all layers.
    """

    cause: str
    layer: int | None = None

    def holds_in(self, layer: int) -> bool:
        """Tells whether a layer is spared.

        Args:
            layer: Its number.

        Returns:
            Whether the cause is off there.
        """
        return self.layer is None or self.layer == layer


class TrialDie(Die):
    """A die with some of its errors switched off; its random numbers differ from those of an ordinary `Die`."""

    def __init__(self, chip: ArrayInstance, number: int, off: SwitchedOff | None) -> None:
        super().__init__(chip, number)
        self.off = off
        self._seed = 1000 * chip.seed + number
        self._layers: list[int] = []  # shared by copies of other bits

    def product(self, weight: Tensor, *, common: bool) -> Product:
        """Writes a layer's weights into this die, without the errors that are off there.

        Args:
            weight: Weights in float, (groups, outputs, rows).
            common: Whether all groups share one converter range.

        Returns:
            The layer as the arrays hold it, not calibrated yet.
        """
        layer = len(self._layers)
        self._layers.append(layer)
        off, array = self.off, self.chip.array
        if off is None or not off.holds_in(layer):
            off = None
        if off is not None and off.cause == EVERYTHING:
            return FloatMVM(weight)
        if self.is_digital:
            return QuantisedMVM(array, weight)
        random = torch.Generator().manual_seed(SEEDS_OF_A_LAYER * self._seed + layer)
        if off is None:
            return BitAccurateMVM(array, weight, random, shared_range=common)
        if off.cause == STEPS_AND_RANGE:
            return UnroundedMVM(array, weight, random, shared_range=common)
        return BitAccurateMVM(WITHOUT_CAUSE[off.cause](array), weight, random, shared_range=common)


def adding_exactly(array: ArrayDescription) -> ArrayDescription:
    """Make an array that rounds operands as this one does, but adds without error.

    Args:
        array: The array.

    Returns:
        A digital array of the same bits.
    """
    return replace(
        array, family="digital_sram", adc_bits=0, cell_noise=0.0, cell_levels=(), stuck_cells=0.0
    )
