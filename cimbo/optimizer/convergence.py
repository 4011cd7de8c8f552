"""A forecast of what more evaluations would bring, by extrapolating the hypervolume gained so far.

The gain of the t-th evaluation of the search proper is taken as random with mean a t^-b: most
evaluations gain nothing, a few much, and ever less. a is the level and b the decay of the gains.
They are estimated by the quasi-likelihood of a variable whose spread is proportional to its mean
(McCullagh and Nelder 1989, "Generalized linear models", chapter 9: the gamma family with a log
link, for which a gain of 0 is no trouble); the range comes from drawing how many gains follow and
how large they are. ``benchmarks/forecast.py`` measures how often it holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cimbo.problem.fidelity import believed_in_full
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import GrowingFront
from cimbo.problem.units import is_amount
from cimbo.storage import Record

Array = NDArray[np.float64]
LOOKAHEAD_EVALUATIONS = 50  # evaluations looked ahead
MIN_GAINS = 20  # evaluations of the search proper that a forecast needs
DECAY_PRIOR_WEIGHT = (
    1.0  # weight, in gains seen, of the prior expectation that the decay b is near 1
)
SLOWEST_DECAY, FASTEST_DECAY = 0.0, 4.0  # b
N_DECAYS = 81  # values of b between them
MAX_SIZE_VARIATION = 5.0  # largest squared coefficient of variation of the gains' sizes
# Gains need not follow a power law: standard deviation of the logarithm of their sum around it
LAW_LOG_STD = 0.7
N_DRAWS = 4000  # random futures that the range is taken from
PERCENTAGES = frozenset({"accuracy", "accuracy_test", "accuracy_exact"})  # metrics of at most 100


@dataclass(frozen=True)
class Forecast:
    """What more evaluations of a search are expected to add to its hypervolume.

    Attributes:
        volume: The hypervolume now.
        more: How many evaluations are looked ahead.
        expected: The expected gain in hypervolume.
        low: Lower end of a range that should hold the gain nine times in ten.
        high: Upper end of that range.

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

    The search proper begins with the first design that a model proposed. A design that stages stopped
    has gained what its recorded metrics would: what it adds once it is measured in full is no gain of a
    new design, and not forecast.

    Args:
        problem: What the study searches.
        records: Its log, in the order of recording.
        more: Evaluations looked ahead.

    Returns:
        The forecast, which never exceeds what accuracies of 100 % and costs of 0 would add. None
        where an objective has no reference, where fewer than MIN_GAINS designs came after the initial
        sample, and where the hypervolume is still 0.
    """
    if problem.reference() is None:
        return None
    origins = [record.origin for record in records]
    start = len(records)
    if "proposed" in origins:
        start = origins.index("proposed")
    volume = curve(problem, records)[-1] if records else 0.0
    believed = [replace(r, metrics=believed_in_full(r.metrics)) for r in records]
    unlimited = forecast(curve(problem, believed), start, more)
    if unlimited is None or volume <= 0:
        return None
    largest = _largest_hypervolume(problem)
    if largest is None or unlimited.volume > largest:
        return replace(unlimited, volume=volume)
    left = largest - unlimited.volume
    return replace(
        unlimited,
        volume=volume,
        expected=min(unlimited.expected, left),
        low=min(unlimited.low, left),
        high=min(unlimited.high, left),
    )


def _largest_hypervolume(problem: Problem) -> float | None:
    """The hypervolume of a design with costs of 0 and accuracies of 100 %; None where an objective is neither."""
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
    """Forecast what more evaluations would add to the hypervolume of a search, by the model of this module.

    Args:
        volumes: Hypervolume after each evaluation so far, (n,).
        start: How many of them were the initial sample; the search proper comes after it.
        more: Evaluations looked ahead.

    Returns:
        The forecast; None where fewer than MIN_GAINS evaluations came after the sample, or the
        hypervolume is still 0.
    """
    gains = np.diff(np.asarray(volumes, float)[max(start - 1, 0) :])
    if len(gains) < MIN_GAINS or volumes[-1] <= 0:
        return None
    volume = float(volumes[-1])
    if gains.sum() <= 0:
        return Forecast(volume, more, 0.0, 0.0, _largest_gain_after_none(volumes, len(gains), more))
    t = np.arange(1.0, len(gains) + 1)
    future = np.arange(len(gains) + 1.0, len(gains) + more + 1)
    decays = _Decays.of(t, gains)
    # The sum of a t^-b over the evaluations to come, averaged over the decays b; for each b the best
    # level a is in closed form
    expected = 0.0
    for b, weight in zip(decays.values, decays.weights, strict=True):
        a = np.mean(gains * t**b)
        expected += weight * float(a * (future**-b).sum())
    low, high = np.quantile(_draws(t, gains, decays, future), [0.05, 0.95])
    return Forecast(
        volume=volume,
        more=more,
        expected=float(expected),
        low=min(float(low), expected),
        high=max(float(high), expected),
    )


def _largest_gain_after_none(volumes: Sequence[float], n: int, more: int) -> float:
    """Bound the gain to come where none of the last evaluations gained anything.

    By the rule of three, an event that did not happen in n trials happens at most 3 times in n more (95 % confidence). Each
    gain is taken to be as large as those of the initial sample were on average.

    Args:
        volumes: Hypervolume after each evaluation so far.
        n: How many evaluations brought no gain.
        more: Evaluations looked ahead.

    Returns:
        The gain in hypervolume.
    """
    n_gains = int((np.diff(volumes, prepend=0.0) > 0).sum())
    mean_gain = volumes[-1] / max(n_gains, 1)
    return 3 * more / n * mean_gain


@dataclass(frozen=True)
class _Decays:
    """Possible decays b and their probabilities.

    Attributes:
        values: (N_DECAYS,) decays b.
        weights: (N_DECAYS,) the probability of each; they sum to 1.
    """

    values: Array
    weights: Array

    @classmethod
    def of(cls, t: Array, gains: Array) -> _Decays:
        """Compute the probabilities of decays from gains.

        Args:
            t: (n,) 1, 2, ..., the numbers of the evaluations of the search proper.
            gains: (n,) what each of them gained.

        Returns:
            Decays, with probabilities by quasi-likelihood and prior. For each decay the level a takes its
            best value, which is in closed form.
        """
        decays = np.linspace(SLOWEST_DECAY, FASTEST_DECAY, N_DECAYS)
        mean_log_t = float(np.log(t).mean())
        losses = np.array([math.log(np.mean(gains * t**b)) - b * mean_log_t for b in decays])
        # The mean loss of an evaluation counts once for each gain, not for each evaluation: those that
        # gained nothing say little about the decay.
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
    """Draw sums of the gains to come, with all that is uncertain about them.

    Args:
        t: (n,) numbers of the evaluations of the search proper so far, from 1.
        gains: (n,) what each of them gained.
        decays: Possible decays and their probabilities.
        future: (more,) numbers of the evaluations to come.

    Returns:
        (N_DRAWS,) sums of gains.
    """
    rng = np.random.default_rng(0)
    # Gains become both rarer and smaller, each with half of the decay: a column of draws
    half_decay = rng.choice(decays.values, N_DRAWS, p=decays.weights)[:, None] / 2
    # How many gains there will be: Poisson, with a gamma posterior (Jeffreys' prior) of the rate
    gained = gains > 0
    n_gains = int(gained.sum())
    rate = rng.gamma(n_gains + 0.5, 1.0, N_DRAWS)
    number = rng.poisson(rate * (future**-half_decay).sum(1) / (t**-half_decay).sum(1))
    # How large they will be, before decay: gamma variables as uneven as the sizes so far, and at
    # least as an exponential. Their mean is uncertain too, as it is known from n_gains sizes only.
    sizes = gains[gained] * t[gained] ** half_decay
    variation = sizes.var(1) / sizes.mean(1) ** 2
    shape = 1.0 / np.clip(variation, 1.0, MAX_SIZE_VARIATION)
    mean_size = sizes.mean(1) * n_gains * shape / rng.gamma(n_gains * shape + 0.5)
    # A sum of gamma variables of one scale is a gamma variable
    sum_of_sizes = rng.gamma(np.maximum(number * shape, 1e-9)) / shape
    total = sum_of_sizes * mean_size * (future**-half_decay).mean(1)
    off_the_law = np.exp(LAW_LOG_STD * rng.standard_normal(N_DRAWS))
    return np.where(number > 0, total * off_the_law, 0.0)
