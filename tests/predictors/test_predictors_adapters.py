"""Other people's conventions: scikit-learn and BoTorch."""

from __future__ import annotations

import numpy as np
import pytest
from predictors_data import designs, space

import predictors
from predictors import PredictorError

sklearn = pytest.importorskip("sklearn")


@pytest.mark.filterwarnings("ignore")
def test_check_estimator() -> None:
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(predictors.SklearnPredictor("gp"), on_skip=None)


def test_pipeline_cross_val_score_and_clone(rows: list[dict], y: np.ndarray) -> None:
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    codes = np.nan_to_num(space().table(rows))
    estimator = predictors.SklearnPredictor("gp", random_state=3)
    assert clone(estimator).get_params() == estimator.get_params()
    scores = cross_val_score(make_pipeline(StandardScaler(), estimator), codes, y, cv=3)
    assert scores.mean() > 0.7


def test_sklearn_takes_dicts_and_returns_deviations(rows: list[dict], y: np.ndarray) -> None:
    estimator = predictors.SklearnPredictor("gp", space()).fit(rows[:60], y[:60])
    mean, std = estimator.predict(rows[60:], return_std=True)
    p = predictors.fit(rows[:60], y[:60], space(), "gp").predict(rows[60:])
    np.testing.assert_array_equal(mean, p.mean)
    np.testing.assert_array_equal(std, p.std)


def test_botorch_posterior_is_the_models(model: predictors.Model, rows: list[dict]) -> None:
    torch = pytest.importorskip("torch")
    encoded = torch.tensor(space().encode(rows[:12])).reshape(2, 2, 3, -1)
    posterior = predictors.botorch_model(model).posterior(encoded)
    p = model.predict(rows[:12], noise=False)
    np.testing.assert_allclose(posterior.mean.numpy().ravel(), p.mean)
    np.testing.assert_allclose(posterior.variance.numpy().ravel(), p.modelled_std**2, rtol=1e-3)
    noisy = predictors.botorch_model(model).posterior(encoded, observation_noise=True)
    np.testing.assert_allclose(
        noisy.variance.numpy().ravel(), model.predict(rows[:12]).modelled_std ** 2, rtol=1e-3
    )
    covariance = model.joint(space().encode(rows[3:6]))[1]
    ours = posterior.distribution.covariance_matrix[0, 1].numpy()
    np.testing.assert_allclose(ours, covariance, atol=1e-6 * covariance.max())


@pytest.mark.filterwarnings("ignore::botorch.exceptions.warnings.NumericsWarning")
def test_botorch_acquisition_over_two_objectives(rows: list[dict], y: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    from botorch.acquisition.multi_objective.monte_carlo import qNoisyExpectedHypervolumeImprovement
    from botorch.optim import optimize_acqf_discrete
    from botorch.sampling import SobolQMCNormalSampler

    cost = -np.array([r["log_macs"] for r in rows])
    models = {
        "accuracy": predictors.fit(rows[:40], y[:40], space(), "gp"),
        "cost": predictors.fit(rows[:40], cost[:40], space(), "hybrid"),
    }
    both = predictors.botorch_model(models)
    assert both.num_outputs == 2
    assert both.subset_output([1]).models == (models["cost"],)
    encoded = torch.tensor(space().encode(rows))
    acquisition = qNoisyExpectedHypervolumeImprovement(
        both,
        [65.0, -8.0],
        encoded[:40],
        cache_root=False,
        prune_baseline=True,
        sampler=SobolQMCNormalSampler(torch.Size([16]), seed=0),
    )
    chosen, value = optimize_acqf_discrete(acquisition, 2, encoded[40:80], unique=True)
    assert chosen.shape == (2, encoded.shape[1])
    assert (value > 0).any()


def test_botorch_refuses_models_of_two_spaces(rows: list[dict], y: np.ndarray) -> None:
    pytest.importorskip("torch")
    one = predictors.fit(rows[:20], y[:20], space(), "gp")
    other = predictors.fit(designs(20), y[:20], kind="gp")
    with pytest.raises(PredictorError, match="features differ"):
        predictors.botorch_model([one, other])
    with pytest.raises(PredictorError, match="no models"):
        predictors.botorch_model([])


def test_frames_keep_their_columns_by_name_and_may_miss_values(
    rows: list[dict], y: np.ndarray
) -> None:
    pandas = pytest.importorskip("pandas")
    from sklearn.model_selection import cross_val_score

    frame = pandas.DataFrame(rows).astype({"array": "category", "kernel_1": "Int64"})
    assert frame["kernel_1"].isna().any()
    by_row = predictors.fit(rows[:60], y[:60], space(), "gp").predict(rows[60:])
    estimator = predictors.SklearnPredictor("gp", space()).fit(frame[:60], pandas.Series(y[:60]))
    np.testing.assert_array_equal(estimator.predict(frame[60:]), by_row.mean)
    assert list(estimator.feature_names_in_) == list(frame.columns)
    assert (
        cross_val_score(
            predictors.SklearnPredictor("gp"), frame, y, cv=3, error_score="raise"
        ).mean()
        > 0.7
    )
    shuffled = frame[sorted(frame.columns)]
    np.testing.assert_array_equal(
        predictors.fit(shuffled, y, space(), "gp").predict(frame).mean,
        predictors.fit(rows, y, space(), "gp").predict(rows).mean,
    )


def test_fantasies_condition_the_joint_gaussian():
    """Against the formula written out, and by what imagining must leave: the mean, and less doubt."""
    import numpy as np
    import torch
    from botorch.sampling.normal import SobolQMCNormalSampler

    import predictors

    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, (24, 3))
    models = [predictors.fit(X, f(X), kind="gp") for f in (lambda x: x.sum(1), lambda x: x[:, 0])]
    model = predictors.botorch_model(models)
    imagined, asked = torch.rand(2, 3, dtype=torch.double), torch.rand(4, 3, dtype=torch.double)
    sampler = SobolQMCNormalSampler(torch.Size([64]), seed=0)
    told = model.fantasize(imagined, sampler).posterior(asked)
    assert told.mean.shape == (64, 4, 2)
    before = model.posterior(asked)
    assert torch.allclose(told.mean.mean(0), before.mean, atol=0.01)
    assert (told.variance[0] <= before.variance + 1e-9).all()
    observed = torch.tensor([[1.0, 0.5], [2.0, 0.25]], dtype=torch.double)
    after = model.condition_on_observations(imagined, observed).posterior(asked)
    for i, one in enumerate(models):
        mean, cov = one.joint(torch.cat([asked, imagined]).numpy())
        known = cov[4:, 4:] + one.noise_variance * np.eye(2)
        expected = mean[:4] + cov[:4, 4:] @ np.linalg.solve(
            known, observed[:, i].numpy() - mean[4:]
        )
        assert np.allclose(after.mean[:, i].numpy(), expected, atol=1e-4)


def test_knowledge_gradient_looks_ahead_with_it():
    import numpy as np
    import torch
    from botorch.acquisition import qKnowledgeGradient

    import predictors

    X = np.random.default_rng(0).uniform(0, 1, (20, 2))
    model = predictors.botorch_model(predictors.fit(X, -((X - 0.5) ** 2).sum(1), kind="gp"))
    gradient = qKnowledgeGradient(model, num_fantasies=8)
    rows = torch.rand(5, 1 + 8, 2, dtype=torch.double)
    assert torch.isfinite(gradient(rows)).all()
