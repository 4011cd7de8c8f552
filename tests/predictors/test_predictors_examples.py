"""The worked examples run, and show what they claim."""

from __future__ import annotations

import runpy
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_plain_loop_beats_random() -> None:
    found = runpy.run_path(str(EXAMPLES / "predictors_plain_loop.py"))["main"]()
    assert found["best"] > found["random"] + 0.5


def test_bundles_serve_a_new_hardware_space() -> None:
    errors = runpy.run_path(str(EXAMPLES / "predictors_reuse_bundle.py"))["main"]()
    assert errors["accuracy_rmse"] < 0.1
    assert errors["latency_mape_with_old"] < errors["latency_mape_alone"]
