"""A die: one chip of a design, into whose cells layers are written, with the errors that differ from chip to chip.

A digital array adds without error: there operands are rounded, and nothing else.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription
from cimbo.supernets.array_instance import ArrayInstance
from cimbo.supernets.bit_accurate import BitAccurateMVM
from cimbo.supernets.quantisation import InputRange, input_range, quantise_weight
from cimbo.supernets.whole_products import WholeProduct, fit_whole_products
from cimbo.workloads.precision import OperandBits, stage_bits

N_CALIBRATION_INPUTS = 256  # inputs of a layer by which converters are set, over all dies together
# Inputs by which errors are measured, over all dies together. Many, because rare large errors of
# a high slice decide; fewer for networks on images, which have many convolutions.
N_ERROR_INPUTS = 1024
N_IMAGE_ERROR_INPUTS = 512
# How many of these are of the same image, where the errors that they share matter
INPUTS_PER_IMAGE = 8


class Rounding(Protocol):
    """How activations become those that an array takes."""

    def quantise(self, values: Tensor) -> Tensor:
        """Rounds values.

        Args:
            values: Activations of any shape.

        Returns:
            Rounded activations of the same shape.
        """
        ...


class Product(Protocol):
    """A layer as an array holds it."""

    @property
    def range(self) -> Rounding:
        """How its inputs are rounded, once it is calibrated."""
        ...

    @property
    def weight(self) -> Tensor:
        """(groups, outputs, rows): the weights that it holds in effect."""
        ...

    def calibrate(self, inputs: Tensor, every: Tensor | None = None) -> None:
        """Sets the ranges of the inputs and of the converters, before the first product.

        Args:
            inputs: A sample of the layer's inputs, (groups, samples, rows).
            every: All activations of the layer, of any shape, by which the inputs' own range is
                set; ``inputs`` if None.
        """
        ...

    def __call__(self, inputs: Tensor) -> Tensor:
        """Computes the product as the array delivers it, before a bias.

        Args:
            inputs: (groups, samples, rows).

        Returns:
            (groups, samples, outputs).
        """
        ...


class QuantisedMVM:
    """A layer on digital arrays: rounded operands, exact sums."""

    def __init__(self, array: ArrayDescription, weight: Tensor) -> None:
        self.array = array
        self.weight = torch.stack([quantise_weight(w, array.weight_bits) for w in weight])

    def calibrate(self, inputs: Tensor, every: Tensor | None = None) -> None:
        """Sets the range of the inputs; there are no converters to set.

        Args:
            inputs: A sample of the layer's inputs, (groups, samples, rows).
            every: All activations of the layer, of any shape, by which the range is set; ``inputs``
                if None.
        """
        seen = inputs if every is None else every
        self.range: InputRange = input_range(
            seen, self.array.act_bits, signed=self.array.signed_inputs
        )

    def __call__(self, inputs: Tensor) -> Tensor:
        """Multiplies ``inputs`` (groups, vectors, rows) by the weights as the array holds them."""
        return torch.bmm(self.range.quantise(inputs), self.weight.transpose(1, 2))


class Die:
    """One chip of a design; its errors are drawn from ``chip.seed`` and ``number``.

    Args:
        chip: The arrays of the design.
        number: Number of the die.
        exact: Whether its layers compute in the bit-accurate form, rather than in the equivalent-noise form.
        in_whole_numbers: Whether linear layers on digital arrays are computed in whole numbers
            (`cimbo.supernets.whole_products`).
    """

    def __init__(
        self,
        chip: ArrayInstance,
        number: int = 0,
        *,
        exact: bool = False,
        in_whole_numbers: bool = False,
    ) -> None:
        self.chip, self.exact = chip, exact
        self.in_whole_numbers = in_whole_numbers
        seed = 1000 * chip.seed + number
        self._cells = torch.Generator().manual_seed(seed)
        self._draws = torch.Generator().manual_seed(seed + 1)
        # Two sequences, so that an exact die and an equivalent-noise one, which draws more, calibrate by the same inputs.
        self._samples, self._places = random.Random(seed), random.Random(seed)  # noqa: S311 (no secrets)

    @property
    def is_digital(self) -> bool:
        """Whether sums are exact, so that only operands are rounded."""
        return self.chip.array.is_digital

    def at(self, bits: OperandBits) -> Die:
        """Gives the same die for layers of fewer bits than its arrays are built for.

        Args:
            bits: Bits of the layers' operands; 0, and more than the arrays have: as the arrays have
                it.

        Returns:
            A die that draws from the same random sequences as this one.
        """
        array = self.chip.array
        weight_bits = min(bits.weight_bits or array.weight_bits, array.weight_bits)
        act_bits = min(bits.act_bits or array.act_bits, array.act_bits)
        die = copy.copy(self)
        die.chip = replace(
            self.chip, array=replace(array, weight_bits=weight_bits, act_bits=act_bits)
        )
        return die

    def bit_accurate(self) -> Die:
        """Gives the same die for layers that are computed in the bit-accurate form whatever the others are.

        Returns:
            A die that draws from the same random sequences as this one.
        """
        die = copy.copy(self)
        die.exact = True
        return die

    def product(self, weight: Tensor, *, common: bool) -> Product:
        """Writes a layer's weights into this die.

        Args:
            weight: Weights in float, (groups, outputs, rows).
            common: Whether all groups share one converter range.

        Returns:
            The layer as the arrays hold it, not calibrated yet; with rounded operands alone on
            digital arrays.
        """
        if self.is_digital:
            return QuantisedMVM(self.chip.array, weight)
        return BitAccurateMVM(self.chip.array, weight, self._cells, shared_range=common)

    def whole_product(self, weight: Tensor, bias: Tensor, inputs: Rounding) -> WholeProduct | None:
        """Makes a layer of a digital array that computes in whole numbers.

        Args:
            weight: Weights as the array holds them, (outputs, rows).
            bias: (outputs,).
            inputs: How activations are rounded.

        Returns:
            The layer; None where the die computes in floating point, or operands have too many bits.
        """
        array = self.chip.array
        fits = fit_whole_products(array.weight_bits, array.act_bits)
        if not (self.in_whole_numbers and fits and isinstance(inputs, InputRange)):
            return None
        return WholeProduct(weight, bias, inputs, weight_bits=array.weight_bits)

    def sample(self, count: int) -> Tensor:
        """Draw the inputs of a layer by which this die sets its converters.

        Args:
            count: How many inputs there are.

        Returns:
            Numbers of different inputs, this die's share of N_CALIBRATION_INPUTS, in random order;
            of all inputs where there are no more.
        """
        share = min(count, N_CALIBRATION_INPUTS // self.chip.n_dies)
        return torch.tensor(self._samples.sample(range(count), share))

    def error_sample(self, count: int, most: int = N_ERROR_INPUTS) -> Tensor:
        """Draw the inputs of a layer on which this die measures the errors of its arrays.

        Args:
            count: How many inputs there are.
            most: How many all dies look at together; this one takes its share.

        Returns:
            Numbers of different inputs, (share,), as :meth:`sample` gives them.
        """
        share = min(count, most // self.chip.n_dies)
        return torch.tensor(self._places.sample(range(count), share))

    def sample_by_image(self, images: int, positions: int) -> tuple[Tensor, int]:
        """Draw inputs of a convolution on which this die measures errors, several of each of some images.

        Args:
            images: How many images there are; the chosen ones are evenly spaced.
            positions: Output positions in an image, height times width.

        Returns:
            Numbers of the chosen inputs, where input number i is position i % positions of image
            i // positions, image by image, (chosen images * each,); and ``each``, how many are of
            one image.
        """
        share = N_IMAGE_ERROR_INPUTS // self.chip.n_dies
        each = min(INPUTS_PER_IMAGE, positions)
        n_chosen = min(images, share // each)
        starts = torch.arange(n_chosen) * images // n_chosen * positions
        # The places of the largest of random numbers are distinct random places.
        places = torch.rand(n_chosen, positions, generator=self._draws).topk(each).indices
        return (starts[:, None] + places).flatten(), each

    def numbers(self, most: int, count: int) -> Tensor:
        """Draws whole numbers with repetition.

        Args:
            most: The numbers are below it.
            count: How many.

        Returns:
            Whole numbers from 0 to ``most`` - 1, (count,).
        """
        return torch.randint(most, (count,), generator=self._draws)

    def place(self, most: int) -> int:
        """Draws one whole number.

        Args:
            most: The number is below it.

        Returns:
            A whole number from 0 to ``most`` - 1.
        """
        return self._places.randrange(most)


def at_stage(die: Die | None, subnet: Mapping[str, Any], stage: int) -> Die | None:
    """Gives a die the bits that a sub-network gives one of its stages or blocks.

    Args:
        die: The die; None for a network without a chip.
        subnet: Genes of the sub-network, its precision genes among them.
        stage: Number of the stage or block, counted from 1.

    Returns:
        The die at these bits, as :meth:`Die.at` has it; None without a die.
    """
    if die is None:
        return None
    return die.at(stage_bits(subnet, stage))
