"""Elastic BERT-base for sentence classification (SST-2)."""

from cimbo.workloads.layers import Layer, linear, vector_work
from cimbo.workloads.transformer import Transformer

_TOKENS, _POSITIONS, _VOCABULARY, _SEGMENTS, _CLASSES = 128, 512, 30522, 2, 2


def bert_base() -> Transformer:
    """Elastic BERT-base (uncased) on 128 tokens, hidden size 768, heads of 64, pooler and two classes.

    Space: DyNAS-T 1.6. Full size: 110M parameters (Devlin et al., 2019).
    """
    return Transformer(
        "bert-base",
        _TOKENS,
        tuple(range(6, 13)),
        (768,),
        (6, 8, 10, 12),
        64,
        (1024, 2048, 3072),
        front=lambda embed: [],
        back=_pooler,
        table=lambda embed: (
            (_VOCABULARY + _POSITIONS + _SEGMENTS + 2) * embed
        ),  # and the norm of the embeddings
    )


def _pooler(embed: int) -> list[Layer]:
    pooler = linear("pooler", 1, (embed, embed), work=vector_work(tanh=embed))
    return [pooler, linear("classifier", 1, (embed, _CLASSES))]
