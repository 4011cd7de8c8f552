"""The performance model: latency, energy and area of networks on chips, one at a time or many thousands a second.

One code path serves all: (layer shape, chip) pairs become rows of flat arrays, laws are evaluated on all rows, and rows
are summed into (network, chip) pairs. Large batches run in chunks, so memory stays bounded.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from cimbo.errors import BadInput
from cimbo.hardware.chip import columns
from cimbo.hardware.macro import circuit
from cimbo.hardware.schedule import (
    BOUNDS,
    CHIP_COLUMNS,
    EVENTS,
    bounds,
    capacity,
    events,
    only,
    place,
    put,
    schedule,
)
from cimbo.workloads.layers import COLUMNS, Workload

ENERGY_PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "adc": (("conversions", "conversion_energy"),),
    "dac": (("drives", "drive_energy"),),
    "array": (
        ("drives", "row_energy"),
        ("activations", "array_energy"),
        ("conversions", "bitline_energy"),
    ),
    "adders": (
        ("full_adders", "adder_energy"),
        ("half_adders", "half_adder_energy"),
        ("shifts", "shift_energy"),
    ),
    "accumulators": (("shifts", "accumulator_energy"),),
    "weight_write": (("written", "write_energy"),),
    "buffer": (("read", "read_energy"), ("stored", "store_energy")),
    "noc": (("moved", "noc_energy"),),
    "vector": (("ops", "op_energy"), ("macs", "mac_energy")),
    "dram": (("dram", "dram_energy"),),
}
"""Which events, at which of the chip's energies an event, make up each part; leakage x time is one part more."""

ROWS_IN_FLIGHT = 6_000  # some hundred columns of them stay in a core's caches
PAIRS_IN_FLIGHT = 4_000  # whose chips' circuits are worked out at once; memory grows with these two and the results only
Chips = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def simulate_batch(workloads: Workload | Sequence[Workload], chips: Chips) -> dict[str, np.ndarray]:
    """Metrics of n pairs (network, chip), each an array of shape (n,); the same figures as ``simulate``.

    ``workloads``: one, or a list as long as the chips, or of any length with a single chip. ``chips``: a list of
    chips, one chip, or a mapping of columns. Keys: latency_ms, energy_uj, area_mm2, cycles, clock_ns, utilisation,
    leakage_mw, resident and is_bound (bool), energy_uj.PART and area_mm2.PART. Raises BadInput.
    """
    _keep_heap()
    solved = [_solve(part, grids) for part, grids in _blocks(workloads, chips)]
    return _joined(solved)


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([each[name] for each in parts], axis=-1) for name in parts[0]}


@cache
def _keep_heap() -> None:
    """Frees one large block, never touched, before the first batch.

    The C library gives the top of its heap back after every chunk, and the next one faults it in page by page, a third of
    the time, until a block this large has been freed: glibc then keeps up to twice as much. Elsewhere it does nothing.
    """
    np.empty(28 * 2**20, dtype=np.uint8)


def pair_up(
    workloads: Workload | Sequence[Workload], chips: Chips
) -> Iterator[tuple[SimpleNamespace, "Grid"]]:
    """The pairs of a batch chunk by chunk: the chunk's chips, and the grid of its rows."""
    for part, grids in _blocks(workloads, chips):
        for span, grid in grids:
            yield only(part, span), grid


def _blocks(
    workloads: Workload | Sequence[Workload], chips: Chips
) -> Iterator[tuple[SimpleNamespace, Iterator[tuple[slice, "Grid"]]]]:
    """The circuits of a block of chips, and which of them make up each chunk of rows, with its grid."""
    table = columns(chips)
    listed = [workloads] if isinstance(workloads, Workload) else list(workloads)
    size = _common_size(len(listed), table["rows"].size)
    table = {name: np.broadcast_to(values, (size,)) for name, values in table.items()}
    for start in range(0, size, PAIRS_IN_FLIGHT):
        block = slice(start, min(start + PAIRS_IN_FLIGHT, size))
        chosen = listed if len(listed) == 1 else listed[block]
        yield (
            circuit({name: values[block] for name, values in table.items()}),
            _grids(chosen, block.stop - start),
        )


def _grids(listed: list[Workload], size: int) -> Iterator[tuple[slice, "Grid"]]:
    layers = [workload.unique[0] for workload in listed]
    for span in _spans(layers, size):
        yield span, Grid(layers if len(layers) == 1 else layers[span], span.stop - span.start)


def _common_size(workloads: int, chips: int) -> int:
    if workloads == 0:
        raise BadInput("workloads", "the list is empty", "give at least one")
    if workloads != chips and 1 not in (workloads, chips):
        raise BadInput(
            "workloads", f"{workloads} for {chips} chips", "give as many of each, or one of either"
        )
    return max(workloads, chips)


def _spans(layers: list[np.ndarray], size: int) -> Iterator[slice]:
    """Consecutive pairs with about ROWS_IN_FLIGHT rows together, always at least one."""
    ends = np.cumsum(np.broadcast_to([each.shape[1] for each in layers], (size,)))
    start = 0
    while start < size:
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + ROWS_IN_FLIGHT, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


class Grid:
    """The rows of some pairs: which pair each belongs to, and sums over a pair's rows, each shape by its count."""

    def __init__(self, layers: list[np.ndarray], pairs: int) -> None:
        lengths = np.array([array.shape[1] for array in layers])
        self.lengths = np.broadcast_to(lengths, (pairs,))
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        stacked = layers[0] if len(layers) == 1 else np.concatenate(layers, axis=1)
        self.columns = np.tile(stacked, pairs) if len(layers) == 1 else stacked
        self.count = self.columns[COLUMNS.index("count")]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of ``values`` (..., rows) over each pair: (..., pairs)."""
        return np.add.reduceat(values * self.count, self.starts, axis=-1)

    def rows(self, values: np.ndarray) -> np.ndarray:
        """``values`` (..., pairs) repeated for each row: (..., rows)."""
        return np.repeat(values, self.lengths, axis=-1)

    def total(self, values: np.ndarray) -> np.ndarray:
        """For each row the sum over its network."""
        return self.rows(self.sums(values))


def _solve(part: SimpleNamespace, grids: Iterator[tuple[slice, Grid]]) -> dict[str, np.ndarray]:
    """Metrics of a block: its rows are summed chunk by chunk, what is the same for a whole chip enters at the end."""
    sums = _joined([_summed(only(part, span, CHIP_COLUMNS), grid) for span, grid in grids])
    cycles = sums["cycles"]
    picojoules = _energy(part, sums["counts"], cycles)
    return {
        "latency_ms": cycles * part.clock_ns * 1e-6,
        "energy_uj": sum(picojoules.values()) * 1e-6,
        "area_mm2": part.area_mm2,
        "cycles": cycles,
        "clock_ns": part.clock_ns,
        "utilisation": sums["macs"] / (cycles * part.peak_macs),
        "leakage_mw": part.leakage_mw,
        "resident": sums["resident"],
        "is_bound": sums["is_bound"],
        **{f"energy_uj.{name}": value * 1e-6 for name, value in picojoules.items()},
        **{f"area_mm2.{name}": value for name, value in part.area_parts.items()},
    }


def _summed(part: SimpleNamespace, grid: Grid) -> dict[str, np.ndarray]:
    rows, plan, resident = _plan(part, grid)
    return {
        "cycles": grid.sums(plan.cycles),
        "counts": grid.sums(events(rows, plan)),
        "macs": grid.sums(rows.macs_each),
        "resident": resident,
        "is_bound": grid.sums(plan.is_bound) > 0,
    }


def chip_rows(part: Any, grid: Grid) -> SimpleNamespace:
    """Columns of layer shapes and chips, one element a row, and where the tiles lie."""
    table = grid.rows(np.array([getattr(part, name) for name in CHIP_COLUMNS], dtype=float))
    rows = SimpleNamespace(**dict(zip(COLUMNS, grid.columns, strict=True)))
    for name, values in zip(CHIP_COLUMNS, table, strict=True):
        setattr(rows, name, values > 0 if name in ("digital", "rram") else values)
    rows.any_dynamic, rows.any_digital = bool(rows.dynamic.any()), bool(part.digital.any())
    rows.macs_each = rows.px * rows.reduction * rows.columns * rows.groups
    place(rows)
    return rows


def _plan(part: SimpleNamespace, grid: Grid) -> tuple[SimpleNamespace, SimpleNamespace, np.ndarray]:
    """Rows of the pairs, the schedule each runs, and which pairs keep their weights resident."""
    rows = chip_rows(part, grid)
    fits = capacity(rows, grid.total)[grid.starts]
    plan = schedule(rows, resident=False)
    if not fits.any():
        return rows, plan, fits
    where = slice(None) if fits.all() else np.flatnonzero(grid.rows(fits))
    kept = schedule(only(rows, where), resident=True)
    # A network that fits may still run faster when each layer is loaded into all macros in turn.
    cycles = plan.cycles.copy()
    cycles[where] = kept.cycles
    resident = fits & (grid.sums(cycles) <= grid.sums(plan.cycles))
    put(plan, kept, (where, grid.rows(resident)[where]))
    return rows, plan, resident


def _energy(chip: SimpleNamespace, counts: np.ndarray, cycles: np.ndarray) -> dict[str, np.ndarray]:
    """Picojoules of each part; ``counts`` (len(EVENTS), n) and ``cycles`` (n,) with the chip's columns (n,) or (1,)."""
    event = dict(zip(EVENTS, counts, strict=True))
    parts = {
        name: sum(event[what] * getattr(chip, energy) for what, energy in terms)
        for name, terms in ENERGY_PARTS.items()
    }
    return parts | {"leakage": chip.leakage_mw * cycles * chip.clock_ns}


def area_mm2(chips: Chips) -> np.ndarray:
    """Area of each chip, shape (n,); it depends on no network, so it can be constrained before any evaluation."""
    return circuit(columns(chips)).area_mm2


def simulate(workload: Workload, chip: Mapping[str, Any]) -> dict[str, Any]:
    """One network on one chip: latency_ms, energy_uj, area_mm2, cycles, clock_ns, utilisation, leakage_mw, resident,
    is_bound, energy_parts_uj, area_parts_mm2, peak_tops, warnings, and ``layers`` with name, kind, cycles, bound,
    utilisation and energy_uj by part, in order. Raises BadInput naming the gene.
    """
    part = _one_circuit(chip)
    shapes, where = workload.unique
    grid = Grid([shapes], 1)
    rows, plan, resident = _plan(part, grid)
    counts = events(rows, plan)
    cycles = float(grid.sums(plan.cycles)[0])
    total = _energy(part, grid.sums(counts), np.array([cycles]))
    return {
        "latency_ms": cycles * float(part.clock_ns[0]) * 1e-6,
        "energy_uj": sum(float(value[0]) for value in total.values()) * 1e-6,
        "area_mm2": float(part.area_mm2[0]),
        "cycles": cycles,
        "clock_ns": float(part.clock_ns[0]),
        "utilisation": workload.macs / (cycles * float(part.peak_macs[0])),
        "leakage_mw": float(part.leakage_mw[0]),
        "peak_tops": 2e-3 * float(part.peak_macs[0] / part.clock_ns[0]),
        "resident": bool(resident[0]),
        "is_bound": bool(plan.is_bound.any()),
        "energy_parts_uj": {name: float(value[0]) * 1e-6 for name, value in total.items()},
        "area_parts_mm2": {name: float(value[0]) for name, value in part.area_parts.items()},
        "warnings": _warnings(workload, where, plan),
        "layers": _layers(workload, where, (part, rows, plan, counts)),
    }


def _one_circuit(chip: Mapping[str, Any]) -> SimpleNamespace:
    """The circuit of one chip, kept for the next network on it."""
    try:
        return _kept_circuit(tuple(chip.items()))
    except TypeError:  # lists as values: several chips
        return _checked_circuit(chip)


def _checked_circuit(chip: Mapping[str, Any]) -> SimpleNamespace:
    table = columns(chip)
    if table["rows"].size != 1:
        raise BadInput(
            "chip", f"describes {table['rows'].size} chips", "give one, or use simulate_batch"
        )
    return circuit(table)


@lru_cache(maxsize=256)
def _kept_circuit(items: tuple) -> SimpleNamespace:
    return _checked_circuit(dict(items))


def _layers(workload: Workload, where: Sequence[int], of: tuple) -> list[dict[str, Any]]:
    part, rows, plan, counts = of
    energy = _energy(part, counts, plan.cycles)
    names = list(energy)
    energies = [
        dict(zip(names, values, strict=True))
        for values in (np.array([energy[name] for name in names]) * 1e-6).T.tolist()
    ]
    bound, cycles = [BOUNDS[index] for index in bounds(plan).tolist()], plan.cycles.tolist()
    used = (rows.macs_each / (plan.cycles * part.peak_macs[0])).tolist()
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "cycles": cycles[shape],
            "bound": bound[shape],
            "utilisation": used[shape],
            "energy_uj": energies[shape].copy(),
        }
        for layer, shape in zip(workload.layers, where, strict=True)
    ]


def _warnings(workload: Workload, where: Sequence[int], plan: SimpleNamespace) -> list[str]:
    names = [
        layer.name
        for layer, shape in zip(workload.layers, where, strict=True)
        if plan.is_bound[shape]
    ]
    if not names:
        return []
    text = "partial sums and activations exceed the buffer; cycles and energy of these layers are lower bounds: "
    return [text + ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")]
