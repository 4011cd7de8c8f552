"""A sub-network as a chip holds it: weights cut out once, batch norm folded into them, converter noise of a fixed size.

The elastic modules are made for training. A measurement runs one sub-network on thousands of images, and the same function
in this form takes less than half of the time: the slices are contiguous, query, key and value are one product, batch norm
costs nothing, the batches stay in the cache. The first images that a deployed network sees calibrate it: they set the
statistics of its batch norms and the ranges of its converters, which then stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from cimbo.supernets.elastic import ElasticBatchNorm

Deployed = Callable[[Tensor], Tensor]


class Noise(Protocol):
    """What the chip adds to the products of its arrays."""

    def std(self, product: Tensor, parts: int) -> Tensor:
        """Standard deviation (outputs,) of what is added to ``product`` (samples, outputs), as calibrated on it.

        ``parts``: the outputs belong to so many equal layers, each with a range of its own.
        """
        ...

    def draw(self, size: int) -> Tensor:
        """``size`` standard normal numbers."""
        ...

    def place(self, most: int) -> int:
        """A random whole number from 0 to ``most`` - 1."""
        ...


class Deployable(Protocol):
    """A super-network that can hand out its sub-networks in this form."""

    def deploy(self, subnet: Mapping[str, int], noise: Noise | None = None) -> Deployed:
        """``subnet`` on a chip with ``noise``; not calibrated yet."""
        ...


class _Offsets:
    """What is added to the products of a layer: its bias and the chip's noise, drawn beforehand.

    Drawing afresh would cost more than the network itself; a pass over the product per summand would cost a third of it.
    """

    def __init__(self, bias: Tensor, std: Tensor, noise: Noise) -> None:
        self.bias, self.std, self.noise = bias, std, noise
        self.drawn = bias[None]

    def __call__(self, samples: int) -> Tensor:
        """(samples, outputs): a stretch of the drawn rows from a random place."""
        spare = SPARE // len(self.bias) + 1
        if len(self.drawn) < samples + spare:
            drawn = self._draw(samples + spare)
            if len(drawn) * len(self.bias) > 8 * SPARE:  # the many images of a calibration come but once
                return drawn[:samples]
            self.drawn = drawn
        start = self.noise.place(len(self.drawn) - samples)
        return self.drawn[start : start + samples]

    def _draw(self, samples: int) -> Tensor:
        drawn = self.noise.draw(samples * len(self.bias)).view(samples, -1)
        return torch.addcmul(self.bias, drawn, self.std)


SPARE = 1 << 17  # numbers drawn beyond those of one batch, so that batches differ


class ArrayLinear:
    """y = x W' + b for x (samples, rows), W (outputs, rows); ``parts``: see :meth:`Noise.std`."""

    def __init__(self, weight: Tensor, bias: Tensor, noise: Noise | None = None, parts: int = 1) -> None:
        self.weight, self.bias, self.noise, self.parts = weight.t().contiguous(), bias, noise, parts
        self.offsets: _Offsets | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if self.noise is None:
            return torch.addmm(self.bias, x, self.weight)
        if self.offsets is None:
            self.offsets = _Offsets(self.bias, self.noise.std(x @ self.weight, self.parts), self.noise)
        return torch.addmm(self.offsets(len(x)), x, self.weight)


class ArrayConv:
    """A convolution on images (n, c, h, w) in channels-last order with ``norm`` after it, or with ``bias``."""

    def __init__(
        self, weight: Tensor, after: ElasticBatchNorm | Tensor, noise: Noise | None = None, **geometry: int
    ) -> None:
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.noise, self.geometry = noise, geometry
        self.norm = after if isinstance(after, ElasticBatchNorm) else None
        self.bias = after if isinstance(after, Tensor) else weight.new_zeros(len(weight))
        self.offsets: _Offsets | None = None
        self.ready = noise is None and self.norm is None

    def __call__(self, x: Tensor) -> Tensor:
        if not self.ready:
            return self._calibrate(x)
        y = F.conv2d(x, self.weight, None if self.offsets else self.bias, **self.geometry)  # type: ignore[arg-type]
        return self._offset(y) if self.offsets else y

    def _calibrate(self, x: Tensor) -> Tensor:
        y, std = F.conv2d(x, self.weight, **self.geometry), None  # type: ignore[call-overload]
        if self.noise is not None:
            std = self.noise.std(_samples(y), 1)
            self.offsets = _Offsets(self.bias, std, self.noise)
            y = self._offset(y)
        if self.norm is not None:
            y, factor, self.bias = self.norm.fold(y)
            self.weight = self.weight * factor[:, None, None, None]
            if self.noise is not None and std is not None:
                self.offsets = _Offsets(self.bias, std * factor, self.noise)
        self.ready = True
        return y

    def _offset(self, y: Tensor) -> Tensor:
        assert self.offsets is not None
        n, c, h, w = y.shape
        return y.add_(self.offsets(n * h * w).view(n, h, w, c).permute(0, 3, 1, 2))


def _samples(images: Tensor) -> Tensor:
    """(n, c, h, w) as (n * h * w, c)."""
    return images.permute(0, 2, 3, 1).flatten(0, 2)


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention of (n, tokens, size) each; exact where no score exceeds 80, which is where ``exp`` would overflow.

    The sums that the softmax divides by come out of the second product, as one more column of ``value``.
    """
    scores = torch.bmm(query.mul_(query.shape[-1] ** -0.5), key.transpose(1, 2)).clamp_(max=80.0).exp_()
    summed = torch.bmm(scores, F.pad(value, (0, 1), value=1.0))
    return summed[..., :-1].div_(summed[..., -1:])


def gelu(x: Tensor) -> Tensor:
    """GELU in its tanh form, several times as fast on a CPU as F.gelu is."""
    inner = torch.addcmul(x, x * x, x, value=0.044715).mul_(0.7978845608028654).tanh_()  # sqrt(2 / pi)
    return torch.addcmul(x, x, inner).mul_(0.5)
