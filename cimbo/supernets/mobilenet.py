"""Elastic MobileNetV3-like network for small images: resolution, depth, kernel and expansion.

Genes as in the network family ``fmnist-mobilenet``: ``resolution``, ``depth_s``, ``kernel_s_b``, ``expand_s_b`` for
stages s and blocks b, both from 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.deployment import ArrayConv, ArrayLinear, Classifier, Deployed
from cimbo.supernets.die import Die, at_stage
from cimbo.supernets.elastic import ElasticBatchNorm, ElasticConv, ElasticLinear, SubNetwork

STEM_CHANNELS = 8  # a 3x3 patch of a grey image has nine values: eight channels keep nearly all
WIDTHS, STRIDES, DEPTH = (16, 32, 64), (2, 2, 1), 3
EXCITED_STAGES = (False, False, True)  # which stages have squeeze-excite
KERNEL, EXPAND = 5, 4
FEATURE_CHANNELS = 128


def squeezed(channels: int) -> int:
    """Counts the hidden channels of squeeze-excite.

    Args:
        channels: Channels that are scaled.

    Returns:
        A quarter of them, rounded to a multiple of 8, at least 8.
    """
    return max(8, int(channels / 4 + 4) // 8 * 8)


def _relu(x: Tensor) -> Tensor:
    """ReLU, in place except in training, whose gradients need the input."""
    return F.relu(x, inplace=not torch.is_grad_enabled())


def _hardswish(x: Tensor) -> Tensor:
    """Hard swish, in place except in training, whose gradients need the input."""
    return F.hardswish(x, inplace=not torch.is_grad_enabled())


class _SqueezeExcite(nn.Module):
    """Squeeze and excite: scales each channel by a factor computed from the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce, self.expand = (
            ElasticLinear(channels, squeezed(channels)),
            ElasticLinear(squeezed(channels), channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel by a factor computed from the means of all channels.

        Args:
            x: (n, channels, h, w).

        Returns:
            Scaled channels of the same shape.
        """
        channels = x.shape[1]
        hidden = F.relu(self.reduce(x.mean((2, 3)), squeezed(channels)))
        return x * F.hardsigmoid(self.expand(hidden, channels))[:, :, None, None]


class _Block(nn.Module):
    """Inverted bottleneck with elastic kernel and expansion."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        *,
        excite: bool,
        act: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        most = inputs * EXPAND
        self.outputs, self.act = outputs, act
        self.expand, self.norm1 = ElasticConv(inputs, most, 1), ElasticBatchNorm(most)
        self.depthwise = ElasticConv(most, most, KERNEL, stride=stride, depthwise=True)
        self.norm2 = ElasticBatchNorm(most)
        self.excite = _SqueezeExcite(most) if excite else None
        self.project, self.norm3 = ElasticConv(most, outputs, 1), ElasticBatchNorm(outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor, kernel: int, expand: int) -> Tensor:
        """Runs the block with a kernel and an expansion.

        Args:
            x: (n, inputs, h, w).
            kernel: Side of the depthwise kernel in pixels.
            expand: Hidden channels for each input channel.

        Returns:
            (n, outputs, h', w'); added to ``x`` where the shapes are the same.
        """
        middle = x.shape[1] * expand
        h = self.act(self.norm1(self.expand(x, middle)))
        h = self.act(self.norm2(self.depthwise(h, middle, kernel)))
        if self.excite is not None:
            h = self.excite(h)
        h = self.norm3(self.project(h, self.outputs))
        result: Tensor = x + h if self.residual else h
        return result


class ElasticMobileNet(nn.Module):
    """The super-network: images (n, 1, 28, 28), resized to ``resolution`` inside -> logits (n, classes)."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem, self.stem_norm = (
            ElasticConv(1, STEM_CHANNELS, 3),
            ElasticBatchNorm(STEM_CHANNELS),
        )
        self.stages = nn.ModuleList()
        inputs = STEM_CHANNELS
        for width, stride, excite in zip(WIDTHS, STRIDES, EXCITED_STAGES, strict=True):
            act = _hardswish if self.stages else _relu
            self.stages.append(
                nn.ModuleList(
                    _Block(
                        width if b else inputs, width, 1 if b else stride, excite=excite, act=act
                    )
                    for b in range(DEPTH)
                )
            )
            inputs = width
        self.features, self.features_norm = (
            ElasticConv(inputs, FEATURE_CHANNELS, 1),
            ElasticBatchNorm(FEATURE_CHANNELS),
        )
        self.head = ElasticLinear(FEATURE_CHANNELS, classes)
        self.classes = classes

    def forward(self, images: Tensor, subnet: SubNetwork) -> Tensor:
        """Computes the logits of images as one sub-network does.

        Args:
            images: Normalised images, (n, 1, 28, 28).
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes).
        """
        x = _resize(images, subnet["resolution"]).contiguous(memory_format=torch.channels_last)
        x = _hardswish(self.stem_norm(self.stem(x, STEM_CHANNELS)))
        for s, stage in enumerate(self.stages, 1):
            assert isinstance(stage, nn.ModuleList)
            for b in range(1, subnet[f"depth_{s}"] + 1):
                x = stage[b - 1](x, subnet[f"kernel_{s}_{b}"], subnet[f"expand_{s}_{b}"])
        x = _hardswish(self.features_norm(self.features(x, FEATURE_CHANNELS)))
        result: Tensor = self.head(x.mean((2, 3)), self.classes)
        return result

    def deploy(self, subnet: SubNetwork, die: Die | None = None) -> Deployed:
        """Hands out a sub-network as a chip holds it (:mod:`cimbo.supernets.deployment`).

        The first images that it sees calibrate it.

        Args:
            subnet: Genes of the sub-network.
            die: The chip that computes it; None: without error.

        Returns:
            A function from images (n, 1, 28, 28) to logits (n, classes).
        """
        return _DeployedMobileNet(self, subnet, die)


class _DeployedBlock:
    """A deployed inverted bottleneck, with a kernel and an expansion."""

    def __init__(
        self, block: _Block, inputs: int, kernel: int, expand: int, die: Die | None
    ) -> None:
        middle = inputs * expand
        self.act, self.residual = block.act, block.residual
        self.expand = ArrayConv(block.expand.cut(inputs, middle), block.norm1, die)
        self.depthwise = ArrayConv(
            block.depthwise.cut(middle, middle, kernel),
            block.norm2,
            die,
            stride=block.depthwise.stride,
            padding=kernel // 2,
            groups=middle,
        )
        self.project = ArrayConv(block.project.cut(middle, block.outputs), block.norm3, die)
        self.excite = None
        if block.excite is not None:
            reduce, expand_, hidden = block.excite.reduce, block.excite.expand, squeezed(middle)
            self.excite = (
                ArrayLinear(reduce.weight[:hidden, :middle], reduce.bias[:hidden], die),
                ArrayLinear(expand_.weight[:middle, :hidden], expand_.bias[:middle], die),
            )

    def __call__(self, x: Tensor) -> Tensor:
        """Run the block on images (n, inputs, h, w), (n, outputs, h', w')."""
        h = self.act(self.depthwise(self.act(self.expand(x))))
        if self.excite is not None:
            reduce, expand = self.excite
            h.mul_(F.hardsigmoid(expand(F.relu(reduce(h.mean((2, 3))))))[:, :, None, None])
        h = self.project(h)
        return h.add_(x) if self.residual else h


class _DeployedMobileNet(Classifier):
    """A deployed sub-network of `ElasticMobileNet`."""

    def __init__(self, network: ElasticMobileNet, subnet: SubNetwork, die: Die | None) -> None:
        self.resolution = subnet["resolution"]
        self.stem = ArrayConv(network.stem.cut(1, STEM_CHANNELS), network.stem_norm, die, padding=1)
        self.blocks, inputs = [], STEM_CHANNELS
        for s, stage in enumerate(network.stages, 1):
            stage_die = at_stage(die, subnet, s)
            for b, block in enumerate(stage[: subnet[f"depth_{s}"]], 1):  # type: ignore[index]
                kernel, expand = subnet[f"kernel_{s}_{b}"], subnet[f"expand_{s}_{b}"]
                self.blocks.append(_DeployedBlock(block, inputs, kernel, expand, stage_die))
                inputs = block.outputs
        self.last = ArrayConv(
            network.features.cut(inputs, FEATURE_CHANNELS), network.features_norm, die
        )
        super().__init__(network.head.weight, network.head.bias, die)

    def features(self, images: Tensor) -> Tensor:
        """Computes the mean of the last feature maps of each image, (n, FEATURE_CHANNELS)."""
        x = _resize(images, self.resolution).contiguous(memory_format=torch.channels_last)
        x = _hardswish(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return _hardswish(self.last(x)).mean((2, 3))


def _resize(images: Tensor, size: int) -> Tensor:
    """Resize images (n, c, h, w) to squares of ``size`` pixels, unless they are."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(
        images, size=(size, size), mode="bilinear", antialias=True, align_corners=False
    )
