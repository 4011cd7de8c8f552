"""Once-for-All ResNet-50-D on ImageNet. Genes as in the network family ``ofa-resnet50``."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.ofa import Classifier, Conv, ConvNorm, divisible

STEM_CHANNELS = 64
# Of each stage: channels, least number of blocks, stride
STAGE_SHAPES = ((256, 2, 1), (512, 2, 2), (1024, 4, 2), (2048, 2, 2))
N_OPTIONAL_BLOCKS = 2  # further blocks of each stage
LARGEST_EXPAND = 0.35


def _hidden(outputs: int, expand: float) -> int:
    """Hidden channels of a bottleneck with so many output channels."""
    return divisible(round(outputs * expand))


class _Shortcut(ConvNorm):
    """The shortcut of a stage's first block: averages pixels, then projects channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(Conv(inputs, outputs))
        self.stride = stride

    def forward(self, x: Tensor, outputs: int | None = None, kernel: int | None = None) -> Tensor:
        """Averages blocks of ``stride`` times ``stride`` pixels, then projects.

        Args:
            x: (n, c, h, w).
            outputs: How many leading output channels compute; all if None.
            kernel: Ignored: the projection's kernel is one pixel.

        Returns:
            (n, outputs, h / stride, w / stride), sizes rounded up.
        """
        return super().forward(F.avg_pool2d(x, self.stride, self.stride, ceil_mode=True), outputs)


class _Bottleneck(nn.Module):
    """Bottleneck with elastic width and expansion."""

    def __init__(self, channels: tuple[int, int], stride: int, *, first: bool) -> None:
        super().__init__()
        inputs, outputs = channels
        most = _hidden(outputs, LARGEST_EXPAND)
        self.conv1 = ConvNorm(Conv(inputs, most), F.relu)
        self.conv2 = ConvNorm(Conv(most, most, 3, stride=stride), F.relu)
        self.conv3 = ConvNorm(Conv(most, outputs))
        # The first block of a stage always has a projection, because its inputs and
        # outputs can have different widths.
        self.downsample = None
        if first:
            self.downsample = _Shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor, outputs: int, expand: float) -> Tensor:
        """Runs the block with a width and an expansion.

        Args:
            x: (n, c, h, w).
            outputs: Output channels.
            expand: Hidden channels over output channels.

        Returns:
            (n, outputs, h / stride, w / stride), sizes rounded up.
        """
        hidden = _hidden(outputs, expand)
        if self.downsample is None:
            shortcut = x
        else:
            shortcut = self.downsample(x, outputs)
        return F.relu(self.conv3(self.conv2(self.conv1(x, hidden), hidden), outputs) + shortcut)


class OfaResNet(nn.Module):
    """The super-network: images (n, 3, 224, 224) -> logits (n, classes)."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        middle = divisible(STEM_CHANNELS // 2)
        stem = (
            Conv(3, middle, 3, stride=2),
            Conv(middle, middle, 3),
            Conv(middle, STEM_CHANNELS, 3),
        )
        self.input_stem = nn.ModuleList(ConvNorm(conv, F.relu) for conv in stem)
        self.blocks = nn.ModuleList()
        inputs = STEM_CHANNELS
        for outputs, base, stride in STAGE_SHAPES:
            for block in range(base + N_OPTIONAL_BLOCKS):
                self.blocks.append(
                    _Bottleneck((inputs, outputs), 1 if block else stride, first=block == 0)
                )
                inputs = outputs
        self.classifier = Classifier(inputs, classes)

    def forward(self, images: Tensor, subnet: Mapping[str, float]) -> Tensor:
        """Computes the logits of images as one sub-network does.

        Args:
            images: Normalised images, (n, 3, h, w); 224 x 224 is the usual size.
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes).
        """
        middle = divisible(divisible(STEM_CHANNELS * subnet["width_stem_mid"]) // 2)
        x = self.input_stem[0](images, middle)
        if subnet["depth_stem"]:
            x = x + self.input_stem[1](x, middle)
        x = F.max_pool2d(
            self.input_stem[2](x, divisible(STEM_CHANNELS * subnet["width_stem_out"])), 3, 2, 1
        )
        start = 0
        for stage, (channels, base, _) in enumerate(STAGE_SHAPES, 1):
            outputs = divisible(channels * subnet[f"width_{stage}"])
            for block in range(base + int(subnet[f"depth_{stage}"])):
                x = self.blocks[start + block](x, outputs, subnet[f"expand_{stage}_{block + 1}"])
            start += base + N_OPTIONAL_BLOCKS
        result: Tensor = self.classifier(x.mean((2, 3)))
        return result
