"""The choice among kinds: by verdict, then on the scale that is modelled, so that the largest values do not decide."""

from dataclasses import replace

import numpy as np
import pytest

import predictors
from predictors.assessment.validation import Report

OK = Report(1.0, 0.1, 0.9, 0.95, 0.9, 1.0, 100, "OK", "use it", error=0.2, log=True)


def test_an_ok_kind_is_never_passed_over_for_a_weak_one():
    weak = replace(OK, rmse=0.1, error=0.1, coverage_90=0.6, verdict="WEAK")
    useless = replace(OK, rmse=0.01, error=0.01, verdict="UNUSABLE")
    assert predictors.choose({"a": useless, "b": weak, "c": OK}) == "c"
    assert predictors.choose({"a": useless, "b": weak}) == "b"


def test_the_scale_that_is_modelled_decides():
    """In milliseconds the largest latencies alone decide; here they favour what is worse everywhere else."""
    better = replace(OK, rmse=9.0, error=0.1)
    assert predictors.choose({"a": OK, "b": better}) == "b"


def test_errors_are_those_of_the_modelled_scale_and_kinds_share_the_process():
    rng = np.random.default_rng(1)
    X = [
        {"a": int(a), "b": float(b)}
        for a, b in zip(rng.integers(0, 9, 60), rng.uniform(0, 1, 60), strict=True)
    ]
    y = np.exp([row["a"] + rng.normal(0, 0.05) for row in X])
    told = []
    together = predictors.validate(
        X, y, ["xgboost", "gp", "hybrid"], log=True, progress=lambda *done: told.append(done)
    )
    alone = {}
    for kind in together:
        alone |= predictors.validate(X, y, [kind], log=True)
    assert together == alone
    assert told == [(i, 7) for i in range(1, 8)]
    report = together[predictors.choose(together)]
    assert report.log
    assert report.error == pytest.approx(0.05, rel=0.5)
    rivals = [each.error for each in together.values() if each.verdict == report.verdict]
    assert report.error == min(rivals)
