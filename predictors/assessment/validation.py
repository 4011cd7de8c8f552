"""Can this predictor be trusted with a search? Held-out scores, a verdict, and what to do next."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import Any

import numpy as np

from predictors.core import folds as split
from predictors.domain import OutsideWarning
from predictors.errors import PredictorError
from predictors.fitting import fit_kinds
from predictors.model import Model, Prediction
from predictors.schema import Array, Schema, infer

DEFAULT_KINDS = ("xgboost", "gp", "hybrid")
VERDICTS = ("OK", "WEAK", "UNUSABLE")  # the best first
Progress = Callable[[int, int], None]
GOOD_TAU, USABLE_TAU = 0.9, 0.7
_MAX_EXTRA_ROWS = 100_000
# A process costs the cube of its rows, and is judged on a dozen fits: of more rows a fit sees so many, chosen at random.
MAX_JUDGED_ROWS = 500


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
        figures = ", ".join(f"{name}={value:.4g}" for name, value in self._figures().items())
        return f"Report({self.verdict}: {figures}; {self.next_step})"

    def _repr_html_(self) -> str:
        """A table of one row for notebooks."""
        figures = self._figures()
        heads = "".join(f"<th>{name}</th>" for name in figures)
        cells = "".join(f"<td>{value:.4g}</td>" for value in figures.values())
        table = f"<table><tr>{heads}</tr><tr>{cells}</tr></table>"
        return f"<p><b>{escape(self.verdict)}</b>: {escape(self.next_step)}</p>{table}"

    def _figures(self) -> dict[str, float]:
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
    from scipy.stats import kendalltau

    y = np.asarray(y, dtype=np.float64)
    error = prediction.mean - y
    lower, upper = prediction.interval(0.9)
    total = float(((y - y.mean()) ** 2).sum())
    varied = total > 0 and np.ptp(prediction.mean) > 0
    return Scores(
        rmse=float(np.sqrt(np.mean(error**2))),
        mape=float(np.mean(np.abs(error) / np.maximum(np.abs(y), 1e-12))),
        r2=1.0 - float((error**2).sum()) / total if total > 0 else math.nan,
        kendall_tau=float(kendalltau(prediction.mean, y).statistic)
        if varied
        else math.nan
        if total == 0
        else 0.0,
        coverage_90=float(np.mean((lower <= y) & (y <= upper))),
        sharpness=float(np.mean(upper - lower)),
        n=len(y),
    )


def validate(
    X: Any,
    y: Any,
    kinds: Sequence[str] = DEFAULT_KINDS,
    schema: Schema | None = None,
    folds: int = 5,
    seed: int = 0,
    *,
    log: bool | None = None,
    noise: Any = None,
    progress: Progress | None = None,
) -> dict[str, Report]:
    """Score kinds by k-fold cross-validation, every fold fitted from scratch.

    Args:
        X: n rows, as for ``predictors.fit``.
        y: (n,) measurements.
        kinds: Names of the kinds to be judged, as for ``predictors.fit``.
        schema: The features; inferred from ``X`` when None.
        folds: How many folds, at least 2.
        seed: Of the folds and the fits.
        log: Whether log y is modelled; None as for ``predictors.fit``.
        noise: Standard deviations of the measurements in units of y, one for all or (n,); None when
            they are not known.
        progress: Called with the number of fits that are done, and of all.

    Returns:
        Kind to report. Of more than 500 rows a fit sees so many, chosen at random.

    Raises:
        PredictorError: For fewer than 2 folds or fewer than 2 * folds rows, and as
            ``predictors.fit``.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> reports = predictors.validate(rows, latency_ms, kinds=["gp"], log=True)
        >>> reports["gp"].n
        12
    """
    data = Rows.of(X, y, schema, log, noise)
    if folds < 2 or len(data.y) < 2 * folds:
        raise PredictorError(
            "validate", f"{len(data.y)} rows for {folds} folds", "measure more or use fewer folds"
        )
    return _reports(data, kinds, folds, seed, progress)


def choose(reports: Mapping[str, Report]) -> str:
    """Choose among kinds: a better verdict first, then the smaller held-out error in modelled units.

    In units of y the largest values alone would decide for a target that is modelled as its logarithm.

    Args:
        reports: Kind to report, of the same rows; at least one.

    Returns:
        The kind.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> reports = predictors.validate(rows, latency_ms, kinds=["xgboost", "gp"], log=True)
        >>> predictors.choose(reports)
        'gp'
    """
    return min(
        reports, key=lambda kind: (VERDICTS.index(reports[kind].verdict), _error(reports[kind]))
    )


def _error(report: Report) -> float:
    if math.isfinite(report.error):
        return report.error
    return math.inf


def grow_forward(
    X: Any,
    y: Any,
    kind: str = "auto",
    sizes: Sequence[int] = (50, 100, 200),
    schema: Schema | None = None,
    *,
    seed: int = 0,
    log: bool | None = None,
) -> dict[int, Scores]:
    """Train on the first rows that a search met, predict all that it met later.

    The honest test of a surrogate in a search, whose later rows are unlike its first.

    Args:
        X: Rows in the order in which they were met, as for ``predictors.fit``.
        y: (n,) measurements.
        kind: As for ``predictors.fit``.
        sizes: How many first rows to train on. Left out are sizes below 2, and those that leave
            fewer than two rows to predict.
        schema: The features; inferred from ``X`` when None.
        seed: Of the fits.
        log: Whether log y is modelled; None as for ``predictors.fit``.

    Returns:
        Number of first rows to the scores on all later ones. Of more than 500 a fit sees so many,
        chosen at random.

    Raises:
        PredictorError: As ``predictors.fit``.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> scores = predictors.grow_forward(rows, latency_ms, kind="gp", sizes=(6, 9))
        >>> [(first, held_out.n) for first, held_out in scores.items()]
        [(6, 6), (9, 3)]
    """
    data = Rows.of(X, y, schema, log, None)
    order = np.arange(len(data.y))
    found = {}
    for n in sizes:
        if 2 <= n < len(order) - 1:
            found[n] = data.held_out(kind, order[:n], order[n:], seed)
    return found


def learning_curve(
    X: Any,
    y: Any,
    kind: str = "gp",
    sizes: Sequence[int] | None = None,
    schema: Schema | None = None,
    *,
    seed: int = 0,
    log: bool | None = None,
) -> dict[int, Scores]:
    """Score on a fixed fifth of the rows, trained on growing random parts of the others.

    Args:
        X: Rows, as for ``predictors.fit``.
        y: (n,) measurements.
        kind: As for ``predictors.fit``.
        sizes: How many rows to train on; more than there are is left out. An eighth, a quarter, a
            half and all of the others when None.
        schema: The features; inferred from ``X`` when None.
        seed: Of the parts and the fits.
        log: Whether log y is modelled; None as for ``predictors.fit``.

    Returns:
        Number of rows trained on to scores. Of more than 500 a fit sees so many, chosen at random.

    Raises:
        PredictorError: As ``predictors.fit``.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> list(predictors.learning_curve(rows, latency_ms, kind="gp", sizes=[5, 9]))
        [5, 9]
    """
    data = Rows.of(X, y, schema, log, None)
    rest, test = next(iter(split(len(data.y), 5, seed)))
    order = np.random.default_rng(seed + 1).permutation(rest)
    wanted = sizes or [max(4, len(rest) * share // 8) for share in (1, 2, 4, 8)]
    found = {}
    for n in wanted:
        if n <= len(rest):
            found[n] = data.held_out(kind, order[:n], test, seed)
    return found


def more_samples(curve: Sequence[tuple[int, float]], tau: float = GOOD_TAU) -> int | None:
    """Estimate how many more rows reach a rank correlation.

    1 - tau is taken to fall as a power of the rows.

    Args:
        curve: Pairs of rows trained on and Kendall's tau, at least one.
        tau: The correlation to be reached.

    Returns:
        About how many rows beyond the curve's largest. 0 when reached, None when the curve does not
        fall, has one point only, or points beyond 100,000 rows.

    Examples:
        >>> import predictors
        >>> predictors.more_samples([(25, 0.6), (50, 0.7), (100, 0.8)])
        301
    """
    last_n, last_tau = max(curve)
    if last_tau >= tau:
        return 0
    n, gap = np.array([c[0] for c in curve], float), np.array([1.0 - c[1] for c in curve])
    if len(set(n)) < 2:
        return None
    slope = float(np.polyfit(np.log(n), np.log(np.maximum(gap, 1e-6)), 1)[0])
    if slope > -0.05:
        return None
    need = float(last_n * ((1.0 - tau) / (1.0 - last_tau)) ** (1.0 / slope))
    if need < _MAX_EXTRA_ROWS:
        return math.ceil(need - last_n)
    return None


def compare(models: Mapping[str, Model], X: Any, y: Any) -> dict[str, Scores]:
    """Score fitted models on the same measurements, which none of them should have seen.

    Args:
        models: Fitted models by name.
        X: n rows, as for ``predictors.fit``.
        y: (n,) measurements.

    Returns:
        Name to scores.

    Raises:
        PredictorError: On columns or levels that a model does not know.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> few = predictors.fit(rows[:6], latency_ms[:6], kind="gp", log=True)
        >>> more = predictors.fit(rows[:9], latency_ms[:9], kind="gp", log=True)
        >>> scores = predictors.compare({"few": few, "more": more}, rows[9:], latency_ms[9:])
        >>> scores["more"].n
        3
    """
    return {name: score(y, model.predict(X)) for name, model in models.items()}


@dataclass(frozen=True)
class Rows:
    """Codes (n, d) under one schema, so that folds can be taken from any kind of input."""

    schema: Schema
    table: Array
    y: Array
    noise: Array | None

    @classmethod
    def of(cls, X: Any, y: Any, schema: Schema | None, log: bool | None, noise: Any) -> Rows:
        """Turn rows and measurements into codes under one schema.

        Args:
            X: n rows, as for ``predictors.fit``.
            y: (n,) measurements.
            schema: The features; inferred from ``X`` when None.
            log: Whether log y is modelled; None as for ``predictors.fit``.
            noise: Standard deviations of the measurements in units of y, one for all or (n,); or
                None.

        Returns:
            The rows.

        Raises:
            PredictorError: On lengths that differ, and on unknown columns or levels.
        """
        target = np.asarray(y, dtype=np.float64)
        if schema is None:
            wide = bool(len(target) and target.min() > 0 and target.max() >= 10 * target.min())
            schema = infer(X, log=wide if log is None else log)
        elif log is not None:
            schema = Schema(schema.features, schema.target, schema.unit, log, schema.closed)
        table = schema.table(X)
        if len(table) != len(target):
            raise PredictorError(
                "y", f"has {len(target)} values for {len(table)} rows", "pass one measurement a row"
            )
        return cls(
            schema, table, target, None if noise is None else np.broadcast_to(noise, target.shape)
        )

    def predict(
        self, kinds: Sequence[str], train: Any, test: Any, seed: int
    ) -> dict[str, Prediction]:
        """Fit kinds to some rows and predict others.

        Args:
            kinds: Names of kinds, as for ``predictors.fit``.
            train: Row numbers to fit to; of more than 500 so many are fitted, chosen at random.
            test: Row numbers to predict.
            seed: Of the fits and the choice.

        Returns:
            Predictions of the test rows by kind.

        Raises:
            PredictorError: As ``predictors.fit``.
        """
        train = np.asarray(train)
        if len(train) > MAX_JUDGED_ROWS:
            train = np.sort(np.random.default_rng(seed).permutation(train)[:MAX_JUDGED_ROWS])
        if self.noise is None:
            noise = None
        else:
            noise = self.noise[train]
        fitted = fit_kinds(
            self.table[train], self.y[train], self.schema, kinds, noise=noise, seed=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutsideWarning)  # held-out rows are what they are
            return {kind: model.predict(self.table[test]) for kind, model in fitted.items()}

    def held_out(self, kind: str, train: Any, test: Any, seed: int) -> Scores:
        """Fit a kind to some rows and score it on others.

        Args:
            kind: As for ``predictors.fit``.
            train: Row numbers to fit to; of more than 500 so many are fitted, chosen at random.
            test: Row numbers to score on.
            seed: Of the fit and the choice.

        Returns:
            Scores on the test rows.

        Raises:
            PredictorError: As ``predictors.fit``.
        """
        return score(self.y[test], self.predict([kind], train, test, seed)[kind])


def _reports(
    data: Rows, kinds: Sequence[str], folds: int, seed: int, progress: Progress | None
) -> dict[str, Report]:
    """Cross-validate kinds, and judge each by its scores and a short learning curve."""
    n = len(data.y)
    means = {kind: np.empty(n) for kind in kinds}
    stds = {kind: np.empty(n) for kind in kinds}
    parts = [*split(n, folds, seed), *_curve_parts(n, seed)]
    taus: dict[str, list[tuple[int, float]]] = {kind: [] for kind in kinds}
    for number, (train, test) in enumerate(parts, 1):
        found = data.predict(kinds, train, test, seed)
        for kind, p in found.items():
            if number <= folds:
                means[kind][test], stds[kind][test] = p.modelled_mean, p.modelled_std
            else:
                taus[kind].append((len(train), score(data.y[test], p).kendall_tau))
        if progress is not None:
            progress(number, len(parts))
    return {kind: _report(data, means[kind], stds[kind], taus[kind], folds) for kind in kinds}


def _report(
    data: Rows, mean: Array, std: Array, taus: list[tuple[int, float]], folds: int
) -> Report:
    """Judge a kind by its held-out predictions (n,), and by the tau of fewer rows."""
    log = data.schema.log
    scores = score(data.y, Prediction(mean, std, log))
    last = min(len(data.y) * (folds - 1) // folds, MAX_JUDGED_ROWS)
    curve = (*(each for each in taus if math.isfinite(each[1])), (last, scores.kendall_tau))
    more = more_samples(curve)
    verdict, next_step = _judge(scores, more)
    modelled = np.log(data.y) if log else data.y
    error = float(np.sqrt(np.mean((mean - modelled) ** 2)))
    return Report(
        **vars(scores),
        verdict=verdict,
        next_step=next_step,
        more=more,
        curve=curve,
        error=error,
        log=log,
    )


def _curve_parts(n: int, seed: int) -> list[tuple[Any, Any]]:
    """A quarter and a half of the rows, each with the others to be tested on."""
    order = np.random.default_rng(seed + 1).permutation(n)
    rows = min(n, 5 * MAX_JUDGED_ROWS // 4)
    sizes = sorted({max(4, rows // 4), max(4, rows // 2)})
    return [(order[:size], order[size:]) for size in sizes]


def _judge(s: Scores, more: int | None) -> tuple[str, str]:
    """Verdict and next step: rank correlation decides, intervals that lie make any predictor weak."""
    if not math.isfinite(s.kendall_tau):
        return (
            "UNUSABLE",
            "the measurements do not vary: check the evaluator, or drop this objective",
        )
    if more is None:
        how_many = "more samples alone will not do"
    else:
        how_many = f"about {more} more samples to reach tau 0.9"
    if s.kendall_tau < USABLE_TAU:
        return (
            "UNUSABLE",
            f"{how_many}: add derived features (MACs, parameters) or lower the measurement noise",
        )
    if s.kendall_tau < GOOD_TAU:
        return (
            "WEAK",
            f"{how_many}: use it, verify every candidate, and add derived features if there are any",
        )
    if s.coverage_90 < 0.75:
        return (
            "WEAK",
            f"ranks well, but its 90 % intervals hold {s.coverage_90:.0%}: measure more before trusting them",
        )
    return "OK", "use it; verify what it proposes"
