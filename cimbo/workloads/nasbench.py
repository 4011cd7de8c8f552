"""NAS-Bench-201: one cell of six edges, repeated fifteen times, on CIFAR-10 (Dong and Yang, arXiv 2001.00326)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cimbo.problem.space import Choice
from cimbo.workloads.elastic import Family
from cimbo.workloads.layers import Layer, Workload, conv, linear, vector_work

NO_EDGE, SKIP, POOLING, CONV_1, CONV_3 = "none", "skip", "avgpool3x3", "conv1x1", "conv3x3"
CELL_OPERATIONS = (NO_EDGE, SKIP, POOLING, CONV_1, CONV_3)
"""The operations that an edge may have, from the least work to the most."""

MEASURED_FIRST_EDGES = (SKIP, POOLING)
"""Operations of the first edge for which AnalogNAS-Bench has nearly all networks; a study of its data keeps to them."""

CELL_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The edges of a cell, from node to node, in the order in which the published names list them; node 0 is the input."""

KERNEL_SIDES = {CONV_1: 1, CONV_3: 3}
IMAGE_SIDE, FIRST_CHANNELS, N_STAGES, CELLS_PER_STAGE, N_CLASSES = 32, 16, 3, 5, 10
POOLING_WINDOW = 9


@dataclass(frozen=True)
class NasBench201(Family):
    """Networks of NAS-Bench-201, 32 x 32 images: three stages of five equal cells, a residual block between two stages.

    Edges are counted as the published code runs them, also those that lead nowhere.

    Attributes:
        name: Name of the family.
        first_edges: Operations that the first edge may have; the others may have any of ``CELL_OPERATIONS``.
    """

    name: str = "nasbench201"
    first_edges: tuple[str, ...] = CELL_OPERATIONS

    def choices(self) -> list[Choice]:
        """``edge_1`` to ``edge_6``, in the order of ``CELL_EDGES``."""
        genes = [Choice("edge_1", self.first_edges)]
        for number in range(2, len(CELL_EDGES) + 1):
            genes.append(Choice(f"edge_{number}", CELL_OPERATIONS))
        return genes

    def largest(self) -> dict[str, Any]:
        """The cell with the most work."""
        return {choice.name: choice.values[-1] for choice in self.choices()}

    def smallest(self) -> dict[str, Any]:
        """The cell with the least work."""
        return {choice.name: choice.values[0] for choice in self.choices()}

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Makes the layers of one network.

        Args:
            subnet: Each edge to its operation.

        Returns:
            The layers in the order in which they run.

        Raises:
            BadInput: On a missing edge or an operation outside its list.
        """
        cell = self._cell_of(subnet)
        side = IMAGE_SIDE
        channels = FIRST_CHANNELS
        layers = [conv("stem", side, (3, channels), 3)]
        # Vector work of cells without a convolution, which the next layer carries
        pending_work = 0
        for stage in range(1, N_STAGES + 1):
            if stage > 1:
                layers += _reduction(f"stage_{stage}.reduction", side, channels, pending_work)
                side //= 2
                channels *= 2
            for number in range(1, CELLS_PER_STAGE + 1):
                layers += _cell(f"stage_{stage}.cell_{number}", side, channels, cell)
            pending_work = 0
            if not any(operation in KERNEL_SIDES for operation in cell):
                pending_work = CELLS_PER_STAGE * _work_beside(cell, side * side * channels)
        pooled = side * side * channels
        work = pending_work + vector_work(relu=pooled, pool=pooled)
        head = linear("head", 1, (channels, N_CLASSES), work=work, norm=2 * channels)
        return Workload(self.name, (*layers, head))

    def _cell_of(self, subnet: Mapping[str, Any]) -> tuple[str, ...]:
        """(6,) the operation of each edge, in the order of ``CELL_EDGES``."""
        gene = self.reader(subnet)
        return tuple(gene(f"edge_{number}") for number in range(1, len(CELL_EDGES) + 1))

    def descriptors(self, subnet: Mapping[str, Any]) -> dict[str, float]:
        """Describes how a cell is connected: its accuracy depends on that more than on its size.

        Args:
            subnet: Each edge to its operation.

        Returns:
            Feature to number. Of the open paths from the cell's input to its output: how many there
            are, how many consist of skips, how many have a convolution, and how many convolutions and
            poolings a path has. Then for each operation the number of edges on open paths that have it.
        """
        cell = self._cell_of(subnet)
        open_paths = []
        for path in CELL_PATHS:
            operations = [cell[edge] for edge in path]
            if NO_EDGE not in operations:
                open_paths.append(operations)
        return _of_paths(open_paths) | _of_live_edges(cell)


def _of_paths(paths: list[list[str]]) -> dict[str, float]:
    """Features of the open paths of a cell, each of which is the list of its edges' operations."""
    large = [path.count(CONV_3) for path in paths]
    convolutions = [path.count(CONV_3) + path.count(CONV_1) for path in paths]
    poolings = [path.count(POOLING) for path in paths]
    features = {
        "paths": len(paths),
        "skip_paths": paths.count([SKIP]) + paths.count([SKIP] * 2) + paths.count([SKIP] * 3),
        "convolving_paths": sum(count > 0 for count in convolutions),
        "most_convolutions": max(convolutions, default=0),
        "fewest_convolutions": min(convolutions, default=0),
        "mean_convolutions": _mean(convolutions),
        "most_conv3x3": max(large, default=0),
        "mean_conv3x3": _mean(large),
        "fewest_poolings": min(poolings, default=0),
        "mean_poolings": _mean(poolings),
    }
    return {name: float(value) for name, value in features.items()}


def _of_live_edges(cell: tuple[str, ...]) -> dict[str, float]:
    """Operation to the number of edges on open paths that have it, named "live_OPERATION"."""
    live = set()
    for path in CELL_PATHS:
        if all(cell[edge] != NO_EDGE for edge in path):
            live |= set(path)
    used = Counter(cell[edge] for edge in live)
    return {f"live_{operation}": float(used[operation]) for operation in CELL_OPERATIONS[1:]}


def _mean(counts: list[int]) -> float:
    """The mean of counts; 0 of none."""
    if not counts:
        return 0.0
    return sum(counts) / len(counts)


def _paths_from(node: int) -> list[tuple[int, ...]]:
    """Every path from a node to the last one, as positions of its edges in ``CELL_EDGES``."""
    last = max(target for _, target in CELL_EDGES)
    if node == last:
        return [()]
    paths = []
    for edge, (source, target) in enumerate(CELL_EDGES):
        if source == node:
            paths += [(edge, *rest) for rest in _paths_from(target)]
    return paths


CELL_PATHS = tuple(_paths_from(0))
"""Every path from a cell's input to its output, as positions of its edges in ``CELL_EDGES``."""


@lru_cache(maxsize=4096)
def _cell(name: str, side: int, channels: int, cell: tuple[str, ...]) -> tuple[Layer, ...]:
    """The layers of one cell, made once for each size: see ``_cell_layers``."""
    return tuple(_cell_layers(name, side, channels, cell))


def _cell_layers(name: str, side: int, channels: int, cell: tuple[str, ...]) -> Iterator[Layer]:
    """Make the convolutions of a cell, each with the ReLU before it; the last one carries the cell's sums and poolings.

    Args:
        name: What the names of the layers begin with.
        side: Pixels on a side of the image.
        channels: Channels that go in and come out.
        cell: The operation of each edge.

    Yields:
        One layer for each edge with a convolution.
    """
    elements = side * side * channels
    convolving = [edge for edge, operation in enumerate(cell) if operation in KERNEL_SIDES]
    for edge in convolving:
        work = vector_work(relu=elements)
        if edge == convolving[-1]:
            work += _work_beside(cell, elements)
        kernel = KERNEL_SIDES[cell[edge]]
        yield _with_work(f"{name}.edge_{edge + 1}", side, (channels, channels), kernel, work)


def _with_work(name: str, side: int, channels: tuple[int, int], kernel: int, work: int) -> Layer:
    """A convolution with a given number of operations of the vector unit, besides requantisation."""
    return conv(name, side, channels, kernel, work=lambda elements: work)


def _work_beside(cell: tuple[str, ...], elements: int) -> int:
    """Operations of the vector unit for a cell's sums and poolings, on tensors of ``elements``."""
    sums = vector_work(add=elements) * _sums(cell)
    return sums + vector_work(pool=POOLING_WINDOW * elements) * cell.count(POOLING)


def _sums(cell: tuple[str, ...]) -> int:
    """How many sums of two tensors a cell's nodes take: one less than the edges that arrive at each."""
    arriving: Counter[int] = Counter()
    for (_, target), operation in zip(CELL_EDGES, cell, strict=True):
        if operation != NO_EDGE:
            arriving[target] += 1
    return sum(count - 1 for count in arriving.values())


def _reduction(name: str, side: int, channels: int, work_before: int) -> list[Layer]:
    """Make the residual block between two stages, which halves the side and doubles the channels.

    Args:
        name: What the names of the layers begin with.
        side: Pixels on a side of the input.
        channels: Channels of the input.
        work_before: Vector work of earlier cells, which the first layer carries.

    Returns:
        Two convolutions, and that of the shortcut.
    """
    half_side = side // 2
    outputs = 2 * channels
    work_of_first = work_before + vector_work(relu=side * side * channels)
    output_elements = half_side * half_side * outputs
    work_of_second = vector_work(relu=output_elements, add=output_elements)
    work_of_shortcut = vector_work(pool=side * side * channels)
    first = conv(
        f"{name}.first", side, (channels, outputs), 3, stride=2, work=lambda _: work_of_first
    )
    second = _with_work(f"{name}.second", half_side, (outputs, outputs), 3, work_of_second)
    shortcut = conv(
        f"{name}.shortcut",
        half_side,
        (channels, outputs),
        parameters=0,
        work=lambda _: work_of_shortcut,
    )
    return [first, second, shortcut]


def nasbench201() -> NasBench201:
    """The family with its published space of 15,625 networks."""
    return NasBench201()


def nasbench201_analog() -> NasBench201:
    """The 6,250 networks for nearly all of which accuracies on phase-change memory were published."""
    return NasBench201("nasbench201-analog", MEASURED_FIRST_EDGES)
