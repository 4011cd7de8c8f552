"""Elastic vision transformers of patches of 16, under the names of timm's checkpoints: ViT, DeiT and DeiT-3.

A sub-network uses the first ``depth`` layers, and in each the first ``heads_i`` heads of 64 and ``ffn_i`` hidden units. Genes
as in the network families of the same names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.elastic import Elastic, ElasticLinear, SubNetwork

HEAD_SIZE, PATCH_SIDE = 64, 16


@dataclass(frozen=True)
class VitSize:
    """Sizes of a vision transformer, and the parts that only some variants have.

    Attributes:
        embed: Width of a token.
        heads: Heads of a layer.
        depth: Layers.
        hidden: Hidden units of a layer's MLP.
        patches: Patches of an image.
        prefix: Tokens before the patches: the class token, and of a distilled one a second.
        scales_layers: Whether the output of each attention and MLP is scaled channel by channel (DeiT-3).
        prefix_has_positions: Whether the tokens before the patches have position embeddings, too; those of DeiT-3 do not.
        has_second_head: Whether a distilled network has a head for its second token. transformers' DeiTForImageClassification
            has the token and no such head.
    """

    embed: int = 768
    heads: int = 12
    depth: int = 12
    hidden: int = 3072
    patches: int = 196
    prefix: int = 1
    scales_layers: bool = False
    prefix_has_positions: bool = True
    has_second_head: bool = False

    @property
    def image_side(self) -> int:
        """Side of an image in pixels."""
        return PATCH_SIDE * math.isqrt(self.patches)


VIT_SIZES: dict[str, VitSize] = {
    "vit-b": VitSize(),
    "vit-s": VitSize(384, 6, 12, 1536),
    "vit-l": VitSize(1024, 16, 24, 4096),
    "vit-b-384": VitSize(patches=576),
    "deit-b-distilled": VitSize(prefix=2),
}
"""Sizes of the largest network of each family."""


def size_of(name: str, state: Mapping[str, Tensor]) -> VitSize:
    """Find which variant of a family's network a checkpoint has.

    Args:
        name: The family.
        state: The checkpoint's tensors under timm's names.

    Returns:
        The family's size, with scales, positions and heads as the checkpoint has them.
    """
    size = VIT_SIZES[name]
    positions = state.get("pos_embed")
    for_patches_only = positions is not None and positions.shape[1] == size.patches
    return replace(
        size,
        scales_layers="blocks.0.ls1.gamma" in state,
        prefix_has_positions=not for_patches_only,
        has_second_head="head_dist.weight" in state,
    )


class _Patches(Elastic):
    """Non-overlapping patches, each projected to a token."""

    def __init__(self, embed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(embed, 3, PATCH_SIDE, PATCH_SIDE))
        self.bias = nn.Parameter(torch.empty(embed))

    def forward(self, images: Tensor) -> Tensor:
        """Cuts images into patches and projects each to a token.

        Args:
            images: (n, 3, h, w).

        Returns:
            Tokens, (n, patches, embed), row by row of the image.
        """
        product = self.convolved(images, self.weight, stride=PATCH_SIDE)
        return product.flatten(2).transpose(1, 2) + self.bias


class _Attention(nn.Module):
    """Multi-head attention of which the leading heads can compute alone."""

    def __init__(self, size: VitSize) -> None:
        super().__init__()
        width = size.heads * HEAD_SIZE
        self.q, self.k, self.v = (ElasticLinear(size.embed, width) for _ in range(3))
        self.proj = ElasticLinear(width, size.embed)

    def forward(self, x: Tensor, heads: int) -> Tensor:
        """Computes attention with the leading heads.

        Args:
            x: Tokens, (n, tokens, embed).
            heads: How many heads compute.

        Returns:
            Tokens of the same shape.
        """
        query, key, value = (
            proj(x, heads * HEAD_SIZE).unflatten(-1, (heads, HEAD_SIZE)).transpose(1, 2)
            for proj in (self.q, self.k, self.v)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.proj(attended.transpose(1, 2).flatten(2), x.shape[-1])
        return result


class _LayerScale(nn.Module):
    """A factor for each channel, learned."""

    def __init__(self, embed: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(embed))

    def forward(self, x: Tensor) -> Tensor:
        """Scales the channels of ``x``, (..., embed)."""
        return x * self.gamma


class _Layer(nn.Module):
    """Pre-norm transformer layer with elastic heads and hidden units."""

    def __init__(self, size: VitSize, eps: float) -> None:
        super().__init__()
        embed, hidden = size.embed, size.hidden
        self.norm1, self.norm2 = nn.LayerNorm(embed, eps), nn.LayerNorm(embed, eps)
        self.attn, self.mlp = _Attention(size), nn.Module()
        self.mlp.fc1, self.mlp.fc2 = ElasticLinear(embed, hidden), ElasticLinear(hidden, embed)
        self.ls1: nn.Module = nn.Identity()
        self.ls2: nn.Module = nn.Identity()
        if size.scales_layers:
            self.ls1, self.ls2 = _LayerScale(embed), _LayerScale(embed)

    def forward(self, x: Tensor, heads: int, hidden: int) -> Tensor:
        """Runs the layer with some of its heads and hidden units.

        Args:
            x: Tokens, (n, tokens, embed).
            heads: How many leading heads compute.
            hidden: How many leading units of the MLP compute.

        Returns:
            Tokens of the same shape.
        """
        x = x + self.ls1(self.attn(self.norm1(x), heads))
        activated = F.gelu(self.mlp.fc1(self.norm2(x), hidden))  # type: ignore[operator]
        result: Tensor = x + self.ls2(self.mlp.fc2(activated, x.shape[-1]))  # type: ignore[operator]
        return result


class ElasticViT(nn.Module):
    """A super-network: images (n, 3, side, side) -> logits (n, classes). ``eps``: of the layer norms; timm has 1e-6."""

    def __init__(self, size: VitSize, classes: int = 1000, eps: float = 1e-6) -> None:
        super().__init__()
        embed = size.embed
        self.size = size
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed))
        positions = size.patches + size.prefix * size.prefix_has_positions
        self.pos_embed = nn.Parameter(torch.empty(1, positions, embed))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = _Patches(embed)
        self.blocks = nn.ModuleList(_Layer(size, eps) for _ in range(size.depth))
        self.norm, self.head = nn.LayerNorm(embed, eps), ElasticLinear(embed, classes)
        if size.prefix == 2:
            self.dist_token = nn.Parameter(torch.empty(1, 1, embed))
        if size.has_second_head:
            self.head_dist = ElasticLinear(embed, classes)

    def forward(self, images: Tensor, subnet: SubNetwork) -> Tensor:
        """Computes the logits of images as one sub-network does.

        Args:
            images: Normalised images, (n, 3, side, side).
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes); of a network with two heads their mean.
        """
        x = self._tokens(images)
        for i, layer in enumerate(self.blocks[: subnet["depth"]], 1):
            x = layer(x, subnet[f"heads_{i}"], subnet[f"ffn_{i}"])
        x = self.norm(x[:, : self.size.prefix])
        result: Tensor = self.head(x[:, 0], len(self.head.bias))
        if self.size.has_second_head:
            result = (result + self.head_dist(x[:, 1], len(self.head_dist.bias))) / 2
        return result

    def _tokens(self, images: Tensor) -> Tensor:
        """Tokens of images (n, 3, side, side) with their positions, (n, prefix + patches, embed)."""
        patches = self.patch_embed.proj(images)  # type: ignore[operator]
        prefix = [self.cls_token.expand(len(images), -1, -1)]
        if self.size.prefix == 2:
            prefix.append(self.dist_token.expand(len(images), -1, -1))
        if self.size.prefix_has_positions:
            return torch.cat([*prefix, patches], 1) + self.pos_embed
        return torch.cat([*prefix, patches + self.pos_embed], 1)
