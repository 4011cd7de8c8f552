"""Descriptors of a network on a chip that follow from physics, cheap enough to give to a surrogate for every candidate.

They are first-order laws and no simulator: time by the roofline (Williams et al., "Roofline", CACM 2009) of each layer over
arrays, DRAM, buffer, NoC and vector unit, and energy by what each event of that ideal schedule costs. Ceilings, partial sums
in the buffer and the vector unit's operands are left out, as is whatever another simulator knows better. That is learned from
measurements, as a factor near one rather than as a product over all genes.
"""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from cimbo.hardware.cost_model import Chips, Grid, chip_rows, pair_up
from cimbo.hardware.technology import constant
from cimbo.workloads.layers import Workload

Columns = dict[str, np.ndarray]


def features(workloads: Workload | Sequence[Workload], chips: Chips) -> Columns:
    """Features of n pairs, each of shape (n,): natural logarithms of what costs scale with, and whether weights stay.

    Times in ns: the clock, each resource by itself ("load": weights into the arrays), and ``log_roofline_ns`` of the layers
    one after the other. Energies in pJ: each group of parts by itself, and ``log_ideal_pj`` their sum. Sizes: MACs, weight
    bits, tiles a macro, area in mm2. ``fits`` and ``resident``: 1 where the weights could stay on the chip, and where the
    roofline keeps them there. Takes what ``simulate_batch`` takes; raises BadInput as it does.
    """
    found = [_features(part, grid) for part, grid in pair_up(workloads, chips)]
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}


def _features(part: SimpleNamespace, grid: Grid) -> Columns:
    r = chip_rows(part, grid)
    tiles = grid.sums(r.static * r.tiles)
    times, resident = _times(r, grid, part.capacity_tiles - tiles)
    times_ns = {f"{name}_ns": cycles * part.clock_ns for name, cycles in times.items()}
    energies = _energies(
        part, {name: grid.sums(each) for name, each in _events(r).items()}, ~resident
    )
    energies["leakage_pj"] = part.leakage_mw * times_ns["roofline_ns"]
    energies["ideal_pj"] = np.sum([*energies.values()], axis=0)
    sizes = {
        "macs": grid.sums(r.macs_each),
        "weight_bits": grid.sums(r.static * r.weight_load_bits),
        "tiles_per_macro": tiles / part.macros,
        "area_mm2": part.area_mm2,
        "clock_ns": part.clock_ns,
    }
    logs = {f"log_{name}": np.log1p(each) for name, each in (times_ns | energies | sizes).items()}
    flags = {"fits": tiles <= part.capacity_tiles, "resident": resident}
    return logs | {name: flag.astype(float) for name, flag in flags.items()}


# ---- time -----------------------------------------------------------------------------------------------------------


def _times(r: SimpleNamespace, grid: Grid, spare: np.ndarray) -> tuple[Columns, np.ndarray]:
    """Cycles of each resource and of the roofline, and whether weights stay: where they can and that is faster."""
    reloaded = _resources(r, np.inf)
    kept = _resources(r, _copies(r, grid, spare)) | {"load": reloaded["load"] * r.dynamic}
    slow, fast = (
        {k: grid.sums(v) for k, v in (c | {"roofline": _roofline(r, c)}).items()}
        for c in (reloaded, kept)
    )
    resident = (spare >= 0) & (fast["roofline"] <= slow["roofline"])
    return {name: np.where(resident, fast[name], slow[name]) for name in slow}, resident


def _copies(r: SimpleNamespace, grid: Grid, spare: np.ndarray) -> np.ndarray:
    """Copies of each layer when ``spare`` tiles (pairs,) are shared so that the summed time px / copies is least."""
    weight = r.static * np.sqrt(r.px * r.tiles)
    share = weight / np.maximum(grid.total(weight), 1e-300)
    return np.where(r.static > 0, 1 + grid.rows(np.maximum(spare, 0)) * share / r.tiles, np.inf)


def _resources(r: SimpleNamespace, copies: np.ndarray | float) -> Columns:
    """Cycles of each resource for each row, with at most so many copies of a layer at work."""
    moved = r.fresh_bits * _streams(r) + r.output_bits
    sums = (
        r.px
        * r.columns
        * r.groups
        * constant("noc.partial_sum")
        * np.maximum(r.row_tiles / r.macros_per_pe - 1, 0)
    )
    link = np.where(r.dynamic > 0, r.noc_bw, r.dram_bw)
    return {
        "array": np.where(_on_unit(r), r.macs_each / r.vector_lanes, _arrays(r, copies)),
        "dram": _spilled_bits(r) / r.dram_bw,
        "buffer": moved / r.buffer_bw,
        "noc": (moved + sums) / r.noc_bw,
        "vector": r.vector_ops / r.vector_lanes,
        "load": r.weight_load_bits / np.minimum(link, r.buffer_bw),
    }


def _roofline(r: SimpleNamespace, cycles: Columns) -> np.ndarray:
    """Cycles of each row: its slowest resource, and before it the load where a macro has one plane, beside it otherwise."""
    load, steady = (
        cycles["load"],
        np.max([each for name, each in cycles.items() if name != "load"], axis=0),
    )
    return np.where(r.planes <= 1, load + steady, np.maximum(load, steady))


def _arrays(r: SimpleNamespace, copies: np.ndarray | float = np.inf) -> np.ndarray:
    at_once = np.clip(np.minimum(r.macros / r.tiles, copies), 1, r.px)
    return r.px / at_once * np.maximum(r.tiles / r.macros, 1) * r.pulses * r.share


def _on_unit(r: SimpleNamespace) -> np.ndarray:
    """Which products of attention are faster on the vector unit, one MAC a lane and cycle, than on the arrays."""
    return (r.dynamic > 0) & (r.rram | (r.macs_each / r.vector_lanes < _arrays(r)))


def _streams(r: SimpleNamespace) -> np.ndarray:
    """How often inputs are read: again for every column tile that finds no macro beside the others."""
    return np.clip(r.row_tiles * r.column_tiles / r.macros, 1, r.column_tiles)


def _spilled_bits(r: SimpleNamespace) -> np.ndarray:
    """DRAM traffic of activations beyond the buffer: once, and the inputs or the weights again, whichever are fewer."""
    inputs = np.maximum(r.input_bits - r.buffer_bits, 0) * (_streams(r) - 1)
    weights = r.weight_load_bits * (r.working_set / r.buffer_bits - 1)
    return r.spill * (r.working_set + np.minimum(inputs, weights))


# ---- energy ---------------------------------------------------------------------------------------------------------


def _events(r: SimpleNamespace) -> Columns:
    """Events of each row that cost energy."""
    unit = _on_unit(r)
    vectors = r.px * r.pulses * r.groups * ~unit
    return {
        "sums": vectors * r.columns * r.row_tiles,
        "drives": vectors * r.reduction * r.column_tiles,
        "activations": r.px * r.pulses * r.tiles * ~unit,
        "macs": r.macs_each * unit,
        "ops": r.vector_ops,
        "read": r.fresh_bits * _streams(r),
        "stored": r.output_bits,
        "spilled": _spilled_bits(r),
        "weights": r.static * r.weight_load_bits,
        "operands": r.dynamic * r.weight_load_bits,
    }


def _energies(part: SimpleNamespace, event: Columns, reloads: np.ndarray) -> Columns:
    """Picojoules of each pair by what spends them; ``reloads`` (n,): whether weights come from DRAM at every inference."""
    conversion = part.cells_per_weight * (part.conversion_energy + part.bitline_energy)
    column = (
        conversion
        + part.shift_energy
        + part.accumulator_energy
        + part.adder_energy * part.tree_adders
    )
    moved = event["read"] + event["stored"]
    weights = reloads * event["weights"]
    return {
        "columns_pj": event["sums"] * column,
        "rows_pj": event["drives"] * (part.drive_energy + part.row_energy)
        + event["activations"] * part.array_energy,
        "moved_pj": event["read"] * part.read_energy
        + event["stored"] * part.store_energy
        + moved * part.noc_energy,
        "dram_pj": (event["spilled"] + weights)
        * (part.dram_energy + part.read_energy + part.store_energy),
        "write_pj": (weights + event["operands"])
        * (part.write_energy + part.noc_energy + part.read_energy),
        "vector_pj": event["ops"] * part.op_energy + event["macs"] * part.mac_energy,
    }
