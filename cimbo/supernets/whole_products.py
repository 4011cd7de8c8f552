"""Layers on digital arrays in whole numbers of eight bits, as the chip itself adds them.

A digital array multiplies whole numbers and sums them without error. Floating point does the same but for its last digits,
and takes four to nine times as long where a processor multiplies eight-bit numbers (VNNI, AMX).
"""

from __future__ import annotations

import torch
from torch import Tensor

from cimbo.supernets.quantisation import InputRange

MOST_WHOLE_BITS = 8
SIGNED_HIGHEST = 127  # of a signed number of eight bits; the lowest is one less than its negative


def fit_whole_products(weight_bits: int, act_bits: int) -> bool:
    """Tells whether operands are whole numbers that eight bits hold; weights of one bit are signs.

    Args:
        weight_bits: Bits of a weight.
        act_bits: Bits of an activation.

    Returns:
        Whether `WholeProduct` can compute them.
    """
    return 1 < weight_bits <= MOST_WHOLE_BITS and act_bits <= MOST_WHOLE_BITS


class WholeProduct:
    """y = x W' + b for x (samples, rows), computed as sums of whole numbers that are scaled at the end."""

    def __init__(
        self, weight: Tensor, bias: Tensor, inputs: InputRange, *, weight_bits: int
    ) -> None:
        """Turns rounded weights into whole numbers.

        Args:
            weight: Weights as the array holds them, rounded per output, (outputs, rows).
            bias: (outputs,).
            inputs: How activations are rounded.
            weight_bits: Bits that the weights were rounded to.
        """
        steps = 2 ** (weight_bits - 1) - 1
        step = weight.abs().amax(1, keepdim=True).clamp_min(1e-30) / steps
        whole = (weight / step).round_()
        # Numbers from 0 to 255 are shifted to those that a signed number of eight bits holds
        self.shift = SIGNED_HIGHEST + 1 if inputs.high > SIGNED_HIGHEST else 0
        self.inputs = inputs
        self.weight = whole.to(torch.int8).t().contiguous()
        self.factor = step[:, 0] * inputs.scale
        self.offset = bias + self.factor * (self.shift - inputs.zero_point) * whole.sum(1)

    def __call__(self, x: Tensor) -> Tensor:
        """Computes the layer for ``x`` (samples, rows), (samples, outputs)."""
        whole = self.inputs.whole(x).sub_(self.shift).to(torch.int8)
        sums = torch._int_mm(whole, self.weight).to(x.dtype)
        return torch.addcmul(self.offset, sums, self.factor)
