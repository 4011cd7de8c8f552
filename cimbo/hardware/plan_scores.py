"""The score by which each (network, chip) pair's schedule is chosen: latency, energy or their product.

Costs come as one array: cycles in the first line, the counts of the events of
:class:`cimbo.hardware.events.Events` in the others, so (1 + events, n). A *row* is one distinct
layer shape of one pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cimbo.hardware.circuit import Circuit
from cimbo.hardware.grid import Grid
from cimbo.hardware.rows import CHIP_FIELDS, Floats, Indices, select


@dataclass(frozen=True)
class PlanInputs:
    """What schedules take from each pair's chip, arrays of (..., pairs).

    Attributes:
        chip_columns: The fields of ``ChipRows``, in order, (fields, pairs).
        event_pj: Energy of each event in pJ, (events, pairs).
        leakage_pj: Leakage of the chip in pJ a cycle of the arrays, (pairs,).
        criterion: Index into ``SCHEDULE_GOALS``: what the schedule shall minimise, (pairs,).
        is_pipelined: 1 where the layers shall run as a pipeline, (pairs,).
    """

    chip_columns: Floats
    event_pj: Floats
    leakage_pj: Floats
    criterion: Indices
    is_pipelined: Floats

    @classmethod
    def of(cls, circuit: Circuit) -> PlanInputs:
        """Gather what plans depend on.

        Args:
            circuit: The chips' circuits, one for each pair.

        Returns:
            Its columns, (..., pairs).
        """
        leakage = circuit.leakage_mw * circuit.clock_ns  # mW x ns = pJ
        pipelined = circuit.chip_columns[CHIP_FIELDS.index("is_pipelined")]
        return cls(
            circuit.chip_columns, circuit.event_pj, leakage, circuit.table.schedule, pipelined
        )

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

    Latency and energy are sums over rows, so a row adds its own. Their product is not: it is
    linearised, d(C E) / (C E) = dC / C + dE / E, around the cycles C and energy E of the pair.

    Args:
        given: The pairs' chips.
        grid: Which rows belong to which pair.
        of: Cycles and events of n of the rows, (1 + events, n), and the indices of these rows, (n,).
        whole: Cycles and events of each pair, around which the product is linearised,
            (1 + events, pairs).

    Returns:
        Scores; less is better, (n,).
    """
    values, rows = of
    pair = grid.network[rows]
    cycles, energy = values[0], _picojoules(given.select(pair), values)
    pair_cycles, pair_energy = whole[0], _picojoules(given, whole)
    product = cycles / pair_cycles[pair] + energy / pair_energy[pair]
    return _by_criterion(given.criterion[pair], (cycles, energy, product))


def _picojoules(given: PlanInputs, values: Floats) -> Floats:
    """Energy of events and leakage in pJ, (n,), from cycles and events, (1 + events, n)."""
    energy: Floats = np.sum(values[1:] * given.event_pj, axis=0) + given.leakage_pj * values[0]
    return energy


def _by_criterion(criterion: Indices, scores: tuple[Floats, Floats, Floats]) -> Floats:
    """Pick latency, energy or their product for each pair or row, by its criterion, (n,)."""
    chosen: Floats = np.choose(criterion, scores)  # in the order of SCHEDULES
    return chosen


def pair_score(given: PlanInputs, sums: Floats) -> Floats:
    """Work out the score of each pair: its cycles, its energy in pJ, or their product.

    Args:
        given: The pairs' chips, and the criterion of each.
        sums: Cycles and events of each pair, (1 + events, pairs).

    Returns:
        Scores; less is better, (pairs,).
    """
    cycles, energy = sums[0], _picojoules(given, sums)
    return _by_criterion(given.criterion, (cycles, energy, cycles * energy))
