"""How layers lie on a chip: tiles, copies, weight loads, spills; cycles of each resource, and countable events.

Every array here has one element for each (layer shape, chip) pair, "row" in the comments; ``r`` carries the columns of both.
All laws are closed forms; tests hold them against hand-computed cases and a slow event-by-event simulator.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from cimbo.hardware.circuit import tree_activity
from cimbo.hardware.constants import constant

Rows = SimpleNamespace
BOUNDS = ("compute", "weight load", "DRAM", "buffer", "NoC", "vector")
EVENTS = (
    "conversions", "drives", "activations", "full_adders", "half_adders", "shifts", "written",
    "macs", "ops", "read", "stored", "moved", "dram",
)  # fmt: skip
# Columns of a chip that the laws below read; the rest enters once a chip, not once a row.
CHIP_COLUMNS = (
    "rows", "weight_columns", "cells_per_weight", "macros", "macros_per_pe", "planes", "capacity_tiles", "pulses",
    "share", "act_bits", "weight_bits", "dac_bits", "buffer_bits", "buffer_bw", "dram_bw", "noc_bw", "vector_lanes", "packing",
    "whole_kernels",
    "rows_written", "row_write_cycles", "digital", "rram",
)  # fmt: skip
_UNIT_COLUMNS = (
    "macs_each", "act_bits", "vector_lanes", "vector_ops", "output_bits", "buffer_bw", "spill", "input_bits",
    "weight_load_bits", "dram_bw", "rram",
)  # fmt: skip


def place(r: Rows) -> None:
    """Tiles of each layer: what one macro holds at once. Groups that fit together share a tile, block-diagonally."""
    r.row_tiles, r.column_tiles = np.ceil(r.reduction / r.rows), np.ceil(r.columns / r.weight_columns)
    if r.whole_kernels.any():
        _whole_kernels(r)
    fitting = np.minimum(np.floor(r.rows / r.reduction), np.floor(r.weight_columns / r.columns))
    r.packed = np.where(r.packing > 0, np.clip(fitting, 1, r.groups), 1)
    r.tiles = r.row_tiles * r.column_tiles * np.ceil(r.groups / r.packed)
    # A strip is a group's row tiles of the same columns, whose sums make its results; its last tile may lack rows.
    r.tile_rows = np.minimum(np.ceil(r.reduction / r.row_tiles) if r.whole_kernels.any() else r.rows, r.reduction)
    r.short = r.row_tiles * r.tile_rows - r.reduction
    r.all_rows = r.reduction * r.groups
    r.strip_width = np.where(r.groups > 1, 1 / r.column_tiles, np.minimum(r.weight_columns / r.columns, 1))
    r.static, r.one_plane = 1 - r.dynamic, (r.planes <= 1).astype(float)
    stored_bits = np.where(r.dynamic > 0, r.act_bits, r.weight_bits) if r.any_dynamic else r.weight_bits
    r.weight_load_bits = r.reduction * r.columns * r.groups * stored_bits
    r.input_bits, r.output_bits = r.inputs * r.act_bits, r.outputs * r.act_bits
    r.fresh_bits = r.px * r.fresh * r.groups * r.act_bits
    r.working_set = r.input_bits + r.output_bits + r.dynamic * r.weight_load_bits
    r.chunks = np.maximum(np.ceil(r.working_set / r.buffer_bits), 1)
    r.spill = r.chunks > 1


def _whole_kernels(r: Rows) -> None:
    """Row tiles where a macro's rows hold whole kernel sides and an even share of the channels."""
    chosen = np.flatnonzero((r.whole_kernels > 0) & (r.kernel > 1))
    for row in chosen:
        r.row_tiles[row] = whole_kernel_tiles(int(r.rows[row]), int(r.reduction[row]), int(r.kernel[row]))


@lru_cache(maxsize=4096)
def whole_kernel_tiles(rows: int, reduction: int, kernel: int) -> int:
    """Tiles of a convolution's ``reduction`` = channels x kernel x kernel when the rows used of a macro are a product of
    divisors: of the channels (of ``rows`` itself where there are more) and of each side of the kernel.

    Of those that fit, ZigZag takes the one that uses most rows: 96 of 128 with 64 channels of 3 x 3. Against it, layers of
    ResNet-50 on 128 rows and 2 MiB of buffer: 7 x 7 with 3 channels 1.000, 3 x 3 with 64 channels 1.000 (cut anywhere:
    0.667 and 0.836).
    """
    channels = reduction // kernel**2
    sides = {one * other for one in _divisors(kernel) for other in _divisors(kernel)}
    shares = _divisors(min(channels, rows))
    _, share, positions = max((share * side, share, side) for share in shares for side in sides if share * side <= rows)
    return -(-channels // share) * (kernel**2 // positions)


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def capacity(r: Rows, total: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Whether all static weights of a network fit its chip at once, for each row; sets its share of what is left.

    ``total`` sums rows over their network and gives every row its sum. Spare tiles go to copies of layers in proportion
    to sqrt(px * tiles), which minimises the summed time px / copies; with attention, half of them hold its operands.
    """
    left = r.capacity_tiles - total(r.static * r.tiles)
    attention = total(r.dynamic) > 0 if r.any_dynamic else False
    for_copies = np.where(attention, np.floor(left / 2), left)
    weight = np.sqrt(r.px * r.tiles) * r.static
    share = weight / np.maximum(total(weight), 1e-300)
    r.copies = 1 + np.floor(np.maximum(for_copies, 0) * share / r.tiles)
    r.free_macros = np.minimum(r.macros, np.maximum(left - for_copies, 0))
    return left >= 0


def schedule(r: Rows, resident: bool) -> Rows:
    """Cycles of every layer with the network's weights resident, or reloaded each inference; what bounds each.

    cycles = load + steady with one plane (a macro cannot be written while it computes), the larger with several;
    steady is the slowest of arrays, DRAM, buffer, NoC and vector unit, which work side by side.
    """
    s = Rows(resident=resident)
    available = np.where((r.dynamic > 0) & resident, r.free_macros, r.macros)
    s.macros = np.maximum(available, 1)
    copies = np.where(resident & (r.static > 0), r.copies, np.inf)
    s.copies = np.clip(np.minimum(np.floor(s.macros / r.tiles), copies), 1, r.px)
    s.compute_once = np.ceil(r.px / s.copies) * r.pulses * r.share
    s.loaded_bits = r.weight_load_bits * np.where(resident, r.dynamic, 1)
    passes = _passes(r, s)
    s.compute = s.compute_once * s.passes
    _steady(r, s, passes)
    _load(r, s, passes)
    _spill(r, s)
    if r.any_dynamic:
        _digital_unit(r, s, available)
    return s


class Pass(NamedTuple):
    """Passes of one kind: how many there are, weight rows each holds, and its shares of all inputs, results and weights."""

    number: Any
    rows: np.ndarray
    inputs: np.ndarray
    results: np.ndarray
    weights: np.ndarray


def _passes(r: Rows, s: Rows) -> tuple[Pass, Pass, Pass]:
    """A pass fills the macros with the next tiles, strip by strip. Each full one completes ``complete`` strips or one more,
    the last one those that are left; kinds of passes differ in what they read, load and give, and so in what bounds them.
    """
    s.passes = np.ceil(r.tiles / s.macros)
    full = s.passes - 1
    complete, done = np.floor(s.macros / r.row_tiles), np.floor(full * s.macros / r.row_tiles)
    more = done - complete * full
    fewer = full - more
    rows = s.macros * r.tile_rows * r.packed - complete * r.short
    rows_more = rows - r.short
    rows_last = r.all_rows * r.column_tiles - fewer * rows - more * rows_more
    inputs = [np.minimum(held / r.all_rows, 1) for held in (rows, rows_more, rows_last)]
    _grouped_inputs(r, s, inputs)
    s.streams = fewer * inputs[0] + more * inputs[1] + inputs[2]
    strip = r.strip_width * r.packed / r.groups
    # The last strip may be narrower: it is all that the last pass holds, or one strip of it.
    narrow = 1 - (r.column_tiles - 1) * r.strip_width
    alone = r.tiles - done * r.row_tiles <= r.row_tiles
    missing = np.where(alone, rows_last, r.reduction) * (r.strip_width - narrow)
    last = (rows_last * r.strip_width - missing) / r.all_rows
    each = (1 - last) / np.maximum(r.all_rows * r.column_tiles - rows_last, 1)
    return (
        Pass(fewer, rows, inputs[0], complete * strip, rows * each),
        Pass(more, rows_more, inputs[1], (complete + 1) * strip, rows_more * each),
        Pass(1, rows_last, inputs[2], 1 - done * strip, last),
    )


def _grouped_inputs(r: Rows, s: Rows, inputs: list[np.ndarray]) -> None:
    """Shares of the inputs where groups of several columns of tiles follow each other: macros m, tiles g of a group.

    A full pass reads every tile's rows once for each group it touches: m / column tiles, and what it reads again of the group
    that it enters in the middle, averaged over the places, multiples of gcd(m, g), where it can do so.
    """
    where = np.flatnonzero((r.groups > 1) & (r.column_tiles > 1) & (s.passes > 1))
    if not where.size:
        return
    rows, columns, groups = r.row_tiles[where], r.column_tiles[where], r.groups[where]
    macros, group = s.macros[where], rows * columns
    step = np.gcd(macros.astype(int), group.astype(int))
    again = np.minimum(macros, rows) * (1 - np.maximum(step, rows) / group)
    inputs[0][where] = inputs[1][where] = (macros / columns + again) / (rows * groups)
    last = group * groups - (s.passes[where] - 1) * macros
    whole = np.floor(last / group)
    inputs[2][where] = (whole * rows + np.minimum(last - whole * group, rows)) / (rows * groups)


def _over_passes(passes: Iterable[Pass], cost: Callable[[Pass], np.ndarray]) -> np.ndarray:
    fewer, more, last = (each.number * cost(each) for each in passes)
    return fewer + more + last


def _steady(r: Rows, s: Rows, passes: tuple[Pass, Pass, Pass]) -> None:
    """Arrays, buffer, NoC and vector unit; the slowest of them bounds each pass, since a pass waits for the last one.

    Partial sums of row tiles in other PEs cross the NoC; those of one PE do not.
    """
    s.read_bits = r.fresh_bits * s.streams
    s.sum_bits = r.px * r.columns * r.groups * constant("noc.partial_sum")
    sent = r.output_bits + s.sum_bits * (np.ceil(r.row_tiles / r.macros_per_pe) - 1)
    s.moved_bits = s.read_bits + sent
    s.buffer = (s.read_bits + r.output_bits) / r.buffer_bw
    s.noc = s.moved_bits / r.noc_bw
    s.vector = r.vector_ops / r.vector_lanes

    def slowest(each: Pass) -> np.ndarray:
        read = r.fresh_bits * each.inputs
        buffer = (read + r.output_bits * each.results) / r.buffer_bw
        noc = (read + sent * each.results) / r.noc_bw
        return np.maximum(np.maximum(s.compute_once, s.vector * each.results), np.maximum(buffer, noc))

    s.fixed = _over_passes(passes, slowest)


def _load(r: Rows, s: Rows, passes: tuple[Pass, Pass, Pass]) -> None:
    """Weights arrive over DRAM and buffer, run-time operands over buffer and NoC, while rows are written in step."""
    link = np.where(r.dynamic > 0, r.noc_bw, r.dram_bw) if r.any_dynamic else r.dram_bw
    transfer = s.loaded_bits / np.minimum(link, r.buffer_bw)
    fullest = np.minimum(r.reduction * r.packed, r.rows)

    def slower(each: Pass) -> np.ndarray:
        writing = np.ceil(np.minimum(each.rows, fullest) / r.rows_written) * r.row_write_cycles
        return np.maximum(transfer * each.weights, writing)

    s.load_once = (s.loaded_bits > 0) * _over_passes(passes, slower)


def _spill(r: Rows, s: Rows) -> None:
    """Activations beyond the buffer: weights again for every chunk of inputs, or inputs again for every column pass.

    In the latter order the buffer keeps what it can of the inputs; only the rest is fetched again.
    """
    refetched = np.maximum(r.input_bits - r.buffer_bits, 0) * (s.streams - 1)
    by_chunk = r.spill * r.working_set
    by_column = by_chunk + r.spill * refetched
    columns_first = _combine(r, s.load_once, np.maximum(s.fixed, by_column / r.dram_bw))
    chunks_first = _combine(r, s.load_once * r.chunks, np.maximum(s.fixed, by_chunk / r.dram_bw))
    again = chunks_first < columns_first
    s.loads = np.where(again, r.chunks, 1)
    s.io_bits = np.where(again, by_chunk, by_column)
    s.load, s.dram = s.load_once * s.loads, s.io_bits / r.dram_bw
    s.cycles = np.minimum(columns_first, chunks_first)
    # With all row tiles on chip a column's sums are complete after one pass; else they may spill as well.
    s.is_bound = r.spill & (r.row_tiles > s.macros)


def _combine(r: Rows, load: np.ndarray, steady: np.ndarray) -> np.ndarray:
    return np.maximum(load, steady) + r.one_plane * np.minimum(load, steady)


def _digital_unit(r: Rows, s: Rows, available: np.ndarray) -> None:
    """Attention's products on the vector unit, one MAC a lane and cycle, wherever that is faster than the arrays.

    Lanes form a square, so that each operand fetched serves sqrt(lanes) of them. RRAM is never written at run time.
    """
    where = np.flatnonzero(r.dynamic)
    d = only(r, where, _UNIT_COLUMNS)
    operands = 2 * d.macs_each * d.act_bits / np.sqrt(d.vector_lanes)
    vector = (d.macs_each + d.vector_ops) / d.vector_lanes
    buffer = (operands + d.output_bits) / d.buffer_bw
    io_bits = d.spill * (d.input_bits + d.output_bits + d.weight_load_bits)
    dram = io_bits / d.dram_bw
    cycles = np.maximum(np.maximum(vector, buffer), dram)
    faster = d.rram | (available[where] < 1) | (cycles < s.cycles[where])
    where = where[faster]
    s.on_unit = np.zeros(r.dynamic.shape, dtype=bool)
    s.on_unit[where] = True
    new = {"cycles": cycles, "vector": vector, "buffer": buffer, "dram": dram}
    new |= {"io_bits": io_bits, "read_bits": operands}
    for name, values in new.items():
        getattr(s, name)[where] = values[faster]
    for name in ("compute", "load", "noc", "loaded_bits", "moved_bits", "is_bound"):
        getattr(s, name)[where] = 0


def events(r: Rows, s: Rows) -> np.ndarray:
    """Countable events of each row, shape (len(EVENTS), rows); a chip's energies an event turn them into energy."""
    on_array = ~s.on_unit if r.any_dynamic else np.ones_like(r.static, dtype=bool)
    vectors = r.px * r.pulses * r.groups * on_array
    sums = vectors * r.columns * r.row_tiles
    full, half = _tree_events(r, vectors) if r.any_digital else (np.zeros_like(sums), np.zeros_like(sums))
    spilled_out = r.spill * r.output_bits
    partial = s.sum_bits * np.maximum(np.ceil(r.row_tiles / s.macros) - 1, 0) * on_array
    loaded = s.loaded_bits * s.loads
    from_dram = loaded * r.static
    return np.stack([
        sums * r.cells_per_weight,
        vectors * r.reduction * r.column_tiles,
        r.px * r.pulses * r.tiles * on_array,
        full,
        half,
        sums,
        loaded * s.copies,
        r.macs_each * ~on_array,
        r.vector_ops,
        s.read_bits + loaded + partial + spilled_out,
        r.output_bits + from_dram + partial + s.io_bits - spilled_out,
        s.moved_bits + loaded,
        from_dram + s.io_bits,
    ])  # fmt: skip


def _tree_events(r: Rows, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Live and half-live one-bit adders of digital arrays: full row tiles, and the last one with what remains."""
    whole = np.floor(r.reduction / r.rows)
    rest = (r.reduction - whole * r.rows).astype(int)
    shapes, index = np.unique(np.stack([r.rows, r.weight_bits]), axis=1, return_inverse=True)
    tables = [tree_activity(int(rows), int(bits)) for rows, bits in shapes.T]
    starts = np.cumsum([0, *(table[0].size for table in tables)])[:-1][index.ravel()]
    trees = vectors * r.columns * r.dac_bits * r.digital
    results = []
    for kind in (0, 1):
        flat = np.concatenate([table[kind] for table in tables])
        results.append(trees * (whole * flat[starts + r.rows.astype(int)] + flat[starts + rest]))
    return results[0], results[1]


def bounds(s: Rows) -> np.ndarray:
    """Index into BOUNDS of what takes longest in each row."""
    return np.argmax(np.stack([s.compute, s.load, s.dram, s.buffer, s.noc, s.vector]), axis=0)


def only(r: Rows, where: Any, names: Iterable[str] = ()) -> Rows:
    """The rows ``where`` of the columns ``names``, or of all."""
    chosen = {name: getattr(r, name) for name in names} or vars(r)
    return Rows(**{name: values[where] if isinstance(values, np.ndarray) else values for name, values in chosen.items()})


def put(s: Rows, kept: Rows, at: tuple[Any, np.ndarray]) -> None:
    """Writes ``kept``, the schedules of the rows ``at[0]``, into ``s`` wherever ``at[1]`` is true."""
    where, chosen = at
    if not chosen.any():
        return
    if not isinstance(where, slice):
        where = where[chosen]
    elif not chosen.all():
        where = np.flatnonzero(chosen)
    for name in vars(s):
        if name != "resident":
            getattr(s, name)[where] = getattr(kept, name)[chosen]
