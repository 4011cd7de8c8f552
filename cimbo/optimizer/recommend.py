"""Which designs to evaluate next.

In: the log of evaluations, as rows of the space with what they measured, and the seed. Out: candidates in order of choice.
Everything is a function of these two. Step by step:

1. While fewer than ``Search.initial`` designs are known: the next designs of a scrambled Sobol sequence
   (:mod:`cimbo.optimizer.exploration`).
2. A surrogate for each metric that is not analytic, fitted to the log (:mod:`cimbo.optimizer.surrogates`), and, where designs
   failed, the chance that one succeeds (:mod:`cimbo.optimizer.failures`), which counts as one more constraint.
3. A pool of unseen candidates: an evolutionary search over the posterior mean and one over an upper confidence bound, both
   started from mutants of the evaluated front; those mutants; and a few random designs (:mod:`cimbo.optimizer.evolution`).
4. Joint samples of the posterior, drawn once over the best evaluated designs, those under way, and the pool.
5. A list of the pool's points of largest expected hypervolume improvement (:mod:`cimbo.optimizer.screening`).
6. A greedy batch of that list by qLogNEHVI (:mod:`cimbo.optimizer.acquisition`).
7. Where a surrogate does not predict yet, half of the batch is random instead.

What was tried and measured on the way is in ``docs/design/proposals.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cimbo.optimizer import evolution, surrogates
from cimbo.optimizer.believed import believed
from cimbo.optimizer.exploration import random_exploration, sobol_candidates, unseen_rows
from cimbo.optimizer.failures import FailureModel
from cimbo.optimizer.posterior import ScoreModel
from cimbo.optimizer.screening import prune_baseline, screen
from cimbo.optimizer.search_state import Proposal as Proposal
from cimbo.optimizer.search_state import Search as Search
from cimbo.optimizer.search_state import State as State
from cimbo.optimizer.surrogates import Surrogate
from cimbo.optimizer.threads import one_thread
from cimbo.problem.space import Rows

Array = NDArray[np.float64]
# Joint posterior samples, by the number of objectives; 10 for more than three
N_POSTERIOR_SAMPLES = {1: 64, 2: 64, 3: 32}
# Population of the evolutionary search, by the number of objectives; 250 for more, where fronts
# are surfaces.
POPULATION_SIZE = {1: 100, 2: 100}
# The screening has two rounds for each design of a batch; so many candidates of each round reach
# the acquisition.
N_PER_ROUND = 4
N_BASELINE = 200  # evaluated designs whose posterior is drawn
N_MUTANTS = 100
N_RANDOM = 50
UCB_BETA = 1.3
MIN_MEASURED = 3  # designs with every metric, before a surrogate is fitted


def recommend(
    search: Search,
    state: State,
    n: int,
    *,
    seed: int,
) -> Proposal:
    """Choose new designs to evaluate.

    Args:
        search: Problem, surrogates and limits.
        state: The log.
        n: How many; fewer come back only where the space has no more.
        seed: Equal logs and seeds give equal proposals, whatever the number of threads.

    Returns:
        Candidates in order of choice, with what the surrogates expect of them.
    """
    n_started = len(state.seen)  # evaluated, failed or under way
    if n_started < search.initial:
        return Proposal(sobol_candidates(search, state, min(n, search.initial - n_started), seed))
    complete = _Complete.of(search, state)
    if len(complete.metrics) < MIN_MEASURED:
        return Proposal(sobol_candidates(search, state, n, seed))
    with one_thread():
        fitted = fit_surrogates(search, state, seed=seed)
        failed = state.rows[[metrics is None for metrics in state.metrics]]
        failures = FailureModel.of(search.problem.space, failed, complete.rows)
        metrics = believed(search.problem.space, complete.rows, complete.metrics, fitted)
        model = ScoreModel(search.problem, fitted, complete.rows, metrics, search.about, failures)
        return _by_model(search, model, state, n, np.random.default_rng([seed, n_started]))


@dataclass(frozen=True)
class _Complete:
    """The evaluated designs of which every metric that the search needs was measured.

    Attributes:
        rows: (k, d) canonical rows of these designs.
        metrics: What each of them measured.
        is_complete: (n,) for each evaluated design of the log whether it is one of them.
    """

    rows: Rows
    metrics: list[Mapping[str, float]]
    is_complete: NDArray[np.bool_]

    @classmethod
    def of(cls, search: Search, state: State) -> _Complete:
        """Pick the complete designs out of a log."""
        needed = surrogates.targets(search.problem)
        is_complete = np.zeros(len(state.metrics), bool)
        metrics = []
        for i, measured in enumerate(state.metrics):
            if measured is not None and all(name in measured for name in needed):
                is_complete[i] = True
                metrics.append(measured)
        return cls(state.rows[is_complete], metrics, is_complete)


def fit_surrogates(
    search: Search,
    state: State,
    *,
    seed: int,
) -> dict[str, Surrogate]:
    """Fit the surrogates that candidates are chosen by, to all designs with every metric.

    Args:
        search: Problem and surrogates.
        state: The log.
        seed: Seed of the fits.

    Returns:
        Metric to surrogate, for each metric that the search needs; empty where fewer than
        ``MIN_MEASURED`` designs have every metric.
    """
    complete = _Complete.of(search, state)
    if len(complete.metrics) < MIN_MEASURED:
        return {}
    noise = {metric: stds[complete.is_complete] for metric, stds in state.noise.items()}
    with one_thread():
        return surrogates.fit(
            search.problem,
            complete.rows,
            complete.metrics,
            search.factory,
            seed=seed,
            noise=noise,
        )


def _by_model(
    search: Search,
    model: ScoreModel,
    state: State,
    n: int,
    rng: np.random.Generator,
) -> Proposal:
    """Choose a batch by the acquisition; where a surrogate does not predict yet, half of it is random."""
    untrusted = [name for name, surrogate in model.fitted.items() if not surrogate.trusted]
    n_random = 0
    if untrusted:
        n_random = n // 2
    chosen = _acquire(search, model, state, n - n_random, rng)
    # Random designs fill the batch where the acquisition found too few, too
    with_chosen = replace(state, pending=np.concatenate([state.pending, chosen]))
    explored = random_exploration(search, with_chosen, n - len(chosen), rng)
    candidates = [model.predicted(row, "proposed") for row in chosen]
    candidates += [model.predicted(row, "explored") for row in explored]
    explore = f"{n_random} of {n} candidates explore"
    notes = [f"surrogate of {name} does not predict yet: {explore}" for name in untrusted]
    return Proposal(candidates, model.fitted, notes)


# ---- pool and choice ------------------------------------------------------------------------------------------------


def _acquire(
    search: Search,
    model: ScoreModel,
    state: State,
    n: int,
    rng: np.random.Generator,
) -> Rows:
    """At most ``n`` rows (n, d) of the pool, chosen greedily by qLogNEHVI."""
    from cimbo.optimizer import acquisition  # imports torch

    pool = _pool(search, model, state, rng)
    if not len(pool) or n < 1:
        return pool[:0]
    samples = _Samples.of(model, state.pending, pool, int(rng.integers(2**31)))
    baseline = _baseline(search, samples)
    reference = model.reference()
    if search.preferred:
        # The choice alone looks at the preferred part. Candidates for the whole front find out how far it
        # reaches, which is what the weights are compared on.
        reference = replace(model, about=search.preferred).reference()
    screened = screen(
        samples.scores[:, baseline],
        samples.scores[:, samples.first_of_pool :],
        samples.is_feasible()[:, samples.first_of_pool :],
        reference,
        rounds=2 * n,
        each=N_PER_ROUND,
    )
    # The acquisition sees the baseline and the screened points of the pool alone
    kept = np.concatenate([baseline, samples.first_of_pool + np.array(screened, np.intp)])
    table = acquisition.PosteriorSamples(
        samples.scores[:, kept], samples.violations[:, kept], len(baseline)
    )
    chosen = acquisition.choose(table, reference, n)
    return pool[[screened[i] for i in chosen]]


@dataclass(frozen=True)
class _Samples:
    """Joint posterior samples at three kinds of points: the best evaluated designs, those under way, and the pool.

    Attributes:
        evaluated: (k, d) rows of the best evaluated designs, which are the first k points.
        scores: (samples, points, objectives) scores to be maximised.
        violations: (samples, points, constraints) at most 0 where a constraint is kept.
        first_of_pool: Position of the first point of the pool.
    """

    evaluated: Rows
    scores: Array
    violations: Array
    first_of_pool: int

    @classmethod
    def of(
        cls,
        model: ScoreModel,
        pending: Rows,
        pool: Rows,
        seed: int,
    ) -> _Samples:
        """Draw the samples.

        Args:
            model: The surrogates as scores and violations.
            pending: (p, d) rows of the designs under way.
            pool: (n, d) rows of the pool.
            seed: Seed of the samples.

        Returns:
            The samples. By how much evaluated designs break constraints, and that they did not fail,
            is known and not drawn.
        """
        best = model.best(N_BASELINE)
        evaluated = model.rows[best]
        points = np.concatenate([evaluated, pending, pool])
        n_samples = N_POSTERIOR_SAMPLES.get(len(model.problem.objectives), 10)
        scores, violations = model.draw(points, n_samples, seed)
        _, measured = model.observed()
        violations = np.array(violations)
        violations[:, : len(best)] = measured[best]
        if model.failures is not None:
            of_failing = model.failures.draw(points, n_samples, seed)
            of_failing[:, : len(best)] = -1.0  # the evaluated designs did not fail
            violations = np.concatenate([violations, of_failing[..., None]], -1)
        return cls(evaluated, scores, violations, len(best) + len(pending))

    def is_feasible(self) -> NDArray[np.bool_]:
        """(s, points) whether a sample keeps every constraint."""
        return np.asarray((self.violations <= 0).all(-1))


def _baseline(search: Search, samples: _Samples) -> NDArray[np.intp]:
    """Positions of the points that new ones are to improve on: the evaluated front, and all points under way."""
    n_evaluated = len(samples.evaluated)
    # Designs that the fixed genes exclude teach the surrogates, but need not be improved on. Evaluated
    # designs are feasible in all samples or in none, so that the first one tells.
    may_be_baseline = samples.is_feasible()[0, :n_evaluated] & search.keeps(samples.evaluated)
    on_front = np.flatnonzero(prune_baseline(samples.scores[:, :n_evaluated], may_be_baseline))
    return np.concatenate([on_front, np.arange(n_evaluated, samples.first_of_pool)])


def _pool(
    search: Search,
    model: ScoreModel,
    state: State,
    rng: np.random.Generator,
) -> Rows:
    """Unseen candidates (k, d): two evolutionary searches, mutants of the evaluated front and a few random designs."""
    space = model.problem.space
    n_front = min(max(10, len(model.rows) // 4), N_MUTANTS)
    front = model.rows[model.best(n_front)]
    parents = front[rng.integers(0, len(front), N_MUTANTS)]
    mutants = search.pin(evolution.mutate(space, parents, rng))
    evolved = _evolved(search, model, np.concatenate([front, mutants]), rng)
    random_rows = search.pin(space.random_rows(N_RANDOM, rng))
    rows = unseen_rows(search, state, np.concatenate([*evolved, mutants, random_rows]))
    allowed = model.allowed(rows)
    if allowed.any():
        return rows[allowed]
    return rows  # where no candidate can keep the constraints, those nearest to it are better than none


def _evolved(
    search: Search,
    model: ScoreModel,
    seeds: Rows,
    rng: np.random.Generator,
) -> list[Rows]:
    """Last populations (p, d) of two evolutionary searches from seeds (k, d): over the mean, and over an upper bound."""
    effort = search.effort
    if effort is None:
        effort = evolution.Effort(POPULATION_SIZE.get(len(model.problem.objectives), 250))
    populations = []
    for beta in (0.0, UCB_BETA):
        population = evolution.search(
            model.problem.space,
            model.score(beta),
            seeds,
            rng=rng,
            effort=effort,
            pin=search.pin,
        )
        populations.append(population)
    return populations
