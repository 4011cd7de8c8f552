"""What a surrogate sees of a design: its genes, and features that are derived from them, encoded for the predictors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.optimizer.gene_groups import group_names
from cimbo.problem.space import Choice, Params, Rows, SearchSpace
from cimbo.problem.units import name_and_unit

Array = NDArray[np.float64]
AnalyticFunction = Callable[[list[Params]], Array]
"""A metric that can be computed: from a list of n designs, dicts of active genes, to its values (n,).

Examples:
    >>> import numpy as np
    >>> def latency_ms(designs):
    ...     return np.array([64 * design["depth"] / design["rows"] for design in designs])
    >>> float(latency_ms([{"depth": 2, "rows": 128}])[0])
    1.0
"""
#: From a list of n designs to features by name, each (n,): what is known of a design without measuring it, as its MACs.
Features = Callable[[list[Params]], Mapping[str, Array]]
Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


@runtime_checkable
class RowsFunction(Protocol[Answer_co]):
    """A function of designs that also takes them as rows of a space, which spares it a dictionary for each."""

    def __call__(self, designs: list[Params]) -> Answer_co:
        """Compute the answer for a list of n designs."""
        ...

    def of_rows(self, space: SearchSpace, rows: Rows) -> Answer_co:
        """Compute the same answer for designs that are given as rows.

        Args:
            space: The space of the rows.
            rows: Canonical rows, (n, d).

        Returns:
            The answer for the n designs.
        """
        ...


def of_rows(
    function: Callable[[list[Params]], Answer],
    space: SearchSpace,
    rows: Rows,
) -> Answer:
    """Call a function for rows: as rows where it takes them, else as designs.

    Args:
        function: A function of designs, perhaps a ``RowsFunction``.
        space: The space of the rows.
        rows: Canonical rows, (n, d).

    Returns:
        What the function returns.
    """
    if isinstance(function, RowsFunction):
        answer: Answer = function.of_rows(space, rows)
        return answer
    return function(space.designs(rows))


@dataclass(frozen=True)
class View:
    """What a metric depends on, which is all that its surrogate sees of a design.

    A surrogate that knows that the accuracy does not depend on the buffer learns it from fewer measurements.

    Attributes:
        genes: Names of the genes; all of them when None.
        features: Computes features from designs; none when None.
        plain: A view without some of the features. Of this view and the plain one, the one with the smaller held-out error
            is used; just this one when None.

    Examples:
        >>> from cimbo import OptimizerOptions, View
        >>> accuracy = View(genes=frozenset({"depth", "width"}))  # no gene of the chip changes it
        >>> OptimizerOptions(views={"accuracy": accuracy}).views["accuracy"].features is None
        True
    """

    genes: frozenset[str] | None = None
    features: Features | None = None
    plain: View | None = None

    def columns(self, space: SearchSpace) -> list[int]:
        """Find the columns of the genes in view.

        Args:
            space: The space whose rows have these columns.

        Returns:
            Indices of the columns, rising.
        """
        if self.genes is None:
            return list(range(len(space.names)))
        return [i for i, name in enumerate(space.names) if name in self.genes]

    def schema(
        self,
        space: SearchSpace,
        metric: str,
        *,
        log: bool,
    ) -> predictors.Schema:
        """Make the predictors' schema of the table that a surrogate of this view is fitted to.

        Args:
            space: The space of the designs.
            metric: Name of the target.
            log: Whether the target is modelled as its logarithm.

        Returns:
            The schema: genes in the space's order, then the derived features.
        """
        groups = group_names(space.architecture, space.hardware)
        features = []
        for column in self.columns(space):
            choice = space.choices[column]
            features.append(_feature(choice, groups[choice.name]))
        for name in self._feature_names(space):
            features.append(predictors.Feature(name, "numeric"))
        _, unit = name_and_unit(metric)
        return predictors.Schema(tuple(features), metric, unit, log)

    def _feature_names(self, space: SearchSpace) -> list[str]:
        """Names of the derived features, found by computing them for one design of the space."""
        if self.features is None:
            return []
        first = space.canonical_rows(np.zeros((1, len(space.choices)), space.row_type))
        return list(of_rows(self.features, space, first))


def _feature(gene: Choice, group: str) -> predictors.Feature:
    """Describe a gene to the predictors; ``group``: the genes that mean the same in other layers."""
    kind = "ordinal" if gene.ordered else "nominal"
    return predictors.Feature(gene.name, kind, gene.values, group)


@cache
def _codes(n: int, ordered: bool) -> Array:
    """(n + 1, width) the predictors' encoding of each index of a gene of ``n`` values; the last row is an inactive gene.

    It is the row that an INACTIVE_INDEX of -1 picks.

    Args:
        n: How many values the gene has.
        ordered: Whether they are ordered: rank / n instead of one-hot columns.

    Returns:
        (n + 1, width) encodings.
    """
    if ordered:
        active = np.arange(1.0, n + 1.0)[:, None] / n
    else:
        active = np.eye(n)
    inactive = np.zeros((1, active.shape[1]))
    return np.concatenate([active, inactive])


@dataclass(frozen=True)
class Inputs:
    """Designs as surrogates see them. What a view needs of them is computed once and kept.

    Attributes:
        space: The space of the designs.
        rows: (n, d) their canonical rows.
    """

    space: SearchSpace
    rows: Rows
    _derived: dict[Features, list[Array]] = field(default_factory=dict, repr=False)
    _tables: dict[View, Array] = field(default_factory=dict, repr=False)
    _encoded: dict[View, Array] = field(default_factory=dict, repr=False)

    def derived(self, view: View) -> list[Array]:
        """Compute the derived features of a view, or look them up.

        Args:
            view: What a metric depends on.

        Returns:
            A column (n,) for each feature; none where the view has no features.
        """
        if view.features is None:
            return []
        if view.features not in self._derived:
            features = of_rows(view.features, self.space, self.rows)
            self._derived[view.features] = list(features.values())
        return self._derived[view.features]

    def table(self, view: View) -> Array:
        """Build the predictors' table of a view, or look it up.

        Args:
            view: What a metric depends on.

        Returns:
            Values of genes, then derived features, (n, genes + features).
        """
        if view not in self._tables:
            genes = self.space.encode(self.rows)[:, view.columns(self.space)]
            self._tables[view] = np.column_stack([genes, *self.derived(view)])
        return self._tables[view]

    def encoded(self, view: View) -> Array:
        """Encode the table of a view, or look it up.

        It is ``view.schema(...).encode(table(view))`` without checks, which rows of the space do
        not need.

        Args:
            view: What a metric depends on.

        Returns:
            The encoded table, (n, k).
        """
        if view not in self._encoded:
            genes = map(self._gene_columns, view.columns(self.space))
            derived = map(np.nan_to_num, self.derived(view))
            self._encoded[view] = np.column_stack([*genes, *derived])
        return self._encoded[view]

    def _gene_columns(self, column: int) -> Array:
        """(n, width) a gene as the predictors encode it."""
        choice = self.space.choices[column]
        return _codes(len(choice.values), choice.ordered)[self.rows[:, column]]
