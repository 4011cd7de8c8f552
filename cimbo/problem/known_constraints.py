"""Constraints between genes that are known before anything is evaluated: which rows keep them, and how others are put right.

Genes that share a constraint, and the genes that switch them, form a group. All allowed values of a group are listed once;
where they are too many, a sample is grown gene by gene, what no completion can save being dropped on the way. So a design is
found also where one in thousands is allowed, which drawing again and again would not do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.problem.expressions import Expression, unknown_name

if TYPE_CHECKING:
    from cimbo.problem.space import Rows, SearchSpace

Mask = NDArray[np.bool_]
INACTIVE_INDEX = -1
MOST_LISTED = 200_000  # values of a group that are listed in full
MOST_GROWN = 4096  # of those that are grown, and of listed ones that a row is compared with
N_COMPLETIONS = 6  # of a partial assignment: the least, the greatest, and random ones


@dataclass(frozen=True)
class Group:
    """Genes that are bound to one another.

    Attributes:
        columns: Of the genes in the space.
        expressions: The constraints among them.
    """

    columns: tuple[int, ...]
    expressions: tuple[Expression, ...]


@dataclass(frozen=True, eq=False)
class KnownConstraints:
    """The known constraints of a space.

    Raises:
        BadInput: For what is no condition, and for a name that is no gene.
    """

    space: SearchSpace
    texts: tuple[str, ...]
    _tables: dict[int, Rows] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for expression in self.expressions:
            if not expression.is_condition:
                what = f"{expression.text!r} is a number, not a condition"
                raise BadInput("constraint", what, 'write one as "rows * cols <= 65536"')
            error = unknown_name(expression, self.space.names)
            if error is not None:
                what = error.what.replace("neither measured nor a gene", "no gene")
                raise BadInput(f"constraint {expression.text!r}", what, error.todo)
        for number, group in enumerate(self.groups):
            if not len(self.table(number)):
                told = " and ".join(repr(e.text) for e in group.expressions)
                raise BadInput("constraints", f"no design keeps {told}", "widen the genes' values")

    @cached_property
    def expressions(self) -> tuple[Expression, ...]:
        """The constraints, parsed."""
        return tuple(Expression(text, "constraint") for text in self.texts)

    def allowed(self, rows: Rows) -> Mask:
        """Tells which rows keep every constraint.

        A row keeps a constraint when one of the constraint's genes does not exist in it.

        Args:
            rows: (n, d) canonical rows.

        Returns:
            (n,) True where all constraints are kept.
        """
        found = np.ones(len(rows), bool)
        for expression in self.expressions:
            found &= self._keeps(expression, rows)
        return found

    def _keeps(self, expression: Expression, rows: Rows) -> Mask:
        values, exists = {}, np.ones(len(rows), bool)
        for name in expression.names:
            column = self.space.column[name]
            exists &= rows[:, column] != INACTIVE_INDEX
            values[name] = self._values[column][rows[:, column]]
        return np.asarray(np.broadcast_to(expression(values), len(rows))) | ~exists

    @cached_property
    def _values(self) -> list[NDArray[Any]]:
        """For each gene its values by index; inactive, which selects the last, is any value."""
        found = []
        for choice in self.space.choices:
            values = [*choice.values, choice.values[-1]]
            found.append(np.array(values, float if choice.ordered else str))
        return found

    # ---- groups -------------------------------------------------------------------------------------

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Genes that are bound to one another, directly or through others."""
        scopes = [(self._scope(e), [e]) for e in self.expressions]
        joined: list[tuple[set[int], list[Expression]]] = []
        for columns, expressions in scopes:
            apart = []
            for other, others in joined:
                if columns & other:
                    columns, expressions = columns | other, others + expressions
                else:
                    apart.append((other, others))
            joined = [*apart, (columns, expressions)]
        return tuple(Group(tuple(sorted(c)), tuple(e)) for c, e in joined)

    def _scope(self, expression: Expression) -> set[int]:
        """The columns of an expression's genes, and of all that switch them."""
        waiting = [self.space.column[name] for name in expression.names]
        found: set[int] = set()
        while waiting:
            column = waiting.pop()
            if column not in found:
                found.add(column)
                gates = self.space.choices[column].active_if
                waiting += [self.space.column[gate] for gate in gates]
        return found

    def table(self, number: int) -> Rows:
        """Finds the values that the genes of a group may take together.

        They are all there are where the group's combinations can be listed, otherwise a part of
        them.

        Args:
            number: Position of the group in `groups`.

        Returns:
            (m, k) m allowed combinations of the group's k genes, as indices of values, none twice.
        """
        if number not in self._tables:
            group = self.groups[number]
            rows = self._grown(group, look_ahead=not self._is_listed(group))
            if not len(rows):  # an equality is met by no completion that was tried
                rows = self._grown(group, look_ahead=False)
            self._tables[number] = np.unique(rows[:, list(group.columns)], axis=0)
        return self._tables[number]

    def _is_listed(self, group: Group) -> bool:
        """Whether all values of a group can be gone through."""
        sizes = [len(self.space.choices[column].values) for column in group.columns]
        return float(np.prod(np.array(sizes, float))) <= MOST_LISTED

    def _grown(self, group: Group, *, look_ahead: bool) -> Rows:
        """Rows with allowed values of a group, grown gene by gene; ``look_ahead``: without those nothing can save."""
        rng = np.random.default_rng(0)
        columns = self._order(group)
        sizes = [len(self.space.choices[column].values) for column in columns]
        in_full = self._is_listed(group)
        rows = np.zeros((1, len(self.space.choices)), self.space.row_type)
        for i, column in enumerate(columns):
            rows = np.repeat(rows, sizes[i], axis=0)
            rows[:, column] = np.tile(np.arange(sizes[i]), len(rows) // sizes[i])
            missing = columns[i + 1 :]
            if look_ahead:
                rows = rows[self._can_be_completed(group, rows, missing, rng)]
            rows = rows[self._complete_ones_kept(group, rows, missing)]
            if not in_full and len(rows) > MOST_GROWN:
                rows = rows[rng.choice(len(rows), MOST_GROWN, replace=False)]
        rows = self.space.canonical_rows(rows)
        return rows[self._all_kept(group, rows)]

    def _order(self, group: Group) -> list[int]:
        """The columns of a group, those of the smallest constraints first."""
        scopes = sorted((self._scope(e) for e in group.expressions), key=len)
        return list(dict.fromkeys(column for scope in scopes for column in sorted(scope)))

    def _can_be_completed(
        self, group: Group, rows: Rows, missing: Sequence[int], rng: np.random.Generator
    ) -> Mask:
        """(n,) whether each constraint holds in some completion: what only grows or falls with a gene is decided so."""
        if not len(rows):
            return np.zeros(0, bool)
        found = np.ones(len(rows), bool)
        completions = [self.space.canonical_rows(c) for c in _completions(self, rows, missing, rng)]
        for expression in group.expressions:
            holds = [self._keeps(expression, completed) for completed in completions]
            found &= np.logical_or.reduce(holds)
        return found

    def _complete_ones_kept(self, group: Group, rows: Rows, missing: Sequence[int]) -> Mask:
        """(n,) whether the constraints hold whose genes all have a value."""
        complete = []
        for e in group.expressions:
            if not self._scope(e) & set(missing):
                complete.append(e)
        return self._all_kept(
            Group(group.columns, tuple(complete)), self.space.canonical_rows(rows)
        )

    def _all_kept(self, group: Group, rows: Rows) -> Mask:
        found = np.ones(len(rows), bool)
        for expression in group.expressions:
            found &= self._keeps(expression, rows)
        return found

    # ---- putting right ------------------------------------------------------------------------------

    def repaired(self, rows: Rows, held: Sequence[int] = ()) -> Rows:
        """Canonical rows (n, d), those that break a constraint with the genes of its group at the nearest allowed values.

        Args:
            rows: Canonical rows.
            held: Columns that may not be changed. A row that cannot be put right without them stays as it is.
        """
        rows = np.array(rows)
        for number, group in enumerate(self.groups):
            broken = np.flatnonzero(~self._all_kept(group, rows))
            if not len(broken):
                continue
            columns = list(group.columns)
            for i in broken:
                nearest = self._nearest(number, rows[i, columns], held)
                if nearest is not None:
                    rows[i, columns] = nearest
        return self.space.canonical_rows(rows)

    def _nearest(self, number: int, row: Rows, held: Sequence[int]) -> Rows | None:
        """The allowed values of a group that are nearest to those of a row (k,)."""
        columns = self.groups[number].columns
        table = self.table(number)
        kept = [i for i, column in enumerate(columns) if column in held]
        for i in kept:
            table = table[table[:, i] == row[i]]
        if not len(table):
            return None
        if len(table) > MOST_GROWN:
            seed = [int(value) + 1 for value in row]
            table = table[np.random.default_rng(seed).choice(len(table), MOST_GROWN, replace=False)]
        distance = np.zeros(len(table))
        for i, column in enumerate(columns):
            choice = self.space.choices[column]
            steps = np.abs(table[:, i] - row[i]) / max(len(choice.values) - 1, 1)
            if not choice.ordered:
                steps = (table[:, i] != row[i]).astype(float)
            distance += np.where(table[:, i] == INACTIVE_INDEX, 0.0, steps)
        found: Rows = table[np.argmin(distance)]
        return found

    @property
    def share(self) -> float:
        """The share of allowed values among all those of the groups; of grown ones taken as 1."""
        found = 1.0
        for number, group in enumerate(self.groups):
            if self._is_listed(group):
                sizes = [len(self.space.choices[column].values) for column in group.columns]
                total = float(np.prod(np.array(sizes, float)))
                found *= min(1.0, len(self.table(number)) / total)
        return found


def _completions(
    constraints: KnownConstraints, rows: Rows, missing: Sequence[int], rng: np.random.Generator
) -> Iterator[Rows]:
    """``rows`` with the missing genes at the least values, the greatest, and random ones."""
    if not missing:
        yield rows
        return
    choices = [constraints.space.choices[column] for column in missing]
    greatest = np.array([len(choice.values) - 1 for choice in choices])
    fillings = [np.zeros_like(greatest), greatest]
    for _ in range(N_COMPLETIONS - len(fillings)):
        fillings.append(rng.integers(0, greatest + 1))
    for filling in fillings:
        completed = rows.copy()
        completed[:, list(missing)] = filling
        yield completed
