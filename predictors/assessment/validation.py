"""Can this predictor be trusted with a search? Held-out scores, a verdict, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictors.assessment.learning_curves import grow_forward, learning_curve, more_samples
from predictors.assessment.rows import MAX_JUDGED_ROWS, Rows
from predictors.assessment.scores import Report, Scores, choose, judge, score
from predictors.core import folds as split
from predictors.errors import PredictorError
from predictors.kinds import SurrogateKind
from predictors.model import Model, Prediction
from predictors.schema import Array, Schema

__all__ = [
    "Report",
    "Rows",
    "Scores",
    "choose",
    "compare",
    "grow_forward",
    "learning_curve",
    "more_samples",
    "score",
    "validate",
]

DEFAULT_KINDS = ("xgboost", "gp", "hybrid")
Progress = Callable[[int, int], None]


def validate(
    X: Any,
    y: Any,
    kinds: Sequence[str | SurrogateKind] = DEFAULT_KINDS,
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
        kinds: The kinds to be judged, as for ``predictors.fit``. Reports stand under their names.
        schema: The features; inferred from ``X`` when None.
        folds: How many folds, at least 2.
        seed: Seed of the folds and the fits.
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
    data = Rows.of(X, y, schema, log=log, noise=noise)
    if folds < 2 or len(data.y) < 2 * folds:
        wrong = f"{len(data.y)} rows for {folds} folds"
        raise PredictorError("validate", wrong, "measure more or use fewer folds")
    return _reports(data, kinds, folds, seed, progress)


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


def _reports(
    data: Rows,
    kinds: Sequence[Any],
    folds: int,
    seed: int,
    progress: Progress | None,
) -> dict[str, Report]:
    """Cross-validate kinds, and judge each by its scores and a short learning curve.

    Args:
        data: The rows and measurements.
        kinds: Names of kinds, or kinds.
        folds: How many folds.
        seed: Seed of the folds and the fits.
        progress: Called with the number of splits that are done, and of all; may be None.

    Returns:
        Report by the name of the kind.
    """
    n = len(data.y)
    # The folds first, then two smaller training sets for the learning curve
    splits = [*split(n, folds, seed), *_curve_splits(n, seed)]
    held_out = {kind: _HeldOut(np.empty(n), np.empty(n), []) for kind in kinds}
    for number, (train, test) in enumerate(splits, 1):
        predictions = data.predict(kinds, train, test, seed)
        for kind, prediction in predictions.items():
            if number <= folds:
                held_out[kind].keep(test, prediction)
            else:
                tau = score(data.y[test], prediction).kendall_tau
                held_out[kind].curve.append((len(train), tau))
        if progress is not None:
            progress(number, len(splits))
    reports: dict[str, Report] = {}
    for kind, of_kind in held_out.items():
        reports[getattr(kind, "name", kind)] = _report(data, of_kind, folds)
    return reports


@dataclass(frozen=True)
class _HeldOut:
    """What cross-validation has found of one kind so far.

    Attributes:
        mean: (n,) held-out means, in modelled units; filled fold by fold.
        std: (n,) held-out standard deviations, in modelled units.
        curve: Points of the learning curve: rows trained on, and Kendall's tau.
    """

    mean: Array
    std: Array
    curve: list[tuple[int, float]]

    def keep(self, test: Any, prediction: Prediction) -> None:
        """Write down what was predicted for the rows ``test`` of a fold."""
        self.mean[test] = prediction.modelled_mean
        self.std[test] = prediction.modelled_std


def _report(data: Rows, held_out: _HeldOut, folds: int) -> Report:
    """Make the report of a kind from its held-out predictions and its learning curve."""
    log = data.schema.log
    scores = score(data.y, Prediction(held_out.mean, held_out.std, log))
    n_trained = min(len(data.y) * (folds - 1) // folds, MAX_JUDGED_ROWS)  # rows of a fold's fit
    curve = [point for point in held_out.curve if math.isfinite(point[1])]
    curve.append((n_trained, scores.kendall_tau))
    more = more_samples(curve)
    verdict, next_step = judge(scores, more)
    return Report(
        **vars(scores),
        verdict=verdict,
        next_step=next_step,
        more=more,
        curve=tuple(curve),
        error=_modelled_error(data, held_out.mean),
        log=log,
    )


def _modelled_error(data: Rows, mean: Array) -> float:
    """Root mean square error of predictions (n,), in modelled units."""
    if data.schema.log:
        target = np.log(data.y)
    else:
        target = data.y
    return float(np.sqrt(np.mean((mean - target) ** 2)))


def _curve_splits(n: int, seed: int) -> list[tuple[Any, Any]]:
    """Row numbers to train on, a random quarter and a random half of n, each with the others to be tested on."""
    shuffled = np.random.default_rng(seed + 1).permutation(n)
    # With very many rows, sizes are such that the folds' fits are still the largest of the curve
    rows = min(n, 5 * MAX_JUDGED_ROWS // 4)
    sizes = sorted({max(4, rows // 4), max(4, rows // 2)})
    return [(shuffled[:size], shuffled[size:]) for size in sizes]
