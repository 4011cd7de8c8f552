"""Elastic MiniLM: a pre-trained encoder of sentences whose layers, heads and hidden units can be left out.

Genes as in the network family ``reviews-minilm``: ``depth``, ``heads_i``, ``mlp_i`` (i from 1). A sub-network uses the first
``depth`` layers, the first ``heads_i`` heads and the first ``mlp_i`` hidden units, which :func:`sort_by_importance` puts in
order before training. Layers are those of BERT: each of the two norms comes after its sum. All-MiniLM-L6-v2 has 6 layers of
384, 12 heads of 32 and 1,536 hidden units (Wang et al., arXiv 2002.10957).

A sentence is a row of numbers of words, padded with PADDING_WORD at its end. Padding is never looked at: in training it is
masked, and a deployed sub-network computes sentences of one length together, without any.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.deployment import ArrayLinear, Deployed
from cimbo.supernets.die import Die, at_stage
from cimbo.supernets.elastic import ElasticLayerNorm, ElasticLinear, SubNetwork, stacked
from cimbo.supernets.rounded_attention import attention_at
from cimbo.supernets.transformer_functions import gelu

HEAD_SIZE = 32
EMBED_SIZE = 384
SENTENCE_POSITIONS = 64  # words of a sentence at most, start and end among them
N_WORDS = 13_441  # size of the shipped vocabulary, including the padding
MASKED_SCORE = -1e9  # attention score of padding: its weight becomes zero
PADDING_WORD = 0  # number of the word that fills a row up
# Inputs by which a layer's errors are measured; few, because it has so many weights
ERROR_INPUTS = 128
# Tokens computed together: few enough that a layer's outputs stay in a core's cache
TOKENS_A_BATCH = 512


class MiniLMLayer(nn.Module):
    """Post-norm transformer layer with ``heads`` heads of HEAD_SIZE and an MLP of ``hidden`` units."""

    def __init__(self, embed: int, heads: int, hidden: int) -> None:
        super().__init__()
        width = heads * HEAD_SIZE
        self.query, self.key, self.value = (ElasticLinear(embed, width) for _ in range(3))
        self.project = ElasticLinear(width, embed)
        self.up, self.down = ElasticLinear(embed, hidden), ElasticLinear(hidden, embed)
        self.norm1, self.norm2 = ElasticLayerNorm(embed), ElasticLayerNorm(embed)

    def forward(self, x: Tensor, mask: Tensor, heads: int, hidden: int) -> Tensor:
        """Runs the layer with some of its heads and hidden units.

        Args:
            x: Tokens, (n, tokens, embed).
            mask: Which tokens are words, (n, 1, 1, tokens).
            heads: How many leading heads compute.
            hidden: How many leading units of the MLP compute.

        Returns:
            Tokens of the same shape.
        """
        n, tokens, embed = x.shape
        query, key, value = (
            proj(x, heads * HEAD_SIZE).view(n, tokens, heads, HEAD_SIZE).transpose(1, 2)
            for proj in (self.query, self.key, self.value)
        )
        # Two products by hand: several times as fast as torch's attention on so few tokens.
        scores = query @ key.transpose(2, 3) * HEAD_SIZE**-0.5
        weights = scores.masked_fill(~mask, MASKED_SCORE).softmax(-1)
        attended = (weights @ value).transpose(1, 2).reshape(n, tokens, -1)
        x = self.norm1(x + self.project(attended, embed))
        units = F.gelu(self.up(x, hidden), approximate="tanh")
        result: Tensor = self.norm2(x + self.down(units, embed))
        return result


class ElasticMiniLM(nn.Module):
    """The super-network: numbers of words (n, tokens) -> logits (n, classes)."""

    def __init__(
        self,
        n_words: int = N_WORDS,
        depth: int = 6,
        embed: int = EMBED_SIZE,
        heads: int = 12,
        hidden: int = 1536,
        classes: int = 2,
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(n_words, embed)
        self.position = nn.Parameter(torch.randn(SENTENCE_POSITIONS, embed) * 0.02)
        self.norm = ElasticLayerNorm(embed)
        self.layers = nn.ModuleList(MiniLMLayer(embed, heads, hidden) for _ in range(depth))
        self.head = ElasticLinear(embed, classes)
        self.classes = classes

    def forward(self, sentences: Tensor, subnet: SubNetwork) -> Tensor:
        """Computes the logits of sentences as one sub-network does.

        Args:
            sentences: Numbers of words, (n, tokens), rows filled up with PADDING_WORD; at most SENTENCE_POSITIONS
                tokens.
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes).
        """
        is_word = sentences != PADDING_WORD
        mask = is_word[:, None, None, :]
        x = self.norm(self.words(sentences) + self.position[: sentences.shape[1]])
        for i in range(subnet["depth"]):
            x = self.layers[i](x, mask, subnet[f"heads_{i + 1}"], subnet[f"mlp_{i + 1}"])
        kept = is_word.unsqueeze(-1).to(x.dtype)
        result: Tensor = self.head((x * kept).sum(1) / kept.sum(1), self.classes)
        return result

    def deploy(self, subnet: SubNetwork, die: Die | None = None) -> Deployed:
        """Hands out a sub-network as a chip holds it (:mod:`cimbo.supernets.deployment`).

        The first sentences that it sees calibrate it.

        Args:
            subnet: Genes of the sub-network.
            die: The chip that computes it; None: without error.

        Returns:
            A function from numbers of words (n, tokens) to logits (n, classes).
        """
        return _DeployedMiniLM(self, subnet, die)


class _DeployedLayer:
    """A deployed transformer layer of ``width`` of all heads together and ``hidden`` units of the MLP."""

    def __init__(self, layer: MiniLMLayer, width: int, hidden: int, die: Die | None) -> None:
        def linear(rows: int, outputs: int, *layers: ElasticLinear) -> ArrayLinear:
            weight, bias = stacked(rows, outputs, layers)
            return ArrayLinear(weight, bias, die, len(layers), error_inputs=ERROR_INPUTS)

        embed = layer.query.weight.shape[1]
        self.heads = width // HEAD_SIZE
        self.attention = attention_at(die)
        self.norm1, self.norm2 = layer.norm1, layer.norm2
        self.attend = linear(embed, width, layer.query, layer.key, layer.value)
        self.project = linear(width, embed, layer.project)
        self.up, self.down = linear(embed, hidden, layer.up), linear(hidden, embed, layer.down)

    def __call__(self, x: Tensor, lengths: list[int]) -> Tensor:
        """Run the layer on words of whole sentences, one sentence after another.

        Args:
            x: Words, (words, embed).
            lengths: Words of each sentence; equal lengths follow one another.

        Returns:
            Words of the same shape.
        """
        attended = self._attended(self.attend(x), lengths)
        x = self.norm1(self.project(attended).add_(x))
        result: Tensor = self.norm2(self.down(gelu(self.up(x))).add_(x))
        return result

    def _attended(self, operands: Tensor, lengths: list[int]) -> Tensor:
        """Compute attention within each sentence, for all sentences of one length at a time.

        Args:
            operands: Query, key and value of each word, (words, 3 * width).
            lengths: Words of each sentence; equal lengths follow one another.

        Returns:
            (words, width).
        """
        attended, start = [], 0
        for length, count in runs(lengths):
            some = operands[start : start + length * count]
            parts = some.view(count, length, 3, self.heads, HEAD_SIZE).permute(2, 0, 3, 1, 4)
            query, key, value = parts.contiguous().view(3, -1, length, HEAD_SIZE)
            mixed = self.attention(query, key, value).view(count, self.heads, length, HEAD_SIZE)
            attended.append(mixed.transpose(1, 2).reshape(count * length, -1))
            start += length * count
        return torch.cat(attended)


class _DeployedMiniLM:
    """A deployed sub-network of `ElasticMiniLM`."""

    batch_size = 1 << 20  # batches are made here, of sentences of similar length

    def __init__(self, network: ElasticMiniLM, subnet: SubNetwork, die: Die | None) -> None:
        self.network, self.subnet, self.die = network, subnet, die
        self.layers: list[_DeployedLayer] = []
        self.head = ArrayLinear(
            network.head.weight, network.head.bias, None if die is None else die.bit_accurate()
        )
        self.is_calibrated = die is None

    def __call__(self, sentences: Tensor) -> Tensor:
        """Compute the logits of sentences (n, tokens), (n, classes); the first sentences calibrate it.

        Sentences are sorted by length, so that those of one length can be computed together without
        padding; their logits are put back in the order given.

        Returns:
            Logits, (n, classes).
        """
        lengths = (sentences != PADDING_WORD).sum(1)
        order = lengths.argsort(stable=True, descending=True)
        if not self.is_calibrated:
            self.is_calibrated = True
            batches = [order]  # all at once: the ranges of converters are of every length
        else:
            batches = batches_of_words(lengths, order, TOKENS_A_BATCH)
        by_length = torch.cat([self._logits(sentences[b], lengths[b].tolist()) for b in batches])
        logits = torch.empty_like(by_length)
        logits[order] = by_length
        return logits

    def _logits(self, sentences: Tensor, lengths: list[int]) -> Tensor:
        """The logits of sentences (n, tokens) sorted by length, (n, classes)."""
        network = self.network
        rows, places = (sentences != PADDING_WORD).nonzero(as_tuple=True)
        x = network.norm(network.words(sentences[rows, places]) + network.position[places])
        for i in range(self.subnet["depth"]):
            if i == len(self.layers):
                self.layers.append(self._layer(i))
            x = self.layers[i](x, lengths)
        return self.head(torch.stack([some.mean(0) for some in x.split(lengths)]))

    def _layer(self, i: int) -> _DeployedLayer:
        """Layer ``i``, from 0, made when it is first met: until it is calibrated its cells take much memory."""
        return _DeployedLayer(
            cast(MiniLMLayer, self.network.layers[i]),
            self.subnet[f"heads_{i + 1}"] * HEAD_SIZE,
            self.subnet[f"mlp_{i + 1}"],
            at_stage(self.die, self.subnet, i + 1),
        )


def runs(lengths: list[int]) -> list[tuple[int, int]]:
    """Group equal numbers that follow one another: [7, 7, 5] gives [(7, 2), (5, 1)].

    Args:
        lengths: Numbers of words.

    Returns:
        Each number and how many of it there are in a row.
    """
    groups: list[tuple[int, int]] = []
    for length in lengths:
        if groups and groups[-1][0] == length:
            groups[-1] = (length, groups[-1][1] + 1)
        else:
            groups.append((length, 1))
    return groups


def batches_of_words(lengths: Tensor, order: Tensor, most: int) -> list[Tensor]:
    """Cuts sentences into batches of about equally many words.

    Args:
        lengths: Words of each sentence, (n,).
        order: Numbers of the sentences in the order in which they are cut, (n,).
        most: Words after which a batch ends.

    Returns:
        Numbers of the sentences of each batch.
    """
    words_so_far = lengths[order].cumsum(0)
    batch_of_sentence = (words_so_far - 1) // most
    counts = batch_of_sentence.unique_consecutive(return_counts=True)[1]
    return list(order.split(counts.tolist()))


def sort_by_importance(network: ElasticMiniLM, losses: Iterable[Tensor]) -> None:
    """Sort heads and hidden units by importance; the largest sub-network computes the same as before.

    The importance of a head or unit is the change of the loss without it, to first order, in absolute value and summed
    over batches: the gradient of a gate on it (Michel et al., arXiv 1905.10650).

    Args:
        network: The super-network; changed in place.
        losses: Loss of the largest sub-network on one batch after another.
    """
    layers = [cast(MiniLMLayer, layer) for layer in network.layers]
    head_importance = [torch.zeros(layer.project.weight.shape[1] // HEAD_SIZE) for layer in layers]
    unit_importance = [torch.zeros(layer.down.weight.shape[1]) for layer in layers]
    for loss in losses:
        network.zero_grad(set_to_none=True)
        loss.backward()
        for layer, heads, units in zip(layers, head_importance, unit_importance, strict=True):
            heads += _gate_gradient(layer.project.weight).view(-1, HEAD_SIZE).sum(1).abs()
            units += _gate_gradient(layer.down.weight).abs()
    network.zero_grad(set_to_none=True)
    for layer, heads, units in zip(layers, head_importance, unit_importance, strict=True):
        _reorder(layer, heads.argsort(descending=True), units.argsort(descending=True))


def _gate_gradient(weight: nn.Parameter) -> Tensor:
    """Gradient of a factor (gate) on each input of a layer, (rows,).

    By the chain rule it is the sum over outputs of weight times gradient of the weight.

    Returns:
        Gradients, (rows,).
    """
    assert weight.grad is not None
    return (weight.detach() * weight.grad).sum(0)


@torch.no_grad()
def _reorder(layer: MiniLMLayer, heads: Tensor, units: Tensor) -> None:
    """Put a layer's heads and hidden units into a new order, given as their old numbers."""
    width = (heads[:, None] * HEAD_SIZE + torch.arange(HEAD_SIZE)).flatten()
    for projection in (layer.query, layer.key, layer.value):
        projection.weight.copy_(projection.weight[width].clone())
        projection.bias.copy_(projection.bias[width].clone())
    layer.project.weight.copy_(layer.project.weight[:, width].clone())
    layer.up.weight.copy_(layer.up.weight[units].clone())
    layer.up.bias.copy_(layer.up.bias[units].clone())
    layer.down.weight.copy_(layer.down.weight[:, units].clone())
