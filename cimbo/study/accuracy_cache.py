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


def network(design: Params, parameters: Iterable[str] | None) -> Network:
    """The genes of a design that the expensive metric depends on; all of them for None."""
    if parameters is None:
        return tuple(sorted(design.items()))
    return tuple(sorted((name, design[name]) for name in parameters if name in design))


def measured(
    records: Iterable[Record], parameters: Iterable[str] | None, metric: str
) -> dict[Network, Record]:
    """The first record of every network whose ``metric`` was measured in full."""
    kept = None if parameters is None else frozenset(parameters)
    found: dict[Network, Record] = {}
    for r in records:
        if metric in r.metrics and at_target_fidelity(r.metrics, metric):
            found.setdefault(network(r.params, kept), r)
    return found


def adds(problem: Problem, front: Sequence[Mapping[str, float]], c: Candidate) -> bool:
    """False for a candidate of which everything is known, and that it would not add to the hypervolume of ``front``."""
    reference = problem.reference()
    if reference is None or not c.predicted or any(std > 0 for _, std in c.predicted.values()):
        return True
    metrics = {name: mean for name, (mean, _) in c.predicted.items()}
    volumes = [
        hypervolume(problem.scores(found), reference) for found in (front, [*front, metrics])
    ]
    return problem.feasible(metrics) and volumes[1] > volumes[0] * (1 + 1e-9)


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
        """Collect what ``records`` measured of ``metric``."""
        found = measured(records, parameters, metric)
        values = {key: r.metrics[metric] for key, r in found.items()}
        return Known(space, parameters, values, space.rows([r.params for r in found.values()]))

    def first(self, candidates: Sequence[Candidate], n: int) -> list[Candidate]:
        """The candidates up to the one that would be the ``n + 1``-th network to measure."""
        kept, fresh = [], set[Network]()
        for c in candidates:
            fresh |= {network(c.params, self.parameters)} - self.values.keys()
            if len(fresh) > n:
                break
            kept.append(c)
        return kept

    def project_to_known(self, rows: Rows) -> Rows:
        """Rows (n, d) with the genes of a network set to those of the known one that differs in the fewest."""
        columns = self.columns
        different = (rows[:, None, columns] != self.rows[None, :, columns]).sum(-1)
        projected = np.array(rows, self.space.row_type)
        projected[:, columns] = self.rows[different.argmin(1)][:, columns]
        return self.space.canonical_rows(projected)

    def __call__(self, designs: list[Params]) -> Array:
        """(n,) values as measured; of a network that is still being measured, the median of the others."""
        return self.of_rows(self.space, self.space.rows(designs))

    def of_rows(self, space: SearchSpace, rows: Rows) -> Array:
        """The same of canonical rows (n, d)."""
        keys = [row.tobytes() for row in np.ascontiguousarray(rows[:, self.columns])]
        return np.array([self._by_row.get(key, self._median) for key in keys])

    @cached_property
    def columns(self) -> list[int]:
        """The columns of the genes that the metric depends on."""
        return [self.space.column[name] for name in self.parameters or self.space.names]

    @cached_property
    def _by_row(self) -> dict[bytes, float]:
        keys = [row.tobytes() for row in np.ascontiguousarray(self.rows[:, self.columns])]
        return dict(zip(keys, self.values.values(), strict=True))

    @cached_property
    def _median(self) -> float:
        return float(np.median(list(self.values.values())))
