"""Attention with operands of few bits: queries, keys, values and the weights of the softmax are rounded.

Both products read their operands from the buffer, where they have the bits of their block, whether arrays or the vector unit
compute them. The first inputs set the range of each operand, as in other layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cimbo.supernets.die import Die
from cimbo.supernets.quantisation import InputRange, input_range
from cimbo.supernets.transformer_functions import attention

UNROUNDED_BITS = 8
"""With so many bits or more, attention is not rounded: rounding it to 8 bits changes the accuracy of the largest shipped ViT
from 91.04 to 91.10 % on 5,000 images, and takes a fifth more time."""

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def attention_at(die: Die | None) -> Attention:
    """Pick the attention that is computed on a die; it never has errors of arrays.

    Arrays compute attention only where they add without error; elsewhere the digital unit does
    (`cimbo.hardware.array_description.holds_attention`, which the cost model uses, too).

    Args:
        die: The chip; None: without error.

    Returns:
        A function of query, key and value, (n, tokens, size) each; its operands are rounded where
        the die has fewer than UNROUNDED_BITS bits for activations.
    """
    if die is None or die.chip.array.act_bits >= UNROUNDED_BITS:
        return attention
    return RoundedAttention(die.chip.array.act_bits)


class RoundedAttention:
    """Softmax attention with operands rounded to ``bits``; the first call sets their ranges."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._ranges: dict[str, InputRange] = {}

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Compute attention with rounded operands, each (heads, tokens, head size)."""
        query, key = self._rounded("query", query), self._rounded("key", key)
        scores = torch.bmm(query.mul_(query.shape[-1] ** -0.5), key.transpose(1, 2))
        weights = self._rounded("weights", scores.softmax(-1))
        return torch.bmm(weights, self._rounded("value", value))

    def _rounded(self, operand: str, values: Tensor) -> Tensor:
        """Round an operand, whose range is set by its first values."""
        if operand not in self._ranges:
            self._ranges[operand] = input_range(values, self.bits)
        return self._ranges[operand].quantise(values)
