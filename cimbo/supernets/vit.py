"""Elastic vision transformer for small images: depth, embedding, per-layer heads and MLP ratio.

Genes as in the network family ``fmnist-vit``: ``depth``, ``embed``, ``heads_i``, ``mlp_i`` (i from 1). A sub-network uses
the first ``depth`` layers, the first ``embed`` channels, the first ``heads_i`` heads and ``mlp_i * embed`` hidden units.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.elastic import Elastic, ElasticLayerNorm, ElasticLinear, SubNetwork

HEAD_SIZE = 16
STEM_CHANNELS = 16


def _gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")  # the form a vector unit computes, and faster to train on a CPU


class _StemConv(Elastic):
    """3 x 3, stride 2, with bias and elastic output channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) * (2 / (9 * inputs)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, outputs: int) -> Tensor:
        product = F.conv2d(x, self.weight[:outputs], stride=2, padding=1)
        if self.effect is not None:
            product = self.effect(product, self.weight[0].numel())
        return product + self.bias[:outputs, None, None]


class _Layer(nn.Module):
    """Pre-norm transformer layer with ``heads`` heads of HEAD_SIZE and an MLP of ``hidden`` units."""

    def __init__(self, embed: int, heads: int, hidden: int) -> None:
        super().__init__()
        width = heads * HEAD_SIZE
        self.norm1, self.norm2 = ElasticLayerNorm(embed), ElasticLayerNorm(embed)
        self.query, self.key, self.value = (ElasticLinear(embed, width) for _ in range(3))
        self.project = ElasticLinear(width, embed)
        self.up, self.down = ElasticLinear(embed, hidden), ElasticLinear(hidden, embed)

    def forward(self, x: Tensor, heads: int, hidden: int) -> Tensor:
        n, tokens, embed = x.shape
        h = self.norm1(x)
        query, key, value = (
            proj(h, heads * HEAD_SIZE).view(n, tokens, heads, HEAD_SIZE).transpose(1, 2)
            for proj in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(n, tokens, -1)
        x = x + self.project(attended, embed)
        return x + self.down(_gelu(self.up(self.norm2(x), hidden)), embed)


class ElasticViT(nn.Module):
    """The super-network: images (n, 1, 28, 28) -> logits (n, classes)."""

    def __init__(self, depth: int = 6, embed: int = 64, heads: int = 4, mlp: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.stem1, self.stem2 = _StemConv(1, STEM_CHANNELS), _StemConv(STEM_CHANNELS, embed)
        self.position = nn.Parameter(torch.randn(1, 49, embed) * 0.02)
        self.layers = nn.ModuleList(_Layer(embed, heads, mlp * embed) for _ in range(depth))
        self.norm = ElasticLayerNorm(embed)
        self.head = ElasticLinear(embed, classes)
        self.classes = classes

    def forward(self, images: Tensor, subnet: SubNetwork) -> Tensor:
        embed = subnet["embed"]
        x = self.stem2(_gelu(self.stem1(images, STEM_CHANNELS)), embed)
        x = x.flatten(2).transpose(1, 2) + self.position[:, :, :embed]
        for i in range(subnet["depth"]):
            x = self.layers[i](x, subnet[f"heads_{i + 1}"], subnet[f"mlp_{i + 1}"] * embed)
        return self.head(self.norm(x).mean(1), self.classes)
