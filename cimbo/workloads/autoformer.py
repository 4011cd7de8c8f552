"""AutoFormer T, S and B: weight-sharing vision transformers on ImageNet (Chen et al., arXiv 2107.00651)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from cimbo.problem.space import Choice
from cimbo.workloads.elastic import Family, block_choices
from cimbo.workloads.layers import Layer, Workload, attention, conv, linear, vector_work

HEAD_SIZE, PATCH_SIDE, PATCHES, N_CLASSES = 64, 16, 14 * 14, 1000
IMAGE_TOKENS = PATCHES + 1
MOST_DISTANCE = 14  # patches; positions that are further apart share an entry of the tables
RELATIVE_DISTANCES = 2 * MOST_DISTANCE + 2
"""Entries of a table of relative positions: distances of either sign and zero, and one for the class token."""

TABLE_ROWS = 2 * RELATIVE_DISTANCES  # of the vertical and the horizontal table together


@dataclass(frozen=True)
class AutoFormer(Family):
    """Sub-networks of one AutoFormer super-network, 224 x 224 images.

    A block has ``heads_i`` heads of 64. Keys and values have tables of relative positions, which all heads of a block share.
    The published code gathers a matrix from these tables for every query and multiplies with it. Here queries are multiplied
    with the tables, and the results are gathered: the same sums with a third of the work.

    Attributes:
        name: Name of the family.
        embeds: Widths of the tokens.
        depths: Numbers of blocks.
        heads: Heads of a block.
        ratios: Hidden units of a block's MLP, as multiples of the width.
    """

    name: str
    embeds: tuple[int, ...]
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    ratios: tuple[float, ...]

    def choices(self) -> list[Choice]:
        """``depth``, ``embed``, then ``heads_i`` and ``mlp_i`` for each block, from 1."""
        genes = [depth := Choice("depth", list(self.depths)), Choice("embed", list(self.embeds))]
        for block in range(1, max(self.depths) + 1):
            genes += block_choices(
                depth, block, {f"heads_{block}": self.heads, f"mlp_{block}": self.ratios}
            )
        return genes

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Makes the layers of one sub-network.

        Args:
            subnet: Each active gene to its value.

        Returns:
            The layers in the order in which they run, and the parameters of positions and class
            token.

        Raises:
            BadInput: On a missing active gene or a value outside its list.
        """
        gene = self.reader(subnet)
        embed = gene("embed")
        layers = [_patches(embed)]
        for block in range(1, gene("depth") + 1):
            hidden = int(embed * gene(f"mlp_{block}"))
            layers += _block(f"block_{block}", embed, gene(f"heads_{block}"), hidden)
        elements = IMAGE_TOKENS * embed
        work = vector_work(layernorm=elements, pool=elements)  # the patches' mean is classified
        head = linear("head", 1, (embed, N_CLASSES), work=work, norm=2 * embed)
        return Workload(self.name, (*layers, head), (IMAGE_TOKENS + 1) * embed)


def _patches(embed: int) -> Layer:
    """The convolution that makes tokens of patches; positions are added to all tokens after it."""
    side = 14 * PATCH_SIDE
    layer = conv("patches", side, (3, embed), PATCH_SIDE, stride=PATCH_SIDE, parameters=embed)
    return replace(layer, vector_ops=layer.vector_ops + vector_work(add=IMAGE_TOKENS * embed))


@lru_cache(maxsize=4096)  # a search meets the same few blocks over and over
def _block(name: str, embed: int, heads: int, hidden: int) -> tuple[Layer, ...]:
    """The layers of one block, made once for each size: see ``_block_layers``."""
    return tuple(_block_layers(name, embed, heads, hidden))


def _block_layers(name: str, embed: int, heads: int, hidden: int) -> Iterator[Layer]:
    """Make the layers of one block: norm, attention with relative positions, norm and MLP.

    Args:
        name: What the names of the layers begin with.
        embed: Width of a token.
        heads: Number of heads.
        hidden: Hidden units of the MLP.

    Yields:
        The layers, in the order in which they run.
    """
    width = heads * HEAD_SIZE
    elements = IMAGE_TOKENS * embed
    norm = vector_work(layernorm=elements)
    residual = vector_work(add=elements)
    yield linear(f"{name}.qkv", IMAGE_TOKENS, (embed, 3 * width), work=norm, norm=2 * embed)
    scores, context = attention(f"{name}.attention", IMAGE_TOKENS, heads, HEAD_SIZE)
    # Keys: two entries of the tables, vertical and horizontal, are added to every score. Values: every
    # score is added to the sums of its vertical and of its horizontal distance.
    gathered = vector_work(add=2 * heads * IMAGE_TOKENS * IMAGE_TOKENS)
    yield _positions(f"{name}.key_positions", heads, (HEAD_SIZE, TABLE_ROWS), gathered)
    yield scores
    yield context
    yield _positions(f"{name}.value_positions", heads, (TABLE_ROWS, HEAD_SIZE), gathered)
    yield linear(f"{name}.projection", IMAGE_TOKENS, (width, embed), work=residual)
    gelu = vector_work(gelu=IMAGE_TOKENS * hidden)
    yield linear(f"{name}.ffn_in", IMAGE_TOKENS, (embed, hidden), work=norm + gelu, norm=2 * embed)
    yield linear(f"{name}.ffn_out", IMAGE_TOKENS, (hidden, embed), work=residual)


def _positions(name: str, heads: int, shape: tuple[int, int], work: int) -> Layer:
    """A product with the tables of relative positions, which all heads share."""
    return linear(name, IMAGE_TOKENS * heads, shape, bias=False, work=work)


def tiny() -> AutoFormer:
    """AutoFormer-T. Ratios of 3 are not in the published list of values, but the published best network has them."""
    ratios = (3.0, 3.5, 4.0)
    return AutoFormer("autoformer-t", (192, 216, 240), (12, 13, 14), (3, 4), ratios)


def small() -> AutoFormer:
    """AutoFormer-S."""
    ratios = (3.0, 3.5, 4.0)
    return AutoFormer("autoformer-s", (320, 384, 448), (12, 13, 14), (5, 6, 7), ratios)


def base() -> AutoFormer:
    """AutoFormer-B."""
    ratios = (3.0, 3.5, 4.0)
    return AutoFormer("autoformer-b", (528, 576, 624), (14, 15, 16), (9, 10), ratios)
