"""Descriptors of a network on a chip that follow from physics, cheap enough to give to a surrogate for every candidate."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from cimbo.hardware.model import Chips, Grid, chip_rows, pair_up
from cimbo.workload import Workload


def features(workloads: Workload | Sequence[Workload], chips: Chips) -> dict[str, np.ndarray]:
    """Features of n pairs, each of shape (n,): logarithms of what costs scale with, and whether weights fit the chip.

    MACs, weight bits, tiles, tiles a macro, ideal cycles of arrays, weight load, buffer and vector unit, clock in ns,
    area in mm2. Takes what ``simulate_batch`` takes; raises BadInput as it does.
    """
    found = [_features(part, grid) for part, grid in pair_up(workloads, chips)]
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}


def _features(part: SimpleNamespace, grid: Grid) -> dict[str, np.ndarray]:
    r = chip_rows(part, grid)
    tiles = grid.sums(r.static * r.tiles)
    weight_bits = grid.sums(r.static * r.weight_load_bits)
    bandwidth = np.minimum(r.dram_bw, r.buffer_bw)[grid.starts]
    macros = r.macros[grid.starts]
    compute = grid.sums(r.static * r.px * r.tiles * r.pulses * r.share) / macros
    moved = grid.sums(r.fresh_bits * r.column_tiles + r.output_bits) / r.buffer_bw[grid.starts]
    vector = grid.sums(r.vector_ops) / r.vector_lanes[grid.starts]
    fits = tiles <= r.capacity_tiles[grid.starts]
    logs = {
        "macs": grid.sums(r.macs_each),
        "weight_bits": weight_bits,
        "tiles": tiles,
        "tiles_per_macro": tiles / macros,
        "compute_cycles": compute,
        "load_cycles": np.where(fits, 0, weight_bits / bandwidth),
        "buffer_cycles": moved,
        "vector_cycles": vector,
        "attention_cycles": grid.sums(r.dynamic * r.macs_each) / r.vector_lanes[grid.starts],
        "spilled_bits": grid.sums(np.where(r.spill, r.input_bits + r.output_bits, 0)),
    }
    chip = {"log_clock_ns": np.log(part.clock_ns), "log_area_mm2": np.log(part.area_mm2)}
    return {f"log_{name}": np.log1p(value) for name, value in logs.items()} | chip | {"fits": fits.astype(float)}
