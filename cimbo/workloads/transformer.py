"""The elastic transformer that ViT, BERT and the small FMNIST ViT share: depth, heads, feed-forward width, embedding."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cimbo.problem.space import Choice
from cimbo.workloads.elastic import Family, block_choices
from cimbo.workloads.layers import Layer, Workload, attention, linear, vector_work


@dataclass(frozen=True)
class Transformer(Family):
    """A family of transformers: blocks of multi-head attention and of a feed-forward layer with GELU.

    Attributes:
        name: What reports call it.
        tokens: Tokens of one inference.
        depths: Values of the gene ``depth``; blocks beyond it do not exist.
        embeds: Values of the gene ``embed``, the width of a token; with one value there is no such gene.
        heads: Values of the gene ``heads_i`` of block i.
        head_size: Elements of a head's query, key or value.
        ffn: Values of the gene ``{ffn_gene}_i``: hidden widths, or multiples of the embedding with ``relative_ffn``.
        front: From the width of a token to the layers before the blocks.
        back: From the width of a token to the layers after the blocks.
        table: From the width of a token to the number of parameters in embeddings that are looked up.
        ffn_gene: What the gene of the feed-forward layer is called.
        relative_ffn: Whether its values are multiples of the embedding.
    """

    name: str
    tokens: int
    depths: tuple[int, ...]
    embeds: tuple[int, ...]
    heads: tuple[int, ...]
    head_size: int
    ffn: tuple[int, ...]
    front: Callable[[int], list[Layer]]
    back: Callable[[int], list[Layer]]
    table: Callable[[int], int]
    ffn_gene: str = "ffn"
    relative_ffn: bool = False

    def choices(self) -> list[Choice]:
        """List the genes of the family.

        Returns:
            ``depth``; ``embed``, where there is more than one; then ``heads_i`` and the
            feed-forward gene of each block i, counted from 1.
        """
        depth = Choice("depth", list(self.depths))
        genes = [depth]
        if len(self.embeds) > 1:
            genes.append(Choice("embed", list(self.embeds)))
        for block in range(1, max(self.depths) + 1):
            values = {f"heads_{block}": self.heads, f"{self.ffn_gene}_{block}": self.ffn}
            genes += block_choices(depth, block, values)
        return genes

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Make the layers of one sub-network.

        Args:
            subnet: Each active gene to its value.

        Returns:
            The layers in the order in which they run, and the parameters of tables that are looked
            up.

        Raises:
            BadInput: On a missing active gene or a value outside its list.
        """
        gene = self.reader(subnet)
        embed = self.embeds[0]
        if len(self.embeds) > 1:
            embed = gene("embed")
        unit = embed if self.relative_ffn else 1
        layers = self.front(embed)
        for block in range(1, gene("depth") + 1):
            hidden = unit * gene(f"{self.ffn_gene}_{block}")
            size = (embed, gene(f"heads_{block}"), self.head_size, hidden)
            layers += _block(f"block_{block}", self.tokens, size)
        return Workload(self.name, tuple(layers + self.back(embed)), self.table(embed))


@lru_cache(maxsize=4096)  # a search meets the same few blocks over and over
def _block(name: str, tokens: int, size: tuple[int, int, int, int]) -> tuple[Layer, ...]:
    """The layers of one block, made once for each size: see ``_block_layers``."""
    return tuple(_block_layers(name, tokens, size))


def _block_layers(name: str, tokens: int, size: tuple[int, int, int, int]) -> Iterator[Layer]:
    """Make the layers of one block: attention, then the feed-forward layers.

    A norm costs the same before its layer (pre-norm) and after it (post-norm).

    Args:
        name: What the names of the layers begin with.
        tokens: How many tokens go through it.
        size: Width of a token, number of heads, size of a head, and hidden width of the feed-forward
            layer.

    Yields:
        The layers, in the order in which they run.
    """
    embed, heads, head_size, hidden = size
    width = heads * head_size
    norm = vector_work(layernorm=tokens * embed)
    residual = vector_work(add=tokens * embed)
    yield linear(f"{name}.qkv", tokens, (embed, 3 * width), work=norm, norm=2 * embed)
    yield from attention(f"{name}.attention", tokens, heads, head_size)
    yield linear(f"{name}.projection", tokens, (width, embed), work=residual)
    gelu = vector_work(gelu=tokens * hidden)
    yield linear(f"{name}.ffn_in", tokens, (embed, hidden), work=norm + gelu, norm=2 * embed)
    yield linear(f"{name}.ffn_out", tokens, (hidden, embed), work=residual)
