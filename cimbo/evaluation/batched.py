"""Costs of many designs at once, and features from which a surrogate predicts costs.

Each class here is called with designs as dictionaries, or given canonical rows of a space (encoded designs, see
:mod:`cimbo.evaluation.encoded`), which is faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cimbo import hardware
from cimbo.hardware.role_features import role_features
from cimbo.problem.space import Params, Rows, SearchSpace
from cimbo.workloads.layers import Workload
from cimbo.workloads.precision import PRECISION_FEATURES, precision_features

if TYPE_CHECKING:
    from cimbo.evaluation.simulated_costs import SimulatedCosts

Array = NDArray[np.float64]
NETWORK_SIZES = ("macs", "parameters")


@dataclass(frozen=True, eq=False)
class AnalyticCost:
    """One cost by our simulator, of designs as dictionaries or as rows of a space."""

    evaluator: SimulatedCosts
    metric: str

    def __call__(self, designs: list[Params]) -> Array:
        """(n,) the metric of n designs."""
        if not designs:
            return np.zeros(0)
        if self.metric == "area_mm2":  # a property of the chip alone
            return np.asarray(hardware.area_mm2([self.evaluator.chip_of(d) for d in designs]))
        return self.evaluator.costs(designs)[self.metric]

    def of_rows(self, space: SearchSpace, rows: Rows) -> Array:
        """Computes the metric of rows.

        Args:
            space: The space of the rows.
            rows: (n, d) canonical rows.

        Returns:
            (n,) the metric in its unit.
        """
        if not len(rows):
            return np.zeros(0)
        parts = self.evaluator.parts_of(space)
        if self.metric == "area_mm2":
            return np.asarray(hardware.area_mm2(parts.chips(rows)))
        costs = simulated_costs(parts.workloads(rows), parts.chips(rows), (self.metric,))
        return costs[self.metric]


@dataclass(frozen=True, eq=False)
class CostFeatures:
    """Physical features of designs' costs, which a surrogate then need not learn (`cimbo.hardware.features`).

    For chips that cimbo's model does not know, which another simulator may take, only the size of the network.
    """

    evaluator: SimulatedCosts

    def __call__(self, designs: list[Params]) -> dict[str, Array]:
        """Each feature (n,) of n designs; see `cimbo.hardware.features`."""
        workloads = [self.evaluator.workload_of(d) for d in designs]
        chips = [self.evaluator.chip_of(d) for d in designs]
        properties = {name for chip in chips for name in chip}
        if not self._knows(properties):
            return _log_sizes(workloads)
        return hardware.features(workloads, chips)

    def of_rows(self, space: SearchSpace, rows: Rows) -> dict[str, Array]:
        """Computes the features of rows.

        Args:
            space: The space of the rows.
            rows: (n, d) canonical rows.

        Returns:
            Each feature to an array (n,).
        """
        parts = self.evaluator.parts_of(space)
        names = [choice.name for choice in space.hardware]
        if not self._knows([*names, *self.evaluator.fixed]):
            return _log_sizes(parts.workloads(rows))
        return hardware.features(parts.workloads(rows), parts.chips(rows))

    def _knows(self, properties: Iterable[str]) -> bool:
        """Whether chips with these properties are cimbo's.

        Where cimbo's own simulator is used they are taken to be, so that its message says what is
        wrong with them.

        Returns:
            True where they are.
        """
        return self.evaluator.simulator == "cimbo" or hardware.is_chip(properties)


@dataclass(frozen=True, eq=False)
class RoleFeatures:
    """Features of designs on another simulator's chips, from the roles of their properties."""

    evaluator: SimulatedCosts

    def __call__(self, designs: list[Params]) -> dict[str, Array]:
        """Each feature (n,) of n designs; see `cimbo.hardware.role_features`."""
        workloads = [self.evaluator.workload_of(d) for d in designs]
        return self._features(workloads, [self.evaluator.chip_of(d) for d in designs])

    def of_rows(self, space: SearchSpace, rows: Rows) -> dict[str, Array]:
        """Computes the features of rows.

        Args:
            space: The space of the rows.
            rows: (n, d) canonical rows.

        Returns:
            Each feature to an array (n,).
        """
        parts = self.evaluator.parts_of(space)
        return self._features(parts.workloads(rows), parts.chips(rows))

    def _features(
        self, workloads: list[Workload], chips: Sequence[Mapping[str, Any]]
    ) -> dict[str, Array]:
        """Each feature (n,) of n networks, each on the chip of the same place."""
        if not workloads:
            return {}
        # Properties that share a role are multiplied, such as rows and columns of a grid of macros.
        by_role: dict[str, Array] = {}
        for name, role in self.evaluator.roles.items():
            values = np.array([chip[name] for chip in chips], float)
            by_role[role] = by_role.get(role, np.ones(len(chips))) * values
        return role_features(workloads, by_role)


@dataclass(frozen=True, eq=False)
class NetworkSizes:
    """The size of networks on a log scale, and what their family describes them by, of designs or of rows of a space."""

    evaluator: SimulatedCosts

    def __call__(self, designs: list[Params]) -> dict[str, Array]:
        """Logarithms of multiply-accumulates and parameters, and the family's descriptors, each (n,), of n designs."""
        sizes = self._sizes([self.evaluator.workload_of(d) for d in designs])
        return sizes | self._columns([self.evaluator.descriptors_of(d) for d in designs])

    def of_rows(self, space: SearchSpace, rows: Rows) -> dict[str, Array]:
        """Computes the features of rows.

        Args:
            space: The space of the rows.
            rows: (n, d) canonical rows.

        Returns:
            Each size, on a log scale, and each descriptor to an array (n,).
        """
        parts = self.evaluator.parts_of(space)
        return self._sizes(parts.workloads(rows)) | self._columns(parts.descriptions(rows))

    def _sizes(self, workloads: list[Workload]) -> dict[str, Array]:
        """Sizes of n networks, (n,) each, and features of rounding where stages have bits of their own."""
        sizes = _log_sizes(workloads)
        if self.evaluator.stage_bits:
            features = [precision_features(workload) for workload in workloads]
            for name in PRECISION_FEATURES:
                sizes[name] = np.array([of_network[name] for of_network in features])
        return sizes

    def _columns(self, described: Sequence[Mapping[str, float]]) -> dict[str, Array]:
        """Descriptors of n networks as columns (n,), by name; also of none."""
        columns = {}
        for name in self.evaluator.descriptors_of({}):
            columns[name] = np.array([of_network[name] for of_network in described], float)
        return columns


def simulated_costs(
    workloads: list[Workload], chips: list[dict[str, Any]], names: Sequence[str]
) -> dict[str, Array]:
    """Computes costs by cimbo's own simulator, in one batch.

    Args:
        workloads: n networks.
        chips: n chips, each for the network of the same place.
        names: Metrics of the simulator, or sizes of the network.

    Returns:
        Each of ``names`` to an array (n,).

    Raises:
        BadInput: When a chip's genes are not valid.
    """
    costs = dict(hardware.simulate_batch(workloads, chips))
    for name in NETWORK_SIZES:
        costs[name] = np.array([getattr(workload, name) for workload in workloads], float)
    return {name: np.asarray(costs[name]) for name in names}


def _log_sizes(workloads: list[Workload]) -> dict[str, Array]:
    """Natural logarithms of multiply-accumulates and parameters of n networks, (n,) each."""
    return {
        "log_macs": np.log([w.macs for w in workloads]),
        "log_parameters": np.log([w.parameters for w in workloads]),
    }
