"""When layers run on a chip: copies, weight loads, spills; cycles of each resource, and what bounds each layer.

Every column has one element for each (layer shape, chip) pair, a row. All laws are closed forms; tests hold them against
hand-computed cases and a slow event-by-event simulator.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from cimbo.hardware.kv_cache import CacheTraffic
from cimbo.hardware.passes import PassCost, Passes, PassInputs, passes
from cimbo.hardware.residency import Residency
from cimbo.hardware.rows import Bools, Floats
from cimbo.hardware.schedule_table import Interval, Schedule
from cimbo.hardware.single_passes import Pass
from cimbo.hardware.technology import constant
from cimbo.hardware.tiling import Tiling
from cimbo.hardware.vector_unit import vector_unit_work, with_vector_unit


def schedule(tiling: Tiling, residency: Residency | None) -> Interval:
    """Schedule every layer, with weights that stay on the chip or are reloaded at each inference.

    A layer takes load + steady cycles where a macro has one plane, since it cannot be written while
    it computes, and max(load, steady) where it has several. "load" is the time to load weights;
    "steady" that of the slowest of arrays, DRAM, buffer, NoC and vector unit, which work side by side.

    Args:
        tiling: The tiles, columns of shape (rows,).
        residency: Which weights stay on the chip; None: all are reloaded.

    Returns:
        A lower bound of the schedule and one that the chip can run, columns of shape (rows,).
    """
    work = _array_work(tiling, residency)
    if tiling.has_dynamic:
        unit = vector_unit_work(tiling)
    else:
        unit = None
    needs_list = np.ones(work.cycles.shape, bool)
    if unit is not None:
        needs_list = _least_cycles(tiling, work) <= unit.cycles
    all_passes = passes(tiling, work.macros, work.passes, needs_list)
    traffic = _traffic(tiling, all_passes)
    inputs = _pass_inputs(tiling, work, traffic)
    streaming = all_passes.total(_streaming, inputs)
    loading: PassCost = _loading_early if tiling.has_zigzag_counting else _loading
    load_once = (work.loaded_bits > 0) * all_passes.total(loading, inputs)
    low = _spilled(tiling, (work, traffic, all_passes), (load_once, streaming))
    if low.is_bound.any():
        high = _sums_spilled(tiling, (low, all_passes), (load_once, streaming))
    else:
        high = low
    if unit is None:
        return Interval(low, high)
    low_or_unit = with_vector_unit(tiling, (low, unit), work.available)
    if high is low:
        return Interval(low_or_unit, low_or_unit)
    return Interval(low_or_unit, with_vector_unit(tiling, (high, unit), work.available))


@dataclass(frozen=True)
class _ArrayWork:
    """The arrays' work of each row, each column of shape (rows,).

    Attributes:
        available: Macros that are free for the layer; for attention this may be none.
        macros: Macros that the schedule counts with: ``available``, but at least one.
        copies: Copies of the layer's tiles at work.
        passes: Times that the macros are filled with tiles until all had their turn.
        cycles_once: Cycles of the arrays in one pass.
        cycles: Cycles of the arrays in all passes.
        loaded_bits: Bits of weights that one inference loads; 0 where they stay.
    """

    available: Floats
    macros: Floats
    copies: Floats
    passes: Floats
    cycles_once: Floats
    cycles: Floats
    loaded_bits: Floats


def _array_work(tiling: Tiling, residency: Residency | None) -> _ArrayWork:
    """Share the macros out: copies if the tiles leave macros free, several passes if they do not fit."""
    layers, chip = tiling.layers, tiling.chip
    available, most_copies, loaded = chip.macros, np.asarray(np.inf), tiling.weight_bits
    if residency is not None:
        available = np.where(layers.is_dynamic, residency.free_macros, chip.macros)
        most_copies = np.where(layers.is_dynamic, np.inf, residency.copies)
        loaded = tiling.weight_bits * layers.is_dynamic
    macros = np.maximum(available, 1)
    fitting = np.minimum(np.floor(macros / tiling.tiles), most_copies)
    copies = np.clip(fitting, 1, layers.side_by_side)
    once = layers.vectors_of_a_copy(copies) * tiling.vector_cycles
    number = np.ceil(tiling.tiles / macros)
    return _ArrayWork(available, macros, copies, number, once, once * number, loaded)


def _least_cycles(tiling: Tiling, work: _ArrayWork) -> Floats:
    """Lower bound of the arrays' cycles, (rows,).

    Where the vector unit is faster even than this, it takes the layer, and its passes on the arrays
    need not be listed.

    Returns:
        Cycles, (rows,).
    """
    if tiling.has_zigzag_counting:
        return work.cycles
    chip = tiling.chip
    moving = work.loaded_bits / np.minimum(chip.noc_bw, chip.buffer_bw)
    # Every pass of several macros but the last has a tile that lacks no rows.
    full = np.where(work.macros > 1, work.passes - 1, 0)
    writing = full * np.ceil(tiling.busiest_rows / chip.rows_written) * chip.row_write_cycles
    least: Floats = np.maximum(work.cycles, np.maximum(moving, writing) * tiling.layers.is_dynamic)
    return least


@dataclass(frozen=True)
class _Traffic:
    """Traffic of each row, and the cycles that it takes, each column of shape (rows,).

    Attributes:
        read_bits: Bits of inputs read from the buffer.
        sent_bits: Bits of results, and of partial sums between PEs, over the NoC.
        partial_sum_bits: Bits of partial sums that wait in the buffer.
        is_bound: Whether inputs and partial sums do not fit the buffer together.
        moved_bits: All bits over the NoC.
        summing: Cycles of the buffer's port for inputs and waiting sums.
        buffer: Cycles of the buffer.
        noc: Cycles of the NoC.
        vector: Cycles of the vector unit.
    """

    read_bits: Floats
    sent_bits: Floats
    partial_sum_bits: Floats
    is_bound: Bools
    moved_bits: Floats
    summing: Floats
    buffer: Floats
    noc: Floats
    vector: Floats


def _traffic(tiling: Tiling, all_passes: Passes) -> _Traffic:
    """Work out the traffic of each row while its inputs stream through the arrays.

    Partial sums of row tiles in other PEs cross the NoC; those within one PE do not.

    Returns:
        The traffic, columns of shape (rows,).
    """
    layers, chip = tiling.layers, tiling.chip
    read = tiling.new_input_bits * all_passes.input_reads
    results = layers.positions * layers.outputs_each * layers.groups
    other_pes = np.ceil(tiling.row_tiles / chip.macros_per_pe) - 1
    sent = tiling.output_bits + results * constant("noc.partial_sum") * other_pes
    waiting = results * constant("buffer.partial_sum") * all_passes.round_trips
    # If inputs and partial sums do not fit the buffer, a schedule has to move sums to the
    # DRAM or load weights again.
    held = tiling.input_bits + results * constant("buffer.partial_sum")
    moved = read + sent
    summing = (read + waiting) / chip.buffer_bw
    port_bits = _port_bits(tiling, read, tiling.output_bits)
    return _Traffic(
        read_bits=read,
        sent_bits=sent,
        partial_sum_bits=waiting,
        is_bound=(all_passes.round_trips > 0) & (held > chip.buffer_bits),
        moved_bits=moved,
        summing=summing,
        buffer=np.maximum(port_bits / chip.buffer_bw, summing),
        noc=moved / chip.noc_bw,
        vector=layers.vector_ops / chip.vector_lanes,
    )


def _port_bits(tiling: Tiling, read: Floats, written: Floats) -> Floats:
    """Bits that take the time of the buffer's port, (rows,).

    Reads and writes share the port; ZigZag counts them as if they were at the same time.

    Returns:
        Bits, (rows,).
    """
    both = read + written
    if not tiling.has_zigzag_counting:
        return both
    return np.where(tiling.chip.zigzag_counting > 0, np.maximum(read, written), both)


def _pass_inputs(tiling: Tiling, work: _ArrayWork, traffic: _Traffic) -> PassInputs:
    """Gather what the cost of a pass depends on, besides the pass.

    Weights arrive over DRAM and buffer, run-time operands over buffer and NoC: the narrower of the
    two links counts. As ZigZag counts, weights bypass the buffer.

    Returns:
        Columns of shape (rows,).
    """
    chip = tiling.chip
    link = np.where(tiling.layers.is_dynamic, chip.noc_bw, chip.dram_bw)
    narrowest = np.minimum(link, chip.buffer_bw)
    counting = chip.zigzag_counting > 0
    transfer = work.loaded_bits / np.where(counting, link, narrowest)
    if tiling.cache is not None:
        transfer = np.maximum(transfer, _cache_reads(tiling, tiling.cache))
    return PassInputs(
        array_cycles=work.cycles_once,
        vector_cycles=traffic.vector,
        new_input_bits=tiling.new_input_bits,
        output_bits=tiling.output_bits,
        sent_bits=traffic.sent_bits,
        buffer_bw=chip.buffer_bw,
        noc_bw=chip.noc_bw,
        transfer_cycles=transfer,
        busiest_rows=tiling.busiest_rows,
        rows_written=chip.rows_written,
        row_write_cycles=chip.row_write_cycles,
        vector_overlap=counting * tiling.vector_cycles,
        is_zigzag_counting=counting,
    )


def _cache_reads(tiling: Tiling, cache: CacheTraffic) -> Floats:
    """Cycles in which the operand's cached elements arrive from DRAM or embedded DRAM, (rows,)."""
    chip = tiling.chip
    return np.maximum(cache.dram_read / chip.dram_bw, cache.edram_read / chip.edram_bw)


def _streaming(given: PassInputs, each: Pass) -> Floats:
    """Cycles of a pass while inputs stream in and results out; the slowest resource counts."""
    read = given.new_input_bits * each.inputs
    written = given.output_bits * each.results
    port = np.where(given.is_zigzag_counting, np.maximum(read, written), read + written)
    noc = (read + given.sent_bits * each.results) / given.noc_bw
    own = np.maximum(given.array_cycles, given.vector_cycles * each.results)
    return np.maximum(own, np.maximum(port / given.buffer_bw, noc))


def _loading(given: PassInputs, each: Pass) -> Floats:
    """Cycles in which a pass loads its weights: they arrive while rows are written, so the slower counts."""
    rows = np.minimum(each.rows, given.busiest_rows)
    writing = np.ceil(rows / given.rows_written) * given.row_write_cycles
    return np.maximum(given.transfer_cycles * each.weights, writing)


def _loading_early(given: PassInputs, each: Pass) -> Floats:
    """Cycles of loading as ZigZag counts them: a load begins while the last vector is still computed."""
    return np.maximum(_loading(given, each) - given.vector_overlap, 0)


def _spilled(
    tiling: Tiling,
    at_work: tuple[_ArrayWork, _Traffic, Passes],
    cycles: tuple[Floats, Floats],
) -> Schedule:
    """Schedule each row on the arrays, with activations that exceed the buffer going to the DRAM.

    There are two orders, the faster of which is taken. Chunks first: inputs are cut into chunks that
    fit the buffer, and weights are loaded again for each. Columns first: weights are loaded once,
    and inputs are fetched again for every pass over columns; the buffer keeps what it can of them.

    Args:
        tiling: The tiles, columns of shape (rows,).
        at_work: The arrays' work, the traffic and the passes of each row.
        cycles: Cycles of one load of the weights, and of streaming all inputs, (rows,) each.

    Returns:
        The schedule on the arrays, as if partial sums fitted the buffer.
    """
    work, traffic, all_passes = at_work
    load_once, streaming = cycles
    layers, dram_bw = tiling.layers, tiling.chip.dram_bw
    rereads = all_passes.input_reads - 1
    refetched = np.maximum(tiling.input_bits - tiling.chip.buffer_bits, 0) * rereads
    # Bits over the DRAM in either order.
    by_chunk = tiling.spills * tiling.working_set_bits
    if tiling.cache is not None:
        by_chunk = by_chunk + tiling.cache.dram_written
        streaming = np.maximum(streaming, tiling.cache.edram_written / tiling.chip.edram_bw)
    by_column = by_chunk + tiling.spills * refetched
    combine = partial(_combine, tiling)
    columns_first = combine(load_once, np.maximum(streaming, by_column / dram_bw))
    chunks_first = combine(load_once * tiling.chunks, np.maximum(streaming, by_chunk / dram_bw))
    is_chunks_first = chunks_first < columns_first
    loads = np.where(is_chunks_first, tiling.chunks, 1)
    if layers.steps.any():
        # Every step of a recurrence needs all weights before the next one begins: where they do not
        # fit the chip together, they are loaded again in each.
        is_too_large = tiling.tiles > tiling.chip.capacity_tiles
        in_steps = np.where(is_too_large, np.maximum(layers.steps, 1), 1)
        loads = np.maximum(loads, in_steps)
        moved = np.maximum(by_chunk, by_column)
        reloaded = combine(load_once * loads, np.maximum(streaming, moved / dram_bw))
        columns_first = np.where(in_steps > 1, reloaded, columns_first)
        chunks_first = np.where(in_steps > 1, reloaded, chunks_first)
    io_bits = np.where(is_chunks_first, by_chunk, by_column)
    edram_bits = np.zeros(loads.shape)
    if tiling.cache is not None:
        io_bits = io_bits + tiling.cache.dram_read * loads
        edram_bits = tiling.cache.edram_read * loads + tiling.cache.edram_written
    # The buffer adds up partial sums by itself, while the arrays compute or load.
    total = np.maximum(np.minimum(columns_first, chunks_first), traffic.summing)
    return Schedule(
        cycles=total,
        compute=work.cycles,
        load=load_once * loads,
        dram=io_bits / dram_bw,
        buffer=traffic.buffer,
        noc=traffic.noc,
        vector=traffic.vector,
        copies=work.copies,
        loaded_bits=work.loaded_bits,
        loads=loads,
        io_bits=io_bits,
        read_bits=traffic.read_bits,
        partial_sum_bits=traffic.partial_sum_bits,
        moved_bits=traffic.moved_bits,
        edram_bits=edram_bits,
        is_bound=traffic.is_bound,
        on_unit=np.zeros(total.shape, bool),
    )


def _sums_spilled(
    tiling: Tiling, on_arrays: tuple[Schedule, Passes], cycles: tuple[Floats, Floats]
) -> Schedule:
    """Replace the schedule of rows whose partial sums may not fit the buffer by one that is always possible.

    The faster of two such schedules is taken. Sums out: every sum that waits goes to the DRAM and
    comes back, and inputs are fetched for each column pass. In parts: inputs are cut into parts that
    fill at most half the buffer with their sums, and weights are loaded for every part.

    Args:
        tiling: The tiles, columns of shape (rows,).
        on_arrays: The schedule as if partial sums fitted, and the passes of each row.
        cycles: Cycles of one load of the weights, and of streaming all inputs, (rows,) each.

    Returns:
        The schedule that the chip can run; rows whose sums fit are as before.
    """
    low, all_passes = on_arrays
    load_once, streaming = cycles
    chip, layers = tiling.chip, tiling.layers
    combine = partial(_combine, tiling)
    # Bits over the DRAM if sums go out, and the time that this takes.
    refetched = np.maximum(all_passes.input_reads - 1, 0) * tiling.input_bits
    out_bits = tiling.input_bits + tiling.output_bits + refetched + 2 * low.partial_sum_bits
    sums_out = combine(load_once, np.maximum(streaming, out_bits / chip.dram_bw))
    # The same for inputs in parts.
    results = layers.positions * layers.outputs_each * layers.groups
    sum_bits = results * constant("buffer.partial_sum")
    parts = np.ceil(2 * (tiling.input_bits + sum_bits) / chip.buffer_bits)
    parts = np.clip(parts, tiling.chunks, layers.positions)
    part_bits = tiling.spills * tiling.working_set_bits
    cache_bits = np.zeros(part_bits.shape)
    if tiling.cache is not None:
        out_bits = out_bits + tiling.cache.dram_written
        part_bits = part_bits + tiling.cache.dram_written
        cache_bits = tiling.cache.dram_read
    in_parts = combine(load_once * parts, np.maximum(streaming, part_bits / chip.dram_bw))
    is_in_parts = in_parts < sums_out
    cycles_spilled = np.maximum(np.minimum(sums_out, in_parts), low.cycles)
    spilled = low.is_bound
    loads = np.where(spilled, np.where(is_in_parts, parts, 1), low.loads)
    loads = np.where(layers.steps > 1, np.maximum(loads, low.loads), loads)
    spilled_bits = np.where(is_in_parts, part_bits, out_bits) + cache_bits * loads
    io_bits = np.where(spilled, spilled_bits, low.io_bits)
    return replace(
        low,
        cycles=np.where(spilled, cycles_spilled, low.cycles),
        load=load_once * loads,
        loads=loads,
        io_bits=io_bits,
        dram=io_bits / chip.dram_bw,
    )


def _combine(tiling: Tiling, load: Floats, steady: Floats) -> Floats:
    """Cycles of loading and computing together: a sum with one plane a macro, else the larger of the two."""
    has_one_plane = tiling.chip.planes <= 1
    cycles: Floats = np.maximum(load, steady) + has_one_plane * np.minimum(load, steady)
    return cycles
