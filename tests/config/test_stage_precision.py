"""A study in which every stage or block has bits of its own, and those that must not have any."""

import random

import numpy as np
import pytest

from cimbo.config import load, preset
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.workloads.precision import PRECISION_FEATURES

OBJECTIVES = """
[[objectives]]
name = "accuracy"
goal = "max"
reference = 60.0
[[objectives]]
name = "energy_uj"
goal = "min"
reference = 100.0
"""


def study(tmp_path, text: str, extends: str = "fmnist-vit"):
    path = tmp_path / "study.toml"
    path.write_text(f'extends = "{extends}"\n{text}\n{OBJECTIVES}', encoding="utf-8")
    return load(path)


def drawn(config, count: int) -> list[dict]:
    space, rng = config.problem.space, random.Random(0)
    designs = []
    for _ in range(count):
        genes = {choice.name: rng.choice(choice.values) for choice in space.choices}
        designs.append(space.canonical(genes))
    return designs


@pytest.mark.parametrize("name", ["fmnist-vit", "fmnist-mobilenet"])
def test_bits_are_genes_of_the_architecture(tmp_path, name):
    config = study(tmp_path, '[network]\nprecision = "stage"\nstage_bits = [3, 6]', name)
    space = config.problem.space
    names = {choice.name for choice in space.architecture}
    assert {"weight_bits_1", "act_bits_1", "weight_bits_3", "act_bits_3"} <= names
    assert space.choices[space.column["act_bits_2"]].values == (3, 6)
    assert names <= config.evaluator().accuracy_genes()


def test_costs_and_features_follow_the_bits():
    config = preset("fmnist-vit-precision")
    evaluator = config.evaluator()
    evaluator.check()
    designs = drawn(config, 12)
    rows = config.problem.space.rows(designs)
    costs = evaluator.costs(designs)
    for index, design in enumerate(designs):
        assert evaluator.simulated(design)["energy_uj"] == pytest.approx(costs["energy_uj"][index])
        most = design | {name: 8 for name in design if name.rpartition("_")[0].endswith("bits")}
        finest = evaluator.simulated(
            most
        )  # on the schedule of the least product, which may give energy for delay
        product = costs["energy_uj"][index] * costs["latency_ms"][index]
        assert finest["energy_uj"] * finest["latency_ms"] > product
    sizes = evaluator.sizes(designs)
    of_rows = evaluator.sizes.of_rows(config.problem.space, rows)
    assert set(PRECISION_FEATURES) < set(sizes)
    for name, values in sizes.items():
        assert np.array_equal(values, of_rows[name])


def test_sizes_without_bits_are_as_before():
    evaluator = preset("fmnist-vit").evaluator()
    assert set(evaluator.sizes([])) == {"log_macs", "log_parameters"}


def test_few_values_of_one_stage_are_searched(tmp_path):
    text = '[network]\nprecision = "stage"\n[network.genes]\nweight_bits_2 = [4, 8]'
    space = study(tmp_path, text).problem.space
    assert space.choices[space.column["weight_bits_2"]].values == (4, 8)
    assert space.choices[space.column["weight_bits_3"]].values == (4, 5, 6, 8)


def test_bits_of_the_whole_network_are_genes_of_the_chip(tmp_path):
    space = study(
        tmp_path, "[hardware.genes]\nweight_bits = [4, 8]\nact_bits = [4, 8]"
    ).problem.space
    assert {"weight_bits", "act_bits"} <= {choice.name for choice in space.hardware}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[network]\nprecision = "stage"', "network.precision"),
        ("[hardware.genes]\nweight_bits = [4, 8]", "weight_bits"),
        ("[hardware.fixed]\nact_bits = 6", "act_bits"),
    ],
)
@pytest.mark.parametrize("name", ["ofa-mobilenetv3-imagenet", "vit-b-imagenet"])
def test_modelled_accuracies_refuse_bits_they_do_not_know(tmp_path, text, told, name):
    with pytest.raises(BadInput, match="operands of 8 bits and more") as refused:
        _ = study(tmp_path, text, name).problem
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_source_that_does_not_round_stages_is_refused():
    evaluator = JointEvaluator("vit-b", "vit-b-imagenet", stage_bits=(4, 8))
    with pytest.raises(BadInput, match="knows nothing of bits"):
        evaluator.check()
    evaluator = JointEvaluator("fmnist-vit", "fmnist-vit", "accelforge", stage_bits=(4, 8))
    with pytest.raises(BadInput, match="accelforge"):
        evaluator.check()


def test_a_study_of_a_word_that_is_none_is_refused(tmp_path):
    with pytest.raises(BadInput, match="precision"):
        study(tmp_path, '[network]\nprecision = "layer"')
    with pytest.raises(BadInput, match="stage_bits"):
        study(tmp_path, '[network]\nprecision = "stage"\nstage_bits = [0]')
    empty = study(tmp_path, '[network]\nprecision = "stage"\nstage_bits = []')
    with pytest.raises(BadInput, match="stage_bits"):
        _ = empty.problem
