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
"""What an edge may be, from the least work to the most."""

MEASURED_FIRST_EDGES = (SKIP, POOLING)
"""Those of which AnalogNAS-Bench has nearly all networks, so that a study keeps to them."""

CELL_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""From which node of a cell to which, in the order in which the published names list them; 0 is the cell's input."""

KERNEL_SIDES = {CONV_1: 1, CONV_3: 3}
IMAGE_SIDE, FIRST_CHANNELS, N_STAGES, CELLS_PER_STAGE, N_CLASSES = 32, 16, 3, 5, 10
POOLING_WINDOW = 9


@dataclass(frozen=True)
class NasBench201(Family):
    """Networks of NAS-Bench-201, 32 x 32 images: three stages of five equal cells, a residual block between two stages.

    Edges are counted as the published code runs them, also those that lead nowhere.

    Attributes:
        name: Of the family.
        first_edges: What the first edge may be; the others may be any of ``CELL_OPERATIONS``.
    """

    name: str = "nasbench201"
    first_edges: tuple[str, ...] = CELL_OPERATIONS

    def choices(self) -> list[Choice]:
        """``edge_1`` to ``edge_6``, in the order of ``CELL_EDGES``."""
        found = [Choice("edge_1", list(self.first_edges))]
        for number in range(2, len(CELL_EDGES) + 1):
            found.append(Choice(f"edge_{number}", list(CELL_OPERATIONS)))
        return found

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
        size, width = IMAGE_SIDE, FIRST_CHANNELS
        layers, waiting = [conv("stem", size, (3, width), 3)], 0
        for stage in range(1, N_STAGES + 1):
            if stage > 1:
                layers += _reduction(f"stage_{stage}.reduction", size, width, waiting)
                size, width = size // 2, 2 * width
            for number in range(1, CELLS_PER_STAGE + 1):
                layers += _cell(f"stage_{stage}.cell_{number}", size, width, cell)
            # Work of cells that multiply nothing is charged to the next layer that does.
            waiting = 0
            if not any(operation in KERNEL_SIDES for operation in cell):
                waiting = CELLS_PER_STAGE * _work_beside(cell, size * size * width)
        pooled = size * size * width
        work = waiting + vector_work(relu=pooled, pool=pooled)
        head = linear("head", 1, (width, N_CLASSES), work=work, norm=2 * width)
        return Workload(self.name, (*layers, head))

    def _cell_of(self, subnet: Mapping[str, Any]) -> tuple[str, ...]:
        gene = self.reader(subnet)
        return tuple(gene(f"edge_{number}") for number in range(1, len(CELL_EDGES) + 1))

    def descriptors(self, subnet: Mapping[str, Any]) -> dict[str, float]:
        """Describes how a cell is connected, which its accuracy depends on more than on its size.

        Args:
            subnet: Each edge to its operation.

        Returns:
            Of the paths from the cell's input to its output: how many there are, of how many all
            edges are skips, how many convolve, and the convolutions and poolings that they pass;
            and operations on edges that lie on a path, by kind.
        """
        cell = self._cell_of(subnet)
        paths = []
        for path in CELL_PATHS:
            operations = [cell[edge] for edge in path]
            if NO_EDGE not in operations:
                paths.append(operations)
        return _of_paths(paths) | _of_live_edges(cell)


def _of_paths(paths: list[list[str]]) -> dict[str, float]:
    """What the open paths of a cell pass."""
    large = [path.count(CONV_3) for path in paths]
    convolutions = [path.count(CONV_3) + path.count(CONV_1) for path in paths]
    poolings = [path.count(POOLING) for path in paths]
    found = {
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
    return {name: float(value) for name, value in found.items()}


def _of_live_edges(cell: tuple[str, ...]) -> dict[str, float]:
    """Operations on edges that lie on an open path."""
    live = set()
    for path in CELL_PATHS:
        if all(cell[edge] != NO_EDGE for edge in path):
            live |= set(path)
    used = Counter(cell[edge] for edge in live)
    return {f"live_{operation}": float(used[operation]) for operation in CELL_OPERATIONS[1:]}


def _mean(counts: list[int]) -> float:
    if not counts:
        return 0.0
    return sum(counts) / len(counts)


def _paths_from(node: int) -> list[tuple[int, ...]]:
    """Numbers of the edges of every path from a node to the last one."""
    last = max(target for _, target in CELL_EDGES)
    if node == last:
        return [()]
    found = []
    for edge, (source, target) in enumerate(CELL_EDGES):
        if source == node:
            found += [(edge, *rest) for rest in _paths_from(target)]
    return found


CELL_PATHS = tuple(_paths_from(0))
"""From a cell's input to its output, as places in ``CELL_EDGES``."""


@lru_cache(maxsize=4096)
def _cell(name: str, size: int, width: int, cell: tuple[str, ...]) -> tuple[Layer, ...]:
    return tuple(_cell_layers(name, size, width, cell))


def _cell_layers(name: str, size: int, width: int, cell: tuple[str, ...]) -> Iterator[Layer]:
    """The convolutions of a cell: the activation stands before each, sums and poolings after the last one."""
    elements = size * size * width
    places = [edge for edge, operation in enumerate(cell) if operation in KERNEL_SIDES]
    for edge in places:
        work = vector_work(relu=elements)
        if edge == places[-1]:
            work += _work_beside(cell, elements)
        yield _worked(
            f"{name}.edge_{edge + 1}", size, (width, width), KERNEL_SIDES[cell[edge]], work
        )


def _worked(name: str, size: int, channels: tuple[int, int], kernel: int, work: int) -> Layer:
    """A convolution with so much work of the vector unit besides requantisation."""
    return conv(name, size, channels, kernel, work=lambda elements: work)


def _work_beside(cell: tuple[str, ...], elements: int) -> int:
    """What the vector unit does for a cell's sums and poolings."""
    sums = vector_work(add=elements) * _sums(cell)
    return sums + vector_work(pool=POOLING_WINDOW * elements) * cell.count(POOLING)


def _sums(cell: tuple[str, ...]) -> int:
    """How many sums of two tensors a cell's nodes take."""
    arriving = Counter(
        target
        for (_, target), operation in zip(CELL_EDGES, cell, strict=True)
        if operation != NO_EDGE
    )
    return sum(count - 1 for count in arriving.values())


def _reduction(name: str, size: int, width: int, waiting: int) -> list[Layer]:
    """The residual block between two stages: half the side, twice the channels; ``waiting``: work done before it."""
    small, outputs = size // 2, 2 * width
    entering = waiting + vector_work(relu=size * size * width)
    between = vector_work(relu=small * small * outputs, add=small * small * outputs)
    pooled = vector_work(pool=size * size * width)
    first = conv(
        f"{name}.first", size, (width, outputs), 3, stride=2, work=lambda elements: entering
    )
    second = conv(f"{name}.second", small, (outputs, outputs), 3, work=lambda elements: between)
    shortcut = conv(
        f"{name}.shortcut",
        small,
        (width, outputs),
        parameters=0,
        work=lambda elements: pooled,
    )
    return [first, second, shortcut]


def nasbench201() -> NasBench201:
    """The family with its published space of 15,625 networks."""
    return NasBench201()


def nasbench201_analog() -> NasBench201:
    """The 6,250 networks of which accuracies on phase-change memory were published nearly whole."""
    return NasBench201("nasbench201-analog", MEASURED_FIRST_EDGES)
