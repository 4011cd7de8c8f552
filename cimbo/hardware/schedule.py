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
    """Schedules every layer with its network's weights resident, or reloaded at each inference.

    cycles = load + steady with one plane (a macro cannot be written while it computes), the larger with several;
    steady is the slowest of arrays, DRAM, buffer, NoC and vector unit, which work side by side.

    Args:
        tiling: The tiles, columns of shape (rows,).
        residency: Where the weights stay; None: they are reloaded.

    Returns:
        A schedule that may be too good and one that exists, columns of shape (rows,).
    """
    work = _array_work(tiling, residency)
    if tiling.has_dynamic:
        unit = vector_unit_work(tiling)
    else:
        unit = None
    needs_list = np.ones(work.cycles.shape, bool)
    if unit is not None:
        needs_list = _least_cycles(tiling, work) <= unit.cycles
    passed = passes(tiling, work.macros, work.passes, needs_list)
    traffic = _traffic(tiling, passed)
    inputs = _pass_inputs(tiling, work, traffic)
    fixed = passed.total(_streaming, inputs)
    cost: PassCost = _loading_early if tiling.has_zigzag_counting else _loading
    load_once = (work.loaded_bits > 0) * passed.total(cost, inputs)
    low = _spilled(tiling, (work, traffic, passed), (load_once, fixed))
    if low.is_bound.any():
        high = _sums_spilled(tiling, (low, passed), (load_once, fixed))
    else:
        high = low
    if unit is not None:
        same = high is low
        low = with_vector_unit(tiling, (low, unit), work.available)
        if same:
            high = low
        else:
            high = with_vector_unit(tiling, (high, unit), work.available)
    return Interval(low, high)


@dataclass(frozen=True)
class _ArrayWork:
    """Macros at work in each row, (rows,): how many are free for it and used, copies, passes, cycles, bits of a load."""

    available: Floats
    macros: Floats
    copies: Floats
    passes: Floats
    cycles_once: Floats
    cycles: Floats
    loaded_bits: Floats


def _array_work(tiling: Tiling, residency: Residency | None) -> _ArrayWork:
    layers, chip = tiling.layers, tiling.chip
    available, most_copies, loaded = chip.macros, np.asarray(np.inf), tiling.weight_bits
    if residency is not None:
        available = np.where(layers.is_dynamic, residency.free_macros, chip.macros)
        most_copies = np.where(layers.is_dynamic, np.inf, residency.copies)
        loaded = tiling.weight_bits * layers.is_dynamic
    macros = np.maximum(available, 1)
    fitting = np.minimum(np.floor(macros / tiling.tiles), most_copies)
    copies = np.clip(fitting, 1, layers.positions)
    once = np.ceil(layers.positions / copies) * tiling.vector_cycles
    number = np.ceil(tiling.tiles / macros)
    return _ArrayWork(available, macros, copies, number, once, once * number, loaded)


def _least_cycles(tiling: Tiling, work: _ArrayWork) -> Floats:
    """Cycles that the arrays need at least, (rows,): where the vector unit is faster still, passes need no list."""
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
    """Bits that move in each row, and the cycles that buffer, NoC and vector unit take for them, (rows,)."""

    read_bits: Floats
    sent_bits: Floats
    partial_sum_bits: Floats
    is_bound: Bools
    moved_bits: Floats
    summing: Floats
    buffer: Floats
    noc: Floats
    vector: Floats


def _traffic(tiling: Tiling, passed: Passes) -> _Traffic:
    """Partial sums of row tiles in other PEs cross the NoC; those of one PE do not."""
    layers, chip = tiling.layers, tiling.chip
    read = tiling.new_input_bits * passed.input_reads
    sums = layers.positions * layers.outputs_each * layers.groups
    other_pes = np.ceil(tiling.row_tiles / chip.macros_per_pe) - 1
    sent = tiling.output_bits + sums * constant("noc.partial_sum") * other_pes
    waiting = sums * constant("buffer.partial_sum") * passed.round_trips
    # If inputs and partial sums do not fit the buffer, a schedule has to move sums to the
    # DRAM or load weights again.
    held = tiling.input_bits + sums * constant("buffer.partial_sum")
    moved = read + sent
    summing = (read + waiting) / chip.buffer_bw
    through = _through(tiling, read, tiling.output_bits)
    return _Traffic(
        read_bits=read,
        sent_bits=sent,
        partial_sum_bits=waiting,
        is_bound=(passed.round_trips > 0) & (held > chip.buffer_bits),
        moved_bits=moved,
        summing=summing,
        buffer=np.maximum(through / chip.buffer_bw, summing),
        noc=moved / chip.noc_bw,
        vector=layers.vector_ops / chip.vector_lanes,
    )


def _through(tiling: Tiling, read: Floats, written: Floats) -> Floats:
    """Bits that take the buffer's time: reads and writes share its port, where they are not counted as ZigZag counts them."""
    both = read + written
    if not tiling.has_zigzag_counting:
        return both
    return np.where(tiling.chip.zigzag_counting > 0, np.maximum(read, written), both)


def _pass_inputs(tiling: Tiling, work: _ArrayWork, traffic: _Traffic) -> PassInputs:
    """Weights arrive over DRAM and buffer, run-time operands over buffer and NoC."""
    chip = tiling.chip
    link = np.where(tiling.layers.is_dynamic, chip.noc_bw, chip.dram_bw)
    narrowest = np.minimum(link, chip.buffer_bw)
    counting = chip.zigzag_counting > 0
    past_the_buffer = np.where(counting, link, narrowest)
    transfer = work.loaded_bits / past_the_buffer
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
    """Cycles in which what the operand takes from the cache arrives from outside the buffer."""
    chip = tiling.chip
    return np.maximum(cache.dram_read / chip.dram_bw, cache.edram_read / chip.edram_bw)


def _streaming(given: PassInputs, each: Pass) -> Floats:
    """Cycles of a pass while inputs stream in and results out."""
    read = given.new_input_bits * each.inputs
    written = given.output_bits * each.results
    port = np.where(given.is_zigzag_counting, np.maximum(read, written), read + written)
    noc = (read + given.sent_bits * each.results) / given.noc_bw
    own = np.maximum(given.array_cycles, given.vector_cycles * each.results)
    return np.maximum(own, np.maximum(port / given.buffer_bw, noc))


def _loading(given: PassInputs, each: Pass) -> Floats:
    """Weights arrive while rows are written in step."""
    rows = np.minimum(each.rows, given.busiest_rows)
    writing = np.ceil(rows / given.rows_written) * given.row_write_cycles
    return np.maximum(given.transfer_cycles * each.weights, writing)


def _loading_early(given: PassInputs, each: Pass) -> Floats:
    """As ZigZag counts it, the last vector of the pass before is still being computed when a load begins."""
    return np.maximum(_loading(given, each) - given.vector_overlap, 0)


def _spilled(
    tiling: Tiling,
    at_work: tuple[_ArrayWork, _Traffic, Passes],
    cycles: tuple[Floats, Floats],
) -> Schedule:
    """Activations beyond the buffer: weights again for every chunk of inputs, or inputs again for every column pass.

    In the latter order the buffer keeps what it can of the inputs; only the rest is fetched again.

    Args:
        tiling: The tiles, columns of shape (rows,).
        at_work: Macros, traffic and passes of each row.
        cycles: Of one load of the weights, and of streaming, (rows,) each.

    Returns:
        The schedule on the arrays.
    """
    work, traffic, passed = at_work
    load_once, fixed = cycles
    dram_bw = tiling.chip.dram_bw
    refetched = np.maximum(tiling.input_bits - tiling.chip.buffer_bits, 0) * (
        passed.input_reads - 1
    )
    by_chunk = tiling.spills * tiling.working_set_bits
    if tiling.cache is not None:
        by_chunk = by_chunk + tiling.cache.dram_written
        fixed = np.maximum(fixed, tiling.cache.edram_written / tiling.chip.edram_bw)
    by_column = by_chunk + tiling.spills * refetched
    combine = partial(_combine, tiling)
    columns_first = combine(load_once, np.maximum(fixed, by_column / dram_bw))
    chunks_first = combine(load_once * tiling.chunks, np.maximum(fixed, by_chunk / dram_bw))
    again = chunks_first < columns_first
    loads = np.where(again, tiling.chunks, 1)
    io_bits = np.where(again, by_chunk, by_column)
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
    """What a chip can do where sums do not fit: the faster of two schedules that are valid for any buffer.

    Either every sum that waits goes to the DRAM and comes back, and inputs are fetched for each column pass; or inputs are
    cut into parts small enough to fit half the buffer with their sums, and weights are loaded for every part.

    Returns:
        The faster schedule of each pair.
    """
    low, passed = on_arrays
    load_once, fixed = cycles
    chip, layers = tiling.chip, tiling.layers
    combine = partial(_combine, tiling)
    spilled = low.is_bound
    round_trip = 2 * low.partial_sum_bits
    again = np.maximum(passed.input_reads - 1, 0) * tiling.input_bits
    by_sum = tiling.input_bits + tiling.output_bits + again + round_trip
    sums_out = combine(load_once, np.maximum(fixed, by_sum / chip.dram_bw))
    sums = layers.positions * layers.outputs_each * layers.groups * constant("buffer.partial_sum")
    parts = np.ceil(2 * (tiling.input_bits + sums) / chip.buffer_bits)
    parts = np.clip(parts, tiling.chunks, layers.positions)
    once = tiling.spills * tiling.working_set_bits
    from_cache = np.zeros(once.shape)
    if tiling.cache is not None:
        by_sum, once = by_sum + tiling.cache.dram_written, once + tiling.cache.dram_written
        from_cache = tiling.cache.dram_read
    in_parts = combine(load_once * parts, np.maximum(fixed, once / chip.dram_bw))
    by_part = in_parts < sums_out
    slowest = np.maximum(np.minimum(sums_out, in_parts), low.cycles)
    loads = np.where(spilled & by_part, parts, np.where(spilled, 1, low.loads))
    spilled_bits = np.where(by_part, once, by_sum) + from_cache * loads
    io_bits = np.where(spilled, spilled_bits, low.io_bits)
    return replace(
        low,
        cycles=np.where(spilled, slowest, low.cycles),
        load=load_once * loads,
        loads=loads,
        io_bits=io_bits,
        dram=io_bits / chip.dram_bw,
    )


def _combine(tiling: Tiling, load: Floats, steady: Floats) -> Floats:
    one_plane = tiling.chip.planes <= 1
    together: Floats = np.maximum(load, steady) + one_plane * np.minimum(load, steady)
    return together
