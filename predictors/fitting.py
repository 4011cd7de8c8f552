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
from predictors.errors import PredictorError
from predictors.gp.inputs import shared
from predictors.kinds import BUILT_IN_KINDS, SurrogateKind
from predictors.model import Base, Model
from predictors.schema import Array, Schema, fingerprint, infer

_ERROR_TO_REPLACE_GP = 0.97  # another kind must beat the process by 3 % to replace it
# Held-out rows lie among the others, where a search has been. Where it goes, a sum of products over layers that share genes is
# two to three times as close as a process of the same held-out error.
_POSYNOMIAL_ALLOWANCE = 1.6
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
    chosen = None if kind == "auto" else kinds_.find(kind)
    data = _checked(X, y, _schema(X, _targets(y), schema, log), noise, seed)
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
    data = _checked(X, y, schema, noise, seed)
    shares = [kind for kind in kinds if kind in _BUILDS_ON_GP]
    found: dict[str, Model] = {}
    plain = None
    if len(shares) > 1:
        plain = gp.fit(_task(data, None)[0])
    for kind in kinds:
        if kind == "auto":
            found[kind] = _fit(data, None, None)
        else:
            found[kind] = _fit(data, kinds_.find(kind), None, plain)
    return found


@dataclass(frozen=True)
class _Data:
    schema: Schema
    table: Array
    encoded: Array
    y: Array
    noise_variance: Array
    seed: int

    @property
    def modelled(self) -> Array:
        """(n,) targets in modelled units: y, or log y."""
        if self.schema.log:
            return np.log(self.y)
        return self.y


def _checked(X: Any, y: Any, schema: Schema, noise: Any, seed: int) -> _Data:
    """Check rows and measurements, and encode them. Raises PredictorError."""
    target = _targets(y)
    if schema.log and (target <= 0).any():
        row = int(np.argmax(target <= 0))
        raise PredictorError("y", f"row {row} is not positive", "use log=False")
    table = schema.table(X)
    encoded = schema.encode_table(table)
    if len(encoded) != len(target):
        what = f"has {len(target)} values for {len(encoded)} rows"
        raise PredictorError("y", what, "pass one measurement a row")
    return _Data(schema, table, encoded, target, _variances(noise, target, schema.log), seed)


def _task(data: _Data, base: Base | None) -> tuple[Task, float, float]:
    """The standardised task, and location and scale of what it is of."""
    centred = data.modelled - (base(data.schema, data.encoded) if base is not None else 0.0)
    location, scale = float(centred.mean()), float(centred.std())
    if not (scale > 1e-12 * (1.0 + abs(location))):
        scale = 1.0
    y = (centred - location) / scale
    variance = data.noise_variance / scale**2
    task = Task(data.schema, data.encoded, y, variance, data.seed, scale=scale)
    return task, location, scale


def _fit(
    data: _Data, kind: SurrogateKind | None, base: Base | None, plain: Fitted | None = None
) -> Model:
    """Fit one kind, or with None the best of the built-in ones, to what ``base`` leaves.

    ``plain``: the process fitted to the same task, where it is there already.
    """
    task, location, scale = _task(data, base)
    y = task.y
    if kind is None:
        fits = _candidates(task)
    elif kind is BUILT_IN_KINDS["gp"] and plain is not None:
        fits = {kind.name: plain}
    else:
        fits = {kind.name: kind.fit(replace(task, gp_fit=plain))}
    errors = {k: float(np.sqrt(np.mean((f.held_out - y) ** 2))) * scale for k, f in fits.items()}
    best = min(errors, key=lambda k: errors[k] / _allowance(k, errors[k] < scale, data.schema))
    won = fits[best]
    std_scale = calibrated_std_scale(won.forward(), len(y), len(data.schema.features))
    metadata = {
        "rows": len(y),
        "error": errors[best],
        "data": fingerprint(data.encoded, data.y),
        "seen": seen_ranges(data.schema, data.table),
    }
    reason = _selection_reason(kind, best, errors, data.schema)
    return Model(best, data.schema, won.core, location, scale, std_scale, base, reason, metadata)


def _candidates(task: Task) -> dict[str, Fitted]:
    """The fit of every built-in kind that is not the plain process again; the others build on it.

    A kind that cannot be fitted to these targets (its equations have no solution in floating point, as those of a
    posynomial for targets that hardly vary) loses the selection.
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


def _with_mean(data: _Data, kind: SurrogateKind | None, plain: Model, old: Model) -> Model:
    """The better of ``plain`` and a model of what the old one leaves, by held-out error."""
    missing = [n for n in old.schema.names if n not in data.schema.names]
    if missing:
        return replace(
            plain,
            selection_reason=f"{plain.selection_reason}; older model dropped: rows lack {missing[0]!r}",
        )
    unit = Base(old, 1.0, 0.0)(data.schema, data.encoded)
    candidate = _fit(
        data, kind, Base.of(old, _line(unit, data.modelled), data.schema, data.encoded)
    )
    with_old, without = candidate.metadata["error"], plain.metadata["error"]
    if not with_old < without:
        return replace(
            plain,
            selection_reason=f"{plain.selection_reason}; older model dropped: error {with_old:.3g} with, {without:.3g} without",
        )
    return replace(
        candidate,
        selection_reason=f"{candidate.selection_reason}; older model as mean: error {with_old:.3g}, {without:.3g} without",
    )


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and intercept of y on x; the slope is pulled towards 1 with the weight of four rows."""
    centred, variance = x - x.mean(), float(x.var())
    slope = (float(centred @ (y - y.mean())) + 4.0 * variance) / max(
        float(centred @ centred) + 4.0 * variance, 1e-300
    )
    slope = slope if variance > 0 else 1.0
    return slope, float(y.mean() - slope * x.mean())


def _selection_reason(
    asked: SurrogateKind | None, best: str, errors: dict[str, float], schema: Schema
) -> str:
    """Say in one line how the kind was chosen."""
    if asked is not None:
        return f"{best}: asked for"
    if schema.log:
        unit = " in log units"
    else:
        unit = f" {schema.unit}".rstrip()
    others = ", ".join(f"{k} {e:.3g}" for k, e in errors.items() if k != best)
    return f"{best}: held-out RMSE {errors[best]:.3g}{unit} against {others}"


def _targets(y: Any) -> Array:
    """Check measurements: (n,) finite numbers, at least two."""
    try:
        target = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        raise PredictorError(
            "y", "holds something that is not a number", "pass n numbers"
        ) from None
    if target.ndim != 1 or len(target) < 2:
        raise PredictorError(
            "y", f"has shape {target.shape}, expected (n,), n >= 2", "pass one measurement a row"
        )
    if not np.isfinite(target).all():
        row = int(np.argmin(np.isfinite(target)))
        raise PredictorError(
            "y", f"row {row} is {target[row]}", "drop failed evaluations before fitting"
        )
    return target


def _schema(X: Any, y: Array, schema: Schema | None, log: bool | None) -> Schema:
    """Infer a schema where there is none, and settle whether the target is logarithmic."""
    if schema is None:
        wide = bool(y.min() > 0 and y.max() >= 10 * y.min())
        return infer(X, log=wide if log is None else log)
    if log is None:
        return schema
    return replace(schema, log=log)


def _variances(noise: Any, y: Array, log: bool) -> Array:
    """Given measurement variances (n,) in modelled units; log: relative errors (first order)."""
    if noise is None:
        return np.zeros(len(y))
    deviation = np.broadcast_to(np.asarray(noise, dtype=np.float64), y.shape)
    if not (np.isfinite(deviation) & (deviation >= 0)).all():
        raise PredictorError(
            "noise", "is negative or not finite", "pass standard deviations in units of y"
        )
    return np.asarray((deviation / y if log else deviation) ** 2)
