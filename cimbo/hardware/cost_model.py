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
        latency_ms: Time of one run of the network with its whole batch, by a schedule that the chip
            can run.
        interval_ms: Time between two results; less than ``latency_ms`` where layers work side by side.
        latency_ms_low: Lower bound of the latency; less than ``latency_ms`` only where ``is_bound``.
        energy_uj: Energy of one run, by the schedule that the chip can run.
        energy_uj_low: Lower bound of the energy.
        area_mm2: Area of the chip.
        dram_bytes: Bytes over the DRAM's channels in one run.
        cycles: Cycles of the arrays in one run.
        clock_ns: One cycle of the arrays.
        utilisation: Multiply-accumulates over what the chip could do in that time.
        leakage_mw: Leakage of the chip.
        resident: Whether weights stay on the chip between runs.
        is_bound: Whether partial sums may not fit the buffer, so that the best schedule's costs lie
            between the lower bounds and the costs given.
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
        columns: dict[str, NDArray[Any]] = {}
        for field in fields(self):
            if not field.name.endswith(PART_SUFFIXES):
                columns[field.name] = getattr(self, field.name)
        columns |= {f"energy_uj.{name}": value for name, value in self.energy_parts_uj.items()}
        return columns | {f"area_mm2.{name}": value for name, value in self.area_parts_mm2.items()}


PART_SUFFIXES = ("_parts_uj", "_parts_mm2")


def simulate_batch(
    workloads: Workload | Sequence[Workload], chips: Chips
) -> dict[str, NDArray[Any]]:
    """Evaluate n pairs (network, chip) at once; the same figures as ``simulate``.

    Args:
        workloads: One network for all chips, one for each chip, or any number of them on a single
            chip.
        chips: A list of chips, one chip, or a mapping from genes to columns of values.

    Returns:
        Columns of shape (n,): latency_ms, energy_uj and dram_bytes of a run of the whole batch, inferences_per_s and
        energy_per_inference_uj, area_mm2, cycles, clock_ns, utilisation, leakage_mw, resident and is_bound (bool),
        energy_uj.PART and area_mm2.PART. Where networks generate tokens, these are of whole requests, and
        ``GENERATION_METRICS`` stand beside them.

    Raises:
        BadInput: Where a chip's genes are not valid, naming the chip and the gene.
    """
    networks = _listed(workloads)
    columns = _simulated(networks, chips)
    batch = np.array([network.batch for network in networks])
    if any(network.loop is not None for network in networks):
        # A network without a token loop takes part with 0 steps, whatever these would cost.
        mean_steps = [
            network if network.loop is None else network.loop.step for network in networks
        ]
        tokens = [0 if network.loop is None else network.loop.tokens for network in networks]
        step_columns = _simulated(mean_steps, chips)
        columns = request_costs(columns, step_columns, np.array(tokens), batch)
    return columns | throughput(columns, batch)


def _listed(workloads: Workload | Sequence[Workload]) -> list[Workload]:
    """The networks as a list, also where there is only one."""
    if isinstance(workloads, Workload):
        return [workloads]
    return list(workloads)


def same_schedule_costs(workload: Workload, chips: Chips) -> dict[str, NDArray[Any]]:
    """Evaluate a network on several chips, all with the schedule that is best for the first one.

    Args:
        workload: The network.
        chips: Chips that differ in ``ERROR_FACTORS`` only.

    Returns:
        Columns of shape (n,), as ``simulate_batch`` gives them.

    Raises:
        BadInput: Where a chip's genes are not valid, naming the chip and the gene.
    """
    circuits = circuit(chip_table(chips))
    columns = _follow_first(workload, circuits)
    loop = workload.loop
    if loop is not None:
        step_columns = _follow_first(loop.step, circuits)
        columns = request_costs(columns, step_columns, loop.tokens, workload.batch)
    return columns | throughput(columns, workload.batch)


def _follow_first(workload: Workload, circuits: Circuit) -> dict[str, NDArray[Any]]:
    """Costs of single runs on some chips, which keep the weights that the first of them keeps."""
    grid = Grid([workload.unique[0]], circuits.table.size)
    sums = plan_pairs(PlanInputs.of(circuits), grid, follow_first=True).sums
    return pair_costs(circuits, sums).to_columns()


def _simulated(workloads: Sequence[Workload], chips: Chips) -> dict[str, NDArray[Any]]:
    """Costs of single runs, without the token loops that may follow them, columns of shape (n,)."""
    _keep_heap()
    blocks = _blocks(workloads, chips)
    return joined_columns([_solve(circuits, grids).to_columns() for circuits, grids in blocks])


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
    """Make the C library keep its heap between chunks, by freeing one large block before the first.

    glibc otherwise gives the top of the heap back to the system after every chunk, and the next
    chunk faults it in again page by page, which takes a third of the time. Once a block of this
    size was freed, glibc keeps up to twice as much. The block is never touched, so it costs no
    memory; with other C libraries this has no effect.
    """
    np.empty(28 * 2**20, dtype=np.uint8)


def pair_up(
    workloads: Workload | Sequence[Workload], chips: Chips
) -> Iterator[tuple[Circuit, Grid]]:
    """Pair networks with chips, chunk by chunk, so that memory stays bounded.

    Args:
        workloads: One network for all chips, one for each chip, or any number of them on a single
            chip.
        chips: A list of chips, one chip, or a mapping from genes to columns of values.

    Yields:
        The circuits of a chunk's chips, one for each pair, and the grid of the chunk's rows; in the
        order of the pairs.

    Raises:
        BadInput: Where a chip's genes are not valid, or networks and chips do not pair up.
    """
    for circuits, grids in _blocks(workloads, chips):
        for span, grid in grids:
            yield circuits.select(span), grid


def _blocks(
    workloads: Workload | Sequence[Workload], chips: Chips
) -> Iterator[tuple[Circuit, Iterator[tuple[slice, Grid]]]]:
    """Pair networks with chips in blocks of PAIRS_IN_FLIGHT pairs.

    Circuits are worked out for a block at once, rows for a chunk of it, of which there are fewer.

    Yields:
        The circuits of a block's chips, one for each pair, and the chunks of the block as `_grids`
        yields them.
    """
    table = chip_table(chips)
    networks = _listed(workloads)
    size = _common_size(len(networks), table.size)
    table = table.broadcast(size)
    for start in range(0, size, PAIRS_IN_FLIGHT):
        block = slice(start, min(start + PAIRS_IN_FLIGHT, size))
        networks_of_block = networks if len(networks) == 1 else networks[block]
        yield circuit(table.select(block)), _grids(networks_of_block, block.stop - start)


def _grids(networks: list[Workload], size: int) -> Iterator[tuple[slice, Grid]]:
    """Yield each chunk of ``size`` pairs: its pairs as a slice, and the grid of their rows."""
    shapes = [network.unique[0] for network in networks]
    for span in spans(shapes, size):
        shapes_of_chunk = shapes if len(shapes) == 1 else shapes[span]
        yield span, Grid(shapes_of_chunk, span.stop - span.start)


def _common_size(workloads: int, chips: int) -> int:
    """Number of pairs that so many networks and chips make. Raises BadInput where they do not pair up."""
    if workloads == 0:
        raise BadInput("workloads", "the list is empty", "give at least one")
    if workloads != chips and 1 not in (workloads, chips):
        raise BadInput(
            "workloads", f"{workloads} for {chips} chips", "give as many of each, or one of either"
        )
    return max(workloads, chips)


def _solve(circuits: Circuit, grids: Iterator[tuple[slice, Grid]]) -> CostResult:
    """Costs of a block of pairs, whose plans are made chunk by chunk."""
    inputs = PlanInputs.of(circuits)
    chunks = [plan_pairs(inputs.select(span), grid).sums for span, grid in grids]
    return pair_costs(circuits, _joined_sums(chunks))


def _joined_sums(chunks: Sequence[PlanSums]) -> PlanSums:
    """The sums of all pairs, from those of chunks of pairs."""
    joined = {}
    for field in fields(PlanSums):
        columns = [getattr(chunk, field.name) for chunk in chunks]
        joined[field.name] = np.concatenate(columns, axis=-1)
    return PlanSums(**joined)


def pair_costs(part: Circuit, sums: PlanSums) -> CostResult:
    """Turn the cycles and events of pairs into latency, energy and area.

    Args:
        part: The circuits of the pairs' chips, (n,).
        sums: Cycles and events of the pairs' schedules, (n,).

    Returns:
        Latency, energy and area, (n,).
    """
    picojoules = energy_by_part(part, sums.counts, sums.interval)
    energy = _sum(picojoules)
    cycles = np.maximum(sums.cycles, sums.interval)
    event_energy_low = np.sum(sums.counts_low * part.event_pj, axis=0)
    leaking_cycles = np.minimum(sums.cycles_low, sums.interval)
    energy_low = event_energy_low + part.leakage_mw * leaking_cycles * part.clock_ns
    # The low schedule does not know what stages of a pipeline share, so where sums fit the buffer
    # the costs themselves are the bound of a pipelined chip.
    is_exact = (part.table.execution > 0) & ~sums.is_bound
    cycles_low = np.where(is_exact, cycles, sums.cycles_low)
    low = np.where(is_exact, energy, np.minimum(energy_low, energy))
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
    """Sum of the columns of all parts, (n,)."""
    total: Floats = sum(parts.values(), np.zeros(1))
    return total


def energy_by_part(part: Circuit, counts: Floats, cycles: Floats) -> dict[str, Floats]:
    """Work out the energy that each part of a chip spends.

    Args:
        part: The chips' circuits, (n,) or one for all.
        counts: Events in the order of EVENT_FIELDS, (events, n).
        cycles: Cycles of the arrays in which the chip leaks, (n,).

    Returns:
        pJ by part (ENERGY_PARTS and "leakage"), (n,) each.
    """
    count_of = dict(zip(EVENT_FIELDS, counts, strict=True))
    parts: dict[str, Floats] = {}
    for name, terms in ENERGY_PARTS.items():
        parts[name] = sum(count_of[event] * part.energies[energy] for event, energy in terms)
    return parts | {"leakage": part.leakage_mw * cycles * part.clock_ns}


def area_mm2(chips: Chips) -> Floats:
    """Work out the area of chips.

    It depends on no network, so it can be constrained before any evaluation.

    Args:
        chips: A list of chips, one chip, or a mapping of columns.

    Returns:
        mm2 of each chip, (n,).

    Raises:
        BadInput: Where a chip's genes are not valid, naming the chip and the gene.
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
