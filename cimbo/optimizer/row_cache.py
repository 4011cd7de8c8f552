"""Designs of a log as rows, each encoded once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from cimbo.problem.space import Params, Rows, SearchSpace


@dataclass(frozen=True)
class RowCache:
    """Remembers the canonical row of every design of a log, which is needed at every proposal and only grows."""

    space: SearchSpace
    _known: dict[str, Rows] = field(default_factory=dict, repr=False)

    def rows(self, designs: Iterable[tuple[str, Params]]) -> Rows:
        """Encode designs.

        Args:
            designs: Key and active genes of each.

        Returns:
            Canonical rows (n, d), in the order given.

        Raises:
            BadInput: A design is not of the space.
        """
        listed = list(designs)
        new = {key: params for key, params in listed if key not in self._known}
        self._known.update(zip(new, self.space.rows(new.values()), strict=True))
        rows = [self._known[key] for key, _ in listed]
        if rows:
            return np.stack(rows)
        return self.space.rows([])
