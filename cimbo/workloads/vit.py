"""Elastic vision transformers: ViT-B/16 on ImageNet, and a small one on Fashion-MNIST."""

from dataclasses import replace

from cimbo.workloads.layers import Layer, conv, linear, vector_work
from cimbo.workloads.transformer import Transformer

_PATCHES, _CLASSES = 14 * 14, 1000
_SMALL_TOKENS, _SMALL_STEM, _SMALL_CLASSES = 7 * 7, 16, 10


def vit_b() -> Transformer:
    """Elastic ViT-B/16: 224 x 224 images, 197 tokens with the class token, hidden size 768, heads of 64.

    Space: DyNAS-T 1.6 (layers, heads, feed-forward widths). Full size: 86.57M parameters (Dosovitskiy et al., 2021).

    Returns:
        The family of its sub-networks.
    """
    return Transformer(
        "vit-b",
        _PATCHES + 1,
        (10, 11, 12),
        (768,),
        (6, 8, 10, 12),
        64,
        (1024, 2048, 3072),
        front=_patches,
        back=_class_head,
        table=lambda embed: (_PATCHES + 2) * embed,  # positions and the class token
    )


def _patches(embed: int) -> list[Layer]:
    layer = conv("patches", 14 * 16, (3, embed), 16, stride=16, parameters=embed)
    return [replace(layer, vector_ops=layer.vector_ops + vector_work(add=(_PATCHES + 1) * embed))]


def _class_head(embed: int) -> list[Layer]:
    norm = vector_work(layernorm=(_PATCHES + 1) * embed)
    return [linear("head", 1, (embed, _CLASSES), work=norm, norm=2 * embed)]


def fmnist_vit() -> Transformer:
    """Elastic ViT on 28 x 28 x 1 images: convolutional stem to 49 tokens, mean pooling, heads of 16."""
    return Transformer(
        "fmnist-vit",
        _SMALL_TOKENS,
        (2, 3, 4, 5, 6),
        (32, 48, 64),
        (1, 2, 3, 4),
        16,
        (1, 2, 3),
        front=_stem,
        back=_mean_head,
        table=lambda embed: _SMALL_TOKENS * embed,  # positions
        ffn_gene="mlp",
        relative_ffn=True,
    )


def _stem(embed: int) -> list[Layer]:
    width = _SMALL_STEM
    first = conv(
        "stem_1", 28, (1, width), 3, stride=2, parameters=width, work=lambda n: vector_work(gelu=n)
    )
    second = conv(
        "stem_2",
        14,
        (width, embed),
        3,
        stride=2,
        parameters=embed,
        work=lambda n: vector_work(add=n),
    )
    return [first, second]


def _mean_head(embed: int) -> list[Layer]:
    elements = _SMALL_TOKENS * embed
    work = vector_work(layernorm=elements, pool=elements)
    return [linear("head", 1, (embed, _SMALL_CLASSES), work=work, norm=2 * embed)]
