"""Ranks of methods over several problems, with tests of significance.

Demsar 2006, "Statistical comparisons of classifiers over multiple data sets": Friedman's test over the ranks, Nemenyi's
critical difference, and Wilcoxon's signed ranks of the best method against each other one, with Holm's correction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIGNIFICANCE_LEVEL = 0.05
MIN_PROBLEMS = 3  # a test of ranks needs at least so many problems


@dataclass(frozen=True)
class Ranking:
    """Methods by their mean rank, 1 for the best of a problem.

    Attributes:
        methods: Best mean rank first.
        mean_rank: Of each method.
        friedman_p: Chance of ranks so different where no method is better; None for fewer than three problems or methods.
        critical_difference: Mean ranks further apart differ at the 5 % level (Nemenyi); None likewise.
        worse_p: For each method, the corrected chance that it is no worse than the first (Wilcoxon, Holm); None likewise.
    """

    methods: tuple[str, ...]
    mean_rank: tuple[float, ...]
    friedman_p: float | None
    critical_difference: float | None
    worse_p: tuple[float | None, ...]

    def to_json(self) -> dict[str, object]:
        """Describe the ranking as ``cimbo compare --format json`` shows it.

        Returns:
            The methods with their mean ranks, best first, Friedman's chance and the critical
            difference.
        """
        rows = []
        for method, rank, p in zip(self.methods, self.mean_rank, self.worse_p, strict=True):
            rows.append({"method": method, "mean_rank": rank, "p_not_worse_than_first": p})
        return {
            "methods": rows,
            "friedman_p": self.friedman_p,
            "critical_difference": self.critical_difference,
        }


def ranking(results: Mapping[str, Sequence[float]]) -> Ranking:
    """Rank methods.

    Args:
        results: Method -> its result on each problem, in the same order of problems; more is better.

    Returns:
        The ranking.
    """
    from scipy.stats import rankdata

    names = list(results)
    table = np.array([results[name] for name in names], float).T
    ranks = np.stack([rankdata(-row) for row in table]).mean(0)
    order = np.argsort(ranks, kind="stable")
    n, k = table.shape
    friedman_p = None
    critical_difference = None
    worse_p: tuple[float | None, ...] = (None,) * k
    if n >= MIN_PROBLEMS:
        worse_p = _worse(table[:, order])
    if n >= MIN_PROBLEMS and k >= MIN_PROBLEMS:
        friedman_p = _friedman(table)
        critical_difference = _critical_difference(n, k)
    return Ranking(
        methods=tuple(names[i] for i in order),
        mean_rank=tuple(ranks[order].tolist()),
        friedman_p=friedman_p,
        critical_difference=critical_difference,
        worse_p=worse_p,
    )


def _friedman(table: Array) -> float | None:
    """Friedman's chance for results (problems, methods); None where all are equal."""
    from scipy.stats import friedmanchisquare

    if np.ptp(table, axis=1).max() == 0:
        return None
    return float(friedmanchisquare(*table.T).pvalue)


def _critical_difference(problems: int, methods: int) -> float:
    """Nemenyi's, at the 5 % level (Demsar 2006, section 3.2.2)."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1.0 - SIGNIFICANCE_LEVEL, methods, np.inf)) / np.sqrt(2.0)
    return float(q * np.sqrt(methods * (methods + 1) / (6.0 * problems)))


def _worse(table: Array) -> tuple[float | None, ...]:
    """Wilcoxon's chance of each later column against the first (problems, methods), corrected by Holm's method."""
    from scipy.stats import wilcoxon

    chances = []
    for column in table.T[1:]:
        gap = table[:, 0] - column
        if gap.any():
            chances.append(float(wilcoxon(gap, alternative="greater").pvalue))
        else:
            chances.append(1.0)
    return (None, *_holm(chances))


def _holm(chances: Sequence[float]) -> list[float]:
    """Chances corrected for being several (Holm 1979): the smallest times their number, the next times one less, ..."""
    corrected = [1.0] * len(chances)
    reached = 0.0
    for place, i in enumerate(np.argsort(chances)):
        multiplied = min(chances[i] * (len(chances) - place), 1.0)
        reached = max(reached, multiplied)
        corrected[i] = reached
    return corrected
