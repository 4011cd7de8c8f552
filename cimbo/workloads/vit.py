"""Elastic vision transformers: ViT and DeiT on ImageNet, and a small one on Fashion-MNIST."""

from dataclasses import dataclass, replace

from cimbo.workloads.layers import Layer, conv, linear, vector_work
from cimbo.workloads.transformer import Transformer

HEAD_SIZE, _CLASSES = 64, 1000
_SMALL_TOKENS, _SMALL_STEM, _SMALL_CLASSES = 7 * 7, 16, 10


@dataclass(frozen=True)
class _Sizes:
    """The width of a token, and the values of the genes, of a vision transformer on ImageNet.

    Attributes:
        embed: Width of a token.
        depths: Numbers of blocks.
        heads: Numbers of heads of a block.
        ffn: Hidden widths of a block's feed-forward layer.
    """

    embed: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    ffn: tuple[int, ...]


_SMALL_SIZES = _Sizes(384, depths=(10, 11, 12), heads=(3, 4, 5, 6), ffn=(512, 1024, 1536))
_BASE_SIZES = _Sizes(768, depths=(10, 11, 12), heads=(6, 8, 10, 12), ffn=(1024, 2048, 3072))
_LARGE_SIZES = _Sizes(1024, depths=(20, 22, 24), heads=(8, 10, 12, 14, 16), ffn=(2048, 3072, 4096))


def vit_b() -> Transformer:
    """Elastic ViT-B/16: 224 x 224 images, 197 tokens with the class token, hidden size 768, heads of 64.

    Space: DyNAS-T 1.6 (layers, heads, feed-forward widths). Full size: 86.57M parameters (Dosovitskiy et al., 2021).

    Returns:
        The family of its sub-networks.
    """
    return _patched("vit-b", _BASE_SIZES)


def vit_s() -> Transformer:
    """Elastic ViT-S/16, as DeiT-S: hidden size 384. Full size: 22.05M parameters (Touvron et al., 2021)."""
    return _patched("vit-s", _SMALL_SIZES)


def vit_l() -> Transformer:
    """Elastic ViT-L/16: hidden size 1024, 24 layers. Full size: 304.33M parameters (Dosovitskiy et al., 2021)."""
    return _patched("vit-l", _LARGE_SIZES)


def vit_b_384() -> Transformer:
    """Elastic ViT-B/16 on 384 x 384 images. Full size: 86.86M parameters."""
    return _patched("vit-b-384", _BASE_SIZES, side=24)


def deit_b_distilled() -> Transformer:
    """Elastic DeiT-B/16 with a distillation token and its head. Full size: 87.34M parameters (Touvron et al., 2021)."""
    return _patched("deit-b-distilled", _BASE_SIZES, prefix=2)


def _patched(
    name: str,
    sizes: _Sizes,
    *,
    side: int = 14,
    prefix: int = 1,
) -> Transformer:
    """Make a vision transformer on patches of 16 x 16 pixels.

    Args:
        name: Name of the family.
        sizes: Width of a token, and the values of the genes.
        side: Patches on a side of the image.
        prefix: Tokens before those of the patches, which are classified: 1, or 2 with one for distillation.

    Returns:
        The family.
    """
    patches = side * side
    return Transformer(
        name,
        tokens=patches + prefix,
        depths=sizes.depths,
        embeds=(sizes.embed,),
        heads=sizes.heads,
        head_size=HEAD_SIZE,
        ffn=sizes.ffn,
        front=lambda width: _patches(width, side, prefix),
        back=lambda width: _class_heads(width, patches, prefix),
        # A position for every token, and the learned tokens of the prefix
        table=lambda width: (patches + 2 * prefix) * width,
    )


def _patches(embed: int, side: int, prefix: int) -> list[Layer]:
    """The convolution that makes tokens of patches; positions are added to all tokens after it."""
    layer = conv("patches", side * 16, (3, embed), 16, stride=16, parameters=embed)
    work = vector_work(add=(side * side + prefix) * embed)
    return [replace(layer, vector_ops=layer.vector_ops + work)]


def _class_heads(embed: int, patches: int, prefix: int) -> list[Layer]:
    """A norm of all tokens, then a classifier for each token of the prefix; the outputs of two are averaged."""
    norm = vector_work(layernorm=(patches + prefix) * embed)
    heads = [linear("head", 1, (embed, _CLASSES), work=norm, norm=2 * embed)]
    if prefix == 2:
        heads.append(linear("head_distilled", 1, (embed, _CLASSES), work=vector_work(add=_CLASSES)))
    return heads


def fmnist_vit() -> Transformer:
    """Elastic ViT on 28 x 28 x 1 images: convolutional stem to 49 tokens, mean pooling, heads of 16."""
    return Transformer(
        "fmnist-vit",
        tokens=_SMALL_TOKENS,
        depths=(2, 3, 4, 5, 6),
        embeds=(32, 48, 64),
        heads=(1, 2, 3, 4),
        head_size=16,
        ffn=(1, 2, 3),
        front=_stem,
        back=_mean_head,
        table=lambda embed: _SMALL_TOKENS * embed,  # positions
        ffn_gene="mlp",
        relative_ffn=True,
    )


def _stem(embed: int) -> list[Layer]:
    """Two convolutions of stride 2, from 28 x 28 pixels to 7 x 7 tokens, to which positions are added."""
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
    """A norm of all tokens, their mean, and a classifier of it."""
    elements = _SMALL_TOKENS * embed
    work = vector_work(layernorm=elements, pool=elements)
    return [linear("head", 1, (embed, _SMALL_CLASSES), work=work, norm=2 * embed)]
