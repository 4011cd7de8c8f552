"""Which designs are likely to fail, learned from those that did.

A simulator that does not converge, or refuses a combination, fails for the same few values of its
genes again and again. The surrogates of metrics cannot learn that, since a failed design has no
metrics. So the share of successes is counted for each value of a gene and each pair of values of
two genes, smoothed towards the share of all designs. A design's chance of success is the worst of
its pairs. Pairs that failed less than twice do not count: failures by chance, such as a machine
that died, change little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.space import Rows, SearchSpace

Array = NDArray[np.float64]
LEAST_FAILURES = 2  # of a pair of values, before it counts
PRIOR_WEIGHT = 1.0  # evaluations that the share of all counts as


@dataclass(frozen=True)
class FailureModel:
    """Chances of success by pairs of genes' values.

    Attributes:
        usual: Share of all evaluations that succeeded, smoothed.
        tables: Two columns of rows, or twice the same one for a single gene, to the chance of success for
            each pair of their levels, (1 + levels, 1 + levels). Index 0 is an inactive gene, index l + 1
            its level l. Pairs of columns without a failing pair of levels are left out.
    """

    usual: float
    tables: dict[tuple[int, int], Array]

    @classmethod
    def of(cls, space: SearchSpace, failed: Rows, succeeded: Rows) -> FailureModel | None:
        """Count successes and failures.

        Args:
            space: The space of the rows.
            failed: Canonical rows of designs that failed, (f, d).
            succeeded: Canonical rows of the others, (s, d).

        Returns:
            The model; None where no pair failed often enough.
        """
        if len(failed) < LEAST_FAILURES:
            return None
        usual = (len(succeeded) + 1) / (len(succeeded) + len(failed) + 2)
        levels = [len(choice.values) + 1 for choice in space.choices]
        tables = {}
        for i in range(len(levels)):
            for j in range(i, len(levels)):
                failures = _counted(failed, i, j, levels)
                if failures.max() < LEAST_FAILURES:
                    continue
                successes = _counted(succeeded, i, j, levels)
                evaluations = successes + failures + PRIOR_WEIGHT
                chance = (successes + PRIOR_WEIGHT * usual) / evaluations
                tables[i, j] = np.where(failures >= LEAST_FAILURES, chance, 1.0)
        return cls(usual, tables) if tables else None

    def chance(self, rows: Rows) -> Array:
        """Estimate how likely designs are to succeed: as its worst pair of genes' values, and at most as usual.

        Args:
            rows: Canonical rows, (n, d).

        Returns:
            Probability of success, (n,).
        """
        worst = np.full(len(rows), self.usual)
        for (i, j), table in self.tables.items():
            # Rows hold level numbers, -1 for an inactive gene; tables begin with the inactive one.
            np.minimum(worst, table[rows[:, i] + 1, rows[:, j] + 1], out=worst)
        return worst

    def violation(self, rows: Rows) -> Array:
        """Measure by how much designs fail more often than others.

        Args:
            rows: Canonical rows, (n, d).

        Returns:
            0 where the chance of success is at least half the usual one, else up to 0.5, (n,).
        """
        return np.maximum(0.5 - self.chance(rows) / self.usual, 0.0)

    def draw(self, rows: Rows, n: int, seed: int) -> Array:
        """Draw whether designs fail, as samples of one more constraint.

        Args:
            rows: Canonical rows, (k, d).
            n: Number of samples.
            seed: Seed of the draws.

        Returns:
            1 where a design fails in a sample, -1 where it succeeds, (n, k).
        """
        drawn = np.random.default_rng(seed).random((n, len(rows)))
        return np.where(drawn > self.chance(rows), 1.0, -1.0)


def _counted(rows: Rows, i: int, j: int, levels: list[int]) -> Array:
    """(levels of i, levels of j) how many rows have each pair of levels in columns i and j."""
    shifted = rows[:, [i, j]].astype(np.intp) + 1  # a gene that is not active is -1
    pair_number = shifted[:, 0] * levels[j] + shifted[:, 1]
    counts = np.bincount(pair_number, minlength=levels[i] * levels[j])
    return counts.reshape(levels[i], levels[j]).astype(float)
