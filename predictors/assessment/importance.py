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
from predictors.schema import Array


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
    found: dict[str, Array] = {}
    core = model.core
    if isinstance(core, (GaussianProcess, Hybrid)):
        found["ard"] = _relevance(core.process if isinstance(core, Hybrid) else core)
    if isinstance(core, (Boosted, Hybrid)):
        if isinstance(core, Boosted):
            trees = core.members
        else:
            trees = (core.booster,)
        owners = model.schema.owners
        found["gain"] = _by(owners, np.sum([_gain(t, len(owners)) for t in trees], axis=0))
        if X is not None:
            encoded = model.schema.encode(X)
            found["shap"] = _by(owners, np.sum([_shap(t, encoded) for t in trees], axis=0))
    importances = {}
    for measure, v in found.items():
        importances[measure] = dict(zip(model.schema.names, _shares(v), strict=True))
    return importances


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
    data = xgboost.DMatrix(model.schema.encode(X), nthread=1)
    total = np.zeros((data.num_row(), len(model.schema.owners)))
    for member in model.core.members:
        total += member.predict(data, pred_contribs=True)[:, :-1]
    of_columns = total * (model.scale / len(model.core.members))
    found = np.zeros((len(total), len(model.schema.names)))
    for column, owner in enumerate(model.schema.owners):
        found[:, owner] += of_columns[:, column]
    return found


def _relevance(process: GaussianProcess) -> Array:
    """(d,) prior variance that each feature accounts for, over the training rows."""
    hyper, train = process.hyper, process.train
    straight = (
        process.slopes**2 * train.linear.var(axis=0)
    ) @ process.kernel_features.linear_shares
    lengths = np.exp(hyper.lengthscale)
    curved = np.zeros(len(lengths))
    for scale, part in zip(np.exp(hyper.scale), train.local, strict=True):
        np.add.at(curved, part.owners, scale * part.points.var(axis=0) / lengths[part.owners] ** 2)
    return np.asarray(straight + curved @ process.kernel_features.local_shares)


def _by(owners: NDArray[np.intp], values: Array) -> Array:
    """Sum of ``values`` (k,) over the columns of each feature, (d,)."""
    return np.asarray(np.bincount(owners, values), dtype=np.float64)


def _gain(booster: Any, width: int) -> Array:
    scores = booster.get_score(importance_type="total_gain")
    return np.array([float(scores.get(f"f{j}", 0.0)) for j in range(width)])


def _shap(booster: Any, encoded: Array) -> Array:
    import xgboost

    contributions = booster.predict(xgboost.DMatrix(encoded, nthread=1), pred_contribs=True)
    return np.asarray(np.abs(contributions[:, :-1]).mean(axis=0), dtype=np.float64)


def _shares(values: Array) -> list[float]:
    total = float(values.sum())
    return [float(v) / total if total > 0 else 0.0 for v in values]
