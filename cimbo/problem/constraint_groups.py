"""Groups of genes that share constraints, and completions of rows in which some of their genes have no value yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cimbo.problem.expressions import Expression
from cimbo.problem.gene_columns import Rows

if TYPE_CHECKING:
    from cimbo.problem.space import SearchSpace

N_COMPLETIONS = 6  # completions of a partial combination that are tried


@dataclass(frozen=True)
class Group:
    """Genes that are bound to one another by constraints.

    Attributes:
        columns: Positions of the genes among the columns of the space, ascending.
        expressions: The constraints among them.
    """

    columns: tuple[int, ...]
    expressions: tuple[Expression, ...]

    def shares_genes_with(self, other: Group) -> bool:
        """Tells whether a gene is in both groups.

        Args:
            other: Another group.

        Returns:
            True where one is.
        """
        return not set(self.columns).isdisjoint(other.columns)

    def joined_with(self, other: Group) -> Group:
        """Joins two groups.

        Args:
            other: Another group.

        Returns:
            The genes of both, ascending, and the constraints of both, this group's first.
        """
        columns = sorted({*self.columns, *other.columns})
        return Group(tuple(columns), self.expressions + other.expressions)


def completions(
    space: SearchSpace,
    rows: Rows,
    missing: Sequence[int],
    rng: np.random.Generator,
) -> Iterator[Rows]:
    """Fill in the missing genes of rows (n, d): with their least values, their greatest, and random ones.

    Args:
        space: The space.
        rows: (n, d) rows in which some genes have no value yet.
        missing: Columns of these genes.
        rng: Draws the random values.

    Yields:
        (n, d) canonical rows, ``N_COMPLETIONS`` times; once where nothing is missing.
    """
    if not missing:
        yield space.canonical_rows(rows)
        return
    greatest = np.array([len(space.choices[column].values) - 1 for column in missing])
    fillings = [np.zeros_like(greatest), greatest]
    for _ in range(N_COMPLETIONS - len(fillings)):
        fillings.append(rng.integers(0, greatest + 1))
    for filling in fillings:
        completed = rows.copy()
        completed[:, list(missing)] = filling
        yield space.canonical_rows(completed)
