"""Elastic MobileNetV3: Once-for-All's on ImageNet (width 1.0 and 1.2), and a small one on Fashion-MNIST."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cimbo.problem.space import Choice
from cimbo.workloads.elastic import Family, block_choices, divisible
from cimbo.workloads.layers import Layer, Workload, conv, linear, vector_work


@dataclass(frozen=True)
class Stage:
    """A stage of inverted bottlenecks.

    Attributes:
        width: Channels that come out of each.
        stride: Stride of the first one; the others have 1.
        activation: Function of the vector unit, "relu" or "hswish".
        squeeze: Whether each has a squeeze-excite.
    """

    width: int
    stride: int
    activation: str
    squeeze: bool


@dataclass(frozen=True)
class Block:
    """One inverted bottleneck: 1 x 1 expansion, depthwise convolution, 1 x 1 projection.

    Attributes:
        size: Pixels on a side of the input.
        channels: Channels that go in and come out.
        kernel: Side of the depthwise convolution's window.
        expand: Channels within, as a multiple of those that go in; with 1 there is no expansion.
        stride: Stride of the depthwise convolution.
        activation: Function of the vector unit, "relu" or "hswish".
        squeeze: Whether there is a squeeze-excite after the depthwise convolution.
    """

    size: int
    channels: tuple[int, int]
    kernel: int
    expand: int
    stride: int
    activation: str
    squeeze: bool


@dataclass(frozen=True)
class MobileNet(Family):
    """A family of MobileNetV3: elastic resolution, depth of each stage, kernel and expansion of each block.

    Attributes:
        name: Name of the family.
        resolutions: Values of the gene ``resolution``: pixels on a side of the image.
        stages: The stages, in order.
        depths: Values of the gene ``depth_s``: blocks of stage s.
        kernels: Values of the gene ``kernel_s_b`` of block b.
        expands: Values of the gene ``expand_s_b``.
        stem: From the resolution to the layers before the stages.
        stem_stride: By which the stem divides the resolution.
        stem_width: Channels that come out of the stem.
        back: From pixels on a side and channels to the layers after the stages.
    """

    name: str
    resolutions: tuple[int, ...]
    stages: tuple[Stage, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]
    stem: Callable[[int], list[Layer]]
    stem_stride: int
    stem_width: int
    back: Callable[[int, int], list[Layer]]

    def choices(self) -> list[Choice]:
        """``resolution``, then for each stage ``depth_s`` and for each of its blocks ``kernel_s_b``, ``expand_s_b``."""
        genes = [Choice("resolution", list(self.resolutions))]
        for stage in range(1, len(self.stages) + 1):
            depth = Choice(f"depth_{stage}", list(self.depths))
            genes.append(depth)
            for block in range(1, max(self.depths) + 1):
                values = {
                    f"kernel_{stage}_{block}": self.kernels,
                    f"expand_{stage}_{block}": self.expands,
                }
                genes += block_choices(depth, block, values)
        return genes

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Make the layers of one sub-network.

        Args:
            subnet: Each active gene to its value.

        Returns:
            The layers in the order in which they run.

        Raises:
            BadInput: On a missing active gene or a value outside its list.
        """
        gene = self.reader(subnet)
        layers = self.stem(gene("resolution"))
        size = -(-gene("resolution") // self.stem_stride)
        width = self.stem_width
        for number, stage in enumerate(self.stages, 1):
            for block_number in range(1, gene(f"depth_{number}") + 1):
                block = Block(
                    size,
                    channels=(width, stage.width),
                    kernel=gene(f"kernel_{number}_{block_number}"),
                    expand=gene(f"expand_{number}_{block_number}"),
                    stride=stage.stride if block_number == 1 else 1,
                    activation=stage.activation,
                    squeeze=stage.squeeze,
                )
                layers += bottleneck(f"stage_{number}.block_{block_number}", block)
                size = -(-size // block.stride)
                width = stage.width
        return Workload(self.name, tuple(layers + self.back(size, width)))


@lru_cache(maxsize=4096)
def bottleneck(name: str, block: Block) -> tuple[Layer, ...]:
    """Make the layers of one inverted bottleneck.

    Args:
        name: Name of the block; layers are called name.expand and so on.
        block: Its sizes.

    Returns:
        The layers in the order in which they run.
    """
    return tuple(_bottleneck_layers(name, block))


def _bottleneck_layers(name: str, block: Block) -> Iterator[Layer]:
    """The layers of one inverted bottleneck, in order; a residual is added where input and output have one shape."""
    inputs, outputs = block.channels
    hidden = inputs * block.expand
    output_size = -(-block.size // block.stride)
    activation = _work_of(block.activation)
    if block.expand != 1:
        yield conv(f"{name}.expand", block.size, (inputs, hidden), work=activation)
    yield _depthwise(name, block, hidden)
    if block.squeeze:
        yield from _squeeze_excite(name, hidden, output_size * output_size)
    residual = None
    if block.stride == 1 and inputs == outputs:
        residual = _work_of("add")
    yield conv(f"{name}.project", output_size, (hidden, outputs), work=residual)


def _depthwise(name: str, block: Block, channels: int) -> Layer:
    """The depthwise convolution of a bottleneck, with its activation."""
    return conv(
        f"{name}.depthwise",
        block.size,
        (channels, channels),
        block.kernel,
        stride=block.stride,
        groups=channels,
        work=_work_of(block.activation),
    )


def _squeeze_excite(name: str, channels: int, positions: int) -> list[Layer]:
    """Two linear layers on the mean over all positions, whose results scale the channels."""
    reduced = divisible(channels // 4)
    elements = channels * positions
    pool = vector_work(pool=elements, relu=reduced)
    scale = vector_work(hsigmoid=channels, scale=elements)
    return [
        linear(f"{name}.squeeze", 1, (channels, reduced), work=pool),
        linear(f"{name}.excite", 1, (reduced, channels), work=scale),
    ]


def _work_of(function: str) -> Callable[[int], int]:
    """From a number of elements to the operations of the vector unit that compute a function of them."""
    return lambda elements: vector_work(**{function: elements})


def fmnist_mobilenet() -> MobileNet:
    """Elastic MobileNetV3 on 28 x 28 x 1 images (resolution 20 to 28), three stages of 16, 32 and 64 channels."""
    stages = (
        Stage(16, stride=2, activation="relu", squeeze=False),
        Stage(32, stride=2, activation="hswish", squeeze=False),
        Stage(64, stride=1, activation="hswish", squeeze=True),
    )
    return MobileNet(
        "fmnist-mobilenet",
        resolutions=(20, 24, 28),
        stages=stages,
        depths=(1, 2, 3),
        kernels=(3, 5),
        expands=(2, 3, 4),
        stem=lambda size: [conv("stem", size, (1, 8), 3, work=_work_of("hswish"))],
        stem_stride=1,
        stem_width=8,
        back=_small_head,
    )


def _small_head(size: int, channels: int) -> list[Layer]:
    """A convolution to 128 channels, mean pooling, and a classifier of ten classes."""
    final = conv("final", size, (channels, 128), work=_work_of("hswish"))
    return [final, linear("head", 1, (128, 10), work=vector_work(pool=final.outputs))]


def ofa_mobilenet_v3() -> MobileNet:
    """Once-for-All MobileNetV3, width 1.0 (Cai et al., 2020): kernels, expansions, depths, resolution 128 to 224."""
    return _ofa("ofa-mobilenetv3", 1.0)


def ofa_mobilenet_v3_wide() -> MobileNet:
    """Once-for-All MobileNetV3, width 1.2."""
    return _ofa("ofa-mobilenetv3-w1.2", 1.2)


def _ofa(name: str, multiplier: float) -> MobileNet:
    """Once-for-All's MobileNetV3, with all channels multiplied."""
    stem, first, *widths, final, last = _scaled_widths(multiplier)
    return MobileNet(
        name,
        resolutions=tuple(range(128, 225, 16)),
        stages=_ofa_stages(widths),
        depths=(2, 3, 4),
        kernels=(3, 5, 7),
        expands=(3, 4, 6),
        stem=lambda size: _ofa_stem(size, stem, first),
        stem_stride=2,
        stem_width=first,
        back=lambda size, channels: _ofa_head(size, (channels, final, last)),
    )


def _scaled_widths(multiplier: float) -> list[int]:
    """Channels of the stem, the first block, the five stages, and the two last layers."""
    widths = (16, 16, 24, 40, 80, 112, 160, 960, 1280)
    return [divisible(width * multiplier) for width in widths]


def _ofa_stages(widths: Sequence[int]) -> tuple[Stage, ...]:
    """The five stages of Once-for-All's MobileNetV3, of these widths."""
    strides = (2, 2, 2, 1, 2)
    activations = ("relu", "relu", "hswish", "hswish", "hswish")
    squeezes = (False, True, False, True, True)
    return tuple(map(Stage, widths, strides, activations, squeezes))


def _ofa_stem(size: int, stem: int, first: int) -> list[Layer]:
    """A convolution of stride 2 to ``stem`` channels, and a bottleneck without expansion to ``first`` channels."""
    layer = conv("stem", size, (3, stem), 3, stride=2, work=_work_of("hswish"))
    block = Block(
        -(-size // 2),
        channels=(stem, first),
        kernel=3,
        expand=1,
        stride=1,
        activation="relu",
        squeeze=False,
    )
    return [layer, *bottleneck("first", block)]


def _ofa_head(size: int, channels: tuple[int, int, int]) -> list[Layer]:
    """A convolution, mean pooling, a linear layer and the classifier; ``channels``: into each of these three."""
    inputs, final, last = channels
    expand = conv("final", size, (inputs, final), work=_work_of("hswish"))
    work = vector_work(pool=expand.outputs, hswish=last)
    mix = linear("mix", 1, (final, last), bias=False, work=work)
    return [expand, mix, linear("head", 1, (last, 1000))]
