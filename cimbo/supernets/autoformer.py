"""The super-networks of AutoFormer T, S and B, under the names of their published checkpoints.

Genes as in the families ``autoformer-t``, ``-s`` and ``-b``: a sub-network uses the first ``depth`` blocks, the first ``embed``
channels everywhere, and in each block the first ``heads_i`` heads of 64 and hidden units. Queries, keys and values have the
rows 0, 3, 6, ...; 1, 4, 7, ...; 2, 5, 8, ... of one matrix. Their biases are not interleaved: a sub-network takes the leading
ones. The published networks were trained in this way.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.elastic import Elastic, ElasticLayerNorm, ElasticLinear, SubNetwork

HEAD_SIZE, PATCH_SIDE, SIDE_PATCHES, MOST_DISTANCE = 64, 16, 14, 14
RELATIVE_DISTANCES = 2 * MOST_DISTANCE + 2  # the first is the class token's
LARGEST_RATIO = 4.0


@dataclass(frozen=True)
class SuperSize:
    """Sizes of a published super-network, which are larger than those of its largest sub-network."""

    embed: int
    heads: int
    depth: int


SUPER_SIZES = {
    "autoformer-t": SuperSize(256, 4, 14),
    "autoformer-s": SuperSize(448, 7, 14),
    "autoformer-b": SuperSize(640, 10, 16),
}


class _Patches(Elastic):
    """Non-overlapping patches, each projected to a token."""

    def __init__(self, embed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(embed, 3, PATCH_SIDE, PATCH_SIDE))
        self.bias = nn.Parameter(torch.empty(embed))

    def forward(self, images: Tensor, embed: int) -> Tensor:
        """Cuts images into patches and projects each to a token.

        Args:
            images: (n, 3, h, w).
            embed: Leading channels of a token.

        Returns:
            Tokens, (n, patches, embed), row by row of the image.
        """
        product = self.convolved(images, self.weight[:embed], stride=PATCH_SIDE)
        return product.flatten(2).transpose(1, 2) + self.bias[:embed]


class _InterleavedQkv(Elastic):
    """Queries, keys and values of the leading heads."""

    def __init__(self, embed: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3 * width, embed))
        self.bias = nn.Parameter(torch.empty(3 * width))

    def forward(self, x: Tensor, width: int) -> Tensor:
        """Compute queries, keys and values, one after another, from the interleaved rows of the weights.

        Args:
            x: Tokens, (n, tokens, embed).
            width: Elements of all queries, and of all keys, and of all values of a token.

        Returns:
            (n, tokens, 3 * width).
        """
        rows = x.shape[-1]
        parts = [self.weight[first : 3 * width : 3, :rows] for first in range(3)]
        weight, bias = torch.cat(parts), self.bias[: 3 * width]
        if self.effect is None:
            return F.linear(x, weight, bias)
        x, weight = self.effect.operands(x, weight)
        return self.effect.product(F.linear(x, weight), rows) + bias


class _RelativePositions(nn.Module):
    """An entry for each vertical and each horizontal distance of two tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings_table_v = nn.Parameter(torch.empty(RELATIVE_DISTANCES, HEAD_SIZE))
        self.embeddings_table_h = nn.Parameter(torch.empty(RELATIVE_DISTANCES, HEAD_SIZE))

    def forward(self, vertical: Tensor, horizontal: Tensor) -> Tensor:
        """Look up the embeddings of the distances of all pairs of tokens.

        Args:
            vertical: Entries of the vertical table, (tokens, tokens).
            horizontal: Entries of the horizontal table, (tokens, tokens).

        Returns:
            (tokens, tokens, HEAD_SIZE).
        """
        return self.embeddings_table_v[vertical] + self.embeddings_table_h[horizontal]


class _Attention(nn.Module):
    """Attention with relative positions in keys and in values."""

    def __init__(self, size: SuperSize) -> None:
        super().__init__()
        width = size.heads * HEAD_SIZE
        self.qkv = _InterleavedQkv(size.embed, width)
        self.proj = ElasticLinear(width, size.embed)
        self.rel_pos_embed_k = _RelativePositions()
        self.rel_pos_embed_v = _RelativePositions()

    def forward(self, x: Tensor, heads: int, distances: tuple[Tensor, Tensor]) -> Tensor:
        """Computes attention with the leading heads.

        Args:
            x: Tokens, (n, tokens, embed).
            heads: How many heads compute.
            distances: Entries of the vertical and of the horizontal tables, (tokens, tokens) each.

        Returns:
            Tokens of the same shape.
        """
        joint = self.qkv(x, heads * HEAD_SIZE).unflatten(-1, (3, heads, HEAD_SIZE))
        query, key, value = joint.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1)
        scores = scores + torch.einsum("bhqc,qkc->bhqk", query, self.rel_pos_embed_k(*distances))
        weights = (scores * HEAD_SIZE**-0.5).softmax(-1)
        attended = weights @ value
        attended = attended + torch.einsum(
            "bhqk,qkc->bhqc", weights, self.rel_pos_embed_v(*distances)
        )
        result: Tensor = self.proj(attended.transpose(1, 2).flatten(2), x.shape[-1])
        return result


class _Block(nn.Module):
    """Pre-norm transformer block with relative positions."""

    def __init__(self, size: SuperSize) -> None:
        super().__init__()
        hidden = int(LARGEST_RATIO * size.embed)
        self.attn = _Attention(size)
        self.attn_layer_norm = ElasticLayerNorm(size.embed)
        self.ffn_layer_norm = ElasticLayerNorm(size.embed)
        self.fc1 = ElasticLinear(size.embed, hidden)
        self.fc2 = ElasticLinear(hidden, size.embed)

    def forward(
        self, x: Tensor, heads: int, ratio: float, distances: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Runs the block with some of its heads and hidden units.

        Args:
            x: Tokens, (n, tokens, embed).
            heads: How many leading heads compute.
            ratio: Hidden units of the MLP, as a multiple of the tokens' width.
            distances: Entries of the tables of relative positions.

        Returns:
            Tokens of the same shape.
        """
        embed = int(x.shape[-1])
        x = x + self.attn(self.attn_layer_norm(x), heads, distances)
        hidden = F.gelu(self.fc1(self.ffn_layer_norm(x), int(embed * ratio)))
        result: Tensor = x + self.fc2(hidden, embed)
        return result


class ElasticAutoFormer(nn.Module):
    """A super-network: images (n, 3, 224, 224) -> logits (n, classes)."""

    def __init__(self, name: str, classes: int = 1000) -> None:
        super().__init__()
        size = SUPER_SIZES[name]
        tokens = SIDE_PATCHES**2 + 1
        self.cls_token = nn.Parameter(torch.empty(1, 1, size.embed))
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, size.embed))
        self.patch_embed_super = nn.Module()
        self.patch_embed_super.proj = _Patches(size.embed)
        self.blocks = nn.ModuleList(_Block(size) for _ in range(size.depth))
        self.norm = ElasticLayerNorm(size.embed)
        self.head = ElasticLinear(size.embed, classes)

    def forward(self, images: Tensor, subnet: SubNetwork) -> Tensor:
        """Computes the logits of images as one sub-network does.

        Args:
            images: Normalised images, (n, 3, 224, 224).
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes).
        """
        embed = subnet["embed"]
        patches = self.patch_embed_super.proj(images, embed)  # type: ignore[operator]
        first = self.cls_token[..., :embed].expand(len(images), -1, -1)
        x = torch.cat([first, patches], 1) + self.pos_embed[..., :embed]
        distances = distance_entries(images.device)
        for i, block in enumerate(self.blocks[: subnet["depth"]], 1):
            x = block(x, subnet[f"heads_{i}"], subnet[f"mlp_{i}"], distances)
        result: Tensor = self.head(self.norm(x)[:, 1:].mean(1), len(self.head.bias))
        return result


def distance_entries(device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """List which entry of the tables of relative positions belongs to each pair of tokens.

    Args:
        device: Where the result lies.

    Returns:
        For the vertical and the horizontal distance, (tokens, tokens) each, from token to token;
        entry 0 wherever the class token, the first, is one of the two.
    """
    places = torch.arange(SIDE_PATCHES**2, device=device)
    entries = []
    for coordinate in (places // SIDE_PATCHES, places % SIDE_PATCHES):
        distance = coordinate[None, :] - coordinate[:, None]
        entry = distance.clamp(-MOST_DISTANCE, MOST_DISTANCE) + MOST_DISTANCE + 1
        entries.append(F.pad(entry, (1, 0, 1, 0)))
    vertical, horizontal = entries
    return vertical, horizontal
