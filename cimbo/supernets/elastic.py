"""Elastic layers: each owns the weights of its largest form and runs any slice of them.

Every product that a CiM array would compute passes through ``Elastic.effect``, so that the non-idealities of a chip
(:mod:`cimbo.supernets.array_errors`) act on exactly the layers that live in the arrays and on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SubNetwork = Mapping[str, int]


class ArrayNonideality(Protocol):
    """What a chip's arrays do to the products of a network, where its layers are not deployed."""

    def operands(self, inputs: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Gives the operands of a product as the array holds them, of few bits.

        Args:
            inputs: Activations that the layer reads, (..., any shape).
            weight: The layer's weights, (outputs, ...).

        Returns:
            Inputs and weight of the same shapes.
        """
        ...

    def product(self, product: Tensor, rows: int) -> Tensor:
        """Gives a product as the chip delivers it.

        Args:
            product: The product of the operands before the layer's bias is added, of any shape.
            rows: Rows of an array over which one output is summed.

        Returns:
            The product with the chip's errors, of the same shape.
        """
        ...


class SuperNetwork(Protocol):
    """A torch module that runs any of its sub-networks."""

    def __call__(self, images: Tensor, subnet: SubNetwork) -> Tensor:
        """Computes the logits of images as one sub-network does.

        Args:
            images: Normalised images, (n, channels, h, w); grey ones have one channel.
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes).
        """
        ...


class Elastic(nn.Module):
    """A layer with array products; ``effect`` is what the chip does to them (None: nothing)."""

    effect: ArrayNonideality | None = None

    def convolved(self, x: Tensor, weight: Tensor, **geometry: int) -> Tensor:
        """Convolves images as the chip delivers it, before a bias.

        Args:
            x: Images, (n, c, h, w).
            weight: Kernels, (outputs, c / groups, kernel, kernel).
            **geometry: ``stride``, ``padding`` and ``groups``, as ``torch.nn.functional.conv2d``
                takes them.

        Returns:
            The convolution, (n, outputs, h', w'), with the errors of ``effect`` where there is one.
        """
        if self.effect is None:
            result: Tensor = F.conv2d(x, weight, **geometry)  # type: ignore[call-overload, unused-ignore]
            return result
        x, weight = self.effect.operands(x, weight)
        product = F.conv2d(x, weight, **geometry)  # type: ignore[call-overload, unused-ignore]
        return self.effect.product(product, weight[0].numel())


def set_effect(network: nn.Module, effect: ArrayNonideality | None) -> None:
    """Lets every array product of a network pass through one effect from now on.

    Args:
        network: Module whose :class:`Elastic` layers are set, in place.
        effect: What the chip does to their products; None: nothing.
    """
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
        """Multiplies inputs with a slice of the weights and adds the bias.

        Args:
            x: Inputs, (..., rows); their width selects the columns of W.
            outputs: How many leading rows of W compute.

        Returns:
            (..., outputs), with the errors of ``effect`` where there is one.
        """
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
        """Convolves images with a slice of the kernels.

        Args:
            x: Images, (n, c, h, w); their channels select the input channels.
            outputs: How many leading output channels compute; those of ``x`` for a depthwise one.
            kernel: Side of the kernel in pixels, odd; the largest one if None.

        Returns:
            (n, outputs, h', w'), padded by half a kernel, so that a stride of 1 keeps the size.
        """
        weight = self.cut(x.shape[1], outputs, kernel)
        groups = outputs if self.depthwise else 1
        padding = weight.shape[-1] // 2
        return self.convolved(x, weight, stride=self.stride, padding=padding, groups=groups)

    def cut(self, inputs: int, outputs: int, kernel: int | None = None) -> Tensor:
        """Cuts out the kernels that a slice of this layer convolves with.

        Args:
            inputs: Input channels of the slice; a depthwise convolution ignores them.
            outputs: Output channels of the slice.
            kernel: Side of the kernel in pixels, odd; the largest one if None.

        Returns:
            Kernels, (outputs, inputs or 1, kernel, kernel); a smaller kernel is the centre of the
            largest one under its learned map.
        """
        weight, kernel = (
            self.weight[:outputs, : 1 if self.depthwise else inputs],
            kernel or self.kernel,
        )
        if kernel == self.kernel:
            return weight
        margin = (self.kernel - kernel) // 2
        centre = weight[:, :, margin : margin + kernel, margin : margin + kernel]
        result: Tensor = (centre.flatten(2) @ self.shrink[str(kernel)]).view_as(centre)
        return result


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
        """Normalises images by their own statistics in training, else by the kept ones.

        In training the kept statistics become those of this batch (a momentum of 1).

        Args:
            x: Images, (n, c, h, w).

        Returns:
            Normalised images of the same shape.
        """
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
        """Normalises a batch in place and says what will normalise later ones.

        As in torch, a batch is normalised by its own variance and others by the unbiased estimate.
        Sums are products with ones, which BLAS takes in one pass over a few images at a time.

        Args:
            x: Images, (n, c, h, w), channels last in memory; changed in place.

        Returns:
            Factor and offset, (c,) each, to apply to the layer's results from now on.
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
        """Normalises the last dimension.

        Args:
            x: Values, (..., c).

        Returns:
            Normalised values of the same shape.
        """
        c = int(x.shape[-1])  # a plain number also while an ONNX file is traced
        return F.layer_norm(x, (c,), self.weight[:c], self.bias[:c])


def stacked(rows: int, outputs: int, layers: Sequence[ElasticLinear]) -> tuple[Tensor, Tensor]:
    """Cuts out layers that read the same inputs, as one layer.

    Args:
        rows: Inputs of each layer.
        outputs: Outputs of each layer.
        layers: The elastic layers.

    Returns:
        Weights (layers * outputs, rows) and biases (layers * outputs,), one layer's after another's.
    """
    weight = torch.cat([layer.weight[:outputs, :rows] for layer in layers])
    return weight, torch.cat([layer.bias[:outputs] for layer in layers])
