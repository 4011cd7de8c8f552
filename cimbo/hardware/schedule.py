"""How layers lie on a chip: tiles, copies, weight loads, spills; cycles of each resource, and countable events.

Every array here has one element for each (layer shape, chip) pair, "row" in the comments; ``r`` carries the columns of both.
All laws are closed forms; tests hold them against hand-computed cases and a slow event-by-event simulator.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from cimbo.hardware.macro import tree_activity
from cimbo.hardware.technology import constant
from cimbo.hardware.tiling import Pass, Passes, passes

Rows = SimpleNamespace
BOUNDS = ("compute", "weight load", "DRAM", "buffer", "NoC", "vector")
EVENTS = (
    "conversions",
    "drives",
    "activations",
    "full_adders",
    "half_adders",
    "shifts",
    "written",
    "macs",
    "ops",
    "read",
    "stored",
    "moved",
    "dram",
)
# Columns of a chip that the laws below read; the rest enters once a chip, not once a row.
CHIP_COLUMNS = (
    "rows",
    "weight_columns",
    "cells_per_weight",
    "macros",
    "macros_per_pe",
    "planes",
    "capacity_tiles",
    "pulses",
    "share",
    "act_bits",
    "weight_bits",
    "dac_bits",
    "buffer_bits",
    "buffer_bw",
    "dram_bw",
    "noc_bw",
    "vector_lanes",
    "packing",
    "whole_kernels",
    "zigzag_counting",
    "rows_written",
    "row_write_cycles",
    "digital",
    "rram",
)


def place(r: Rows) -> None:
    """Tiles of each layer: what one macro holds at once. Groups that fit together share a tile, block-diagonally."""
    r.row_tiles, r.column_tiles = (
        np.ceil(r.reduction / r.rows),
        np.ceil(r.columns / r.weight_columns),
    )
    r.tile_rows = np.minimum(r.rows, r.reduction)
    _whole_kernels(r)
    r.any_counted = bool(r.zigzag_counting.any())
    if r.any_counted:
        r.fresh = np.where(r.zigzag_counting > 0, r.reduction, r.fresh)
    fitting = np.minimum(np.floor(r.rows / r.reduction), np.floor(r.weight_columns / r.columns))
    r.packed = np.where(r.packing > 0, np.clip(fitting, 1, r.groups), 1)
    r.tiles = r.row_tiles * r.column_tiles * np.ceil(r.groups / r.packed)
    r.short = r.row_tiles * r.tile_rows - r.reduction
    r.fullest = r.tile_rows * r.packed
    r.all_rows = r.reduction * r.groups
    r.strip_width = np.minimum(r.weight_columns / r.columns, 1)
    r.narrow_width = 1 - (r.column_tiles - 1) * r.strip_width
    r.static, r.one_plane = 1 - r.dynamic, (r.planes <= 1).astype(float)
    stored_bits = (
        np.where(r.dynamic > 0, r.act_bits, r.weight_bits) if r.any_dynamic else r.weight_bits
    )
    r.weight_load_bits = r.reduction * r.columns * r.groups * stored_bits
    r.input_bits, r.output_bits = r.inputs * r.act_bits, r.outputs * r.act_bits
    r.fresh_bits = r.px * r.fresh * r.groups * r.act_bits
    r.working_set = r.input_bits + r.output_bits + r.dynamic * r.weight_load_bits
    r.chunks = np.maximum(np.ceil(r.working_set / r.buffer_bits), 1)
    r.spill = r.chunks > 1
    if r.any_dynamic:
        _unit(r)


def _whole_kernels(r: Rows) -> None:
    """Row tiles of convolutions where macros hold whole kernel sides of an even share of the channels each."""
    chosen = np.flatnonzero((r.kernel > 1) & (r.row_tiles > 1))
    chosen = chosen[
        (r.whole_kernels[chosen] > 0) & (r.reduction[chosen] % r.kernel[chosen] ** 2 == 0)
    ]
    if not chosen.size:
        return
    rows, reduction, kernel = (
        getattr(r, name)[chosen].astype(int) for name in ("rows", "reduction", "kernel")
    )
    _, first, index = np.unique(
        (rows << 44) | (reduction << 12) | kernel, return_index=True, return_inverse=True
    )
    tiles = [whole_kernel_tiles(int(rows[at]), int(reduction[at]), int(kernel[at])) for at in first]
    r.row_tiles[chosen] = np.array(tiles)[index]
    r.tile_rows[chosen] = np.ceil(r.reduction[chosen] / r.row_tiles[chosen])


@lru_cache(maxsize=4096)
def whole_kernel_tiles(rows: int, reduction: int, kernel: int) -> int:
    """Tiles of a convolution's ``reduction`` = channels x kernel x kernel when the rows used of a macro are a product of
    divisors: of the channels (of ``rows`` itself where there are more) and of each side of the kernel.

    So every macro is fed by one regular walk over channels and window, as mappers of loop nests (ZigZag, Timeloop) have it; a
    chip that cuts the window anywhere needs a walk of its own for each. Of the divisors that fit, ZigZag takes those that use
    most rows: 96 of 128 with 64 channels of 3 x 3. Against it, layers of ResNet-50 on 128 rows and 2 MiB of buffer: 7 x 7 with
    3 channels 1.000, 3 x 3 with 64 channels 1.000 (cut anywhere: 0.667 and 0.836).
    """
    channels = reduction // kernel**2
    sides = {one * other for one in _divisors(kernel) for other in _divisors(kernel)}
    shares = _divisors(min(channels, rows))
    _, share, positions = max(
        (share * side, share, side) for share in shares for side in sides if share * side <= rows
    )
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
    s.passes = np.ceil(r.tiles / s.macros)
    s.compute = s.compute_once * s.passes
    passed = passes(r, s)
    _steady(r, s, passed)
    _load(r, s, passed)
    _spill(r, s)
    if r.any_dynamic:
        _digital_unit(r, s, available)
    return s


def _steady(r: Rows, s: Rows, passed: Passes) -> None:
    """Arrays, buffer, NoC and vector unit. Partial sums of row tiles in other PEs cross the NoC; those of one PE do not."""
    s.read_bits = r.fresh_bits * s.streams
    sums = r.px * r.columns * r.groups
    s.sent_bits = r.output_bits + sums * constant("noc.partial_sum") * (
        np.ceil(r.row_tiles / r.macros_per_pe) - 1
    )
    s.waiting_bits = sums * constant("buffer.partial_sum") * s.turns
    # Where inputs and waiting sums do not fit, a schedule has to spill sums or to load weights again, which we leave out.
    held = r.input_bits + sums * constant("buffer.partial_sum")
    s.is_bound = (s.turns > 0) & (held > r.buffer_bits)
    s.moved_bits = s.read_bits + s.sent_bits
    s.summing = (s.read_bits + s.waiting_bits) / r.buffer_bw
    s.buffer = np.maximum(_through(r, s.read_bits, r.output_bits) / r.buffer_bw, s.summing)
    s.noc = s.moved_bits / r.noc_bw
    s.vector = r.vector_ops / r.vector_lanes
    s.fixed = passed.total(_streaming, r, s)


def _streaming(r: Rows, s: Rows, each: Pass) -> np.ndarray:
    """Cycles of a pass while inputs stream in and results out."""
    read = r.fresh_bits * each.inputs
    buffer = _through(r, read, r.output_bits * each.results) / r.buffer_bw
    noc = (read + s.sent_bits * each.results) / r.noc_bw
    return np.maximum(np.maximum(s.compute_once, s.vector * each.results), np.maximum(buffer, noc))


def _through(r: Rows, read: np.ndarray, written: np.ndarray) -> np.ndarray:
    """Bits that take the buffer's time: reads and writes share its port, where they are not counted as ZigZag counts them."""
    both = read + written
    return (
        np.where(r.zigzag_counting > 0, np.maximum(read, written), both) if r.any_counted else both
    )


def _load(r: Rows, s: Rows, passed: Passes) -> None:
    """Weights arrive over DRAM and buffer, run-time operands over buffer and NoC, while rows are written in step."""
    link = np.where(r.dynamic > 0, r.noc_bw, r.dram_bw) if r.any_dynamic else r.dram_bw
    past_the_buffer = r.any_counted & (r.zigzag_counting > 0)
    s.transfer = s.loaded_bits / np.where(past_the_buffer, link, np.minimum(link, r.buffer_bw))
    cost = _loading_early if r.any_counted else _loading
    s.load_once = (s.loaded_bits > 0) * passed.total(cost, r, s)


def _loading(r: Rows, s: Rows, each: Pass) -> np.ndarray:
    writing = np.ceil(np.minimum(each.rows, r.fullest) / r.rows_written) * r.row_write_cycles
    return np.maximum(s.transfer * each.weights, writing)


def _loading_early(r: Rows, s: Rows, each: Pass) -> np.ndarray:
    """As ZigZag counts it, the last vector of the pass before is still being computed when a load begins."""
    return np.maximum(_loading(r, s, each) - (r.zigzag_counting > 0) * r.pulses * r.share, 0)


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
    # The buffer adds up waiting sums on its own, beside whatever the arrays do, loading included.
    s.cycles = np.maximum(np.minimum(columns_first, chunks_first), s.summing)


def _combine(r: Rows, load: np.ndarray, steady: np.ndarray) -> np.ndarray:
    return np.maximum(load, steady) + r.one_plane * np.minimum(load, steady)


def _unit(r: Rows) -> None:
    """Attention's products on the vector unit, one MAC a lane and cycle, instead of the arrays.

    Lanes form a square, so that each operand fetched serves sqrt(lanes) of them.
    """
    r.unit_read_bits = 2 * r.macs_each * r.act_bits / np.sqrt(r.vector_lanes)
    r.unit_vector = (r.macs_each + r.vector_ops) / r.vector_lanes
    r.unit_buffer = (r.unit_read_bits + r.output_bits) / r.buffer_bw
    r.unit_io_bits = r.spill * r.working_set
    r.unit_dram = r.unit_io_bits / r.dram_bw
    r.unit_cycles = np.maximum(np.maximum(r.unit_vector, r.unit_buffer), r.unit_dram)
    r.unit_cycles[r.dynamic == 0] = np.inf


def _digital_unit(r: Rows, s: Rows, available: np.ndarray) -> None:
    """Attention's products go to the vector unit wherever that is faster. RRAM is never written at run time."""
    s.on_unit = (r.unit_cycles < s.cycles) | (r.dynamic > 0) & (r.rram | (available < 1))
    where = np.flatnonzero(s.on_unit)
    for name in ("cycles", "vector", "buffer", "dram", "io_bits", "read_bits"):
        getattr(s, name)[where] = getattr(r, f"unit_{name}")[where]
    for name in ("compute", "load", "noc", "loaded_bits", "moved_bits", "is_bound"):
        getattr(s, name)[where] = 0


def events(r: Rows, s: Rows) -> np.ndarray:
    """Countable events of each row, shape (len(EVENTS), rows); a chip's energies an event turn them into energy."""
    on_array = ~s.on_unit if r.any_dynamic else np.ones_like(r.static, dtype=bool)
    vectors = r.px * r.pulses * r.groups * on_array
    sums = vectors * r.columns * r.row_tiles
    full, half = (
        _tree_events(r, vectors) if r.any_digital else (np.zeros_like(sums), np.zeros_like(sums))
    )
    spilled_out = r.spill * r.output_bits
    partial = s.waiting_bits * on_array
    loaded = s.loaded_bits * s.loads
    from_dram = loaded * r.static
    return np.stack(
        [
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
        ]
    )


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
    return Rows(
        **{
            name: values[where] if isinstance(values, np.ndarray) else values
            for name, values in chosen.items()
        }
    )


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
