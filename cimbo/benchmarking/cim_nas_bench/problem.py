"""The tables of CIM-NAS-Bench as search problems whose true front is known.

Each joins a table's sub-networks and arrays with a small space of chips around them. Accuracies are measured and looked up;
costs are computed, once for every design. As there are only some ten thousand designs, the true front is known, and the
hypervolume that a search has found can be given as a fraction of that of the true front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo import hardware
from cimbo.benchmarking.cim_nas_bench import COSTS, CimNasBench, load
from cimbo.benchmarking.cim_nas_bench.measurements import ARRAY_COLUMNS
from cimbo.benchmarking.cim_nas_bench.spaces import (
    DIGITAL_ARRAY,
    DIGITAL_WEIGHT_BITS,
    TABLE_ARRAYS,
    TABLE_NETWORKS,
    all_layers,
)
from cimbo.errors import BadInput, choose_from
from cimbo.problem.listing import listed_rows
from cimbo.problem.objectives import Constraint, Objective, Problem
from cimbo.problem.pareto import hypervolume, non_dominated
from cimbo.problem.space import Choice, Params, SearchSpace
from cimbo.workloads import network

Array = NDArray[np.float64]

PREFIX = "cim-nas-bench-"
ALL_COSTS_QUESTION = "costs"
SINGLE_COSTS = {"latency": "latency_ms", "energy": "energy_uj"}
QUESTIONS = ("latency", ALL_COSTS_QUESTION, "energy")
"""The problems of each table: accuracy and latency, or energy, within an area; or accuracy, latency, energy and area."""

SMALL_CHIPS: dict[str, tuple[Any, ...]] = {
    "pes": (1, 2, 4, 8),
    "macros_per_pe": (2, 4, 8, 16),
    "buffer_mb": (0.03125, 0.125),
    "planes": (1, 8),
}
LARGE_CHIPS: dict[str, tuple[Any, ...]] = {
    "pes": (2, 4, 8, 16, 32),
    "macros_per_pe": (4, 8, 16, 32),
    "cols": (128, 256),
    "buffer_mb": (0.125, 0.25, 0.5),
    "planes": (1, 2, 8),
}
CHIPS = {
    "fmnist-vit": SMALL_CHIPS,
    "fmnist-mobilenet": SMALL_CHIPS,
    "reviews-minilm": LARGE_CHIPS,
}
"""Genes of chips besides those of the array; everything else is as the preset's baseline has it."""

COLUMNS_PER_ADC = (1, 4)
REFERENCE_SHARE = (
    0.5  # fraction of the designs that are better than the reference, in each objective
)


def problem_names() -> list[str]:
    """Lists the search problems.

    Returns:
        A name for each super-network and question, such as ``cim-nas-bench-fmnist-vit-latency``.
    """
    names = []
    for name in TABLE_NETWORKS:
        names += [f"{PREFIX}{name}-{question}" for question in QUESTIONS]
    return names


def search_space(name: str) -> SearchSpace:
    """Makes the space of a super-network's search problems.

    Args:
        name: The super-network.

    Returns:
        The genes of its small space, of the arrays measured, and of a few chips around them.
    """
    architecture = [Choice(gene, values) for gene, values in TABLE_NETWORKS[name].items()]
    arrays = TABLE_ARRAYS[name]
    analog = {"array": arrays["array"]}
    genes = [
        Choice("array", (*arrays["array"], DIGITAL_ARRAY)),
        Choice("rows", arrays["rows"]),
        Choice("adc_bits", arrays["adc_bits"], active_if=analog),
        Choice("columns_per_adc", COLUMNS_PER_ADC, active_if=analog),
        Choice("weight_bits", DIGITAL_WEIGHT_BITS, active_if={"array": (DIGITAL_ARRAY,)}),
    ]
    genes += [Choice(gene, values) for gene, values in CHIPS[name].items()]
    return SearchSpace(architecture, genes)


@dataclass(frozen=True, eq=False)
class TabularProblem:
    """A search problem all of whose designs are known.

    Attributes:
        name: Its name.
        problem: Space, objectives and constraints.
        values: Metric to its values (n,), of all designs in the order of ``rows``.
        rows: (n, d) canonical rows of all designs.
    """

    name: str
    problem: Problem
    values: Mapping[str, Array]
    rows: NDArray[Any]

    @cached_property
    def _place(self) -> dict[bytes, int]:
        return {row.tobytes(): place for place, row in enumerate(self.rows)}

    def measure(self, designs: list[Params]) -> list[dict[str, float]]:
        """Looks designs up.

        Args:
            designs: Designs of the problem's space.

        Returns:
            The metrics of each.
        """
        metrics = []
        for row in self.problem.space.rows(designs):
            place = self._place[row.tobytes()]
            metrics.append({name: float(values[place]) for name, values in self.values.items()})
        return metrics

    @cached_property
    def front(self) -> NDArray[np.intp]:
        """Places in ``rows`` of the designs that are feasible and that no feasible one dominates."""
        scores = self.problem.scores_of(self.values)
        allowed = np.ones(len(self.rows), bool)
        for constraint in self.problem.constraints:
            allowed &= np.asarray(constraint.violation(self.values[constraint.metric])) <= 0
        places = np.flatnonzero(allowed)
        return np.asarray(places[non_dominated(scores[places])])

    @cached_property
    def best_volume(self) -> float:
        """The hypervolume of the true front."""
        scores = self._scaled(self.problem.scores_of(self.values)[self.front])
        return float(hypervolume(scores, self._reference))

    @property
    def _reference(self) -> Array:
        natural = self.problem.reference()
        assert natural is not None
        return np.asarray(self._scaled(natural[None])[0])

    def share(self, metrics: Sequence[Mapping[str, float]]) -> float:
        """Computes how much of the true front's hypervolume designs have.

        The logarithm of costs is taken, so that half the latency is worth the same anywhere.

        Args:
            metrics: Metrics of feasible designs.

        Returns:
            The share, 0 without designs, 1 for the true front.
        """
        if not metrics:
            return 0.0
        scores = self._scaled(np.asarray(self.problem.scores(metrics)))
        return float(hypervolume(scores, self._reference)) / self.best_volume

    def _scaled(self, scores: Array) -> Array:
        """Scores (n, m) with the logarithms of costs."""
        scaled = scores.copy()
        for column, objective in enumerate(self.problem.objectives):
            if objective.goal == "min":
                scaled[:, column] = -np.log(-scores[:, column])
        return scaled


@cache
def tabular_problem(name: str) -> TabularProblem:
    """Makes a search problem, and computes what every design of it costs.

    Args:
        name: One of `problem_names`.

    Returns:
        The problem; it takes a second or two, once a process.

    Raises:
        BadInput: There is none of this name.
    """
    if name not in problem_names():
        raise BadInput(f"problem {name!r}", "is unknown", choose_from(name, problem_names()))
    table, question = name.removeprefix(PREFIX).rsplit("-", 1)
    space, rows, values = _all_designs(table)
    metrics: tuple[str, ...] = COSTS
    constraints: tuple[Constraint, ...] = ()
    if question != ALL_COSTS_QUESTION:
        metrics = (SINGLE_COSTS[question],)
        constraints = (Constraint("area_mm2", "<=", _middle(values["area_mm2"])),)
    objectives = [Objective("accuracy", "max", _middle(values["accuracy"]))]
    for metric in metrics:
        objectives.append(Objective(metric, "min", _middle(values[metric])))
    return TabularProblem(name, Problem(space, tuple(objectives), constraints), values, rows)


def _middle(values: Array) -> float:
    """The quantile REFERENCE_SHARE of a metric over all designs, to four digits."""
    return float(f"{np.quantile(values, REFERENCE_SHARE):.4g}")


@cache
def _all_designs(name: str) -> tuple[SearchSpace, NDArray[Any], dict[str, Array]]:
    """The space of a super-network, all its designs as rows, and their metrics."""
    bench, space = load(name), search_space(name)
    rows = listed_rows(space, space.size)
    n_network = len(space.architecture)
    values = {metric: np.empty(len(rows)) for metric in ("accuracy", *COSTS)}
    # Network by network, so that each is built once.
    networks, network_of_row = np.unique(rows[:, :n_network], axis=0, return_inverse=True)
    for number in range(len(networks)):
        own_rows = np.flatnonzero(network_of_row.ravel() == number)
        metrics = _of_network(bench, space.designs(rows[own_rows]))
        for metric, own_values in metrics.items():
            values[metric][own_rows] = own_values
    return space, rows, values


def _of_network(bench: CimNasBench, designs: list[Params]) -> dict[str, Array]:
    """Metrics of n designs that share their sub-network, (n,) each: accuracies looked up, costs computed."""
    small = {gene: designs[0][gene] for gene in TABLE_NETWORKS[bench.network]}
    chips, accuracies = [], []
    known: dict[str, float] = {}
    for design in designs:
        chip = {gene: value for gene, value in design.items() if gene not in small}
        chips.append(bench.whole_chip(chip))
        array = {gene: chip[gene] for gene in chip if gene in ARRAY_COLUMNS}
        key = repr(array)
        if key not in known:
            known[key] = bench.lookup(small, array).accuracy
        accuracies.append(known[key])
    workload = network(bench.network).workload(all_layers(bench.network, small))
    columns = hardware.simulate_batch([workload] * len(chips), chips)
    costs = {metric: np.asarray(columns[metric], float) for metric in COSTS}
    return {"accuracy": np.array(accuracies), **costs}
