"""What each pair's schedule is chosen by: latency, energy or their product, of whole networks and of single rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.circuit import Circuit
from cimbo.hardware.grid import Grid
from cimbo.hardware.rows import CHIP_FIELDS, Floats, Indices, select


@dataclass(frozen=True)
class PlanInputs:
    """What each pair's chip gives its schedules, arrays of (..., pairs).

    What schedules depend on, pJ an event, leakage a cycle, what they are chosen by, and whether layers are to work side by
    side.
    """

    chip_columns: Floats
    event_pj: Floats
    leakage_pj: Floats
    criterion: Indices
    is_pipelined: Floats

    @classmethod
    def of(cls, part: Circuit) -> PlanInputs:
        """Gather what plans depend on.

        Args:
            part: The chips, one for each pair.

        Returns:
            Its columns, (..., pairs).
        """
        leakage = part.leakage_mw * part.clock_ns
        pipelined = part.chip_columns[CHIP_FIELDS.index("is_pipelined")]
        return cls(part.chip_columns, part.event_pj, leakage, part.table.schedule, pipelined)

    def select(self, where: slice | Indices) -> PlanInputs:
        """Take some of the pairs.

        Args:
            where: Their positions, as a slice or as indices; an index may occur more than once.

        Returns:
            The same columns of those pairs, in that order.
        """
        return select(self, where)


def row_scores(given: PlanInputs, grid: Grid, of: tuple[Floats, Indices], whole: Floats) -> Floats:
    """Work out what single rows add to the score of their pair, to first order.

    Args:
        given: The pairs' chips.
        grid: The rows.
        of: Cycles and events of some rows, (1 + fields, rows), and which they are.
        whole: Sums over pairs, (1 + fields, pairs), around which the product of energy and delay is linearised.

    Returns:
        The less the better, (rows,).
    """
    values, rows = of
    network = grid.network[rows]
    cycles, energy = values[0], _picojoules(given.select(network), values)
    all_cycles, all_energy = whole[0], _picojoules(given, whole)
    product = cycles / all_cycles[network] + energy / all_energy[network]
    return _by_criterion(given.criterion[network], (cycles, energy, product))


def _picojoules(given: PlanInputs, values: Floats) -> Floats:
    """Energy of events and leakage, (n,), of cycles above events, (1 + fields, n)."""
    energy: Floats = np.sum(values[1:] * given.event_pj, axis=0) + given.leakage_pj * values[0]
    return energy


def _by_criterion(criterion: Indices, scores: tuple[Floats, Floats, Floats]) -> Floats:
    """Of latency, energy and their product what each pair or row is judged by."""
    chosen: Floats = np.choose(criterion, scores)  # in the order of SCHEDULES
    return chosen


def pair_score(given: PlanInputs, sums: Floats) -> Floats:
    """Work out what a pair's schedule is chosen by.

    Args:
        given: The pairs' chips.
        sums: Cycles above events of each pair, (1 + fields, pairs).

    Returns:
        The less the better, (pairs,).
    """
    cycles, energy = sums[0], _picojoules(given, sums)
    return _by_criterion(given.criterion, (cycles, energy, cycles * energy))
