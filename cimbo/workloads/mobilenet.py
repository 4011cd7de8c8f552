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
    """Inverted bottlenecks of one width; the first has the stride. ``squeeze``: squeeze-excite in each."""

    width: int
    stride: int
    activation: str
    squeeze: bool


@dataclass(frozen=True)
class Block:
    """One inverted bottleneck: ``size`` x ``size`` inputs, 1x1 expansion (none if 1), depthwise, 1x1 projection."""

    size: int
    channels: tuple[int, int]
    kernel: int
    expand: int
    stride: int
    activation: str
    squeeze: bool


@dataclass(frozen=True)
class MobileNet(Family):
    """Elastic resolution, depth of each stage, and kernel and expansion of each block.

    ``stem(resolution)`` gives the layers before the stages; ``back(size, channels)`` those after them.
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
            for place in range(1, gene(f"depth_{number}") + 1):
                block = Block(
                    size,
                    channels=(width, stage.width),
                    kernel=gene(f"kernel_{number}_{place}"),
                    expand=gene(f"expand_{number}_{place}"),
                    stride=stage.stride if place == 1 else 1,
                    activation=stage.activation,
                    squeeze=stage.squeeze,
                )
                layers += bottleneck(f"stage_{number}.block_{place}", block)
                size = -(-size // block.stride)
                width = stage.width
        return Workload(self.name, tuple(layers + self.back(size, width)))


@lru_cache(maxsize=4096)
def bottleneck(name: str, block: Block) -> tuple[Layer, ...]:
    """Make the layers of one inverted bottleneck.

    Args:
        name: Of the block; layers are called name.expand and so on.
        block: Its sizes.

    Returns:
        The layers in the order in which they run.
    """
    return tuple(_bottleneck_layers(name, block))


def _bottleneck_layers(name: str, block: Block) -> Iterator[Layer]:
    inputs, outputs = block.channels
    hidden = inputs * block.expand
    size = -(-block.size // block.stride)
    act = _activation(block.activation)
    if block.expand != 1:
        yield conv(f"{name}.expand", block.size, (inputs, hidden), work=act)
    yield _depthwise(name, block, hidden)
    if block.squeeze:
        yield from _squeeze_excite(name, hidden, size * size)
    add = None
    if block.stride == 1 and inputs == outputs:  # a residual
        add = _activation("add")
    yield conv(f"{name}.project", size, (hidden, outputs), work=add)


def _depthwise(name: str, block: Block, channels: int) -> Layer:
    return conv(
        f"{name}.depthwise",
        block.size,
        (channels, channels),
        block.kernel,
        stride=block.stride,
        groups=channels,
        work=_activation(block.activation),
    )


def _squeeze_excite(name: str, channels: int, positions: int) -> list[Layer]:
    reduced = divisible(channels // 4)
    elements = channels * positions
    pool = vector_work(pool=elements, relu=reduced)
    scale = vector_work(hsigmoid=channels, scale=elements)
    return [
        linear(f"{name}.squeeze", 1, (channels, reduced), work=pool),
        linear(f"{name}.excite", 1, (reduced, channels), work=scale),
    ]


def _activation(function: str) -> Callable[[int], int]:
    return lambda elements: vector_work(**{function: elements})


def fmnist_mobilenet() -> MobileNet:
    """Elastic MobileNetV3 on 28 x 28 x 1 images (resolution 20 to 28), three stages of 16, 32 and 64 channels."""
    stages = (
        Stage(16, 2, "relu", False),
        Stage(32, 2, "hswish", False),
        Stage(64, 1, "hswish", True),
    )
    return MobileNet(
        "fmnist-mobilenet",
        (20, 24, 28),
        stages,
        (1, 2, 3),
        (3, 5),
        (2, 3, 4),
        stem=lambda size: [conv("stem", size, (1, 8), 3, work=_activation("hswish"))],
        stem_stride=1,
        stem_width=8,
        back=_small_head,
    )


def _small_head(size: int, channels: int) -> list[Layer]:
    final = conv("final", size, (channels, 128), work=_activation("hswish"))
    return [final, linear("head", 1, (128, 10), work=vector_work(pool=final.outputs))]


def ofa_mobilenet_v3() -> MobileNet:
    """Once-for-All MobileNetV3, width 1.0 (Cai et al., 2020): kernels, expansions, depths, resolution 128 to 224."""
    return _ofa("ofa-mobilenetv3", 1.0)


def ofa_mobilenet_v3_wide() -> MobileNet:
    """Once-for-All MobileNetV3, width 1.2."""
    return _ofa("ofa-mobilenetv3-w1.2", 1.2)


def _ofa(name: str, multiplier: float) -> MobileNet:
    stem, first, *widths, final, last = _scaled_widths(multiplier)
    return MobileNet(
        name,
        tuple(range(128, 225, 16)),
        _ofa_stages(widths),
        (2, 3, 4),
        (3, 5, 7),
        (3, 4, 6),
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
    strides = (2, 2, 2, 1, 2)
    activations = ("relu", "relu", "hswish", "hswish", "hswish")
    squeezes = (False, True, False, True, True)
    return tuple(map(Stage, widths, strides, activations, squeezes))


def _ofa_stem(size: int, stem: int, first: int) -> list[Layer]:
    layer = conv("stem", size, (3, stem), 3, stride=2, work=_activation("hswish"))
    block = Block(-(-size // 2), (stem, first), 3, 1, 1, "relu", False)
    return [layer, *bottleneck("first", block)]


def _ofa_head(size: int, channels: tuple[int, int, int]) -> list[Layer]:
    inputs, final, last = channels
    expand = conv("final", size, (inputs, final), work=_activation("hswish"))
    work = vector_work(pool=expand.outputs, hswish=last)
    mix = linear("mix", 1, (final, last), bias=False, work=work)
    return [expand, mix, linear("head", 1, (last, 1000))]
