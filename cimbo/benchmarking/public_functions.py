"""Multi-objective test functions that any optimiser's papers report, each variable on a grid.

All continuous functions of two families: ZDT1 to ZDT4 and ZDT6 (Zitzler, Deb and Thiele 2000; ZDT5 is over bit strings), and
DTLZ1 to DTLZ7 (Deb, Thiele, Laumanns and Zitzler 2005) with three objectives. Variables have eleven levels. Where these would
take away what makes a function hard, as its sines are equal on all of them, they have fifteen.

Reference points: 1.1 for each objective, or just above the front's nadir (DTLZ7). Of ZDT4, DTLZ1 and DTLZ3, which have many
local fronts, and of DTLZ6, whose slope is steepest beside the front, no random design comes near that; theirs is each
objective's median over 300 random designs to two digits, so that a method is told apart before it reaches the front.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.space import Params

Array = NDArray[np.float64]
N_LEVELS, N_FINE_LEVELS = 11, 15  # both odd: 0.5 is one of them


@dataclass(frozen=True)
class PublicFunction:
    """A test function.

    Attributes:
        genes: Number of variables, each in [0, 1].
        reference: Reference point, (objectives,).
        compute: From variables (n, genes) to objectives (n, objectives), which are minimised.
        n_positions: How many variables, the first ones, say where on the front a design is.
        front_value: Value of all other variables on the front.
        levels: Number of levels of each variable.
    """

    genes: int
    reference: tuple[float, ...]
    compute: Callable[[Array], Array]
    n_positions: int
    front_value: float
    levels: int = N_LEVELS


def _zdt1(x: Array) -> Array:
    """ZDT1: from variables (n, 30) to two objectives (n, 2)."""
    g = 1.0 + 9.0 * x[:, 1:].mean(1)
    return np.stack([x[:, 0], g * (1.0 - np.sqrt(x[:, 0] / g))], 1)


def _zdt2(x: Array) -> Array:
    """ZDT2: from variables (n, 30) to two objectives (n, 2)."""
    g = 1.0 + 9.0 * x[:, 1:].mean(1)
    return np.stack([x[:, 0], g * (1.0 - (x[:, 0] / g) ** 2)], 1)


def _zdt3(x: Array) -> Array:
    """ZDT3, whose front has gaps: from variables (n, 30) to two objectives (n, 2)."""
    g = 1.0 + 9.0 * x[:, 1:].mean(1)
    share = x[:, 0] / g
    wave = share * np.sin(10.0 * np.pi * x[:, 0])
    return np.stack([x[:, 0], g * (1.0 - np.sqrt(share) - wave)], 1)


def _zdt4(x: Array) -> Array:
    """ZDT4, with many local fronts: from variables (n, 10) to two objectives (n, 2)."""
    wide = 10.0 * x[:, 1:] - 5.0
    g = 1.0 + (wide**2 - 10.0 * np.cos(4.0 * np.pi * wide) + 10.0).sum(1)
    return np.stack([x[:, 0], g * (1.0 - np.sqrt(x[:, 0] / g))], 1)


def _zdt6(x: Array) -> Array:
    """ZDT6: from variables (n, 10) to two objectives (n, 2)."""
    first = 1.0 - np.exp(-4.0 * x[:, 0]) * np.sin(6.0 * np.pi * x[:, 0]) ** 6
    g = 1.0 + 9.0 * x[:, 1:].mean(1) ** 0.25
    return np.stack([first, g * (1.0 - (first / g) ** 2)], 1)


def _rugged(x: Array) -> Array:
    """The distance function of DTLZ1 and DTLZ3: from variables (n, k) to (n,); 0 where all are 0.5."""
    away = x - 0.5
    return np.asarray(100.0 * (away**2 - np.cos(20.0 * np.pi * away) + 1.0).sum(1))


def _on_sphere(a: Array, b: Array, distance: Array) -> Array:
    """Points (n, 3) in the directions of two angles (n,), so much further from the origin than 1."""
    shape = [np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)]
    return np.asarray(np.stack(shape, 1) * (1.0 + distance)[:, None])


def _on_curve(x: Array, distance: Array) -> Array:
    """Objectives (n, 3) of DTLZ5 and DTLZ6: the second angle is 45 degrees on the front."""
    b = np.pi / (4.0 * (1.0 + distance)) * (1.0 + 2.0 * distance * x[:, 1])
    return _on_sphere(np.pi / 2 * x[:, 0], b, distance)


def _dtlz1(x: Array) -> Array:
    """DTLZ1: from variables (n, 7) to three objectives (n, 3)."""
    a, b = x[:, 0], x[:, 1]
    shape = np.stack([a * b, a * (1.0 - b), 1.0 - a], 1)
    return np.asarray(0.5 * shape * (1.0 + _rugged(x[:, 2:]))[:, None])


def _dtlz2(x: Array) -> Array:
    """DTLZ2: from variables (n, 12) to three objectives (n, 3)."""
    distance = ((x[:, 2:] - 0.5) ** 2).sum(1)
    return _on_sphere(np.pi / 2 * x[:, 0], np.pi / 2 * x[:, 1], distance)


def _dtlz3(x: Array) -> Array:
    """DTLZ3: from variables (n, 12) to three objectives (n, 3)."""
    return _on_sphere(np.pi / 2 * x[:, 0], np.pi / 2 * x[:, 1], _rugged(x[:, 2:]))


def _dtlz4(x: Array) -> Array:
    """DTLZ4, most of whose designs lie in a corner: from variables (n, 12) to three objectives (n, 3)."""
    return _dtlz2(np.concatenate([x[:, :2] ** 100, x[:, 2:]], 1))


def _dtlz5(x: Array) -> Array:
    """DTLZ5, whose front is a curve: from variables (n, 12) to three objectives (n, 3)."""
    return _on_curve(x, ((x[:, 2:] - 0.5) ** 2).sum(1))


def _dtlz6(x: Array) -> Array:
    """DTLZ6: from variables (n, 12) to three objectives (n, 3)."""
    return _on_curve(x, (x[:, 2:] ** 0.1).sum(1))


def _dtlz7(x: Array) -> Array:
    """DTLZ7: from variables (n, 22) to three objectives (n, 3)."""
    g = 1.0 + 9.0 * x[:, 2:].mean(1)
    first = x[:, :2]
    h = 3.0 - (first / (1.0 + g[:, None]) * (1.0 + np.sin(3.0 * np.pi * first))).sum(1)
    return np.column_stack([first, (1.0 + g) * h])


_SPHERE_REFERENCE = (1.1, 1.1, 1.1)
PUBLIC_PROBLEMS = {
    "zdt1": PublicFunction(30, (1.1, 1.1), _zdt1, 1, 0.0),
    "zdt2": PublicFunction(30, (1.1, 1.1), _zdt2, 1, 0.0),
    "zdt3": PublicFunction(30, (1.1, 1.1), _zdt3, 1, 0.0, N_FINE_LEVELS),
    "zdt4": PublicFunction(10, (0.57, 160.0), _zdt4, 1, 0.5, N_FINE_LEVELS),
    "zdt6": PublicFunction(10, (1.1, 1.1), _zdt6, 1, 0.0),
    "dtlz1": PublicFunction(7, (46.0, 42.0, 110.0), _dtlz1, 2, 0.5, N_FINE_LEVELS),
    "dtlz2": PublicFunction(12, _SPHERE_REFERENCE, _dtlz2, 2, 0.5),
    "dtlz3": PublicFunction(12, (280.0, 310.0, 740.0), _dtlz3, 2, 0.5, N_FINE_LEVELS),
    "dtlz4": PublicFunction(12, _SPHERE_REFERENCE, _dtlz4, 2, 0.5),
    "dtlz5": PublicFunction(12, _SPHERE_REFERENCE, _dtlz5, 2, 0.5),
    "dtlz6": PublicFunction(12, (2.8, 3.3, 7.2), _dtlz6, 2, 0.0),
    "dtlz7": PublicFunction(22, (1.0, 1.0, 6.5), _dtlz7, 2, 0.0),
}


def public_front(name: str) -> list[Params]:
    """List the best designs of a test function on its grid.

    For given position variables every objective of these functions grows with the distance of the
    other variables from their value on the front, so that no design beats these.

    Args:
        name: One of ``PUBLIC_PROBLEMS``.

    Returns:
        A design for each combination of levels of the position variables; some may dominate others.
    """
    function = PUBLIC_PROBLEMS[name]
    level = round(function.front_value * (function.levels - 1))
    designs: list[Params] = []
    for positions in itertools.product(range(function.levels), repeat=function.n_positions):
        levels = [*positions, *[level] * (function.genes - function.n_positions)]
        designs.append({f"x{i}": value for i, value in enumerate(levels)})
    return designs
