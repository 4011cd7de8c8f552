"""Accuracies of cimbo's own with cheaper options first: one die before four, noise form before the bit-accurate one."""

from __future__ import annotations

import pytest

from cimbo import BadInput, Study
from cimbo.config.study_config import load
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy, examples
from cimbo.evaluation.low_fidelity import cheap_values
from cimbo.problem.calibration import MIN_PAIRS
from cimbo.problem.fidelity import Race
from cimbo.problem.noted_metrics import NotedMetrics
from cimbo.supernets.array_instance import N_DIES
from cimbo.workloads import network

CHIP = {"array": "rram", "rows": 128, "adc_bits": 6, "cell_bits": 2, "weight_bits": 8}
CHIP |= {"act_bits": 8, "dac_bits": 1, "cols": 128, "macros_per_pe": 8, "pes": 8}
CHIP |= {"columns_per_adc": 4, "buffer_mb": 0.5, "buffer_gb_s": 64, "dram_channels": 4, "planes": 8}
SMALLEST = network("fmnist-vit").smallest() | CHIP
ONE_DIE = """
extends = "fmnist-vit"
[network.options]
images = 60
[hardware.genes]
array = ["charge_sram"]
[[fidelity]]
set = { dies = 1, images = 30 }
cost = 0.3
"""
NOISE_FORM = """
extends = "fmnist-vit"
[network.options]
images = 12
errors = "bit-accurate"
[[fidelity]]
set = { errors = "noise" }
cost = 0.1
"""


def described(tmp_path, text):
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    return load(tmp_path / "study.toml")


def test_options_say_how_many_images_and_dies_and_which_form():
    all_images = ShippedAccuracy("fmnist-vit")
    assert ShippedAccuracy("fmnist-vit", images=30).measure(SMALLEST) == all_images.measure(
        SMALLEST, images=30
    )
    assert ShippedAccuracy("fmnist-vit", images=30).image_count() == 30
    n_test = len(examples("fmnist-vit", "test")[1])
    assert ShippedAccuracy("fmnist-vit", images=30).image_count("test") == n_test
    exact = ShippedAccuracy("fmnist-vit", errors="bit-accurate", images=12)
    assert exact.measure(SMALLEST) == all_images.measure(SMALLEST, exact=True, images=12)
    assert exact.count_right(SMALLEST, 0, 12) == pytest.approx(0.12 * exact.measure(SMALLEST))
    assert ShippedAccuracy("fmnist-vit", dies=1).chip_of(SMALLEST).n_dies == 1
    assert all_images.chip_of(SMALLEST).n_dies == N_DIES


@pytest.mark.parametrize("wrong", [{"images": 0}, {"dies": N_DIES + 1}, {"errors": "exact"}])
def test_an_option_that_cannot_be_is_named(wrong):
    (name,) = wrong
    with pytest.raises(BadInput, match=f"network.options.{name}"):
        ShippedAccuracy("fmnist-vit", **wrong)


def test_one_die_comes_before_four_and_stops_designs(tmp_path):
    config = described(tmp_path, ONE_DIE)
    problem = config.problem
    one = ShippedAccuracy("fmnist-vit", dies=1, images=30)
    four = ShippedAccuracy("fmnist-vit", images=60)
    with Study.open(None, problem.space, problem.objectives, problem.constraints) as study:
        study.optimize(config.evaluator(), budget=18, batch_size=4, listener=None)
        records = study.evaluations()
        front = study.pareto()
    stopped = [r for r in records if r.metrics.get("accuracy_fidelity", 1.0) < 1.0]
    assert MIN_PAIRS <= len(records) - len(stopped) < len(records)
    for record in stopped[:2]:
        (cheap,) = cheap_values(record.extra)
        assert cheap.metrics["accuracy"] == one.measure(record.params)
        assert record.metrics["accuracy_std"] > 0
        assert record.metrics["accuracy_fidelity"] == 0.3
    for record in front[:2]:
        assert record.metrics["accuracy"] == four.measure(record.params)


def test_the_noise_form_comes_before_the_bit_accurate_one(tmp_path):
    config = described(tmp_path, NOISE_FORM)
    evaluator = config.evaluator()
    evaluator.check()
    noise = ShippedAccuracy("fmnist-vit", images=12).measure(SMALLEST)
    exact = ShippedAccuracy("fmnist-vit", images=12, errors="bit-accurate").measure(SMALLEST)
    evaluator.race_against(Race(config.problem, ()))
    metrics = evaluator(SMALLEST)
    (cheap,) = cheap_values(metrics.about)
    assert metrics["accuracy"] == exact
    assert cheap.metrics == {"accuracy": noise}
    # Another chip with the same errors has the same accuracy, which is not measured again
    evaluator.remember(SMALLEST, metrics)
    again = evaluator({**SMALLEST, "pes": 16})
    assert again["accuracy"] == exact


def test_a_stopped_accuracy_serves_no_other_chip_as_if_it_were_full(tmp_path):
    evaluator = described(tmp_path, NOISE_FORM).evaluator()
    stopped = {"accuracy": 60.0, "accuracy_fidelity": 0.1, "accuracy_std": 2.0}
    evaluator.remember(SMALLEST, NotedMetrics(stopped))
    assert evaluator.known.find(SMALLEST, "accuracy") is None


def test_one_die_stands_for_what_nearly_all_dies_reach(tmp_path):
    text = ONE_DIE + '[[constraints]]\nmetric = "accuracy_p05"\nrelation = ">="\nbound = 5.0\n'
    config = described(tmp_path, text)
    evaluator = config.evaluator()
    evaluator.race_against(Race(config.problem, ()))
    metrics = evaluator(SMALLEST)
    (cheap,) = cheap_values(metrics.about)
    one_die = ShippedAccuracy("fmnist-vit", dies=1, images=30).measure(SMALLEST)
    assert cheap.metrics == {"accuracy": one_die, "accuracy_p05": one_die}
    source = ShippedAccuracy("fmnist-vit", images=60)
    assert metrics["accuracy_p05"] == source.accuracy_p05(SMALLEST)
