"""Which features matter to a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictors.boosting.boosted import Boosted
from predictors.boosting.hybrid import Hybrid
from predictors.errors import PredictorError
from predictors.gp import GaussianProcess
from predictors.model import Model
from predictors.schema import Array, Schema


def importances(model: Model, X: Any = None) -> dict[str, dict[str, float]]:
    """Compute how much each feature matters to a model, by as many measures as its kind has.

    "ard" (process): variance of the linear part's contribution plus that of the Matern parts to
    first order, s * var(x) / lengthscale^2. "gain" (trees): total loss reduction of a feature's
    splits. "shap" (trees, with rows ``X``): mean absolute SHAP value (Lundberg & Lee, 2017, as
    XGBoost computes it).

    Args:
        model: A fitted model. BoTorch's and plug-ins have no measure; a hybrid has those of both.
        X: Rows at which SHAP values are computed, as ``Schema.table`` takes them; without them
            "shap" is left out.

    Returns:
        Measure to feature to share. The shares sum to 1; all are 0 where nothing matters.

    Raises:
        PredictorError: When ``X`` has unknown columns or levels.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> shares = predictors.importances(predictors.fit(rows, latency_ms, kind="gp", log=True))["ard"]
        >>> sorted(shares)
        ['depth', 'rows']
    """
    core = model.core
    found: dict[str, Array] = {}
    if isinstance(core, GaussianProcess):
        found["ard"] = _relevance(core)
    if isinstance(core, Boosted):
        found |= _of_trees(core.members, model.schema, X)
    if isinstance(core, Hybrid):
        found["ard"] = _relevance(core.process)
        found |= _of_trees((core.booster,), model.schema, X)
    importances = {}
    for measure, values in found.items():
        importances[measure] = dict(zip(model.schema.names, _shares(values), strict=True))
    return importances


def _of_trees(
    boosters: tuple[Any, ...],
    schema: Schema,
    X: Any,
) -> dict[str, Array]:
    """Gain and, with rows, SHAP values of boosters together, each (d,)."""
    owners = schema.owners
    gains = [_gain(booster, len(owners)) for booster in boosters]
    found = {"gain": _by(owners, np.sum(gains, axis=0))}
    if X is not None:
        encoded = schema.encode(X)
        values = [_shap(booster, encoded) for booster in boosters]
        found["shap"] = _by(owners, np.sum(values, axis=0))
    return found


def contributions(model: Model, X: Any) -> Array:
    """Compute how much each feature moves each prediction of trees: exact SHAP values, by TreeSHAP.

    Args:
        model: A fitted model of kind "xgboost".
        X: n rows, as ``Schema.table`` takes them.

    Returns:
        (n, d) in modelled units, those of y or of log y: a row's values and the mean prediction sum
        to its prediction (Lundberg & Lee, 2017).

    Raises:
        PredictorError: When the model has no trees alone, or ``X`` has unknown columns or levels.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> model = predictors.fit(rows, latency_ms, kind="xgboost", log=True)
        >>> predictors.contributions(model, rows).shape
        (12, 2)
    """
    import xgboost

    if not isinstance(model.core, Boosted):
        what = f"of kind {model.kind!r} has no SHAP values of its whole prediction"
        raise PredictorError("model", what, "fit one of kind 'xgboost'")
    members = model.core.members
    owners = model.schema.owners
    data = xgboost.DMatrix(model.schema.encode(X), nthread=1)
    total = np.zeros((data.num_row(), len(owners)))
    for member in members:
        total += member.predict(data, pred_contribs=True)[:, :-1]
    of_columns = total * (model.scale / len(members))
    found = np.zeros((len(total), len(model.schema.names)))
    for column, owner in enumerate(owners):
        found[:, owner] += of_columns[:, column]
    return found


def _relevance(process: GaussianProcess) -> Array:
    """(d,) prior variance that each feature accounts for, over the training rows."""
    features = process.kernel_features
    of_columns = process.slopes**2 * process.train.linear.var(axis=0)
    straight = of_columns @ features.linear_shares
    curved = _matern_variances(process) @ features.lengthscale_shares
    return np.asarray(straight + curved)


def _matern_variances(process: GaussianProcess) -> Array:
    """(lengthscales,) s * var(x) / lengthscale^2, summed over the columns that share a lengthscale."""
    lengths = np.exp(process.hyper.log_lengthscales)
    found = np.zeros(len(lengths))
    for scale, part in zip(
        np.exp(process.hyper.log_matern_variances), process.train.matern, strict=True
    ):
        of_columns = scale * part.points.var(axis=0) / lengths[part.owners] ** 2
        np.add.at(found, part.owners, of_columns)
    return found


def _by(owners: NDArray[np.intp], values: Array) -> Array:
    """Sum of ``values`` (k,) over the columns of each feature, (d,)."""
    return np.asarray(np.bincount(owners, values), dtype=np.float64)


def _gain(booster: Any, width: int) -> Array:
    """(k,) total gain of each encoded column, which XGBoost calls f0, f1, ..."""
    gains = booster.get_score(importance_type="total_gain")
    return np.array([float(gains.get(f"f{j}", 0.0)) for j in range(width)])


def _shap(booster: Any, encoded: Array) -> Array:
    import xgboost

    data = xgboost.DMatrix(encoded, nthread=1)
    contributions = booster.predict(data, pred_contribs=True)
    of_columns = np.abs(contributions[:, :-1])
    return np.asarray(of_columns.mean(axis=0), dtype=np.float64)


def _shares(values: Array) -> list[float]:
    total = float(values.sum())
    if not total > 0:
        return [0.0] * len(values)
    return [float(value) / total for value in values]
