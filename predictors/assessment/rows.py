"""Rows and measurements under one schema, from which folds are taken."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictors.assessment.scores import Scores, score
from predictors.domain import OutsideWarning
from predictors.errors import PredictorError
from predictors.fitting import fit_kinds
from predictors.measurements import settled_schema
from predictors.model import Model, Prediction
from predictors.schema import Array, Schema

# The time of a Gaussian process grows with the cube of its rows, and an assessment fits a dozen.
# If there are more rows, each fit gets so many, chosen at random.
MAX_JUDGED_ROWS = 500


@dataclass(frozen=True)
class Rows:
    """Rows and measurements under one schema, so that folds can be taken from any kind of input.

    Attributes:
        schema: The features and the target.
        table: (n, d) codes of the rows.
        y: (n,) measurements.
        noise: (n,) standard deviations of the measurements in units of y; None when not known.
    """

    schema: Schema
    table: Array
    y: Array
    noise: Array | None

    @classmethod
    def of(
        cls,
        X: Any,
        y: Any,
        schema: Schema | None,
        *,
        log: bool | None,
        noise: Any = None,
    ) -> Rows:
        """Turn rows and measurements into codes under one schema.

        Args:
            X: n rows, as for ``predictors.fit``.
            y: (n,) measurements.
            schema: The features; inferred from ``X`` when None.
            log: Whether log y is modelled; None as for ``predictors.fit``.
            noise: Standard deviations of the measurements in units of y, one for all or (n,); or
                None.

        Returns:
            The rows.

        Raises:
            PredictorError: On lengths that differ, and on unknown columns or levels.
        """
        target = np.asarray(y, dtype=np.float64)
        schema = settled_schema(X, target, schema, log)
        table = schema.table(X)
        if len(table) != len(target):
            wrong = f"has {len(target)} values for {len(table)} rows"
            raise PredictorError("y", wrong, "pass one measurement a row")
        if noise is not None:
            noise = np.broadcast_to(noise, target.shape)
        return cls(schema, table, target, noise)

    def predict(
        self,
        kinds: Sequence[str],
        train: Any,
        test: Any,
        seed: int,
    ) -> dict[str, Prediction]:
        """Fit kinds to some rows and predict others.

        Args:
            kinds: Names of kinds, as for ``predictors.fit``.
            train: Row numbers to fit to; of more than 500 so many are fitted, chosen at random.
            test: Row numbers to predict.
            seed: Seed of the fits and the choice.

        Returns:
            Predictions of the test rows by kind.

        Raises:
            PredictorError: As ``predictors.fit``.
        """
        models = self._fitted(kinds, np.asarray(train), seed)
        with warnings.catch_warnings():
            # Held-out rows may well be outside of what was trained on: that is part of the test
            warnings.simplefilter("ignore", OutsideWarning)
            return {kind: model.predict(self.table[test]) for kind, model in models.items()}

    def _fitted(
        self,
        kinds: Sequence[str],
        train: Any,
        seed: int,
    ) -> dict[str, Model]:
        """Fit kinds to the rows numbered ``train``, or to ``MAX_JUDGED_ROWS`` of them; gives models by kind."""
        seen = _sampled(train, seed)
        noise = None
        if self.noise is not None:
            noise = self.noise[seen]
        table, y = self.table[seen], self.y[seen]
        return fit_kinds(
            table,
            y,
            self.schema,
            kinds,
            noise=noise,
            seed=seed,
        )

    def held_out(
        self,
        kind: str,
        train: Any,
        test: Any,
        seed: int,
    ) -> Scores:
        """Fit a kind to some rows and score it on others.

        Args:
            kind: As for ``predictors.fit``.
            train: Row numbers to fit to; of more than 500 so many are fitted, chosen at random.
            test: Row numbers to score on.
            seed: Seed of the fit and the choice.

        Returns:
            Scores on the test rows.

        Raises:
            PredictorError: As ``predictors.fit``.
        """
        predictions = self.predict([kind], train, test, seed)
        return score(self.y[test], predictions[kind])


def _sampled(rows: Any, seed: int) -> Any:
    """All of these row numbers, or ``MAX_JUDGED_ROWS`` of them, drawn at random, where there are more."""
    if len(rows) <= MAX_JUDGED_ROWS:
        return rows
    shuffled = np.random.default_rng(seed).permutation(rows)
    return np.sort(shuffled[:MAX_JUDGED_ROWS])
