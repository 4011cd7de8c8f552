"""Features of a network on any chip whose properties have *roles*, so that a surrogate need not learn them.

Another simulator's chips have names of their own. Where a study says which of them are the rows of an array or the
bandwidth of the memory, quantities that decide every weight-stationary accelerator's costs can be computed: tiles of weight
matrices, tiles against macros, conversions, bits over bandwidth. They are no simulation. A factor that a simulator sees
otherwise, or a unit that it counts in, is a constant on a log scale, which surrogates learn from a few measurements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cimbo.hardware.grid import Grid
from cimbo.hardware.rows import Bools, Floats
from cimbo.workloads.layers import Workload

#: What a property of a chip may be, and in which unit
ROLES = {
    "rows": "word lines of an array, along the length of a product",
    "columns": "bit lines of an array, along the outputs",
    "macros": "arrays that the chip has",
    "cell_bits": "bits of a weight in one cell; a whole weight unless given",
    "weight_bits": "bits of a weight",
    "act_bits": "bits of an activation",
    "dac_bits": "bits of an input that enter at once; one unless given",
    "columns_per_adc": "columns that share a converter",
    "adc_bits": "bits of a converter",
    "macs_per_cycle": "multiply-accumulates a cycle of units that are no arrays",
    "clock_mhz": "clock, in MHz",
    "bandwidth_gb_s": "bandwidth of the memory outside, in GB/s",
    "buffer_kb": "size of the buffer, in KiB",
    "buffer_gb_s": "bandwidth of the buffer, in GB/s",
}
USUAL_BITS = 8.0  # of weights and activations where nothing gives them
USUAL_CLOCK_MHZ = 1000.0  # of a chip without a clock, whose cycles are then in ns
BITS_PER_KIB = 8192.0
LEAST = 1e-12  # what a logarithm is taken of at least
Columns = dict[str, Floats]


def role_features(workloads: Sequence[Workload], chips: Mapping[str, Floats]) -> Columns:
    """Derive features of n networks, each on a chip, from the roles of the chips' properties.

    Args:
        workloads: n networks.
        chips: Values (n,) of the chips' properties by role, see ROLES; all above 0.

    Returns:
        Features (n,), all but ``fits`` natural logarithms. Which there are depends on the roles
        that are given.
    """
    grid = Grid([workload.unique[0] for workload in workloads], len(workloads))
    sizes = {
        "macs": np.array([workload.macs for workload in workloads], float),
        "parameters": np.array([workload.parameters for workload in workloads], float),
    }
    return _logarithms(sizes) | grid_features(grid, chips)


def grid_features(grid: Grid, chips: Mapping[str, Floats]) -> Columns:
    """Derive the features that follow from the layers and the chips together.

    Args:
        grid: The layers of n pairs of a network and a chip.
        chips: Values (n,) by role, one for each pair.

    Returns:
        Features (n,): those of `role_features` but ``log_macs`` and ``log_parameters``, which
        are of the network alone.
    """
    properties_of_rows = _of_rows(grid, chips)
    layers = _Layers(grid, properties_of_rows)
    columns: Columns = {}
    fits = None  # (n,): whether a pair's weights all lie in its arrays at once, none is reloaded
    if {"rows", "columns"} <= chips.keys():
        tiles = layers.tiles()
        columns |= _logarithms(layers.of_arrays(tiles))
        if "macros" in chips:
            fits = grid.sums(tiles * ~grid.layers.is_dynamic) <= chips["macros"]
            columns["fits"] = fits.astype(float)
    columns |= _logarithms(layers.times(fits))
    return columns


def _of_rows(grid: Grid, chips: Mapping[str, Floats]) -> dict[str, Floats]:
    """Repeat the properties of each pair's chip for each of the pair's rows, (rows,)."""
    return {role: grid.rows(np.asarray(values, float)) for role, values in chips.items()}


def _logarithms(quantities: Mapping[str, Floats]) -> Columns:
    """Natural logarithms of quantities, each named "log_" and its name; tiny values are raised to LEAST."""
    columns = {}
    for name, values in quantities.items():
        columns[f"log_{name}"] = np.log(np.maximum(values, LEAST))
    return columns


class _Layers:
    """Layers on chips; a row is one distinct layer shape of one (network, chip) pair."""

    def __init__(self, grid: Grid, properties: Mapping[str, Floats]) -> None:
        self._grid = grid
        self._layers = grid.layers
        self._properties = properties
        self._weight_bits = self._bits(self._layers.weight_bits, "weight_bits")
        self._act_bits = self._bits(self._layers.activation_bits, "act_bits")
        self._steps = np.ceil(self._act_bits / properties.get("dac_bits", 1.0))

    def _bits(self, own: Floats, role: str) -> Floats:
        """Bits of each layer's operand, (rows,): its own, else the chip's, else the usual ones."""
        return np.where(own > 0, own, self._properties.get(role, USUAL_BITS))

    def _slices(self) -> Floats | float:
        """Cells that hold one weight, (rows,) or one number for all."""
        if "cell_bits" in self._properties:
            return np.ceil(self._weight_bits / self._properties["cell_bits"])
        return 1.0

    def tiles(self) -> Floats:
        """Arrays that each layer's weights fill, (rows,)."""
        along_rows = np.ceil(self._layers.reduction / self._properties["rows"])
        outputs = self._layers.outputs_each * self._slices()
        along_columns = np.ceil(outputs / self._properties["columns"])
        return np.asarray(self._layers.groups * along_rows * along_columns)

    def of_arrays(self, tiles: Floats) -> Columns:
        """Counts of each pair that follow from the tiles of its layers.

        Args:
            tiles: Arrays that each layer's weights fill, (rows,).

        Returns:
            Tiles, passes of input steps through tiles, conversions, and the fraction of cells that
            hold weights; converter levels and tiles a macro where their roles are given; (pairs,) each.
        """
        layers, properties = self._layers, self._properties
        passes = layers.positions * tiles * self._steps
        along_rows = np.ceil(layers.reduction / properties["rows"])
        results = layers.positions * layers.groups * layers.outputs_each
        conversions = results * along_rows * self._steps * self._slices()
        cells = tiles * properties["rows"] * properties["columns"]
        weights = layers.groups * layers.reduction * layers.outputs_each * self._slices()
        counts = {
            "tiles": self._grid.sums(tiles),
            "passes": self._grid.sums(passes),
            "conversions": self._grid.sums(conversions),
            "used_cells": self._grid.sums(weights) / self._grid.sums(cells),
        }
        if "adc_bits" in properties:
            levels = np.exp2(properties["adc_bits"])
            counts["converted_levels"] = self._grid.sums(conversions * levels)
        if "macros" in properties:
            counts["tiles_per_macro"] = self._grid.sums(tiles / properties["macros"])
        return counts

    def _array_ns(self) -> Floats | None:
        """Time of each layer's arrays or other units in ns, (rows,).

        Layers have copies where macros are left over, and take turns where there are too few.

        Returns:
            Times; None where no role tells how many multiply-accumulates are done at once.
        """
        properties = self._properties
        cycle_ns = 1e3 / properties.get("clock_mhz", USUAL_CLOCK_MHZ)
        if {"rows", "columns", "macros"} <= properties.keys():
            tiles = self.tiles()
            copies = np.clip(np.floor(properties["macros"] / tiles), 1.0, self._layers.positions)
            rounds = np.maximum(tiles / properties["macros"], 1.0)
            turns = np.ceil(self._layers.positions / copies) * rounds
            cycles = turns * self._steps * properties.get("columns_per_adc", 1.0)
            return np.asarray(cycles * cycle_ns)
        if "macs_per_cycle" in properties:
            return np.asarray(self._layers.macs / properties["macs_per_cycle"] * cycle_ns)
        return None

    def times(self, fits: Bools | None) -> Columns:
        """Compute times of each resource by itself, and of the slowest one of each layer.

        Args:
            fits: Whether all weights stay in the arrays, (pairs,); None where that is not known.

        Returns:
            Times (pairs,) in ns.
        """
        by_resource = self._resource_times()
        pair_times = {}
        for name, values in by_resource.items():
            pair_times[name] = self._grid.sums(values)
        if "spill_ns" in pair_times:
            # It is 0 where the buffer is large enough, which has no logarithm.
            pair_times["spill_ns"] += 1.0
        if len(by_resource) > 1:
            pair_times["roofline_ns"] = self._roofline(by_resource, None)
            if fits is not None:
                pair_times["resident_roofline_ns"] = self._roofline(by_resource, fits)
        return pair_times

    def _resource_times(self) -> Columns:
        """Time of each resource whose speed a role gives, in ns, (rows,) each."""
        layers, properties = self._layers, self._properties
        times: Columns = {}
        array_ns = self._array_ns()
        if array_ns is not None:
            times["array_ns"] = array_ns
        moved = (layers.inputs + layers.outputs) * self._act_bits
        if "bandwidth_gb_s" in properties:
            bits_per_ns = 8.0 * properties["bandwidth_gb_s"]
            weights = layers.groups * layers.reduction * layers.outputs_each * ~layers.is_dynamic
            times["load_ns"] = weights * self._weight_bits / bits_per_ns
            if "buffer_kb" in properties:
                room = BITS_PER_KIB * properties["buffer_kb"]
                times["spill_ns"] = np.maximum(moved - room, 0.0) / bits_per_ns
        if "buffer_gb_s" in properties:
            times["buffer_ns"] = moved / (8.0 * properties["buffer_gb_s"])
        return times

    def _roofline(self, by_resource: Mapping[str, Floats], fits: Bools | None) -> Floats:
        """Time of the slowest resource of each layer, summed over each pair, in ns (pairs,).

        Args:
            by_resource: Times of each resource, (rows,) each.
            fits: Whether all weights stay in the arrays, so that nothing is loaded, (pairs,); None:
                count all loads.

        Returns:
            Times, (pairs,).
        """
        columns = []
        for name, values in by_resource.items():
            if name == "load_ns" and fits is not None:
                values = values * ~self._grid.rows(fits)
            columns.append(values)
        return self._grid.sums(np.max(columns, axis=0))
