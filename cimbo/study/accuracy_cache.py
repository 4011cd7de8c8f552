"""One measurement of the expensive metric, any number of chips: what is measured already, and the search kept to it.

The expensive metric, most often an accuracy, depends on some genes only (the architecture, and the few genes of a chip that
disturb it). Designs that agree in those are one *network*; it is measured once, and every further chip for it costs a
simulation and nothing else. Which metric that is, the study says: `cimbo.optimizer.options.OptimizerOptions.expensive`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.objectives import Candidate, Problem, at_target_fidelity
from cimbo.problem.pareto import hypervolume
from cimbo.problem.space import Params, Rows, SearchSpace
from cimbo.storage import Record

Array = NDArray[np.float64]
Network = tuple[tuple[str, object], ...]
LEAST_GROWTH = 1 + 1e-9  # a hypervolume that grows by a smaller factor has grown by rounding only


def network(design: Params, parameters: Iterable[str] | None) -> Network:
    """Return the genes of a design that the expensive metric depends on.

    Args:
        design: The genes of the design by name.
        parameters: Names of the genes that the metric depends on; None for all of them.

    Returns:
        Pairs of name and value in order of name. Designs with equal ones are the same network.
    """
    if parameters is None:
        return tuple(sorted(design.items()))
    genes = [(name, design[name]) for name in parameters if name in design]
    return tuple(sorted(genes))


def measured(
    records: Iterable[Record], parameters: Iterable[str] | None, metric: str
) -> dict[Network, Record]:
    """Collect the first record of every network whose ``metric`` was measured in full.

    Args:
        records: Evaluations, in order.
        parameters: Names of the genes that the metric depends on; None for all of them.
        metric: The expensive metric.

    Returns:
        The record by network. One that was measured at less than full fidelity does not count.
    """
    kept = None
    if parameters is not None:
        kept = frozenset(parameters)
    found: dict[Network, Record] = {}
    for r in records:
        if metric in r.metrics and at_target_fidelity(r.metrics, metric):
            found.setdefault(network(r.params, kept), r)
    return found


def adds(problem: Problem, front: Sequence[Mapping[str, float]], c: Candidate) -> bool:
    """Tell whether a candidate might add to the hypervolume of ``front``.

    Args:
        problem: Objectives, references and constraints.
        front: Metrics of the designs of the front.
        c: The candidate, with what was predicted of it.

    Returns:
        False for a candidate of which everything is known and that is infeasible or adds nothing.
        True also where a prediction is uncertain or missing, and where the problem has no
        references.
    """
    reference = problem.reference()
    if reference is None or not _is_certain(c):
        return True
    metrics = {name: mean for name, (mean, _) in (c.predicted or {}).items()}
    before = hypervolume(problem.scores(front), reference)
    after = hypervolume(problem.scores([*front, metrics]), reference)
    return problem.feasible(metrics) and after > before * LEAST_GROWTH


def _is_certain(c: Candidate) -> bool:
    """Whether all that was predicted of a candidate is known without error."""
    if not c.predicted:
        return False
    return not any(std > 0 for _, std in c.predicted.values())


@dataclass(frozen=True)
class Known:
    """Networks whose expensive metric is known; called as an analytic function, it gives the metric of their designs.

    Attributes:
        space: The space.
        parameters: The genes that the metric depends on; None for all of them.
        values: The metric of each network, as it was measured.
        rows: (k, d) one design of each network, in the same order.
    """

    space: SearchSpace
    parameters: frozenset[str] | None
    values: Mapping[Network, float]
    rows: Rows

    @staticmethod
    def of(
        space: SearchSpace,
        parameters: frozenset[str] | None,
        records: Sequence[Record],
        metric: str,
    ) -> Known:
        """Collect what ``records`` measured of ``metric``.

        Args:
            space: The space of the designs.
            parameters: Names of the genes that the metric depends on; None for all of them.
            records: Evaluations, in order; the first one of a network counts.
            metric: The expensive metric.

        Returns:
            The networks that were measured in full.
        """
        found = measured(records, parameters, metric)
        values = {key: record.metrics[metric] for key, record in found.items()}
        rows = space.rows([record.params for record in found.values()])
        return Known(space, parameters, values, rows)

    def first(self, candidates: Sequence[Candidate], n: int) -> list[Candidate]:
        """Cut the candidates off before the one that would be the ``n + 1``-th network to measure.

        Args:
            candidates: In order of choice.
            n: How many new networks may be measured.

        Returns:
            The candidates before that one, known networks among them.
        """
        kept, fresh = [], set[Network]()
        for c in candidates:
            fresh |= {network(c.params, self.parameters)} - self.values.keys()
            if len(fresh) > n:
                break
            kept.append(c)
        return kept

    def project_to_known(self, rows: Rows) -> Rows:
        """Give each row the network genes of the known network that differs from it in the fewest.

        Args:
            rows: Encoded designs (n, d). At least one network has to be known.

        Returns:
            Canonical rows (n, d); the genes that the metric does not depend on stay as they were.
        """
        columns = self.projected_columns
        is_different = rows[:, None, columns] != self.rows[None, :, columns]
        different = is_different.sum(-1)  # (n, k) genes
        projected = np.array(rows, self.space.row_type)
        projected[:, columns] = self.rows[different.argmin(1)][:, columns]
        return self.space.canonical_rows(projected)

    def __call__(self, designs: list[Params]) -> Array:
        """(n,) values as measured; of a network that is still being measured, the median of the others."""
        return self.of_rows(self.space, self.space.rows(designs))

    def of_rows(self, space: SearchSpace, rows: Rows) -> Array:
        """Return the metric of canonical rows, as a call does for designs.

        Args:
            space: The space of the rows, the same as ``self.space``.
            rows: Canonical encoded designs (n, d).

        Returns:
            Values (n,) as measured; the median of all known networks for one that is not known.
        """
        return np.array([self._by_row.get(key, self._median) for key in self._keys(rows)])

    def _keys(self, rows: Rows) -> list[bytes]:
        """A key for each row, equal where the genes are that the metric depends on."""
        return [row.tobytes() for row in np.ascontiguousarray(rows[:, self.columns])]

    @cached_property
    def columns(self) -> list[int]:
        """The columns of the genes that the metric depends on."""
        return [self.space.column[name] for name in self.parameters or self.space.names]

    @cached_property
    def projected_columns(self) -> list[int]:
        """The same columns and those of the genes on which it depends whether they are active."""
        names = list(self.parameters or self.space.names)
        for name in names:  # the list grows meanwhile: a gate may depend on another gene
            gates = self.space.choices[self.space.column[name]].active_if or {}
            names += [gate for gate in gates if gate not in names]
        return [self.space.column[name] for name in names]

    @cached_property
    def _by_row(self) -> dict[bytes, float]:
        return dict(zip(self._keys(self.rows), self.values.values(), strict=True))

    @cached_property
    def _median(self) -> float:
        return float(np.median(list(self.values.values())))
