"""How BoTorch models are made of a class, fitted, and made again for other rows."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.exceptions.warnings import InputDataWarning
from botorch.fit import fit_gpytorch_mll
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from predictors.core import Task
from predictors.errors import PredictorError
from predictors.schema import Array, Schema

ModelFactory = Callable[..., Any]


@dataclass(frozen=True)
class ModelInputs:
    """Maps encoded rows to a BoTorch model's inputs.

    Attributes:
        schema: The features.
        low: (k,) smallest training value of each encoded column; 0 for those that are no numeric's.
        span: (k,) what numerics vary by; 1 for the others.
        categorical: Whether a nominal is one column of level numbers instead of one-hot columns.
    """

    schema: Schema
    low: Array
    span: Array
    categorical: bool

    @classmethod
    def of(
        cls,
        schema: Schema,
        encoded: Array,
        *,
        categorical: bool,
    ) -> ModelInputs:
        """Find the ranges of numerics in training rows.

        Args:
            schema: The features.
            encoded: (n, k) encoded training rows.
            categorical: Whether a nominal becomes one column of level numbers instead of one-hot
                columns.

        Returns:
            The map from encoded rows to inputs.
        """
        numeric = schema.column_kinds == "numeric"
        largest_difference = np.ptp(encoded, axis=0)
        varies = largest_difference > 0
        low = np.where(numeric, encoded.min(axis=0), 0.0)
        span = np.where(numeric & varies, largest_difference, 1.0)
        return cls(schema, low, span, categorical)

    @property
    def categorical_columns(self) -> list[int]:
        """The model's input columns that hold level numbers."""
        if not self.categorical:
            return []
        features = self.schema.features
        return [j for j, feature in enumerate(features) if feature.kind == "nominal"]

    def __call__(self, encoded: Array) -> Tensor:
        """Compute a model's inputs.

        Args:
            encoded: (..., k) encoded rows.

        Returns:
            (..., p) inputs in double precision.
        """
        scaled = (encoded - self.low) / self.span
        if self.categorical:
            scaled = self._level_numbers(scaled)
        return torch.tensor(scaled, dtype=torch.double)

    def _level_numbers(self, scaled: Array) -> Array:
        """(..., d) one column a feature, of scaled columns (..., k); levels count from 1, 0 is an inactive nominal."""
        columns = []
        for j, feature in enumerate(self.schema.features):
            # A nominal's one-hot columns times 1, 2, ... sum to the number of its level
            block = scaled[..., self.schema.owners == j]
            if feature.kind == "nominal":
                level_numbers = np.arange(1.0, block.shape[-1] + 1.0)
                block = block * level_numbers
            columns.append(block.sum(-1))
        return np.stack(columns, axis=-1)


@dataclass(frozen=True)
class ModelMaker:
    """Makes BoTorch models of a class or a factory.

    Attributes:
        name: The kind's name, for messages.
        factory: Called with ``train_X`` (n, p) and ``train_Y`` (n, 1), and with ``cat_dims``, ``train_Yvar`` and
            ``outcome_transform=None`` where it takes them.
    """

    name: str
    factory: ModelFactory

    def takes(self, parameter: str) -> bool:
        """Tell whether the factory takes a parameter.

        Args:
            parameter: Its name.

        Returns:
            True where its signature has one of this name.
        """
        return parameter in inspect.signature(self.factory).parameters

    def make(self, inputs: ModelInputs, task: Task) -> Any:
        """Make an unfitted model. Equal seeds give equal models.

        Args:
            inputs: Maps encoded rows to the model's inputs.
            task: The rows, targets and known noise variances, and the seed.

        Returns:
            A BoTorch model in training mode.

        Raises:
            PredictorError: When noise variances are known and the factory takes no ``train_Yvar``.
        """
        optional = self._optional(inputs, task)
        train_x = inputs(task.encoded)
        train_y = torch.tensor(task.y[:, None])
        with _seeded(task.seed):
            # A fold of standardised targets is not quite standardised itself.
            warnings.simplefilter("ignore", InputDataWarning)
            return self.factory(train_x, train_y, **optional)

    def _optional(self, inputs: ModelInputs, task: Task) -> dict[str, Any]:
        """The keyword arguments for the factory, of those that it takes: see ``factory``."""
        optional: dict[str, Any] = {}
        if inputs.categorical:
            optional["cat_dims"] = inputs.categorical_columns
        if self.takes("outcome_transform"):
            optional["outcome_transform"] = None  # targets are standardised already
        if task.noise_variance.any():
            if not self.takes("train_Yvar"):
                where = f"kind {self.name!r}"
                raise PredictorError(where, "takes no train_Yvar", "leave the noise out")
            optional["train_Yvar"] = torch.tensor(task.noise_variance[:, None])
        return optional

    def fitted(self, inputs: ModelInputs, task: Task) -> Any:
        """Make a model and fit its hyper-parameters.

        One without a ``likelihood`` is taken as the factory returns it.

        Args:
            inputs: Maps encoded rows to the model's inputs.
            task: The rows, targets and known noise variances, and the seed.

        Returns:
            A BoTorch model in evaluation mode.

        Raises:
            PredictorError: When every attempt to fit it fails, or as ``make``.
        """
        model = self.make(inputs, task)
        if hasattr(model, "likelihood"):
            self._fit_hyperparameters(model, task.seed)
        return model.eval()

    def _fit_hyperparameters(self, model: Any, seed: int) -> None:
        """Set a model's hyper-parameters to those of the largest marginal likelihood."""
        objective = ExactMarginalLogLikelihood(model.likelihood, model)
        with _seeded(seed):
            warnings.simplefilter("ignore")  # retries after a failed step
            try:
                fit_gpytorch_mll(objective)
            except ModelFittingError as error:
                wrong = f"cannot be fitted ({error})"
                raise PredictorError(f"kind {self.name!r}", wrong, "use kind gp") from None

    def like(self, model: Any, inputs: ModelInputs, task: Task) -> Any:
        """Make a model of other rows that has the hyper-parameters of a fitted model.

        Args:
            model: The fitted model whose hyper-parameters are taken over.
            inputs: Maps encoded rows to the model's inputs.
            task: The other rows.

        Returns:
            A BoTorch model in evaluation mode. It is fitted anew where the hyper-parameters have
            other names or shapes.

        Raises:
            PredictorError: As ``fitted``.
        """
        new = self.make(inputs, task)
        new_state = new.state_dict()
        hyperparameters = {}
        for name, value in model.state_dict().items():
            # A transform holds the mean and scale of its own training rows, no hyper-parameters
            if "transform" in name:
                continue
            if name not in new_state or new_state[name].shape != value.shape:
                return self.fitted(inputs, task)
            hyperparameters[name] = value
        new.load_state_dict(new_state | hyperparameters)
        return new.eval()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's random numbers started at a seed.

    Afterwards the random numbers go on as if nothing had been drawn, and filters of warnings are what
    they were before.

    Args:
        seed: Where the random numbers start.

    Yields:
        Nothing.
    """
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
