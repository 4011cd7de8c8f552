"""Elastic ViT-B/16 on ImageNet, under the names of timm's checkpoints. Genes as in the network family ``vit-b``.

A sub-network uses the first ``depth`` layers, and in each the first ``heads_i`` heads of 64 and ``ffn_i`` hidden units.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.elastic import Elastic, ElasticLinear, SubNetwork

EMBED, HEAD, HEADS, FFN, DEPTH, PATCH, TOKENS = 768, 64, 12, 3072, 12, 16, 197


class _Patches(Elastic):
    """Non-overlapping patches, each projected to a token."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.empty(EMBED, 3, PATCH, PATCH)),
            nn.Parameter(torch.empty(EMBED)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Cuts images into patches and projects each to a token.

        Args:
            images: (n, 3, h, w).

        Returns:
            Tokens, (n, patches, EMBED), row by row of the image.
        """
        product = self.convolved(images, self.weight, stride=PATCH)
        return product.flatten(2).transpose(1, 2) + self.bias


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (ElasticLinear(EMBED, HEADS * HEAD) for _ in range(3))
        self.proj = ElasticLinear(HEADS * HEAD, EMBED)

    def forward(self, x: Tensor, heads: int) -> Tensor:
        """Computes attention with the leading heads.

        Args:
            x: Tokens, (n, tokens, EMBED).
            heads: How many heads compute.

        Returns:
            Tokens of the same shape.
        """
        query, key, value = (
            proj(x, heads * HEAD).unflatten(-1, (heads, HEAD)).transpose(1, 2)
            for proj in (self.q, self.k, self.v)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.proj(attended.transpose(1, 2).flatten(2), EMBED)
        return result


class _Layer(nn.Module):
    def __init__(self, eps: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(EMBED, eps), nn.LayerNorm(EMBED, eps)
        self.attn, self.mlp = _Attention(), nn.Module()
        self.mlp.fc1, self.mlp.fc2 = ElasticLinear(EMBED, FFN), ElasticLinear(FFN, EMBED)

    def forward(self, x: Tensor, heads: int, hidden: int) -> Tensor:
        """Runs the layer with some of its heads and hidden units.

        Args:
            x: Tokens, (n, tokens, EMBED).
            heads: How many leading heads compute.
            hidden: How many leading units of the MLP compute.

        Returns:
            Tokens of the same shape.
        """
        x = x + self.attn(self.norm1(x), heads)
        result: Tensor = x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x), hidden)), EMBED)  # type: ignore[operator]
        return result


class ElasticViTB(nn.Module):
    """The super-network: images (n, 3, 224, 224) -> logits (n, classes). ``eps``: of the layer norms; timm has 1e-6."""

    def __init__(self, classes: int = 1000, eps: float = 1e-6) -> None:
        super().__init__()
        self.cls_token, self.pos_embed = (
            nn.Parameter(torch.empty(1, 1, EMBED)),
            nn.Parameter(torch.empty(1, TOKENS, EMBED)),
        )
        self.patch_embed = nn.Module()
        self.patch_embed.proj = _Patches()
        self.blocks = nn.ModuleList(_Layer(eps) for _ in range(DEPTH))
        self.norm, self.head = nn.LayerNorm(EMBED, eps), ElasticLinear(EMBED, classes)

    def forward(self, images: Tensor, subnet: SubNetwork) -> Tensor:
        """Computes the logits of images as one sub-network does.

        Args:
            images: Normalised images, (n, 3, 224, 224).
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes).
        """
        patches = self.patch_embed.proj(images)  # type: ignore[operator]
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], 1) + self.pos_embed
        for i, layer in enumerate(self.blocks[: subnet["depth"]], 1):
            x = layer(x, subnet[f"heads_{i}"], subnet[f"ffn_{i}"])
        result: Tensor = self.head(self.norm(x)[:, 0], len(self.head.bias))
        return result
