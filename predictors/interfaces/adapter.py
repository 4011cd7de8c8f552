"""Any fitted predictor as a BoTorch model."""

from __future__ import annotations

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


class PredictorModel(BotorchModel):  # type: ignore[misc]
    """Independent outputs over rows encoded by the models' common schema, ``schema.encode(X)`` (..., q, k).

    The posterior is jointly Gaussian in *modelled* units: those of y, or of log y for a log target. It carries no
    gradients (trees have none, and the spaces are discrete): optimise over candidate sets, ``optimize_acqf_discrete``.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        super().__init__()
        self.models = tuple(models)

    @property
    def num_outputs(self) -> int:
        """How many outputs there are, one a model."""
        return len(self.models)

    @property
    def batch_shape(self) -> torch.Size:
        """Empty: no model is a batch of models."""
        return torch.Size()

    def posterior(
        self,
        X: Tensor,
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: Any = None,
    ) -> Any:
        """Compute the joint posterior of the noise-free functions, or of new measurements.

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
        chosen = list(self.models)
        if output_indices is not None:
            chosen = [self.models[i] for i in output_indices]
        encoded = _encoded(X)
        normals = []
        for model in chosen:
            if bool(observation_noise):
                noise = model.noise_variance
            else:
                noise = 0.0
            normals.append(_gaussian(*model.joint(encoded), noise))
        return _posterior(normals, posterior_transform)

    def condition_on_observations(self, X: Tensor, Y: Tensor, **_: Any) -> ConditionedModel:
        """Tell the predictors of observations, without fitting them again.

        Args:
            X: (..., q', k) encoded rows.
            Y: (f, ..., q', m) observations in modelled units, f of each row; (..., q', m) for one.
            **_: Ignored.

        Returns:
            The model given each of the f observations.
        """
        return ConditionedModel(self.models, X, Y)

    def fantasize(
        self, X: Tensor, sampler: Any, observation_noise: Tensor | None = None, **_: Any
    ) -> ConditionedModel:
        """Imagine measurements of rows, and tell the predictors of each.

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


class ConditionedModel(BotorchModel):  # type: ignore[misc]
    """Predictors told of observations, imagined or real, without being fitted again.

    ``X`` (..., q', k) are encoded rows, ``Y`` (f, ..., q', m) what was observed there in modelled units, f times over.
    Mean and covariance are those of the predictors' joint Gaussian, conditional on each of the f observations.
    """

    def __init__(self, models: Sequence[Model], X: Tensor, Y: Tensor) -> None:
        super().__init__()
        self.models = tuple(models)
        self._encoded = _encoded(X)
        self._observed = Y.detach().cpu().numpy().astype(np.float64)

    @property
    def num_outputs(self) -> int:
        """How many outputs there are, one a model."""
        return len(self.models)

    @property
    def batch_shape(self) -> torch.Size:
        """How many observations each row was imagined to have, and the batches of rows."""
        return torch.Size(self._observed.shape[:-2])

    def posterior(
        self,
        X: Tensor,
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: Any = None,
    ) -> Any:
        """Compute the joint posterior given the observations.

        Args:
            X: (..., q, k) encoded rows.
            output_indices: Which outputs, in which order; all of them when None.
            observation_noise: Whether each model's noise variance is added. A tensor is not
                supported.
            posterior_transform: Called with the posterior, its result is returned instead; none
                when None.

        Returns:
            A Gaussian posterior in modelled units, of shape (f, ..., q, m).
        """
        outputs = output_indices
        if outputs is None:
            outputs = list(range(len(self.models)))
        encoded = _encoded(X)
        normals = []
        for i in outputs:
            noise = self.models[i].noise_variance
            mean, covariance = self._conditional(self.models[i], encoded, self._observed[..., i])
            normals.append(_gaussian(mean, covariance, noise if bool(observation_noise) else 0.0))
        return _posterior(normals, posterior_transform)

    def _conditional(self, model: Model, encoded: Any, observed: Any) -> tuple[Any, Any]:
        """Mean (f, ..., q) and covariance (..., q, q) of a model given ``observed`` (f, ..., q')."""
        q = encoded.shape[-2]
        lead = np.broadcast_shapes(encoded.shape[:-2], self._encoded.shape[:-2])
        parts = [np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (encoded, self._encoded)]
        mean, covariance = model.joint(np.concatenate(parts, axis=-2))
        known = covariance[..., q:, q:]
        least = 1e-8 * np.trace(known, axis1=-2, axis2=-1).max() / known.shape[-1]
        known = known + (model.noise_variance + least) * np.eye(known.shape[-1])
        weights = np.linalg.solve(known, covariance[..., q:, :q])  # (..., q', q)
        moved = np.einsum("...ij,...i->...j", weights, observed - mean[..., q:])
        left = covariance[..., :q, :q] - covariance[..., :q, q:] @ weights
        return mean[..., :q] + moved, left


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
    if isinstance(models, Model):
        listed = [models]
    else:
        listed = list(models.values() if isinstance(models, Mapping) else models)
    if not listed:
        raise PredictorError("botorch_model", "no models", "pass at least one fitted predictor")
    for model in listed[1:]:
        if model.schema.features != listed[0].schema.features:
            difference = listed[0].schema.difference(model.schema)
            raise PredictorError(
                "botorch_model", f"features differ: {difference}", "fit all with one schema"
            )
    return PredictorModel(listed)


def _encoded(X: Tensor) -> np.ndarray[Any, Any]:
    return X.detach().cpu().numpy().astype(np.float64)


def _gaussian(mean: Any, covariance: Any, noise: float) -> MultivariateNormal:
    """A joint normal of rows, of mean (..., q) and covariance (..., q, q)."""
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    # Repeated rows and small ensembles make the covariance singular, which gpytorch's Cholesky would warn about.
    extra = 1e-8 * variance.mean() + 1e-12 + noise
    widened = covariance + extra * np.eye(covariance.shape[-1])
    widened = np.broadcast_to(widened, (*mean.shape[:-1], *widened.shape[-2:]))
    return MultivariateNormal(torch.tensor(mean), torch.tensor(widened.copy()))


def _posterior(normals: list[MultivariateNormal], transform: Any) -> Any:
    """The posterior of independent outputs, as ``transform`` leaves it."""
    joint = normals[0]
    if len(normals) > 1:
        joint = MultitaskMultivariateNormal.from_independent_mvns(normals)
    posterior = GPyTorchPosterior(joint)
    if transform is None:
        return posterior
    return transform(posterior)
