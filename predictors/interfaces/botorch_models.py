"""BoTorch's models as kinds of surrogates: ``kind="botorch:SingleTaskGP"``, or ``kind=predictors.botorch(MyModel)``.

A model is made from training inputs (n, p) and targets (n, 1) in double precision, fitted by its exact marginal
likelihood, and asked for its posterior. Ordinals and numerics are brought to [0, 1], nominals are one-hot columns, or one
column of level numbers for a model that takes ``cat_dims``. Held-out predictions and new rows keep the
hyper-parameters that were found, as those of our own process do.

A model of this kind is not stored in a bundle: it would take its class, which is code, to read it again.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.exceptions.warnings import InputDataWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import MixedSingleTaskGP, SingleTaskGP
from botorch.models.map_saas import EnsembleMapSaasSingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from predictors.core import Fitted, State, Task, forward
from predictors.errors import PredictorError
from predictors.interfaces.external import cannot_store
from predictors.kinds import BOTORCH_PREFIX, SurrogateKind
from predictors.schema import Array, Schema

ModelFactory = Callable[..., Any]
NAMED_MODELS: dict[str, ModelFactory] = {
    "SingleTaskGP": SingleTaskGP,
    "MixedSingleTaskGP": MixedSingleTaskGP,
    "EnsembleMapSaas": EnsembleMapSaasSingleTaskGP,
}
_CHUNK_ROWS = 512
_NOISE_ROWS = 16  # at which the noise is read off
_COVARIANCE_SAMPLES = 512  # where a posterior has no covariance of its own
_MIN_VARIANCE = 1e-12


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
    def of(cls, schema: Schema, encoded: Array, *, categorical: bool) -> ModelInputs:
        """Find the ranges of numerics in training rows.

        Args:
            schema: The features.
            encoded: (n, k) encoded training rows.
            categorical: Whether a nominal becomes one column of level numbers instead of one-hot
                columns.

        Returns:
            The map from encoded rows to inputs.
        """
        kinds = np.array([feature.kind for feature in schema.features])[schema.owners]
        numeric = kinds == "numeric"
        span = np.ptp(encoded, axis=0)
        return cls(
            schema,
            np.where(numeric, encoded.min(axis=0), 0.0),
            np.where(numeric & (span > 0), span, 1.0),
            categorical,
        )

    @property
    def categorical_columns(self) -> list[int]:
        """The model's input columns that hold level numbers."""
        if not self.categorical:
            return []
        categorical_columns = []
        for j, f in enumerate(self.schema.features):
            if f.kind == "nominal":
                categorical_columns.append(j)
        return categorical_columns

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
        """One column a feature; a nominal's level counts from 1, with 0 where it is inactive."""
        columns = []
        for j, feature in enumerate(self.schema.features):
            block = scaled[..., self.schema.owners == j]
            if feature.kind == "nominal":
                block = block * np.arange(1.0, block.shape[-1] + 1.0)
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
        optional: dict[str, Any] = {}
        if inputs.categorical:
            optional["cat_dims"] = inputs.categorical_columns
        if self.takes("outcome_transform"):
            optional["outcome_transform"] = None  # targets are standardised already
        if task.noise_variance.any():
            if not self.takes("train_Yvar"):
                raise PredictorError(
                    f"kind {self.name!r}", "takes no train_Yvar", "leave the noise out"
                )
            optional["train_Yvar"] = torch.tensor(task.noise_variance[:, None])
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            # A fold of standardised targets is not quite standardised itself.
            warnings.simplefilter("ignore", InputDataWarning)
            torch.manual_seed(task.seed)
            return self.factory(inputs(task.encoded), torch.tensor(task.y[:, None]), **optional)

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
            objective = ExactMarginalLogLikelihood(model.likelihood, model)
            with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
                warnings.simplefilter("ignore")  # retries after a failed step
                torch.manual_seed(task.seed)
                try:
                    fit_gpytorch_mll(objective)
                except ModelFittingError as error:
                    raise PredictorError(
                        f"kind {self.name!r}", f"cannot be fitted ({error})", "use kind gp"
                    ) from None
        return model.eval()

    def like(self, model: Any, inputs: ModelInputs, task: Task) -> Any:
        """Make a model of other rows with the hyper-parameters that another model has.

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
        state, own = model.state_dict(), new.state_dict()
        hyper = {}
        for name, value in state.items():
            if "transform" not in name:
                hyper[name] = value
        if any(name not in own or own[name].shape != value.shape for name, value in hyper.items()):
            return self.fitted(inputs, task)
        new.load_state_dict(own | hyper)
        return new.eval()


@dataclass(frozen=True, eq=False)
class BotorchCore:
    """A fitted BoTorch model as a core. ``noise``: variance of one measurement around the function."""

    maker: ModelMaker
    inputs: ModelInputs
    model: Any
    noise: float

    def mean(self, encoded: Array) -> Array:
        """Compute the mean of the function.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            (n,) in standardised units.
        """
        return self.mean_and_variance(encoded)[0]

    def mean_and_variance(self, encoded: Array) -> tuple[Array, Array]:
        """Compute mean and variance of the function, some hundred rows at a time.

        Args:
            encoded: (n, k) encoded rows.

        Returns:
            Mean and variance, each (n,), in standardised units.
        """
        mean, variance = np.empty(len(encoded)), np.empty(len(encoded))
        for start in range(0, len(encoded), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            mean[rows], variance[rows] = marginals(self.model, self.inputs(encoded[rows]))
        return mean, variance

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the joint belief about the function.

        Args:
            encoded: (..., q, k) encoded rows.

        Returns:
            Mean (..., q) and covariance (..., q, q); of samples where the posterior has no
            covariance of its own.
        """
        with torch.no_grad():
            posterior = self.model.posterior(self.inputs(encoded))
            mean, covariance = _moments_of(posterior)
        return mean.squeeze(-1).numpy(), covariance.numpy()

    def extended(self, task: Task) -> BotorchCore:
        """Condition the model on more rows, under the hyper-parameters that it has.

        Args:
            task: All rows, of which the first are those that it was fitted to.

        Returns:
            A core of all rows, with the noise of this one.
        """
        return replace(self, model=self.maker.like(self.model, self.inputs, task))

    def state(self) -> State:
        """Refuse: the model's class is code, which a bundle does not hold.

        Raises:
            PredictorError: Always.
        """
        raise cannot_store(self.maker.name)


def botorch(model: ModelFactory, name: str = "") -> SurrogateKind:
    """Make a kind of a BoTorch model of your own.

    Args:
        model: A class or a function that takes ``train_X`` (n, p) and ``train_Y`` (n, 1), both double tensors, and
            returns a BoTorch model with one output. One that has a ``likelihood`` is fitted by its exact
            marginal likelihood; another is taken as it is returned.
        name: What reports call it; ``botorch:`` and its own name when empty.

    Returns:
        A kind for ``predictors.fit(..., kind=...)``, and for ``Study.optimize(..., kind=...)`` in cimbo.

    Examples:
        >>> import predictors
        >>> from botorch.models import SingleTaskGP
        >>> predictors.botorch(SingleTaskGP).name
        'botorch:SingleTaskGP'
    """
    called = name or BOTORCH_PREFIX + getattr(model, "__name__", type(model).__name__)
    return SurrogateKind(called, partial(fit, ModelMaker(called, model)))


def named(name: str) -> SurrogateKind:
    """Look up the kind ``botorch:NAME``.

    Args:
        name: The part behind the colon, one of ``NAMED_MODELS``.

    Returns:
        The kind.

    Raises:
        PredictorError: When there is none of this name.
    """
    if name not in NAMED_MODELS:
        known = ", ".join(BOTORCH_PREFIX + known for known in NAMED_MODELS)
        raise PredictorError(
            "kind",
            f"{BOTORCH_PREFIX + name!r} is unknown",
            f"use one of {known}, or kind=predictors.botorch(YourModel)",
        )
    return botorch(NAMED_MODELS[name], BOTORCH_PREFIX + name)


def fit(maker: ModelMaker, task: Task) -> Fitted:
    """Fit a BoTorch model, and predict each fold by a model of the other folds.

    Those models have the hyper-parameters that were found on all rows.

    Args:
        maker: Makes the model. One that takes ``cat_dims`` is replaced by SingleTaskGP where no
            feature is nominal, as BoTorch asks.
        task: The standardised rows.

    Returns:
        The core with its held-out predictions.

    Raises:
        PredictorError: When the model cannot be fitted, or cannot be told the noise variances of
            ``task``.
    """
    if maker.takes("cat_dims") and all(f.kind != "nominal" for f in task.schema.features):
        maker = replace(maker, factory=SingleTaskGP)  # as BoTorch asks
    inputs = ModelInputs.of(task.schema, task.encoded, categorical=maker.takes("cat_dims"))
    model = maker.fitted(inputs, task)
    held_out = np.empty(len(task))
    for train, test in task.folds():
        fold = maker.like(model, inputs, _part(task, train))
        held_out[test] = marginals(fold, inputs(task.encoded[test]))[0]
    core = BotorchCore(maker, inputs, model, noise_of(model, inputs(task.encoded[:_NOISE_ROWS])))
    return Fitted(core, held_out, partial(_forward_errors, maker, inputs, task))


def _forward_errors(maker: ModelMaker, inputs: ModelInputs, task: Task) -> Array:
    """Standardised errors of later rows under models that were fitted to earlier rows alone."""
    found = [np.zeros(0)]
    for past, rest in forward(len(task)):
        location, scale = float(task.y[past].mean()), float(task.y[past].std()) or 1.0
        known = task.noise_variance[past] / scale**2
        first = replace(_part(task, past), y=(task.y[past] - location) / scale)
        model = maker.fitted(inputs, replace(first, noise_variance=known))
        later = inputs(task.encoded[rest])
        mean, variance = marginals(model, later)
        total = variance + noise_of(model, later[:_NOISE_ROWS])
        found.append(((task.y[rest] - location) / scale - mean) / np.sqrt(total))
    return np.concatenate(found)


def _part(task: Task, rows: Any) -> Task:
    return replace(
        task,
        encoded=task.encoded[rows],
        y=task.y[rows],
        noise_variance=task.noise_variance[rows],
        gp_fit=None,
    )


def marginals(model: Any, inputs: Tensor) -> tuple[Array, Array]:
    """Read mean and variance of the function off a model.

    Args:
        model: A fitted BoTorch model with one output.
        inputs: (n, p) the model's inputs.

    Returns:
        Mean and variance, each (n,), in standardised units. Of a mixture they are those of all
        members together.
    """
    with torch.no_grad():
        posterior = model.posterior(inputs)
        mean = getattr(posterior, "mixture_mean", None)
        if mean is not None:
            variance = posterior.mixture_variance
        else:
            mean, variance = posterior.mean, posterior.variance
    return mean.squeeze(-1).numpy(), variance.squeeze(-1).clamp_min(_MIN_VARIANCE).numpy()


def noise_of(model: Any, inputs: Tensor) -> float:
    """Read the variance of one measurement around the function off a model.

    Args:
        model: A fitted BoTorch model with one output.
        inputs: (n, p) the model's inputs, over which the mean is taken.

    Returns:
        The variance in standardised units, at least 1e-8.
    """
    with torch.no_grad():
        alone = model.posterior(inputs).variance
        measured = model.posterior(inputs, observation_noise=True).variance
    return max(float((measured - alone).mean()), 1e-8)


def _moments_of(posterior: Any) -> tuple[Tensor, Tensor]:
    """Read mean and covariance off a posterior; of a mixture, of its members together.

    Args:
        posterior: A BoTorch posterior of q rows with one output.

    Returns:
        Mean (..., q, 1) and covariance (..., q, q); of samples where it has no covariance of its
        own.
    """
    if hasattr(posterior, "mixture_mean"):
        return posterior.mixture_mean, posterior.mixture_covariance_matrix
    covariance = getattr(getattr(posterior, "distribution", None), "covariance_matrix", None)
    if covariance is not None:
        return posterior.mean, covariance
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        samples = posterior.rsample(torch.Size([_COVARIANCE_SAMPLES])).squeeze(-1)
    deviations = (samples - samples.mean(0)).movedim(0, -1)
    covariance = deviations @ deviations.transpose(-1, -2) / (_COVARIANCE_SAMPLES - 1)
    return posterior.mean, covariance
