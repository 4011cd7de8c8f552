"""BoTorch's models as kinds of surrogates: ``kind="botorch:SingleTaskGP"``, or ``kind=predictors.botorch(MyModel)``.

A model is made from training inputs (n, p) and targets (n, 1) in double precision, fitted by its exact marginal
likelihood, and asked for its posterior. Ordinals and numerics are brought to [0, 1], nominals are one-hot columns, or one
column of level numbers for a model that takes ``cat_dims``. Held-out predictions and new rows keep the
hyper-parameters that were found, as those of our own process do.

A model of this kind is not stored in a bundle: it would take its class, which is code, to read it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from botorch.models import MixedSingleTaskGP, SingleTaskGP
from botorch.models.map_saas import EnsembleMapSaasSingleTaskGP
from torch import Tensor

from predictors.core import Fitted, State, Task, forward_errors
from predictors.errors import PredictorError
from predictors.interfaces.external import cannot_store
from predictors.interfaces.model_maker import ModelFactory, ModelInputs, ModelMaker
from predictors.kinds import BOTORCH_PREFIX, SurrogateKind
from predictors.schema import Array

__all__ = [
    "NAMED_MODELS",
    "BotorchCore",
    "ModelInputs",
    "ModelMaker",
    "botorch",
    "fit",
    "marginals",
    "named",
    "noise_of",
]

NAMED_MODELS: dict[str, ModelFactory] = {
    "SingleTaskGP": SingleTaskGP,
    "MixedSingleTaskGP": MixedSingleTaskGP,
    "EnsembleMapSaas": EnsembleMapSaasSingleTaskGP,
}
_CHUNK_ROWS = 512
_NOISE_ROWS = 16  # at which the noise is read off
_COVARIANCE_SAMPLES = 512  # where a posterior has no covariance of its own
_MIN_VARIANCE = 1e-12


@dataclass(frozen=True, eq=False)
class BotorchCore:
    """A fitted BoTorch model as a core.

    Attributes:
        maker: Makes models of this kind, for other rows.
        inputs: Maps encoded rows to the model's inputs.
        model: The BoTorch model, with one output.
        noise: Variance of one measurement around the function, in standardised units.
    """

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
        mean = np.empty(len(encoded))
        variance = np.empty(len(encoded))
        for start in range(0, len(encoded), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            mean[rows], variance[rows] = marginals(self.model, self.inputs(encoded[rows]))
        return mean, variance

    def joint(self, encoded: Array) -> tuple[Array, Array]:
        """Compute the joint normal distribution of the function at rows.

        Args:
            encoded: (..., q, k) encoded rows.

        Returns:
            Mean (..., q) and covariance (..., q, q) in standardised units. Where the posterior has
            no covariance of its own, it is that of samples.
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
    """Make a kind of surrogate out of a BoTorch model of your own.

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
    kind_name = name or BOTORCH_PREFIX + getattr(model, "__name__", type(model).__name__)
    return SurrogateKind(kind_name, partial(fit, ModelMaker(kind_name, model)))


def named(name: str) -> SurrogateKind:
    """Look up the kind ``botorch:NAME``.

    Args:
        name: The part behind the colon, one of ``NAMED_MODELS``.

    Returns:
        The kind.

    Raises:
        PredictorError: When there is none of this name.
    """
    full_name = BOTORCH_PREFIX + name
    if name not in NAMED_MODELS:
        known = ", ".join(BOTORCH_PREFIX + known for known in NAMED_MODELS)
        todo = f"use one of {known}, or kind=predictors.botorch(YourModel)"
        raise PredictorError("kind", f"{full_name!r} is unknown", todo)
    return botorch(NAMED_MODELS[name], full_name)


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
    has_nominals = any(feature.kind == "nominal" for feature in task.schema.features)
    if maker.takes("cat_dims") and not has_nominals:
        maker = replace(maker, factory=SingleTaskGP)
    inputs = ModelInputs.of(task.schema, task.encoded, categorical=maker.takes("cat_dims"))
    model = maker.fitted(inputs, task)
    noise = noise_of(model, inputs(task.encoded[:_NOISE_ROWS]))
    core = BotorchCore(maker, inputs, model, noise)
    errors = partial(_later_errors, maker, inputs, task)
    return Fitted(core, _held_out(core, task), partial(forward_errors, len(task), errors))


def _held_out(core: BotorchCore, task: Task) -> Array:
    """(n,) means of each fold's test rows under a model of its other rows, with the same hyper-parameters."""
    held_out = np.empty(len(task))
    for train, test in task.folds():
        fold = core.maker.like(core.model, core.inputs, task.part(train))
        mean, _ = marginals(fold, core.inputs(task.encoded[test]))
        held_out[test] = mean
    return held_out


def _later_errors(
    maker: ModelMaker,
    inputs: ModelInputs,
    task: Task,
    earlier: slice,
    later: slice,
) -> Array:
    """(later rows,) errors of a model fitted to the earlier rows alone, over their predicted deviations."""
    location = float(task.y[earlier].mean())
    scale = float(task.y[earlier].std()) or 1.0
    model = maker.fitted(inputs, task.part(earlier).standardised(location, scale))
    later_inputs = inputs(task.encoded[later])
    mean, variance = marginals(model, later_inputs)
    of_measurement = variance + noise_of(model, later_inputs[:_NOISE_ROWS])
    error = (task.y[later] - location) / scale - mean
    return error / np.sqrt(of_measurement)


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
        if getattr(posterior, "mixture_mean", None) is not None:
            mean = posterior.mixture_mean
            variance = posterior.mixture_variance
        else:
            mean = posterior.mean
            variance = posterior.variance
    variance = variance.squeeze(-1).clamp_min(_MIN_VARIANCE)
    return mean.squeeze(-1).numpy(), variance.numpy()


def noise_of(model: Any, inputs: Tensor) -> float:
    """Read the variance of one measurement around the function off a model.

    Args:
        model: A fitted BoTorch model with one output.
        inputs: (n, p) the model's inputs, over which the mean is taken.

    Returns:
        The variance in standardised units, at least 1e-8.
    """
    with torch.no_grad():
        of_function = model.posterior(inputs).variance
        of_measurement = model.posterior(inputs, observation_noise=True).variance
    return max(float((of_measurement - of_function).mean()), 1e-8)


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
    if covariance is None:
        covariance = _sampled_covariance(posterior)
    return posterior.mean, covariance


def _sampled_covariance(posterior: Any) -> Tensor:
    """(..., q, q) covariance of samples of a posterior of q rows; a fixed seed draws the same ones every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        samples = posterior.rsample(torch.Size([_COVARIANCE_SAMPLES])).squeeze(-1)
    deviations = (samples - samples.mean(0)).movedim(0, -1)
    products: Tensor = deviations @ deviations.transpose(-1, -2)
    return products / (_COVARIANCE_SAMPLES - 1)
