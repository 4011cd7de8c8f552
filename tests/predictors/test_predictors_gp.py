"""The process against gpytorch and finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from predictors_data import designs, space, truth

from predictors import gp
from predictors.core import Task
from predictors.gp.hyperparameters import prior as prior_of
from predictors.gp.inputs import KernelFeatures

gpytorch = pytest.importorskip("gpytorch")
torch = pytest.importorskip("torch")

#: the six kernels have a total
SPACE = replace(space(), features=tuple(replace(f, group=f.name[:6]) for f in space().features))


@pytest.fixture
def task() -> Task:
    rows = designs(40, 2)
    y = np.array([truth(r) for r in rows])
    return Task(SPACE, SPACE.encode(rows), (y - y.mean()) / y.std(), np.linspace(0, 0.01, 40))


@pytest.fixture
def hyper(task: Task) -> gp.Hyper:
    sizes = KernelFeatures.of(task.schema, task.encoded).sizes
    assert len(sizes.lengthscales) == 2
    lengthscale = np.random.default_rng(0).normal(0.5, 0.3, sum(sizes.lengthscales))
    return gp.Hyper(
        lengthscale, np.array([-0.3, -0.8]), np.array([0.2, -0.4, 0.1, -0.2, 0.3]), -3.0
    )


def test_gradient_is_the_slope_of_the_objective(task: Task, hyper: gp.Hyper) -> None:
    kernel_features = KernelFeatures.of(task.schema, task.encoded)
    evaluate = gp.objective(
        kernel_features.inputs(task.encoded), task.y, task.noise_variance, kernel_features.sizes
    )
    theta, step = hyper.pack(), 1e-5
    slopes = [
        (evaluate(theta + e)[0] - evaluate(theta - e)[0]) / (2 * step)
        for e in step * np.eye(len(theta))
    ]
    np.testing.assert_allclose(evaluate(theta)[1], slopes, rtol=1e-5, atol=1e-6)


def test_posterior_and_likelihood_are_gpytorchs(task: Task, hyper: gp.Hyper) -> None:
    """The same kernel, put together from gpytorch's parts."""
    kernel_features = KernelFeatures.of(task.schema, task.encoded)
    data = kernel_features.inputs(task.encoded)
    columns = [*(p.points for p in data.matern), data.linear]
    starts = np.cumsum([0] + [c.shape[1] for c in columns])
    kernel = gpytorch.kernels.ConstantKernel()
    kernel.constant = torch.tensor([1.0])
    for part, start, scale in zip(data.matern, starts, hyper.log_matern_variances, strict=False):
        width = part.points.shape[1]
        matern = gpytorch.kernels.MaternKernel(
            nu=2.5, ard_num_dims=width, active_dims=start + np.arange(width)
        )
        matern.lengthscale = torch.tensor(np.exp(hyper.log_lengthscales)[part.owners])
        local = gpytorch.kernels.ScaleKernel(matern)
        local.outputscale = torch.tensor(np.exp(scale))
        kernel = kernel + local
    for g, weight in enumerate(np.exp(hyper.log_linear_variances)):
        linear = gpytorch.kernels.LinearKernel(
            active_dims=starts[-2] + np.flatnonzero(data.group == g)
        )
        linear.variance = torch.tensor(weight)
        kernel = kernel + linear

    class Exact(gpytorch.models.ExactGP):
        def __init__(self) -> None:
            noise = torch.tensor(np.exp(hyper.log_noise_variance) + task.noise_variance + 1e-8)
            likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(noise=noise)
            x = torch.tensor(np.concatenate(columns, axis=1))
            super().__init__(x[:30], torch.tensor(task.y[:30]), likelihood)
            self.x, self.likelihood.noise_covar.noise = x, noise[:30]

        def forward(self, x: object) -> object:
            return gpytorch.distributions.MultivariateNormal(
                torch.zeros(len(x), dtype=torch.double), kernel(x)
            )

    reference = Exact().double().eval()
    with torch.no_grad(), gpytorch.settings.fast_computations(False, False, False):
        expected = reference(reference.x[30:])
        mean, covariance = expected.mean.numpy(), expected.covariance_matrix.numpy()
        prior = reference.forward(reference.x[:30])
        likelihood = float(reference.likelihood(prior).log_prob(torch.tensor(task.y[:30])))
    core = gp.condition(kernel_features, hyper, task.part(slice(30)))
    ours = core.joint(task.encoded[30:])
    np.testing.assert_allclose(ours[0], mean, atol=1e-6)
    np.testing.assert_allclose(ours[1], covariance, atol=1e-6)
    np.testing.assert_allclose(
        core.mean_and_variance(task.encoded[30:])[1], np.diag(covariance), atol=1e-6
    )
    expected = prior_of(kernel_features.sizes)
    away = (hyper.pack() - expected.mean) / expected.deviation
    penalty = 0.5 * float((away**2).sum())
    value = gp.objective(
        data.take(slice(30)), task.y[:30], task.noise_variance[:30], kernel_features.sizes
    )(hyper.pack())[0]
    assert value == pytest.approx(penalty - likelihood, abs=1e-5)


def test_left_out_predictions_are_those_of_refits(task: Task) -> None:
    fitted = gp.fit(task)
    assert isinstance(fitted.core, gp.GaussianProcess)
    for row in (0, 17, 39):
        rest = np.delete(np.arange(40), row)
        core = gp.condition(fitted.core.kernel_features, fitted.core.hyper, task.part(rest))
        assert core.mean_and_variance(task.encoded[[row]])[0][0] == pytest.approx(
            fitted.held_out[row], abs=1e-6
        )
