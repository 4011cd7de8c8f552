"""What every kind of predictor must do, and what one kind promises."""

from __future__ import annotations

import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pytest
from predictors_data import designs, measured, space, truth

import predictors
from predictors import Feature, PredictorError, Schema
from predictors.fitting import fit_kinds
from predictors.gp import fitting as gp_fitting


def test_predicts_what_it_has_not_seen(
    model: predictors.Model, rows: list[dict], y: np.ndarray
) -> None:
    scores = predictors.score(y[80:], model.predict(rows[80:]))
    least = {"gp": 0.9, "hybrid": 0.9, "posynomial": 0.9, "xgboost": 0.6}[model.kind]
    assert scores.kendall_tau > least
    assert 0.8 <= scores.coverage_90 <= 1.0


def test_joint_samples_agree_with_the_marginals(model: predictors.Model, rows: list[dict]) -> None:
    samples = model.sample(rows[80:90], 4000, 3)
    p = model.predict(rows[80:90], noise=False)
    assert samples.shape == (4000, 10)
    np.testing.assert_allclose(samples.mean(0), p.mean, atol=5 * p.std.max() / np.sqrt(4000))
    np.testing.assert_allclose(samples.std(0), p.std, rtol=0.1)
    np.testing.assert_array_equal(samples, model.sample(rows[80:90], 4000, 3))


def test_samples_are_joint(model: predictors.Model, rows: list[dict]) -> None:
    """A design asked twice gets one value in each sample: what independent marginals cannot do."""
    samples = model.sample([rows[90], rows[90], rows[100]], 500, 0)
    deviation = samples.std(0)[0]
    assert np.abs(samples[:, 0] - samples[:, 1]).max() < 0.02 * deviation
    assert abs(np.corrcoef(samples[:, 0], samples[:, 2])[0, 1]) < 0.999


def test_inactive_genes_do_not_matter_but_activity_does(model: predictors.Model) -> None:
    row = next(r for r in designs(50, 7) if r["depth_0"] == 1)
    explicit = row | {"kernel_1": None, "kernel_2": float("nan")}
    assert model.predict([row]).mean == model.predict([explicit]).mean


def test_measurement_noise_adds_to_the_deviation(model: predictors.Model, rows: list[dict]) -> None:
    assert (model.predict(rows).std > model.predict(rows, noise=False).std).all()


def test_equal_seeds_give_equal_models(
    model: predictors.Model, rows: list[dict], y: np.ndarray
) -> None:
    again = predictors.fit(rows[:80], y[:80], space(), model.kind)
    np.testing.assert_array_equal(again.predict(rows).mean, model.predict(rows).mean)
    np.testing.assert_array_equal(again.predict(rows).std, model.predict(rows).std)


@pytest.mark.parametrize("kind", ["gp", "xgboost", "hybrid", "posynomial"])
def test_log_targets_stay_positive_in_natural_units(kind: str, rows: list[dict]) -> None:
    latency = np.array([np.exp(0.5 * (truth(r) - 70)) for r in rows])
    model = predictors.fit(rows[:80], latency[:80], space(log=True), kind)
    p = model.predict(rows[80:])
    lower, upper = p.interval()
    assert (lower > 0).all()
    assert (lower < p.mean).all()
    assert (p.mean < upper).all()
    assert (
        predictors.score(latency[80:], p).mape
        < {"gp": 0.05, "hybrid": 0.05, "posynomial": 0.05, "xgboost": 0.35}[kind]
    )
    assert (model.sample(rows[80:], 16, 0) > 0).all()


@pytest.mark.parametrize("kind", ["gp", "hybrid"])
def test_given_noise_is_believed_row_by_row(kind: str, rows: list[dict]) -> None:
    clean = np.array([truth(r) for r in rows])
    noise = np.where(np.arange(100) % 2, 3.0, 0.01)
    noisy = clean[:100] + noise * np.random.default_rng(0).standard_normal(100)
    told = predictors.fit(rows[:100], noisy, space(), kind, noise=noise)
    untold = predictors.fit(rows[:100], noisy, space(), kind)
    error = [predictors.score(clean[100:], m.predict(rows[100:])).rmse for m in (told, untold)]
    assert error[0] < 0.5 * error[1]


def test_auto_says_why_and_takes_the_best_held_out(rows: list[dict], y: np.ndarray) -> None:
    model = predictors.fit(rows[:80], y[:80], space())
    assert model.kind in ("gp", "hybrid")  # smooth truth: trees alone lose
    assert model.selection_reason.startswith(f"{model.kind}: held-out RMSE")
    assert "xgboost" in model.selection_reason


def test_auto_takes_trees_where_the_truth_has_steps() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(300, 6))
    up = x > 0.5
    y = 5 * up[:, 0] + 3 * (up[:, 0] & up[:, 1]) + 2 * up[:, 2] + 0.01 * rng.standard_normal(300)
    schema = Schema(tuple(Feature(f"x{i}", "numeric") for i in range(6)))
    model = predictors.fit(x, y, schema)
    assert model.kind in ("xgboost", "hybrid")
    assert "gp" in model.selection_reason


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "oracle"}, "kind: 'oracle' is unknown"),
        ({"y": [1.0, float("nan"), 2.0]}, "y: row 1 is nan; drop failed evaluations"),
        ({"y": [1.0, 2.0]}, "y: has 2 values for 3 rows"),
        ({"y": ["a", "b", "c"]}, "y: holds something that is not a number"),
        ({"y": [1.0, -1.0, 2.0], "log": True}, "y: row 1 is not positive; use log=False"),
        ({"noise": [-1, 0, 0]}, "noise: is negative"),
    ],
)
def test_refusals(change: dict, says: str) -> None:
    call = {"X": designs(3), "y": [1.0, 2.0, 3.0], "schema": space(), "kind": "gp"} | change
    with pytest.raises(PredictorError) as caught:
        predictors.fit(call.pop("X"), call.pop("y"), **call)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("kind", ["gp", "xgboost", "hybrid", "posynomial", "auto"])
@pytest.mark.parametrize("target", ["two rows", "constant", "repeated row"])
def test_degenerate_data_still_gives_a_finite_model(kind: str, target: str) -> None:
    data = {"two rows": designs(2), "constant": designs(12), "repeated row": designs(1) * 12}[
        target
    ]
    y = np.full(len(data), 5.0) if target == "constant" else np.arange(len(data), dtype=float)
    p = predictors.fit(data, y, space(), kind).predict(designs(5, 3))
    assert np.isfinite(p.mean).all()
    assert (p.std > 0).all()


def test_transfer_helps_with_few_rows_and_is_dropped_when_it_hurts(
    rows: list[dict], y: np.ndarray
) -> None:
    old = predictors.fit(rows[:100], y[:100], space(), "gp")
    new_rows = [r | {"adc_bits": 4 + i % 3} for i, r in enumerate(designs(60, 5))]
    new_y = np.array([truth(r) + 0.1 * r["adc_bits"] for r in new_rows])
    schema = Schema((*space().features, Feature("adc_bits", "ordinal", (4, 5, 6))), "accuracy", "%")
    with_old = predictors.fit(new_rows[:15], new_y[:15], schema, "gp", mean=old)
    without = predictors.fit(new_rows[:15], new_y[:15], schema, "gp")
    errors = [
        predictors.score(new_y[15:], m.predict(new_rows[15:])).rmse for m in (with_old, without)
    ]
    assert with_old.base is not None
    assert errors[0] < 0.5 * errors[1]
    misleading = predictors.fit(
        rows[:100], np.random.default_rng(0).standard_normal(100), space(), "gp"
    )
    kept = predictors.fit(new_rows[:40], new_y[:40], schema, "gp", mean=misleading)
    assert kept.base is None
    assert "older model dropped" in kept.selection_reason


@pytest.mark.parametrize("log", [False, True])
def test_an_older_model_is_doubted_where_it_is_unsure_itself(log: bool) -> None:
    """It has seen small networks only, and so have the new measurements: what it says of large ones needs wide intervals."""
    rows, new = designs(400, 11), designs(300, 12)
    small = [r for r in rows if r["log_macs"] < 4.5]
    near, far = ([r for r in new if (r["log_macs"] < 4.5) == here] for here in (True, False))

    def y(listed: list[dict]) -> np.ndarray:
        values = np.array([truth(r) for r in listed])
        return np.exp(0.1 * values) if log else values

    old = predictors.fit(small, y(small), space(), "gp")
    model = predictors.fit(near[:25], 1.05 * y(near[:25]), space(log), "gp", mean=old)
    assert model.base is not None
    assert np.median(model.predict(far).modelled_std) > 1.5 * np.median(
        model.predict(near[25:]).modelled_std
    )
    assert predictors.score(1.05 * y(far), model.predict(far)).coverage_90 > 0.8
    encoded = space(log).encode(far[:8])
    covariance = model.joint(encoded.reshape(2, 4, -1))[1]
    variance = model.latent_posterior(encoded)[1].reshape(2, 4)
    np.testing.assert_allclose(np.diagonal(covariance, axis1=-2, axis2=-1), variance, rtol=1e-6)
    assert (np.linalg.eigvalsh(covariance) > -1e-9).all()


def test_fast_enough_for_a_search_loop() -> None:
    """200 rows of 60 features. Bounds in CPU seconds, several times what an idle core takes."""
    rng = np.random.default_rng(0)
    schema = Schema(tuple(Feature(f"g{i}", "ordinal", (1, 2, 3)) for i in range(60)))
    x = rng.integers(1, 4, (1000, 60)).astype(float)
    y = x @ rng.standard_normal(60) + 0.1 * rng.standard_normal(1000)
    start = time.process_time()
    model = predictors.fit(x[:200], y[:200], schema, "gp")
    fitted = time.process_time()
    model.sample(x[200:], 128, 0)
    sampled = time.process_time()
    model.predict(np.tile(x, (10, 1)))
    predicted = time.process_time()
    assert fitted - start < 3
    assert sampled - fitted < 1
    assert predicted - sampled < 1


def test_importing_loads_no_heavy_library() -> None:
    code = "import sys, predictors; print(sorted({'torch','xgboost','sklearn','pandas','scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("n", "tau", "rmse"), [(50, 0.91, 0.55), (100, 0.94, 0.45), (200, 0.95, 0.35)]
)
def test_measured_imagenet_run_grows_forward(n: int, tau: float, rmse: float) -> None:
    rows, accuracy, schema = measured("ofa_mbv3_imagenet_linas")
    scores = predictors.grow_forward(rows, accuracy, "auto", (n,), schema)[n]
    assert scores.kendall_tau >= tau
    assert scores.rmse <= rmse
    assert 0.85 <= scores.coverage_90 <= 0.95


def test_kinds_that_are_fitted_together_equal_those_fitted_alone(rows: list[dict]) -> None:
    """Trees find nothing in a linear target: the hybrid is the process, whose errors on later rows are computed once."""
    y = np.array([2.0 * r["depth_0"] for r in rows])
    noisy = y + 0.1 * np.random.default_rng(0).standard_normal(len(y))
    kinds = ("gp", "hybrid", "xgboost")
    calls = []
    with mock.patch.object(gp_fitting, "_later_errors", wraps=gp_fitting._later_errors) as spied:
        together = fit_kinds(rows[:60], noisy[:60], space(), kinds)
        calls.append(spied.call_count)
        alone = {kind: predictors.fit(rows[:60], noisy[:60], space(), kind) for kind in kinds}
        calls.append(spied.call_count - calls[0])
    # Two splits into earlier and later rows, for one process, and for two
    assert calls == [2, 4]
    for kind in kinds:
        expected, found = alone[kind].predict(rows), together[kind].predict(rows)
        assert np.array_equal(expected.mean, found.mean)
        assert np.array_equal(expected.std, found.std)
