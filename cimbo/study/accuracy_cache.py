"""One accuracy, any number of chips: what is measured already, and the search kept to it.

An accuracy depends on some genes only (the architecture, and the few genes of a chip that disturb it). Designs that agree
in those are one *network*; its accuracy is measured once, and every further chip for it costs a simulation and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer.options import COSTLY
from cimbo.problem.objectives import Candidate, Problem
from cimbo.problem.pareto import hypervolume
from cimbo.problem.space import Params, Rows, SearchSpace
from cimbo.storage import Record

Network = tuple[tuple[str, object], ...]


def network(design: Params, accuracy_parameters: Iterable[str] | None) -> Network:
    """The genes of a design that shape its accuracy; all of them for None."""
    kept = (
        design
        if accuracy_parameters is None
        else {k: design[k] for k in accuracy_parameters if k in design}
    )
    return tuple(sorted(kept.items()))


def measured(
    records: Iterable[Record], accuracy_parameters: Iterable[str] | None
) -> dict[Network, Record]:
    """The first record of every network whose accuracy was measured."""
    accuracy_parameters = None if accuracy_parameters is None else frozenset(accuracy_parameters)
    found: dict[Network, Record] = {}
    for r in records:
        if COSTLY in r.metrics:
            found.setdefault(network(r.params, accuracy_parameters), r)
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
    """Networks whose accuracy is known: ``rows`` (k, d) of one design of each, and their accuracies."""

    space: SearchSpace
    accuracy_parameters: frozenset[str] | None
    accuracies: Mapping[Network, float]
    rows: Rows

    @staticmethod
    def of(
        space: SearchSpace, accuracy_parameters: frozenset[str] | None, records: Sequence[Record]
    ) -> Known:
        found = measured(records, accuracy_parameters)
        accuracies = {key: r.metrics[COSTLY] for key, r in found.items()}
        return Known(
            space, accuracy_parameters, accuracies, space.rows([r.params for r in found.values()])
        )

    def first(self, candidates: Sequence[Candidate], n: int) -> list[Candidate]:
        """The candidates up to the one that would be the ``n + 1``-th network to measure."""
        kept, fresh = [], set[Network]()
        for c in candidates:
            fresh |= {network(c.params, self.accuracy_parameters)} - self.accuracies.keys()
            if len(fresh) > n:
                break
            kept.append(c)
        return kept

    def project_to_known(self, rows: Rows) -> Rows:
        """Rows (n, d) with the genes of a network set to those of the known one that differs in the fewest."""
        columns = [self.space.column[name] for name in self.accuracy_parameters or self.space.names]
        different = (rows[:, None, columns] != self.rows[None, :, columns]).sum(-1)
        projected = np.array(rows, self.space.row_type)
        projected[:, columns] = self.rows[different.argmin(1)][:, columns]
        return self.space.canonical_rows(projected)

    def accuracy(self, designs: list[Params]) -> NDArray[np.float64]:
        """(n,) accuracies as measured; of a network that is still being measured, the median of the others."""
        middle = float(np.median(list(self.accuracies.values())))
        return np.array(
            [self.accuracies.get(network(d, self.accuracy_parameters), middle) for d in designs]
        )
