"""Other people's surrogates: functions, BoTorch's models, and a search that is steered by them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from predictors_data import designs, space, truth

import predictors
from predictors import PredictorError
from predictors.interfaces import external

botorch_models = pytest.importorskip("botorch.models")
torch = pytest.importorskip("torch")


class Own(botorch_models.SingleTaskGP):
    """A user's model."""


@dataclass(frozen=True)
class Answer:
    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class Ridge:
    """A linear model, equally unsure everywhere."""

    weights: np.ndarray
    error: float

    def predict(self, rows: np.ndarray) -> Answer:
        mean = np.column_stack([rows, np.ones(len(rows))]) @ self.weights
        return Answer(mean, np.full(len(rows), self.error))


class Wrong:
    """Answers as many numbers as it likes."""

    def predict(self, rows: np.ndarray) -> Answer:
        return Answer(np.zeros(3), np.zeros(3))


def ridge(X: np.ndarray, y: np.ndarray) -> Ridge:
    A = np.column_stack([X, np.ones(len(X))])
    weights = np.linalg.solve(A.T @ A + 0.1 * np.eye(A.shape[1]), A.T @ y)
    return Ridge(weights, float((y - A @ weights).std()))


KINDS = {
    "botorch:SingleTaskGP": "botorch:SingleTaskGP",
    "botorch:MixedSingleTaskGP": "botorch:MixedSingleTaskGP",
    "botorch:EnsembleMapSaas": "botorch:EnsembleMapSaas",
    "botorch:Own": predictors.botorch(Own),
    "ridge": predictors.plugin(ridge),
}


@pytest.fixture(scope="module", params=KINDS)
def other(request: pytest.FixtureRequest, rows: list[dict], y: np.ndarray) -> predictors.Model:
    return predictors.fit(rows[:40], y[:40], space(), KINDS[request.param])


def test_another_kind_predicts_samples_and_is_told_more(
    other: predictors.Model, rows: list[dict], y: np.ndarray
) -> None:
    assert other.kind in KINDS
    scores = predictors.score(y[60:], other.predict(rows[60:]))
    assert scores.kendall_tau > 0.75
    assert 0.6 <= scores.coverage_90 <= 1.0
    function = other.predict(rows[60:90], noise=False)
    samples = other.sample(rows[60:90], 3000, seed=1)
    spread = function.std.max()
    np.testing.assert_allclose(samples.mean(0), function.mean, atol=0.1 * spread)
    np.testing.assert_allclose(samples.std(0), function.std, rtol=0.1)
    mean, covariance = other.joint(other.schema.encode(rows[60:66]).reshape(2, 3, -1))
    assert mean.shape == (2, 3)
    assert covariance.shape == (2, 3, 3)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9 * covariance.max()
    more = predictors.extend(other, rows[:60], y[:60])
    assert more.metadata["rows"] == 60
    assert more.predict(rows[40:60], noise=False).std.mean() < 1.05 * (
        other.predict(rows[40:60], noise=False).std.mean()
    )


def test_a_model_of_another_kind_is_not_stored(other: predictors.Model, tmp_path: Path) -> None:
    with pytest.raises(PredictorError, match="cannot be stored"):
        predictors.save(other, tmp_path / "other.cimpred")
    assert not list(tmp_path.iterdir())


def test_equal_seeds_give_equal_models(rows: list[dict], y: np.ndarray) -> None:
    first, second = (
        predictors.fit(rows[:30], y[:30], space(), "botorch:EnsembleMapSaas", seed=3)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.predict(rows).mean, second.predict(rows).mean)
    np.testing.assert_array_equal(first.predict(rows).std, second.predict(rows).std)


def test_a_logarithm_is_modelled_and_answered_in_natural_units(rows: list[dict]) -> None:
    cost = np.exp([truth(row) - 72 for row in rows])
    schema = replace(space(), log=True)
    model = predictors.fit(rows[:60], cost[:60], schema, "botorch:SingleTaskGP")
    prediction = model.predict(rows[60:])
    assert (prediction.mean > 0).all()
    assert predictors.score(cost[60:], prediction).kendall_tau > 0.8


def test_an_inactive_nominal_is_a_level_of_its_own() -> None:
    from predictors.interfaces.botorch_models import ModelInputs

    schema = space()
    rows = designs(20)
    rows[0].pop("array")
    encoded = schema.encode(rows)
    inputs = ModelInputs.of(schema, encoded, categorical=True)
    column = inputs.categorical_columns[0]
    assert schema.names[column] == "array"
    levels = inputs(encoded)[:, column].numpy()
    assert levels[0] == 0
    assert set(levels[1:]) <= {1.0, 2.0, 3.0}


@pytest.mark.parametrize(
    ("kind", "said"),
    [("mine", "use auto, gp"), ("botorch:None", "botorch:EnsembleMapSaas")],
)
def test_unknown_kinds_are_refused(kind: str, said: str) -> None:
    with pytest.raises(PredictorError, match=said):
        predictors.fit(designs(10), np.arange(10.0), space(), kind)


def test_what_a_plugin_answers_is_looked_at(rows: list[dict], y: np.ndarray) -> None:
    def wrong(X: np.ndarray, y: np.ndarray) -> Wrong:
        return Wrong()

    with pytest.raises(PredictorError, match=r"kind 'wrong': predicts shapes \(3,\)"):
        predictors.fit(rows[:20], y[:20], space(), predictors.plugin(wrong))


def test_near_rows_err_alike(rows: list[dict], y: np.ndarray) -> None:
    model = predictors.fit(rows[:40], y[:40], space(), predictors.plugin(ridge))
    encoded = space().encode([rows[0], rows[0], rows[1]])
    covariance = model.joint(encoded)[1]
    assert covariance[0, 1] == pytest.approx(covariance[0, 0], rel=1e-6)
    assert covariance[0, 2] < covariance[0, 0]
    assert external.median_distance(encoded[:2]) == 1.0


@pytest.mark.parametrize("kind", [RuntimeError("boom"), SystemExit(3)], ids=str)
@pytest.mark.parametrize("where", ["fit", "predict"])
def test_a_plugin_that_raises_is_named_in_a_line(
    rows: list[dict], y: np.ndarray, kind: BaseException, where: str
) -> None:
    class Raising:
        def predict(self, encoded: np.ndarray) -> None:
            raise kind

    def my_surrogate(encoded: np.ndarray, targets: np.ndarray) -> Raising:
        if where == "fit":
            raise kind
        return Raising()

    told = (
        rf"^kind 'my_surrogate': {where} raised {type(kind).__name__}: .*\.py:\d+\); correct that"
    )
    with pytest.raises(predictors.PredictorError, match=told):
        predictors.fit(rows[:20], y[:20], space(), predictors.plugin(my_surrogate))


def test_reports_of_plugins_stand_under_their_names(rows: list[dict], y: np.ndarray) -> None:
    reports = predictors.validate(
        rows[:20], y[:20], schema=space(), kinds=["gp", predictors.plugin(ridge)], folds=2
    )
    assert list(reports) == ["gp", "ridge"]
