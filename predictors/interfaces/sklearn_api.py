"""Predictors under scikit-learn's conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from predictors.fitting import fit
from predictors.schema import Schema, is_dicts, is_frame

# What scikit-learn is asked to leave as it is: the types of values, and NaN, which is an inactive gene where a schema is given
# and is refused in a line of ours where none is
_AS_IS: dict[str, Any] = {"dtype": None, "ensure_all_finite": "allow-nan"}


class SklearnPredictor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A predictor for Pipelines, ``cross_val_score`` and grid searches.

    Takes what scikit-learn takes (arrays, frames) and lists of dicts. NaN is an inactive gene where a schema is given,
    and refused where none is. Parameters as for ``predictors.fit``. After ``fit``: ``model_``, the fitted
    ``predictors.Model``, and ``n_features_in_``.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> from predictors import SklearnPredictor
        >>> fitted = SklearnPredictor(kind="gp", log=True).fit(rows, latency_ms)
        >>> fitted.predict([{"depth": 4, "rows": 128}]).round(1).tolist()
        [2.0]
    """

    def __init__(
        self,
        kind: str = "auto",
        schema: Schema | None = None,
        log: bool | None = None,
        random_state: int = 0,
    ) -> None:
        self.kind = kind
        self.schema = schema
        self.log = log
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> SklearnPredictor:
        """Fit the predictor.

        Rows have no weights here; ``predictors.fit`` takes the measurements' ``noise`` instead.

        Args:
            X: n rows: an array, a data frame or a list of dicts.
            y: (n,) measurements.

        Returns:
            This estimator.

        Raises:
            ValueError: When ``X`` or ``y`` is refused, by scikit-learn or with a PredictorError.
            TypeError: When an array holds containers.
        """
        rows, target = self._checked(X, y)
        self.model_ = fit(
            _numbers(rows),
            target,
            self.schema,
            self.kind,
            seed=self.random_state,
            log=self.log,
        )
        if not hasattr(self, "n_features_in_"):
            self.n_features_in_ = len(self.model_.schema.features)
        return self

    def _checked(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Rows and measurements as scikit-learn lets them through; dicts and frames as they are."""
        if is_dicts(X):
            return X, y
        if is_frame(X):
            return validate_data(self, X, skip_check_array=True), y
        options: dict[str, Any] = {"y_numeric": True, "ensure_min_samples": 2} | _AS_IS
        rows, target = validate_data(self, X, y, **options)
        return rows, target

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict measurements.

        Args:
            X: n rows, as for ``fit``.
            return_std: Whether the standard deviations of a new measurement are returned, too.

        Returns:
            (n,) predictions in units of y; with ``return_std`` a pair of them and the standard
            deviations (n,).

        Raises:
            NotFittedError: Before ``fit``.
            ValueError: When ``X`` is refused, by scikit-learn or with a PredictorError.
            TypeError: When an array holds containers.
        """
        check_is_fitted(self)
        if is_dicts(X):
            rows = X
        elif is_frame(X):
            rows = validate_data(self, X, reset=False, skip_check_array=True)
        else:
            rows = _numbers(validate_data(self, X, reset=False, **_AS_IS))
        prediction = self.model_.predict(rows)
        if return_std:
            return prediction.mean, prediction.std
        return prediction.mean

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.schema is not None
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _numbers(rows: Any) -> Any:
    """Turn an object array that holds only numbers into floats; give everything else back as it is."""
    if getattr(rows, "dtype", np.dtype(float)).kind != "O":  # no array of objects
        return rows
    types = {type(value) for value in rows.flat}
    if any(issubclass(type_, (dict, list, set)) for type_ in types):
        raise TypeError("argument must be a string or a number, not a container")
    if any(issubclass(type_, str) for type_ in types):
        return rows
    return rows.astype(np.float64)
