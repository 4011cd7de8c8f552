"""The equivalent-noise form of a layer: its own product, and errors drawn from those of a calibration sample.

What the bit-accurate form does to a layer is measured on a sample of its calibration inputs and split as Bussgang's theorem
splits a distortion: a gain and an offset for each output, what is linear in the inputs (:mod:`cimbo.supernets.linear_errors`),
and the errors that are left. The layer itself then is one product and one addition of errors drawn from those of the sample,
all outputs of a position together: so they keep their rare large values, which a normal distribution of the same variance
would not have, and what outputs err by in common.

What a convolution is off by at the positions of one image is alike, most in the first layers (flat backgrounds) and in late
depthwise ones, so that pooling averages out less of it than of white noise. There the error is a sum of two: one drawn for
each image, one for each position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cimbo.supernets.die import Product
from cimbo.supernets.linear_errors import linear_errors

# A variation below this share of a product's energy is rounding of float arithmetic
ROUNDING_ENERGY = 1e-10


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

    Returns:
        (groups, 1, outputs) slopes; 0 where there is none.
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
