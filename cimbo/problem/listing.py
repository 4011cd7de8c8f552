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
    """How many designs a space has, and whether they were counted rather than estimated."""

    designs: int
    is_exact: bool


def measure_size(space: SearchSpace) -> SpaceSize:
    """Counts the designs of a space, or estimates how many there are.

    Args:
        space: The space.

    Returns:
        The number of different designs. It is estimated where the conditions are too entangled to
        count, and where a space too large to list has constraints.
    """
    counted = count_designs(_conditional_genes(space))
    if counted is None:
        sample = space.random_rows(ESTIMATE_SAMPLES, np.random.default_rng(0))
        estimate = estimate_designs(space.cardinalities, sample != INACTIVE_INDEX)
        return SpaceSize(estimate, is_exact=False)
    if not space.constraints:
        return SpaceSize(counted, is_exact=True)
    if counted < LISTABLE_SIZE:
        return SpaceSize(len(listed_rows(space, counted)), is_exact=True)
    return SpaceSize(max(1, int(counted * space.known.share)), is_exact=False)


def _conditional_genes(space: GeneColumns) -> list[ConditionalGene]:
    """What counting needs to know of the genes, in the order of columns."""
    gates = {gene.column: gene.gates for gene in space.gated_genes}
    genes = []
    for column, choice in enumerate(space.choices):
        opening = tuple((gate.column, gate.is_open[:-1]) for gate in gates.get(column, ()))
        genes.append(ConditionalGene(len(choice.values), opening))
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
    always = [column for column in range(len(space.choices)) if column not in conditional]
    rows = np.zeros((1, len(space.choices)), space.row_type)
    for column in always:
        rows = _with_every_value(space, rows, column, np.ones(len(rows), bool))
    for column, gene in conditional.items():
        rows = _with_every_value(space, rows, column, gene.exists(rows))
    rows = rows[space.allowed_rows(rows)]
    order = np.lexsort(np.maximum(rows, 0).T[::-1])
    return rows[order[:most]]


def _with_every_value(
    space: GeneColumns,
    rows: Rows,
    column: int,
    exists: Mask,
) -> Rows:
    """Each row once with every value of a gene, or once where the gene does not exist."""
    copies = np.where(exists, space.cardinalities[column], 1)
    first_copy = np.cumsum(copies) - copies
    rows = np.repeat(rows, copies, axis=0)
    rows[:, column] = np.arange(len(rows)) - np.repeat(first_copy, copies)
    rows[np.repeat(~exists, copies), column] = INACTIVE_INDEX
    return rows
