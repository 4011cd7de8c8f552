"""Problems by name for ``cimbo compare``: generated ones, the tables of CIM-NAS-Bench, and public test problems on a grid.

The public ones are multi-objective test functions that any optimiser's papers report: ZDT1, ZDT2 and ZDT6 (Zitzler, Deb and
Thiele 2000), DTLZ2 and DTLZ7 (Deb, Thiele, Laumanns and Zitzler 2005), each variable on eleven levels, with the reference
point 1.1 or just above the front's nadir (DTLZ7). Others of their families are left out because this grid takes away what
makes them hard: on it the sines of ZDT3, ZDT4, DTLZ1 and DTLZ3 are constant.
"""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.benchmarking import generated
from cimbo.benchmarking.cim_nas_bench.problem import problem_names, tabular_problem
from cimbo.benchmarking.method import Measured
from cimbo.benchmarking.runner import Measure, Volume, natural
from cimbo.errors import BadInput, choose_from
from cimbo.problem.objectives import Objective, Problem
from cimbo.problem.pareto import hypervolume
from cimbo.problem.space import Choice, Params, SearchSpace

Array = NDArray[np.float64]
N_LEVELS = 11


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


@dataclass(frozen=True)
class _PublicProblem:
    """A public test function.

    Attributes:
        genes: Number of variables, each in [0, 1].
        reference: Reference point, (objectives,).
        compute: From variables (n, genes) to objectives (n, objectives), which are minimised.
        n_positions: How many variables, the first ones, say where on the front a design is.
        front_value: Value of all other variables on the front.
    """

    genes: int
    reference: tuple[float, ...]
    compute: Callable[[Array], Array]
    n_positions: int
    front_value: float


def _zdt1(x: Array) -> Array:
    """ZDT1: from variables (n, 30) to two objectives (n, 2)."""
    g = 1.0 + 9.0 * x[:, 1:].mean(1)
    return np.stack([x[:, 0], g * (1.0 - np.sqrt(x[:, 0] / g))], 1)


def _zdt2(x: Array) -> Array:
    """ZDT2: from variables (n, 30) to two objectives (n, 2)."""
    g = 1.0 + 9.0 * x[:, 1:].mean(1)
    return np.stack([x[:, 0], g * (1.0 - (x[:, 0] / g) ** 2)], 1)


def _zdt6(x: Array) -> Array:
    """ZDT6: from variables (n, 10) to two objectives (n, 2)."""
    first = 1.0 - np.exp(-4.0 * x[:, 0]) * np.sin(6.0 * np.pi * x[:, 0]) ** 6
    g = 1.0 + 9.0 * x[:, 1:].mean(1) ** 0.25
    return np.stack([first, g * (1.0 - (first / g) ** 2)], 1)


def _dtlz2(x: Array) -> Array:
    """DTLZ2: from variables (n, 12) to three objectives (n, 3)."""
    g = ((x[:, 2:] - 0.5) ** 2).sum(1)
    a, b = np.pi / 2 * x[:, 0], np.pi / 2 * x[:, 1]
    shape = [np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)]
    return np.asarray(np.stack(shape, 1) * (1.0 + g)[:, None])


def _dtlz7(x: Array) -> Array:
    """DTLZ7: from variables (n, 22) to three objectives (n, 3)."""
    g = 1.0 + 9.0 * x[:, 2:].mean(1)
    first = x[:, :2]
    h = 3.0 - (first / (1.0 + g[:, None]) * (1.0 + np.sin(3.0 * np.pi * first))).sum(1)
    return np.column_stack([first, (1.0 + g) * h])


PUBLIC_PROBLEMS = {
    "zdt1": _PublicProblem(30, (1.1, 1.1), _zdt1, 1, 0.0),
    "zdt2": _PublicProblem(30, (1.1, 1.1), _zdt2, 1, 0.0),
    "zdt6": _PublicProblem(10, (1.1, 1.1), _zdt6, 1, 0.0),
    "dtlz2": _PublicProblem(12, (1.1, 1.1, 1.1), _dtlz2, 2, 0.5),
    "dtlz7": _PublicProblem(22, (1.0, 1.0, 6.5), _dtlz7, 2, 0.0),
}


def public_front(name: str) -> list[Params]:
    """List the best designs of a public problem on its grid.

    For given position variables every objective of these functions grows with the distance of the
    other variables from their value on the front, so that no design beats these.

    Args:
        name: One of ``PUBLIC_PROBLEMS``.

    Returns:
        A design for each combination of levels of the position variables; some may dominate others.
    """
    function = PUBLIC_PROBLEMS[name]
    level = round(function.front_value * (N_LEVELS - 1))
    designs: list[Params] = []
    for positions in itertools.product(range(N_LEVELS), repeat=function.n_positions):
        levels = [*positions, *[level] * (function.genes - function.n_positions)]
        designs.append({f"x{i}": value for i, value in enumerate(levels)})
    return designs


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
    """Make a public test problem, each variable on N_LEVELS levels."""
    function = PUBLIC_PROBLEMS[name]
    space = SearchSpace([Choice(f"x{i}", range(N_LEVELS)) for i in range(function.genes)])
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
        values = function.compute(space.rows(designs) / (N_LEVELS - 1.0))
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
