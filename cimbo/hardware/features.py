"""Descriptors of a network on a chip that follow from physics, cheap enough to give to a surrogate for every candidate.

They are first-order laws and no simulator: time by the roofline (Williams et al., "Roofline", CACM 2009) of each layer over
arrays, DRAM, buffer, NoC and vector unit, and energy by what each event of that ideal schedule costs. Ceilings, partial sums
in the buffer and the vector unit's operands are left out, as is whatever another simulator knows better. That is learned from
measurements, as a factor near one rather than as a product over all genes.

A *row* is one distinct layer shape of one (network, chip) pair. ``Columns`` are arrays by name, of shape (rows,) or, summed
over the rows of each pair, (pairs,). Cycles are those of the arrays.
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
    """Derive features of n (network, chip) pairs, each of shape (n,).

    Args:
        workloads: As ``simulate_batch`` takes them.
        chips: As ``simulate_batch`` takes them.

    Returns:
        Features by name. Those that begin with "log_" are log(1 + x) of: times in ns (the clock,
        each resource by itself with "load" for weights into the arrays, and ``roofline_ns`` of the
        layers one after the other); energies in pJ (each group of parts by itself, and ``ideal_pj``
        their sum); sizes (MACs, weight bits, tiles a macro, area in mm2). ``fits`` and ``resident``
        are 1 where the weights could stay on the chip, and where the roofline keeps them there.

    Raises:
        BadInput: As ``simulate_batch`` does.
    """
    pairs = pair_up(workloads, chips)
    return joined_columns([_features(circuits, grid) for circuits, grid in pairs])


def _features(part: Circuit, grid: Grid) -> Columns:
    """Features of the pairs of a grid, (pairs,) each; ``part`` are the circuits of their chips."""
    tiling = tile_grid(part.chip_columns, grid)
    static = ~tiling.layers.is_dynamic
    tiles = grid.sums(static * tiling.tiles)
    fits = tiles <= part.capacity_tiles
    ways = _ways_to_run(part, grid, tiling)
    scores = [_score(part, way) for way in ways]
    scores[2] = np.where(fits, scores[2], np.inf)  # all weights stay: only where they fit
    best = np.argmin(scores, axis=0)
    figures = {}
    for name in ways[0]:
        figures[name] = np.choose(best, [way[name] for way in ways])
    sizes = {
        "macs": grid.sums(tiling.layers.macs),
        "weight_bits": grid.sums(static * tiling.weight_bits),
        "tiles_per_macro": tiles / part.macros,
        "area_mm2": part.area_mm2,
        "clock_ns": part.clock_ns,
    }
    logs = {f"log_{name}": np.log1p(values) for name, values in (figures | sizes).items()}
    return logs | {"fits": fits.astype(float), "resident": (best == 2).astype(float)}


def _ways_to_run(part: Circuit, grid: Grid, tiling: Tiling) -> list[Columns]:
    """Times and energies of the pairs if all weights are reloaded, some layers' stay, or all stay.

    Returns:
        Figures of the three ways, in this order, (pairs,) each.
    """
    static = ~tiling.layers.is_dynamic
    events = {name: grid.sums(counts) for name, counts in _events(tiling).items()}
    reloaded_cycles, kept_cycles = _resources(tiling, np.inf), _resources(tiling, 1.0)
    kept_cycles["load"] = kept_cycles["load"] * 0
    reloaded = _with_roofline(tiling, reloaded_cycles)
    kept = _with_roofline(tiling, kept_cycles)
    # A layer whose weights stay has no copies; it stays unless that makes it much slower.
    is_worth_it = kept["roofline"] <= 1.05 * reloaded["roofline"]
    share = partly(tiling, grid.network).share * is_worth_it
    mixed = {}
    for name in reloaded:
        mixed[name] = grid.sums(share * kept[name] + (1 - share) * reloaded[name])
    loaded_bits = grid.sums(_loaded_weight_bits(tiling, share))
    spare = part.capacity_tiles - grid.sums(static * tiling.tiles)
    no_bits = 0 * spare
    all_reloaded = _summed(tiling, grid, reloaded_cycles)
    all_kept = _all_kept(tiling, grid, spare)
    return [
        _figures(part, all_reloaded, _energies(part, events, events["weights"])),
        _figures(part, mixed, _energies(part, events, loaded_bits)),
        _figures(part, all_kept, _energies(part, events, no_bits)),
    ]


def _figures(part: Circuit, cycles: Columns, energies: Columns) -> Columns:
    """Times in ns of all resources, energies in pJ with leakage, and ``ideal_pj``, their sum, (pairs,) each."""
    times = {f"{name}_ns": values * part.clock_ns for name, values in cycles.items()}
    energies = energies | {"leakage_pj": part.leakage_mw * times["roofline_ns"]}
    return times | energies | {"ideal_pj": np.sum([*energies.values()], axis=0)}


def _score(part: Circuit, figures: Columns) -> Floats:
    """The figure that each chip's gene ``schedule`` minimises, (pairs,)."""
    time, energy = figures["roofline_ns"], figures["ideal_pj"]
    scores = [time, energy, time * energy]  # in the order of SCHEDULE_GOALS
    chosen: Floats = np.choose(part.table.schedule, scores)
    return chosen


# ---- time -----------------------------------------------------------------------------------------------------------


def _loaded_weight_bits(tiling: Tiling, share: Floats) -> Floats:
    """Bits of weights that each inference loads, (rows,), where a fraction ``share`` of a row's layers stays."""
    _, loads = _spills(tiling, _unspilled(tiling, np.inf))
    return ~tiling.layers.is_dynamic * (1 - share) * tiling.weight_bits * loads


def _all_kept(tiling: Tiling, grid: Grid, spare: Floats) -> Columns:
    """Cycles of each resource, (pairs,), if all weights stay and ``spare`` tiles (pairs,) hold copies."""
    cycles = _resources(tiling, _copies(tiling, grid, spare))
    return _summed(tiling, grid, cycles | {"load": cycles["load"] * tiling.layers.is_dynamic})


def _summed(tiling: Tiling, grid: Grid, cycles: Columns) -> Columns:
    """Add the roofline to cycles of rows, and sum all over each pair, (pairs,)."""
    return {name: grid.sums(values) for name, values in _with_roofline(tiling, cycles).items()}


def _copies(tiling: Tiling, grid: Grid, spare: Floats) -> Floats:
    """Copies of each layer, (rows,), if ``spare`` tiles (pairs,) are shared for the least summed time.

    The summed time of positions / copies is least if the tiles of a layer's copies are proportional
    to sqrt(positions * tiles); see `residency`. Attention's layers may have any number of copies.

    Returns:
        Copies, at least 1, (rows,).
    """
    static = ~tiling.layers.is_dynamic
    weight = static * np.sqrt(tiling.layers.positions * tiling.tiles)
    share = weight / np.maximum(grid.total(weight), 1e-300)
    spare_tiles = grid.rows(np.maximum(spare, 0)) * share
    return np.where(static, 1 + spare_tiles / tiling.tiles, np.inf)


def _resources(tiling: Tiling, copies: Floats | float) -> Columns:
    """Cycles of each resource for each row, (rows,), with at most ``copies`` of a layer at work."""
    cycles = _unspilled(tiling, copies)
    io_bits, loads = _spills(tiling, cycles)
    return cycles | {"dram": io_bits / tiling.chip.dram_bw, "load": cycles["load"] * loads}


def _unspilled(tiling: Tiling, copies: Floats | float) -> Columns:
    """Cycles of each resource if weights are loaded once and activations fit the buffer, (rows,) each."""
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
    """Work out what does not fit the buffer: bits of activations over the DRAM, and loads of the weights.

    The faster of two orders is taken, as in `schedule`. By columns: weights are loaded once, inputs
    are fetched again for every pass over columns, and partial sums that do not fit beside the inputs
    go to the DRAM and back. By parts: inputs are cut into parts that fit with their sums, and weights
    are loaded again for each.

    Args:
        tiling: The tiles, columns of shape (rows,).
        cycles: Cycles of each resource without spills, (rows,) each.

    Returns:
        Bits over the DRAM, and loads of the weights, (rows,) each.
    """
    layers, chip, buffer_bits = tiling.layers, tiling.chip, tiling.chip.buffer_bits
    steady = np.max([cycles[name] for name in ("array", "buffer", "noc", "vector")], axis=0)
    rereads = _input_reads(tiling) - 1
    part_bits = tiling.spills * tiling.working_set_bits
    refetched = np.maximum(tiling.input_bits - buffer_bits, 0) * rereads
    results = layers.positions * layers.outputs_each * layers.groups
    sum_bits = results * constant("buffer.partial_sum")
    trips = _round_trips(tiling)
    is_bound = (trips > 0) & (tiling.input_bits + sum_bits > buffer_bits) & ~_on_unit(tiling)
    sums_out = tiling.input_bits * (1 + rereads) + tiling.output_bits + 2 * sum_bits * trips
    column_bits = np.where(is_bound, sums_out, part_bits + tiling.spills * refetched)
    parts = np.clip(np.ceil(2 * (tiling.input_bits + sum_bits) / buffer_bits), 1, layers.positions)
    parts = np.where(is_bound, np.maximum(parts, tiling.chunks), tiling.chunks)
    has_one_plane = chip.planes <= 1
    times = []
    for load, bits in ((cycles["load"], column_bits), (cycles["load"] * parts, part_bits)):
        busy = np.maximum(steady, bits / chip.dram_bw)
        times.append(np.maximum(load, busy) + has_one_plane * np.minimum(load, busy))
    is_by_part = times[1] < times[0]
    return np.where(is_by_part, part_bits, column_bits), np.where(is_by_part, parts, 1.0)


def _with_roofline(tiling: Tiling, cycles: Columns) -> Columns:
    """Add the column "roofline", (rows,): load + slowest resource with one plane a macro, else the larger."""
    load = cycles["load"]
    steady = np.max([values for name, values in cycles.items() if name != "load"], axis=0)
    one_plane = tiling.chip.planes <= 1
    roofline = np.where(one_plane, load + steady, np.maximum(load, steady))
    return cycles | {"roofline": roofline}


def _arrays(tiling: Tiling, copies: Floats | float = np.inf) -> Floats:
    """Cycles of the arrays, (rows,), with at most ``copies`` of a layer, as far as macros are free."""
    chip, positions = tiling.chip, tiling.layers.positions
    fitting = np.minimum(np.floor(chip.macros / tiling.tiles), np.floor(copies))
    passes = np.ceil(tiling.tiles / chip.macros)
    cycles: Floats = np.ceil(positions / np.clip(fitting, 1, positions)) * passes
    return cycles * tiling.vector_cycles


def _round_trips(tiling: Tiling) -> Floats:
    """How often a partial sum is put into the buffer and read again, on average, (rows,)."""
    return round_trips(tiling, tiling.chip.macros, np.ceil(tiling.tiles / tiling.chip.macros))


def _on_unit(tiling: Tiling) -> Bools:
    """Which products of attention run on the vector unit, (rows,).

    It computes one MAC a lane and cycle, and takes a product where it is faster than the arrays or
    where these cannot hold attention's operands.

    Returns:
        True for each such row, (rows,).
    """
    faster = tiling.layers.macs / tiling.chip.vector_lanes < _arrays(tiling)
    takes = ~holds_attention(tiling.chip.is_digital) | faster
    return np.asarray(tiling.layers.is_dynamic & takes)


def _input_reads(tiling: Tiling) -> Floats:
    """How often inputs are read, (rows,): once for each pass, but at most once for each column tile."""
    passes = tiling.row_tiles * tiling.column_tiles / tiling.chip.macros
    return np.clip(passes, 1, tiling.column_tiles)


# ---- energy ---------------------------------------------------------------------------------------------------------


def _events(tiling: Tiling) -> Columns:
    """Count the events of each row that cost energy, (rows,) each; what moves counts in bits."""
    layers = tiling.layers
    on_unit = _on_unit(tiling)
    io_bits, loads = _spills(tiling, _unspilled(tiling, np.inf))
    operands = tiling.precision
    vector_steps = layers.positions * operands.input_steps * layers.groups * ~on_unit
    column_sums = vector_steps * layers.outputs_each * tiling.row_tiles * tiling.row_steps
    macro_steps = layers.positions * operands.input_steps * tiling.tiles * tiling.row_steps
    results = layers.positions * layers.outputs_each * layers.groups * ~on_unit
    waiting = results * constant("buffer.partial_sum") * _round_trips(tiling)
    # The vector unit's lanes form a square, so that each operand serves sqrt(lanes) of them.
    fetched = 2 * layers.macs * operands.act_bits / np.sqrt(tiling.chip.vector_lanes)
    inputs = np.where(on_unit, fetched, tiling.new_input_bits * _input_reads(tiling))
    return {
        "sums": column_sums * operands.column_share,
        "drives": vector_steps * layers.reduction * tiling.column_tiles,
        "activations": macro_steps * ~on_unit,
        "macs": layers.macs * on_unit,
        "ops": layers.vector_ops,
        "read": inputs + waiting,
        "stored": tiling.output_bits + waiting,
        "spilled": io_bits,
        "weights": ~layers.is_dynamic * tiling.weight_bits * loads,
        "operands": layers.is_dynamic * tiling.weight_bits * loads * ~on_unit,
    }


def _energies(part: Circuit, event: Columns, weights: Floats) -> Columns:
    """Energy of each pair by what spends it.

    Args:
        part: The circuits of the pairs' chips.
        event: Events of `_events`, (pairs,) each.
        weights: Bits of weights that each inference loads from the DRAM, (pairs,).

    Returns:
        pJ, (pairs,) each.
    """
    pj = part.energies
    slices = part.macro.geometry.slices
    conversion = slices * (pj["conversion_energy"] + pj["bitline_energy"])
    tree = pj["adder_energy"] * part.macro.tree_adders
    column = conversion + pj["shift_energy"] + pj["accumulator_energy"] + tree
    row = pj["drive_energy"] + pj["row_energy"]
    through_buffer = pj["read_energy"] + pj["store_energy"]
    written = pj["write_energy"] + pj["noc_energy"] + pj["read_energy"]
    read, stored = event["read"], event["stored"]
    buffered = read * pj["read_energy"] + stored * pj["store_energy"]
    return {
        "columns_pj": event["sums"] * column,
        "rows_pj": event["drives"] * row + event["activations"] * pj["array_energy"],
        "moved_pj": buffered + (read + stored) * pj["noc_energy"],
        "dram_pj": (event["spilled"] + weights) * (pj["dram_energy"] + through_buffer),
        "write_pj": (weights + event["operands"]) * written,
        "vector_pj": event["ops"] * pj["op_energy"] + event["macs"] * pj["mac_energy"],
    }
