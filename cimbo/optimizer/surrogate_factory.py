"""What the surrogates of a study are made from, apart from its observations."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import predictors
from cimbo.errors import BadInput
from cimbo.optimizer.views import AnalyticFunction, View
from cimbo.problem.space import SearchSpace

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SurrogateFactory:
    """What surrogates are made from, apart from the observations.

    Attributes:
        space: The space of the designs.
        kind: Kind of predictor; "auto" chooses one by held-out error.
        views: Metric to what it depends on; every gene for a metric that is not named.
        analytic: Metric to the function that computes it.
        priors: Metric to an older predictor, used as mean function.
        kept: A cache of the last fit for each metric, way of choosing the kind, and number of features: a digest of its data
            and options, and the predictor. The fit that was used last stands last.
    """

    space: SearchSpace
    kind: str | predictors.SurrogateKind = "auto"
    views: Mapping[str, View] = field(default_factory=dict)
    analytic: Mapping[str, AnalyticFunction] = field(default_factory=dict)
    priors: Mapping[str, predictors.Model] = field(default_factory=dict)
    kept: dict[tuple[str, str, int], tuple[bytes, predictors.Model]] = field(default_factory=dict)

    def fit(
        self,
        table: Array,
        y: Array,
        schema: predictors.Schema,
        kind: str | predictors.SurrogateKind,
        *,
        seed: int,
        noise: Array | None = None,
    ) -> predictors.Model:
        """Fit a predictor with the metric's prior as its mean.

        Where the last fit was to the same data, it is looked up instead.

        Args:
            table: Genes and features of the designs, (n, genes + features).
            y: Measurements in their natural unit, (n,).
            schema: What the table and the target are.
            kind: Kind of predictor; "auto" lets the predictors choose one.
            seed: Seed of the fit.
            noise: Standard deviations of ``y``, (n,); None where measurements were not repeated.

        Returns:
            The predictor.
        """
        columns = [table, y]
        if noise is not None:
            columns.append(noise)
        options = f"{seed} {kind} {schema.log}".encode()
        digest = hashlib.blake2b(np.column_stack(columns).tobytes() + options).digest()
        selection = "auto" if kind == "auto" else "fixed"
        cache_key = (schema.target, selection, len(schema.features))
        if cache_key not in self.kept or self.kept[cache_key][0] != digest:
            prior = self.priors.get(schema.target)
            model = predictors.fit(
                table,
                y,
                schema,
                kind,
                seed=seed,
                mean=prior,
                noise=noise,
            )
            self.kept[cache_key] = (digest, model)
        self.kept[cache_key] = self.kept.pop(cache_key)  # moves it to the end
        return self.kept[cache_key][1]


def checked_kind(kind: str | predictors.SurrogateKind) -> str | predictors.SurrogateKind:
    """Check the name of a kind of surrogate before anything is evaluated.

    Args:
        kind: "auto", a name, or a kind itself.

    Returns:
        ``kind`` as it was given.

    Raises:
        BadInput: No surrogate has this name.
    """
    if kind == "auto":
        return kind
    try:
        predictors.find(kind)
    except predictors.PredictorError as error:
        raise BadInput("surrogate", error.wrong, error.remedy) from None
    return kind
