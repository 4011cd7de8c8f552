"""The genes of a space as the columns of rows, and which of them exist in a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.problem.choice import Choice, Value

Rows = NDArray[np.signedinteger[Any]]
Mask = NDArray[np.bool_]
INACTIVE_INDEX = -1


@dataclass(frozen=True, eq=False)
class Gate:
    """A gene that decides whether another gene exists.

    Attributes:
        column: Column of the deciding gene.
        is_open: (values + 1,) for each of its values whether the other gene may exist; the last entry, which
            INACTIVE_INDEX selects, is False.
    """

    column: int
    is_open: Mask

    def opens(self, rows: Rows) -> Mask:
        """Tells in which rows the gate is open.

        Args:
            rows: (n, d) rows in which the gate itself is canonical.

        Returns:
            (n,) True where it is.
        """
        return self.is_open[rows[:, self.column]]


@dataclass(frozen=True, eq=False)
class GatedGene:
    """A gene that does not exist in every row.

    Attributes:
        column: Column of the gene.
        gates: The genes that decide whether it exists; it does where all of them are open.
    """

    column: int
    gates: tuple[Gate, ...]

    def exists(self, rows: Rows) -> Mask:
        """Tells in which rows the gene exists.

        Args:
            rows: (n, d) rows in which its gates are canonical.

        Returns:
            (n,) True where it does.
        """
        exists = np.ones(len(rows), bool)
        for gate in self.gates:
            exists &= gate.opens(rows)
        return exists


@dataclass(frozen=True)
class GeneColumns:
    """The genes of a space, those of the architecture first: the columns of its rows."""

    architecture: tuple[Choice, ...]
    hardware: tuple[Choice, ...]

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All genes, those of the architecture first: the columns of a row."""
        return self.architecture + self.hardware

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all genes, in the order of `choices`."""
        return tuple(choice.name for choice in self.choices)

    @cached_property
    def column(self) -> dict[str, int]:
        """The column of each gene in a row, by its name."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def architecture_names(self) -> frozenset[str]:
        """The names of the network's genes."""
        return frozenset(choice.name for choice in self.architecture)

    def architecture_of(self, design: Mapping[str, Value]) -> dict[str, Value]:
        """Takes the network's genes from a design.

        Args:
            design: Gene to value.

        Returns:
            Its genes of the architecture, in the order of ``design``.
        """
        return {name: v for name, v in design.items() if name in self.architecture_names}

    def hardware_of(self, design: Mapping[str, Value]) -> dict[str, Value]:
        """Takes the chip's genes from a design.

        Args:
            design: Gene to value.

        Returns:
            All but its genes of the architecture, in the order of ``design``.
        """
        return {name: v for name, v in design.items() if name not in self.architecture_names}

    @cached_property
    def row_type(self) -> type[np.signedinteger[Any]]:
        """The integers that rows are made of: of 16 bits, unless a gene has more values than they count."""
        most = max(len(choice.values) for choice in self.choices)
        if most <= np.iinfo(np.int16).max:
            return np.int16
        return np.int32

    @cached_property
    def cardinalities(self) -> Rows:
        """(d,) how many values each gene has."""
        return np.array([len(choice.values) for choice in self.choices], dtype=self.row_type)

    @cached_property
    def ordered(self) -> Mask:
        """(d,) whether each gene's values are numbers."""
        return np.array([choice.ordered for choice in self.choices])

    @cached_property
    def gated_genes(self) -> tuple[GatedGene, ...]:
        """The genes that do not always exist, every gate before the genes that it switches."""
        gated = []
        for column in self._gating_order():
            conditions = self.choices[column].active_if.items()
            gates = tuple(self._gate(name, values) for name, values in conditions)
            gated.append(GatedGene(column, gates))
        return tuple(gated)

    @cached_property
    def _numbers(self) -> tuple[NDArray[np.float64], ...]:
        """For each gene (values + 1,) the number that stands for each index; the last, for INACTIVE_INDEX (-1), is NaN."""
        return tuple(map(_numbers_of, self.choices))

    def encode(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Writes rows as numbers.

        Args:
            rows: (n, d) canonical rows.

        Returns:
            (n, d) the value of an ordered gene, the index of an unordered one's; NaN where
            inactive.
        """
        columns = [lookup[rows[:, i]] for i, lookup in enumerate(self._numbers)]
        return np.stack(columns, axis=1)

    def canonical_rows(self, rows: NDArray[Any]) -> Rows:
        """Brings rows into their canonical form.

        Args:
            rows: (n, d) indices of values, or one row (d,); a negative index counts as 0.

        Returns:
            (n, d) the rows with every inactive gene set to INACTIVE_INDEX; a gene that is active but was
            INACTIVE_INDEX gets its first value.
        """
        rows = np.maximum(np.array(rows, dtype=self.row_type, ndmin=2), 0)
        for gene in self.gated_genes:
            rows[~gene.exists(rows), gene.column] = INACTIVE_INDEX
        return rows

    def with_values(self, rows: Rows, fixed: Mapping[str, Value]) -> Rows:
        """Gives genes the same values in all rows.

        Args:
            rows: (n, d) rows; they are not changed.
            fixed: Gene to value.

        Returns:
            (n, d) canonical rows; a gene that a value makes active takes its first one.

        Raises:
            BadInput: A gene cannot take its value.
        """
        rows = np.array(rows, self.row_type)
        for name, value in fixed.items():
            column = self.column[name]
            rows[:, column] = self.choices[column].index(value)
        return self.canonical_rows(rows)

    def _gate(self, name: str, values: Sequence[object]) -> Gate:
        """The gene of a name as a gate that is open with some of its values."""
        column = self.column[name]
        is_open = [value in values for value in self.choices[column].values]
        return Gate(column, np.array([*is_open, False]))

    def _gating_order(self) -> list[int]:
        """Columns of conditional genes, every gate before the genes it switches."""
        order: list[int] = []
        pending = [i for i, choice in enumerate(self.choices) if choice.active_if]
        while pending:
            # Genes all of whose gates are in the order already, or always exist
            ready = [column for column in pending if self._gates_are_none_of(column, pending)]
            if not ready:
                names = [self.names[column] for column in pending]
                raise BadInput("space", f"conditions of {names} form a cycle", "break the cycle")
            order += ready
            pending = [column for column in pending if column not in ready]
        return order

    def _gates_are_none_of(self, column: int, pending: Sequence[int]) -> bool:
        """Whether no gene that decides about a gene is among the pending columns."""
        gates = self.choices[column].active_if
        return not any(self.column[gate] in pending for gate in gates)


def _numbers_of(choice: Choice) -> NDArray[np.float64]:
    """(values + 1,) the values of an ordered gene, the positions of an unordered one's; then NaN."""
    numbers: Iterable[Any] = choice.values
    if not choice.ordered:
        numbers = range(len(choice.values))
    return np.array([*numbers, np.nan], float)
