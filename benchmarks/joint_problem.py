"""A joint search problem that costs nothing to evaluate, with the best front known of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo import Objective, SearchSpace
from cimbo.problem.objectives import Constraint
from cimbo.problem.pareto import hypervolume
from cimbo.problem.space import Params, Rows

Array = NDArray[np.float64]
#: values of every gene, by name, each (n,), NaN where inactive -> metrics, each (n,)
Compute = Callable[[Mapping[str, Array]], dict[str, Array]]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Problem:
    """``log``: objectives whose logarithm the hypervolume is taken of. ``best_hypervolume``: of the best front known."""

    name: str
    space: SearchSpace
    objectives: tuple[Objective, ...]
    compute: Compute
    log: frozenset[str] = frozenset()
    constraints: tuple[Constraint, ...] = ()

    def metrics(self, rows: Rows) -> dict[str, Array]:
        """Every metric of canonical rows (n, d), each (n,)."""
        values = self.space.encode(rows)
        return self.compute(dict(zip(self.space.names, values.T, strict=True)))

    def evaluate(self, design: Params) -> dict[str, float]:
        """The metrics of one design."""
        return {name: float(v[0]) for name, v in self.metrics(self.space.rows([design])).items()}

    @property
    def cheap(self) -> dict[str, Callable[[list[Params]], Array]]:
        """Every cost as an exact function of a list of designs; only accuracy has to be measured."""
        costs = [o.name for o in self.objectives if o.name != "accuracy"]
        return {
            name: lambda designs, name=name: self.metrics(self.space.rows(designs))[name]
            for name in costs
        }

    @cached_property
    def reference(self) -> Array:
        """(m,) in the units of ``points``."""
        return self.points([{o.name: float(o.reference or 0.0) for o in self.objectives}])[0]

    def points(self, metrics: Sequence[Mapping[str, float]]) -> Array:
        """(n, m) objectives to be maximised, on a log scale where ``log`` says so."""
        columns = []
        for o in self.objectives:
            values = np.array([m[o.name] for m in metrics], float)
            columns.append(
                o.sign * (np.log(np.maximum(values, 1e-300)) if o.name in self.log else values)
            )
        return np.stack(columns, axis=1)

    def volume(self, metrics: Sequence[Mapping[str, float]]) -> float:
        return hypervolume(self.points(metrics), self.reference) if len(metrics) else 0.0

    @cached_property
    def best_hypervolume(self) -> float:
        return self.volume(self.best_front)

    @cached_property
    def best_front(self) -> list[dict[str, float]]:
        """Metrics of the designs of the best front known."""
        names = [o.name for o in self.objectives]
        return [dict(zip(names, p, strict=True)) for p in _recorded()[self.name]["front"]]

    def share(self, metrics: Sequence[Mapping[str, float]]) -> float:
        """Hypervolume of finished evaluations over the best known."""
        return self.volume(metrics) / self.best_hypervolume


@cache
def _recorded() -> dict[str, Any]:
    file = HERE / "problems.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}
