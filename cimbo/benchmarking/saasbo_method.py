"""SAASBO: BoTorch's Gaussian processes with the sparse axis-aligned priors, their parameters sampled by NUTS.

Eriksson and Jankowiak 2021, "High-dimensional Bayesian optimization with sparse axis-aligned subspaces". BoTorch samples with
NumPyro and JAX. All but the models is as in `MixedAlternating`: qLogNEHVI, maximised by alternating local search.
"""

from __future__ import annotations

import numpyro  # noqa: F401  # BoTorch imports without it, and fails when it fits
from botorch.fit import fit_fully_bayesian_model_nuts
from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
from botorch.models.transforms import Normalize, Standardize
from torch import Tensor

from cimbo.benchmarking.botorch_method import MixedAlternating

# As in BoTorch's tutorial of SAASBO; its function's defaults, 512 and 256, take twice as long.
N_WARMUP_STEPS, N_POSTERIOR_STEPS = 256, 128
THINNING = 16  # every so many steps a sample is kept: 8 of them


class SaasBo(MixedAlternating):
    """A fully Bayesian Gaussian process for each objective and constraint, and qLogNEHVI over all samples of each."""

    def _model(self, x: Tensor, scores: Tensor, bounds: Tensor) -> SaasFullyBayesianSingleTaskGP:
        """Sample the model of one objective or constraint.

        Args:
            x: Encoded designs (n, genes).
            scores: What they measured (n, 1).
            bounds: Smallest and largest index of each gene, (2, genes).

        Returns:
            The model, with N_POSTERIOR_STEPS / THINNING samples of its parameters.
        """
        model = SaasFullyBayesianSingleTaskGP(
            x,
            scores,
            input_transform=Normalize(x.shape[1], bounds=bounds),
            outcome_transform=Standardize(1),
        )
        fit_fully_bayesian_model_nuts(
            model,
            warmup_steps=N_WARMUP_STEPS,
            num_samples=N_POSTERIOR_STEPS,
            thinning=THINNING,
            disable_progbar=True,
            seed=self._task.seed,
        )
        return model
