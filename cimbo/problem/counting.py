"""How many different designs a space holds, where conditions chain its genes together.

A design is an assignment of one state to each gene: one of its values, or "inactive" exactly when
one of its gates (the genes that decide whether it exists) is shut. Counting such assignments is a
sum of products over a graph of dependencies, which variable elimination does in time exponential in
the graph's treewidth only (Dechter 1999, "Bucket elimination"), not in the number of genes: a chain
of a thousand switches is quick. Values that open and shut the same genes are one state with a
weight. Where even that takes too large a table, the number is estimated from random designs (Knuth
1975, "Estimating the efficiency of backtrack programs").
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
    """What counting needs to know of a gene.

    Attributes:
        n_values: How many values it has.
        gates: The genes that decide whether it exists: index of each, and (c,) which of its c values open it.
            The gene is active when all its gates are active and at such a value.
    """

    n_values: int
    gates: tuple[tuple[int, NDArray[np.bool_]], ...] = ()


@dataclass(frozen=True)
class Table:
    """A function of the states of a few variables.

    Attributes:
        scope: The variables, ascending.
        values: Its value for each combination of states, with an axis for each variable of the scope.
    """

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
    """Estimates the number of designs of a space from random ones; the estimate is unbiased.

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
    """The variables of a space and the tables over them, whose product is 1 for a design and 0 for anything else.

    Variables are the genes, in order, and auxiliary ones that say "the gates of this gene so far are open". A gene's states are
    groups of values that open the same genes; its own table holds how many values each group has.
    """

    def __init__(self, genes: Sequence[ConditionalGene]) -> None:
        self._genes = genes
        self._n_states: list[int] = []
        self._tables: list[Table] = []
        # _gated[gate][gene]: which values of the gate open the gene. _opens[gate][gene]: which states.
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
        """The sum over all states of the product of all tables, by eliminating variable after variable.

        Returns:
            The number of designs.

        Raises:
            TooLarge: When a variable can only be eliminated by way of too large a table.
        """
        tables = list(self._tables)
        neighbours = self._neighbours()
        # How large a table the elimination of each variable would need
        table_sizes = {variable: self._entries(near) for variable, near in neighbours.items()}
        while table_sizes:
            variable = min(table_sizes, key=table_sizes.__getitem__)
            if table_sizes.pop(variable) > MAX_TABLE_ENTRIES:
                raise TooLarge
            tables = self._eliminated(variable, tables)
            # All neighbours of the variable now share a table
            near = neighbours.pop(variable) - {variable}
            for other in near:
                neighbours[other] |= near
                neighbours[other].discard(variable)
                table_sizes[other] = self._entries(neighbours[other])
        # No variable is left: each table is one number
        return math.prod(int(table.values[()]) for table in tables)

    def _eliminated(self, variable: int, tables: Sequence[Table]) -> list[Table]:
        """Eliminate a variable: the tables that have it in scope become one table, summed over its states."""
        with_variable = []
        others = []
        for table in tables:
            if variable in table.scope:
                with_variable.append(table)
            else:
                others.append(table)
        return [*others, self._summed_out(variable, with_variable)]

    def _add_gene(self, index: int) -> None:
        """Add a gene as a variable: its states are groups of values that open the same genes, and "inactive" last."""
        gene = self._genes[index]
        gated = self._gated[index]
        # (values, gated genes) which genes each value opens; values with equal rows are one state
        patterns = np.zeros((gene.n_values, 1), bool)
        if gated:
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
        """Add tables that allow a gene to be active exactly when all its gates are open.

        Gates are joined one by one, by auxiliary variables that say whether all gates so far are open: a single table over
        all gates could be huge.

        Args:
            index: The gene.
        """
        gates = [gate for gate, _ in self._genes[index].gates]
        # The variable that says whether all gates so far are open, and which of its states say that they are
        so_far = gates[0]
        is_open = self._opens[so_far][index]
        for gate in gates[1:]:
            # (states of so_far, states of the gate) whether both are open
            both_open = is_open[:, None] & self._opens[gate][index][None, :]
            joined = self._new_variable(2)  # state 0: not all open, 1: all open
            agrees = both_open[..., None] == np.array([False, True])
            self._add_table((so_far, gate, joined), agrees)
            so_far = joined
            is_open = np.array([False, True])
        is_active = np.ones(self._n_states[index], bool)
        is_active[-1] = False  # the last state of a gene is "inactive"
        self._add_table((so_far, index), is_open[:, None] == is_active[None, :])

    def _new_variable(self, n_states: int) -> int:
        """Add a variable; gives its number."""
        self._n_states.append(n_states)
        return len(self._n_states) - 1

    def _add_table(
        self,
        scope: tuple[int, ...],
        allowed: NDArray[np.bool_],
    ) -> None:
        """Add a table over variables, with an axis of ``allowed`` for each: 1 where states may come together, else 0."""
        order = sorted(range(len(scope)), key=lambda axis: scope[axis])
        # Python's own integers: products of tables count spaces of more designs than 64 bits hold
        values = allowed.transpose(order).astype(int).astype(object)
        self._tables.append(Table(tuple(sorted(scope)), values))

    def _neighbours(self) -> dict[int, set[int]]:
        """For each variable the variables that share a table with it, itself included."""
        neighbours: dict[int, set[int]] = {v: {v} for v in range(len(self._n_states))}
        for table in self._tables:
            for variable in table.scope:
                neighbours[variable].update(table.scope)
        return neighbours

    def _entries(self, scope: Iterable[int]) -> int:
        """How many entries a table over these variables has."""
        return math.prod(self._n_states[variable] for variable in scope)

    def _summed_out(self, variable: int, tables: Sequence[Table]) -> Table:
        """The product of tables, summed over the states of a variable."""
        scope = sorted(set(chain.from_iterable(table.scope for table in tables)))
        product = np.ones([self._n_states[each] for each in scope], object)
        for table in tables:
            # Axes of length 1 for the variables that the table does not have
            shape = [self._n_states[each] if each in table.scope else 1 for each in scope]
            product = product * table.values.reshape(shape)
        axis = scope.index(variable)
        other_variables = (*scope[:axis], *scope[axis + 1 :])
        return Table(other_variables, np.asarray(product.sum(axis=axis), object))
