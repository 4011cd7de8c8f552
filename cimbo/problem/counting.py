"""How many different designs a space holds, where conditions chain its genes together.

A design is an assignment of one state to each gene: one of its values, or "inactive" exactly when
one of its gates is shut. Counting such assignments is a sum of products over a graph of
dependencies, which variable elimination does in time exponential in the graph's treewidth only
(Dechter 1999, "Bucket elimination"), not in the number of genes: a chain of a thousand switches is
quick. Values that open and shut the same genes are one state with a weight. Where even that takes
too large a table, the number is estimated from random designs (Knuth 1975, "Estimating the
efficiency of backtrack programs").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_TABLE_ENTRIES = 2**16  # a table of exact integers of this size takes some 10 ms to sum over
ESTIMATE_SAMPLES = 4096


@dataclass(frozen=True)
class ConditionalGene:
    """What counting needs to know of a gene: how many values it has, and which values of its gates let it exist.

    gates: pairs of a gate's index and a mask (c,) over the gate's c values; the gene is active when
    all gates are active and at one of those values.
    """

    n_values: int
    gates: tuple[tuple[int, NDArray[np.bool_]], ...] = ()


@dataclass(frozen=True)
class Table:
    """A function of the states of a few variables: ``values[i, j, ...]`` for those of ``scope``, ascending."""

    scope: tuple[int, ...]
    values: NDArray[Any]


class TooLarge(Exception):
    """Elimination would need a larger table than `MAX_TABLE_ENTRIES`."""


def count_designs(genes: Sequence[ConditionalGene]) -> int | None:
    """Counts the different designs exactly.

    Args:
        genes: All genes of a space, with what switches them, in the order of its columns.

    Returns:
        How many designs there are; None where the conditions are too entangled to count.
    """
    network = _Network(genes)
    try:
        return network.total()
    except TooLarge:
        return None


def estimate_designs(cardinalities: NDArray[Any], active: NDArray[np.bool_]) -> int:
    """An unbiased estimate from random designs.

    A design drawn gene by gene has probability 1 / product of the numbers of values of its active
    genes, so the mean of that product is the number of designs.

    Args:
        cardinalities: (d,) values of each gene.
        active: (n, d) which genes are active in n random designs.

    Returns:
        About how many designs there are.
    """
    total = 0
    for row in active:
        total += math.prod(cardinalities[row].tolist())
    return total // len(active)


class _Network:
    """The variables (genes and auxiliary "gates so far are open" ones) and the tables over them."""

    def __init__(self, genes: Sequence[ConditionalGene]) -> None:
        self._genes = genes
        self._n_states: list[int] = []
        self._tables: list[Table] = []
        # By gate, then by the gene that it gates: which values of the gate open the gene; and which
        # of its states.
        self._gated: list[dict[int, NDArray[np.bool_]]] = [{} for _ in genes]
        self._opens: list[dict[int, NDArray[np.bool_]]] = []
        for index, gene in enumerate(genes):
            for gate, mask in gene.gates:
                self._gated[gate][index] = mask
        for index in range(len(genes)):
            self._add_gene(index)
        for index, gene in enumerate(genes):
            if gene.gates:
                self._add_condition(index)

    def total(self) -> int:
        """The sum over all states of the product of all tables."""
        tables = list(self._tables)
        neighbours = self._neighbours()
        entries = {variable: self._entries(near) for variable, near in neighbours.items()}
        while entries:
            # The variable whose elimination needs the smallest table
            variable = min(entries, key=entries.__getitem__)
            if entries.pop(variable) > MAX_TABLE_ENTRIES:
                raise TooLarge
            tables = self._eliminated(variable, tables)
            near = neighbours.pop(variable) - {variable}
            for other in near:
                neighbours[other] |= near
                neighbours[other].discard(variable)
                entries[other] = self._entries(neighbours[other])
        return math.prod(int(table.values[()]) for table in tables)

    def _eliminated(self, variable: int, tables: Sequence[Table]) -> list[Table]:
        """Tables without a variable: those that have it become one, summed over its states."""
        touching = []
        others = []
        for table in tables:
            if variable in table.scope:
                touching.append(table)
            else:
                others.append(table)
        return [*others, self._summed_out(variable, touching)]

    def _add_gene(self, index: int) -> None:
        """A variable whose states are the groups of values that open the same genes, and "inactive" last."""
        gene = self._genes[index]
        gated = self._gated[index]
        patterns = np.zeros((gene.n_values, 1), bool)
        if gated:  # of a gene that gates none, all values are alike
            patterns = np.stack(list(gated.values()), axis=1)
        groups, counts = np.unique(patterns, axis=0, return_counts=True)
        weights = [int(count) for count in counts]
        if gene.gates:
            opens_nothing = np.zeros((1, groups.shape[1]), bool)
            groups = np.concatenate([groups, opens_nothing])
            weights.append(1)
        variable = self._new_variable(len(weights))
        self._tables.append(Table((variable,), np.array(weights, object)))
        self._opens.append({other: groups[:, i] for i, other in enumerate(gated)})

    def _add_condition(self, index: int) -> None:
        """The gene is active exactly when its gates are open.

        Gates are joined pairwise, by auxiliary variables that say whether all so far are open: so tables stay small.
        """
        gates = [gate for gate, _ in self._genes[index].gates]
        so_far = gates[0]
        is_open = self._opens[so_far][index]
        for gate in gates[1:]:
            both = is_open[:, None] & self._opens[gate][index][None, :]
            joined = self._new_variable(2)
            agree = both[..., None] == np.array([False, True])
            self._add_table((so_far, gate, joined), agree)
            so_far = joined
            is_open = np.array([False, True])
        is_active = np.ones(self._n_states[index], bool)
        is_active[-1] = False
        self._add_table((so_far, index), is_open[:, None] == is_active[None, :])

    def _new_variable(self, n_states: int) -> int:
        self._n_states.append(n_states)
        return len(self._n_states) - 1

    def _add_table(
        self,
        scope: tuple[int, ...],
        allowed: NDArray[np.bool_],
    ) -> None:
        """A table of ones where states are allowed together, else zeros."""
        order = sorted(range(len(scope)), key=lambda axis: scope[axis])
        values = allowed.transpose(order).astype(int).astype(object)
        self._tables.append(Table(tuple(sorted(scope)), values))

    def _neighbours(self) -> dict[int, set[int]]:
        """For each variable those that share a table with it, itself included."""
        found: dict[int, set[int]] = {v: {v} for v in range(len(self._n_states))}
        for table in self._tables:
            for variable in table.scope:
                found[variable].update(table.scope)
        return found

    def _entries(self, scope: Iterable[int]) -> int:
        return math.prod(self._n_states[variable] for variable in scope)

    def _summed_out(self, variable: int, tables: Sequence[Table]) -> Table:
        """The product of tables, summed over the states of a variable."""
        scope = sorted(set(chain.from_iterable(table.scope for table in tables)))
        product = np.ones([self._n_states[each] for each in scope], object)
        for table in tables:
            shape = [self._n_states[each] if each in table.scope else 1 for each in scope]
            product = product * table.values.reshape(shape)
        axis = scope.index(variable)
        rest = (*scope[:axis], *scope[axis + 1 :])
        return Table(rest, np.asarray(product.sum(axis=axis), object))
