"""What more evaluations would bring: the hypervolume gained so far, carried on.

The gain of the t-th evaluation of the search proper is taken as random with mean a t^-b: most evaluations gain nothing, a
few much, and ever less. a and b are weighed by the quasi-likelihood of a variable whose spread is proportional to its mean
(McCullagh and Nelder 1989, "Generalized linear models", chapter 9: the gamma family with a log link, for which a gain of 0
is no trouble); the range comes from drawing how many gains follow and how large they are. ``benchmarks/forecast.py``
measures how often it holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import GrowingFront
from cimbo.problem.units import is_amount
from cimbo.storage import Record

Array = NDArray[np.float64]
LOOKAHEAD_EVALUATIONS = 50  # evaluations looked ahead
MIN_GAINS = 20  # evaluations of the search proper before there is anything to carry on
DECAY_PRIOR_WEIGHT = 1.0  # weight, in gains seen, of the belief that the decay b is near 1
SLOWEST_DECAY, FASTEST_DECAY = 0.0, 4.0  # b
N_DECAYS = 81  # values of b that are weighed
MAX_SIZE_VARIATION = 5.0  # largest squared coefficient of variation of the sizes
LAW_LOG_STD = 0.7  # that the law is a power: spread of the logarithm of the sum
N_DRAWS = 4000
PERCENTAGES = frozenset({"accuracy", "accuracy_test", "accuracy_exact"})  # metrics of at most 100


@dataclass(frozen=True)
class Forecast:
    """Hypervolume now, and what ``more`` evaluations are expected to add, with a range that should hold nine times in ten.

    Examples:
        >>> from cimbo import Forecast
        >>> Forecast(volume=2.0, more=50, expected=0.02, low=0.0, high=0.1).share
        0.01
    """

    volume: float
    more: int
    expected: float
    low: float
    high: float

    @property
    def share(self) -> float:
        """The expected gain as a share of the hypervolume."""
        if self.volume > 0:
            return self.expected / self.volume
        return math.inf

    def __str__(self) -> str:
        return (
            f"hypervolume {self.volume:.6g}; {self.more} more evaluations are expected to add {self.expected:.3g} "
            f"({100 * self.share:.2g} %; 90 % range {self.low:.3g} to {self.high:.3g})"
        )


def ahead(
    problem: Problem, records: Sequence[Record], more: int = LOOKAHEAD_EVALUATIONS
) -> Forecast | None:
    """Forecast what more evaluations would bring to a study.

    The search proper begins with the first design that a model proposed.

    Args:
        problem: What the study searches.
        records: Its log, in the order of recording.
        more: Evaluations looked ahead.

    Returns:
        The forecast. None without a reference for each objective, while fewer than MIN_GAINS
        designs came after the sample it began with, and where nothing has a hypervolume yet. No
        more is forecast than accuracies of 100 % and costs of 0 would add.
    """
    if problem.reference() is None:
        return None
    origins = [record.origin for record in records]
    start = len(records)
    if "proposed" in origins:
        start = origins.index("proposed")
    found = forecast(curve(problem, records), start, more)
    most = _largest_hypervolume(problem)
    if found is None or most is None or found.volume > most:
        return found
    left = most - found.volume
    return replace(
        found,
        expected=min(found.expected, left),
        low=min(found.low, left),
        high=min(found.high, left),
    )


def _largest_hypervolume(problem: Problem) -> float | None:
    """The volume between the references and values that nothing exceeds; None where an objective has no such value."""
    volume = 1.0
    for objective in problem.objectives:
        assert objective.reference is not None
        if objective.goal == "min" and is_amount(objective.name):
            volume *= max(objective.reference, 0.0)
        elif objective.goal == "max" and objective.name in PERCENTAGES:
            volume *= max(100.0 - objective.reference, 0.0)
        else:
            return None
    return volume


def curve(problem: Problem, records: Sequence[Record]) -> list[float]:
    """Follow the hypervolume of a study through its log.

    Evaluations that failed or break a constraint leave it as it is.

    Args:
        problem: What the study searches; it needs a reference for each objective.
        records: Its log, in the order of recording.

    Returns:
        Hypervolume after each evaluation, (n,), in the product of the objectives' units.
    """
    reference = problem.reference()
    assert reference is not None
    front = GrowingFront(reference)
    volumes = []
    for record in records:
        if record.status == "done" and problem.feasible(record.metrics):
            front.add(problem.scores([record.metrics]))
        volumes.append(front.hypervolume)
    return volumes


def forecast(
    volumes: Sequence[float], start: int, more: int = LOOKAHEAD_EVALUATIONS
) -> Forecast | None:
    """Forecast what more evaluations would add to the hypervolume of a search.

    Args:
        volumes: Hypervolume after each evaluation so far, (n,).
        start: Evaluations before the search proper, those of the sample it began with.
        more: Evaluations looked ahead.

    Returns:
        The forecast; None where fewer than MIN_GAINS evaluations came after the sample, or nothing
        has a hypervolume yet.
    """
    gains = np.diff(np.asarray(volumes, float)[max(start - 1, 0) :])
    if len(gains) < MIN_GAINS or volumes[-1] <= 0:
        return None
    volume = float(volumes[-1])
    if gains.sum() <= 0:
        return Forecast(volume, more, 0.0, 0.0, _most_of_none(volumes, len(gains), more))
    t = np.arange(1.0, len(gains) + 1)
    future = np.arange(len(gains) + 1.0, len(gains) + more + 1)
    decays = _Decays.of(t, gains)
    expected = 0.0
    for b, weight in zip(decays.values, decays.weights, strict=True):
        level = np.mean(gains * t**b)
        expected += weight * float(level * (future**-b).sum())
    low, high = np.quantile(_draws(t, gains, decays, future), [0.05, 0.95])
    return Forecast(
        volume=volume,
        more=more,
        expected=float(expected),
        low=min(float(low), expected),
        high=max(float(high), expected),
    )


def _most_of_none(volumes: Sequence[float], n: int, more: int) -> float:
    """The most that may be gained where none of the last ``n`` evaluations gained anything.

    By the rule of three, of what did not happen in n trials at most 3 happen in n more; each gain is as those before.

    Returns:
        The gain in hypervolume.
    """
    n_gains = int((np.diff(volumes, prepend=0.0) > 0).sum())
    size = volumes[-1] / max(n_gains, 1)
    return 3 * more / n * size


@dataclass(frozen=True)
class _Decays:
    """What the decay b may be, ``values``, and how probable each is, ``weights``."""

    values: Array
    weights: Array

    @classmethod
    def of(cls, t: Array, gains: Array) -> _Decays:
        """Weigh decays by the gains (n,) of the t-th evaluations; for each the best level a is in closed form."""
        decays = np.linspace(SLOWEST_DECAY, FASTEST_DECAY, N_DECAYS)
        mean_log_t = float(np.log(t).mean())
        losses = np.array([math.log(np.mean(gains * t**b)) - b * mean_log_t for b in decays])
        # Evaluations that gained nothing say little about the decay: the number of gains
        # decides.
        n_gains = float((gains > 0).sum())
        prior = 0.5 * DECAY_PRIOR_WEIGHT * (decays - 1.0) ** 2
        loss = losses * n_gains + prior
        weights = np.exp(loss.min() - loss)
        return cls(decays, weights / weights.sum())


def _draws(
    t: Array,
    gains: Array,
    decays: _Decays,
    future: Array,
) -> Array:
    """(N_DRAWS,) sums of gains to come: how many there will be, how large and how fast they shrink are all unknown."""
    rng = np.random.default_rng(0)
    # Gains become both rarer and smaller, each with half of the decay.
    half = rng.choice(decays.values, N_DRAWS, p=decays.weights)[:, None] / 2
    happened = gains > 0
    n_gains = int(happened.sum())
    rate = rng.gamma(n_gains + 0.5, 1.0, N_DRAWS)
    number = rng.poisson(rate * (future**-half).sum(1) / (t**-half).sum(1))
    # Sizes as gamma variables, as uneven as those seen and at least as an exponential; their mean is known from so many.
    sizes = gains[happened] * t[happened] ** half
    variation = sizes.var(1) / sizes.mean(1) ** 2
    shape = 1.0 / np.clip(variation, 1.0, MAX_SIZE_VARIATION)
    mean = sizes.mean(1) * n_gains * shape / rng.gamma(n_gains * shape + 0.5)
    sums = rng.gamma(np.maximum(number * shape, 1e-9)) / shape
    total = sums * mean * (future**-half).mean(1)
    off_the_law = np.exp(LAW_LOG_STD * rng.standard_normal(N_DRAWS))
    return np.where(number > 0, total * off_the_law, 0.0)
