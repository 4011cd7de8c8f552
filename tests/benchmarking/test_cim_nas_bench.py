"""CIM-NAS-Bench: what its files hold, what its loader finds, what its search problems promise."""

import shutil

import numpy as np
import pytest

from cimbo import _data
from cimbo.benchmarking import cim_nas_bench, problem_sets
from cimbo.benchmarking.cim_nas_bench.measurements import FOLDER, N_TEST_ROWS, read_about
from cimbo.benchmarking.cim_nas_bench.measuring import measure
from cimbo.benchmarking.cim_nas_bench.problem import (
    problem_names,
    search_space,
    tabular_problem,
)
from cimbo.benchmarking.cim_nas_bench.spaces import (
    TABLE_NETWORKS,
    all_layers,
    products,
    table_arrays,
)
from cimbo.errors import BadInput
from cimbo.evaluation import accuracy
from cimbo.problem.pareto import dominated_by
from cimbo.problem.space import SearchSpace
from cimbo.workloads import network

NAMES = cim_nas_bench.names()
VIT = {"depth": 4, "embed": 48, "heads": 4, "mlp": 3}
DIGITAL = {"array": "digital_sram", "weight_bits": 8}


@pytest.mark.parametrize("name", NAMES)
def test_every_subnetwork_of_the_small_space_is_measured_on_every_array(name: str):
    bench = cim_nas_bench.load(name)
    wanted = 0
    for small in products(TABLE_NETWORKS[name]):
        for array in table_arrays(name):
            found = bench.lookup(small, array)
            assert found.part == "table"
            assert found.subnet == all_layers(name, small)
            assert dict(found.array) == array
            wanted += 1
    assert wanted == len(bench.part("table"))


@pytest.mark.parametrize("name", NAMES)
def test_every_measurement_is_a_subnetwork_with_a_count_that_can_be(name: str):
    bench = cim_nas_bench.load(name)
    space = SearchSpace(network(name).choices())
    for each in bench.measurements:
        assert space.canonical(each.subnet) == each.subnet
        assert 0 <= each.right <= each.images
        assert 0.0 < each.standard_error < 3.0
    numbers = [each.number for each in bench.measurements]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("subnet", "array", "complaint"),
    [
        ({}, {"noise_lsb": 0.6}, "noise_lsb: is the same in the whole table"),
        ({}, {"age": "a year"}, "age: is the same in the whole table"),
        ({}, {"die": 3}, "die: is the same in the whole table"),
        ({}, {"rows": -5}, "rows: is -5; give a whole positive number"),
        ({}, {"array": "digital_sram", "pes": -4}, "pes: is -4"),
        ({}, {"array": "digital_sram", "adc_bits": 99}, "adc_bits: 99.0 is beyond any converter"),
        ({}, {"macros_per_pe": "x"}, "macros_per_pe: is .*give a number"),
        ({}, {"adc_bit": 6}, "adc_bit: is no gene of a chip; did you mean adc_bits"),
        ({"embedd": 48}, {}, "embedd: is no gene of it; did you mean embed"),
        ({"depth": 3}, {}, "it has depth 2, 4, 6; embed 32, 48, 64"),
    ],
)
def test_a_lookup_refuses_what_it_would_not_look_at(subnet, array, complaint):
    bench = cim_nas_bench.load("fmnist-vit")
    usual = {"array": "rram", "rows": 64, "adc_bits": 8}
    with pytest.raises(BadInput, match=complaint):
        bench.lookup({**VIT, **subnet}, {**usual, **array})


def test_a_lookup_takes_whole_floats_and_refuses_what_holds_no_genes():
    bench = cim_nas_bench.load("fmnist-vit")
    usual = {"array": "rram", "rows": 64, "adc_bits": 8}
    floats = {**usual, "rows": 64.0}
    assert bench.lookup({**VIT, "embed": float(VIT["embed"])}, floats) == bench.lookup(VIT, usual)
    with pytest.raises(BadInput, match="array: is None; give a dict"):
        bench.lookup(VIT, None)


def test_an_array_can_be_given_as_part_of_a_chip_and_unmeasured_ones_are_refused():
    bench = cim_nas_bench.load("fmnist-vit")
    measured = bench.lookup(VIT, DIGITAL)
    assert bench.lookup(VIT, bench.whole_chip(DIGITAL)) == measured
    assert bench.lookup(all_layers("fmnist-vit", VIT), DIGITAL) == measured
    with pytest.raises(BadInput, match="has not measured"):
        bench.lookup(VIT, {"array": "rram", "rows": 48, "adc_bits": 6})
    with pytest.raises(BadInput, match="dac_bits: is 2; the table has 1"):
        bench.lookup(VIT, {"array": "rram", "rows": 64, "adc_bits": 6, "dac_bits": 2})
    with pytest.raises(BadInput, match="lacks mlp"):
        bench.lookup({"depth": 4, "embed": 48, "heads": 4}, DIGITAL)


def test_a_smaller_network_costs_less_on_the_same_chip():
    bench = cim_nas_bench.load("fmnist-vit")
    small = {"depth": 2, "embed": 32, "heads": 1, "mlp": 1}
    large, less = bench.costs(VIT, DIGITAL), bench.costs(small, DIGITAL)
    assert less["latency_ms"] < large["latency_ms"]
    assert less["energy_uj"] < large["energy_uj"]
    assert less["area_mm2"] == large["area_mm2"]


@pytest.mark.parametrize("name", ["fmnist-vit", "fmnist-mobilenet"])
def test_rows_to_learn_from_and_rows_to_predict_are_apart(name: str):
    bench = cim_nas_bench.load(name)
    most = len(bench.part("random")) - N_TEST_ROWS
    train, test = bench.split(100)
    more, same = bench.split(most)
    assert more[:100] == train
    assert same == test
    assert not {each.number for each in more} & {each.number for each in test}
    columns = bench.columns("random")
    assert {len(values) for values in columns.values()} == {len(bench.part("random"))}
    with pytest.raises(BadInput, match="n_train"):
        bench.split(most + 1)
    with pytest.raises(BadInput, match="too few for a split"):
        cim_nas_bench.load("reviews-minilm").split(10)


def test_a_file_that_was_changed_is_refused(tmp_path):
    folder = tmp_path / "bench"
    shutil.copytree(_data.path(FOLDER), folder)
    file = folder / "fmnist-vit.csv"
    file.write_text(file.read_text().replace(",500,", ",501,", 1))
    with pytest.raises(BadInput, match="has been changed"):
        cim_nas_bench.load("fmnist-vit", folder)
    with pytest.raises(BadInput, match="unknown"):
        cim_nas_bench.load("resnet", folder)


def measures_the_same(each: cim_nas_bench.Measurement) -> bool:
    """Whether the code measures what it did when the file was made; version 6 changed analog arrays' noise form alone."""
    version = read_about().accuracy_results_version
    if version == accuracy.RESULTS_VERSION:
        return True
    untouched = each.array["array"] == "digital_sram" or each.form == "exact"
    return (version, accuracy.RESULTS_VERSION) == (5, 6) and untouched


def test_measurements_made_again_count_the_same():
    """The quickest and a middling one of each part and network, of those that the code still measures as it did."""
    compared = 0
    for name in ("fmnist-vit", "fmnist-mobilenet"):
        bench = cim_nas_bench.load(name)
        for part in cim_nas_bench.PARTS:
            rows = [each for each in bench.part(part) if measures_the_same(each)]
            rows.sort(key=lambda each: each.cpu_seconds)
            for each in rows[: len(rows) // 2 + 1 : max(len(rows) // 2, 1)]:
                assert measure(each)[0] == each.right, each
                compared += 1
    if not compared:
        version = read_about().accuracy_results_version
        pytest.skip(f"measured with version {version} of accuracies under the arrays' errors")


@pytest.mark.parametrize("name", [problem_names()[i] for i in (0, 4, 8)])
def test_no_design_of_a_search_problem_is_better_than_its_true_front(name: str):
    found = tabular_problem(name)
    space = found.problem.space
    assert len(found.rows) == space.size
    assert len({row.tobytes() for row in found.rows}) == space.size
    front = found.measure(space.designs(found.rows[found.front]))
    assert found.share(front) == pytest.approx(1.0)
    assert found.share([]) == 0.0
    rows = space.random_rows(300, np.random.default_rng(0))
    measured = [m for m in found.measure(space.designs(rows)) if found.problem.feasible(m)]
    assert found.share(front + measured) == pytest.approx(1.0)
    assert 0.0 < found.share(measured) < 1.0
    scores = np.asarray(found.problem.scores(front))
    assert not dominated_by(scores, np.asarray(found.problem.scores(measured))).any()


def test_a_design_is_looked_up_and_costs_what_the_model_says():
    found, bench = tabular_problem(problem_names()[1]), cim_nas_bench.load("fmnist-vit")
    space = search_space("fmnist-vit")
    for design in space.designs(space.random_rows(5, np.random.default_rng(1))):
        subnet = {gene: design[gene] for gene in VIT}
        chip = {gene: design[gene] for gene in design if gene not in VIT}
        measured = found.measure([design])[0]
        array_genes = ("array", "rows", "adc_bits", "weight_bits")
        array = {gene: chip[gene] for gene in array_genes if gene in chip}
        assert measured["accuracy"] == bench.lookup(subnet, array).accuracy
        for metric, value in bench.costs(subnet, chip).items():
            assert measured[metric] == pytest.approx(value, rel=1e-12)


def test_the_problems_are_found_by_name():
    names = [each.name for each in problem_sets.find("cim-nas-bench-fmnist-*-latency")]
    assert names == ["cim-nas-bench-fmnist-vit-latency", "cim-nas-bench-fmnist-mobilenet-latency"]
