from __future__ import annotations

import math

import numpy as np
import pytest
from predictors_data import designs, space, truth

import predictors
from predictors import PredictorError
from predictors.model import Prediction


def test_scores_by_hand() -> None:
    s = predictors.score(
        [1.0, 2.0, 4.0], Prediction(np.array([1.0, 3.0, 4.0]), np.array([1.0, 0.1, 1.0]))
    )
    assert s.rmse == pytest.approx(math.sqrt(1 / 3))
    assert s.mape == pytest.approx((0 + 0.5 + 0) / 3)
    assert s.r2 == pytest.approx(1 - 1 / (42 / 9))
    assert s.kendall_tau == 1.0
    assert s.coverage_90 == pytest.approx(2 / 3)
    assert s.sharpness == pytest.approx(2 * 1.6448536 * 2.1 / 3)
    assert s.n == 3


def test_reports_on_good_data(rows: list[dict], y: np.ndarray) -> None:
    reports = predictors.validate(rows[:100], y[:100], ["xgboost", "gp"], space(), folds=4)
    assert list(reports) == ["xgboost", "gp"]
    assert reports["gp"].verdict == "OK"
    assert reports["gp"].more == 0
    assert reports["gp"].n == 100
    assert reports["gp"].rmse < reports["xgboost"].rmse
    assert [n for n, _ in reports["gp"].curve] == [25, 50, 75]


def test_noise_is_unusable_and_says_what_to_do(rows: list[dict]) -> None:
    noise = np.random.default_rng(0).standard_normal(60)
    report = predictors.validate(rows[:60], noise, ["gp"], space())["gp"]
    assert report.verdict == "UNUSABLE"
    assert report.kendall_tau < 0.4
    assert "derived features" in report.next_step
    constant = predictors.validate(rows[:20], np.ones(20), ["gp"], space())["gp"]
    assert constant.verdict == "UNUSABLE"
    assert "do not vary" in constant.next_step


def test_validation_holds_rows_out(rows: list[dict]) -> None:
    """Trees can memorise noise; a validation that leaked would see tau near 1."""
    noise = np.random.default_rng(3).standard_normal(80)
    assert predictors.validate(rows[:80], noise, ["xgboost"], space())["xgboost"].kendall_tau < 0.4


def test_more_samples_extrapolates_a_power_law() -> None:
    curve = [(n, 1 - 2 * n**-0.5) for n in (25, 50, 100)]
    assert predictors.more_samples(curve) == pytest.approx(300, abs=1)
    assert predictors.more_samples([(50, 0.92)]) == 0
    assert predictors.more_samples([(25, 0.5), (50, 0.5), (100, 0.5)]) is None


def test_grow_forward_trains_on_the_first_rows_only(rows: list[dict], y: np.ndarray) -> None:
    spoiled = y.copy()
    spoiled[40:] = y[40:][::-1]
    honest, fooled = (
        predictors.grow_forward(rows, t, "gp", (40, 500), space()) for t in (y, spoiled)
    )
    assert honest.keys() == {40}
    assert honest[40].n == 100
    assert honest[40].kendall_tau > 0.8
    assert abs(fooled[40].kendall_tau) < 0.3


def test_learning_curve_rises(rows: list[dict], y: np.ndarray) -> None:
    curve = predictors.learning_curve(rows, y, "gp", (10, 100), space())
    assert curve[100].rmse < curve[10].rmse
    assert curve[10].n == curve[100].n == 28


def test_compare_puts_models_side_by_side(rows: list[dict], y: np.ndarray) -> None:
    models = {n: predictors.fit(rows[:n], y[:n], space(), "gp") for n in (10, 80)}
    scores = predictors.compare({str(n): m for n, m in models.items()}, rows[80:], y[80:])
    assert scores["80"].rmse < scores["10"].rmse


def test_too_few_rows(rows: list[dict], y: np.ndarray) -> None:
    with pytest.raises(PredictorError, match="validate: 8 rows for 5 folds; measure more"):
        predictors.validate(rows[:8], y[:8], ["gp"], space())


@pytest.mark.parametrize("kind", ["gp", "hybrid"])
def test_importances_find_the_knobs(kind: str) -> None:
    rows = designs(120)
    y = np.array([5 * (r["array"] == "analog") + 0.5 * r["depth_0"] for r in rows], dtype=float)
    model = predictors.fit(rows, y, space(), kind)
    for measure, shares in predictors.importances(model, rows).items():
        assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
        if measure == "ard":
            assert max(shares, key=shares.__getitem__) == "array"


def test_tree_importances(rows: list[dict]) -> None:
    y = np.array([truth(r) for r in rows]) + 10 * np.array([r["depth_0"] for r in rows])
    found = predictors.importances(predictors.fit(rows, y, space(), "xgboost"), rows)
    assert found.keys() == {"gain", "shap"}
    assert all(max(shares, key=shares.__getitem__) == "depth_0" for shares in found.values())
