"""Perplexity of elastic GPT-2: what the shipped models say, and studies that seek it."""

import pytest

from cimbo.config import preset
from cimbo.errors import BadInput
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.sources import accuracy_source
from cimbo.hardware.chip import BASELINE_CHIP

CHIP = BASELINE_CHIP | {"array": "digital_sram"}


def gpt2(embed, bias, heads, ratios):
    """Genes of a sub-network, a head count and a ratio a block."""
    design = {"embed": embed, "depth": len(heads), "bias": bias}
    for block, (head, ratio) in enumerate(zip(heads, ratios, strict=True), 1):
        design |= {f"heads_{block}": head, f"mlp_{block}": ratio}
    return design


# Answers of the perplexity surrogate of HW-GPT-Bench (Apache-2.0), which the shipped models were fitted on, and by how much
# a model may be off: five times its error.
ANSWERS = [
    ("gpt2-s", gpt2(768, 1, [12] * 12, [4] * 12), 21.2994, 0.27),
    ("gpt2-s", gpt2(192, 0, [4] * 10, [2] * 10), 43.0184, 0.27),
    (
        "gpt2-s",
        gpt2(768, 0, [12, 8, 12, 4, 8, 4, 4, 12, 4, 8, 8], [3, 4, 3, 2, 3, 4, 3, 2, 2, 3, 4]),
        24.3365,
        0.27,
    ),
    ("gpt2-m", gpt2(1024, 1, [16] * 24, [4] * 24), 20.6879, 0.14),
    ("gpt2-m", gpt2(256, 0, [8] * 22, [2] * 22), 36.2223, 0.14),
]


@pytest.mark.parametrize(("family", "design", "known", "tolerance"), ANSWERS)
def test_models_say_what_they_were_fitted_on(family, design, known, tolerance):
    source = accuracy_source(f"{family}-perplexity")
    assert source.measure(design) == pytest.approx(known, abs=tolerance)


@pytest.mark.parametrize("family", ["gpt2-s", "gpt2-m"])
def test_the_preset_seeks_less_perplexity(family):
    study = preset(family)
    problem = study.problem
    (quality,) = [each for each in problem.objectives if each.name == "perplexity"]
    assert quality.goal == "min"
    evaluator = study.evaluator()
    evaluator.check()
    told = study.accuracy_provenance()
    assert told["kind"] == "modelled"
    assert told["label"].startswith("perplexity is modelled, not measured")
    assert "HW-GPT-Bench" in told["label"]


def test_an_evaluation_names_perplexity_and_no_accuracy():
    evaluator = preset("gpt2-s").evaluator()
    _, design, known, tolerance = ANSWERS[0]
    metrics = evaluator(design | CHIP)
    assert metrics["perplexity"] == pytest.approx(known, abs=tolerance)
    assert "accuracy" not in metrics
    assert {"tokens_per_s", "energy_per_token_uj", "area_mm2"} <= metrics.keys()
    evaluator.remember(design | CHIP, {"perplexity": 12.0})
    assert evaluator(design | CHIP)["perplexity"] == 12.0  # one perplexity serves every chip


def test_bits_that_the_perplexities_know_nothing_of_are_refused():
    source = accuracy_source("gpt2-s-perplexity")
    with pytest.raises(BadInput, match="8 bits and more"):
        source.measure(ANSWERS[0][1] | {"weight_bits": 4})


def test_other_sources_say_an_accuracy():
    assert published.metric_of("ofa-mobilenetv3-imagenet") == "accuracy"
    assert published.metric_of("fmnist-vit") == "accuracy"
