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
    """Compute how much each feature matters to a model, by every measure that its kind has.

    "ard" (Gaussian process; short for automatic relevance determination): variance of the linear
    parts' contribution plus that of the Matern parts to first order, v * var(x) / lengthscale^2 with
    the part's variance v. "gain" (trees): total loss reduction of a feature's splits. "shap" (trees,
    with rows ``X``): mean absolute SHAP value (Lundberg & Lee, 2017, as XGBoost computes it).

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
    by_measure: dict[str, Array] = {}
    if isinstance(core, GaussianProcess):
        by_measure["ard"] = _explained_variances(core)
    if isinstance(core, Boosted):
        by_measure |= _of_trees(core.members, model.schema, X)
    if isinstance(core, Hybrid):
        by_measure["ard"] = _explained_variances(core.process)
        by_measure |= _of_trees((core.booster,), model.schema, X)
    importances = {}
    for measure, values in by_measure.items():
        importances[measure] = dict(zip(model.schema.names, _shares(values), strict=True))
    return importances


def _of_trees(
    boosters: tuple[Any, ...],
    schema: Schema,
    X: Any,
) -> dict[str, Array]:
    """Compute "gain" and, where rows ``X`` are given, "shap" of each feature, (d,), summed over the boosters."""
    owners = schema.owners
    gains = [_gain(booster, len(owners)) for booster in boosters]
    by_measure = {"gain": _summed_by_feature(owners, np.sum(gains, axis=0))}
    if X is not None:
        encoded = schema.encode(X)
        values = [_mean_absolute_shap(booster, encoded) for booster in boosters]
        by_measure["shap"] = _summed_by_feature(owners, np.sum(values, axis=0))
    return by_measure


def contributions(model: Model, X: Any) -> Array:
    """Compute how much each feature moves each prediction of boosted trees, as exact SHAP values.

    Args:
        model: A fitted model of kind "xgboost".
        X: n rows, as ``Schema.table`` takes them.

    Returns:
        (n, d) in modelled units, those of y or of log y. A row's values sum to its prediction less
        the mean prediction (TreeSHAP: Lundberg & Lee, 2017).

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
        # The last column is XGBoost's bias term: the mean prediction
        total += member.predict(data, pred_contribs=True)[:, :-1]
    of_columns = total * (model.scale / len(members))
    of_features = np.zeros((len(total), len(model.schema.names)))
    for column, feature in enumerate(owners):
        of_features[:, feature] += of_columns[:, column]
    return of_features


def _explained_variances(process: GaussianProcess) -> Array:
    """(d,) variance over the training rows that each feature accounts for: "ard" before it is normalised."""
    features = process.kernel_features
    of_columns = process.slopes**2 * process.train.linear.var(axis=0)
    of_linear_parts = of_columns @ features.linear_shares
    of_matern_parts = _matern_variances(process) @ features.lengthscale_shares
    return np.asarray(of_linear_parts + of_matern_parts)


def _matern_variances(process: GaussianProcess) -> Array:
    """(lengthscales,) how much the Matern parts vary with the columns of each lengthscale."""
    # For each column x: the part's variance times var(x) / lengthscale^2, x's variance in units of its lengthscale.
    # Columns that share a lengthscale are summed.
    lengthscales = np.exp(process.hyper.log_lengthscales)
    variances = np.exp(process.hyper.log_matern_variances)
    by_lengthscale = np.zeros(len(lengthscales))
    for variance, part in zip(variances, process.train.matern, strict=True):
        column_terms = variance * part.points.var(axis=0) / lengthscales[part.owners] ** 2
        np.add.at(by_lengthscale, part.owners, column_terms)
    return by_lengthscale


def _summed_by_feature(owners: NDArray[np.intp], values: Array) -> Array:
    """(d,) sums of ``values`` (k,) over the encoded columns of each feature; ``owners`` (k,) is the feature of each."""
    return np.asarray(np.bincount(owners, values), dtype=np.float64)


def _gain(booster: Any, width: int) -> Array:
    """(k,) total gain of each encoded column, which XGBoost calls f0, f1, ..."""
    gains = booster.get_score(importance_type="total_gain")
    return np.array([float(gains.get(f"f{j}", 0.0)) for j in range(width)])


def _mean_absolute_shap(booster: Any, encoded: Array) -> Array:
    """(k,) mean over rows (n, k) of the absolute SHAP value of each encoded column."""
    import xgboost

    data = xgboost.DMatrix(encoded, nthread=1)
    contributions = booster.predict(data, pred_contribs=True)
    of_columns = np.abs(contributions[:, :-1])  # the last column is the mean prediction
    return np.asarray(of_columns.mean(axis=0), dtype=np.float64)


def _shares(values: Array) -> list[float]:
    """Divide values by their sum; all zeros where the sum is not positive."""
    total = float(values.sum())
    if not total > 0:
        return [0.0] * len(values)
    return [float(value) / total for value in values]
