from __future__ import annotations

import numpy as np
import pytest
from predictors_data import designs, space, truth

import predictors


@pytest.fixture(scope="session")
def rows() -> list[dict]:
    return designs(140)


@pytest.fixture(scope="session")
def y(rows: list[dict]) -> np.ndarray:
    return np.array([truth(r) for r in rows]) + 0.02 * np.random.default_rng(1).standard_normal(
        len(rows)
    )


@pytest.fixture(scope="session", params=["gp", "xgboost", "hybrid", "posynomial"])
def model(request: pytest.FixtureRequest, rows: list[dict], y: np.ndarray) -> predictors.Model:
    return predictors.fit(rows[:80], y[:80], space(), request.param)
