"""Elastic BERTs that classify sentences: BERT-base (SST-2), and MiniLM on sentences of film reviews."""

from cimbo.workloads.layers import Layer, linear, vector_work
from cimbo.workloads.transformer import Transformer

_TOKENS, _POSITIONS, _VOCABULARY, _SEGMENTS, _CLASSES = 128, 512, 30522, 2, 2
_REVIEW_TOKENS, _REVIEW_WORDS = 64, 13_441


def bert_base() -> Transformer:
    """Elastic BERT-base (uncased) on 128 tokens, hidden size 768, heads of 64, pooler and two classes.

    Space: DyNAS-T 1.6. Full size: 110M parameters (Devlin et al., 2019).

    Returns:
        The family of its sub-networks.
    """
    return Transformer(
        "bert-base",
        tokens=_TOKENS,
        depths=tuple(range(6, 13)),
        embeds=(768,),
        heads=(6, 8, 10, 12),
        head_size=64,
        ffn=(1024, 2048, 3072),
        front=lambda embed: [],
        back=_pooler,
        # 2: scale and shift of the embeddings' norm
        table=lambda embed: (_VOCABULARY + _POSITIONS + _SEGMENTS + 2) * embed,
    )


def _pooler(embed: int) -> list[Layer]:
    """The pooler of the first token, and the classifier of its output."""
    pooler = linear("pooler", 1, (embed, embed), work=vector_work(tanh=embed))
    return [pooler, linear("classifier", 1, (embed, _CLASSES))]


def reviews_minilm() -> Transformer:
    """Elastic MiniLM-L6 on 64 tokens, hidden size 384, heads of 32, mean pooling and two classes.

    Full size: 10.6M parameters in the layers (Wang et al., arXiv 2002.10957) and 5.2M in the table of the 13,441 words that
    occur in its sentences. 64 tokens is the longest sentence that is measured: a chip that runs one shape runs this one.

    Returns:
        The family of its sub-networks.
    """
    return Transformer(
        "reviews-minilm",
        tokens=_REVIEW_TOKENS,
        depths=(3, 4, 5, 6),
        embeds=(384,),
        heads=(4, 6, 8, 10, 12),
        head_size=32,
        ffn=(384, 768, 1152, 1536),
        front=lambda embed: [],
        back=_review_head,
        # 2: scale and shift of the embeddings' norm
        table=lambda embed: (_REVIEW_WORDS + _REVIEW_TOKENS + 2) * embed,
        ffn_gene="mlp",
    )


def _review_head(embed: int) -> list[Layer]:
    """Mean pooling and two classes; the sums and the norm of the embeddings, which no product precedes, count here too."""
    elements = _REVIEW_TOKENS * embed
    work = vector_work(add=elements, layernorm=elements, pool=elements)
    return [linear("head", 1, (embed, _CLASSES), work=work)]
