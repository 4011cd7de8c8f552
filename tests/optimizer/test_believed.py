"""Uncertain measurements are ranked by what all of them together say, not by how far each deviates upwards."""

import numpy as np

from cimbo import Choice, Objective, SearchSpace
from cimbo.optimizer.believed import believed
from cimbo.optimizer.surrogate_factory import SurrogateFactory
from cimbo.optimizer.surrogates import fit
from cimbo.problem.objectives import Problem

SPACE = SearchSpace([Choice(f"x{i}", list(range(8))) for i in range(3)])
PROBLEM = Problem(SPACE, (Objective("accuracy", "max"),))


def test_the_believed_best_are_better_than_the_measured_best():
    rng = np.random.default_rng(0)
    rows = SPACE.sobol_rows(60, 3)
    truth = np.array([80.0 + sum(d.values()) / 3 for d in SPACE.designs(rows)])
    stds = np.where(np.arange(60) < 10, 0.0, 3.0)
    values = truth + rng.normal(0.0, 1.0, 60) * stds
    measured = []
    for value, std in zip(values, stds, strict=True):
        stated = {"accuracy_std": float(std)} if std else {}
        measured.append({"accuracy": float(value), **stated})
    factory = SurrogateFactory(SPACE, "gp")
    fitted = fit(PROBLEM, rows, measured, factory, seed=0, noise={"accuracy": stds})
    found = np.array([m["accuracy"] for m in believed(SPACE, rows, measured, fitted)])
    assert np.abs(found - truth).mean() < 0.5 * np.abs(values - truth).mean()
    np.testing.assert_array_equal(found[:10], values[:10])  # of what is certain nothing is changed
    best_measured, best_believed = np.argsort(-values)[:8], np.argsort(-found)[:8]
    assert truth[best_believed].mean() > truth[best_measured].mean()


def test_measurements_without_deviations_are_believed_as_they_are():
    rows = SPACE.sobol_rows(12, 3)
    measured = [{"accuracy": float(i)} for i in range(12)]
    assert believed(SPACE, rows, measured, {"accuracy": None}) == measured
