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
    """

    rows: Rows
    metrics: Sequence[Mapping[str, float] | None]
    pending: Rows
    noise: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

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
    """Candidates in order of choice, what fitted them, and lines worth telling the user."""

    candidates: list[Candidate]
    surrogates: Mapping[str, Surrogate] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Search:
    """How to search: ``initial`` Sobol designs come first; ``fixed`` genes keep their value.

    ``effort``: of the search for candidates; by the number of objectives when None.
    ``about``: values of a point that the front is wanted near.
    ``project`` maps rows to the only ones that may be proposed, such as chips for networks that are measured already; it
    sets the columns ``projected``.
    """

    problem: Problem
    factory: SurrogateFactory
    initial: int = 10
    fixed: Mapping[str, Any] = field(default_factory=dict)
    effort: evolution.Effort | None = None
    project: Callable[[Rows], Rows] = np.asarray
    about: Mapping[str, float] = field(default_factory=dict)
    projected: Sequence[int] = ()

    def pin(self, rows: Rows) -> Rows:
        """Turn rows into rows that may be proposed: with the fixed genes at their value, canonical.

        Those that break a constraint between genes are put right with the other genes, where that
        can be done.

        Args:
            rows: Rows, (n, d); they are not changed.

        Returns:
            Canonical rows, (n, d).
        """
        space = self.problem.space
        rows = space.with_values(self.project(rows), self.fixed)
        if not space.constraints:
            return rows
        held = [space.column[name] for name in self.fixed]
        return space.known.repaired(rows, [*held, *self.projected])

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
