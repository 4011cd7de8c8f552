"""Elastic BERT that classifies sentences, of checkpoints as Hugging Face saves ``BertForSequenceClassification``.

A sub-network uses the first ``depth`` layers, and in each the first ``heads_i`` heads of 64 and ``ffn_i`` hidden units.
Genes as in the network family ``bert-base``. Layers are those of BERT (Devlin et al., arXiv 1810.04805): a norm after each
sum, GELU, a pooler on the first token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.supernets.elastic import ElasticLinear, SubNetwork

HEAD_SIZE = 64
LAYER_COUNT, EMBED_SIZE, HEAD_COUNT, HIDDEN_UNITS = 12, 768, 12, 3072
POSITION_COUNT, SEGMENT_COUNT = 512, 2
NORM_EPS = 1e-12
PADDING_WORD = 0  # [PAD] in BERT's vocabularies

HUGGING_FACE_NAMES = [
    (r"^bert\.", ""),
    (r"\.gamma$", ".weight"),  # as TensorFlow's checkpoints were converted once
    (r"\.beta$", ".bias"),
    (r"^embeddings\.word_embeddings\.", "words."),
    (r"^embeddings\.position_embeddings\.", "positions."),
    (r"^embeddings\.token_type_embeddings\.", "segments."),
    (r"^embeddings\.LayerNorm\.", "norm."),
    (r"^encoder\.layer\.", "layers."),
    (r"\.attention\.self\.", "."),
    (r"\.attention\.output\.dense\.", ".project."),
    (r"\.attention\.output\.LayerNorm\.", ".norm1."),
    (r"\.intermediate\.dense\.", ".up."),
    (r"\.output\.dense\.", ".down."),
    (r"\.output\.LayerNorm\.", ".norm2."),
    (r"^pooler\.dense\.", "pooler."),
    (r"^classifier\.", "head."),
]


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gives the tensors of a checkpoint the names that `ElasticBert` has.

    Args:
        state: Tensors as Hugging Face names them.

    Returns:
        The same tensors, without the numbers of positions that old versions saved beside them.
    """
    tensors = {}
    for name, tensor in state.items():
        for pattern, replacement in HUGGING_FACE_NAMES:
            name = re.sub(pattern, replacement, name)
        if not name.endswith("position_ids"):
            tensors[name] = tensor
    return tensors


class _Layer(nn.Module):
    """Post-norm transformer layer with elastic heads and hidden units."""

    def __init__(self) -> None:
        super().__init__()
        width = HEAD_COUNT * HEAD_SIZE
        self.query, self.key, self.value = (ElasticLinear(EMBED_SIZE, width) for _ in range(3))
        self.project = ElasticLinear(width, EMBED_SIZE)
        self.up, self.down = (
            ElasticLinear(EMBED_SIZE, HIDDEN_UNITS),
            ElasticLinear(HIDDEN_UNITS, EMBED_SIZE),
        )
        self.norm1, self.norm2 = (nn.LayerNorm(EMBED_SIZE, NORM_EPS) for _ in range(2))

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
        query, key, value = (
            proj(x, heads * HEAD_SIZE).unflatten(-1, (heads, HEAD_SIZE)).transpose(1, 2)
            for proj in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = self.norm1(x + self.project(attended.transpose(1, 2).flatten(2), EMBED_SIZE))
        result: Tensor = self.norm2(x + self.down(F.gelu(self.up(x, hidden)), EMBED_SIZE))
        return result


class ElasticBert(nn.Module):
    """A super-network: numbers of words (n, tokens) -> logits (n, classes)."""

    def __init__(self, n_words: int, classes: int) -> None:
        """Makes the layers, their weights at random.

        Args:
            n_words: Size of the vocabulary.
            classes: How many classes it tells apart.
        """
        super().__init__()
        self.words = nn.Embedding(n_words, EMBED_SIZE)
        self.positions = nn.Embedding(POSITION_COUNT, EMBED_SIZE)
        self.segments = nn.Embedding(SEGMENT_COUNT, EMBED_SIZE)
        self.norm = nn.LayerNorm(EMBED_SIZE, NORM_EPS)
        self.layers = nn.ModuleList(_Layer() for _ in range(LAYER_COUNT))
        self.pooler = ElasticLinear(EMBED_SIZE, EMBED_SIZE)
        self.head = ElasticLinear(EMBED_SIZE, classes)

    def forward(self, sentences: Tensor, subnet: SubNetwork) -> Tensor:
        """Computes the logits of sentences as one sub-network does.

        Args:
            sentences: Numbers of words, (n, tokens), rows filled up with PADDING_WORD.
            subnet: Genes of the sub-network.

        Returns:
            Logits, (n, classes).
        """
        mask = (sentences != PADDING_WORD)[:, None, None, :]
        places = self.positions.weight[: sentences.shape[1]] + self.segments.weight[0]
        x = self.norm(self.words(sentences) + places)
        for i, layer in enumerate(self.layers[: subnet["depth"]], 1):
            x = layer(x, mask, subnet[f"heads_{i}"], subnet[f"ffn_{i}"])
        pooled = torch.tanh(self.pooler(x[:, 0], EMBED_SIZE))
        result: Tensor = self.head(pooled, len(self.head.bias))
        return result


def build(classes: int, state: Mapping[str, Tensor], raw: Mapping[str, Tensor]) -> nn.Module:
    """Builds the super-network of a checkpoint, whose vocabulary may be of any size.

    Args:
        classes: How many classes it tells apart.
        state: Its tensors, renamed.
        raw: Its tensors as they are named in the file; not needed.

    Returns:
        The network, its weights not set.
    """
    n_words = len(state["words.weight"]) if "words.weight" in state else 1
    return ElasticBert(n_words, classes)
