"""Layers of the Once-for-All super-networks (Cai et al., arXiv 1908.09791).

Parameters have the names that they have in the published checkpoints. Every layer owns the weights of its largest form
and runs its leading channels. As in all super-networks here, products that a CiM array would compute pass through
:class:`cimbo.supernets.elastic.Elastic`, which can add the errors of arrays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.elastic import Elastic, ElasticLinear

Activation = Callable[[Tensor], Tensor]


def divisible(channels: float, by: int = 8) -> int:
    """Rounds channels to a multiple, never losing more than a tenth.

    Args:
        channels: How many there would be.
        by: The multiple; also the least result.

    Returns:
        The rounded number.
    """
    rounded = max(by, int(channels + by / 2) // by * by)
    if rounded < 0.9 * channels:
        return rounded + by
    return rounded


class Conv(Elastic):
    """A convolution without bias, whose kernels have several sizes.

    A smaller kernel is made of the next larger one: its centre is cut out and multiplied by a
    trained matrix. From 7 to 3 that is done twice, by way of 5.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        kernels: tuple[int, ...] = (),
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.kernel, self.depthwise = stride, kernel, depthwise
        self.weight = nn.Parameter(torch.empty(outputs, 1 if depthwise else inputs, kernel, kernel))
        self.steps = [(large, small) for small, large in itertools.pairwise(kernels)][::-1]
        for large, small in self.steps:
            self.register_parameter(
                f"{large}to{small}_matrix", nn.Parameter(torch.empty(small**2, small**2))
            )

    def forward(self, x: Tensor, outputs: int | None = None, kernel: int | None = None) -> Tensor:
        """Convolves images with a slice of the kernels.

        Args:
            x: Images, (n, c, h, w).
            outputs: How many leading output channels compute; all if None. A depthwise convolution
                ignores it and keeps the input's channels.
            kernel: Side of the kernel in pixels, one of ``kernels``; the largest one if None.

        Returns:
            (n, outputs, h / stride, w / stride), sizes rounded up.
        """
        if self.depthwise:
            outputs = x.shape[1]
        else:
            outputs = outputs or len(self.weight)
        weight = self.cut(x.shape[1], outputs, kernel)
        groups = outputs if self.depthwise else 1
        padding = weight.shape[-1] // 2
        return self.convolved(x, weight, stride=self.stride, padding=padding, groups=groups)

    def cut(self, inputs: int, outputs: int, kernel: int | None = None) -> Tensor:
        """Cuts out the kernels that a slice of this layer convolves with.

        Args:
            inputs: Input channels of the slice; a depthwise convolution ignores them.
            outputs: Output channels of the slice.
            kernel: Side of the kernel in pixels, one of ``kernels``; the largest one if None.

        Returns:
            Kernels, (outputs, inputs or 1, kernel, kernel).
        """
        weight = self.weight[:outputs, : 1 if self.depthwise else inputs]
        for large, small in self.steps:
            if large <= (kernel or self.kernel):
                break
            margin = (large - small) // 2
            centre = weight[:, :, margin : margin + small, margin : margin + small]
            matrix = self.get_parameter(f"{large}to{small}_matrix")
            weight = F.linear(centre.flatten(2), matrix).view_as(centre)
        return weight


class BatchNorm(nn.Module):
    """Batch norm over the leading channels.

    Its statistics are those of the checkpoint until ``settle`` replaces them by those of a
    sub-network's own images.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Empty: a checkpoint fills them.
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.register_buffer("running_mean", torch.empty(channels))
        self.register_buffer("running_var", torch.empty(channels))
        # None: normalise by the running statistics. A list: normalise by each batch's own, and
        # collect (pixels, mean, mean square) of it here until `settle`.
        self.found: list[tuple[int, Tensor, Tensor]] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalises images by the kept statistics, or by their own while ``found`` collects those.

        Args:
            x: Images, (n, c, h, w).

        Returns:
            Normalised images of the same shape.
        """
        c = x.shape[1]
        if self.found is None:
            return F.batch_norm(
                x, self.running_mean[:c], self.running_var[:c], self.weight[:c], self.bias[:c]
            )
        self.found.append((x.numel() // c, x.mean((0, 2, 3)), x.square().mean((0, 2, 3))))
        return F.batch_norm(x, None, None, self.weight[:c], self.bias[:c], training=True)

    def settle(self) -> None:
        """Set the running statistics to those of all batches that were collected.

        The norm of a layer that a sub-network leaves out has seen no batch and keeps its statistics.
        """
        batches, self.found = self.found, None
        if not batches:
            return
        pixels = torch.tensor([n for n, _, _ in batches], dtype=torch.float64)
        fraction = (pixels / pixels.sum()).float()[:, None]  # of all pixels, in each batch
        mean = (fraction * torch.stack([mean for _, mean, _ in batches])).sum(0)
        mean_square = (fraction * torch.stack([square for _, _, square in batches])).sum(0)
        active = len(mean)
        self.running_mean[:active] = mean
        # Rounding may make the difference slightly negative.
        self.running_var[:active] = (mean_square - mean.square()).clamp_min(0)


class ConvNorm(nn.Module):
    """Convolution, batch norm and an activation."""

    def __init__(self, conv: Conv, activation: Activation | None = None) -> None:
        super().__init__()
        self.conv, self.bn, self.activation = conv, BatchNorm(len(conv.weight)), activation

    def forward(self, x: Tensor, outputs: int | None = None, kernel: int | None = None) -> Tensor:
        """Convolves, normalises and activates a slice of the channels.

        Args:
            x: Images, (n, c, h, w).
            outputs: As :meth:`Conv.forward` has it.
            kernel: As :meth:`Conv.forward` has it.

        Returns:
            (n, outputs, h / stride, w / stride), sizes rounded up.
        """
        x = self.bn(self.conv(x, outputs, kernel))
        if self.activation is None:
            return x
        return self.activation(x)


class SqueezeExcite(nn.Module):
    """Squeeze and excite: scales each channel by a factor computed from the means of all channels.

    The two layers that compute it have a quarter of the channels between them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Module()
        self.fc.reduce = _Pointwise(channels, divisible(channels // 4))
        self.fc.expand = _Pointwise(divisible(channels // 4), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Scales each channel by a factor computed from the means of all channels.

        Args:
            x: (n, channels, h, w).

        Returns:
            Scaled channels of the same shape.
        """
        channels = x.shape[1]
        hidden = F.relu(self.fc.reduce(x.mean((2, 3)), divisible(channels // 4)))  # type: ignore[operator]
        return x * F.hardsigmoid(self.fc.expand(hidden, channels))[:, :, None, None]  # type: ignore[operator]


class _Pointwise(ElasticLinear):
    """A linear layer whose weights the checkpoint keeps as those of a 1 x 1 convolution."""

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        name = f"{prefix}weight"
        if name in state:
            state[name] = state[name].flatten(1)
        super()._load_from_state_dict(state, prefix, *rest)


class Classifier(nn.Module):
    """The last linear layer, on however many features come in."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = ElasticLinear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Computes logits of features.

        Args:
            x: Features, (n, features); their number selects the weights.

        Returns:
            Logits, (n, classes).
        """
        result: Tensor = self.linear(x, len(self.linear.bias))
        return result
