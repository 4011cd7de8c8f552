"""Constraints between genes, known before anything is evaluated: which rows keep them, and how other rows are repaired.

Genes that share a constraint, and the genes that decide whether these exist, form a group. All
allowed combinations of a group's values are listed once. Where a group has too many combinations, a
sample of allowed ones is grown gene by gene, dropping partial ones that no completion can save.
This finds a design also where one in thousands is allowed, which drawing at random again and again
would not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.problem.constraint_groups import Group, completions
from cimbo.problem.expressions import Expression, unknown_name
from cimbo.problem.gene_columns import INACTIVE_INDEX, Mask, Rows

if TYPE_CHECKING:
    from cimbo.problem.space import SearchSpace

MOST_LISTED = 200_000  # a group of at most so many combinations, allowed or not, is listed in full
MOST_GROWN = 4096  # combinations that a grown sample keeps, and that a row is compared with


@dataclass(frozen=True, eq=False)
class KnownConstraints:
    """The known constraints of a space.

    Attributes:
        space: The space.
        texts: The constraints as expressions, such as "rows * cols <= 65536".

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
            texts = " and ".join(repr(each.text) for each in self.groups[number].expressions)
            raise BadInput("constraints", f"no design keeps {texts}", "widen the genes' values")

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
        """For each gene (values + 1,) its values by index; the last entry, for an inactive gene, is never looked at."""
        values_of_genes = []
        for choice in self.space.choices:
            of_inactive = choice.values[-1]
            value_type = float if choice.ordered else str
            values_of_genes.append(np.array([*choice.values, of_inactive], value_type))
        return values_of_genes

    # ---- groups -------------------------------------------------------------------------------------

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups of genes that are bound to one another, directly or through others; no gene is in two."""
        groups: list[Group] = []
        for expression in self.expressions:
            merged = Group(tuple(sorted(self._scope(expression))), (expression,))
            separate = []
            for group in groups:
                if group.shares_genes_with(merged):
                    merged = group.joined_with(merged)
                else:
                    separate.append(group)
            groups = [*separate, merged]
        return tuple(groups)

    def _scope(self, expression: Expression) -> set[int]:
        """The columns of an expression's genes, and of all genes that decide whether these exist."""
        to_visit = [self.space.column[name] for name in expression.names]
        scope: set[int] = set()
        while to_visit:
            column = to_visit.pop()
            if column not in scope:
                scope.add(column)
                gates = self.space.choices[column].active_if
                to_visit += [self.space.column[gate] for gate in gates]
        return scope

    def table(self, number: int) -> Rows:
        """Finds the combinations of values that the genes of a group may take.

        They are all of them where the group's combinations can be listed, otherwise a sample.

        Args:
            number: Position of the group in `groups`.

        Returns:
            (m, k) m allowed combinations of the group's k genes, as indices of values, none twice.
        """
        if number not in self._tables:
            group = self.groups[number]
            rows = self._grown(group, look_ahead=not self._is_listed(group))
            # Looking ahead tries few completions, and an equality may be met by none of them
            if not len(rows):
                rows = self._grown(group, look_ahead=False)
            self._tables[number] = np.unique(rows[:, list(group.columns)], axis=0)
        return self._tables[number]

    def _is_listed(self, group: Group) -> bool:
        """Whether a group has so few combinations of values that all can be listed."""
        return self._combinations(group) <= MOST_LISTED

    def _combinations(self, group: Group) -> float:
        """How many combinations of values the genes of a group have, allowed or not."""
        sizes = [len(self.space.choices[column].values) for column in group.columns]
        return float(np.prod(np.array(sizes, float)))

    def _grown(self, group: Group, *, look_ahead: bool) -> Rows:
        """Grow rows with allowed combinations of a group, gene by gene.

        Args:
            group: The group.
            look_ahead: Whether partial combinations are dropped when no completion that is tried keeps
                the constraints.

        Returns:
            (m, d) canonical rows that keep the group's constraints; genes outside of it have their first
            values. They are all there are where the group is small enough to be listed.
        """
        rng = np.random.default_rng(0)
        columns = self._order(group)
        is_listed = self._is_listed(group)
        rows = np.zeros((1, len(self.space.choices)), self.space.row_type)
        for i, column in enumerate(columns):
            rows = self._with_every_value(rows, column)
            missing = columns[i + 1 :]
            if look_ahead:
                rows = rows[self._can_be_completed(group, rows, missing, rng)]
            rows = rows[self._keeps_decided(group, rows, missing)]
            if not is_listed and len(rows) > MOST_GROWN:
                rows = rows[rng.choice(len(rows), MOST_GROWN, replace=False)]
        rows = self.space.canonical_rows(rows)
        return rows[self._all_kept(group.expressions, rows)]

    def _with_every_value(self, rows: Rows, column: int) -> Rows:
        """(n * values, d) each row (n, d) once with every value of a gene."""
        n_values = len(self.space.choices[column].values)
        repeated = np.repeat(rows, n_values, axis=0)
        repeated[:, column] = np.tile(np.arange(n_values), len(rows))
        return repeated

    def _order(self, group: Group) -> list[int]:
        """The columns of a group, those of the constraints with fewest genes first: they are decided soonest."""
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
        """Tell whether each constraint of a group can still be kept when the missing genes get values.

        Some completions are tried: all missing genes at their least values, all at their greatest, and random ones. The first
        two decide a constraint that only grows, or only falls, with all of them.

        Args:
            group: Its constraints.
            rows: (n, d) rows in which some of its genes have no value yet.
            missing: Columns of the genes without a value.
            rng: Draws random completions.

        Returns:
            (n,) True where every constraint holds in some completion, though not all in the same one.
        """
        if not len(rows):
            return np.zeros(0, bool)
        can_be_kept = np.ones(len(rows), bool)
        filled_in = list(completions(self.space, rows, missing, rng))
        for expression in group.expressions:
            holds = [self._keeps(expression, completed) for completed in filled_in]
            can_be_kept &= np.logical_or.reduce(holds)
        return can_be_kept

    def _keeps_decided(
        self,
        group: Group,
        rows: Rows,
        missing: Sequence[int],
    ) -> Mask:
        """(n,) whether rows keep all constraints of which no gene is missing."""
        decided = []
        for expression in group.expressions:
            if self._scope(expression).isdisjoint(missing):
                decided.append(expression)
        return self._all_kept(decided, self.space.canonical_rows(rows))

    def _all_kept(self, expressions: Iterable[Expression], rows: Rows) -> Mask:
        """(n,) whether canonical rows keep all of these constraints."""
        kept = np.ones(len(rows), bool)
        for expression in expressions:
            kept &= self._keeps(expression, rows)
        return kept

    # ---- repair -------------------------------------------------------------------------------------

    def repaired(self, rows: Rows, held: Sequence[int] = ()) -> Rows:
        """Repairs rows that break a constraint: its group's genes take the nearest allowed combination.

        Args:
            rows: (n, d) canonical rows.
            held: Columns that may not be changed.

        Returns:
            (n, d) canonical rows. A row that cannot be repaired without changing held columns stays as
            it is.
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
        """Find the allowed combination of a group that is nearest to a row's.

        Args:
            number: Position of the group in `groups`.
            row: (k,) the indices of the values that a row has for the k genes of the group.
            held: Columns whose values must stay.

        Returns:
            (k,) indices of values; None where no allowed combination has the held values.
        """
        columns = self.groups[number].columns
        table = self.table(number)
        for i, column in enumerate(columns):
            if column in held:
                table = table[table[:, i] == row[i]]
        if not len(table):
            return None
        if len(table) > MOST_GROWN:
            # Drawn by the row itself, so that equal rows are repaired alike
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
        """(m,) distances between values of a gene, given as indices (m,), and another value.

        Args:
            column: Column of the gene.
            indices: (m,) indices of values, perhaps INACTIVE_INDEX.
            index: The index of the other value.

        Returns:
            (m,) of an ordered gene the steps between them, where 1 is from the first value to the last; of
            another gene 0 for equal values, else 1. 0 where the gene is inactive.
        """
        choice = self.space.choices[column]
        if choice.ordered:
            steps = np.abs(indices - index) / max(len(choice.values) - 1, 1)
        else:
            steps = (indices != index).astype(float)
        return np.where(indices == INACTIVE_INDEX, 0.0, steps)

    @property
    def share(self) -> float:
        """The share of allowed combinations among all: the product over groups; one that is not listed counts as 1."""
        share = 1.0
        for number, group in enumerate(self.groups):
            if self._is_listed(group):
                allowed = len(self.table(number))
                share *= min(1.0, allowed / self._combinations(group))
        return share
