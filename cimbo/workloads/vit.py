"""Elastic vision transformers: ViT and DeiT on ImageNet, and a small one on Fashion-MNIST."""

from dataclasses import replace

from cimbo.workloads.layers import Layer, conv, linear, vector_work
from cimbo.workloads.transformer import Transformer

HEAD_SIZE, _CLASSES = 64, 1000
_SMALL_TOKENS, _SMALL_STEM, _SMALL_CLASSES = 7 * 7, 16, 10


def vit_b() -> Transformer:
    """Elastic ViT-B/16: 224 x 224 images, 197 tokens with the class token, hidden size 768, heads of 64.

    Space: DyNAS-T 1.6 (layers, heads, feed-forward widths). Full size: 86.57M parameters (Dosovitskiy et al., 2021).

    Returns:
        The family of its sub-networks.
    """
    return _patched("vit-b", 768, (10, 11, 12), (6, 8, 10, 12), (1024, 2048, 3072))


def vit_s() -> Transformer:
    """Elastic ViT-S/16, as DeiT-S: hidden size 384. Full size: 22.05M parameters (Touvron et al., 2021)."""
    return _patched("vit-s", 384, (10, 11, 12), (3, 4, 5, 6), (512, 1024, 1536))


def vit_l() -> Transformer:
    """Elastic ViT-L/16: hidden size 1024, 24 layers. Full size: 304.33M parameters (Dosovitskiy et al., 2021)."""
    return _patched("vit-l", 1024, (20, 22, 24), (8, 10, 12, 14, 16), (2048, 3072, 4096))


def vit_b_384() -> Transformer:
    """Elastic ViT-B/16 on 384 x 384 images. Full size: 86.86M parameters."""
    return _patched("vit-b-384", 768, (10, 11, 12), (6, 8, 10, 12), (1024, 2048, 3072), side=24)


def deit_b_distilled() -> Transformer:
    """Elastic DeiT-B/16 with a distillation token and its head. Full size: 87.34M parameters (Touvron et al., 2021)."""
    return _patched(
        "deit-b-distilled", 768, (10, 11, 12), (6, 8, 10, 12), (1024, 2048, 3072), prefix=2
    )


def _patched(
    name: str,
    embed: int,
    depths: tuple[int, ...],
    heads: tuple[int, ...],
    ffn: tuple[int, ...],
    *,
    side: int = 14,
    prefix: int = 1,
) -> Transformer:
    """Transformer on ``side`` x ``side`` patches, with ``prefix`` tokens that are classified."""
    patches = side * side
    return Transformer(
        name,
        patches + prefix,
        depths,
        (embed,),
        heads,
        HEAD_SIZE,
        ffn,
        front=lambda width: _patches(width, side, prefix),
        back=lambda width: _class_heads(width, patches, prefix),
        table=lambda width: (patches + 2 * prefix) * width,  # positions, and tokens of the prefix
    )


def _patches(embed: int, side: int, prefix: int) -> list[Layer]:
    layer = conv("patches", side * 16, (3, embed), 16, stride=16, parameters=embed)
    work = vector_work(add=(side * side + prefix) * embed)
    return [replace(layer, vector_ops=layer.vector_ops + work)]


def _class_heads(embed: int, patches: int, prefix: int) -> list[Layer]:
    norm = vector_work(layernorm=(patches + prefix) * embed)
    heads = [linear("head", 1, (embed, _CLASSES), work=norm, norm=2 * embed)]
    if prefix == 2:
        heads.append(linear("head_distilled", 1, (embed, _CLASSES), work=vector_work(add=_CLASSES)))
    return heads


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
