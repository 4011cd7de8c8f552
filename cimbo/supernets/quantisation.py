"""Operands of few bits: weights rounded per output channel, activations per tensor.

Both are uniform. Weights are symmetric and use all their range, the largest magnitude of each output channel. Activations
are clipped where the mean squared error of a sample is least, for a few
large ones would otherwise set a step that is too coarse for all others (Banner et al., "Post training 4-bit quantization
of convolutional networks", NeurIPS 2019, chooses the clip by the same criterion).

In training, rounding passes gradients straight through (Bengio et al., arXiv 1308.3432): the forward pass sees the
rounded value, the backward pass the identity, with no gradient for what was clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FULL_PRECISION_BITS = 16  # operands of so many bits and more are left as they are
# Clips that are tried, as fractions of the largest magnitude
CLIP_FRACTIONS = tuple(k / 20 for k in range(4, 21))
N_RANGE_SAMPLES = 4096  # activations by which a clip is chosen
# The values of largest magnitude are always in a sample: drawn at random it would miss them
N_EXTREMES = 64
EXTREMES_BLOCK = 64  # values side by side, of which only the two ends count as extremes


@dataclass(frozen=True)
class InputRange:
    """How activations of one tensor become whole numbers, ``value = scale * (whole - zero_point)``.

    Attributes:
        scale: value of one step, in the activations' own unit.
        zero_point: the whole number that stands for zero.
        low: smallest whole number.
        high: largest whole number.
        bits: of a whole number's magnitude.
    """

    scale: float
    zero_point: int
    low: int
    high: int
    bits: int

    def whole(self, values: Tensor) -> Tensor:
        """Turns values into the whole numbers of this range, clipped to it.

        Args:
            values: Activations of any shape.

        Returns:
            Whole numbers as floats, of the same shape.
        """
        return (values / self.scale).round_().add_(self.zero_point).clamp_(self.low, self.high)

    def quantise(self, values: Tensor) -> Tensor:
        """Rounds values to the nearest ones of this range.

        Args:
            values: Activations of any shape.

        Returns:
            Rounded activations of the same shape.
        """
        return self.whole(values).sub_(self.zero_point).mul_(self.scale)


def input_range(
    values: Tensor, bits: int, *, signed: bool = False, sign_apart: bool = False
) -> InputRange:
    """Chooses the range of least mean squared error on a sample of ``values``.

    Args:
        values: activations of any shape; an evenly spaced sample of 4,096 decides.
        bits: bits of an activation, its sign included where there is one.
        signed: whether whole numbers are symmetric about zero. Else a zero point shifts the values to whole numbers from
            0 on.
        sign_apart: whether the sign of signed numbers is carried by itself, so that only magnitudes have bits; where no
            value is negative, no bit is spent on a sign.

    Returns:
        The range.
    """
    flat = values.detach().reshape(-1)
    sample = flat[:: max(1, len(flat) // N_RANGE_SAMPLES)]
    extremes = _extremes(flat)
    lowest, highest = (float(v) for v in torch.aminmax(extremes.among))
    lowest, highest = min(lowest, 0.0), max(highest, 1e-30)
    if signed:
        largest = max(-lowest, highest)
        lowest, highest = (0.0 if sign_apart and lowest == 0 else -largest), largest
    ranges = []
    for fraction in CLIP_FRACTIONS:
        ranges.append(_range(fraction * lowest, fraction * highest, bits, (signed, sign_apart)))
    # The sample stands for all values, except for the few largest, which a clip would change:
    # a sample hardly contains any of them, so they are counted themselves.
    weight = len(flat) / len(sample)
    errors = weight * _squared_errors(ranges, sample) + _squared_errors(ranges, extremes.largest)
    return ranges[int(errors.argmin())]


@dataclass(frozen=True)
class _Extremes:
    """The extreme values of a tensor.

    Attributes:
        largest: The N_EXTREMES values of the largest magnitude among those that were looked at, (n,).
        among: The values that were looked at; the least and the greatest of all values are among them.
    """

    largest: Tensor
    among: Tensor


def _extremes(flat: Tensor) -> _Extremes:
    """Find the extremes of values (n,); of many values only the ends of blocks are looked at, which is faster."""
    among = looked_at = flat
    if len(flat) > N_EXTREMES * EXTREMES_BLOCK:
        whole = len(flat) // EXTREMES_BLOCK * EXTREMES_BLOCK
        blocks = flat[:whole].view(-1, EXTREMES_BLOCK)
        looked_at = torch.cat([blocks.amin(1), blocks.amax(1)])  # aminmax takes 7 times as long
        among = torch.cat([looked_at, flat[whole:]])
    count = min(N_EXTREMES, len(looked_at))
    return _Extremes(looked_at[looked_at.abs().topk(count).indices], among)


def _squared_errors(ranges: Sequence[InputRange], values: Tensor) -> Tensor:
    """Sum of squared rounding errors of values (n,) in each of several ranges, (ranges,).

    The ranges may differ only in scale and zero point.

    Returns:
        Sums, (ranges,).
    """
    values = values.float()  # of half precision, sums would be coarse
    scale = values.new_tensor([each.scale for each in ranges])[:, None]
    zero_point = values.new_tensor([each.zero_point for each in ranges])[:, None]
    whole = (values / scale).round_().add_(zero_point).clamp_(ranges[0].low, ranges[0].high)
    return whole.sub_(zero_point).mul_(scale).sub_(values).square_().sum(1)


def _range(lowest: float, highest: float, bits: int, kind: tuple[bool, bool]) -> InputRange:
    """Divide the values from ``lowest`` to ``highest`` into the steps that ``bits`` allow.

    Signed values have as many steps to either side of zero. Where the sign is kept apart, steps are counted from zero, and the
    magnitude has one bit less; else they are shifted so that none is negative. Values that are not signed are shifted likewise.

    Args:
        lowest: The least value.
        highest: The greatest value; of signed ones the greatest magnitude.
        bits: Of a value, its sign included.
        kind: Whether values are signed, and whether their sign is kept apart.

    Returns:
        The range.
    """
    signed, sign_apart = kind
    if signed and lowest < 0:
        steps = max(1, 2 ** (bits - 1) - 1)
        if sign_apart:
            return InputRange(highest / steps, 0, -steps, steps, max(1, bits - 1))
        zero = 2 ** (bits - 1)
        return InputRange(highest / steps, zero, zero - steps, zero + steps, bits)
    steps = 2**bits - 1
    scale = (highest - lowest) / steps
    return InputRange(scale, round(-lowest / scale), 0, steps, bits)


def quantise_weight(weight: Tensor, bits: int) -> Tensor:
    """Rounds a weight to ``bits`` per output channel.

    Args:
        weight: (outputs, ...) weights, the first dimension being the output channel.
        bits: bits of a weight, its sign included.

    Returns:
        Weights of the same shape; each output channel has 2^(bits-1) - 1 steps to either side of zero. With one bit they
        are plus or minus the channel's mean magnitude (Rastegari et al., arXiv 1603.05279).
    """
    if bits >= FULL_PRECISION_BITS:
        return weight
    flat = weight.flatten(1)
    if bits == 1:
        scale = flat.abs().mean(1, keepdim=True)
        return torch.where(flat < 0, -scale, scale).view_as(weight)
    steps = 2 ** (bits - 1) - 1
    scale = flat.abs().amax(1, keepdim=True).clamp_min(1e-30) / steps
    result: Tensor = (flat / scale).round().mul(scale).view_as(weight)
    return result


def straight_through_weight(weight: Tensor, bits: int) -> Tensor:
    """Rounds weights for training: rounded forwards, the identity backwards.

    Args:
        weight: (outputs, ...) weights.
        bits: Of a weight, its sign included.

    Returns:
        The values of :func:`quantise_weight`, whose gradient passes straight through.
    """
    if bits >= FULL_PRECISION_BITS:
        return weight
    return weight + (quantise_weight(weight, bits) - weight).detach()


def straight_through_activation(values: Tensor, bits: int) -> Tensor:
    """Rounds activations for training; the gradient passes through as if they had not been.

    Args:
        values: Activations of any shape, whose own range is used.
        bits: Of an activation.

    Returns:
        Rounded activations of the same shape, without a gradient for what was clipped.
    """
    if bits >= FULL_PRECISION_BITS:
        return values
    own_range = input_range(values, bits)
    low = (own_range.low - own_range.zero_point) * own_range.scale
    high = (own_range.high - own_range.zero_point) * own_range.scale
    clipped = values.clamp(low, high)
    return clipped + (own_range.quantise(clipped.detach()) - clipped).detach()
