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

    def __call__(self, product: Tensor, rows: int) -> Tensor:
        relative = CLIP / (math.sqrt(3.0) * 2.0**self.adc_bits)
        scale = relative * product.std().item()
        # Without gradients nobody else holds the product: in place, a third of the memory traffic is saved.
        add = product.add if torch.is_grad_enabled() else product.add_
        return add(self._noise(product), alpha=scale)

    def _noise(self, product: Tensor) -> Tensor:
        """A stretch of the bank, from a random place: drawing afresh would cost more than the network itself."""
        size, bank = product.numel(), _bank()
        if size >= len(bank):
            bank = bank.repeat(size // len(bank) + 2)
        start = self._places.randrange(len(bank) - size)  # type: ignore[attr-defined]
        stretch = bank[start : start + size]
        if product.ndim == 4 and product.is_contiguous(memory_format=torch.channels_last):
            n, c, h, w = product.shape
            return stretch.view(n, h, w, c).permute(0, 3, 1, 2)
        return stretch.view(product.shape)


@cache
def _bank() -> Tensor:
    """2^24 standard normal numbers, the same in every process."""
    return torch.empty(1 << 24).normal_(generator=torch.Generator().manual_seed(0))


def effect(chip: Mapping[str, Any], seed: int) -> ConverterNoise | None:
    """What ``chip`` does to array products: converter noise on an analog array, nothing on a digital one."""
    if chip.get("array", "analog_sram") == "digital_sram" or "adc_bits" not in chip:
        return None
    return ConverterNoise(int(chip["adc_bits"]), seed)


#: The hardware genes that this module lets shape the accuracy.
GENES = ("adc_bits", "array")
