"""Which designs to verify next.

The construction, and what it was chosen for (measured before the first line was written; see the design notes in
``benchmarks``): surrogates on canonical genes, costs on a log scale, a metric that can be computed never modelled;
candidates from an evolutionary search over the posterior mean and over an optimistic bound, started from mutants of the
verified front; the posterior drawn once over the verified front and the pool; a greedy batch by qLogNEHVI. Maximising the
acquisition itself by evolution was ten times slower and no better.

Everything is a function of the log of evaluations and the seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo import evolve, surrogates
from cimbo.objectives import Candidate, Constraint, Problem, candidate
from cimbo.pareto import dominated_by, non_dominated
from cimbo.space import Params, Rows
from cimbo.surrogates import Computed, Surrogate, Teaching

Array = NDArray[np.float64]
SAMPLES = 64
POOL = 96  # candidates that reach the acquisition
MUTANTS = 100
STRANGERS = 50
OPTIMISM = 1.5


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
    """How to search: ``initial`` Sobol designs come first; ``fixed`` genes keep their value."""

    problem: Problem
    teaching: Teaching
    initial: int = 20
    fixed: Mapping[str, Any] = field(default_factory=dict)
    effort: evolve.Effort = field(default_factory=evolve.Effort)

    def pin(self, rows: Rows) -> Rows:
        """Rows with the fixed genes at their value, canonical."""
        rows = np.array(rows, np.int16)
        for name, value in self.fixed.items():
            column = self.problem.space.column[name]
            rows[:, column] = self.problem.space.choices[column].index(value)
        return self.problem.space.canonical_rows(rows)


def propose(search: Search, state: State, n: int, *, seed: int) -> Proposal:
    """At most ``n`` new designs to evaluate; fewer only where the space has no more."""
    needed = surrogates.targets(search.problem)
    known = [i for i, m in enumerate(state.metrics) if m is not None and all(name in m for name in needed)]
    started = len(state.designs) + len(state.pending)
    if started < search.initial or len(known) < 3:
        return Proposal(_sobol(search, state, min(n, max(search.initial - started, 1)), seed))
    rng = np.random.default_rng([seed, started])
    rows = search.problem.space.rows([state.designs[i] for i in known])
    measured = [state.metrics[i] for i in known]
    fitted = surrogates.fit(search.problem, rows, measured, search.teaching, seed=seed)  # type: ignore[arg-type]
    guide = _Guide(search, fitted, rows, measured)  # type: ignore[arg-type]
    doubted = [name for name, s in fitted.items() if isinstance(s, surrogates.Learned) and not s.trusted]
    strangers = n // 2 if doubted else 0
    chosen = _acquire(guide, state, n - strangers, rng)
    notes = [f"surrogate of {name} does not predict yet: {strangers} of {n} candidates explore" for name in doubted]
    if len(chosen) < n:
        taken = State([*state.designs, *chosen], [*state.metrics, *[None] * len(chosen)], state.pending)
        explored = _strangers(search, taken, n - len(chosen), rng)
    else:
        explored = []
    picked = [_with_prediction(guide, d, "proposed") for d in chosen] + [
        candidate(search.problem.space, d, origin="explored") for d in explored
    ]
    return Proposal(picked, fitted, notes)


# ---- first designs --------------------------------------------------------------------------------------------------


def _sobol(search: Search, state: State, n: int, seed: int) -> list[Candidate]:
    """The next ``n`` designs of the study's Sobol sequence that keep the constraints that can be computed.

    The sequence is read further until there are enough; designs that break a constraint come only when there are not.
    """
    space, seen = search.problem.space, _keys(search, state)
    fresh: dict[str, Params] = {}
    for draw in (64 * 4**i for i in range(5)):
        designs = space.designs(search.pin(space.rows(space.sobol(draw, seed))))
        allowed = _known_violation(search, designs) <= 0
        ordered = [designs[i] for i in np.argsort(~allowed, kind="stable")]
        fresh = {key: d for d in ordered if (key := space.key(d)) not in seen}
        if len({space.key(d) for d in ordered[: allowed.sum()]} - seen) >= n or draw >= space.size:
            break
    return [candidate(space, d, origin="sobol") for d in list(fresh.values())[:n]]


def _known_violation(search: Search, designs: list[Params]) -> Array:
    total = np.zeros(len(designs))
    for c in search.problem.constraints:
        if c.metric in search.teaching.cheap and designs:
            total += np.maximum(c.violation(np.asarray(search.teaching.cheap[c.metric](designs), float)), 0)
    return total


def _strangers(search: Search, state: State, n: int, rng: np.random.Generator) -> list[Params]:
    """``n`` random designs that nobody has seen."""
    space, seen = search.problem.space, _keys(search, state)
    designs = space.designs(evolve.unique(search.pin(space.random_rows(64 * n, rng))))
    allowed = _known_violation(search, designs) <= 0
    ordered = [designs[i] for i in np.argsort(~allowed, kind="stable")]
    return [d for d in ordered if space.key(d) not in seen][:n]


def _keys(search: Search, state: State) -> set[str]:
    return {search.problem.space.key(d) for d in (*state.designs, *state.pending)}


# ---- the model's view -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Guide:
    """The surrogates as scores to be maximised and violations to be avoided, with what was measured."""

    search: Search
    fitted: Mapping[str, Surrogate]
    rows: Rows
    measured: Sequence[Mapping[str, float]]

    @property
    def problem(self) -> Problem:
        return self.search.problem

    def observed(self) -> tuple[Array, Array]:
        """Measured scores (n, m) in modelled units and violations (n, c)."""
        scores = [o.sign * self._modelled(o.name) for o in self.problem.objectives]
        return np.stack(scores, 1), self._stack(
            [self._violation(c, self._modelled(c.metric)) for c in self.problem.constraints]
        )

    def _stack(self, columns: list[Array]) -> Array:
        return np.stack(columns, 1) if columns else np.zeros((len(self.rows), 0))

    def _modelled(self, metric: str) -> Array:
        y = np.array([m[metric] for m in self.measured], float)
        return np.log(y) if self.fitted[metric].log else y

    def _violation(self, c: Constraint, values: Array) -> Array:
        """Violation of modelled ``values``, in units of the metric's spread so that several can be added."""
        log = self.fitted[c.metric].log
        bound = (math.log(c.bound) if c.bound > 0 else -math.inf) if log else c.bound
        sign = 1.0 if c.relation == "<=" else -1.0
        return sign * (values - bound) / (self._modelled(c.metric).std() or 1.0)

    def score(self, optimism: float) -> evolve.Score:
        """Objectives at mean + ``optimism`` standard deviations; constraints at the mean."""

        def score(rows: Rows) -> tuple[Array, Array]:
            inputs = self.search.teaching.encoder(rows)
            moments = {name: s.moments(inputs) for name, s in self.fitted.items()}
            values = [o.sign * moments[o.name][0] + optimism * moments[o.name][1] for o in self.problem.objectives]
            violation = np.zeros(len(rows))
            for c in self.problem.constraints:
                violation += np.maximum(self._violation(c, moments[c.metric][0]), 0)
            return np.stack(values, 1), violation

        return score

    def draw(self, rows: Rows, seed: int) -> tuple[Array, Array]:
        """Joint samples at ``rows`` (n, d): scores (s, n, m) and violations (s, n, c)."""
        inputs = self.search.teaching.encoder(rows)
        drawn = {name: s.samples(inputs, SAMPLES, seed + i) for i, (name, s) in enumerate(self.fitted.items())}
        scores = np.stack([o.sign * drawn[o.name] for o in self.problem.objectives], -1)
        violations = [self._violation(c, drawn[c.metric]) for c in self.problem.constraints]
        return scores, np.stack(violations, -1) if violations else np.zeros((*scores.shape[:2], 0))

    def reference(self) -> Array:
        """(m,) reference point in modelled units: the study's where it has one, else just below the observed front."""
        scores, violations = self.observed()
        feasible = scores[(violations <= 0).all(1)]
        front = (feasible if len(feasible) else scores)[non_dominated(feasible if len(feasible) else scores)]
        span = np.ptp(front, axis=0)
        inferred = front.min(0) - 0.1 * np.where(span > 0, span, np.maximum(np.abs(front.min(0)), 1.0))
        given = [
            inferred[i] if o.reference is None else self._modelled_reference(o.name, o.sign, o.reference, inferred[i])
            for i, o in enumerate(self.problem.objectives)
        ]
        return np.array(given)

    def _modelled_reference(self, name: str, sign: float, reference: float, inferred: float) -> float:
        if not self.fitted[name].log:
            return sign * reference
        return sign * math.log(reference) if reference > 0 else inferred


def _with_prediction(guide: _Guide, design: Params, origin: str) -> Candidate:
    inputs = guide.search.teaching.encoder(guide.problem.space.rows([design]))
    predicted = {}
    for name, s in guide.fitted.items():
        mean, std = (float(v[0]) for v in s.moments(inputs))
        # Natural units; of a log-normal the median and the standard deviation to first order.
        predicted[name] = (math.exp(mean), math.exp(mean) * std) if s.log else (mean, std)
    return candidate(guide.problem.space, design, origin=origin, predicted=predicted)


# ---- pool and choice ------------------------------------------------------------------------------------------------


def _acquire(guide: _Guide, state: State, n: int, rng: np.random.Generator) -> list[Params]:
    from cimbo import acquire  # imports torch

    pool = _pool(guide, state, rng)
    if not len(pool) or n < 1:
        return []
    space = guide.problem.space
    pending = space.rows(state.pending)
    scores, violations = guide.draw(np.concatenate([guide.rows, pending, pool]), int(rng.integers(2**31)))
    measured, first = len(guide.rows), len(guide.rows) + len(pending)
    violations = np.array(violations)
    violations[:, :measured] = guide.observed()[1]  # what was measured is known
    reference = guide.reference()
    kept = _worth_keeping(scores[:, :measured], violations[:, :measured])
    base = np.concatenate([np.flatnonzero(kept), np.arange(measured, first)])
    promise = _promise(scores, violations, base, first, reference)
    best = first + np.argsort(-promise, kind="stable")[: max(POOL, 4 * n)]
    points = np.concatenate([base, best])
    table = acquire.Table(scores[:, points], violations[:, points], len(base))
    chosen = acquire.choose(table, reference, n)
    return space.designs(pool[best[chosen] - first])


def _pool(guide: _Guide, state: State, rng: np.random.Generator) -> Rows:
    """Unseen candidates (k, d): two evolutionary searches, mutants of the verified front and a few random designs."""
    search, space = guide.search, guide.problem.space
    scores, violations = guide.observed()
    order = evolve.survivors(scores, np.maximum(violations, 0).sum(1), max(10, len(guide.rows) // 4))
    front = guide.rows[order]
    mutants = search.pin(evolve.mutate(space, front[rng.integers(0, len(front), MUTANTS)], rng))
    found = [
        evolve.search(
            space, guide.score(k), np.concatenate([front, mutants]), rng=rng, effort=search.effort, pin=search.pin
        )
        for k in (0.0, OPTIMISM)
    ]
    rows = evolve.unique(np.concatenate([*found, mutants, search.pin(space.random_rows(STRANGERS, rng))]))
    seen = {r.tobytes() for r in space.rows([*state.designs, *state.pending])}
    rows = rows[[r.tobytes() not in seen for r in rows]]
    allowed = _exactly_feasible(guide, rows)
    return rows[allowed] if allowed.any() else rows


def _exactly_feasible(guide: _Guide, rows: Rows) -> NDArray[np.bool_]:
    """(k,) False where a constraint that can be computed is violated."""
    allowed = np.ones(len(rows), bool)
    inputs = guide.search.teaching.encoder(rows)
    for c in guide.problem.constraints:
        s = guide.fitted[c.metric]
        if isinstance(s, Computed):
            allowed &= guide._violation(c, s.moments(inputs)[0]) <= 0
    return allowed


def _worth_keeping(scores: Array, violations: Array) -> NDArray[np.bool_]:
    """(n,) whether an evaluated point is feasible and non-dominated in any sample (s, n, m)."""
    feasible = (violations <= 0).all(-1).all(0)
    kept = np.zeros(scores.shape[1], bool)
    for sample in scores:
        among = sample[feasible]
        kept[np.flatnonzero(feasible)[~dominated_by(among, among).any(1)]] = True
    return kept


def _promise(scores: Array, violations: Array, base: NDArray[np.intp], first: int, reference: Array) -> Array:
    """(k,) cheap estimate of each pool point's expected hypervolume improvement, for choosing whom qLogNEHVI sees.

    Hypervolume is a mean over random directions of the best scalarised point (Zhang and Golovin 2020, "Random hypervolume
    scalarizations", lemma 5); its improvement is the mean of the improvements of the scalarised values.
    """
    m = scores.shape[-1]
    directions = np.abs(np.random.default_rng(0).standard_normal((32, m)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    spread = np.maximum(np.ptp(scores[:, base].mean(0), axis=0), 1e-9) if len(base) > 1 else np.ones(m)
    improvement = np.zeros(scores.shape[1] - first)
    feasible = (violations[:, first:] <= 0).all(-1)
    for direction in directions:
        value = ((scores - reference) / spread / direction).min(-1)
        best = value[:, base].max(1, keepdims=True) if len(base) else np.full((len(value), 1), value.min())
        gain = np.maximum(value[:, first:], 0) ** m - np.maximum(best, 0) ** m
        # Below the reference nothing counts; there the distance to it decides.
        gain = np.where(best < 0, value[:, first:] - best + gain, gain)
        improvement += (np.maximum(gain, 0) * feasible).mean(0)
    return improvement
