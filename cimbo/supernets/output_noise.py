"""Gaussian noise as large as the errors of an array, for training and for networks that cannot be put on dies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription
from cimbo.supernets.array_instance import arrays
from cimbo.supernets.bit_accurate import BitAccurateMVM
from cimbo.supernets.die import N_CALIBRATION_INPUTS
from cimbo.supernets.noise_bank import stretch

# Samples of a product from which its deviation is estimated, in half precision
N_DEVIATION_SAMPLES = 4096


@dataclass(frozen=True)
class OutputNoise:
    """An ``ArrayNonideality`` for training and for networks that cannot be put on dies.

    It adds Gaussian noise to each product, as large as the errors of the arrays on a Gaussian layer of as many rows
    (:func:`relative_error`).

    Attributes:
        chip: The arrays.
        generator: Source of randomness; None: torch's global one.
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
            deviation = _deviation(product.detach())
        else:
            deviation = _deviation(product)
        return torch.addcmul(product, noise, relative_error(self.chip, rows) * deviation)

    def _place(self, most: int) -> int:
        """A random whole number from 0 to ``most``."""
        return int(torch.randint(most + 1, (1,), generator=self.generator))


def _deviation(product: Tensor) -> Tensor:
    """Standard deviation of a product.

    In half precision it is estimated from an evenly spaced sample, since all of the product would take longer than computing
    it.

    Returns:
        The deviation, a tensor without dimensions.
    """
    if product.dtype != torch.bfloat16:
        return product.std()
    step = max(1, product.numel() // N_DEVIATION_SAMPLES)
    return product.flatten()[::step].float().std()


@cache
def relative_error(chip: ArrayDescription, rows: int) -> float:
    """Measure the size of the bit-accurate form's error on a layer of Gaussian inputs and weights.

    The layer has 32 outputs. It is drawn with a fixed seed, and so are the errors. Results are
    cached.

    Args:
        chip: Description of the array.
        rows: Rows of the layer.

    Returns:
        Standard deviation of the error over that of the exact product.
    """
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(1, 32, rows, generator=random)
    inputs = torch.randn(1, N_CALIBRATION_INPUTS, rows, generator=random)
    on_arrays = BitAccurateMVM(chip, weight, random, shared_range=False)
    on_arrays.calibrate(inputs)
    exact = torch.bmm(inputs, weight.transpose(1, 2))
    return ((on_arrays(inputs) - exact).std() / exact.std()).item()


def signal_to_noise_db(ideal: Tensor, delivered: Tensor) -> float:
    """Computes the signal-to-noise ratio of a product.

    Args:
        ideal: The product without errors, of any shape.
        delivered: The product with errors, of the same shape.

    Returns:
        10 log10 of the variance of ``ideal`` over the mean square of the difference, in dB.
    """
    error = max((delivered - ideal).square().mean().item(), 1e-300)
    return 10 * math.log10(ideal.var().item() / error)


def noise_of_chip(chip: Mapping[str, Any], seed: int) -> OutputNoise | None:
    """Makes the noise that the arrays of a chip add to a product.

    Args:
        chip: Genes of the chip; others are ignored.
        seed: What the noise is drawn from.

    Returns:
        The noise; None where the arrays are digital or nothing is known of a chip.

    Raises:
        BadInput: When the genes describe no array that can be built.
    """
    made = arrays(chip, 0, ideal=True)
    if made is None or made.array.is_digital:
        return None
    return OutputNoise(made.array, torch.Generator().manual_seed(seed))
