"""Descriptors of a network on a chip that follow from physics, cheap enough to give to a surrogate for every candidate.

They are first-order laws and no simulator: time by the roofline (Williams et al., "Roofline", CACM 2009) of each layer over
arrays, DRAM, buffer, NoC and vector unit, and energy by what each event of that ideal schedule costs. Ceilings, partial sums
in the buffer and the vector unit's operands are left out, as is whatever another simulator knows better. That is learned from
measurements, as a factor near one rather than as a product over all genes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cimbo.hardware.array_description import holds_attention
from cimbo.hardware.circuit import Circuit
from cimbo.hardware.cost_model import Chips, pair_up
from cimbo.hardware.grid import Grid
from cimbo.hardware.passes import round_trips
from cimbo.hardware.plan import tile_grid
from cimbo.hardware.residency import partly
from cimbo.hardware.rows import Bools, Floats, joined_columns
from cimbo.hardware.technology import constant
from cimbo.hardware.tiling import Tiling
from cimbo.workloads.layers import Workload

Columns = dict[str, Floats]


def features(workloads: Workload | Sequence[Workload], chips: Chips) -> Columns:
    """Derives features of n pairs, each of shape (n,): logarithms of what costs scale with, and whether weights stay.

    Args:
        workloads: As ``simulate_batch`` takes them.
        chips: As ``simulate_batch`` takes them.

    Returns:
        Natural logarithms. Times in ns: the clock, each resource by itself ("load": weights into the arrays), and
        ``log_roofline_ns`` of the layers one after the other. Energies in pJ: each group of parts by itself, and
        ``log_ideal_pj`` their sum. Sizes: MACs, weight bits, tiles a macro, area in mm2. ``fits`` and ``resident``: 1
        where the weights could stay on the chip, and where the roofline keeps them there.

    Raises:
        BadInput: As ``simulate_batch`` does.
    """
    pairs = pair_up(workloads, chips)
    return joined_columns([_features(part, grid) for part, grid in pairs])


def _features(part: Circuit, grid: Grid) -> Columns:
    tiling = tile_grid(part.chip_columns, grid)
    static = ~tiling.layers.is_dynamic
    tiles = grid.sums(static * tiling.tiles)
    spare = part.capacity_tiles - tiles
    events = {name: grid.sums(each) for name, each in _events(tiling).items()}
    every, stays = _resources(tiling, np.inf), _resources(tiling, 1.0)
    stays["load"] = stays["load"] * 0
    slow, fast = (_with_roofline(tiling, cycles) for cycles in (every, stays))
    share = partly(tiling, grid.network).share * (fast["roofline"] <= 1.05 * slow["roofline"])
    some = {name: grid.sums(share * fast[name] + (1 - share) * slow[name]) for name in slow}
    weights = {name: grid.sums(each) for name, each in _weights(tiling, share).items()}
    ways = [
        _figures(part, _summed(tiling, grid, every), _energies(part, events, events["weights"])),
        _figures(part, some, _energies(part, events, weights["loaded"])),
        _figures(part, _kept(tiling, grid, spare), _energies(part, events, 0 * spare)),
    ]
    scores = [_score(part, way) for way in ways]
    scores[2] = np.where(spare >= 0, scores[2], np.inf)
    best = np.argmin(scores, axis=0)
    resident = best == 2
    chosen = {}
    for name in ways[0]:
        chosen[name] = np.choose(best, [way[name] for way in ways])
    sizes = {
        "macs": grid.sums(tiling.layers.macs),
        "weight_bits": grid.sums(static * tiling.weight_bits),
        "tiles_per_macro": tiles / part.macros,
        "area_mm2": part.area_mm2,
        "clock_ns": part.clock_ns,
    }
    logs = {f"log_{name}": np.log1p(each) for name, each in (chosen | sizes).items()}
    flags = {"fits": tiles <= part.capacity_tiles, "resident": resident}
    return logs | {name: flag.astype(float) for name, flag in flags.items()}


def _figures(part: Circuit, cycles: Columns, energies: Columns) -> Columns:
    """Times in ns, and energies with leakage and their sum."""
    times = {f"{name}_ns": each * part.clock_ns for name, each in cycles.items()}
    energies = energies | {"leakage_pj": part.leakage_mw * times["roofline_ns"]}
    return times | energies | {"ideal_pj": np.sum([*energies.values()], axis=0)}


def _score(part: Circuit, figures: Columns) -> Floats:
    """What the chip's schedules are chosen by, the less the better."""
    time, energy = figures["roofline_ns"], figures["ideal_pj"]
    scores = [time, energy, time * energy]  # in the order of SCHEDULES
    chosen: Floats = np.choose(part.table.schedule, scores)
    return chosen


# ---- time -----------------------------------------------------------------------------------------------------------


def _weights(tiling: Tiling, stays: Floats) -> Columns:
    """Bits of weights that are loaded at each inference where a share of some layers' stays."""
    _, loads = _spills(tiling, _unspilled(tiling, np.inf))
    return {"loaded": ~tiling.layers.is_dynamic * (1 - stays) * tiling.weight_bits * loads}


def _kept(tiling: Tiling, grid: Grid, spare: Floats) -> Columns:
    """The same with all weights on the chip."""
    cycles = _resources(tiling, _copies(tiling, grid, spare))
    return _summed(tiling, grid, cycles | {"load": cycles["load"] * tiling.layers.is_dynamic})


def _summed(tiling: Tiling, grid: Grid, cycles: Columns) -> Columns:
    return {name: grid.sums(values) for name, values in _with_roofline(tiling, cycles).items()}


def _copies(tiling: Tiling, grid: Grid, spare: Floats) -> Floats:
    """Copies of each layer when ``spare`` tiles (pairs,) are shared so that the summed time positions / copies is least."""
    static = ~tiling.layers.is_dynamic
    weight = static * np.sqrt(tiling.layers.positions * tiling.tiles)
    share = weight / np.maximum(grid.total(weight), 1e-300)
    spare_tiles = grid.rows(np.maximum(spare, 0)) * share
    return np.where(static, 1 + spare_tiles / tiling.tiles, np.inf)


def _resources(tiling: Tiling, copies: Floats | float) -> Columns:
    """Cycles of each resource for each row, with at most so many copies of a layer at work."""
    cycles = _unspilled(tiling, copies)
    io_bits, loads = _spills(tiling, cycles)
    return cycles | {"dram": io_bits / tiling.chip.dram_bw, "load": cycles["load"] * loads}


def _unspilled(tiling: Tiling, copies: Floats | float) -> Columns:
    """The same with one load of the weights and without what activations ask of the DRAM."""
    layers, chip = tiling.layers, tiling.chip
    moved = tiling.new_input_bits * _input_reads(tiling) + tiling.output_bits
    results = layers.positions * layers.outputs_each * layers.groups
    other_pes = np.maximum(np.ceil(tiling.row_tiles / chip.macros_per_pe) - 1, 0)
    sums = results * constant("noc.partial_sum") * other_pes
    link = np.where(layers.is_dynamic, chip.noc_bw, chip.dram_bw)
    on_unit = layers.macs / chip.vector_lanes
    rows = np.ceil(tiling.busiest_rows / chip.rows_written)
    writing = np.ceil(tiling.tiles / chip.macros) * rows * chip.row_write_cycles
    return {
        "array": np.where(_on_unit(tiling), on_unit, _arrays(tiling, copies)),
        "buffer": moved / chip.buffer_bw,
        "noc": (moved + sums) / chip.noc_bw,
        "vector": layers.vector_ops / chip.vector_lanes,
        "load": np.maximum(tiling.weight_bits / np.minimum(link, chip.buffer_bw), writing),
    }


def _spills(tiling: Tiling, cycles: Columns) -> tuple[Floats, Floats]:
    """Bits of activations over the DRAM, and loads of the weights: inputs again for every pass of columns, or weights again.

    Where partial sums wait and do not fit beside the inputs, they go out and back, or weights come again for each part.

    Returns:
        Bits, and loads, each (n,).
    """
    layers, chip, buffer_bits = tiling.layers, tiling.chip, tiling.chip.buffer_bits
    steady = np.max([cycles[name] for name in ("array", "buffer", "noc", "vector")], axis=0)
    again = _input_reads(tiling) - 1
    once = tiling.spills * tiling.working_set_bits
    refetched = np.maximum(tiling.input_bits - buffer_bits, 0) * again
    results = layers.positions * layers.outputs_each * layers.groups
    sums = results * constant("buffer.partial_sum")
    trips = _round_trips(tiling)
    bound = (trips > 0) & (tiling.input_bits + sums > buffer_bits) & ~_on_unit(tiling)
    there_and_back = tiling.input_bits * (1 + again) + tiling.output_bits + 2 * sums * trips
    by_column = np.where(bound, there_and_back, once + tiling.spills * refetched)
    parts = np.clip(np.ceil(2 * (tiling.input_bits + sums) / buffer_bits), 1, layers.positions)
    parts = np.where(bound, np.maximum(parts, tiling.chunks), tiling.chunks)
    one_plane = chip.planes <= 1
    times = []
    for load, bits in ((cycles["load"], by_column), (cycles["load"] * parts, once)):
        busy = np.maximum(steady, bits / chip.dram_bw)
        times.append(np.maximum(load, busy) + one_plane * np.minimum(load, busy))
    by_part = times[1] < times[0]
    return np.where(by_part, once, by_column), np.where(by_part, parts, 1.0)


def _with_roofline(tiling: Tiling, cycles: Columns) -> Columns:
    """Adds the slowest resource, and before it the load where a macro has one plane, beside it otherwise."""
    load = cycles["load"]
    steady = np.max([each for name, each in cycles.items() if name != "load"], axis=0)
    one_plane = tiling.chip.planes <= 1
    roofline = np.where(one_plane, load + steady, np.maximum(load, steady))
    return cycles | {"roofline": roofline}


def _arrays(tiling: Tiling, copies: Floats | float = np.inf) -> Floats:
    chip, positions = tiling.chip, tiling.layers.positions
    fitting = np.minimum(np.floor(chip.macros / tiling.tiles), np.floor(copies))
    passes = np.ceil(tiling.tiles / chip.macros)
    cycles: Floats = np.ceil(positions / np.clip(fitting, 1, positions)) * passes
    return cycles * tiling.vector_cycles


def _round_trips(tiling: Tiling) -> Floats:
    """How often a partial sum waits in the buffer."""
    return round_trips(tiling, tiling.chip.macros, np.ceil(tiling.tiles / tiling.chip.macros))


def _on_unit(tiling: Tiling) -> Bools:
    """Which products of attention run on the vector unit: one MAC a lane and cycle, where that is faster or arrays may not."""
    faster = tiling.layers.macs / tiling.chip.vector_lanes < _arrays(tiling)
    may = holds_attention(tiling.chip.is_digital)
    return np.asarray(tiling.layers.is_dynamic & (~may | faster))


def _input_reads(tiling: Tiling) -> Floats:
    """How often inputs are read: again for every column tile that finds no macro beside the others."""
    passes = tiling.row_tiles * tiling.column_tiles / tiling.chip.macros
    return np.clip(passes, 1, tiling.column_tiles)


# ---- energy ---------------------------------------------------------------------------------------------------------


def _events(tiling: Tiling) -> Columns:
    """Events of each row that cost energy."""
    layers = tiling.layers
    unit = _on_unit(tiling)
    io_bits, loads = _spills(tiling, _unspilled(tiling, np.inf))
    operands = tiling.precision
    vectors = layers.positions * operands.input_steps * layers.groups * ~unit
    sums = layers.positions * layers.outputs_each * layers.groups * ~unit
    waiting = sums * constant("buffer.partial_sum") * _round_trips(tiling)
    fetched = 2 * layers.macs * operands.act_bits / np.sqrt(tiling.chip.vector_lanes)
    inputs = np.where(unit, fetched, tiling.new_input_bits * _input_reads(tiling))
    return {
        "sums": vectors
        * layers.outputs_each
        * tiling.row_tiles
        * tiling.row_steps
        * operands.column_share,
        "drives": vectors * layers.reduction * tiling.column_tiles,
        "activations": layers.positions
        * operands.input_steps
        * tiling.tiles
        * tiling.row_steps
        * ~unit,
        "macs": layers.macs * unit,
        "ops": layers.vector_ops,
        "read": inputs + waiting,
        "stored": tiling.output_bits + waiting,
        "spilled": io_bits,
        "weights": ~layers.is_dynamic * tiling.weight_bits * loads,
        "operands": layers.is_dynamic * tiling.weight_bits * loads * ~unit,
    }


def _energies(part: Circuit, event: Columns, weights: Floats) -> Columns:
    """Picojoules of each pair by what spends them; ``weights`` (n,): bits of them that come from the DRAM each time."""
    each = part.energies
    slices = part.macro.geometry.slices
    conversion = slices * (each["conversion_energy"] + each["bitline_energy"])
    tree = each["adder_energy"] * part.macro.tree_adders
    column = conversion + each["shift_energy"] + each["accumulator_energy"] + tree
    moved = event["read"] + event["stored"]
    through_buffer = each["read_energy"] + each["store_energy"]
    return {
        "columns_pj": event["sums"] * column,
        "rows_pj": event["drives"] * (each["drive_energy"] + each["row_energy"])
        + event["activations"] * each["array_energy"],
        "moved_pj": event["read"] * each["read_energy"]
        + event["stored"] * each["store_energy"]
        + moved * each["noc_energy"],
        "dram_pj": (event["spilled"] + weights) * (each["dram_energy"] + through_buffer),
        "write_pj": (weights + event["operands"])
        * (each["write_energy"] + each["noc_energy"] + each["read_energy"]),
        "vector_pj": event["ops"] * each["op_energy"] + event["macs"] * each["mac_energy"],
    }
