"""What the analog array does to a product: quantisation noise of its converters, in the equivalent form.

A product of R rows is read as nb = ceil(R / rows) partial sums, each converted by a b-bit ADC whose full scale is calibrated
to CLIP standard deviations of the partial sums on either side. Uniform quantisation of step s adds noise of variance s^2/12
to each of them. With partial sums of equal variance v_y / nb the product gains

    nb * (2 * CLIP * sqrt(v_y / nb) / 2^b)^2 / 12 = v_y * CLIP^2 / (3 * 4^b)

whatever the rows are; bit-serial pulses and bit slices are converted apart and add up in the same proportion. This is the
equivalent-noise form of the exact, per-row-block quantisation. 8-bit weights and activations change the accuracy of networks
like these by less than a tenth of a point and are left out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

CLIP = 4.0  # half the ADC's range, in standard deviations of a partial sum


@dataclass(frozen=True)
class ConverterNoise:
    """An ``ArrayEffect``: Gaussian noise of the variance that ``adc_bits``-bit converters cause, seeded."""

    adc_bits: int
    seed: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", random.Random(self.seed))  # noqa: S311 (noise, not secrets)

    @property
    def relative(self) -> float:
        """Standard deviation of the noise as a share of the product's."""
        return CLIP / (math.sqrt(3.0) * 2.0**self.adc_bits)

    def __call__(self, product: Tensor, rows: int) -> Tensor:
        return product.add(self.draw(product.numel()).view(product.shape), alpha=self.relative * product.std().item())

    def std(self, product: Tensor, parts: int) -> Tensor:
        """Of the noise in each output: (samples, outputs) -> (outputs,), the ranges as calibrated on ``product``."""
        samples, outputs = product.shape
        each = product.view(samples, parts, outputs // parts).permute(1, 0, 2).flatten(1).std(1)
        return (self.relative * each).repeat_interleave(outputs // parts)

    def draw(self, size: int) -> Tensor:
        """A stretch of the bank, from a random place: drawing afresh would cost more than the network itself."""
        bank = _bank()
        if size >= len(bank):
            bank = bank.repeat(size // len(bank) + 2)
        start = self.place(len(bank) - size)
        return bank[start : start + size]

    def place(self, most: int) -> int:
        """A random whole number from 0 to ``most`` - 1."""
        return int(self._places.randrange(most))  # type: ignore[attr-defined]


@cache
def _bank() -> Tensor:
    """2^22 standard normal numbers, the same in every process."""
    return torch.empty(1 << 22).normal_(generator=torch.Generator().manual_seed(0))


def effect(chip: Mapping[str, Any], seed: int) -> ConverterNoise | None:
    """What ``chip`` does to array products: converter noise on an analog array, nothing on a digital one."""
    if chip.get("array", "analog_sram") == "digital_sram" or "adc_bits" not in chip:
        return None
    return ConverterNoise(int(chip["adc_bits"]), seed)


#: The hardware genes that this module lets shape the accuracy.
GENES = ("adc_bits", "array")
