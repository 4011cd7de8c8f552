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
    """One block of a stage.

    Attributes:
        places: indices of its layers among those of the whole network, in order.
        ending: its last layer.
        parts: what its layers are, where it is a block of a Transformer and can be sliced.
        suffix: what the names of its genes end in, such as "2" or "1_2".
    """

    places: tuple[int, ...]
    ending: Layer
    parts: BlockParts | None
    suffix: str

    def genes(self) -> dict[str, list[int]]:
        """Its genes by name, each with its values: heads and hidden units, where there is more than one value."""
        if self.parts is None:
            return {}
        step = HIDDEN_STEP
        if self.parts.hidden % HIDDEN_STEP != 0:
            step = 1
        candidates = {
            self.heads_gene: _values(self.parts.heads, KEPT_HEADS),
            self.hidden_gene: [step * n for n in _values(self.parts.hidden // step, KEPT_HIDDEN)],
        }
        genes = {}
        for name, values in candidates.items():
            if len(values) > 1:
                genes[name] = values
        return genes

    @property
    def heads_gene(self) -> str:
        """Name of the gene that says how many heads of keys are kept."""
        return f"heads_{self.suffix}"

    @property
    def hidden_gene(self) -> str:
        """Name of the gene that says how many hidden units are kept."""
        return f"ffn_{self.suffix}"


@dataclass(frozen=True)
class _ElasticStage:
    """The blocks of a stage, and the gene (``depth``) that says how many of them are kept, from the first on."""

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
        """The depth of each stage, and the genes of its blocks, which exist where the depth reaches them."""
        choices = []
        for stage in self.stages:
            choices.append(stage.depth)
            for number, block in enumerate(stage.blocks, 1):
                choices += block_choices(stage.depth, number, block.genes())
        return choices

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Makes the layers of one sub-network.

        Args:
            subnet: Each active gene to its value.

        Returns:
            The original's layers without the blocks that are left out, smaller where genes say so.

        Raises:
            BadInput: On a missing active gene or a value outside its list.
        """
        read_gene = self.reader(subnet)
        layers: list[Layer | None] = list(self.whole.layers)  # None: left out
        for stage in self.stages:
            depth = read_gene(stage.depth.name)
            for block in stage.blocks[:depth]:
                chosen = {name: read_gene(name) for name in block.genes()}
                if chosen:
                    _slice_block(layers, block, chosen)
            for block in stage.blocks[depth:]:
                for place in block.places:
                    layers[place] = None
            _give_ending(layers, stage, depth)
        kept = tuple(layer for layer in layers if layer is not None)
        return replace(self.whole, layers=kept)


def _give_ending(layers: list[Layer | None], stage: _ElasticStage, depth: int) -> None:
    """Give the last block that is left the vector work that followed the stage's last block in the original.

    Work of the vector unit is counted with the layer before it. So a block's last layer carries the first norm of the
    next block; in a shorter stage the next block is left out, and what comes after the stage follows instead. Where the
    two blocks end in layers of different sizes, all stays as it is.

    Args:
        layers: The network's layers, None where left out; changed in place.
        stage: The stage.
        depth: How many of its blocks are left.
    """
    place = stage.blocks[depth - 1].places[-1]
    ending, original = layers[place], stage.blocks[-1].ending
    if ending is not None and (ending.px, ending.columns) == (original.px, original.columns):
        layers[place] = replace(
            ending,
            vector_ops=original.vector_ops,
            extra_parameters=original.extra_parameters,
        )


def _slice_block(
    layers: list[Layer | None], block: _ElasticBlock, chosen: Mapping[str, int]
) -> None:
    """Replace a block's layers, in place, by those with the ``chosen`` values of its genes (by name)."""
    parts = block.parts
    assert parts is not None
    heads = chosen.get(block.heads_gene, parts.heads)
    hidden = chosen.get(block.hidden_gene, parts.hidden)
    block_layers = [
        layer for layer in (layers[place] for place in block.places) if layer is not None
    ]
    smaller = sliced(block_layers, parts, heads, hidden)
    for place, layer in zip(block.places, smaller, strict=True):
        layers[place] = layer


def sliced_family(name: str, module: torch.nn.Module, trace: TracedModule) -> SlicedFamily:
    """Make the genes of a network from its structure.

    Args:
        name: What reports call the family.
        module: The network.
        trace: Its layers, and the sizes between its parts.

    Returns:
        The family of its sub-networks; without stages where nothing is elastic.
    """
    stages = []
    for stage in find_stages(module, trace.sizes_through):
        if all(
            list(_places(trace.workload, path)) for path in stage.paths
        ):  # no block without layers
            stages.append(stage)
    elastic = []
    for number, stage in enumerate(stages, 1):
        prefix, depth_gene = "", "depth"
        if len(stages) > 1:
            prefix, depth_gene = f"{number}_", f"depth_{number}"
        elastic.append(_elastic_stage(stage, trace.workload, prefix, depth_gene))
    return SlicedFamily(name, trace.workload, tuple(elastic))


def _elastic_stage(stage: Stage, whole: Workload, prefix: str, depth_gene: str) -> _ElasticStage:
    """A stage with its genes: its depth, called ``depth_gene``, and those of its blocks, whose suffix has ``prefix``."""
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
    """Indices of the layers that the module ``path`` has, among those of the whole network."""
    for index, layer in enumerate(whole.layers):
        if layer.name == path or layer.name.startswith(f"{path}."):
            yield index


def _values(most: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers near these ``shares`` of ``most``, at least 1, each once, in rising order."""
    return sorted({max(1, round(share * most)) for share in shares})
