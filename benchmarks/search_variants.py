"""Searches with one choice made otherwise, on generated problems, paired with the search as it is.

``ablation.py`` and ``search_trials.py`` share this: what a variant is, how it is run, and how differences are summed up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from cimbo.benchmarking.generated import COST_METRICS, GeneratedProblem
from cimbo.optimizer.evolution import Effort
from cimbo.optimizer.recommend import Search, State, recommend
from cimbo.optimizer.surrogates import SurrogateFactory, View
from cimbo.problem.objectives import Problem
from cimbo.problem.space import Params, Rows

Array = NDArray[np.float64]
UNCHANGED = "as it is"
CONFIDENCE = 0.95
EARLY_END = 30
AT = (10, 25, 30, 40, 50, 60, 75, 100, 125, 150)  # evaluations after which the share is recorded
#: problem -> variant -> seed -> shares by number of evaluations, and seconds
Runs = dict[str, dict[str, dict[str, dict[str, Any]]]]


class Subject(Protocol):
    """A problem to search: a generated one, or one made by hand (``hand_made.py``)."""

    @property
    def problem(self) -> Problem:
        """Space and objectives."""
        ...

    def true_metrics(self, rows: Rows) -> dict[str, Array]:
        """Compute each objective (n,) of canonical rows (n, d), without noise."""
        ...

    def measure(self, designs: list[Params]) -> list[dict[str, float]]:
        """Evaluate designs."""
        ...

    def share(self, designs: Sequence[Params]) -> float:
        """Divide the true hypervolume of designs by the largest known."""
        ...


@dataclass(frozen=True)
class Variant:
    """The search with a choice made otherwise.

    Attributes:
        kind: Of the surrogates.
        batch: Designs chosen at a time.
        early_batch: The same, while fewer than EARLY_END designs are evaluated; as ``batch`` when None.
        effort: Of the search for candidates; None as it is.
        patches: What nobody can configure: where it stands, and what takes its place.
        n_initial: Designs before the first surrogate.
        known: Metrics that are computed, without noise.
        has_roles: Surrogates of costs also see what roles of the chip's genes say.
        given: From a problem to views and mean functions by metric; None for nothing of the kind.
    """

    kind: str = "auto"
    batch: int = 5
    early_batch: int | None = None
    effort: Effort | None = None
    patches: tuple[tuple[str, Any], ...] = ()
    n_initial: int = 10
    known: tuple[str, ...] = ()
    has_roles: bool = False
    given: Callable[[GeneratedProblem], tuple[dict[str, View], dict[str, Any]]] | None = None

    def batch_after(self, n: int) -> int:
        """Count the designs to choose once ``n`` are evaluated."""
        if self.early_batch is not None and n < EARLY_END:
            return min(self.early_batch, EARLY_END - n)
        return self.batch

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Make the choices that nobody can configure otherwise."""
        with ExitStack() as changed:
            for place, changed_value in self.patches:
                changed.enter_context(mock.patch(place, changed_value))
            yield

    def search(self, problem: Subject) -> Search:
        """Set up the search of a problem; of a generated one where chips have roles or anything is ``given``."""
        space = problem.problem.space

        def true_metric(metric: str, designs: list[Params]) -> Any:
            return problem.true_metrics(space.rows(designs))[metric]

        computed = {metric: partial(true_metric, metric) for metric in self.known}
        views = {}
        if self.has_roles:
            assert isinstance(problem, GeneratedProblem)
            views = _views_with_roles(problem)
        priors: dict[str, Any] = {}
        if self.given is not None:
            assert isinstance(problem, GeneratedProblem)
            views, priors = self.given(problem)
        factory = SurrogateFactory(space, self.kind, views, computed, priors)
        return Search(problem.problem, factory, self.n_initial, {}, self.effort)


def _views_with_roles(problem: GeneratedProblem) -> dict[str, View]:
    """For each cost of a problem a view with features by role, and the plain one to fall back on."""
    from roles import features_of_generated

    space = problem.problem.space

    def features(designs: list[Params]) -> Mapping[str, Array]:
        return features_of_generated(problem, space.rows(designs))

    view = View(features=features, plain=View())
    return {o.name: view for o in problem.objectives if o.name in COST_METRICS}


def run(
    problem: Subject,
    variant: Variant,
    budget: int,
    seed: int,
    first: Sequence[Params] = (),
) -> dict[str, Any]:
    """Search one problem.

    Args:
        problem: What is searched.
        variant: How.
        budget: How many evaluations.
        seed: Of the search.
        first: Designs that were evaluated before, which count as evaluations.

    Returns:
        ``shares`` by number of evaluations; CPU seconds an evaluation, ``overhead_s``; and ``rows``, what
        was evaluated, in order.
    """
    space = problem.problem.space
    designs: list[Params] = list(first)
    measured = problem.measure(designs)
    spent_s = 0.0
    with variant.applied():
        search = variant.search(problem)
        while len(designs) < budget:
            started = time.process_time()
            n = min(variant.batch_after(len(designs)), budget - len(designs))
            state = State.of(space, designs, measured)
            found = [c.params for c in recommend(search, state, n, seed=seed).candidates]
            spent_s += time.process_time() - started
            designs += found
            measured += problem.measure(found)
    at = sorted({n for n in AT if len(first) < n <= budget} | {budget})
    shares = {str(n): round(problem.share(designs[:n]), 4) for n in at}
    overhead_s = round(spent_s / max(budget - len(first), 1), 3)
    return {"shares": shares, "overhead_s": overhead_s, "rows": space.rows(designs).tolist()}


@dataclass(frozen=True)
class Task:
    """One search to make.

    Attributes:
        problem: Name of the problem.
        variant: Name of the variant.
        seed: Of the search.
    """

    problem: str
    variant: str
    seed: int


def tasks(problems: Sequence[str], variants: Sequence[str], seeds: Sequence[int]) -> Iterator[Task]:
    """List searches seed by seed, so that what is known at any time compares variants alike.

    Args:
        problems: Names of the problems.
        variants: Names of the variants.
        seeds: Seeds.

    Yields:
        The searches: for each seed and problem all variants.
    """
    for seed in seeds:
        for problem in problems:
            for variant in variants:
                yield Task(problem, variant, seed)


def paired(
    runs: Runs, variant: str, at: Mapping[str, int], base: Runs | None = None
) -> dict[str, list[float]]:
    """Pair a variant with the search as it is, by problem and seed.

    Args:
        runs: The variant's searches.
        variant: Its name.
        at: Problem to the number of evaluations after which shares are compared.
        base: The unchanged searches; among ``runs`` when None.

    Returns:
        Problem to the differences in share, one for each seed with which both searches were made.
    """
    gaps: dict[str, list[float]] = {}
    for problem, n in at.items():
        changed = runs.get(problem, {}).get(variant, {})
        unchanged = (base or runs).get(problem, {}).get(UNCHANGED, {})
        for seed in sorted(set(changed) & set(unchanged)):
            before, after = unchanged[seed]["shares"], changed[seed]["shares"]
            if str(n) in before and str(n) in after:
                gaps.setdefault(problem, []).append(after[str(n)] - before[str(n)])
    return gaps


def clustered_interval(gaps: Mapping[str, Sequence[float]]) -> float:
    """Half the width of the confidence interval of a mean difference, clustered by problem.

    Seeds of one problem are not independent samples of problems. So the differences of a problem are
    averaged first, and Student's t is taken over the problems.

    Args:
        gaps: Problem to differences.

    Returns:
        Half the width at ``CONFIDENCE``; infinite with fewer than two problems.
    """
    means = np.array([np.mean(each) for each in gaps.values()])
    n = len(means)
    if n < 2:
        return float("inf")
    quantile = float(student_t.ppf((1.0 + CONFIDENCE) / 2.0, n - 1))
    return quantile * float(means.std(ddof=1)) / n**0.5


def compared(gaps: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Sum up differences.

    Args:
        gaps: Problem to differences, one for each seed.

    Returns:
        The mean over problems of their mean ``difference``, half its ``interval``, how many ``pairs``
        there are and how many are ``better``, and the mean ``by_problem``.
    """
    by_problem = {problem: round(float(np.mean(each)), 3) for problem, each in gaps.items()}
    flat = [gap for each in gaps.values() for gap in each]
    return {
        "difference": round(float(np.mean([np.mean(each) for each in gaps.values()])), 3),
        "interval": round(clustered_interval(gaps), 3),
        "better": sum(gap > 0 for gap in flat),
        "equal": sum(gap == 0 for gap in flat),
        "pairs": len(flat),
        "by_problem": by_problem,
    }


def load(file: Path) -> dict[str, Any]:
    """Read what was recorded; without a file, nothing was."""
    if file.exists():
        return dict(json.loads(file.read_text()))
    return {"runs": {}}


def save(file: Path, document: Mapping[str, Any]) -> None:
    """Write what is recorded, whole or not at all."""
    written = file.with_suffix(".part")
    written.write_text(json.dumps(document, indent=1) + "\n")
    written.replace(file)
