"""All designs of a space: how many there are, and each of them where they are few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cimbo.problem.counting import (
    ESTIMATE_SAMPLES,
    ConditionalGene,
    count_designs,
    estimate_designs,
)
from cimbo.problem.gene_columns import INACTIVE_INDEX, GeneColumns, Mask, Rows

if TYPE_CHECKING:
    from cimbo.problem.space import SearchSpace

LISTABLE_SIZE = 100_000  # designs of a smaller space can all be listed


@dataclass(frozen=True)
class SpaceSize:
    """How many designs a space has.

    Attributes:
        designs: Their number.
        is_exact: Whether it was counted rather than estimated.
    """

    designs: int
    is_exact: bool


def measure_size(space: SearchSpace) -> SpaceSize:
    """Counts the designs of a space, or estimates how many there are.

    Where the conditions of its genes are too entangled to count, the number is estimated from random
    designs. Otherwise the designs are counted without the constraints. With constraints a small space
    is listed then, and a large one is multiplied by the share of combinations that they allow.

    Args:
        space: The space.

    Returns:
        The number of different designs that keep the constraints, and whether it is exact.
    """
    without_constraints = count_designs(_conditional_genes(space))
    if without_constraints is None:
        return SpaceSize(estimated_size(space), is_exact=False)
    if not space.constraints:
        return SpaceSize(without_constraints, is_exact=True)
    if without_constraints < LISTABLE_SIZE:
        return SpaceSize(len(listed_rows(space, without_constraints)), is_exact=True)
    # known.share: of all combinations of the constrained genes, how many are allowed
    return SpaceSize(max(1, int(without_constraints * space.known.share)), is_exact=False)


def estimated_size(space: SearchSpace) -> int:
    """Estimates from random designs how many designs keep the constraints.

    Args:
        space: The space.

    Returns:
        About how many there are; at least 1.
    """
    # Not `random_rows`: that repairs what breaks a constraint, and then the estimate is not unbiased
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, space.cardinalities, size=(ESTIMATE_SAMPLES, len(space.choices)))
    rows = space.canonical_rows(drawn)
    allowed = rows[space.allowed_rows(rows)]
    if not len(allowed):
        return 1
    estimate = estimate_designs(space.cardinalities, allowed != INACTIVE_INDEX)
    return max(1, estimate * len(allowed) // len(rows))


def _conditional_genes(space: GeneColumns) -> list[ConditionalGene]:
    """The genes as `count_designs` takes them, in the order of columns."""
    gates_of = {gene.column: gene.gates for gene in space.gated_genes}
    genes = []
    for column, choice in enumerate(space.choices):
        # The last entry of is_open stands for an inactive gate, which counting treats by itself
        gates = tuple((gate.column, gate.is_open[:-1]) for gate in gates_of.get(column, ()))
        genes.append(ConditionalGene(len(choice.values), gates))
    return genes


def listed_rows(space: SearchSpace, most: int) -> Rows:
    """Lists the designs of a small space.

    Args:
        space: The space.
        most: How many are wanted.

    Returns:
        The first ``most`` canonical rows, each once, ordered by the indices of their values;
        inactive genes count as 0.
    """
    conditional = {gene.column: gene for gene in space.gated_genes}
    unconditional = [column for column in range(len(space.choices)) if column not in conditional]
    # One row, which is multiplied gene by gene
    rows = np.zeros((1, len(space.choices)), space.row_type)
    for column in unconditional:
        rows = _with_every_value(space, rows, column, np.ones(len(rows), bool))
    for column, gene in conditional.items():
        rows = _with_every_value(space, rows, column, gene.exists(rows))
    rows = rows[space.allowed_rows(rows)]
    order = np.lexsort(np.maximum(rows, 0).T[::-1])  # lexsort takes the first column last
    return rows[order[:most]]


def _with_every_value(
    space: GeneColumns,
    rows: Rows,
    column: int,
    exists: Mask,
) -> Rows:
    """Repeat rows (n, d) with every value of a gene, or once where the gene does not exist."""
    copies = np.where(exists, space.cardinalities[column], 1)
    # The copies of a row get 0, 1, 2, ...: their position less that of the row's first copy
    first_copy = np.cumsum(copies) - copies
    repeated = np.repeat(rows, copies, axis=0)
    repeated[:, column] = np.arange(len(repeated)) - np.repeat(first_copy, copies)
    repeated[np.repeat(~exists, copies), column] = INACTIVE_INDEX
    return repeated
