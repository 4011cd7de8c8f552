"""An older model as mean function of a new one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.core import as_rows
from predictors.schema import Array, Feature, Schema

if TYPE_CHECKING:
    from predictors.model.fitted import Model

LEAST_POSITIVE = 1e-300


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
    def of(
        cls,
        model: Model,
        line: tuple[float, float],
        schema: Schema,
        encoded: Array,
    ) -> Base:
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
        slope, intercept = line
        base = cls(model, slope, intercept)
        _, variance = model.latent_posterior(base._rows(schema, encoded))
        return replace(base, fitted_variance=float(variance.mean()))

    def __call__(self, schema: Schema, encoded: Array) -> Array:
        """Compute the mean function at rows.

        Args:
            schema: The new model's features, which include all of the older one's.
            encoded: (..., k) rows encoded by ``schema``.

        Returns:
            (...) in the new model's modelled units.
        """
        return self.mean_and_variance(schema, encoded)[0]

    def mean_and_variance(
        self,
        schema: Schema,
        encoded: Array,
    ) -> tuple[Array, Array]:
        """Compute the mean function at rows, and the variance that it adds.

        Args:
            schema: The new model's features, which include all of the older one's.
            encoded: (..., k) rows encoded by ``schema``.

        Returns:
            Mean and added variance, each (...), in the new model's modelled units.
        """
        shape = encoded.shape[:-1]
        rows = self._rows(schema, as_rows(encoded))
        older, variance = self.model.latent_posterior(rows)
        in_units, derivative = self._units(schema, older)
        mean = self.slope * in_units + self.intercept
        stretch = self.slope * derivative
        added = stretch**2 * np.maximum(variance - self.fitted_variance, 0.0)
        return mean.reshape(shape), added.reshape(shape)

    def added(self, schema: Schema, encoded: Array) -> Array:
        """Compute the covariance that the mean function adds, correlated as the older model is.

        Args:
            schema: The new model's features, which include all of the older one's.
            encoded: (..., q, k) rows encoded by ``schema``.

        Returns:
            (..., q, q) covariance, whose diagonal is the variance of ``mean_and_variance``.
        """
        shape = encoded.shape[:-1]
        if math.isinf(self.fitted_variance):
            return np.zeros((*shape, shape[-1]))
        rows = self._rows(schema, as_rows(encoded))
        _, covariance = self.model.joint(rows.reshape(*shape, -1))
        _, added = self.mean_and_variance(schema, encoded)
        variance = np.diagonal(covariance, axis1=-2, axis2=-1)
        share = np.sqrt(added / np.maximum(variance, LEAST_POSITIVE))
        return covariance * share[..., :, None] * share[..., None, :]

    def _rows(self, schema: Schema, encoded: Array) -> Array:
        """Rows of the new model, encoded by the older model's schema."""
        older = self.model.schema
        where = [schema.names.index(name) for name in older.names]
        table = schema.decode(encoded)[:, where]
        return older.encode_table(recode(schema, older, table))

    def _units(self, schema: Schema, mean: Array) -> tuple[Array, Array]:
        """The older model's prediction in the new one's modelled units, and the derivative of that change of units."""
        if self.model.schema.log == schema.log:
            return mean, np.ones_like(mean)
        if schema.log:
            positive = np.maximum(mean, LEAST_POSITIVE)
            return np.log(positive), 1.0 / positive
        return np.exp(mean), np.exp(mean)


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
    for j, feature in enumerate(old.features):
        if feature.kind == "nominal":
            levels = new.features[new.names.index(feature.name)].values
            inactive = len(levels)
            position = np.nan_to_num(table[:, j], nan=inactive).astype(int)
            out[:, j] = _translation(feature, levels)[position]
    return out


def _translation(feature: Feature, levels: tuple[Any, ...]) -> Array:
    """(levels + 1,) a feature's index of each of some levels; NaN where it lacks one, and at the end."""
    index = {level: float(i) for i, level in enumerate(feature.values)}
    translated = [index.get(level, np.nan) for level in levels]
    return np.array([*translated, np.nan])
