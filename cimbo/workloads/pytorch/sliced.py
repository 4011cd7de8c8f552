"""A traced network as an elastic family: depth of each stage, and heads and hidden units of each block."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from cimbo.problem.space import Choice
from cimbo.workloads.elastic import Family, block_choices
from cimbo.workloads.layers import Layer, Workload
from cimbo.workloads.pytorch.blocks import BlockParts, Stage, find_stages, parts_of, sliced
from cimbo.workloads.pytorch.tracing import TracedModule

# What a sub-network may keep of the original, as parts of it: half, two thirds and five sixths of the heads, and one and
# two thirds of the hidden units, as DyNAS-T 1.6 has them for BERT and ViT-B; and at least half of a stage's blocks.
KEPT_HEADS = (1 / 2, 2 / 3, 5 / 6, 1.0)
KEPT_HIDDEN = (1 / 3, 2 / 3, 1.0)
KEPT_BLOCKS = 1 / 2
HIDDEN_STEP = 8  # hidden units come in whole numbers of these


@dataclass(frozen=True)
class _ElasticBlock:
    """One block: its layers' places in the whole network, its last layer, and its parts where it can be sliced."""

    places: tuple[int, ...]
    ending: Layer
    parts: BlockParts | None
    suffix: str

    def genes(self) -> dict[str, list[int]]:
        """Its genes and their values."""
        if self.parts is None:
            return {}
        heads = _values(self.parts.heads, KEPT_HEADS)
        if self.parts.hidden % HIDDEN_STEP == 0:
            step = HIDDEN_STEP
        else:
            step = 1
        hidden = [step * n for n in _values(self.parts.hidden // step, KEPT_HIDDEN)]
        found = {f"heads_{self.suffix}": heads, f"ffn_{self.suffix}": hidden}
        genes = {}
        for name, values in found.items():
            if len(values) > 1:
                genes[name] = values
        return genes


@dataclass(frozen=True)
class _ElasticStage:
    """The blocks of a stage, and the gene that says how many of them there are."""

    depth: Choice
    blocks: tuple[_ElasticBlock, ...]


@dataclass(frozen=True)
class SlicedFamily(Family):
    """Sub-networks of one network: fewer blocks, heads and hidden units; everything else as in the original.

    Attributes:
        name: what reports call it.
        whole: the original.
        stages: what is elastic.
    """

    name: str
    whole: Workload
    stages: tuple[_ElasticStage, ...]
    _kept: dict[tuple[int, ...], tuple[Layer, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def choices(self) -> list[Choice]:
        """The depth of each stage, and the genes of its blocks."""
        found = []
        for stage in self.stages:
            found.append(stage.depth)
            for number, block in enumerate(stage.blocks, 1):
                found += block_choices(stage.depth, number, block.genes())
        return found

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Makes the layers of one sub-network.

        Args:
            subnet: Each active gene to its value.

        Returns:
            The original's layers without the blocks that are left out, smaller where genes say so.

        Raises:
            BadInput: On a missing active gene or a value outside its list.
        """
        gene = self.reader(subnet)
        layers: list[Layer | None] = list(self.whole.layers)
        for stage in self.stages:
            depth = gene(stage.depth.name)
            for number, block in enumerate(stage.blocks, 1):
                values = []
                if number <= depth:
                    values = [gene(name) for name in block.genes()]
                if number > depth:
                    for place in block.places:
                        layers[place] = None
                elif values:
                    _put(layers, block, values)
            _end(layers, stage, depth)
        kept = tuple(layer for layer in layers if layer is not None)
        return replace(self.whole, layers=kept)


def _end(layers: list[Layer | None], stage: _ElasticStage, depth: int) -> None:
    """Let the work that followed the last block follow the last that is left, in the place of the next block's first.

    Work of the vector unit belongs to the product before it, so a block's first norm stands with the block before.
    """
    place, original = stage.blocks[depth - 1].places[-1], stage.blocks[-1].ending
    layer = layers[place]
    if layer is not None and (layer.px, layer.columns) == (original.px, original.columns):
        layers[place] = replace(
            layer,
            vector_ops=original.vector_ops,
            extra_parameters=original.extra_parameters,
        )


def _put(layers: list[Layer | None], block: _ElasticBlock, values: Sequence[int]) -> None:
    """The block's layers at these values of its genes, in their places."""
    parts = block.parts
    assert parts is not None
    chosen = dict(zip(block.genes(), values, strict=True))
    heads = chosen.get(f"heads_{block.suffix}", parts.heads)
    hidden = chosen.get(f"ffn_{block.suffix}", parts.hidden)
    own = [layer for layer in (layers[place] for place in block.places) if layer is not None]
    for place, layer in zip(block.places, sliced(own, parts, heads, hidden), strict=True):
        layers[place] = layer


def sliced_family(name: str, module: torch.nn.Module, found: TracedModule) -> SlicedFamily:
    """Make the genes of a network from its structure.

    Args:
        name: what reports call the family.
        module: the network.
        found: its layers, and the sizes between its parts.

    Returns:
        The family of its sub-networks.
    """
    stages = []
    for stage in find_stages(module, found.sizes_through):
        if all(list(_places(found.workload, path)) for path in stage.paths):
            stages.append(stage)
    elastic = []
    for number, stage in enumerate(stages, 1):
        prefix = f"{number}_" if len(stages) > 1 else ""
        depth_gene = "depth"
        if len(stages) > 1:
            depth_gene = f"depth_{number}"
        elastic.append(_elastic(stage, found.workload, prefix, depth_gene))
    return SlicedFamily(name, found.workload, tuple(elastic))


def _elastic(stage: Stage, whole: Workload, prefix: str, depth_gene: str) -> _ElasticStage:
    most = len(stage.paths)
    fewest = max(stage.fewest, math.ceil(KEPT_BLOCKS * most))
    depth = Choice(depth_gene, list(range(fewest, most + 1)))
    blocks = []
    for number, path in enumerate(stage.paths, 1):
        places = tuple(_places(whole, path))
        layers = [whole.layers[place] for place in places]
        block = _ElasticBlock(places, layers[-1], parts_of(layers), f"{prefix}{number}")
        blocks.append(block)
    return _ElasticStage(depth, tuple(blocks))


def _places(whole: Workload, path: str) -> Iterator[int]:
    """Where the layers of the module ``path`` stand."""
    for place, layer in enumerate(whole.layers):
        if layer.name == path or layer.name.startswith(f"{path}."):
            yield place


def _values(most: int, parts: Sequence[float]) -> list[int]:
    """Whole numbers near these parts of ``most``, each once."""
    return sorted({max(1, round(part * most)) for part in parts})
