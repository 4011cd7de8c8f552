"""Deployed sub-networks: weights cut out once and written into a die's cells, batch norm folded, converters calibrated.

The elastic modules are made for training. A measurement runs one sub-network on thousands of images, and the same function
in this form takes less than half of the time: the slices are contiguous, query, key and value are one product, batch norm
costs nothing, the batches stay in the cache. The first images that a deployed network sees calibrate it: they set the
statistics of its batch norms and the ranges of its converters, which then stay as they are.

Without a die the layers compute plain products. On a die they compute in the equivalent-noise form of
:mod:`cimbo.supernets.array_errors`, or where the die says so in the exact one, batch norm's statistics included. The last
layer always computes in the exact one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from cimbo.supernets.die import N_ERROR_INPUTS, Die, Rounding
from cimbo.supernets.elastic import ElasticBatchNorm
from cimbo.supernets.equivalent_noise import EquivalentNoise, equivalent_noise, unchanged
from cimbo.supernets.whole_products import WholeProduct

Deployed = Callable[[Tensor], Tensor]
N_SPARE_NUMBERS = 1 << 17  # numbers drawn beyond those of one batch, so that batches differ
IMAGES_AT_ONCE = 16  # images whose errors are drawn or computed at a time


class Deployable(Protocol):
    """A super-network that can hand out its sub-networks in this form."""

    def deploy(self, subnet: Mapping[str, int], die: Die | None = None) -> Deployed:
        """Hands out a sub-network, not calibrated yet: the first images that it sees calibrate it.

        Args:
            subnet: Genes of the sub-network.
            die: The chip that computes it; None: without error.

        Returns:
            A function from images (n, channels, h, w) to logits (n, classes).
        """
        ...


class _Offsets:
    """What is added to the products of a layer: its bias plus the noise of its die, drawn beforehand.

    Drawing new noise for each batch would take longer than the network itself, and adding bias and noise one by one a third
    of its time. So many rows are drawn once, and each batch gets a stretch of them from a random place.
    """

    def __init__(self, noise: EquivalentNoise, die: Die) -> None:
        self.noise, self.die = noise, die
        self.drawn = noise.offset[None]  # (count, outputs)
        self.outputs, self.count = len(noise.offset), 1

    def __call__(self, samples: int, positions: int = 1) -> Tensor:
        """Take the offsets of some samples, each of so many positions, (samples * positions, outputs)."""
        # Drawn once for the largest batch, with spare rows, so that each batch can begin elsewhere.
        spare = N_SPARE_NUMBERS // (self.outputs * positions) + 1
        if self.count < (samples + spare) * positions:
            self.drawn = self._draw(samples + spare, positions)
            self.count = len(self.drawn)
        start = self.die.place(self.count // positions - samples) * positions
        return self.drawn.narrow(0, start, samples * positions)

    def _draw(self, samples: int, positions: int) -> Tensor:
        """Draw an error for each position and one for each sample, and add the bias; shape as of `__call__`."""
        noise = self.noise
        chosen = self.die.numbers(len(noise.errors), samples * positions)
        drawn = noise.errors[chosen].add_(noise.offset)
        if noise.common is not None:
            common = noise.common[self.die.numbers(len(noise.common), samples)]
            drawn.view(samples, positions, self.outputs).add_(common.unsqueeze(1))
        return drawn


class ArrayLinear:
    """A deployed linear layer, y = x W' + b for inputs x (samples, rows).

    Args:
        weight: W, (outputs, rows).
        bias: b, (outputs,).
        die: The chip that computes it; None: without error.
        parts: Layers of equal size that read the same inputs and are computed as one, such as query, key and value.
        error_inputs: Inputs on which its errors are measured, over all dies together.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        die: Die | None = None,
        parts: int = 1,
        *,
        error_inputs: int = N_ERROR_INPUTS,
    ) -> None:
        self.bias, self.die, self.parts = bias, die, parts
        self.error_inputs = error_inputs
        self.offsets: _Offsets | None = None
        self.range: Rounding | None = None
        self.whole: WholeProduct | None = None
        if die is not None:
            self.product = die.product(weight.view(parts, -1, weight.shape[-1]), common=False)
            weight = self.product.weight.flatten(0, 1)
        self.weight = weight.t().contiguous()

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the layer for ``x`` (samples, rows) as its arrays do, (samples, outputs)."""
        if self.die is None:
            return torch.addmm(self.bias, x, self.weight)
        if self.die.is_digital:
            return self._digital(self.die, x)
        if self.offsets is None:
            self.offsets = self._calibrate(self.die, x)
        if self.die.exact:
            return self.product(self._inputs(x)).transpose(0, 1).flatten(1) + self.bias
        return torch.addmm(self.offsets(len(x)), x, self.weight)

    def _digital(self, die: Die, x: Tensor) -> Tensor:
        """Compute the layer on digital arrays; the first inputs set the range to which all are rounded."""
        if self.range is None:
            self.product.calibrate(self._inputs(x))
            self.range = self.product.range
            self.whole = die.whole_product(self.weight.t(), self.bias, self.range)
        if self.whole is not None:
            return self.whole(x)
        return torch.addmm(self.bias, self.range.quantise(x), self.weight)

    def _calibrate(self, die: Die, x: Tensor) -> _Offsets:
        """Set the converters by inputs ``x`` (samples, rows), and measure the errors of the arrays on them.

        Gain and slope of the errors go into the weights; the rest is added to each product.

        Returns:
            What is added to each product.
        """
        self.product.calibrate(self._inputs(x[die.sample(len(x))]), x)
        if die.exact:
            return _Offsets(unchanged(self.bias), die)
        some = x[die.error_sample(len(x), self.error_inputs)]
        noise = equivalent_noise(self.product, self._inputs(some))
        del self.product  # free it now: its cells take many times the memory of the weights
        self.weight = self.weight * noise.gain
        if noise.slope is not None:
            self.weight += noise.slope.flatten(0, 1).t()
        return _Offsets(noise.scaled(torch.ones_like(self.bias), self.bias), die)

    def _inputs(self, x: Tensor) -> Tensor:
        """The inputs (samples, rows) for each part, (parts, samples, rows)."""
        return x.expand(self.parts, -1, -1)


class Classifier(ABC):
    """A deployed network whose last layer reads one vector an image.

    Attributes:
        head: The last layer. On analog arrays it is always computed in the bit-accurate form: its errors are added to the
            logits themselves, where nothing averages them out, and they grow with the logits, which errors drawn from a
            sample do not. With one vector an image this costs little.
        head_sees_all: Whether the head is to read the vectors of all images at once, which saves time where it is
            computed in another form than the other layers.
    """

    def __init__(self, weight: Tensor, bias: Tensor, die: Die | None) -> None:
        self.head_sees_all = die is not None and not (die.is_digital or die.exact)
        self.head = ArrayLinear(weight, bias, None if die is None else die.bit_accurate())

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Computes what the last layer reads.

        Args:
            images: Normalised images, (n, channels, h, w).

        Returns:
            (n, rows of the head).
        """

    def __call__(self, images: Tensor) -> Tensor:
        """Computes the logits of images (n, channels, h, w), (n, classes)."""
        return self.head(self.features(images))


class ArrayConv:
    """A deployed convolution on images (n, c, h, w) in channels-last order, with batch norm or a bias behind it.

    Errors that the positions of an image share matter where positions are later summed and pooled, as in networks with batch
    norm: there they are drawn by themselves. A convolution with a bias makes the tokens of a transformer, which keeps
    positions apart: there all errors are drawn independently.

    Args:
        weight: Kernels, (outputs, c / groups, kernel, kernel).
        after: The batch norm behind it, or its bias (outputs,).
        die: The chip that computes it; None: without error.
        **geometry: ``stride``, ``padding`` and ``groups`` as ``torch.nn.functional.conv2d`` takes them.
    """

    def __init__(
        self,
        weight: Tensor,
        after: ElasticBatchNorm | Tensor,
        die: Die | None = None,
        **geometry: int,
    ) -> None:
        self.die, self.geometry = die, geometry
        self.norm = None
        if isinstance(after, ElasticBatchNorm):
            self.norm = after
        if isinstance(after, Tensor):
            self.bias = after
        else:
            self.bias = weight.new_zeros(len(weight))
        self.factor = torch.ones_like(self.bias)
        if die is not None:
            groups = geometry.get("groups", 1)
            self.product = die.product(
                weight.reshape(groups, len(weight) // groups, -1), common=True
            )
            weight = self.product.weight.view_as(weight)
        # Copied, as strides of 1x1 kernels are ambiguous otherwise and convolutions would turn the images around.
        self.weight = torch.empty_like(weight, memory_format=torch.channels_last).copy_(weight)
        self.offsets: _Offsets | None = None
        self.range: Rounding | None = None
        self.ready = (die is None or die.is_digital) and self.norm is None

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve images ``x`` (n, c, h, w) as the arrays do, (n, outputs, h', w')."""
        if self.die is not None and self.die.is_digital:
            x = self._rounded(x)
        if not self.ready:
            return self._calibrate(x)
        if self.offsets is None:
            return self._convolve(x, self.bias)
        return self._delivered(x)

    def _delivered(self, x: Tensor) -> Tensor:
        """The convolution with the errors of analog arrays, in the form that the die asks for."""
        if self.offsets is None:
            return self._convolve(x)
        if self.offsets.die.exact:
            results = torch.cat([self._exact(some) for some in x.split(IMAGES_AT_ONCE)])
            return results.contiguous(memory_format=torch.channels_last)
        return self._offset(self._convolve(x), self.offsets)

    def _convolve(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """The plain convolution with the present weights."""
        return F.conv2d(x, self.weight, bias, **self.geometry)

    def _rounded(self, x: Tensor) -> Tensor:
        """Round inputs to the bits of the array; the first ones set the range."""
        if self.range is None:
            self.product.calibrate(x.permute(0, 2, 3, 1))
            self.range = self.product.range
        return self.range.quantise(x)

    def _calibrate(self, x: Tensor) -> Tensor:
        """Measure the errors of the arrays on images ``x``, and fold batch norm into weights and offsets.

        Returns:
            The convolution of ``x``.
        """
        noise = None
        if self.die is not None and not self.die.is_digital:
            noise = self._measured(x, self.die)
            self.weight = self.weight * noise.gain[:, None, None, None]
            if noise.slope is not None:
                self.weight += noise.slope.view_as(self.weight)
            self.offsets = _Offsets(noise.scaled(self.factor, self.bias), self.die)
        y = self._delivered(x)
        if self.norm is not None:
            self.factor, self.bias = self.norm.fold(y)
            self.weight = self.weight * self.factor[:, None, None, None]
            if self.die is not None and noise is not None:
                self.offsets = _Offsets(noise.scaled(self.factor, self.bias), self.die)
        self.ready = True
        return y

    def _offset(self, y: Tensor, offsets: _Offsets) -> Tensor:
        """Add bias and errors to a convolution ``y`` (n, c, h, w), in place."""
        # A calibration has many images; they need not all have errors of their own.
        for some in y.split(IMAGES_AT_ONCE) if len(y) > IMAGES_AT_ONCE else (y,):
            n, c, h, w = some.shape
            if self.norm is None:
                drawn = offsets(n * h * w)
            else:
                drawn = offsets(n, h * w)
            some.add_(drawn.view(n, h, w, c).permute(0, 3, 1, 2))
        return y

    def _exact(self, x: Tensor) -> Tensor:
        """The convolution of images ``x`` in the bit-accurate form, with batch norm or bias."""
        y = self.product(self._inputs(x)).permute(1, 0, 2).reshape(len(x), *self._positions(x), -1)
        return torch.addcmul(self.bias, y, self.factor).permute(0, 3, 1, 2)

    def _positions(self, x: Tensor) -> tuple[int, int]:
        """Height and width of the convolution of images ``x``."""
        stride, padding = self.geometry.get("stride", 1), self.geometry.get("padding", 0)
        kernel = self.weight.shape[-1]
        h, w = ((size + 2 * padding - kernel) // stride + 1 for size in x.shape[2:])
        return h, w

    def _measured(self, x: Tensor, die: Die) -> EquivalentNoise:
        """Set the converters' ranges by images ``x``, and measure the errors of the arrays on them."""
        n, (h, w) = len(x), self._positions(x)
        inputs_at = partial(self._windows_at, x)
        sample = inputs_at(die.sample(n * h * w))
        # In the order in which images lie in memory, they are several times as fast to look through.
        self.product.calibrate(sample, x.permute(0, 2, 3, 1))
        if die.exact:
            return unchanged(self.bias)
        if self.norm is None:
            return equivalent_noise(self.product, inputs_at(die.error_sample(n * h * w)))
        numbers, each = die.sample_by_image(n, h * w)
        return equivalent_noise(self.product, inputs_at(numbers), each)

    def _windows_at(self, x: Tensor, at: Tensor) -> Tensor:
        """Cut out the windows of some output positions, as the word lines get them.

        Args:
            x: Images, (n, c, h, w).
            at: Numbers of the positions, (samples,), counted over all images, row by row.

        Returns:
            (groups, samples, rows).
        """
        (h, w), kernel = self._positions(x), self.weight.shape[-1]
        start = -self.geometry.get("padding", 0)
        around = torch.arange(start, start + kernel)
        stride = self.geometry.get("stride", 1)
        image, line, column = at // (h * w), at // w % h * stride, at % w * stride
        lines, columns = line[:, None] + around, column[:, None] + around
        windows = x.permute(0, 2, 3, 1)[
            image[:, None, None],
            lines.clamp(0, x.shape[2] - 1)[:, :, None],
            columns.clamp(0, x.shape[3] - 1)[:, None, :],
        ]  # (samples, kernel, kernel, channels)
        if start:  # padding is zero
            inside = ((lines >= 0) & (lines < x.shape[2]))[:, :, None]
            inside = inside & ((columns >= 0) & (columns < x.shape[3]))[:, None, :]
            windows = windows * inside[..., None]
        groups = self.geometry.get("groups", 1)
        rows = windows.permute(0, 3, 1, 2).reshape(len(at), groups, -1)
        return rows.transpose(0, 1).contiguous()

    def _inputs(self, x: Tensor) -> Tensor:
        """All windows of images ``x``, as the word lines get them, (groups, n * positions, rows)."""
        groups = self.geometry.get("groups", 1)
        # (n, c, h, w, k, k) -> (groups, n, h, w, c / groups, k, k)
        windows = self._windows(x).unflatten(1, (groups, -1)).permute(1, 0, 3, 4, 2, 5, 6)
        result: Tensor = windows.reshape(groups, -1, windows[0, 0, 0, 0].numel())
        return result

    def _windows(self, x: Tensor) -> Tensor:
        """What the kernel sees, (n, c, h, w, kernel, kernel), as a view where there is no padding."""
        kernel, stride = self.weight.shape[-1], self.geometry.get("stride", 1)
        padding = self.geometry.get("padding", 0)
        images = F.pad(x, [padding] * 4) if padding else x
        return images.unfold(2, kernel, stride).unfold(3, kernel, stride)
