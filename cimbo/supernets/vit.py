"""Elastic vision transformer for small images: depth, embedding, per-layer heads and MLP ratio.

Genes as in the network family ``fmnist-vit``: ``depth``, ``embed``, ``heads_i``, ``mlp_i`` (i from 1). A sub-network uses
the first ``depth`` layers, the first ``embed`` channels, the first ``heads_i`` heads and ``mlp_i * embed`` hidden units.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.deployment import ArrayConv, ArrayLinear, Classifier, Deployed
from cimbo.supernets.die import Die, at_stage
from cimbo.supernets.elastic import Elastic, ElasticLayerNorm, ElasticLinear, SubNetwork, stacked
from cimbo.supernets.rounded_attention import attention_at
from cimbo.supernets.transformer_functions import gelu

HEAD_SIZE = 16
STEM_CHANNELS = 16


def _gelu(x: Tensor) -> Tensor:
    """GELU in its tanh form, which a vector unit computes and which trains faster on a CPU."""
    return F.gelu(x, approximate="tanh")


class _StemConv(Elastic):
    """A 3 x 3 convolution of stride 2, with bias and elastic output channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) * (2 / (9 * inputs)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, outputs: int) -> Tensor:
        """Convolves images with the leading output channels.

        Args:
            x: Images, (n, inputs, h, w).
            outputs: How many output channels compute.

        Returns:
            (n, outputs, h / 2, w / 2), sizes rounded up.
        """
        product = self.convolved(x, self.weight[:outputs], stride=2, padding=1)
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
        """Runs the layer with some of its heads and hidden units.

        Args:
            x: Tokens, (n, tokens, embed).
            heads: How many leading heads compute.
            hidden: How many leading units of the MLP compute.

        Returns:
            Tokens of the same shape.
        """
        n, tokens, embed = x.shape
        h = self.norm1(x)
        query, key, value = (
            proj(h, heads * HEAD_SIZE).view(n, tokens, heads, HEAD_SIZE).transpose(1, 2)
            for proj in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value)
        attended = attended.transpose(1, 2).reshape(n, tokens, -1)
        x = x + self.project(attended, embed)
        result: Tensor = x + self.down(_gelu(self.up(self.norm2(x), hidden)), embed)
        return result


class ElasticViT(nn.Module):
    """The super-network: images (n, 1, 28, 28) -> logits (n, classes)."""

    def __init__(
        self, depth: int = 6, embed: int = 64, heads: int = 4, mlp: int = 3, classes: int = 10
    ) -> None:
        super().__init__()
        self.stem1, self.stem2 = _StemConv(1, STEM_CHANNELS), _StemConv(STEM_CHANNELS, embed)
        self.position = nn.Parameter(torch.randn(1, 49, embed) * 0.02)
        self.layers = nn.ModuleList(_Layer(embed, heads, mlp * embed) for _ in range(depth))
        self.norm = ElasticLayerNorm(embed)
        self.head = ElasticLinear(embed, classes)
        self.classes = classes

    def forward(self, images: Tensor, subnet: SubNetwork) -> Tensor:
        """Computes the logits of images as one sub-network does.

        Args:
            images: Normalised images, (n, 1, 28, 28).
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes).
        """
        embed = subnet["embed"]
        x = self.stem2(_gelu(self.stem1(images, STEM_CHANNELS)), embed)
        x = x.flatten(2).transpose(1, 2) + self.position[:, :, :embed]
        for i in range(subnet["depth"]):
            x = self.layers[i](x, subnet[f"heads_{i + 1}"], subnet[f"mlp_{i + 1}"] * embed)
        result: Tensor = self.head(self.norm(x).mean(1), self.classes)
        return result

    def deploy(self, subnet: SubNetwork, die: Die | None = None) -> Deployed:
        """Hands out a sub-network as a chip holds it (:mod:`cimbo.supernets.deployment`).

        The first images that it sees calibrate it.

        Args:
            subnet: Genes of the sub-network.
            die: The chip that computes it; None: without error.

        Returns:
            A function from images (n, 1, 28, 28) to logits (n, classes).
        """
        return _DeployedViT(self, subnet, die)


class _DeployedLayer:
    """A deployed transformer layer of ``embed`` channels, ``width`` of all heads together, ``hidden`` units of the MLP."""

    def __init__(self, layer: _Layer, embed: int, width: int, hidden: int, die: Die | None) -> None:
        def linear(rows: int, outputs: int, *layers: ElasticLinear) -> ArrayLinear:
            return ArrayLinear(*stacked(rows, outputs, layers), die, len(layers))

        self.heads = width // HEAD_SIZE
        self.attention = attention_at(die)
        self.norm1, self.norm2 = layer.norm1, layer.norm2
        self.attend = linear(embed, width, layer.query, layer.key, layer.value)
        self.project = linear(width, embed, layer.project)
        self.up, self.down = linear(embed, hidden, layer.up), linear(hidden, embed, layer.down)

    def __call__(self, x: Tensor, tokens: int) -> Tensor:
        """Run the layer on the tokens of n images, (n * tokens, embed)."""
        operands = self.attend(self.norm1(x)).view(-1, tokens, 3, self.heads, HEAD_SIZE)
        # Query, key and value, each (n * heads, tokens, head size).
        operands = operands.permute(2, 0, 3, 1, 4).contiguous().view(3, -1, tokens, HEAD_SIZE)
        attended = self.attention(*operands).view(-1, self.heads, tokens, HEAD_SIZE)
        attended = attended.transpose(1, 2).reshape(len(x), -1)
        x = self.project(attended).add_(x)
        return self.down(gelu(self.up(self.norm2(x)))).add_(x)


class _DeployedViT(Classifier):
    """A deployed sub-network of `ElasticViT`."""

    def __init__(self, network: ElasticViT, subnet: SubNetwork, die: Die | None) -> None:
        embed = self.embed = subnet["embed"]
        stems = ((network.stem1, 1, STEM_CHANNELS), (network.stem2, STEM_CHANNELS, embed))
        self.stem1, self.stem2 = (
            ArrayConv(stem.weight[:outputs, :inputs], stem.bias[:outputs], die, stride=2, padding=1)
            for stem, inputs, outputs in stems
        )
        self.position = network.position[0, :, :embed]
        self.layers = [
            _DeployedLayer(
                cast(_Layer, layer),
                embed,
                subnet[f"heads_{i}"] * HEAD_SIZE,
                subnet[f"mlp_{i}"] * embed,
                at_stage(die, subnet, i),
            )
            for i, layer in enumerate(network.layers[: subnet["depth"]], 1)
        ]
        self.norm = network.norm
        super().__init__(network.head.weight[:, :embed], network.head.bias, die)

    def features(self, images: Tensor) -> Tensor:
        """Computes the mean token of each image, (n, embed)."""
        x = self.stem2(gelu(self.stem1(images.contiguous(memory_format=torch.channels_last))))
        x = x.permute(0, 2, 3, 1).flatten(1, 2) + self.position
        n, tokens, embed = x.shape
        x = x.view(-1, embed)
        for layer in self.layers:
            x = layer(x, tokens)
        result: Tensor = self.norm(x).view(n, tokens, embed).mean(1)
        return result
