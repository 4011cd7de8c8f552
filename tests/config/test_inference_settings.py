"""A study of batches, and of language models: its settings reach every evaluation, and its fingerprint."""

import pytest

from cimbo.config import Config
from cimbo.errors import BadInput
from cimbo.hardware import BASELINE_CHIP

OBJECTIVES = [
    {"name": "inferences_per_s", "goal": "max"},
    {"name": "energy_per_inference_uj", "goal": "min"},
]


def study(network: dict, objectives: list | None = None, **more) -> Config:
    about = {"accuracy": "none", **network}
    listed = OBJECTIVES if objectives is None else objectives
    return Config("s", {"network": about, "objectives": listed, **more})


def largest(evaluator) -> dict:
    return {**evaluator._family.largest(), **BASELINE_CHIP}


def test_rates_of_a_batch_are_measured_and_computed():
    one, many = study({"name": "fmnist-vit"}), study({"name": "fmnist-vit", "batch": 16})
    single, batched = one.evaluator(), many.evaluator()
    design = largest(single)
    measured = batched(design)
    assert measured["inferences_per_s"] == pytest.approx(16e3 / measured["latency_ms"])
    assert measured["latency_ms"] > 8 * single(design)["latency_ms"]
    computed = batched.analytic_costs()["inferences_per_s"]([design])
    assert computed[0] == pytest.approx(measured["inferences_per_s"], rel=1e-9)


def test_the_fingerprint_tells_batches_apart_and_one_from_none():
    plain, one = study({"name": "fmnist-vit"}), study({"name": "fmnist-vit", "batch": 1})
    many = study({"name": "fmnist-vit", "batch": 2})
    assert plain.evaluator().fingerprint() == one.evaluator().fingerprint()
    assert plain.evaluator().fingerprint() != many.evaluator().fingerprint()


def test_a_bound_may_be_a_rate_of_the_baseline():
    rule = [{"metric": "inferences_per_s", "relation": ">=", "baseline": 2.0}]
    config = study({"name": "fmnist-vit", "batch": 4}, baseline=BASELINE_CHIP, constraints=rule)
    (bound,) = config.problem.constraints
    evaluator = config.evaluator()
    measured = evaluator(largest(evaluator))["inferences_per_s"]
    assert bound.bound == pytest.approx(2 * measured)


def test_a_language_model_is_asked_for_tokens():
    wanted = [{"name": "tokens_per_s", "goal": "max"}, {"name": "area_mm2", "goal": "min"}]
    evaluator = study({"name": "gpt2-s", "prompt": 8, "tokens": 3}, wanted).evaluator()
    evaluator.check()
    metrics = evaluator(largest(evaluator))
    assert set(metrics) == {"latency_ms", "energy_uj", "area_mm2", "tokens_per_s"}
    assert evaluator.placed(largest(evaluator))[0].loop.tokens == 3


def test_what_cannot_be_asked_is_told():
    wanted = [{"name": "tokens_per_s", "goal": "max"}]
    with pytest.raises(BadInput, match="fmnist-vit generates no tokens"):
        _ = study({"name": "fmnist-vit"}, wanted).problem
    with pytest.raises(BadInput, match="fmnist-vit generates no tokens"):
        study({"name": "fmnist-vit", "prompt": 8}).evaluator().check()
    with pytest.raises(BadInput, match="batch"):
        _ = study({"name": "fmnist-vit", "batch": 0}).tables
