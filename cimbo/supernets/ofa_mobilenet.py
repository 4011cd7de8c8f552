"""Once-for-All MobileNetV3 on ImageNet, width 1.0 or 1.2. Genes as in the network families ``ofa-mobilenetv3``."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.elastic import SubNetwork
from cimbo.supernets.ofa import Classifier, Conv, ConvNorm, SqueezeExcite, divisible

KERNELS, EXPAND, DEPTH = (3, 5, 7), 6, 4
WIDTHS, STRIDES = (24, 40, 80, 112, 160), (2, 2, 2, 1, 2)
STAGE_ACTIVATIONS = (F.relu, F.relu, F.hardswish, F.hardswish, F.hardswish)
SQUEEZED_STAGES = (False, True, False, True, True)


class _DepthConv(ConvNorm):
    """Depthwise convolution with an optional squeeze-excite behind it."""

    def __init__(self, conv: Conv, activation: Callable[..., Tensor], *, squeeze: bool) -> None:
        super().__init__(conv, activation)
        self.se = None
        if squeeze:
            self.se = SqueezeExcite(len(conv.weight))

    def forward(self, x: Tensor, outputs: int | None = None, kernel: int | None = None) -> Tensor:
        """Convolves each channel by itself, then squeezes and excites where the layer does.

        Args:
            x: Images, (n, c, h, w).
            outputs: Ignored: a depthwise convolution keeps the input's channels.
            kernel: Side of the kernel in pixels; the largest one if None.

        Returns:
            (n, c, h / stride, w / stride), sizes rounded up.
        """
        x = super().forward(x, outputs, kernel)
        return x if self.se is None else self.se(x)


class _Body(nn.Module):
    def __init__(
        self,
        channels: tuple[int, int],
        stride: int,
        activation: Callable[..., Tensor],
        *,
        squeeze: bool,
    ) -> None:
        super().__init__()
        inputs, outputs = channels
        most = divisible(inputs * EXPAND)
        self.inverted_bottleneck = ConvNorm(Conv(inputs, most), activation)
        depthwise = Conv(most, most, KERNELS[-1], stride=stride, kernels=KERNELS, depthwise=True)
        self.depth_conv = _DepthConv(depthwise, activation, squeeze=squeeze)
        self.point_linear = ConvNorm(Conv(most, outputs))

    def forward(self, x: Tensor, kernel: int, expand: int) -> Tensor:
        """Runs an inverted bottleneck with a kernel and an expansion.

        Args:
            x: (n, c, h, w).
            kernel: Side of the depthwise kernel in pixels.
            expand: Hidden channels for each input channel.

        Returns:
            (n, outputs, h / stride, w / stride), sizes rounded up.
        """
        x = self.inverted_bottleneck(x, divisible(x.shape[1] * expand))
        result: Tensor = self.point_linear(self.depth_conv(x, kernel=kernel))
        return result


class _Block(nn.Module):
    """An inverted bottleneck, added to its input where the shapes allow."""

    def __init__(self, body: nn.Module, *, residual: bool) -> None:
        super().__init__()
        self.conv, self.residual = body, residual

    def forward(self, x: Tensor, *genes: int) -> Tensor:
        """Runs the block's body and adds its input where the shapes allow.

        Args:
            x: (n, c, h, w).
            *genes: Kernel and expansion; none for the first block, which has neither.

        Returns:
            (n, outputs, h', w').
        """
        y = self.conv(x, *genes)
        result: Tensor = x + y if self.residual else y
        return result


class _First(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depth_conv = ConvNorm(Conv(inputs, inputs, 3, depthwise=True), F.relu)
        self.point_linear = ConvNorm(Conv(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Runs the first block, which has no genes.

        Args:
            x: (n, inputs, h, w).

        Returns:
            (n, outputs, h, w).
        """
        result: Tensor = self.point_linear(self.depth_conv(x))
        return result


class OfaMobileNet(nn.Module):
    """The super-network: images (n, 3, r, r) of resolution r -> logits (n, classes)."""

    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__()
        stem, first, *widths, final, last = (
            divisible(c * width) for c in (16, 16, *WIDTHS, 960, 1280)
        )
        self.first_conv = ConvNorm(Conv(3, stem, 3, stride=2), F.hardswish)
        self.blocks = nn.ModuleList([_Block(_First(stem, first), residual=stem == first)])
        inputs = first
        for outputs, stride, activation, squeeze in zip(
            widths, STRIDES, STAGE_ACTIVATIONS, SQUEEZED_STAGES, strict=True
        ):
            for block in range(DEPTH):
                step = 1 if block else stride
                body = _Body((inputs, outputs), step, activation, squeeze=squeeze)
                self.blocks.append(_Block(body, residual=step == 1 and inputs == outputs))
                inputs = outputs
        self.final_expand_layer = ConvNorm(Conv(inputs, final), F.hardswish)
        self.feature_mix_layer = nn.Module()
        self.feature_mix_layer.conv = Conv(final, last)
        self.classifier = Classifier(last, classes)

    def forward(self, images: Tensor, subnet: SubNetwork) -> Tensor:
        """Computes the logits of images as one sub-network does.

        Args:
            images: Normalised images, (n, 3, r, r) of the sub-network's resolution r.
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes).
        """
        x = self.blocks[0](self.first_conv(images))
        for stage in range(1, len(WIDTHS) + 1):
            for block in range(1, subnet[f"depth_{stage}"] + 1):
                layer = self.blocks[DEPTH * (stage - 1) + block]
                x = layer(x, subnet[f"kernel_{stage}_{block}"], subnet[f"expand_{stage}_{block}"])
        x = self.final_expand_layer(x).mean((2, 3), keepdim=True)
        result: Tensor = self.classifier(F.hardswish(self.feature_mix_layer.conv(x)).flatten(1))  # type: ignore[operator]
        return result
