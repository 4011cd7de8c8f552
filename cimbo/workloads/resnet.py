"""Elastic ResNet-50-D of Once-for-All: depth, expansion and width of bottleneck stages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cimbo.problem.space import Choice
from cimbo.workloads.elastic import Family, block_choices, divisible
from cimbo.workloads.layers import Layer, Workload, conv, linear, vector_work

# Of each stage: channels, least number of blocks, and stride of the first block.
STAGE_SHAPES = ((256, 2, 1), (512, 2, 2), (1024, 4, 2), (2048, 2, 2))
_STEM_CHANNELS = 64
_IMAGENET_CLASSES = 1000
_RESOLUTION = 224  # pixels of a side


@dataclass(frozen=True)
class ResNet50(Family):
    """Once-for-All ResNet-50-D (Cai et al., 2020), 224 x 224 images.

    ``depth_stem`` 2 adds a residual convolution to the stem (0 and 1 of the original are one network); ``depth_s``
    adds blocks to the base 2, 2, 4, 2; ``expand_s_b`` is the bottleneck's share of the stage's channels.
    """

    name: str = "ofa-resnet50"
    depths: tuple[int, ...] = (0, 1, 2)
    expands: tuple[float, ...] = (0.20, 0.25, 0.35)
    widths: tuple[float, ...] = (0.65, 0.8, 1.0)

    def choices(self) -> list[Choice]:
        """``depth_stem``, ``width_stem_mid``, ``width_stem_out``; then ``width_s``, ``depth_s``, ``expand_s_b``."""
        widths = list(self.widths)
        genes = [
            Choice("depth_stem", [0, 2]),
            Choice("width_stem_mid", widths),
            Choice("width_stem_out", widths),
        ]
        for stage, (_, base, _) in enumerate(STAGE_SHAPES, 1):
            depth = Choice(f"depth_{stage}", list(self.depths))
            genes += [Choice(f"width_{stage}", widths), depth]
            for block in range(1, base + max(self.depths) + 1):
                values = {f"expand_{stage}_{block}": self.expands}
                genes += block_choices(depth, block - base, values)
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
        middle = divisible(divisible(_STEM_CHANNELS * gene("width_stem_mid")) // 2)
        width = divisible(_STEM_CHANNELS * gene("width_stem_out"))
        layers = _stem(middle, width, gene("depth_stem"))
        size = -(-_RESOLUTION // 4)  # pixels of a side after the stem
        for number, (channels, base, stride) in enumerate(STAGE_SHAPES, 1):
            outputs = divisible(channels * gene(f"width_{number}"))
            for block in range(1, base + gene(f"depth_{number}") + 1):
                hidden = divisible(round(outputs * gene(f"expand_{number}_{block}")))
                step = stride if block == 1 else 1
                name = f"stage_{number}.block_{block}"
                layers += _bottleneck(name, size, (width, hidden, outputs), step)
                size = -(-size // step)
                width = outputs
        pool = vector_work(pool=size * size * width)
        head = linear("head", 1, (width, _IMAGENET_CLASSES), work=pool)
        return Workload(self.name, (*layers, head))


def _relu(elements: int) -> int:
    """Operations of a ReLU on so many elements."""
    return vector_work(relu=elements)


def _add_relu(elements: int) -> int:
    """Operations of a residual sum and a ReLU on so many elements."""
    return vector_work(add=elements, relu=elements)


def _stem(middle: int, width: int, depth: int) -> list[Layer]:
    """Make the stem: two convolutions, a residual one between them where it is deep, and 3 x 3 max pooling of stride 2.

    Args:
        middle: Channels between the convolutions.
        width: Channels that come out.
        depth: 0, or 2 for a deep stem.

    Returns:
        The layers.
    """
    half = -(-_RESOLUTION // 2)  # side of the image after stride 2, rounded up
    pool = vector_work(
        pool=9 * (half // 2) ** 2 * width
    )  # 9 elements for each output of the pooling
    layers = [conv("stem_1", _RESOLUTION, (3, middle), 3, stride=2, work=_relu)]
    if depth:
        layers.append(conv("stem_2", half, (middle, middle), 3, work=_add_relu))
    layers.append(conv("stem_3", half, (middle, width), 3, work=lambda n: _relu(n) + pool))
    return layers


@lru_cache(maxsize=4096)
def _bottleneck(
    name: str, size: int, channels: tuple[int, int, int], stride: int
) -> tuple[Layer, ...]:
    """The layers of one bottleneck block, made once for each size: see ``_bottleneck_layers``."""
    return tuple(_bottleneck_layers(name, size, channels, stride))


def _bottleneck_layers(
    name: str, size: int, channels: tuple[int, int, int], stride: int
) -> Iterator[Layer]:
    """Make the layers of one bottleneck block.

    Args:
        name: What the names of the layers begin with.
        size: Pixels on a side of the input.
        channels: Channels of the input, of the bottleneck, and of the output.
        stride: Stride of the 3 x 3 convolution.

    Yields:
        The layers; a convolution on the shortcut only where the output has another shape than the input.
    """
    inputs, hidden, outputs = channels
    output_size = -(-size // stride)
    yield conv(f"{name}.reduce", size, (inputs, hidden), work=_relu)
    yield conv(f"{name}.spatial", size, (hidden, hidden), 3, stride=stride, work=_relu)
    yield conv(f"{name}.expand", output_size, (hidden, outputs), work=_add_relu)
    if stride > 1 or inputs != outputs:
        pool = 0
        if stride > 1:  # ResNet-D averages before it projects
            pool = vector_work(pool=size * size * inputs)
        yield conv(f"{name}.shortcut", output_size, (inputs, outputs), work=lambda elements: pool)


def ofa_resnet50() -> ResNet50:
    """The family with its published space."""
    return ResNet50()
