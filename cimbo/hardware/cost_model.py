"""The performance model: latency, energy and area of networks on chips, one at a time or many thousands a second.

One code path serves all: (layer shape, chip) pairs become rows of flat arrays, laws are evaluated on all rows, and rows
are summed into (network, chip) pairs. Large batches run in chunks, so memory stays bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.hardware.chip_table import chip_table
from cimbo.hardware.circuit import BITS_PER_BYTE, ENERGY_PARTS, Circuit, circuit
from cimbo.hardware.events import EVENT_FIELDS
from cimbo.hardware.generation import request_costs
from cimbo.hardware.grid import Grid, spans
from cimbo.hardware.plan import PlanSums, plan_pairs
from cimbo.hardware.plan_scores import PlanInputs
from cimbo.hardware.rows import Bools, Floats, joined_columns
from cimbo.workloads.layers import Workload

# Pairs that are computed at once, which bounds the memory besides that of the results
PAIRS_IN_FLIGHT = 4_000
Chips = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class CostResult:
    """What n pairs (network, chip) cost, each column of shape (n,).

    Attributes:
        latency_ms: Of one run of the network, whatever its batch, by a schedule that exists.
        interval_ms: Between two results; less than the former where layers work side by side.
        latency_ms_low: By one that may be too good; less than the other only where ``is_bound``.
        energy_uj: Of one run, by the former.
        energy_uj_low: By the latter.
        area_mm2: Of the chip.
        dram_bytes: Over the DRAM's channels in one run.
        cycles: Of the arrays in one run.
        clock_ns: One cycle of the arrays.
        utilisation: Multiply-accumulates over what the chip could do in that time.
        leakage_mw: Of the chip.
        resident: Whether weights stay on the chip between runs.
        is_bound: Whether partial sums may not fit the buffer, so that the true cost lies between the two.
        energy_parts_uj: Energy by part.
        area_parts_mm2: Area by part.
    """

    latency_ms: Floats
    interval_ms: Floats
    latency_ms_low: Floats
    energy_uj: Floats
    energy_uj_low: Floats
    area_mm2: Floats
    dram_bytes: Floats
    cycles: Floats
    clock_ns: Floats
    utilisation: Floats
    leakage_mw: Floats
    resident: Bools
    is_bound: Bools
    energy_parts_uj: dict[str, Floats]
    area_parts_mm2: dict[str, Floats]

    def to_columns(self) -> dict[str, NDArray[Any]]:
        """Gather all columns by name.

        Returns:
            Columns (n,), those of the parts as energy_uj.PART and area_mm2.PART.
        """
        names = []
        for field in fields(self):
            if not field.name.endswith(PART_SUFFIXES):
                names.append(field.name)
        found: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in names}
        found |= {f"energy_uj.{name}": value for name, value in self.energy_parts_uj.items()}
        return found | {f"area_mm2.{name}": value for name, value in self.area_parts_mm2.items()}


PART_SUFFIXES = ("_parts_uj", "_parts_mm2")


def simulate_batch(
    workloads: Workload | Sequence[Workload], chips: Chips
) -> dict[str, NDArray[Any]]:
    """Evaluates n pairs (network, chip) at once; the same figures as ``simulate``.

    Args:
        workloads: One, or a list as long as the chips, or of any length with a single chip.
        chips: A list of chips, one chip, or a mapping of columns.

    Returns:
        Columns of shape (n,): latency_ms, energy_uj and dram_bytes of a run of the whole batch, inferences_per_s and
        energy_per_inference_uj, area_mm2, cycles, clock_ns, utilisation, leakage_mw, resident and is_bound (bool),
        energy_uj.PART and area_mm2.PART. Where networks generate tokens, these are of whole requests, and
        ``GENERATION_METRICS`` stand beside them.

    Raises:
        BadInput: Where a chip is none, naming the chip and the gene.
    """
    if isinstance(workloads, Workload):
        listed = [workloads]
    else:
        listed = list(workloads)
    columns = _simulated(listed, chips)
    loops = [each.loop for each in listed]
    batch = np.array([each.batch for each in listed])
    if any(loop is not None for loop in loops):
        mean_steps = []
        for each, loop in zip(listed, loops, strict=True):
            mean_steps.append(each if loop is None else loop.step)
        tokens = np.array([0 if loop is None else loop.tokens for loop in loops])
        columns = request_costs(columns, _simulated(mean_steps, chips), tokens, batch)
    return columns | throughput(columns, batch)


def same_schedule_costs(workload: Workload, chips: Chips) -> dict[str, NDArray[Any]]:
    """Evaluates a network on chips that all run it as is best for the first of them.

    Args:
        workload: The network.
        chips: Chips that differ in ``ERROR_FACTORS`` only.

    Returns:
        Columns of shape (n,), as ``simulate_batch`` gives them.

    Raises:
        BadInput: Where a chip is none, naming the chip and the gene.
    """
    part = circuit(chip_table(chips))
    columns = _follow_first(workload, part)
    loop = workload.loop
    if loop is not None:
        columns = request_costs(
            columns, _follow_first(loop.step, part), loop.tokens, workload.batch
        )
    return columns | throughput(columns, workload.batch)


def _follow_first(workload: Workload, part: Circuit) -> dict[str, NDArray[Any]]:
    """Costs of single runs on some chips, with the weights kept that are kept on the first."""
    grid = Grid([workload.unique[0]], part.table.size)
    sums = plan_pairs(PlanInputs.of(part), grid, follow_first=True).sums
    return pair_costs(part, sums).to_columns()


def _simulated(workloads: Sequence[Workload], chips: Chips) -> dict[str, NDArray[Any]]:
    """Costs of single runs, whatever loop may follow them."""
    _keep_heap()
    blocks = _blocks(workloads, chips)
    return joined_columns([_solve(part, grids).to_columns() for part, grids in blocks])


def throughput(columns: Mapping[str, Any], batch: NDArray[np.int64] | int) -> dict[str, Any]:
    """Count inferences a second and the energy of each.

    Args:
        columns: Costs of runs, each of ``batch`` inferences at once; interval_ms and energy_uj among them.
        batch: Inferences of a run.

    Returns:
        ``inferences_per_s`` and ``energy_per_inference_uj``.
    """
    return {
        "inferences_per_s": 1e3 * batch / columns["interval_ms"],
        "energy_per_inference_uj": columns["energy_uj"] / batch,
    }


@cache
def _keep_heap() -> None:
    """Frees one large block, never touched, before the first batch.

    The C library gives the top of its heap back after every chunk, and the next one faults it in page by page, a third of
    the time, until a block this large has been freed: glibc then keeps up to twice as much. Elsewhere it does nothing.
    """
    np.empty(28 * 2**20, dtype=np.uint8)


def pair_up(
    workloads: Workload | Sequence[Workload], chips: Chips
) -> Iterator[tuple[Circuit, Grid]]:
    """Pair networks with chips, chunk by chunk, so that memory stays bounded.

    Args:
        workloads: One network, or a list as long as the chips, or of any length with a single chip.
        chips: A list of chips, one chip, or a mapping of columns.

    Yields:
        The circuits of a chunk's chips, one for each pair, and the grid of the chunk's rows; in the
        order of the pairs.

    Raises:
        BadInput: Where a chip is none, or networks and chips do not pair up.
    """
    for part, grids in _blocks(workloads, chips):
        for span, grid in grids:
            yield part.select(span), grid


def _blocks(
    workloads: Workload | Sequence[Workload], chips: Chips
) -> Iterator[tuple[Circuit, Iterator[tuple[slice, Grid]]]]:
    """The circuits of a block of chips, and which of them make up each chunk of rows, with its grid."""
    table = chip_table(chips)
    if isinstance(workloads, Workload):
        listed = [workloads]
    else:
        listed = list(workloads)
    size = _common_size(len(listed), table.size)
    table = table.broadcast(size)
    for start in range(0, size, PAIRS_IN_FLIGHT):
        block = slice(start, min(start + PAIRS_IN_FLIGHT, size))
        chosen = listed if len(listed) == 1 else listed[block]
        yield circuit(table.select(block)), _grids(chosen, block.stop - start)


def _grids(listed: list[Workload], size: int) -> Iterator[tuple[slice, Grid]]:
    shapes = [workload.unique[0] for workload in listed]
    for span in spans(shapes, size):
        own = shapes if len(shapes) == 1 else shapes[span]
        yield span, Grid(own, span.stop - span.start)


def _common_size(workloads: int, chips: int) -> int:
    if workloads == 0:
        raise BadInput("workloads", "the list is empty", "give at least one")
    if workloads != chips and 1 not in (workloads, chips):
        raise BadInput(
            "workloads", f"{workloads} for {chips} chips", "give as many of each, or one of either"
        )
    return max(workloads, chips)


def _solve(part: Circuit, grids: Iterator[tuple[slice, Grid]]) -> CostResult:
    """Costs of a block: its rows are summed chunk by chunk, what is the same for a whole chip enters at the end."""
    whole = PlanInputs.of(part)
    chunks = [plan_pairs(whole.select(span), grid).sums for span, grid in grids]
    return pair_costs(part, _joined_sums(chunks))


def _joined_sums(chunks: Sequence[PlanSums]) -> PlanSums:
    """The sums of all pairs, from those of chunks of pairs."""
    joined = {}
    for name in (field.name for field in fields(PlanSums)):
        joined[name] = np.concatenate([getattr(each, name) for each in chunks], axis=-1)
    return PlanSums(**joined)


def pair_costs(part: Circuit, sums: PlanSums) -> CostResult:
    """Turn what pairs run into what they cost.

    Args:
        part: The chips of the pairs, (n,).
        sums: Cycles and events of their schedules, (n,).

    Returns:
        Latency, energy and area, (n,).
    """
    picojoules = energy_by_part(part, sums.counts, sums.interval)
    energy = _sum(picojoules)
    low = np.sum(sums.counts_low * part.event_pj, axis=0)
    low = low + part.leakage_mw * np.minimum(sums.cycles_low, sums.interval) * part.clock_ns
    cycles = np.maximum(sums.cycles, sums.interval)
    is_known = (
        part.table.execution > 0
    ) & ~sums.is_bound  # of stages, whose shares are in no bound
    cycles_low = np.where(is_known, cycles, sums.cycles_low)
    low = np.where(is_known, energy, np.minimum(low, energy))
    return CostResult(
        latency_ms=cycles * part.clock_ns * 1e-6,
        interval_ms=sums.interval * part.clock_ns * 1e-6,
        latency_ms_low=cycles_low * part.clock_ns * 1e-6,
        energy_uj=energy * 1e-6,
        energy_uj_low=low * 1e-6,
        area_mm2=part.area_mm2,
        dram_bytes=sums.counts[EVENT_FIELDS.index("dram")] / BITS_PER_BYTE,
        cycles=sums.cycles,
        clock_ns=part.clock_ns,
        utilisation=sums.macs / (sums.interval * part.peak_macs),
        leakage_mw=part.leakage_mw,
        resident=sums.resident,
        is_bound=sums.is_bound,
        energy_parts_uj={name: value * 1e-6 for name, value in picojoules.items()},
        area_parts_mm2=part.area_parts,
    )


def _sum(parts: Mapping[str, Floats]) -> Floats:
    total: Floats = sum(parts.values(), np.zeros(1))
    return total


def energy_by_part(part: Circuit, counts: Floats, cycles: Floats) -> dict[str, Floats]:
    """Picojoules of each part.

    Args:
        part: The chips, (n,) or one for all.
        counts: Events in the order of their fields, (fields, n).
        cycles: Of the arrays, (n,).

    Returns:
        Columns of shape (n,) by part.
    """
    event = dict(zip(EVENT_FIELDS, counts, strict=True))
    parts: dict[str, Floats] = {}
    for name, terms in ENERGY_PARTS.items():
        parts[name] = sum(event[what] * part.energies[energy] for what, energy in terms)
    return parts | {"leakage": part.leakage_mw * cycles * part.clock_ns}


def area_mm2(chips: Chips) -> Floats:
    """Work out the area of chips.

    It depends on no network, so it can be constrained before any evaluation.

    Args:
        chips: A list of chips, one chip, or a mapping of columns.

    Returns:
        mm2 of each chip, (n,).

    Raises:
        BadInput: Where a chip is none, naming the chip and the gene.
    """
    return circuit(chip_table(chips)).area_mm2


def one_circuit(chip: Mapping[str, Any]) -> Circuit:
    """Work out the circuit of one chip, and keep it for the next network on that chip.

    Args:
        chip: Genes of the chip; those left out have their defaults.

    Returns:
        Its circuit, columns of shape (1,).

    Raises:
        BadInput: Where the genes describe no chip, or several.
    """
    try:
        return _kept_circuit(tuple(chip.items()))
    except TypeError:  # lists as values: several chips
        return _checked_circuit(chip)


def _checked_circuit(chip: Mapping[str, Any]) -> Circuit:
    table = chip_table(chip)
    if table.size != 1:
        raise BadInput("chip", f"describes {table.size} chips", "give one, or use simulate_batch")
    return circuit(table)


@lru_cache(maxsize=256)
def _kept_circuit(items: tuple[tuple[str, Any], ...]) -> Circuit:
    return _checked_circuit(dict(items))
