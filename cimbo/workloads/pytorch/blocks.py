"""Blocks of a module that repeat, and their layers with fewer heads or a narrower feed-forward part.

A block is sliced in its layers, as a super-network slices its weights: the first heads and the first hidden units stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch

from cimbo.workloads.layers import Layer

Sizes = Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
"""Of each part of a module, by its name: shapes of the first tensor that goes in and of the first that comes out."""
FEWEST_BLOCKS = 2  # fewer equal blocks in a row make no stage


@dataclass(frozen=True)
class Stage:
    """Blocks of one class in a row.

    Attributes:
        paths: names of the blocks, in order.
        fewest: how many of them must stay; each later one returns a tensor of the shape it takes, so it can go.
    """

    paths: tuple[str, ...]
    fewest: int


def find_stages(module: torch.nn.Module, sizes: Sizes) -> list[Stage]:
    """Find the outermost lists of equal blocks whose last ones can be left out.

    Args:
        module: The module that was traced.
        sizes: Shapes of what goes into each of its parts and comes out.

    Returns:
        The lists, the first one first.
    """
    return list(_stages(module, "", sizes))


def _stages(module: torch.nn.Module, path: str, sizes: Sizes) -> Iterator[Stage]:
    """The stages in the part ``module`` of the name ``path``; within a stage none are looked for."""
    if isinstance(module, torch.nn.ModuleList | torch.nn.Sequential):
        blocks = []
        for name, block in module.named_children():
            blocks.append((_joined(path, name), type(block).__name__))
        stage = _stage(blocks, sizes)
        if stage is not None:
            yield stage
            return
    for name, child in module.named_children():
        yield from _stages(child, _joined(path, name), sizes)


def _stage(blocks: Sequence[tuple[str, str]], sizes: Sizes) -> Stage | None:
    """Blocks, each (name, class), as a stage; None where their classes differ, or where none can be left out."""
    if len(blocks) < FEWEST_BLOCKS or len({class_name for _, class_name in blocks}) > 1:
        return None
    if any(path not in sizes for path, _ in blocks):  # some never ran
        return None
    paths = tuple(path for path, _ in blocks)
    needed = len(
        paths
    )  # from the end, blocks can go as long as they keep the shape of what they take
    while needed and _keeps_shape(sizes[paths[needed - 1]]):
        needed -= 1
    fewest = max(needed, 1)
    if fewest < len(paths):
        return Stage(paths, fewest)
    return None


def _keeps_shape(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> bool:
    """Whether a block returns a tensor of the shape it takes; ``shapes`` are those of both, () where it has none."""
    shape_in, shape_out = shapes
    return shape_in == shape_out and len(shape_in) > 1


def _joined(path: str, name: str) -> str:
    """The full name of the child ``name`` of the module ``path``, which is empty for the outermost."""
    return f"{path}.{name}" if path else name


@dataclass(frozen=True)
class BlockParts:
    """The parts of a block of a Transformer, as indices in the list of its layers.

    Attributes:
        entry: linear layers that make queries, keys and values.
        attention: the two products of attention.
        exit: the linear layer after them.
        hidden_in: linear layers that make the hidden units: one, or two where one is a gate.
        hidden_out: the linear layer that takes them.
        heads: heads that can be left out one by one (those of keys and values).
        hidden: hidden units of the MLP.
    """

    entry: tuple[int, ...]
    attention: tuple[int, int]
    exit: int
    hidden_in: tuple[int, ...]
    hidden_out: int
    heads: int
    hidden: int


def parts_of(layers: Sequence[Layer]) -> BlockParts | None:
    """Find the parts of a transformer block.

    It is linear layers that make queries, keys and values, two products of attention side by side, the projection, and an
    MLP of two linear layers, or of three where one of them is a gate.

    Args:
        layers: The block's layers, in order.

    Returns:
        The parts; None for a block of any other structure.
    """
    dynamic = [
        index for index, layer in enumerate(layers) if layer.dynamic
    ]  # both operands activations
    if len(dynamic) != 2 or dynamic[1] != dynamic[0] + 1:
        return None
    scores_at, context_at = dynamic
    scores, context = layers[scores_at], layers[context_at]
    linear = [index for index, layer in enumerate(layers) if layer.kind == "linear"]
    before = tuple(index for index in linear if index < scores_at)
    after = [index for index in linear if index > context_at]  # the projection, then the MLP
    has_others = len(linear) + len(dynamic) != len(layers)
    if has_others or not before or len(after) not in (3, 4):
        return None
    heads = _key_heads(scores, [layers[index] for index in before])
    if scores.groups != context.groups or heads is None:
        return None
    projection, *hidden_in, hidden_out = after
    hidden = layers[hidden_out].reduction
    if any(layers[index].columns != hidden for index in hidden_in):
        return None
    return BlockParts(
        entry=before,
        attention=(scores_at, context_at),
        exit=projection,
        hidden_in=tuple(hidden_in),
        hidden_out=hidden_out,
        heads=heads,
        hidden=hidden,
    )


def _key_heads(scores: Layer, entry: Sequence[Layer]) -> int | None:
    """Counts the heads of keys, from the sizes of the layers alone.

    Args:
        scores: The product of queries and keys. Its groups are not always heads: they count windows of an image too,
            and keys that several heads of queries share may be repeated.
        entry: The linear layers before it.

    Returns:
        How many heads; None where the layers before make something else than queries, keys and values.
    """
    head_size = scores.reduction
    # For each token, entry makes heads of queries, of keys and of values, all of the same size.
    all_heads, rest_of_heads = divmod(sum(layer.columns for layer in entry), head_size)
    # All vectors of queries, divided by tokens.
    query_heads, rest_of_queries = divmod(scores.px * scores.groups, entry[0].px)
    # There are as many heads of values as of keys.
    key_heads, rest_of_keys = divmod(all_heads - query_heads, 2)
    if rest_of_heads or rest_of_queries or rest_of_keys:
        return None
    if key_heads < 1 or query_heads % key_heads:
        return None
    return key_heads


def sliced(layers: Sequence[Layer], parts: BlockParts, heads: int, hidden: int) -> list[Layer]:
    """Makes a block's layers with fewer heads and hidden units.

    Biases, vector work and traffic shrink with the layers.

    Args:
        layers: The block's layers.
        parts: Which layers are what, and how many heads and hidden units they have.
        heads: Heads of keys that are left.
        hidden: Hidden units that are left.

    Returns:
        The layers in the same order.
    """
    smaller = list(layers)
    heads_left = Fraction(heads, parts.heads)
    for index in parts.entry:
        smaller[index] = _fewer_columns(smaller[index], heads_left)
    for index in parts.attention:
        smaller[index] = _fewer_groups(smaller[index], heads_left)
    smaller[parts.exit] = _shorter(smaller[parts.exit], heads_left)
    hidden_left = Fraction(hidden, parts.hidden)
    for index in parts.hidden_in:
        smaller[index] = _fewer_columns(smaller[index], hidden_left)
    smaller[parts.hidden_out] = _shorter(smaller[parts.hidden_out], hidden_left)
    return smaller


def _fewer_columns(layer: Layer, share: Fraction) -> Layer:
    """The layer with only a ``share`` (0 to 1) of its output channels."""
    return replace(
        layer,
        columns=_of(layer.columns, share),
        outputs=_of(layer.outputs, share),
        vector_ops=_of(layer.vector_ops, share),
        weights=_of(layer.weights or 0, share),
        extra_parameters=_of(layer.extra_parameters, share),
    )


def _fewer_groups(layer: Layer, share: Fraction) -> Layer:
    """A product of attention with only a ``share`` (0 to 1) of its heads."""
    return replace(
        layer,
        groups=_of(layer.groups, share),
        inputs=_of(layer.inputs, share),
        outputs=_of(layer.outputs, share),
        vector_ops=_of(layer.vector_ops, share),
    )


def _shorter(layer: Layer, share: Fraction) -> Layer:
    """The layer with only a ``share`` (0 to 1) of its input channels."""
    return replace(
        layer,
        reduction=_of(layer.reduction, share),
        inputs=_of(layer.inputs, share),
        weights=_of(layer.weights or 0, share),
    )


def _of(count: int, share: Fraction) -> int:
    """This ``share`` of ``count``, rounded to a whole number."""
    return round(count * share)
