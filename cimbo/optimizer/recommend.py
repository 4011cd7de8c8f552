"""Which designs to verify next.

Surrogates on canonical genes; candidates from an evolutionary search over the posterior mean and over an optimistic bound,
started from mutants of the verified front and kept above the reference; the posterior drawn once over front and candidates; a
greedy batch by qLogNEHVI among those that :mod:`cimbo.optimizer.screening` lists.

What led to it, as shares of the best hypervolume known. On joint problems of 53 and 54 genes, 200 evaluations, one to four
seeds, so that differences under .05 say nothing: costs on a log scale .80 (in milliseconds .60); candidates by evolution on
the posterior mean .80 (mutants of the front alone .72); batches of 5 .80 (of 10 .72); XGBoost as the only posterior .69, as a
member chosen by cross-validation neutral. Maximising the acquisition itself by evolution was ten times slower and no better.
On problems of 36 and 56 genes what limits the loop is what the surrogates know, not the search over them (with both objectives
known .985 after 100 evaluations of the 56 genes): a kernel that sees what layers do in total, after 50 and 100 evaluations,
two seeds, .56 and .79 (features of sums chosen by cross-validation .31 and .67, neither .47 after 100). Costs by sums of
products of powers whose exponents all layers share (:mod:`predictors.posynomial`), after 200, medians of five seeds: .96 (a
process alone .92) and .95 (.94); near the best front known their latency is off by a third to a half of what the process's is.
With them whatever their held-out error, only from 20 rows on, or with members that leave out a fold there was no difference
beyond that of seeds. Of what was tried before, over six to fourteen seeds: 10 designs before the first surrogate .81 (20:
.76); without gain were a start that leans to small and large networks, twice or three times the generations, a list twice as
long for the acquisition, the acquisition in natural units, the full or no widening of the posterior, hyper-parameters found
anew at every proposal, costs beyond the median compressed. With three objectives of 56 genes a population of 250 gave .97 and
.98 where 100 gave .97 and .95, costs computed, and .94, .91, .88 where 100 gave .87, .89, .89, costs learned.
``benchmarks/ablation.py`` changes one choice of today's loop at a time.

Everything is a function of the log of evaluations and the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer import evolution, surrogates
from cimbo.optimizer.posterior import ScoreModel
from cimbo.optimizer.screening import prune_baseline, screen
from cimbo.optimizer.surrogates import Surrogate, SurrogateFactory
from cimbo.problem.objectives import Candidate, Problem, candidate
from cimbo.problem.space import Params, Rows

Array = NDArray[np.float64]
N_POSTERIOR_SAMPLES = {1: 64, 2: 64, 3: 32}  # by the number of objectives, 10 beyond
# Beyond three objectives: points of the fronts that are decomposed into boxes, all samples together.
MAX_DECOMPOSED_POINTS = 200
POPULATION_SIZE = {
    1: 100,
    2: 100,
}  # of the search for candidates, by the number of objectives; 250 beyond: fronts are surfaces
N_PER_ROUND = (
    4  # candidates that reach the acquisition, for each of twice as many as it shall choose
)
N_BASELINE = 200  # evaluated designs whose posterior is drawn
N_MUTANTS = 100
N_RANDOM = 50
UCB_BETA = 1.3
ENUMERABLE_SIZE = 4096  # a space of at most so many designs can be gone through


@dataclass(frozen=True)
class State:
    """The log as the search sees it: designs evaluated (with metrics, None where failed) and those under way."""

    designs: Sequence[Params]
    metrics: Sequence[Mapping[str, float] | None]
    pending: Sequence[Params] = ()


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
    ``snap`` maps rows to the only ones that may be proposed, such as chips for networks that are measured already.
    """

    problem: Problem
    factory: SurrogateFactory
    initial: int = 10
    fixed: Mapping[str, Any] = field(default_factory=dict)
    effort: evolution.Effort | None = None
    snap: Callable[[Rows], Rows] = np.asarray

    def pin(self, rows: Rows) -> Rows:
        """Rows that may be proposed: with the fixed genes at their value, canonical."""
        rows = np.array(self.snap(rows), self.problem.space.row_type)
        for name, value in self.fixed.items():
            column = self.problem.space.column[name]
            rows[:, column] = self.problem.space.choices[column].index(value)
        return self.problem.space.canonical_rows(rows)

    def keeps(self, rows: Rows) -> NDArray[np.bool_]:
        """(n,) whether each row (n, d) has the fixed genes at their value, where it has them."""
        kept: NDArray[np.bool_] = (self.pin(rows) == rows).all(1)
        return kept


def recommend(search: Search, state: State, n: int, *, seed: int) -> Proposal:
    """At most ``n`` new designs to evaluate; fewer only where the space has no more."""
    needed = surrogates.targets(search.problem)
    known = [
        (d, m)
        for d, m in zip(state.designs, state.metrics, strict=True)
        if m and all(name in m for name in needed)
    ]
    started = len(state.designs) + len(state.pending)
    if started < search.initial or len(known) < 3:
        return Proposal(
            _sobol(
                search,
                state,
                min(n, search.initial - started) if started < search.initial else n,
                seed,
            )
        )
    rng = np.random.default_rng([seed, started])
    rows, measured = search.problem.space.rows([d for d, _ in known]), [m for _, m in known]
    fitted = surrogates.fit(search.problem, rows, measured, search.factory, seed=seed)
    guide = ScoreModel(search.problem, fitted, rows, measured)
    doubted = [name for name, s in fitted.items() if not s.trusted]
    n_random = n // 2 if doubted else 0
    chosen = [
        guide.predicted(d, "proposed") for d in _acquire(search, guide, state, n - n_random, rng)
    ]
    notes = [
        f"surrogate of {name} does not predict yet: {n_random} of {n} candidates explore"
        for name in doubted
    ]
    taken = State(state.designs, state.metrics, [*state.pending, *(c.params for c in chosen)])
    explored = _random_exploration(search, taken, n - len(chosen), rng)
    return Proposal(chosen + [guide.predicted(d, "explored") for d in explored], fitted, notes)


# ---- designs that no model chose ------------------------------------------------------------------------------------


def _sobol(search: Search, state: State, n: int, seed: int) -> list[Candidate]:
    """The next ``n`` designs of the study's Sobol sequence that keep the constraints that can be computed.

    The sequence is read further until there are enough; designs that break a constraint come only when there are not.
    """
    space = search.problem.space
    fresh: Rows = space.rows([])
    for draw in (64 * 4**i for i in range(5)):
        fresh = _unseen(search, state, search.pin(space.rows(space.sobol(draw, seed))))
        if _kept(search, fresh).sum() >= n or draw >= space.size:
            break
    first = np.argsort(~_kept(search, fresh), kind="stable")[:n]
    return [candidate(space, d, origin="sobol") for d in space.designs(fresh[first])]


def _random_exploration(
    search: Search, state: State, n: int, rng: np.random.Generator
) -> list[Params]:
    """``n`` random designs that nobody has seen; where random ones find none, the space is gone through."""
    if n < 1:
        return []
    space = search.problem.space
    fresh = _unseen(search, state, search.pin(space.random_rows(64 * n, rng)))
    if len(fresh) < n and space.size <= ENUMERABLE_SIZE:
        fresh = _unseen(search, state, search.pin(space.rows(space.sobol(ENUMERABLE_SIZE))))
    return space.designs(fresh[np.argsort(~_kept(search, fresh), kind="stable")[:n]])


def _unseen(search: Search, state: State, rows: Rows) -> Rows:
    """Different rows of designs that are neither evaluated nor under way."""
    seen = {r.tobytes() for r in search.problem.space.rows([*state.designs, *state.pending])}
    different = evolution.unique(rows)
    return different[[r.tobytes() not in seen for r in different]]


def _kept(search: Search, rows: Rows) -> NDArray[np.bool_]:
    """(n,) whether each design keeps the constraints that can be computed."""
    cheap, designs = search.factory.analytic, search.problem.space.designs(rows)
    kept = np.ones(len(rows), bool)
    for c in search.problem.constraints:
        if c.metric in cheap and designs:
            kept &= c.violation(np.asarray(cheap[c.metric](designs), float)) <= 0
    return kept


# ---- pool and choice ------------------------------------------------------------------------------------------------


def _acquire(
    search: Search, guide: ScoreModel, state: State, n: int, rng: np.random.Generator
) -> list[Params]:
    from cimbo.optimizer import acquisition  # imports torch

    pool = _pool(search, guide, state, rng)
    if not len(pool) or n < 1:
        return []
    space = guide.problem.space
    pending = space.rows(state.pending)
    drawn = N_POSTERIOR_SAMPLES.get(len(guide.problem.objectives), 10)
    near = guide.best(N_BASELINE)
    scores, violations = guide.draw(
        np.concatenate([guide.rows[near], pending, pool]), drawn, int(rng.integers(2**31))
    )
    measured, first = len(near), len(near) + len(pending)
    violations = np.array(violations)
    violations[:, :measured] = guide.observed()[1][near]  # what was measured is known
    reference = guide.reference()
    feasible = np.asarray((violations <= 0).all(-1))
    # Designs that the fixed genes exclude teach the surrogates, but are not what has to be improved on.
    asked = search.keeps(guide.rows[near])
    kept = prune_baseline(scores[:, :measured], feasible[0, :measured] & asked)
    base = np.concatenate([np.flatnonzero(kept), np.arange(measured, first)])
    listed = screen(
        scores[:, base],
        scores[:, first:],
        feasible[:, first:],
        reference,
        rounds=2 * n,
        each=N_PER_ROUND,
    )
    best = first + np.array(listed)
    points, kept_samples = np.concatenate([base, best]), _affordable(scores.shape[-1], len(base))
    table = acquisition.PosteriorSamples(
        scores[:kept_samples, points], violations[:kept_samples, points], len(base)
    )
    chosen = acquisition.choose(table, reference, n)
    return space.designs(pool[best[chosen] - first])


def _affordable(objectives: int, base: int) -> int:
    """How many samples BoTorch gets.

    With four objectives and more it decomposes each one's front into boxes, one sample after another, and that is nearly all
    of a proposal's time.
    """
    drawn = N_POSTERIOR_SAMPLES.get(objectives, 10)
    return (
        drawn if objectives <= 3 else int(np.clip(MAX_DECOMPOSED_POINTS // max(base, 1), 4, drawn))
    )


def _pool(search: Search, guide: ScoreModel, state: State, rng: np.random.Generator) -> Rows:
    """Unseen candidates (k, d): two evolutionary searches, mutants of the verified front and a few random designs."""
    space = guide.problem.space
    effort = search.effort or evolution.Effort(
        POPULATION_SIZE.get(len(guide.problem.objectives), 250)
    )
    front = guide.rows[guide.best(min(max(10, len(guide.rows) // 4), N_MUTANTS))]
    mutants = search.pin(
        evolution.mutate(space, front[rng.integers(0, len(front), N_MUTANTS)], rng)
    )
    found = [
        evolution.search(
            space,
            guide.score(k),
            np.concatenate([front, mutants]),
            rng=rng,
            effort=effort,
            pin=search.pin,
        )
        for k in (0.0, UCB_BETA)
    ]
    rows = _unseen(
        search,
        state,
        np.concatenate([*found, mutants, search.pin(space.random_rows(N_RANDOM, rng))]),
    )
    allowed = guide.allowed(rows)
    return rows[allowed] if allowed.any() else rows
