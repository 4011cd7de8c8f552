"""Ranks of methods over several problems, with tests of significance.

Demsar 2006, "Statistical comparisons of classifiers over multiple data sets": Friedman's test over the ranks, Nemenyi's
critical difference, Wilcoxon's signed ranks of the best method against each other one, and z-tests of mean ranks against those
of a control, both with Holm's correction.
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
    """Methods by their mean rank over problems; 1 is the best rank on a problem.

    Attributes:
        methods: Names, best mean rank first.
        mean_rank: Mean rank of each method.
        friedman_p: p-value of Friedman's test that all methods are equally good; None for fewer than three problems or
            methods.
        critical_difference: Mean ranks further apart than this differ at the 5 % level (Nemenyi); None likewise.
        worse_p: For each method the corrected p-value that it is no worse than the first (Wilcoxon, Holm); None for the
            first itself, and for fewer than three problems.
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
    """Rank methods by their results on several problems, and test whether they differ.

    Args:
        results: Method -> its result on each problem, in the same order of problems; more is better.

    Returns:
        The ranking.
    """
    names = list(results)
    table = np.array([results[name] for name in names], float).T
    ranks = _mean_ranks(table)
    order = np.argsort(ranks, kind="stable")
    n_problems, n_methods = table.shape
    friedman_p = None
    critical_difference = None
    worse_p: tuple[float | None, ...] = (None,) * n_methods
    if n_problems >= MIN_PROBLEMS:
        worse_p = _worse(table[:, order])
    if n_problems >= MIN_PROBLEMS and n_methods >= MIN_PROBLEMS:
        friedman_p = _friedman(table)
        critical_difference = _critical_difference(n_problems, n_methods)
    return Ranking(
        methods=tuple(names[i] for i in order),
        mean_rank=tuple(ranks[order].tolist()),
        friedman_p=friedman_p,
        critical_difference=critical_difference,
        worse_p=worse_p,
    )


def against_control(results: Mapping[str, Sequence[float]], control: str) -> dict[str, float]:
    """Test whether the mean rank of each method differs from that of one chosen beforehand.

    With k methods on n problems the difference of two mean ranks has the standard error sqrt(k (k + 1) / 6 n) where
    methods are equally good (Demsar 2006, section 3.2.2); the tests are two-sided.

    Args:
        results: Method -> its result on each problem, in the same order of problems; more is better.
        control: The method that the others are compared with.

    Returns:
        For each other method the p-value that the two are equally good, corrected by Holm's method.
    """
    from scipy.stats import norm

    names = list(results)
    ranks = _mean_ranks(np.array([results[name] for name in names], float).T)
    n_problems = len(results[control])
    error = np.sqrt(len(names) * (len(names) + 1) / (6.0 * n_problems))
    others = [i for i, name in enumerate(names) if name != control]
    p_values = []
    for i in others:
        z = abs(ranks[i] - ranks[names.index(control)]) / error
        p_values.append(float(2.0 * norm.sf(z)))
    return dict(zip((names[i] for i in others), _holm(p_values), strict=True))


def _mean_ranks(table: Array) -> Array:
    """Mean rank (methods,) of results (problems, methods); 1 is the best."""
    from scipy.stats import rankdata

    return np.asarray(np.stack([rankdata(-row) for row in table]).mean(0))


def _friedman(table: Array) -> float | None:
    """p-value of Friedman's test for results (problems, methods); None where methods never differ."""
    from scipy.stats import friedmanchisquare

    if np.ptp(table, axis=1).max() == 0:
        return None
    return float(friedmanchisquare(*table.T).pvalue)


def _critical_difference(problems: int, methods: int) -> float:
    """Nemenyi's critical difference q sqrt(k (k + 1) / 6 n) of k methods on n problems (Demsar 2006, section 3.2.2)."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1.0 - SIGNIFICANCE_LEVEL, methods, np.inf)) / np.sqrt(2.0)
    return float(q * np.sqrt(methods * (methods + 1) / (6.0 * problems)))


def _worse(table: Array) -> tuple[float | None, ...]:
    """p-values that each method is no worse than the first one, corrected by Holm's method.

    Args:
        table: Results (problems, methods), the best method first.

    Returns:
        None for the first method; then the p-values of Wilcoxon's signed-rank test.
    """
    from scipy.stats import wilcoxon

    p_values = []
    for results in table.T[1:]:
        differences = table[:, 0] - results
        if differences.any():
            p_values.append(float(wilcoxon(differences, alternative="greater").pvalue))
        else:
            p_values.append(1.0)
    return (None, *_holm(p_values))


def _holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for the number of tests (Holm 1979).

    The smallest of k is multiplied by k, the next one by k - 1, and so on; none becomes smaller
    than the one before it, or larger than 1.

    Returns:
        The corrected values, in the order given.
    """
    corrected = [1.0] * len(p_values)
    largest_so_far = 0.0
    for place, i in enumerate(np.argsort(p_values)):
        multiplied = min(p_values[i] * (len(p_values) - place), 1.0)
        largest_so_far = max(largest_so_far, multiplied)
        corrected[i] = largest_so_far
    return corrected
