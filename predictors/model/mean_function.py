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
    """An older model as mean function of a new one: slope * older model's prediction + intercept.

    Where the older model is less sure than it was at the new model's training rows, the difference is
    added to the new model's variance. Its error at these rows is part of what the new model learned
    from, and is not counted twice.

    Attributes:
        model: The older model.
        slope: What its prediction, in the new model's modelled units, is multiplied by.
        intercept: What is added then.
        fitted_variance: The older model's mean variance at the new model's training rows, in its own
            modelled units squared; infinite where no variance is to be added.
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
        older_mean, variance = self.model.latent_posterior(rows)
        in_new_units, derivative = self._in_new_units(schema, older_mean)
        mean = self.slope * in_new_units + self.intercept
        # To first order a change of units multiplies a deviation by its derivative
        stretch = self.slope * derivative
        added = stretch**2 * np.maximum(variance - self.fitted_variance, 0.0)
        return mean.reshape(shape), added.reshape(shape)

    def added_covariance(self, schema: Schema, encoded: Array) -> Array:
        """Compute the covariance that the mean function adds.

        Its diagonal is the added variance; its correlations are those of the older model's posterior.

        Args:
            schema: The new model's features, which include all of the older one's.
            encoded: (..., q, k) rows encoded by ``schema``.

        Returns:
            (..., q, q) covariance in the new model's modelled units squared.
        """
        shape = encoded.shape[:-1]
        if math.isinf(self.fitted_variance):
            return np.zeros((*shape, shape[-1]))
        rows = self._rows(schema, as_rows(encoded))
        _, covariance = self.model.joint(rows.reshape(*shape, -1))
        _, added_variance = self.mean_and_variance(schema, encoded)
        variance = np.diagonal(covariance, axis1=-2, axis2=-1)
        ratio = np.sqrt(added_variance / np.maximum(variance, LEAST_POSITIVE))
        return covariance * ratio[..., :, None] * ratio[..., None, :]

    def _rows(self, schema: Schema, encoded: Array) -> Array:
        """Rows of the new model, encoded by the older model's schema."""
        older_schema = self.model.schema
        columns = [schema.names.index(name) for name in older_schema.names]
        table = schema.decode(encoded)[:, columns]
        return older_schema.encode_table(recode(schema, older_schema, table))

    def _in_new_units(self, schema: Schema, mean: Array) -> tuple[Array, Array]:
        """Bring the older model's prediction to the new model's modelled units.

        Either may model the target itself or its logarithm.

        Args:
            schema: The new model's features.
            mean: (n,) predictions in the older model's modelled units.

        Returns:
            (n,) in the new model's units, and (n,) the derivative of this change of units.
        """
        if self.model.schema.log == schema.log:
            return mean, np.ones_like(mean)
        if schema.log:
            positive = np.maximum(mean, LEAST_POSITIVE)
            return np.log(positive), 1.0 / positive
        return np.exp(mean), np.exp(mean)


def recode(new: Schema, old: Schema, table: Array) -> Array:
    """Translate codes of one schema into those of another.

    Codes of numbers are the numbers themselves and stay; a nominal's code is the index of its level,
    which another schema may list in another order.

    Args:
        new: The schema that the codes are of.
        old: The schema that they are wanted for; ``new`` has all its features.
        table: (n, d) codes of ``new``, of the d features of ``old`` in their order.

    Returns:
        (n, d) codes with nominal indices translated; NaN where ``old`` lacks the level.
    """
    recoded = table.copy()
    for j, feature in enumerate(old.features):
        if feature.kind == "nominal":
            new_levels = new.features[new.names.index(feature.name)].values
            inactive = len(new_levels)
            new_index = np.nan_to_num(table[:, j], nan=inactive).astype(int)
            recoded[:, j] = _old_indices(feature, new_levels)[new_index]
    return recoded


def _old_indices(old_feature: Feature, new_levels: tuple[Any, ...]) -> Array:
    """(levels + 1,) the old index of each new level; NaN for levels that it lacks, and at the end for inactive genes."""
    old_index = {level: float(i) for i, level in enumerate(old_feature.values)}
    translated = [old_index.get(level, np.nan) for level in new_levels]
    return np.array([*translated, np.nan])
