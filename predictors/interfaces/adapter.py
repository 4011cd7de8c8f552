"""Any fitted predictor as a BoTorch model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from botorch.models.model import Model as BotorchModel
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultitaskMultivariateNormal, MultivariateNormal
from torch import Tensor

from predictors.errors import PredictorError
from predictors.model import Model


class _JointModel(BotorchModel):  # type: ignore[misc]
    """A BoTorch model with one independent output a predictor, each jointly normal in the predictor's modelled units."""

    def __init__(self, models: Sequence[Model]) -> None:
        super().__init__()
        self.models = tuple(models)

    @property
    def num_outputs(self) -> int:
        """How many outputs there are, one a model."""
        return len(self.models)

    def posterior(
        self,
        X: Tensor,
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: Any = None,
    ) -> Any:
        """Compute the joint posterior of the functions, or of new measurements.

        Args:
            X: (..., q, k) rows encoded by the models' common schema.
            output_indices: Which outputs, in which order; all of them when None.
            observation_noise: Whether each model's noise variance is added. A tensor is not
                supported.
            posterior_transform: Called with the posterior, its result is returned instead; none
                when None.

        Returns:
            A Gaussian posterior in modelled units, of event shape (q, m) for m outputs. It has no
            gradients.
        """
        if output_indices is None:
            output_indices = list(range(self.num_outputs))
        encoded = _array(X)
        normals = []
        for output in output_indices:
            mean, covariance = self._joint(output, encoded)
            noise = _noise(self.models[output], observation_noise)
            normals.append(_gaussian(mean, covariance, noise))
        return _posterior(normals, posterior_transform)

    @abstractmethod
    def _joint(self, output: int, encoded: Any) -> tuple[Any, Any]:
        """Mean (..., q) and covariance (..., q, q) of an output at rows (..., q, k)."""


class PredictorModel(_JointModel):
    """Independent outputs over rows encoded by the models' common schema, ``schema.encode(X)`` (..., q, k).

    The posterior is jointly Gaussian in *modelled* units: those of y, or of log y for a log target. It carries no
    gradients (trees have none, and the spaces are discrete): optimise over candidate sets, ``optimize_acqf_discrete``.
    """

    @property
    def batch_shape(self) -> torch.Size:
        """Empty: no model is a batch of models."""
        return torch.Size()

    def _joint(self, output: int, encoded: Any) -> tuple[Any, Any]:
        return self.models[output].joint(encoded)

    def condition_on_observations(self, X: Tensor, Y: Tensor, **_: Any) -> ConditionedModel:
        """Take in observations without fitting the predictors again.

        Args:
            X: (..., q', k) rows that were observed, encoded.
            Y: (f, ..., q', m) what was observed there, of m outputs, in modelled units (y, or log y
                for a log target). There may be f alternatives, as for imagined observations; of a
                single one the shape is (..., q', m).
            **_: Ignored.

        Returns:
            A model that predicts given the observations, for each alternative by itself.
        """
        return ConditionedModel(self.models, X, Y)

    def fantasize(
        self, X: Tensor, sampler: Any, observation_noise: Tensor | None = None, **_: Any
    ) -> ConditionedModel:
        """Imagine measurements of rows, and condition the predictors on them.

        Args:
            X: (..., q', k) encoded rows.
            sampler: A sampler of BoTorch; how many samples it draws is f.
            observation_noise: Not supported beyond the models' own noise.
            **_: Ignored.

        Returns:
            The model given each of the f imagined measurements.
        """
        imagined = sampler(self.posterior(X, observation_noise=True))
        return self.condition_on_observations(X, imagined)

    def subset_output(self, idcs: list[int]) -> PredictorModel:
        """Make a model of some of the outputs.

        Args:
            idcs: Which outputs, in which order.

        Returns:
            The model, of the same fitted predictors.
        """
        return PredictorModel([self.models[i] for i in idcs])


class ConditionedModel(_JointModel):
    """Predictors conditioned on observations, imagined or real, without being fitted again.

    ``X`` (..., q', k) are encoded rows, ``Y`` (f, ..., q', m) f alternatives of what was observed there, in modelled units.
    Mean and covariance are those of the predictors' joint normal distribution, conditional on each alternative, so that a
    posterior has the shape (f, ..., q, m).
    """

    def __init__(self, models: Sequence[Model], X: Tensor, Y: Tensor) -> None:
        super().__init__(models)
        self._encoded = _array(X)
        self._observed = _array(Y)

    @property
    def batch_shape(self) -> torch.Size:
        """How many observations each row was imagined to have, and the batches of rows."""
        return torch.Size(self._observed.shape[:-2])

    def _joint(self, output: int, encoded: Any) -> tuple[Any, Any]:
        observed = self._observed[..., output]
        return self._conditional(self.models[output], encoded, observed)

    def _conditional(
        self,
        model: Model,
        encoded: Any,
        observed: Any,
    ) -> tuple[Any, Any]:
        """Condition a model on what was observed.

        The joint normal distribution of the q rows that are to be predicted and the q' rows that were
        observed is split into blocks and conditioned (Rasmussen & Williams, 2006, eq. 2.22 to 2.24).

        Args:
            model: The predictor of one output.
            encoded: (..., q, k) rows to be predicted.
            observed: (f, ..., q') f alternatives of what was observed at the model's own rows.

        Returns:
            Mean (f, ..., q) and covariance (..., q, q).
        """
        q = encoded.shape[-2]
        mean, covariance = model.joint(_joined(encoded, self._encoded))
        prior_mean, prior_mean_of_observed = mean[..., :q], mean[..., q:]
        prior_covariance = covariance[..., :q, :q]
        cross = covariance[..., :q, q:]
        of_observed = _with_noise(covariance[..., q:, q:], model.noise_variance)
        weights = np.linalg.solve(of_observed, covariance[..., q:, :q])  # (..., q', q)
        surprise = observed - prior_mean_of_observed
        mean_shift = np.einsum("...ij,...i->...j", weights, surprise)
        return prior_mean + mean_shift, prior_covariance - cross @ weights


def botorch_model(models: Model | Sequence[Model] | Mapping[str, Model]) -> PredictorModel:
    """Make one BoTorch model of one or several predictors.

    Args:
        models: One predictor, several in order, or several by name, whose order counts and not
            their names.

    Returns:
        A model with one output a predictor, in order.

    Raises:
        PredictorError: When there is none, or when their features differ: they would read one
            encoding differently.

    Examples:
        >>> import predictors
        >>> rows = [{"depth": d, "rows": r} for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> latency_ms = [d * 64 / r for d in (2, 4, 6, 8) for r in (64, 128, 256)]
        >>> import torch
        >>> model = predictors.fit(rows, latency_ms, kind="gp")
        >>> encoded = torch.as_tensor(model.schema.encode(rows))
        >>> predictors.botorch_model(model).posterior(encoded).mean.shape
        torch.Size([12, 1])
    """
    listed = _as_list(models)
    if not listed:
        raise PredictorError("botorch_model", "no models", "pass at least one fitted predictor")
    schema = listed[0].schema
    for model in listed[1:]:
        if model.schema.features != schema.features:
            wrong = f"features differ: {schema.difference(model.schema)}"
            raise PredictorError("botorch_model", wrong, "fit all with one schema")
    return PredictorModel(listed)


def _as_list(models: Model | Sequence[Model] | Mapping[str, Model]) -> list[Model]:
    if isinstance(models, Model):
        return [models]
    if isinstance(models, Mapping):
        return list(models.values())
    return list(models)


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """A tensor as an array of double precision."""
    return tensor.detach().cpu().numpy().astype(np.float64)


def _joined(first: Any, second: Any) -> Any:
    """(..., q + q', k) rows (..., q, k) and then rows (..., q', k), whose leading dimensions are broadcast."""
    lead = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    parts = [np.broadcast_to(rows, (*lead, *rows.shape[-2:])) for rows in (first, second)]
    return np.concatenate(parts, axis=-2)


def _with_noise(covariance: Any, noise: float) -> Any:
    """The covariance (..., q, q) of observations: that of the function, plus the noise variance on the diagonal."""
    q = covariance.shape[-1]
    largest_trace = np.trace(covariance, axis1=-2, axis2=-1).max()
    jitter = 1e-8 * largest_trace / q  # keeps it invertible where there is no noise
    return covariance + (noise + jitter) * np.eye(q)


def _noise(model: Model, observation_noise: bool | Tensor) -> float:
    """The noise variance of a model where observation noise is asked for, else 0."""
    if bool(observation_noise):
        return model.noise_variance
    return 0.0


def _gaussian(mean: Any, covariance: Any, noise: float) -> MultivariateNormal:
    """A joint normal with mean (f, ..., q) and covariance (..., q, q), plus the noise variance, as gpytorch has it."""
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    # Repeated rows and small ensembles make the covariance singular, which gpytorch's Cholesky would warn about.
    on_diagonal = 1e-8 * variance.mean() + 1e-12 + noise
    widened = covariance + on_diagonal * np.eye(covariance.shape[-1])
    # gpytorch wants a covariance for every mean
    shape = (*mean.shape[:-1], *widened.shape[-2:])
    for_each_mean = np.broadcast_to(widened, shape).copy()
    return MultivariateNormal(torch.tensor(mean), torch.tensor(for_each_mean))


def _posterior(normals: list[MultivariateNormal], transform: Any) -> Any:
    """Join the normals of independent outputs into one BoTorch posterior, and apply a transform unless it is None."""
    joint = normals[0]
    if len(normals) > 1:
        joint = MultitaskMultivariateNormal.from_independent_mvns(normals)
    posterior = GPyTorchPosterior(joint)
    if transform is None:
        return posterior
    return transform(posterior)
