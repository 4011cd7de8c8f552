"""A fitted predictor: people's rows in, natural units out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.core import Core
from predictors.domain import check_rows
from predictors.schema import Array, Schema, fingerprint

_OLD_MODEL_NAMES = {
    "centre": "mean",
    "facts": "metadata",
    "latent": "latent_posterior",
    "paths": "sample_latent",
    "saw": "fitted_on",
    "why": "selection_reason",
    "widen": "std_scale",
}
_OLD_PREDICTION_NAMES = {"centre": "modelled_mean", "spread": "modelled_std"}


def _renamed(instance: Any, name: str, old_names: Mapping[str, str]) -> Any:
    """The attribute that ``name`` was renamed to; the old names go with the next release."""
    if name not in old_names:
        raise AttributeError(f"{type(instance).__name__!r} has no attribute {name!r}")
    warnings.warn(f"{name} is now {old_names[name]}", DeprecationWarning, stacklevel=3)
    return getattr(instance, old_names[name])


@dataclass(frozen=True)
class Prediction:
    """Predictions for n rows. ``modelled_mean`` and ``modelled_std`` (n,) are in modelled units: those of y, or of log y.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> prediction = predictors.fit(rows, latency_ms, kind="gp").predict(rows)
        >>> prediction.mean.shape, prediction.std.shape
        ((12,), (12,))
        >>> low, high = prediction.interval(0.9)
        >>> bool((low < high).all())
        True
    """

    modelled_mean: Array
    modelled_std: Array
    log: bool = False

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return _renamed(self, name, _OLD_PREDICTION_NAMES)

    def __repr__(self) -> str:
        shown = [f"{m:.4g} ± {s:.2g}" for m, s in zip(self.mean[:3], self.std[:3], strict=True)]
        more = ", ..." if len(self.mean) > len(shown) else ""
        return f"Prediction(n={len(self.mean)}: {', '.join(shown)}{more})"

    @property
    def mean(self) -> Array:
        """(n,) in units of y. For a log target the median, which does not run away where the model is unsure."""
        if self.log:
            return np.exp(self.modelled_mean)
        return self.modelled_mean

    @property
    def std(self) -> Array:
        """(n,) standard deviation of a new measurement, in units of y (log-normal for a log target)."""
        if not self.log:
            return self.modelled_std
        variance = np.minimum(self.modelled_std, 3.0) ** 2
        return np.asarray(np.exp(self.modelled_mean + 0.5 * variance) * np.sqrt(np.expm1(variance)))

    def interval(self, level: float = 0.9) -> tuple[Array, Array]:
        """Compute the central interval that holds a new measurement with a given probability.

        Args:
            level: The probability, between 0 and 1.

        Returns:
            Lower and upper end, each (n,), in units of y.
        """
        from scipy.stats import norm

        reach = float(norm.ppf(0.5 + 0.5 * level)) * self.modelled_std
        ends = (self.modelled_mean - reach, self.modelled_mean + reach)
        if self.log:
            return np.exp(ends[0]), np.exp(ends[1])
        return ends


@dataclass(frozen=True)
class Base:
    """An older model as mean function: its modelled prediction times ``slope`` plus ``intercept``.

    ``fitted_variance``: the older model's mean variance at the new model's rows.
    Its error there is part of what the new model has learned from; where it is less sure than that,
    the difference is added to the new model's variance.
    """

    model: Model
    slope: float
    intercept: float
    fitted_variance: float = math.inf

    @classmethod
    def of(cls, model: Model, line: tuple[float, float], schema: Schema, encoded: Array) -> Base:
        """Make a mean function of an older model.

        Args:
            model: The older model.
            line: Slope and intercept of the new target on the older model's predictions.
            schema: The new model's features, which include all of the older one's.
            encoded: (n, k) the new model's rows, encoded by ``schema``, at which the line was
                found.

        Returns:
            The mean function, with the older model's mean variance at these rows.
        """
        base = cls(model, *line)
        return replace(
            base,
            fitted_variance=float(model.latent_posterior(base._rows(schema, encoded))[1].mean()),
        )

    def __call__(self, schema: Schema, encoded: Array) -> Array:
        """Compute the mean function at rows.

        Args:
            schema: The new model's features, which include all of the older one's.
            encoded: (..., k) rows encoded by ``schema``.

        Returns:
            (...) in the new model's modelled units.
        """
        return self.mean_and_variance(schema, encoded)[0]

    def mean_and_variance(self, schema: Schema, encoded: Array) -> tuple[Array, Array]:
        """Compute the mean function at rows, and the variance that it adds.

        Args:
            schema: The new model's features, which include all of the older one's.
            encoded: (..., k) rows encoded by ``schema``.

        Returns:
            Mean and added variance, each (...), in the new model's modelled units.
        """
        mean, variance = self.model.latent_posterior(
            self._rows(schema, encoded.reshape(-1, encoded.shape[-1]))
        )
        stretch = self.slope * self._units(schema, mean)[1]
        mean = self.slope * self._units(schema, mean)[0] + self.intercept
        added = stretch**2 * np.maximum(variance - self.fitted_variance, 0.0)
        return mean.reshape(encoded.shape[:-1]), added.reshape(encoded.shape[:-1])

    def added(self, schema: Schema, encoded: Array) -> Array:
        """Compute the covariance that the mean function adds, correlated as the older model is.

        Args:
            schema: The new model's features, which include all of the older one's.
            encoded: (..., q, k) rows encoded by ``schema``.

        Returns:
            (..., q, q) covariance, whose diagonal is the variance of ``mean_and_variance``.
        """
        if math.isinf(self.fitted_variance):
            return np.zeros((*encoded.shape[:-1], encoded.shape[-2]))
        rows = self._rows(schema, encoded.reshape(-1, encoded.shape[-1])).reshape(
            *encoded.shape[:-1], -1
        )
        covariance = self.model.joint(rows)[1]
        variance = np.maximum(np.diagonal(covariance, axis1=-2, axis2=-1), 1e-300)
        share = np.sqrt(self.mean_and_variance(schema, encoded)[1] / variance)
        return np.asarray(covariance * share[..., :, None] * share[..., None, :])

    def _rows(self, schema: Schema, encoded: Array) -> Array:
        """Rows of the new model, encoded by the older model's schema."""
        where = [schema.names.index(name) for name in self.model.schema.names]
        return self.model.schema.encode_table(
            recode(schema, self.model.schema, schema.decode(encoded)[:, where])
        )

    def _units(self, schema: Schema, mean: Array) -> tuple[Array, Array]:
        """The older model's prediction in the new one's modelled units, and the derivative of that change of units."""
        if self.model.schema.log == schema.log:
            return mean, np.ones_like(mean)
        positive = np.maximum(mean, 1e-300)
        if schema.log:
            return np.log(positive), 1.0 / positive
        return np.exp(mean), np.exp(mean)


@dataclass(frozen=True)
class Model:
    """What ``fit`` returns.

    ``selection_reason``: one line on how the kind was chosen. ``metadata``: rows, error, data fingerprint.
    ``location`` and ``scale`` standardise the modelled target; ``std_scale`` multiplies every standard deviation.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> model = predictors.fit(rows, latency_ms, kind="gp", log=True)
        >>> model.kind
        'gp'
        >>> model.predict([{"depth": 4, "rows": 128}]).mean.round(1).tolist()
        [2.0]
    """

    kind: str
    schema: Schema
    core: Core
    location: float = 0.0
    scale: float = 1.0
    std_scale: float = 1.0
    base: Base | None = None
    selection_reason: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return _renamed(self, name, _OLD_MODEL_NAMES)

    def __repr__(self) -> str:
        told = [f"kind={self.kind!r}", f"target={self.schema.target!r}"]
        told.append(f"features={len(self.schema.features)}")
        told += [
            f"{name}={self.metadata[name]:.4g}"
            for name in ("rows", "error")
            if name in self.metadata
        ]
        return f"Model({', '.join(told)})"

    def predict(self, X: Any, *, noise: bool = True) -> Prediction:
        """Predict measurements, or the function behind them.

        Args:
            X: n rows, as for ``predictors.fit``.
            noise: Whether the standard deviation is that of a new measurement; else it is that of
                the function.

        Returns:
            Mean, standard deviation and intervals of the n rows.

        Raises:
            PredictorError: On unknown columns or levels.
        """
        table = self.schema.table(X)
        check_rows(self.schema, self.metadata, X, table)
        mean, var = self.latent_posterior(self.schema.encode_table(table))
        extra = self.noise_variance if noise else 0.0
        return Prediction(mean, np.sqrt(var + extra), self.schema.log)

    def fitted_on(self, X: Any, y: Any) -> bool:
        """Tell whether the model was fitted to exactly these rows and measurements.

        Args:
            X: n rows, as for ``predictors.fit``.
            y: (n,) measurements.

        Returns:
            True where rows, order and measurements are the same.

        Raises:
            PredictorError: On unknown columns or levels.
        """
        return self.metadata.get("data") == fingerprint(
            self.schema.encode(X), np.asarray(y, dtype=np.float64)
        )

    def sample(self, X: Any, n_samples: int, seed: int = 0) -> Array:
        """Draw joint samples of the noise-free function at rows.

        Args:
            X: n rows, as for ``predictors.fit``.
            n_samples: How many functions are drawn.
            seed: Equal seeds give equal samples.

        Returns:
            (n_samples, n) in units of y.

        Raises:
            PredictorError: On unknown columns or levels.
        """
        paths = self.sample_latent(self.schema.encode(X), n_samples, seed)
        if self.schema.log:
            return np.exp(paths)
        return paths

    def sample_latent(self, encoded: Array, n_samples: int, seed: int = 0) -> Array:
        """Draw joint samples of the noise-free function at encoded rows.

        Args:
            encoded: (n, k) rows encoded by the model's schema.
            n_samples: How many functions are drawn.
            seed: Equal seeds give equal samples.

        Returns:
            (n_samples, n) in modelled units.
        """
        mean, covariance = self.joint(encoded)
        draws = np.random.default_rng(seed).standard_normal((n_samples, len(mean)))
        return mean + draws @ _root(covariance).T

    def mean(self, encoded: Array) -> Array:
        """Compute the mean alone, as ``latent_posterior`` gives it.

        Args:
            encoded: (n, k) rows encoded by the model's schema.

        Returns:
            (n,) in modelled units.
        """
        mean = self.core.mean(encoded) * self.scale + self.location
        if self.base is None:
            return mean
        return mean + self.base(self.schema, encoded)

    def latent_posterior(self, encoded: Array) -> tuple[Array, Array]:
        """Compute mean and variance of the noise-free function.

        Args:
            encoded: (n, k) rows encoded by the model's schema.

        Returns:
            Mean and variance, each (n,), in modelled units: those of y, or of log y for a log
            target.
        """
        mean, var = self.core.mean_and_variance(encoded)
        mean, var = mean * self.scale + self.location, var * (self.scale * self.std_scale) ** 2
        if self.base is None:
            return mean, var
        older, added = self.base.mean_and_variance(self.schema, encoded)
        return mean + older, var + added

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the joint Gaussian belief about the noise-free function.

        Args:
            encoded: (..., q, k) rows encoded by the model's schema.

        Returns:
            Mean (..., q) and covariance (..., q, q), in modelled units.
        """
        mean, covariance = self.core.joint(encoded)
        mean, covariance = (
            mean * self.scale + self.location,
            covariance * (self.scale * self.std_scale) ** 2,
        )
        if self.base is None:
            return mean, covariance
        return mean + self.base(self.schema, encoded), covariance + self.base.added(
            self.schema, encoded
        )

    @property
    def noise_variance(self) -> float:
        """Variance of one measurement around the function, in modelled units squared."""
        return self.core.noise * (self.scale * self.std_scale) ** 2


def recode(new: Schema, old: Schema, table: Array) -> Array:
    """Translate codes of one schema into those of another.

    Args:
        new: The schema that the codes are of.
        old: The schema that they are wanted for; ``new`` has all its features.
        table: (n, d) codes of ``new``, of the d features of ``old`` in their order.

    Returns:
        (n, d) codes with nominal indices translated; NaN where ``old`` lacks the level.
    """
    out = table.copy()
    for j, f in enumerate(old.features):
        if f.kind == "nominal":
            levels = new.features[new.names.index(f.name)].values
            index = np.array(
                [f.values.index(v) if v in f.values else np.nan for v in levels] + [np.nan]
            )
            out[:, j] = index[np.nan_to_num(table[:, j], nan=len(levels)).astype(int)]
    return out


def _root(covariance: Array) -> Array:
    """A matrix R (n, n) with R R' = covariance, which may be singular: repeated rows, few ensemble members."""
    from scipy.linalg import LinAlgError, cholesky

    size = max(float(np.diag(covariance).mean()), 1e-300)
    for jitter in (1e-9, 1e-7, 1e-5):
        try:
            return np.asarray(
                cholesky(covariance + jitter * size * np.eye(len(covariance)), lower=True)
            )
        except LinAlgError:
            continue
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
