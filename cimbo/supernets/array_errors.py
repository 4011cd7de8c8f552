"""What a chip's arrays make of a layer's product, as one die of it has it.

**The bit-accurate form** (:mod:`cimbo.supernets.bit_accurate`) computes every partial sum and every reading of a converter.

**The equivalent-noise form** (:class:`EquivalentNoise`). What the bit-accurate form does to a layer is measured on a sample
of its calibration inputs and split as Bussgang's theorem splits a distortion: a gain and an offset for each output, what is
linear in the inputs (:mod:`cimbo.supernets.linear_errors`), and the errors that are left. The layer itself then is one
product and one addition of errors drawn from those of the sample, all outputs of a position together: so they keep their
rare large values, which a normal distribution of the same variance would not have, and what outputs err by in common. The
search measures in this form; the bit-accurate one verifies finalists.

What a convolution is off by at the positions of one image is alike, most in the first layers (flat backgrounds) and in late
depthwise ones, so that pooling averages out less of it than of white noise. There the error is a sum of two: one drawn for
each image, one for each position.

A digital array adds without error: there operands are rounded, and nothing else.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from cimbo.hardware.array_description import (
    ARRAY_GENES,
    USUAL_CONDITIONS,
    ArrayDescription,
    RangePolicy,
    describe_array,
)
from cimbo.hardware.cell_errors import ArrayConditions
from cimbo.supernets.bit_accurate import BitAccurateMVM
from cimbo.supernets.linear_errors import linear_errors
from cimbo.supernets.noise_bank import stretch
from cimbo.supernets.quantisation import InputRange, input_range, quantise_weight
from cimbo.workloads.precision import OperandBits, is_precision_gene, stage_bits

N_DIES = 4  # chips over which errors that are fixed once a chip is made are averaged
N_CALIBRATION_INPUTS = 256  # of a layer, to set converters by, over all dies together
# To measure errors by, likewise: the rare large errors of a high slice decide, so that there are many. Fewer of a convolution
# on images, whose layers are many.
N_ERROR_INPUTS = 1024
N_IMAGE_ERROR_INPUTS = 512
INPUTS_PER_IMAGE = 8  # of these of one image, where what they share counts

N_DEVIATION_SAMPLES = 4096  # of a product in half precision
ROUNDING_ENERGY = 1e-10  # of a product's, below which its variation is that of float arithmetic
DEFAULT_ROWS = 128  # of a chip that does not say
#: The genes of a chip that decide the accuracy on it.
ACCURACY_GENES = tuple(sorted(ARRAY_GENES))


@dataclass(frozen=True)
class ArrayInstance:
    """The arrays of a chip as they were made.

    Attributes:
        array: what they compute with.
        seed: of everything that differs between two chips of one design.
        most_dies: how many dies are looked at at most.
    """

    array: ArrayDescription
    seed: int = 0
    most_dies: int = N_DIES

    @property
    def n_dies(self) -> int:
        """How many dies are looked at: one where all are alike."""
        if self.array.cells_err or self.array.offset_lsb:
            return min(self.most_dies, N_DIES)
        return 1


def with_ideal_converters(array: ArrayDescription) -> ArrayDescription:
    """Gives the array converters that do not err and a range for every layer, input step and slice.

    Word lines then take inputs of either sign and a slice is the difference of two cells, so that
    sums are small about zero. A range that is fixed stays fixed. It is the kindest array there can
    be, and what the shipped weights were trained for; the cost model charges for the array as
    described, not for this one.

    Args:
        array: The array as described.

    Returns:
        The array with such converters; a digital one as it is. Levels of cells are kept for RRAM
        only.
    """
    if array.is_digital:
        return array
    policy: RangePolicy = "fixed" if array.range_policy == "fixed" else "layer_and_digit"
    if array.family == "rram":
        cell_levels = array.cell_levels
    else:
        cell_levels = ()
    return replace(
        array,
        encoding="differential",
        signed_inputs=True,
        range_policy=policy,
        noise_lsb=0.0,
        inl_lsb=0.0,
        offset_lsb=0.0,
        sum_noise=0.0,
        cell_levels=cell_levels,
    )


def arrays(
    design: Mapping[str, Any],
    seed: int,
    *,
    ideal: bool,
    conditions: ArrayConditions = USUAL_CONDITIONS,
) -> ArrayInstance | None:
    """The arrays of the chip in ``design``.

    Args:
        design: genes of a network and of a chip.
        seed: of the dies.
        ideal: whether converters are taken as `with_ideal_converters` has them.
        conditions: under what cells and converters err.

    Returns:
        The arrays; None where ``design`` names no array and no converter, so that nothing is known of a chip. Where it
        has stages of few bits all the same, exact arrays round their operands.

    Raises:
        BadInput: As ``describe_array`` does.
    """
    if "array" not in design and "adc_bits" not in design:
        if not any(is_precision_gene(name) for name in design):
            return None
        design = {**design, "array": "digital_sram"}
    array = describe_array({"rows": DEFAULT_ROWS, **design}, conditions)
    return ArrayInstance(with_ideal_converters(array) if ideal else array, seed)


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
    """One of the chips that were made; its errors are drawn from ``chip.seed`` and ``number``.

    ``exact``: its layers compute in the bit-accurate form rather than in the equivalent one.
    """

    def __init__(self, chip: ArrayInstance, number: int = 0, *, exact: bool = False) -> None:
        self.chip, self.exact = chip, exact
        seed = 1000 * chip.seed + number
        self._cells = torch.Generator().manual_seed(seed)
        self._draws = torch.Generator().manual_seed(seed + 1)
        # Two sequences: an exact die and an equivalent one, which draws noise besides, calibrate by the same inputs.
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

    def sample(self, count: int, most: int = N_CALIBRATION_INPUTS) -> Tensor:
        """Draws which of a layer's inputs this die looks at.

        Args:
            count: How many inputs there are.
            most: How many all dies look at together; this one takes its share.

        Returns:
            Numbers of different inputs, (share,), in random order; of all inputs where there are no
            more.
        """
        share = min(count, most // self.chip.n_dies)
        return torch.tensor(self._samples.sample(range(count), share))

    def sample_by_image(self, images: int, positions: int) -> tuple[Tensor, int]:
        """Draws which of a convolution's inputs this die looks at, several of each of some images.

        Args:
            images: How many images there are; the looked-at ones are evenly spaced.
            positions: Output positions in an image, height times width.

        Returns:
            Numbers of inputs among ``images`` times ``positions``, image by image, (some * each,);
            and ``each``, how many are of one image.
        """
        share = N_IMAGE_ERROR_INPUTS // self.chip.n_dies
        each = min(INPUTS_PER_IMAGE, positions)
        some = min(images, share // each)
        starts = (i * images // some * positions for i in range(some))
        return torch.tensor(
            [s + p for s in starts for p in self._places.sample(range(positions), each)]
        ), each

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


@dataclass(frozen=True)
class EquivalentNoise:
    """The equivalent-noise form of a layer: y -> gain * y + slope x + offset + one of the errors that are left.

    Attributes:
        gain: (outputs,) of the layer's own product.
        offset: (outputs,) what is added to every one.
        errors: (samples, outputs) what else the sample was off by, of mean zero; one is drawn for every position.
        common: (images, outputs) what all positions of an image were off by besides, of mean zero; one is drawn for every
            image. None: nothing.
        slope: (groups, outputs, rows) of the errors that are linear in the inputs, as if they were weights; None where
            that does not pay.
    """

    gain: Tensor
    offset: Tensor
    errors: Tensor
    common: Tensor | None = None
    slope: Tensor | None = None

    def scaled(self, factor: Tensor, bias: Tensor) -> EquivalentNoise:
        """Gives the noise behind a factor and a bias, gain and slope being in the weights by then.

        Args:
            factor: What each output is multiplied by, (outputs,).
            bias: What is added to each output after that, (outputs,).

        Returns:
            The noise of ``factor`` * y + ``bias``.
        """
        if self.common is None:
            common = None
        else:
            common = self.common * factor
        return replace(
            self,
            offset=self.offset * factor + bias,
            errors=self.errors * factor,
            common=common,
        )


def equivalent_noise(product: Product, inputs: Tensor, each: int = 1) -> EquivalentNoise:
    """Measures what a product makes of the plain product of its own weights.

    Each output has a gain of its own: where a few strong ones set the range, the weak ones drown in
    the first step. What the positions of an image have in common is told from the rest by a one-way
    analysis of variance with random effects.

    Args:
        product: The layer as an array holds it, calibrated.
        inputs: A sample of its inputs, (groups, samples, rows).
        each: So many samples in a row are positions of one image; 1: nothing is in common.

    Returns:
        Gain, offset, errors, and a slope where it pays; errors common to an image only where
        ``each`` is above 1 and there are several images.
    """
    plain, exact = torch.bmm(inputs, product.weight.transpose(1, 2)), product(inputs)
    around, around_exact = (y - y.mean(1, keepdim=True) for y in (plain, exact))
    gain = _gain(around_exact, around, plain)
    left = exact - gain * plain
    mean = left.mean(1)
    left = left - mean.unsqueeze(1)
    linear = linear_errors(inputs, left, each)
    slope = None
    if linear is not None:
        slope, left = linear.slope, linear.left
        mean = mean - (slope @ inputs.mean(1).unsqueeze(-1)).squeeze(-1)
    found = EquivalentNoise(gain.flatten(), mean.flatten(), _by_sample(left), slope=slope)
    if each == 1 or left.shape[1] <= each:
        return found
    images = left.unflatten(1, (-1, each))
    within, between = images.var(2).mean(1), images.mean(2).var(1)
    share = ((between - within / each) / between.clamp_min(1e-30)).clamp_min(0).sqrt()
    own = (images - images.mean(2, keepdim=True)) * math.sqrt(each / (each - 1))
    shared = images.mean(2) * share.unsqueeze(1)
    return replace(found, errors=_by_sample(own.flatten(1, 2)), common=_by_sample(shared))


def _gain(delivered: Tensor, around: Tensor, plain: Tensor) -> Tensor:
    """Slope of ``delivered`` over ``around``, the plain product less its mean, (groups, 1, outputs).

    An output that is the same for all inputs has none: what it delivers is an offset.
    """
    energy = around.square().sum(1, keepdim=True)
    varies = energy > ROUNDING_ENERGY * plain.square().sum(1, keepdim=True)
    slope = (delivered * around).sum(1, keepdim=True) / energy.clamp_min(1e-30)
    return torch.where(varies, slope, torch.zeros_like(slope))


def unchanged(bias: Tensor) -> EquivalentNoise:
    """Gives the noise of a layer whose errors are computed rather than drawn: its bias alone.

    Args:
        bias: What is added to each output, (outputs,).

    Returns:
        A gain of one, ``bias`` as the offset, and one error of zero.
    """
    return EquivalentNoise(torch.ones_like(bias), bias, torch.zeros(1, len(bias)))


def _by_sample(values: Tensor) -> Tensor:
    """(samples, groups * outputs) of mean zero, for values (groups, samples, outputs)."""
    return (values - values.mean(1, keepdim=True)).transpose(0, 1).flatten(1)


@dataclass(frozen=True)
class OutputNoise:
    """An ``ArrayNonideality`` where layers are not deployed: to train under, and for networks that know no dies.

    Gaussian noise as large as what the arrays make of a Gaussian layer of so many rows (:func:`relative_error`); of
    ``generator``, or of torch's own.
    """

    chip: ArrayDescription
    generator: torch.Generator | None = None

    def operands(self, inputs: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Leaves inputs and weight as they are: what few bits do to them is part of the noise.

        Args:
            inputs: Activations that the layer reads, of any shape.
            weight: The layer's weights, of any shape.

        Returns:
            Both unchanged.
        """
        return inputs, weight

    def product(self, product: Tensor, rows: int) -> Tensor:
        """Adds the noise of the arrays to a product.

        Args:
            product: A layer's product before its bias, of any shape.
            rows: Rows of an array over which one output is summed; they decide the size of the
                noise.

        Returns:
            The product with Gaussian noise, of the same shape. No gradient passes through the
            noise's size.
        """
        noise = stretch(product.numel(), self._place).view(product.shape)
        if product.requires_grad:
            size = _deviation(product.detach())
        else:
            size = _deviation(product)
        return torch.addcmul(product, noise, relative_error(self.chip, rows) * size)

    def _place(self, most: int) -> int:
        return int(torch.randint(most + 1, (1,), generator=self.generator))


def _deviation(product: Tensor) -> Tensor:
    """Standard deviation of a product.

    In half precision it is that of an evenly spaced sample: all of it would take longer than the product.
    """
    if product.dtype != torch.bfloat16:
        return product.std()
    flat = product.flatten()
    return flat[:: max(1, len(flat) // N_DEVIATION_SAMPLES)].float().std()


@cache
def relative_error(chip: ArrayDescription, rows: int) -> float:
    """Measures the size of the bit-accurate form's error on a layer of Gaussian inputs and weights.

    The layer has 32 outputs. It is drawn with a fixed seed, and so are the errors. Results are kept
    for the process.

    Args:
        chip: What the array computes with.
        rows: Rows of the layer.

    Returns:
        Standard deviation of the error as a share of that of the exact product.
    """
    draw = torch.Generator().manual_seed(0)
    weight, inputs = (torch.randn(1, n, rows, generator=draw) for n in (32, N_CALIBRATION_INPUTS))
    product = BitAccurateMVM(chip, weight, draw, shared_range=False)
    product.calibrate(inputs)
    plain = torch.bmm(inputs, weight.transpose(1, 2))
    return ((product(inputs) - plain).std() / plain.std()).item()


def signal_to_noise_db(ideal: Tensor, delivered: Tensor) -> float:
    """Computes the signal-to-noise ratio of a product.

    Args:
        ideal: The product without errors, of any shape.
        delivered: The product with errors, of the same shape.

    Returns:
        10 log10 of the variance of ``ideal`` over the mean square of the difference, in dB.
    """
    return 10 * math.log10(
        ideal.var().item() / max((delivered - ideal).square().mean().item(), 1e-300)
    )
