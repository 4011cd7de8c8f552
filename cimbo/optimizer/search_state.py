"""What a search is given, and what it proposes: the log as rows, how to search, and candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer import evolution
from cimbo.optimizer.surrogates import Surrogate, SurrogateFactory
from cimbo.problem.objectives import Candidate, Problem
from cimbo.problem.space import Params, Rows, SearchSpace


@dataclass(frozen=True)
class State:
    """The log as the search sees it.

    Attributes:
        rows: (n, d) canonical rows of the designs that were evaluated, in order.
        metrics: What each of them measured, None where the evaluation failed.
        pending: (p, d) canonical rows of the designs under way.
        noise: Of metrics whose measurements were repeated, the standard deviation (n,) of what stands in ``metrics``,
            in the metric's unit.
        left_out: (q, d) canonical rows of designs that are not proposed though nothing is known of them; None for none.
    """

    rows: Rows
    metrics: Sequence[Mapping[str, float] | None]
    pending: Rows
    noise: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    left_out: Rows | None = None

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        designs: Iterable[Params],
        metrics: Sequence[Mapping[str, float] | None],
        pending: Iterable[Params] = (),
    ) -> State:
        """Encode a log of designs.

        Args:
            space: The space that they are of.
            designs: The evaluated designs, in order.
            metrics: What each of them measured, None where the evaluation failed.
            pending: Designs under way.

        Returns:
            The log as rows, without noise.

        Raises:
            BadInput: For a design that is not of ``space``.
        """
        return cls(space.rows(designs), metrics, space.rows(pending))

    @property
    def seen(self) -> Rows:
        """(n + p, d) every design that need not be proposed again."""
        return np.concatenate([self.rows, self.pending])


@dataclass(frozen=True)
class Proposal:
    """What a search proposes.

    Attributes:
        candidates: The designs to evaluate, in order of choice.
        surrogates: Metric to the surrogate that they were chosen by; empty where no model chose.
        notes: Lines worth telling the user.
    """

    candidates: list[Candidate]
    surrogates: Mapping[str, Surrogate] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Search:
    """What to search, and how.

    Attributes:
        problem: Space, objectives and constraints.
        factory: What surrogates are made from.
        initial: How many Sobol designs come before the first surrogate.
        fixed: Gene to the value that it keeps.
        effort: Size of the evolutionary search for candidates; by the number of objectives when None.
        project: Maps rows (n, d) to rows that may be proposed, as those of networks that are measured already.
        about: Objective to value, of a point near which the front is wanted; empty for the whole front.
        preferred: Objective to value, of a point of the front near which a batch is chosen, from candidates for the whole
            front; empty where no part is preferred.
        projected: Columns that ``project`` may set.
        measured_elsewhere: (m, d) rows that the Sobol designs of the start leave out: priors know them.
    """

    problem: Problem
    factory: SurrogateFactory
    initial: int = 10
    fixed: Mapping[str, Any] = field(default_factory=dict)
    effort: evolution.Effort | None = None
    project: Callable[[Rows], Rows] = np.asarray
    about: Mapping[str, float] = field(default_factory=dict)
    preferred: Mapping[str, float] = field(default_factory=dict)
    projected: Sequence[int] = ()
    measured_elsewhere: Rows | None = None

    def pin(self, rows: Rows) -> Rows:
        """Turn rows into rows that may be proposed: projected, with fixed genes at their value, and canonical.

        Rows that then break a constraint between genes are repaired by changing the other genes, where
        that can be done.

        Args:
            rows: Rows, (n, d); they are not changed.

        Returns:
            Canonical rows, (n, d).
        """
        space = self.problem.space
        rows = space.with_values(self.project(rows), self.fixed)
        if not space.constraints:
            return rows
        fixed_columns = [space.column[name] for name in self.fixed]
        return space.known.repaired(rows, [*fixed_columns, *self.projected])

    def keeps(self, rows: Rows) -> NDArray[np.bool_]:
        """Tell which rows may be proposed as they are: ``pin`` would leave them unchanged.

        Args:
            rows: Canonical rows, (n, d).

        Returns:
            True for such rows, (n,): a fixed gene has its value, where the design has that gene at
            all.
        """
        kept: NDArray[np.bool_] = (self.pin(rows) == rows).all(1)
        return kept
