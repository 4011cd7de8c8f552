"""A model told of more rows: what stays, what is conditioned on, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from predictors_data import space

import predictors
from predictors import PredictorError, gp
from predictors.boosting import boosted
from predictors.core import Task


def test_it_learns_from_the_new_rows(
    model: predictors.Model, rows: list[dict], y: np.ndarray
) -> None:
    more = predictors.extend(model, rows[:110], y[:110])
    error = [
        np.sqrt(np.mean((m.predict(rows[80:110]).mean - y[80:110]) ** 2)) for m in (model, more)
    ]
    assert error[1] < 0.7 * error[0]
    assert (more.kind, more.scale, more.metadata["rows"]) == (model.kind, model.scale, 110)
    assert predictors.score(y[110:], more.predict(rows[110:])).kendall_tau > 0.6


@pytest.mark.parametrize("kind", ["gp", "hybrid"])
def test_nothing_new_changes_nothing(kind: str, rows: list[dict], y: np.ndarray) -> None:
    model = predictors.fit(rows[:60], y[:60], space(), kind)
    same = predictors.extend(model, rows[:60], y[:60])
    for a, b in zip(
        model.joint(space().encode(rows[60:80])),
        same.joint(space().encode(rows[60:80])),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_an_extended_process_is_the_posterior_given_all_rows(
    rows: list[dict], y: np.ndarray
) -> None:
    model = predictors.fit(rows[:60], y[:60], space(), "gp")
    more = predictors.extend(model, rows[:90], y[:90])
    assert isinstance(model.core, gp.GaussianProcess)
    standardised = (y[:90] - model.location) / model.scale
    task = Task(space(), space().encode(rows[:90]), standardised, np.zeros(90))
    core = gp.condition(model.core.kernel_features, model.core.hyper, task)
    np.testing.assert_array_equal(
        more.core.mean_and_variance(space().encode(rows[90:]))[0],
        core.mean_and_variance(space().encode(rows[90:]))[0],
    )


def test_old_rows_keep_their_out_of_fold_residual(rows: list[dict], y: np.ndarray) -> None:
    """Trees fit their own rows better than others: what they leave there must not be taken for what they leave elsewhere."""
    model = predictors.fit(rows[:60], y[:60], space(), "hybrid")
    if not model.core.weight:
        model = replace(model, core=replace(model.core, weight=0.5))
    more = predictors.extend(model, rows[:70], y[:70])
    old, new = (gp.targets(m.core.process, np.zeros(n)) for m, n in ((model, 60), (more, 70)))
    np.testing.assert_allclose(new[:60], old, atol=1e-6)
    trees = model.core.weight * boosted.outputs(model.core.booster, space().encode(rows[60:70]))
    np.testing.assert_allclose(
        new[60:], (y[60:70] - model.location) / model.scale - trees, atol=1e-6
    )


def test_the_mean_alone_is_the_mean(model: predictors.Model, rows: list[dict]) -> None:
    encoded = space().encode(rows)
    np.testing.assert_allclose(model.mean(encoded), model.latent_posterior(encoded)[0], atol=1e-9)


def test_too_few_rows_are_refused(model: predictors.Model, rows: list[dict], y: np.ndarray) -> None:
    for n, m in ((20, 20), (90, 89)):
        with pytest.raises(PredictorError, match="old ones first"):
            predictors.extend(model, rows[:n], y[:m])


def test_it_says_which_rows_it_was_told(rows: list[dict], y: np.ndarray) -> None:
    model = predictors.fit(rows[:60], y[:60], space(), "gp")
    more = predictors.extend(model, rows[:90], y[:90])
    assert more.fitted_on(rows[:90], y[:90])
    assert not more.fitted_on(rows[:60], y[:60])
    assert model.fitted_on(rows[:60], y[:60])
