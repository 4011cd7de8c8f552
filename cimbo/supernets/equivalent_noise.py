"""The equivalent-noise form of a layer: its own product, plus errors drawn from those of a calibration sample.

The errors of the bit-accurate form are measured on a sample of the layer's calibration inputs and split as Bussgang's theorem
splits a distortion: a gain and an offset for each output, a part that is linear in the inputs
(:mod:`cimbo.supernets.linear_errors`), and the errors that are left. The layer then is one product and one addition of errors
that are drawn from those of the sample, those of all outputs of a position together. So they keep their rare large values,
which a normal distribution of the same variance would not have, and their correlation between outputs.

The errors of a convolution at the positions of one image are alike, most in the first layers (flat backgrounds) and in late
depthwise ones, so that pooling averages out less of them than of white noise. There the error is a sum of two: one drawn for
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
        gain: Factor of the layer's own product, (outputs,).
        offset: Constant added to each output, (outputs,).
        errors: Other errors of each sample, of mean zero, (samples, outputs); one is drawn for every position.
        common: Errors that all positions of an image share, of mean zero, (images, outputs); one is drawn for every image.
            None: there are none.
        slope: The part of the errors that is linear in the inputs, as weights, (groups, outputs, rows); None where it is
            negligible.
    """

    gain: Tensor
    offset: Tensor
    errors: Tensor
    common: Tensor | None = None
    slope: Tensor | None = None

    def scaled(self, factor: Tensor, bias: Tensor) -> EquivalentNoise:
        """Make the noise of the layer with a factor and a bias behind it.

        Gain and slope stay, because they have been put into the weights by then.

        Args:
            factor: What each output is multiplied by, (outputs,).
            bias: What is added to each output after that, (outputs,).

        Returns:
            The noise of ``factor`` * y + ``bias``.
        """
        common = None if self.common is None else self.common * factor
        return replace(
            self,
            offset=self.offset * factor + bias,
            errors=self.errors * factor,
            common=common,
        )


def equivalent_noise(product: Product, inputs: Tensor, each: int = 1) -> EquivalentNoise:
    """Measure the errors of a layer on arrays, compared with the plain product of its weights.

    Each output has a gain of its own: where a few strong outputs set the range, weak ones are lost
    in the first step. The errors that the positions of an image share are separated from the others
    by a one-way analysis of variance with random effects.

    Args:
        product: The layer as an array holds it, calibrated.
        inputs: A sample of its inputs, (groups, samples, rows).
        each: Consecutive samples that are positions of one image; 1: all are independent.

    Returns:
        Gain, offset, errors, and a slope where it pays; errors common to an image only where
        ``each`` is above 1 and there are several images.
    """
    plain, delivered = torch.bmm(inputs, product.weight.transpose(1, 2)), product(inputs)
    centred, centred_delivered = (y - y.mean(1, keepdim=True) for y in (plain, delivered))
    gain = _gain(centred_delivered, centred, plain)
    left = delivered - gain * plain
    mean = left.mean(1)
    left = left - mean.unsqueeze(1)
    linear = linear_errors(inputs, left, each)
    slope = None
    if linear is not None:
        slope, left = linear.slope, linear.left
        mean = mean - (slope @ inputs.mean(1).unsqueeze(-1)).squeeze(-1)
    noise = EquivalentNoise(gain.flatten(), mean.flatten(), _by_sample(left), slope=slope)
    if each == 1 or left.shape[1] <= each:
        return noise
    # Analysis of variance: means of images vary more than by chance (within / each) if positions
    # share an error. Means are shrunk so that they have that surplus as variance, and deviations
    # from them are enlarged to an unbiased variance.
    images = left.unflatten(1, (-1, each))
    within, between = images.var(2).mean(1), images.mean(2).var(1)
    shrinkage = ((between - within / each) / between.clamp_min(1e-30)).clamp_min(0).sqrt()
    own = (images - images.mean(2, keepdim=True)) * math.sqrt(each / (each - 1))
    shared = images.mean(2) * shrinkage.unsqueeze(1)
    return replace(noise, errors=_by_sample(own.flatten(1, 2)), common=_by_sample(shared))


def _gain(delivered: Tensor, centred: Tensor, plain: Tensor) -> Tensor:
    """Slope of the delivered over the plain product, by least squares.

    An output that is the same for all inputs has none: what it delivers is an offset.

    Args:
        delivered: What arrays deliver, less its mean, (groups, samples, outputs).
        centred: The plain product less its mean.
        plain: The plain product.

    Returns:
        Slopes, (groups, 1, outputs); 0 where there is none.
    """
    energy = centred.square().sum(1, keepdim=True)
    varies = energy > ROUNDING_ENERGY * plain.square().sum(1, keepdim=True)
    slope = (delivered * centred).sum(1, keepdim=True) / energy.clamp_min(1e-30)
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
    """Values (groups, samples, outputs) less their mean over samples, as (samples, groups * outputs)."""
    return (values - values.mean(1, keepdim=True)).transpose(0, 1).flatten(1)
