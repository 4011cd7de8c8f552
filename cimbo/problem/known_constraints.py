"""Constraints between genes that are known before anything is evaluated: which rows keep them, and how others are put right.

Genes that share a constraint, and the genes that switch them, form a group. All allowed values of a group are listed once;
where they are too many, a sample is grown gene by gene, what no completion can save being dropped on the way. So a design is
found also where one in thousands is allowed, which drawing again and again would not do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.problem.expressions import Expression, unknown_name
from cimbo.problem.gene_columns import INACTIVE_INDEX, Mask, Rows

if TYPE_CHECKING:
    from cimbo.problem.space import SearchSpace

MOST_LISTED = 200_000  # values of a group that are listed in full
MOST_GROWN = 4096  # of those that are grown, and of listed ones that a row is compared with
N_COMPLETIONS = 6  # of a partial assignment: the least, the greatest, and random ones


@dataclass(frozen=True)
class Group:
    """Genes that are bound to one another.

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
            self._check(expression)
        for number in range(len(self.groups)):
            self._check_allows(number)

    def _check_allows(self, number: int) -> None:
        """Refuse a group of constraints that no design keeps."""
        if not len(self.table(number)):
            told = " and ".join(repr(each.text) for each in self.groups[number].expressions)
            raise BadInput("constraints", f"no design keeps {told}", "widen the genes' values")

    def _check(self, expression: Expression) -> None:
        """Refuse what is no condition, or names what is no gene."""
        if not expression.is_condition:
            what = f"{expression.text!r} is a number, not a condition"
            raise BadInput("constraint", what, 'write one as "rows * cols <= 65536"')
        error = unknown_name(expression, self.space.names)
        if error is not None:
            what = error.what.replace("neither measured nor a gene", "no gene")
            raise BadInput(f"constraint {expression.text!r}", what, error.todo)

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
        return self._all_kept(self.expressions, rows)

    def _keeps(self, expression: Expression, rows: Rows) -> Mask:
        """(n,) whether rows keep a constraint, or lack one of its genes."""
        values = {}
        all_exist = np.ones(len(rows), bool)
        for name in expression.names:
            column = self.space.column[name]
            indices = rows[:, column]
            all_exist &= indices != INACTIVE_INDEX
            values[name] = self._values[column][indices]
        holds = np.broadcast_to(expression(values), len(rows))
        return np.asarray(holds) | ~all_exist

    @cached_property
    def _values(self) -> list[NDArray[Any]]:
        """For each gene its values by index; inactive, which selects the last, is any value."""
        found = []
        for choice in self.space.choices:
            of_inactive = choice.values[-1]
            kind = float if choice.ordered else str
            found.append(np.array([*choice.values, of_inactive], kind))
        return found

    # ---- groups -------------------------------------------------------------------------------------

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Genes that are bound to one another, directly or through others."""
        found: list[Group] = []
        for expression in self.expressions:
            joined = Group(tuple(sorted(self._scope(expression))), (expression,))
            apart = []
            for group in found:
                if group.shares_genes_with(joined):
                    joined = group.joined_with(joined)
                else:
                    apart.append(group)
            found = [*apart, joined]
        return tuple(found)

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
        return self._combinations(group) <= MOST_LISTED

    def _combinations(self, group: Group) -> float:
        """How many combinations of values the genes of a group have, allowed or not."""
        sizes = [len(self.space.choices[column].values) for column in group.columns]
        return float(np.prod(np.array(sizes, float)))

    def _grown(self, group: Group, *, look_ahead: bool) -> Rows:
        """Rows with allowed values of a group, grown gene by gene; ``look_ahead``: without those nothing can save."""
        rng = np.random.default_rng(0)
        columns = self._order(group)
        is_listed = self._is_listed(group)
        rows = np.zeros((1, len(self.space.choices)), self.space.row_type)
        for i, column in enumerate(columns):
            rows = self._with_every_value(rows, column)
            missing = columns[i + 1 :]
            if look_ahead:
                rows = rows[self._can_be_completed(group, rows, missing, rng)]
            rows = rows[self._complete_ones_kept(group, rows, missing)]
            if not is_listed and len(rows) > MOST_GROWN:
                rows = rows[rng.choice(len(rows), MOST_GROWN, replace=False)]
        rows = self.space.canonical_rows(rows)
        return rows[self._all_kept(group.expressions, rows)]

    def _with_every_value(self, rows: Rows, column: int) -> Rows:
        """Each row once with every value of a gene."""
        size = len(self.space.choices[column].values)
        grown = np.repeat(rows, size, axis=0)
        grown[:, column] = np.tile(np.arange(size), len(rows))
        return grown

    def _order(self, group: Group) -> list[int]:
        """The columns of a group, those of the smallest constraints first."""
        scopes = [sorted(self._scope(expression)) for expression in group.expressions]
        scopes.sort(key=len)
        return list(dict.fromkeys(chain.from_iterable(scopes)))

    def _can_be_completed(
        self,
        group: Group,
        rows: Rows,
        missing: Sequence[int],
        rng: np.random.Generator,
    ) -> Mask:
        """Whether each constraint of a group can still be kept when the missing genes get values.

        Some completions are tried: all missing genes at their least values, all at their greatest, and random ones. The first
        two decide a constraint that only grows, or only falls, with all of them.

        Args:
            group: Its constraints.
            rows: (n, d) rows in which some of its genes have no value yet.
            missing: Columns of these.
            rng: Draws the completions at random.

        Returns:
            (n,) True where every constraint holds in some completion, not all of them in the same one.
        """
        if not len(rows):
            return np.zeros(0, bool)
        found = np.ones(len(rows), bool)
        completions = list(_completions(self.space, rows, missing, rng))
        for expression in group.expressions:
            holds = [self._keeps(expression, completed) for completed in completions]
            found &= np.logical_or.reduce(holds)
        return found

    def _complete_ones_kept(
        self,
        group: Group,
        rows: Rows,
        missing: Sequence[int],
    ) -> Mask:
        """(n,) whether the constraints hold whose genes all have a value."""
        complete = []
        for expression in group.expressions:
            if self._scope(expression).isdisjoint(missing):
                complete.append(expression)
        return self._all_kept(complete, self.space.canonical_rows(rows))

    def _all_kept(self, expressions: Iterable[Expression], rows: Rows) -> Mask:
        """(n,) whether canonical rows keep all of some constraints."""
        found = np.ones(len(rows), bool)
        for expression in expressions:
            found &= self._keeps(expression, rows)
        return found

    # ---- putting right ------------------------------------------------------------------------------

    def repaired(self, rows: Rows, held: Sequence[int] = ()) -> Rows:
        """Puts right the rows that break a constraint: its group's genes take the nearest allowed values.

        Args:
            rows: (n, d) canonical rows.
            held: Columns that may not be changed. A row that cannot be put right without them stays as it is.

        Returns:
            (n, d) canonical rows.
        """
        rows = np.array(rows)
        for number, group in enumerate(self.groups):
            columns = list(group.columns)
            for i in np.flatnonzero(~self._all_kept(group.expressions, rows)):
                nearest = self._nearest(number, rows[i, columns], held)
                if nearest is not None:
                    rows[i, columns] = nearest
        return self.space.canonical_rows(rows)

    def _nearest(self, number: int, row: Rows, held: Sequence[int]) -> Rows | None:
        """The allowed values of a group that are nearest to those of a row (k,); None where ``held`` ones allow none."""
        columns = self.groups[number].columns
        table = self.table(number)
        for i, column in enumerate(columns):
            if column in held:
                table = table[table[:, i] == row[i]]
        if not len(table):
            return None
        if len(table) > MOST_GROWN:
            # Always the same ones for a row, so that equal rows are put right alike.
            rng = np.random.default_rng([int(value) + 1 for value in row])
            table = table[rng.choice(len(table), MOST_GROWN, replace=False)]
        distance = np.zeros(len(table))
        for i, column in enumerate(columns):
            distance += self._distance(column, table[:, i], row[i])
        nearest: Rows = table[np.argmin(distance)]
        return nearest

    def _distance(
        self,
        column: int,
        indices: Rows,
        index: int,
    ) -> NDArray[np.float64]:
        """(m,) how far values of a gene are from another one: 1 from end to end; 0 where inactive."""
        choice = self.space.choices[column]
        if choice.ordered:
            steps = np.abs(indices - index) / max(len(choice.values) - 1, 1)
        else:
            steps = (indices != index).astype(float)
        return np.where(indices == INACTIVE_INDEX, 0.0, steps)

    @property
    def share(self) -> float:
        """The share of allowed values among all those of the groups; of grown ones taken as 1."""
        found = 1.0
        for number, group in enumerate(self.groups):
            if self._is_listed(group):
                allowed = len(self.table(number))
                found *= min(1.0, allowed / self._combinations(group))
        return found


def _completions(
    space: SearchSpace,
    rows: Rows,
    missing: Sequence[int],
    rng: np.random.Generator,
) -> Iterator[Rows]:
    """Canonical ``rows`` with the missing genes at the least values, the greatest, and random ones."""
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
