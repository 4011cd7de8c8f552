"""``fit``: rows and measurements to a Model, and the choice among kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from predictors import gp
from predictors import kinds as kinds_
from predictors.core import Fitted, Task, calibrated_std_scale
from predictors.domain import seen_ranges
from predictors.gp.inputs import shared
from predictors.kinds import BUILT_IN_KINDS, SurrogateKind
from predictors.measurements import Measurements, settled_schema, targets
from predictors.model import Base, Model
from predictors.schema import Array, Schema, fingerprint

_ERROR_TO_REPLACE_GP = 0.97  # another kind must beat the process by 3 % to replace it
# Held-out rows are from where a search has been. Where it goes next, a posynomial over layers
# that share genes is two to three times as close as a Gaussian process of the same held-out
# error.
_POSYNOMIAL_ALLOWANCE = 1.6
_ROWS_PULLING_TO_ONE = 4.0  # how many rows the prior expectation of a slope of 1 counts as
_BUILDS_ON_GP = ("gp", "hybrid", "posynomial")  # kinds that need a plain Gaussian process


def fit(
    X: Any,
    y: Any,
    schema: Schema | None = None,
    kind: str | SurrogateKind = "auto",
    *,
    noise: Any = None,
    seed: int = 0,
    log: bool | None = None,
    mean: Model | None = None,
) -> Model:
    """Fit a predictor. Equal inputs and seed give an equal model.

    Args:
        X: n rows, as ``Schema.table`` takes them: list of dicts, (n, d) array or data frame. Their
            order matters only for calibration; give them as they were met.
        y: (n,) measurements.
        schema: The features and the target; inferred from ``X`` when None.
        kind: "gp", "xgboost", "hybrid" or "posynomial"; "auto", which cross-validates these four;
            or another kind that ``predictors.find`` knows.
        noise: Standard deviations of the measurements in units of y, one for all or (n,); None when
            they are not known.
        seed: Seed of everything random.
        log: Whether log y is modelled. None follows the schema; without one, it is true for
            positive y that span a factor of ten.
        mean: An older model whose features are among X's. It is used as mean function, and dropped
            when cross-validation says that it hurts.

    Returns:
        The fitted model, whose ``selection_reason`` tells how the kind was chosen.

    Raises:
        PredictorError: For an unknown kind, fewer than two rows, lengths that differ, unknown
            columns or levels, targets that are not finite (or not positive with ``log``), and noise
            that is negative or not finite.
        ValueError: When ``noise`` has another length than ``y``.
        numpy.linalg.LinAlgError: When the equations of a kind that was asked for, or of the plain
            process, have no solution in floating point.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> model = predictors.fit(rows, latency_ms, kind="gp", log=True)
        >>> prediction = model.predict([{"depth": 4, "rows": 128}])
        >>> prediction.mean.round(1).tolist()  # in milliseconds, like what was given
        [2.0]
    """
    chosen = None
    if kind != "auto":
        chosen = kinds_.find(kind)
    schema = settled_schema(X, targets(y), schema, log)
    data = Measurements.of(X, y, schema, noise=noise, seed=seed)
    without_mean = _fit(data, chosen, None)
    if mean is None:
        return without_mean
    return _with_mean(data, chosen, without_mean, mean)


def fit_kinds(
    X: Any,
    y: Any,
    schema: Schema,
    kinds: Sequence[str],
    *,
    noise: Any = None,
    seed: int = 0,
) -> dict[str, Model]:
    """Fit several kinds to the same rows; each model is the one that ``fit`` gives.

    The plain Gaussian process that several kinds need is fitted only once.

    Args:
        X: n rows, as for ``fit``.
        y: (n,) measurements.
        schema: The features and the target.
        kinds: Names of the kinds.
        noise: As for ``fit``.
        seed: Seed of everything random.

    Returns:
        Models by kind, in the order asked for.

    Raises:
        PredictorError: As ``fit``.
    """
    data = Measurements.of(X, y, schema, noise=noise, seed=seed)
    gp_fit = None
    if sum(kind in _BUILDS_ON_GP for kind in kinds) > 1:
        gp_fit = gp.fit(_Standardised.of(data, base=None).task)
        # Kinds that fall back to it are calibrated by the same errors
        gp_fit = replace(gp_fit, forward=cache(gp_fit.forward))
    models: dict[str, Model] = {}
    for kind in kinds:
        if kind == "auto":
            models[kind] = _fit(data, kind=None, base=None)
        else:
            models[kind] = _fit(data, kinds_.find(kind), base=None, gp_fit=gp_fit)
    return models


@dataclass(frozen=True)
class _Standardised:
    """A regression task whose targets have mean 0 and deviation 1.

    Attributes:
        task: The rows, with targets (modelled target - mean function - location) / scale.
        location: Mean of the modelled targets less the mean function.
        scale: Their standard deviation; 1 where they are constant.
    """

    task: Task
    location: float
    scale: float

    @classmethod
    def of(cls, data: Measurements, base: Base | None) -> _Standardised:
        """Standardise the modelled targets less the mean function ``base``; without one when None."""
        residual = data.modelled
        if base is not None:
            residual = residual - base(data.schema, data.encoded)
        location = float(residual.mean())
        scale = float(residual.std())
        if not (scale > 1e-12 * (1.0 + abs(location))):  # constant but for rounding
            scale = 1.0
        y = (residual - location) / scale
        variance = data.noise_variance / scale**2
        task = Task(
            data.schema,
            data.encoded,
            y,
            variance,
            data.seed,
            scale=scale,
        )
        return cls(task, location, scale)


def _fit(
    data: Measurements,
    kind: SurrogateKind | None,
    base: Base | None,
    gp_fit: Fitted | None = None,
) -> Model:
    """Fit one kind, or choose among the built-in ones.

    Args:
        data: The rows and measurements.
        kind: The kind; None for the built-in one with the smallest held-out error, after allowances.
        base: The mean function, whose residual is fitted; None for none.
        gp_fit: The plain Gaussian process fitted to the same task, where there is one already.

    Returns:
        The model.
    """
    standardised = _Standardised.of(data, base)
    fits = _fits(standardised.task, kind, gp_fit)
    errors = {name: _held_out_rmse(standardised, fitted) for name, fitted in fits.items()}
    best = _best(errors, standardised.scale, data.schema)
    n_features = len(data.schema.features)
    return Model(
        kind=best,
        schema=data.schema,
        core=fits[best].core,
        location=standardised.location,
        scale=standardised.scale,
        std_scale=calibrated_std_scale(fits[best].forward(), len(data.y), n_features),
        base=base,
        selection_reason=_selection_reason(kind, best, errors, data.schema),
        metadata=_metadata(data, errors[best]),
    )


def _fits(
    task: Task,
    kind: SurrogateKind | None,
    gp_fit: Fitted | None,
) -> dict[str, Fitted]:
    """The fits to choose among, by name of the kind: one if a kind is given, else of all built-in ones."""
    if kind is None:
        return _built_in_fits(task)
    if kind is BUILT_IN_KINDS["gp"] and gp_fit is not None:
        return {kind.name: gp_fit}
    return {kind.name: kind.fit(replace(task, gp_fit=gp_fit))}


def _held_out_rmse(standardised: _Standardised, fitted: Fitted) -> float:
    """The held-out root mean square error, in modelled units."""
    squares = (fitted.held_out - standardised.task.y) ** 2
    return float(np.sqrt(np.mean(squares))) * standardised.scale


def _best(errors: dict[str, float], scale: float, schema: Schema) -> str:
    """The kind with the smallest held-out error, each divided by its kind's allowance.

    Args:
        errors: Held-out error by kind, in modelled units.
        scale: Standard deviation of the targets: the error of always predicting their mean.
        schema: The features.

    Returns:
        The name of the kind.
    """

    def comparable_error(kind: str) -> float:
        better_than_mean = errors[kind] < scale
        return errors[kind] / _allowance(kind, better_than_mean, schema)

    return min(errors, key=comparable_error)


def _metadata(data: Measurements, error: float) -> dict[str, Any]:
    """What a model remembers of its fit.

    Args:
        data: The rows and measurements.
        error: Held-out root mean square error, in modelled units.

    Returns:
        How many rows there were, the error, a fingerprint of the data, and the range of every
        feature.
    """
    return {
        "rows": len(data.y),
        "error": error,
        "data": fingerprint(data.encoded, data.y),
        "seen": seen_ranges(data.schema, data.table),
    }


def _built_in_fits(task: Task) -> dict[str, Fitted]:
    """Fit every built-in kind.

    Left out are kinds that fall back to the plain Gaussian process for this task, and kinds that cannot be fitted to it: their
    equations have no solution in floating point, as those of a posynomial for targets that hardly vary.

    Args:
        task: The standardised rows.

    Returns:
        Fits by name of their kind, that of the plain process first.
    """
    gp_fit = gp.fit(task)
    fits = {"gp": gp_fit}
    for name, kind in BUILT_IN_KINDS.items():
        if name == "gp":
            continue
        try:
            fitted = kind.fit(replace(task, gp_fit=gp_fit))
        except np.linalg.LinAlgError:
            continue
        if fitted is not gp_fit and np.isfinite(fitted.held_out).all():
            fits[name] = fitted
    return fits


def _allowance(kind: str, better_than_mean: bool, schema: Schema) -> float:
    """How many times the plain process's held-out error a kind may have and still be preferred to it."""
    if kind == "posynomial" and better_than_mean and shared(schema):
        return _POSYNOMIAL_ALLOWANCE
    if kind == "gp":
        return 1.0
    return _ERROR_TO_REPLACE_GP


def _with_mean(
    data: Measurements,
    kind: SurrogateKind | None,
    without_mean: Model,
    old: Model,
) -> Model:
    """Fit a model with an older one as mean function, and keep it if its held-out error is smaller.

    Args:
        data: The rows and measurements.
        kind: The kind; None for the best built-in one.
        without_mean: The model of the same rows without a mean function.
        old: The older model.

    Returns:
        The better of the two models, with the reason in its ``selection_reason``.
    """
    for name in old.schema.names:
        if name not in data.schema.names:
            return _with_reason(without_mean, f"older model dropped: rows lack {name!r}")
    old_predictions = Base(old, slope=1.0, intercept=0.0)(data.schema, data.encoded)
    line = _line(old_predictions, data.modelled)
    with_mean = _fit(data, kind, Base.of(old, line, data.schema, data.encoded))
    error_with = with_mean.metadata["error"]
    error_without = without_mean.metadata["error"]
    if error_with < error_without:
        reason = f"older model as mean: error {error_with:.3g}, {error_without:.3g} without"
        return _with_reason(with_mean, reason)
    reason = f"older model dropped: error {error_with:.3g} with, {error_without:.3g} without"
    return _with_reason(without_mean, reason)


def _with_reason(model: Model, reason: str) -> Model:
    """Add a reason to the line that says how the model was chosen."""
    return replace(model, selection_reason=f"{model.selection_reason}; {reason}")


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and intercept of a regression of y (n,) on x (n,), the slope shrunk towards 1.

    Args:
        x: (n,) predictions of the older model.
        y: (n,) modelled targets.

    Returns:
        Slope and intercept. The slope is that of n rows and ``_ROWS_PULLING_TO_ONE`` more that lie on
        a line of slope 1; it is 1 where x is constant.
    """
    variance = float(x.var())
    if not variance > 0:
        return 1.0, float(y.mean() - x.mean())
    centred = x - x.mean()
    pull = _ROWS_PULLING_TO_ONE * variance
    covariance = float(centred @ (y - y.mean())) + pull
    squares = float(centred @ centred) + pull
    slope = covariance / max(squares, 1e-300)
    return slope, float(y.mean() - slope * x.mean())


def _selection_reason(
    requested: SurrogateKind | None,
    best: str,
    errors: dict[str, float],
    schema: Schema,
) -> str:
    """Say in one line how the kind was chosen."""
    if requested is not None:
        return f"{best} (the kind that was asked for)"
    unit = f" {schema.unit}".rstrip()
    if schema.log:
        unit = " in log units"
    others = [f"{kind} {error:.3g}" for kind, error in errors.items() if kind != best]
    return f"{best}: held-out RMSE {errors[best]:.3g}{unit} against {', '.join(others)}"
