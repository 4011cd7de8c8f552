"""How good held-out predictions are, and what to think of a surrogate that made them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from html import escape
from typing import Any

import numpy as np

from predictors.model import Prediction
from predictors.schema import Array

VERDICTS = ("OK", "WEAK", "UNUSABLE")  # the best first
GOOD_TAU, USABLE_TAU = 0.9, 0.7
LEAST_COVERAGE = 0.75  # 90 % intervals are trusted if they cover at least this share
LEAST_MAGNITUDE = 1e-12  # divides the error where a measurement is 0


@dataclass(frozen=True)
class Scores:
    """How good n held-out predictions are.

    ``rmse`` and ``sharpness`` (mean width of the 90 % interval) are in units of y, ``mape`` is a share (0.1 is 10 %), and
    ``coverage_90`` the share of measurements inside their 90 % interval.

    Examples:
        >>> import numpy as np
        >>> import predictors
        >>> told = predictors.Prediction(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.1, 0.1]))
        >>> scores = predictors.score([1.0, 2.0, 4.0], told)
        >>> round(scores.rmse, 2), round(scores.coverage_90, 2)
        (0.58, 0.67)
    """

    rmse: float
    mape: float
    r2: float
    kendall_tau: float
    coverage_90: float
    sharpness: float
    n: int


@dataclass(frozen=True)
class Report(Scores):
    """What to think of a surrogate, and what to do next.

    ``verdict`` is OK, WEAK or UNUSABLE, with the ``next_step``. ``more`` is about how many more samples reach tau 0.9 (0:
    reached, None: not in sight), and ``curve`` holds the (rows trained on, tau) behind that figure. ``error`` is the root mean
    square error in modelled units, those of y or of log y (``log``), by which kinds are compared.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> report = predictors.validate(rows, latency_ms, kinds=["gp"], log=True)["gp"]
        >>> report.verdict, report.kendall_tau > 0.9
        ('OK', True)
    """

    verdict: str
    next_step: str
    more: int | None = None
    curve: tuple[tuple[int, float], ...] = ()
    error: float = math.nan
    log: bool = False

    def __repr__(self) -> str:
        figures = [f"{name}={value:.4g}" for name, value in self._figures().items()]
        return f"Report({self.verdict}: {', '.join(figures)}; {self.next_step})"

    def _repr_html_(self) -> str:
        """A table of one row for notebooks."""
        heads = ""
        cells = ""
        for name, value in self._figures().items():
            heads += f"<th>{name}</th>"
            cells += f"<td>{value:.4g}</td>"
        table = f"<table><tr>{heads}</tr><tr>{cells}</tr></table>"
        return f"<p><b>{escape(self.verdict)}</b>: {escape(self.next_step)}</p>{table}"

    def _figures(self) -> dict[str, float]:
        """The scores by name, without what is made of them."""
        return {each.name: getattr(self, each.name) for each in fields(Scores)}


def score(y: Any, prediction: Prediction) -> Scores:
    """Score predictions of measurements.

    Args:
        y: (n,) measurements.
        prediction: Predictions of the same n rows.

    Returns:
        The scores; tau and R2 are NaN where ``y`` is constant.

    Examples:
        >>> import numpy as np
        >>> import predictors
        >>> told = predictors.Prediction(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.1, 0.1]))
        >>> predictors.score([1.0, 2.0, 3.0], told).kendall_tau
        1.0
    """
    y = np.asarray(y, dtype=np.float64)
    error = prediction.mean - y
    relative_error = np.abs(error) / np.maximum(np.abs(y), LEAST_MAGNITUDE)
    lower, upper = prediction.interval(0.9)
    inside = (lower <= y) & (y <= upper)
    return Scores(
        rmse=float(np.sqrt(np.mean(error**2))),
        mape=float(np.mean(relative_error)),
        r2=_r2(y, error),
        kendall_tau=_kendall_tau(y, prediction.mean),
        coverage_90=float(np.mean(inside)),
        sharpness=float(np.mean(upper - lower)),
        n=len(y),
    )


def _squared_deviations(y: Array) -> float:
    """The sum of squares around the mean."""
    return float(((y - y.mean()) ** 2).sum())


def _r2(y: Array, error: Array) -> float:
    """1 - sum of squared errors / sum of squares around the mean of ``y``; NaN where ``y`` is constant."""
    total = _squared_deviations(y)
    if total <= 0:
        return math.nan
    return 1.0 - float((error**2).sum()) / total


def _kendall_tau(y: Array, mean: Array) -> float:
    """Kendall's tau-b between ``y`` and the predicted ``mean``; NaN where y is constant, 0 where only the mean is."""
    from scipy.stats import kendalltau

    if _squared_deviations(y) == 0:
        return math.nan
    if np.ptp(mean) > 0:
        return float(kendalltau(mean, y).statistic)
    return 0.0


def choose(reports: Mapping[str, Report]) -> str:
    """Choose the best kind: that with the better verdict, and of equal ones that with the smaller error.

    The error is in modelled units. For a target whose logarithm is modelled, the error in units of y
    would be decided by the largest values alone.

    Args:
        reports: Kind to report, of the same rows; at least one.

    Returns:
        The name of the chosen kind.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> reports = predictors.validate(rows, latency_ms, kinds=["xgboost", "gp"], log=True)
        >>> predictors.choose(reports)
        'gp'
    """
    return min(reports, key=lambda kind: _sort_key(reports[kind]))


def _sort_key(report: Report) -> tuple[int, float]:
    """Verdict and error, to sort the best report to the front; an unknown error sorts last."""
    error = report.error
    if not math.isfinite(error):
        error = math.inf
    return VERDICTS.index(report.verdict), error


def judge(scores: Scores, more: int | None) -> tuple[str, str]:
    """Judge a surrogate by its rank correlation, and by whether its intervals can be trusted.

    Tau below ``USABLE_TAU`` is UNUSABLE, below ``GOOD_TAU`` WEAK. Above it is OK, but WEAK where the 90 %
    intervals cover less than ``LEAST_COVERAGE`` of the measurements.

    Args:
        scores: Its held-out scores.
        more: About how many more samples reach tau 0.9; None where that is not in sight.

    Returns:
        The verdict, one of ``VERDICTS``, and the next step.
    """
    if not math.isfinite(scores.kendall_tau):
        step = "the measurements do not vary: check the evaluator, or drop this objective"
        return "UNUSABLE", step
    # What leads the next step where the correlation is too low
    if more is None:
        how_many = "more samples alone will not do"
    else:
        how_many = f"about {more} more samples to reach tau 0.9"
    if scores.kendall_tau < USABLE_TAU:
        step = "add derived features (MACs, parameters) or lower the measurement noise"
        return "UNUSABLE", f"{how_many}: {step}"
    if scores.kendall_tau < GOOD_TAU:
        step = "use it, verify every candidate, and add derived features if there are any"
        return "WEAK", f"{how_many}: {step}"
    if scores.coverage_90 < LEAST_COVERAGE:
        wrong = f"ranks well, but its 90 % intervals hold {scores.coverage_90:.0%}"
        return "WEAK", f"{wrong}: measure more before trusting them"
    return "OK", "use it; verify what it proposes"
