"""Who stood next to a design, and by how much it won.

Two kinds: designs that the study measured, nearest in genes; and the design itself with one gene of the chip a step further,
whose costs are computed exactly and whose accuracy is the same, since genes that accuracy depends on stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cimbo.analysis.mapped_design import COST_METRICS, Placed
from cimbo.problem.objectives import Constraint, Problem
from cimbo.storage import Record

BEATEN, BETTER, TRADE, EQUAL, INFEASIBLE = "beaten", "better", "trade-off", "equal", "infeasible"
UNDECIDED = "too close to say"
Change = tuple[Any, Any]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Neighbour:
    """A design beside another one, and what stands between them.

    Attributes:
        key: Its key; "" for one that was not measured.
        changes: Gene -> (the other design's value, the neighbour's), None where inactive.
        metrics: Its metrics, measured or computed.
        margins: Objective -> by how much the other design is better, in the objective's unit; negative where it is worse.
        broken: Constraints that it does not keep.
        verdict: Beaten, infeasible, better or a trade.
        computed_by: Where the metrics come from that were not measured.
        intervals: Objective -> the least and the most that the margin may be with 90 %, where metrics are predicted.
    """

    key: str
    changes: Mapping[str, Change]
    metrics: Mapping[str, float]
    margins: Mapping[str, float]
    verdict: str
    broken: Sequence[Constraint] = ()
    computed_by: str = "computed"
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def how(self) -> str:
        """Say where the metrics come from: "measured", or what ``computed_by`` says."""
        if self.key:
            return "measured"
        return self.computed_by


def beaten(problem: Problem, of: Record, records: Sequence[Record], n: int = 5) -> list[Neighbour]:
    """Find the nearest measured designs that a design beats.

    Args:
        problem: Space, objectives and constraints.
        of: The design that is looked at.
        records: Evaluations of the study; those that failed and ``of`` itself are left out.
        n: How many to return at most.

    Returns:
        Designs that ``of`` dominates or that break a constraint, nearest first: by the number of
        genes that differ.
    """
    others = [r for r in records if r.status == "done" and r.key != of.key]
    if not others:
        return []
    rows = problem.space.rows([of.params, *(r.params for r in others)])
    order = np.argsort((rows[1:] != rows[0]).sum(1), kind="stable")
    found = []
    for i in order:
        found.append(compared(problem, of, others[i].params, others[i].metrics, key=others[i].key))
    return [neighbour for neighbour in found if neighbour.verdict in (BEATEN, INFEASIBLE)][:n]


def one_step(problem: Problem, of: Record, placed: Placed) -> list[Neighbour]:
    """Compute every design one step away from a design in a gene of its chip.

    Genes that the accuracy depends on stay, and so do inactive ones.

    Args:
        problem: Objectives and constraints.
        of: The design that is looked at, with its measured metrics.
        placed: The same design as the chip model takes it.

    Returns:
        A neighbour for each step, with latency, energy and area computed anew where ``of`` has
        them, and the metrics that follow from these; its other metrics are those of ``of``.
    """
    steps = [(gene, now, to) for gene, now, to in placed.steps() if gene in of.params]
    if not steps:
        return []
    costs = placed.costs([{gene: to} for gene, _, to in steps])
    measured = dict(of.metrics)
    for name in problem.derived.expressions:
        measured.pop(name, None)  # it is computed again for the neighbour
    found = []
    for i, (gene, _, to) in enumerate(steps):
        params = {**of.params, gene: to}
        metrics = dict(measured)
        for name in COST_METRICS:
            if name in measured:
                metrics[name] = float(costs[name][i])
        found.append(compared(problem, of, params, problem.completed(metrics, params)))
    return found


def compared(
    problem: Problem,
    of: Record,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    *,
    key: str = "",
    computed_by: str = "computed",
) -> Neighbour:
    """Compare a design with a measured one.

    Args:
        problem: Objectives and constraints.
        of: The measured design that is looked at.
        params: Genes of the other design.
        metrics: Metrics of the other design, each in its own unit.
        key: Key of the other design; "" where it was not measured.
        computed_by: How ``metrics`` were found where it was not measured, in a word.

    Returns:
        The other design as a neighbour: what differs, by how much ``of`` is better in each
        objective that both have, and the verdict.
    """
    names = [*dict.fromkeys([*of.params, *params])]
    changes = {}
    for n in names:
        if of.params.get(n) != params.get(n):
            changes[n] = (of.params.get(n), params.get(n))
    margins = {}
    for o in problem.objectives:
        if o.name in metrics and o.name in of.metrics:
            margins[o.name] = o.sign * (of.metrics[o.name] - metrics[o.name])
    broken = [c for c in problem.constraints if not c.holds(metrics)]
    verdict = _verdict(problem, metrics, list(margins.values()))
    return Neighbour(key, changes, metrics, margins, verdict, broken, computed_by)


def predicted(
    problem: Problem,
    of: Record,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    intervals: Mapping[str, Interval],
) -> Neighbour:
    """Compare a design whose metrics are predicted with a measured one.

    Args:
        problem: Objectives and constraints.
        of: The measured design that is looked at.
        params: Genes of the other design.
        metrics: Metrics of the other design as predicted, each in its own unit.
        intervals: Metric to the least and the most that it may be with 90 %; others are known.

    Returns:
        The other design as a neighbour. Its verdict holds for every value of the intervals; where
        none does it is UNDECIDED.
    """
    found = compared(problem, of, params, metrics, computed_by="predicted")
    margins = {}
    for o in problem.objectives:
        if o.name in found.margins:
            low, high = intervals.get(o.name, (metrics[o.name], metrics[o.name]))
            ends = sorted(o.sign * (of.metrics[o.name] - end) for end in (low, high))
            margins[o.name] = (ends[0], ends[1])
    verdict = _verdict_of_intervals(margins, _constraints_kept(problem, metrics, intervals))
    return replace(found, verdict=verdict, intervals=margins)


def _constraints_kept(
    problem: Problem, metrics: Mapping[str, float], intervals: Mapping[str, Interval]
) -> bool | None:
    """Whether the constraints hold for every value of the intervals; None where for some only."""
    kept: bool | None = True
    for constraint in problem.constraints:
        name = constraint.metric
        if name not in metrics:
            return False
        ends = intervals.get(name, (metrics[name], metrics[name]))
        holds = [constraint.holds({name: end}) for end in ends]
        if not any(holds):
            return False
        if not all(holds):
            kept = None
    return kept


def _verdict_of_intervals(margins: Mapping[str, Interval], is_feasible: bool | None) -> str:
    if is_feasible is False:
        return INFEASIBLE
    least = [low for low, _ in margins.values()]
    most = [high for _, high in margins.values()]
    if min(least, default=0.0) >= 0 < max(least, default=0.0):
        return BEATEN  # whether or not it keeps the constraints
    if is_feasible is None:
        return UNDECIDED
    if max(most, default=0.0) <= 0 > min(most, default=0.0):
        return BETTER
    if max(least, default=0.0) > 0 > min(most, default=0.0):
        return TRADE
    return UNDECIDED


def _verdict(problem: Problem, metrics: Mapping[str, float], margins: Sequence[float]) -> str:
    if not problem.feasible(metrics):
        return INFEASIBLE
    least = min(margins, default=0.0)
    most = max(margins, default=0.0)
    if least == most == 0:
        return EQUAL
    if least >= 0:
        return BEATEN
    if most <= 0:
        return BETTER
    return TRADE
