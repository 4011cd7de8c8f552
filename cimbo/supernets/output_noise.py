"""Gaussian noise as large as the errors of an array: to train under, and for networks that know no dies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription
from cimbo.supernets.bit_accurate import BitAccurateMVM
from cimbo.supernets.die import N_CALIBRATION_INPUTS
from cimbo.supernets.noise_bank import stretch

# Samples of a product from which its deviation is estimated, in half precision
N_DEVIATION_SAMPLES = 4096


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

    Returns:
        The deviation, a tensor without dimensions.
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
