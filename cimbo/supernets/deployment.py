"""A sub-network as a chip holds it: weights cut out once and written into cells, batch norm folded, converters calibrated.

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
LOOKED_AT = 16  # images whose errors are drawn or computed at a time


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
    """What is added to the products of a layer: its bias and the noise of its die, drawn beforehand.

    Drawing afresh would cost more than the network itself; a pass over the product per summand would cost a third of it.
    """

    def __init__(self, found: EquivalentNoise, die: Die) -> None:
        self.found, self.die = found, die
        self.drawn = found.offset[None]
        self.outputs, self.count = len(found.offset), 1

    def __call__(self, samples: int, positions: int = 1) -> Tensor:
        """(samples * positions, outputs): a stretch of the drawn rows from a random place, ``positions`` of a sample."""
        spare = N_SPARE_NUMBERS // (self.outputs * positions) + 1
        if self.count < (samples + spare) * positions:
            self.drawn = self._draw(samples + spare, positions)
            self.count = len(self.drawn)
        start = self.die.place(self.count // positions - samples) * positions
        return self.drawn.narrow(0, start, samples * positions)

    def _draw(self, samples: int, positions: int) -> Tensor:
        found, outputs = self.found, len(self.found.offset)
        which = self.die.numbers(len(found.errors), samples * positions)
        drawn = found.errors[which].add_(found.offset)
        if found.common is not None:
            common = found.common[self.die.numbers(len(found.common), samples)]
            drawn.view(samples, positions, outputs).add_(common.unsqueeze(1))
        return drawn


class ArrayLinear:
    """y = x W' + b for x (samples, rows), W (outputs, rows): ``parts`` equal layers that read the same inputs.

    ``error_inputs``: inputs by which its errors are measured, over all dies together.
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
        """Computes the layer for ``x`` (vectors, rows) as its arrays do."""
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
        """The layer on arrays that add without error; the first inputs set how all are rounded."""
        if self.range is None:
            self.product.calibrate(self._inputs(x))
            self.range = self.product.range
            self.whole = die.whole_product(self.weight.t(), self.bias, self.range)
        if self.whole is not None:
            return self.whole(x)
        return torch.addmm(self.bias, self.range.quantise(x), self.weight)

    def _calibrate(self, die: Die, x: Tensor) -> _Offsets:
        self.product.calibrate(self._inputs(x[die.sample(len(x))]), x)
        if die.exact:
            return _Offsets(unchanged(self.bias), die)
        some = x[die.error_sample(len(x), self.error_inputs)]
        found = equivalent_noise(self.product, self._inputs(some))
        del self.product  # free it now: its cells take many times the memory of the weights
        self.weight = self.weight * found.gain
        if found.slope is not None:
            self.weight += found.slope.flatten(0, 1).t()
        return _Offsets(found.scaled(torch.ones_like(self.bias), self.bias), die)

    def _inputs(self, x: Tensor) -> Tensor:
        return x.expand(self.parts, -1, -1)


class Classifier(ABC):
    """A deployed network whose last layer reads one vector an image.

    Attributes:
        head: The last layer. On analog arrays it is always computed in the bit-accurate form: what it errs by is added
            to the logits themselves, where nothing averages it out, and it grows with the logits, which errors drawn
            from a sample do not. One vector an image costs little.
        head_sees_all: Whether the head is to read the vectors of all images at once, which saves time where it is
            computed in another form than the other layers are.
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
    """A convolution on images (n, c, h, w) in channels-last order with batch norm ``after`` it, or with a bias.

    One with a bias cuts an image into tokens, which a transformer tells apart: its noise is white. Behind batch norm
    positions go on to be summed and pooled, so there what those of an image share is drawn apart.
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
        """Convolves images ``x`` (n, channels, height, width) as the arrays do."""
        if self.die is not None and self.die.is_digital:
            x = self._rounded(x)
        if not self.ready:
            return self._calibrate(x)
        if self.offsets is None:
            return self._convolve(x, self.bias)
        return self._delivered(x)

    def _delivered(self, x: Tensor) -> Tensor:
        if self.offsets is None:
            return self._convolve(x)
        if self.offsets.die.exact:
            found = torch.cat([self._exact(some) for some in x.split(LOOKED_AT)])
            return found.contiguous(memory_format=torch.channels_last)
        return self._offset(self._convolve(x), self.offsets)

    def _convolve(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return F.conv2d(x, self.weight, bias, **self.geometry)

    def _rounded(self, x: Tensor) -> Tensor:
        """Inputs of few bits, whose range the first ones set; images keep their order in memory."""
        if self.range is None:
            self.product.calibrate(x.permute(0, 2, 3, 1))
            self.range = self.product.range
        return self.range.quantise(x)

    def _calibrate(self, x: Tensor) -> Tensor:
        found = None
        if self.die is not None and not self.die.is_digital:
            found = self._measured(x, self.die)
            self.weight = self.weight * found.gain[:, None, None, None]
            if found.slope is not None:
                self.weight += found.slope.view_as(self.weight)
            self.offsets = _Offsets(found.scaled(self.factor, self.bias), self.die)
        y = self._delivered(x)
        if self.norm is not None:
            self.factor, self.bias = self.norm.fold(y)
            self.weight = self.weight * self.factor[:, None, None, None]
            if self.die is not None and found is not None:
                self.offsets = _Offsets(found.scaled(self.factor, self.bias), self.die)
        self.ready = True
        return y

    def _offset(self, y: Tensor, offsets: _Offsets) -> Tensor:
        # A calibration has many images; they need not all have errors of their own.
        for some in y.split(LOOKED_AT) if len(y) > LOOKED_AT else (y,):
            n, c, h, w = some.shape
            if self.norm is None:
                drawn = offsets(n * h * w)
            else:
                drawn = offsets(n, h * w)
            some.add_(drawn.view(n, h, w, c).permute(0, 3, 1, 2))
        return y

    def _exact(self, x: Tensor) -> Tensor:
        y = self.product(self._inputs(x)).permute(1, 0, 2).reshape(len(x), *self._positions(x), -1)
        return torch.addcmul(self.bias, y, self.factor).permute(0, 3, 1, 2)

    def _positions(self, x: Tensor) -> tuple[int, int]:
        """Height and width of what is delivered for ``x``."""
        step, margin, kernel = (
            self.geometry.get("stride", 1),
            self.geometry.get("padding", 0),
            self.weight.shape[-1],
        )
        h, w = ((size + 2 * margin - kernel) // step + 1 for size in x.shape[2:])
        return h, w

    def _measured(self, x: Tensor, die: Die) -> EquivalentNoise:
        """What the arrays do to this layer, its converters' ranges set by ``x``."""
        n, (h, w) = len(x), self._positions(x)
        inputs = partial(self._windows_at, x)
        sample = inputs(die.sample(n * h * w))
        self.product.calibrate(
            sample, x.permute(0, 2, 3, 1)
        )  # as it lies in memory, several times as fast to look through
        if die.exact:
            return unchanged(self.bias)
        if self.norm is None:
            return equivalent_noise(self.product, inputs(die.error_sample(n * h * w)))
        at, each = die.sample_by_image(n, h * w)
        return equivalent_noise(self.product, inputs(at), each)

    def _windows_at(self, x: Tensor, at: Tensor) -> Tensor:
        """What the word lines get at positions ``at`` of all, numbered image by image: (groups, samples, rows)."""
        (h, w), kernel = self._positions(x), self.weight.shape[-1]
        start = -self.geometry.get("padding", 0)
        around = torch.arange(start, start + kernel)
        stride = self.geometry.get("stride", 1)
        image, line, column = at // (h * w), at // w % h * stride, at % w * stride
        lines, columns = line[:, None] + around, column[:, None] + around
        shown = x.permute(0, 2, 3, 1)[
            image[:, None, None],
            lines.clamp(0, x.shape[2] - 1)[:, :, None],
            columns.clamp(0, x.shape[3] - 1)[:, None, :],
        ]  # (samples, kernel, kernel, channels)
        if start:
            inside = ((lines >= 0) & (lines < x.shape[2]))[:, :, None]
            inside = inside & ((columns >= 0) & (columns < x.shape[3]))[:, None, :]
            shown = shown * inside[..., None]
        groups = self.geometry.get("groups", 1)
        rows = shown.permute(0, 3, 1, 2).reshape(len(at), groups, -1)
        return rows.transpose(0, 1).contiguous()

    def _inputs(self, x: Tensor) -> Tensor:
        """What the word lines get: (groups, n * positions, rows)."""
        groups = self.geometry.get("groups", 1)
        windows = self._windows(x).unflatten(1, (groups, -1)).permute(1, 0, 3, 4, 2, 5, 6)
        result: Tensor = windows.reshape(groups, -1, windows[0, 0, 0, 0].numel())
        return result

    def _windows(self, x: Tensor) -> Tensor:
        """What the kernel sees, (n, c, h, w, kernel, kernel), as a view where there is no padding."""
        kernel, stride = self.weight.shape[-1], self.geometry.get("stride", 1)
        padding = self.geometry.get("padding", 0)
        images = F.pad(x, [padding] * 4) if padding else x
        return images.unfold(2, kernel, stride).unfold(3, kernel, stride)


# Scores are limited to plus and minus this: a 32-bit float can hold its exponential
SAFE_SCORE = 80.0


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Computes softmax attention.

    The largest score of a row is subtracted only where ``exp`` could overflow or a whole row vanish, as on arrays whose
    errors drown a layer. The sums that the softmax divides by come out of the second product, as one more column of
    ``value``.

    Args:
        query: (n, tokens, size); scaled in place.
        key: (n, tokens, size).
        value: (n, tokens, size).

    Returns:
        (n, tokens, size).
    """
    scores = torch.bmm(query.mul_(query.shape[-1] ** -0.5), key.transpose(1, 2))
    least, most = torch.aminmax(scores)
    if most > SAFE_SCORE or least < -SAFE_SCORE:
        scores -= scores.amax(-1, keepdim=True)
    summed = torch.bmm(scores.exp_(), F.pad(value, (0, 1), value=1.0))
    return summed[..., :-1].div_(summed[..., -1:])


def gelu(x: Tensor) -> Tensor:
    """Computes GELU in its tanh form, several times as fast on a CPU as F.gelu is.

    Args:
        x: Values of any shape.

    Returns:
        A new tensor of the same shape.
    """
    inner = (
        torch.addcmul(x, x * x, x, value=0.044715).mul_(0.7978845608028654).tanh_()
    )  # sqrt(2 / pi)
    return torch.addcmul(x, x, inner).mul_(0.5)
