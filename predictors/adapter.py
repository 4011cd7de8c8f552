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
        encoded = X.detach().cpu().numpy().astype(np.float64)
        normals = [_normal(m, encoded, bool(observation_noise)) for m in chosen]
        if len(normals) == 1:
            joint = normals[0]
        else:
            joint = MultitaskMultivariateNormal.from_independent_mvns(normals)
        posterior = GPyTorchPosterior(joint)
        if posterior_transform is None:
            return posterior
        return posterior_transform(posterior)

    def subset_output(self, idcs: list[int]) -> PredictorModel:
        """Make a model of some of the outputs.

        Args:
            idcs: Which outputs, in which order.

        Returns:
            The model, of the same fitted predictors.
        """
        return PredictorModel([self.models[i] for i in idcs])


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


def _normal(model: Model, encoded: np.ndarray[Any, Any], noise: bool) -> MultivariateNormal:
    mean, covariance = model.joint(encoded)
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    # Repeated rows and small ensembles make the covariance singular, which gpytorch's Cholesky would warn about.
    extra = 1e-8 * variance.mean() + 1e-12 + (model.noise_variance if noise else 0.0)
    return MultivariateNormal(
        torch.tensor(mean), torch.tensor(covariance + extra * np.eye(encoded.shape[-2]))
    )
