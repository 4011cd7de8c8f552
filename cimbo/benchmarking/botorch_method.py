"""BoTorch as its tutorials use it: a GP an objective, qLogNEHVI maximised by alternating local search, in natural units."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from botorch.acquisition.multi_objective import logei
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.model import Model
from botorch.models.transforms import Normalize, Standardize
from botorch.optim.optimize_mixed import optimize_acqf_mixed_alternating
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from cimbo.benchmarking.method import Measured, Task
from cimbo.compat import disable_compiled_kernels
from cimbo.problem.space import Params

N_INITIAL_DESIGNS = 20  # Sobol designs
N_RESTARTS, N_RAW_SAMPLES = 4, 128  # BoTorch's examples: 20 and 1,024, minutes for a proposal
disable_compiled_kernels(logei)


class MixedAlternating:
    """A Gaussian process for each objective and constraint, and qLogNEHVI; an inactive gene has its first value."""

    def __init__(self, task: Task) -> None:
        self._task, self._space = task, task.problem.space
        self._start = self._space.sobol(N_INITIAL_DESIGNS, task.seed)
        self._x: list[list[float]] = []  # encoded designs
        self._y: list[list[float]] = []  # scores, to be maximised, then violations of constraints
        torch.manual_seed(task.seed)

    def ask(self, n: int) -> list[Params]:
        """Propose the Sobol designs first, then those that maximise the acquisition function.

        Args:
            n: How many at most.

        Returns:
            The designs. Sobol goes on until three evaluations have succeeded.
        """
        if self._start or len(self._y) < 3:
            first, self._start = self._start[:n], self._start[n:]
            if first:
                return first
            n_sobol = N_INITIAL_DESIGNS + len(self._y) + n
            return self._space.sobol(n_sobol, self._task.seed)[-n:]
        top = torch.tensor(self._space.cardinalities - 1, dtype=torch.double)
        discrete: dict[int, list[float]] = {}
        categorical: dict[int, list[float]] = {}
        fixed: dict[int, float] = {}
        for i, (size, ordered) in enumerate(
            zip(self._space.cardinalities, self._space.ordered, strict=True)
        ):
            levels = np.arange(size, dtype=float).tolist()
            if size == 1:
                fixed[i] = 0.0
            elif ordered:
                discrete[i] = levels
            else:
                categorical[i] = levels
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            best, _ = optimize_acqf_mixed_alternating(
                self._acquisition(top),
                torch.stack([torch.zeros_like(top), top]),
                discrete_dims=discrete,
                cat_dims=categorical,
                fixed_features=fixed or None,
                q=n,
                raw_samples=N_RAW_SAMPLES,
                num_restarts=N_RESTARTS,
            )
        return self._space.designs(best.round().numpy().astype(self._space.row_type))

    def tell(self, designs: Sequence[Params], measured: Sequence[Measured]) -> None:
        """Add the designs that did not fail to the training data.

        Args:
            designs: The designs of the last ``ask``.
            measured: The metrics of each; None where the evaluation failed.
        """
        for row, metrics in zip(self._space.rows(designs), measured, strict=True):
            if metrics is not None:
                scores = self._task.problem.scores([metrics])[0].tolist()
                self._x.append(np.maximum(row, 0.0).tolist())  # an inactive gene is -1
                self._y.append(scores + self._task.violations(metrics))

    def _acquisition(self, top: Tensor) -> qLogNoisyExpectedHypervolumeImprovement:
        """Fit the models, and make the acquisition function; ``top`` (genes,) are the largest indices."""
        x, y = torch.tensor(self._x, dtype=torch.double), torch.tensor(self._y, dtype=torch.double)
        bounds = torch.stack([torch.zeros_like(top), top.clamp(min=1)])
        model = ModelListGP(*(self._model(x, column, bounds) for column in y.split(1, -1)))
        m = len(self._task.problem.objectives)  # the first m outputs; the others are constraints
        return qLogNoisyExpectedHypervolumeImprovement(
            model,
            ref_point=torch.tensor(self._task.reference),
            X_baseline=x,
            sampler=SobolQMCNormalSampler(torch.Size([64]), seed=self._task.seed),
            objective=IdentityMCMultiOutputObjective(list(range(m))),
            constraints=[lambda y, i=i: y[..., i] for i in range(m, y.shape[1])] or None,
            prune_baseline=True,
        )

    def _model(self, x: Tensor, scores: Tensor, bounds: Tensor) -> Model:
        """Fit the model of one objective or constraint.

        Args:
            x: Encoded designs (n, genes).
            scores: What they measured (n, 1).
            bounds: Smallest and largest index of each gene, (2, genes).

        Returns:
            The fitted model.
        """
        model = SingleTaskGP(
            x,
            scores,
            input_transform=Normalize(x.shape[1], bounds=bounds),
            outcome_transform=Standardize(1),
        )
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        return model
