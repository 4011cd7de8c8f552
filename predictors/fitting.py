"""``fit``: rows and measurements to a Model, and the choice among kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
_ROWS_PULLING_TO_ONE = 4.0  # how many rows the expectation of a slope of 1 counts as
_BUILDS_ON_GP = ("gp", "hybrid", "posynomial")  # kinds that fit the plain process too


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
        seed: Of everything random.
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
    plain = _fit(data, chosen, None)
    if mean is None:
        return plain
    return _with_mean(data, chosen, plain, mean)


def fit_kinds(
    X: Any,
    y: Any,
    schema: Schema,
    kinds: Sequence[str],
    *,
    noise: Any = None,
    seed: int = 0,
) -> dict[str, Model]:
    """Fit several kinds to the same rows. Each model is the one that ``fit`` gives; the process is fitted once.

    Args:
        X: n rows, as for ``fit``.
        y: (n,) measurements.
        schema: The features and the target.
        kinds: Names of the kinds.
        noise: As for ``fit``.
        seed: Of everything random.

    Returns:
        Models by kind, in the order asked for.

    Raises:
        PredictorError: As ``fit``.
    """
    data = Measurements.of(X, y, schema, noise=noise, seed=seed)
    plain = None
    if sum(kind in _BUILDS_ON_GP for kind in kinds) > 1:
        plain = gp.fit(_Standardised.of(data, None).task)
    found: dict[str, Model] = {}
    for kind in kinds:
        if kind == "auto":
            found[kind] = _fit(data, None, None)
        else:
            found[kind] = _fit(data, kinds_.find(kind), None, plain)
    return found


@dataclass(frozen=True)
class _Standardised:
    """A task whose targets are (modelled - ``location``) / ``scale``."""

    task: Task
    location: float
    scale: float

    @classmethod
    def of(cls, data: Measurements, base: Base | None) -> _Standardised:
        """Standardise what ``base`` leaves of the modelled targets; constant ones are only centred."""
        rest = data.modelled
        if base is not None:
            rest = rest - base(data.schema, data.encoded)
        location = float(rest.mean())
        scale = float(rest.std())
        if not (scale > 1e-12 * (1.0 + abs(location))):
            scale = 1.0
        y = (rest - location) / scale
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
    plain: Fitted | None = None,
) -> Model:
    """Fit one kind, or with None the best of the built-in ones, to what ``base`` leaves.

    ``plain``: the process fitted to the same task, where it is there already.

    Returns:
        The model of the kind with the smallest held-out error.
    """
    standardised = _Standardised.of(data, base)
    fits = _fits(standardised.task, kind, plain)
    errors = {name: _error(standardised, fitted) for name, fitted in fits.items()}
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
    plain: Fitted | None,
) -> dict[str, Fitted]:
    """The fits that are chosen among: of one kind, or of all the built-in ones."""
    if kind is None:
        return _candidates(task)
    if kind is BUILT_IN_KINDS["gp"] and plain is not None:
        return {kind.name: plain}
    return {kind.name: kind.fit(replace(task, gp_fit=plain))}


def _error(standardised: _Standardised, fitted: Fitted) -> float:
    """The held-out root mean square error, in modelled units."""
    squares = (fitted.held_out - standardised.task.y) ** 2
    return float(np.sqrt(np.mean(squares))) * standardised.scale


def _best(errors: dict[str, float], scale: float, schema: Schema) -> str:
    """The kind of the smallest held-out error, after allowances; ``scale`` is the error of the mean."""

    def allowed_error(kind: str) -> float:
        better_than_mean = errors[kind] < scale
        return errors[kind] / _allowance(kind, better_than_mean, schema)

    return min(errors, key=allowed_error)


def _metadata(data: Measurements, error: float) -> dict[str, Any]:
    """What a model knows of its fit."""
    return {
        "rows": len(data.y),
        "error": error,
        "data": fingerprint(data.encoded, data.y),
        "seen": seen_ranges(data.schema, data.table),
    }


def _candidates(task: Task) -> dict[str, Fitted]:
    """The fit of every built-in kind that is not the plain process again; the others build on it.

    A kind that cannot be fitted to these targets (its equations have no solution in floating point, as those of a
    posynomial for targets that hardly vary) loses the selection.

    Returns:
        Fits by name of their kind, that of the plain process first.
    """
    plain = gp.fit(task)
    found = {"gp": plain}
    for name, kind in BUILT_IN_KINDS.items():
        if name == "gp":
            continue
        try:
            candidate = kind.fit(replace(task, gp_fit=plain))
        except np.linalg.LinAlgError:
            continue
        if candidate is not plain and np.isfinite(candidate.held_out).all():
            found[name] = candidate
    return found


def _allowance(kind: str, better: bool, schema: Schema) -> float:
    """How many times the process's held-out error a kind may have and still be taken; ``better``: than the mean's."""
    if kind == "posynomial" and better and shared(schema):
        return _POSYNOMIAL_ALLOWANCE
    if kind == "gp":
        return 1.0
    return _ERROR_TO_REPLACE_GP


def _with_mean(
    data: Measurements,
    kind: SurrogateKind | None,
    plain: Model,
    old: Model,
) -> Model:
    """The better of ``plain`` and a model of what the old one leaves, by held-out error."""
    for name in old.schema.names:
        if name not in data.schema.names:
            return _told(plain, f"older model dropped: rows lack {name!r}")
    older = Base(old, 1.0, 0.0)(data.schema, data.encoded)
    line = _line(older, data.modelled)
    candidate = _fit(data, kind, Base.of(old, line, data.schema, data.encoded))
    with_old = candidate.metadata["error"]
    without = plain.metadata["error"]
    if with_old < without:
        return _told(candidate, f"older model as mean: error {with_old:.3g}, {without:.3g} without")
    why = f"older model dropped: error {with_old:.3g} with, {without:.3g} without"
    return _told(plain, why)


def _told(model: Model, more: str) -> Model:
    """The model with one more reason in its line on how it was chosen."""
    return replace(model, selection_reason=f"{model.selection_reason}; {more}")


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and intercept of y on x; the slope is pulled towards 1 with the weight of a few rows."""
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
    asked: SurrogateKind | None,
    best: str,
    errors: dict[str, float],
    schema: Schema,
) -> str:
    """Say in one line how the kind was chosen."""
    if asked is not None:
        return f"{best} (no other kind was tried)"
    unit = f" {schema.unit}".rstrip()
    if schema.log:
        unit = " in log units"
    others = [f"{kind} {error:.3g}" for kind, error in errors.items() if kind != best]
    return f"{best}: held-out RMSE {errors[best]:.3g}{unit} against {', '.join(others)}"
