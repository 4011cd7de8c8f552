"""Uniformly random designs, none twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cimbo.benchmarking.method import Measured, Task
from cimbo.problem.space import Params


class Random:
    """Draws designs uniformly at random, none twice."""

    def __init__(self, task: Task) -> None:
        self._space, self._rng = task.problem.space, np.random.default_rng(task.seed)
        self._seen: set[bytes] = set()

    def ask(self, n: int) -> list[Params]:
        """Draw designs that were not drawn before.

        Args:
            n: How many at most.

        Returns:
            The designs; none when every one of 20 ``n`` random designs was drawn before.
        """
        rows = self._space.random_rows(20 * n, self._rng)
        new_rows = []
        for row in rows:
            if row.tobytes() not in self._seen:
                self._seen.add(row.tobytes())
                new_rows.append(row)
        if new_rows:
            return self._space.designs(np.stack(new_rows[:n]))
        return []

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Learn nothing.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each.
        """
