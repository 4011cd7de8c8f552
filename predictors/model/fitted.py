"""What ``fit`` returns: a surrogate with its schema and its units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.core import Core
from predictors.domain import check_rows
from predictors.model.mean_function import Base
from predictors.model.prediction import Prediction
from predictors.model.renamed import renamed
from predictors.schema import Array, Schema, fingerprint

_OLD_NAMES = {
    "centre": "mean",
    "facts": "metadata",
    "latent": "latent_posterior",
    "paths": "sample_latent",
    "saw": "fitted_on",
    "why": "selection_reason",
    "widen": "std_scale",
}
# Shares of the mean variance that are added to the diagonal until a Cholesky factor exists
ROOT_JITTERS = (1e-9, 1e-7, 1e-5)


@dataclass(frozen=True)
class Model:
    """A fitted predictor: what ``fit`` returns.

    Attributes:
        kind: Name of the kind of surrogate.
        schema: The features and the target. The modelled target is that target, or its logarithm.
        core: The surrogate of the standardised target.
        location: Mean of the modelled target; it is standardised by (target - location) / scale.
        scale: Standard deviation of the modelled target.
        std_scale: What every predicted standard deviation is multiplied by.
        base: An older model that is the mean function, or None.
        selection_reason: One line on how the kind was chosen.
        metadata: How many rows there were, the held-out error, a fingerprint of the data.

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
            return renamed(self, name, _OLD_NAMES)

    def __repr__(self) -> str:
        parts = [f"kind={self.kind!r}", f"target={self.schema.target!r}"]
        parts.append(f"features={len(self.schema.features)}")
        for name in ("rows", "error"):
            if name in self.metadata:
                parts.append(f"{name}={self.metadata[name]:.4g}")
        return f"Model({', '.join(parts)})"

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
        mean, variance = self.latent_posterior(self.schema.encode_table(table))
        if noise:
            variance = variance + self.noise_variance
        return Prediction(mean, np.sqrt(variance), self.schema.log)

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
        target = np.asarray(y, dtype=np.float64)
        digest = fingerprint(self.schema.encode(X), target)
        return self.metadata.get("data") == digest

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
        standard_mean, standard_variance = self.core.mean_and_variance(encoded)
        mean = standard_mean * self.scale + self.location
        variance = standard_variance * self._variance_scale
        if self.base is None:
            return mean, variance
        base_mean, added_variance = self.base.mean_and_variance(self.schema, encoded)
        return mean + base_mean, variance + added_variance

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the joint normal distribution of the noise-free function at rows.

        Args:
            encoded: (..., q, k) rows encoded by the model's schema.

        Returns:
            Mean (..., q) and covariance (..., q, q), in modelled units.
        """
        standard_mean, standard_covariance = self.core.joint(encoded)
        mean = standard_mean * self.scale + self.location
        covariance = standard_covariance * self._variance_scale
        if self.base is None:
            return mean, covariance
        base_mean = self.base(self.schema, encoded)
        added_covariance = self.base.added_covariance(self.schema, encoded)
        return mean + base_mean, covariance + added_covariance

    @property
    def noise_variance(self) -> float:
        """Variance of one measurement around the function, in modelled units squared."""
        return self.core.noise * self._variance_scale

    @property
    def _variance_scale(self) -> float:
        """What a variance in standardised units is multiplied by."""
        return (self.scale * self.std_scale) ** 2


def _root(covariance: Array) -> Array:
    """A matrix R (n, n) with R R' = ``covariance`` (n, n).

    The covariance may be singular, as for repeated rows and for few ensemble members: its Cholesky
    factor is tried with more and more on the diagonal, then its eigenvectors are taken.

    Args:
        covariance: (n, n) symmetric matrix.

    Returns:
        (n, n) root.
    """
    from scipy.linalg import LinAlgError, cholesky

    mean_variance = max(float(np.diag(covariance).mean()), 1e-300)
    for jitter in ROOT_JITTERS:
        widened = covariance + jitter * mean_variance * np.eye(len(covariance))
        try:
            return np.asarray(cholesky(widened, lower=True))
        except LinAlgError:
            continue
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
