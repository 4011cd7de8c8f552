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
FEWEST_BLOCKS = 2  # fewer equal blocks in a row make no stage


@dataclass(frozen=True)
class Stage:
    """Blocks of one class in a row.

    Attributes:
        paths: names of the blocks, in order.
        fewest: how many of them must stay: those after them give what they are given in the same sizes.
    """

    paths: tuple[str, ...]
    fewest: int


def find_stages(module: torch.nn.Module, sizes: Sizes) -> list[Stage]:
    """Find the outermost lists of equal blocks whose last ones can be left out.

    Args:
        module: that was traced.
        sizes: of what goes into each part and comes out.

    Returns:
        The lists, the first one first.
    """
    return list(_stages(module, "", sizes))


def _stages(module: torch.nn.Module, path: str, sizes: Sizes) -> Iterator[Stage]:
    if isinstance(module, torch.nn.ModuleList | torch.nn.Sequential):
        blocks = [
            (_joined(path, name), type(block).__name__) for name, block in module.named_children()
        ]
        stage = _stage(blocks, sizes)
        if stage is not None:
            yield stage
            return
    for name, child in module.named_children():
        yield from _stages(child, _joined(path, name), sizes)


def _stage(blocks: Sequence[tuple[str, str]], sizes: Sizes) -> Stage | None:
    """The blocks as a stage; None where they differ, or where none can be left out."""
    if len(blocks) < FEWEST_BLOCKS or len({kind for _, kind in blocks}) > 1:
        return None
    if any(path not in sizes for path, _ in blocks):  # some never ran
        return None
    paths = tuple(path for path, _ in blocks)
    kept = len(paths)
    while kept and _keeps_sizes(sizes[paths[kept - 1]]):
        kept -= 1
    fewest = max(kept, 1)
    if fewest < len(paths):
        return Stage(paths, fewest)
    return None


def _keeps_sizes(through: tuple[tuple[int, ...], tuple[int, ...]]) -> bool:
    given, made = through
    return given == made and len(given) > 1


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@dataclass(frozen=True)
class BlockParts:
    """The parts of a block of a Transformer, as places among its layers.

    Attributes:
        entry: linear layers that make queries, keys and values.
        attention: the two products of attention.
        exit: the linear layer after them.
        hidden_in: linear layers that make the hidden units.
        hidden_out: the linear layer that takes them.
        heads: heads that can be left out one by one (those of keys and values).
        hidden: hidden units.
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
        layers: of the block, in order.

    Returns:
        The parts; None for any other block.
    """
    products = [place for place, layer in enumerate(layers) if layer.dynamic]
    if len(products) != 2 or products[1] != products[0] + 1:
        return None
    scores, context = (layers[place] for place in products)
    linear = [place for place, layer in enumerate(layers) if layer.kind == "linear"]
    before = tuple(place for place in linear if place < products[0])
    after = [place for place in linear if place > products[1]]
    has_others = len(linear) + len(products) != len(layers)
    if has_others or not before or len(after) not in (3, 4):
        return None
    heads = _heads(scores, [layers[place] for place in before])
    if scores.groups != context.groups or heads is None:
        return None
    hidden_in, hidden_out = tuple(after[1:-1]), after[-1]
    hidden = layers[hidden_out].reduction
    if any(layers[place].columns != hidden for place in hidden_in):
        return None
    pair = (products[0], products[1])
    return BlockParts(before, pair, after[0], hidden_in, hidden_out, heads, hidden)


def _heads(scores: Layer, entry: Sequence[Layer]) -> int | None:
    """Heads of keys; None where the layers before make something else than queries, keys and values.

    Args:
        scores: queries x keys; its groups are heads, of several windows of the image or with keys repeated perhaps.
        entry: the layers before.

    Returns:
        How many heads, or None.
    """
    made, rest = divmod(sum(layer.columns for layer in entry), scores.reduction)
    queries, more = divmod(scores.px * scores.groups, entry[0].px)  # heads that a token has
    keys, odd = divmod(made - queries, 2)
    if rest or more or odd or keys < 1 or queries % keys:
        return None
    return keys


def sliced(layers: Sequence[Layer], parts: BlockParts, heads: int, hidden: int) -> list[Layer]:
    """Makes a block's layers with fewer heads and hidden units.

    Biases, vector work and traffic follow.

    Args:
        layers: The block's layers.
        parts: Which of them are which, and how many heads and hidden units they have.
        heads: Heads of keys that are left.
        hidden: Hidden units that are left.

    Returns:
        The layers in the same order.
    """
    found = list(layers)
    share, part = Fraction(heads, parts.heads), Fraction(hidden, parts.hidden)
    for place in parts.entry:
        found[place] = _fewer_columns(found[place], share)
    for place in parts.attention:
        found[place] = _fewer_groups(found[place], share)
    found[parts.exit] = _shorter(found[parts.exit], share)
    for place in parts.hidden_in:
        found[place] = _fewer_columns(found[place], part)
    found[parts.hidden_out] = _shorter(found[parts.hidden_out], part)
    return found


def _fewer_columns(layer: Layer, share: Fraction) -> Layer:
    """A layer that makes a ``share`` of its outputs."""
    return replace(
        layer,
        columns=_of(layer.columns, share),
        outputs=_of(layer.outputs, share),
        vector_ops=_of(layer.vector_ops, share),
        weights=_of(layer.weights or 0, share),
        extra_parameters=_of(layer.extra_parameters, share),
    )


def _fewer_groups(layer: Layer, share: Fraction) -> Layer:
    """Attention on a ``share`` of the heads."""
    return replace(
        layer,
        groups=_of(layer.groups, share),
        inputs=_of(layer.inputs, share),
        outputs=_of(layer.outputs, share),
        vector_ops=_of(layer.vector_ops, share),
    )


def _shorter(layer: Layer, share: Fraction) -> Layer:
    """A layer that takes a ``share`` of its inputs."""
    return replace(
        layer,
        reduction=_of(layer.reduction, share),
        inputs=_of(layer.inputs, share),
        weights=_of(layer.weights or 0, share),
    )


def _of(count: int, share: Fraction) -> int:
    return round(count * share)
