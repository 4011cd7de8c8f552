"""Problems by name for ``cimbo compare``: generated ones, the tables of CIM-NAS-Bench, and public test problems on a grid.

The public ones are test functions in `public_functions`, each variable on so many levels.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cimbo.benchmarking import generated
from cimbo.benchmarking.cim_nas_bench.problem import problem_names, tabular_problem
from cimbo.benchmarking.method import Measured
from cimbo.benchmarking.public_functions import PUBLIC_PROBLEMS
from cimbo.benchmarking.runner import Measure, Volume, natural
from cimbo.errors import BadInput, choose_from
from cimbo.problem.objectives import Objective, Problem
from cimbo.problem.pareto import hypervolume
from cimbo.problem.space import Choice, Params, SearchSpace


@dataclass(frozen=True)
class BenchmarkProblem:
    """A problem that is quick to evaluate, for comparing search methods.

    Attributes:
        name: Its name.
        problem: Space, objectives and constraints.
        measure: From designs to the metrics of each.
        volume: From metrics to hypervolume, as a fraction of the best known one where that is known.
        unit: Description of what ``volume`` gives.
    """

    name: str
    problem: Problem
    measure: Measure
    volume: Volume
    unit: str


def known_names() -> list[str]:
    """List the names of all problems.

    Returns:
        The public ones, those of CIM-NAS-Bench, then the generated ones.
    """
    return [*PUBLIC_PROBLEMS, *problem_names(), *generated.names()]


def find(asked: str) -> list[BenchmarkProblem]:
    """Find problems by their names.

    Args:
        asked: Names with commas, ``*`` for any letters: ``"zdt1,train-0*"``.

    Returns:
        The problems, in the order asked for, none twice.

    Raises:
        BadInput: Nothing has such a name.
    """
    known = known_names()
    names: dict[str, None] = {}
    for pattern in asked.split(","):
        matching = fnmatch.filter(known, pattern.strip())
        if not matching:
            what = f"problem {pattern!r}"
            raise BadInput(what, "is unknown", choose_from(pattern, known))
        names |= dict.fromkeys(matching)
    return [_problem(name) for name in names]


def _problem(name: str) -> BenchmarkProblem:
    """Make the problem of a name."""
    if name in PUBLIC_PROBLEMS:
        return _public(name)
    if name in problem_names():
        return _tabular(name)
    return _generated(name)


def _public(name: str) -> BenchmarkProblem:
    """Make a public test problem on its grid."""
    function = PUBLIC_PROBLEMS[name]
    space = SearchSpace([Choice(f"x{i}", range(function.levels)) for i in range(function.genes)])
    objectives = []
    for i, reference in enumerate(function.reference):
        objectives.append(Objective(f"f{i + 1}", "min", reference))
    problem = Problem(space, tuple(objectives))

    def measure(designs: list[Params]) -> Sequence[Measured]:
        """Compute the test function.

        Args:
            designs: Designs of the problem's space.

        Returns:
            The objectives of each.
        """
        values = function.compute(space.rows(designs) / (function.levels - 1.0))
        metrics = []
        for row in values:
            metrics.append({o.name: float(v) for o, v in zip(objectives, row, strict=True)})
        return metrics

    return BenchmarkProblem(name, problem, measure, natural(problem), "hypervolume")


def _tabular(name: str) -> BenchmarkProblem:
    """Make a problem of a table of CIM-NAS-Bench."""
    table = tabular_problem(name)
    unit = "share of the true front's hypervolume"
    return BenchmarkProblem(name, table.problem, table.measure, table.share, unit)


def _generated(name: str) -> BenchmarkProblem:
    """Make a generated problem."""
    drawn = generated.generated(name)

    def volume(metrics: Sequence[Mapping[str, float]]) -> float:
        """Compute the hypervolume as a share of the best known.

        Args:
            metrics: Metrics of feasible designs.

        Returns:
            The share; 0 without designs.
        """
        if not metrics:
            return 0.0
        return hypervolume(drawn.scores(metrics), drawn.reference) / drawn.best_volume

    unit = "share of the best known hypervolume"
    return BenchmarkProblem(name, drawn.problem, drawn.measure, volume, unit)
