"""Elastic layers: each owns the weights of its largest form and runs any slice of them.

Every product that a CiM array would compute passes through ``Elastic.effect``, so that the non-idealities of a chip
(:mod:`cimbo.supernets.array_errors`) act on exactly the layers that live in the arrays and on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SubNetwork = Mapping[str, int]


class ArrayNonideality(Protocol):
    """What a chip's arrays do to the products of a network, where its layers are not deployed."""

    def operands(self, inputs: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (..., any shape) and weight (outputs, ...) as the array holds them, of few bits."""
        ...

    def product(self, product: Tensor, rows: int) -> Tensor:
        """A product before its bias, reduced over ``rows`` rows of an array, as the chip delivers it."""
        ...


class SuperNetwork(Protocol):
    """A torch module that runs any of its sub-networks."""

    def __call__(self, images: Tensor, subnet: SubNetwork) -> Tensor:
        """Logits (n, classes) of images (n, 1, h, w), as the sub-network ``subnet`` computes them."""
        ...


class Elastic(nn.Module):
    """A layer with array products; ``effect`` is what the chip does to them (None: nothing)."""

    effect: ArrayNonideality | None = None

    def convolved(self, x: Tensor, weight: Tensor, **geometry: int) -> Tensor:
        """The convolution of images ``x`` with ``weight`` as the chip delivers it, before a bias."""
        if self.effect is None:
            return F.conv2d(x, weight, **geometry)  # type: ignore[call-overload, unused-ignore]
        x, weight = self.effect.operands(x, weight)
        product = F.conv2d(x, weight, **geometry)  # type: ignore[call-overload, unused-ignore]
        return self.effect.product(product, weight[0].numel())


def set_effect(network: nn.Module, effect: ArrayNonideality | None) -> None:
    """Let every array product of ``network`` pass through ``effect`` from now on."""
    for module in network.modules():
        if isinstance(module, Elastic):
            module.effect = effect


class ElasticLinear(Elastic):
    """y = x W' + b with the leading ``outputs`` rows of W; the input's width selects the columns."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.trunc_normal_(self.weight, std=inputs**-0.5)

    def forward(self, x: Tensor, outputs: int) -> Tensor:
        rows = x.shape[-1]
        weight, bias = self.weight[:outputs, :rows], self.bias[:outputs]
        if self.effect is None:
            return F.linear(x, weight, bias)
        x, weight = self.effect.operands(x, weight)
        return self.effect.product(F.linear(x, weight), rows) + bias


class ElasticConv(Elastic):
    """A k x k convolution with elastic channels and no bias; depthwise when ``depthwise``.

    A smaller kernel is the centre of the largest one under a learned linear map (the kernel transformation of
    Once-for-All, arXiv 1908.09791, section 3.2).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, depthwise: bool = False
    ) -> None:
        super().__init__()
        self.stride, self.depthwise, self.kernel = stride, depthwise, kernel
        fan_in = kernel * kernel * (1 if depthwise else inputs)
        self.weight = nn.Parameter(
            torch.randn(outputs, 1 if depthwise else inputs, kernel, kernel) * (2 / fan_in) ** 0.5
        )
        self.shrink = nn.ParameterDict(
            {str(k): nn.Parameter(torch.eye(k * k)) for k in range(3, kernel, 2)}
        )

    def forward(self, x: Tensor, outputs: int, kernel: int | None = None) -> Tensor:
        weight = self.cut(x.shape[1], outputs, kernel)
        groups = outputs if self.depthwise else 1
        padding = weight.shape[-1] // 2
        return self.convolved(x, weight, stride=self.stride, padding=padding, groups=groups)

    def cut(self, inputs: int, outputs: int, kernel: int | None = None) -> Tensor:
        """The kernels (outputs, inputs or 1, kernel, kernel) that such a slice convolves with."""
        weight, kernel = (
            self.weight[:outputs, : 1 if self.depthwise else inputs],
            kernel or self.kernel,
        )
        if kernel == self.kernel:
            return weight
        margin = (self.kernel - kernel) // 2
        centre = weight[:, :, margin : margin + kernel, margin : margin + kernel]
        return (centre.flatten(2) @ self.shrink[str(kernel)]).view_as(centre)


class ElasticBatchNorm(nn.Module):
    """Batch norm over the leading channels. Its running statistics belong to one sub-network at a time.

    In training they are never used; :func:`cimbo.supernets.measurement.recalibrate` sets them for the sub-network to be
    measured from one batch of training images.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels), persistent=False)
        self.register_buffer("var", torch.ones(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        c = x.shape[1]
        return F.batch_norm(
            x,
            self.mean[:c],
            self.var[:c],
            self.weight[:c],
            self.bias[:c],
            training=self.training,
            momentum=1.0,
        )

    def fold(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise ``x`` (n, c, h, w), channels last, in place; factor and offset (channels,) that will do so from now on.

        As in torch, a batch is normalised by its own variance and others by the unbiased estimate. Sums are products with
        ones, which BLAS takes in one pass over a few images at a time.
        """
        c, parts = x.shape[1], x.permute(0, 2, 3, 1).flatten(0, 2).split(1 << 12)
        count = x.numel() // c
        mean = torch.cat([p.new_ones(1, len(p)) @ p for p in parts]).sum(0) / count
        squares = torch.cat([p.new_ones(1, len(p)) @ (p - mean).square_() for p in parts]).sum(0)
        weight, bias = self.weight[:c], self.bias[:c]
        now, later = (weight * (squares / n + 1e-5).rsqrt() for n in (count, count - 1))
        for p in parts:
            p.mul_(now).add_(bias - mean * now)
        return later, bias - mean * later


class ElasticLayerNorm(nn.Module):
    """Layer norm over the leading channels of the last dimension."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        c = int(x.shape[-1])  # a plain number also while an ONNX file is traced
        return F.layer_norm(x, (c,), self.weight[:c], self.bias[:c])
