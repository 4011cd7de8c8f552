"""NAS-Bench-201 on phase-change memory: exact workloads, modelled accuracies, and those of a user's file."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

import predictors
from cimbo.cli import run
from cimbo.config import preset
from cimbo.errors import BadInput
from cimbo.evaluation.accuracy.published_table import PublishedTable, measured_cells
from cimbo.evaluation.accuracy.sources import accuracy_source
from cimbo.optimizer.views import Inputs, View
from cimbo.session.warm_start import views
from cimbo.workloads import network
from cimbo.workloads.nasbench import CELL_OPERATIONS, CELL_PATHS

PUBLISHED_FILE = Path(__file__).resolve().parents[3] / "shared/data/analognasbench_cifar10.csv"
PCM = {"array": "rram"}
HEADER = "edge0,edge1,edge2,edge3,edge4,edge5,ptq_accuracy,finetuned_drift_86400\n"


def cell(*operations):
    """Genes of a cell."""
    return {f"edge_{number}": operation for number, operation in enumerate(operations, 1)}


# MACs and parameters by the published code (AutoDL-Projects, its TinyNetwork of 16 channels and five cells a stage), counted
# with hooks on its modules; those of the largest are the figures that the paper's interface reports.
COUNTS = [
    (cell(*["conv3x3"] * 6), 220_119_680, 1_531_546),
    (cell(*["none"] * 6), 7_783_040, 73_306),
    (cell("conv1x1", "skip", "none", "avgpool3x3", "none", "none"), 11_715_200, 101_306),
    (cell("skip", "conv3x3", "none", "conv3x3", "conv1x1", "conv1x1"), 86_426_240, 615_386),
]


@pytest.mark.parametrize(("design", "macs", "parameters"), COUNTS)
def test_workloads_equal_the_published_code(design, macs, parameters):
    workload = network("nasbench201").workload(design)
    assert (workload.macs, workload.parameters) == (macs, parameters)


def test_work_that_no_convolution_carries_is_not_lost():
    family = network("nasbench201")
    pooling = family.workload(cell(*["avgpool3x3"] * 6))
    nothing = family.workload(cell(*["none"] * 6))
    assert pooling.macs == nothing.macs
    assert sum(x.vector_ops for x in pooling.layers) > 3 * sum(x.vector_ops for x in nothing.layers)


def test_four_paths_lead_through_a_cell():
    assert sorted(len(path) for path in CELL_PATHS) == [1, 2, 2, 3]
    described = network("nasbench201").descriptors(
        cell(*["conv3x3"] * 3, "none", "skip", "conv3x3")
    )
    assert described["paths"] == 3
    assert described["most_convolutions"] == 3
    assert described["live_conv3x3"] == 4


def test_the_family_keeps_to_what_was_measured():
    family = network("nasbench201-analog")
    assert math.prod(len(choice.values) for choice in family.choices()) == 6250
    with pytest.raises(BadInput, match="edge_1"):
        family.workload(cell(*["conv3x3"] * 6))


def test_the_model_knows_chance_and_good_cells():
    source = accuracy_source("nasbench201-analog")
    good = cell("skip", "conv3x3", "conv3x3", "conv3x3", "none", "skip")
    closed = cell("skip", *["none"] * 5)
    assert source.measure(good | PCM) > 80
    assert source.measure(good | {"array": "digital_sram"}) > source.measure(good | PCM)
    assert source.measure(closed | PCM) < 25
    with pytest.raises(BadInput, match="published"):
        source.measure(good | {"array": "charge_sram"})


def test_a_file_of_the_user_is_looked_up(tmp_path):
    file = tmp_path / "table.csv"
    line = "skip,conv3x3,none,avgpool3x3,conv1x1,skip"  # columns by the node that an edge leaves
    file.write_text(f"{HEADER}{line},91.5,80.85+-1.41\n{line},91.7,81.15+-2.0\n")
    source = accuracy_source("nasbench201-table", {"table": str(file)})
    design = cell("skip", "conv3x3", "avgpool3x3", "none", "conv1x1", "skip")
    assert source.measure(design | PCM) == pytest.approx(81.0)
    assert source.measure(design | {"array": "digital_sram"}) == pytest.approx(91.6)
    assert measured_cells(file, "ptq_accuracy") == [design]
    with pytest.raises(BadInput, match="has no finetuned"):
        source.measure(cell(*["skip"] * 6) | PCM)
    with pytest.raises(BadInput, match="8 bits and more"):
        source.measure(design | PCM | {"weight_bits": 4})


def test_a_file_that_lacks_a_column_is_refused(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("edge0,edge1\nskip,skip\n")
    with pytest.raises(BadInput, match="has no column edge2"):
        PublishedTable(str(file)).check()
    with pytest.raises(BadInput, match="is no file"):
        PublishedTable(str(tmp_path / "none.csv")).check()


def test_a_search_learns_accuracy_from_how_cells_are_connected():
    config = preset("nasbench201-analog")
    evaluator, space = config.evaluator(), config.problem.space
    rows = space.canonical_rows(space.random_rows(40, np.random.default_rng(0)))
    designs = space.designs(rows)
    features = evaluator.sizes(designs)
    family = network("nasbench201-analog")
    for index, design in enumerate(designs):
        for name, value in family.descriptors(design).items():
            assert features[name][index] == value
    of_rows = evaluator.sizes.of_rows(space, rows)
    assert list(of_rows) == list(features) == list(evaluator.sizes([]))
    for name, values in features.items():
        assert np.array_equal(of_rows[name], values)


def test_descriptors_rank_cells_that_were_not_measured_better_than_edges_alone():
    """Learned from 60 cells, as a search learns them."""
    config = preset("nasbench201-analog")
    source, space = accuracy_source("nasbench201-analog"), config.problem.space
    rows = space.canonical_rows(space.random_rows(260, np.random.default_rng(1)))
    accuracy = np.array([source.measure(design | PCM) for design in space.designs(rows)])
    described = views(config.evaluator())["accuracy"]
    taus = []
    for view in (View(described.genes), described):
        table = Inputs(space, rows).table(view)
        schema = view.schema(space, "accuracy", log=False)
        model = predictors.fit(table[:60], accuracy[:60], schema, "gp")
        predicted = model.predict(table[60:]).mean
        taus.append(kendalltau(predicted, accuracy[60:]).statistic)
    edges_alone, with_descriptors = taus
    assert with_descriptors > edges_alone + 0.1


@pytest.mark.skipif(not PUBLISHED_FILE.exists(), reason="the published file is not shipped")
def test_cells_without_a_path_are_those_at_chance():
    """The order of the file's columns is stated nowhere: in another one this would not hold."""
    family, table = network("nasbench201"), PublishedTable(str(PUBLISHED_FILE))
    closed = []
    for design in measured_cells(PUBLISHED_FILE, "ptq_accuracy"):
        if family.descriptors(design)["paths"] == 0:
            closed.append(table.measure(design | {"array": "digital_sram"}))
    assert len(closed) == 57
    assert max(closed) < 15


def test_the_preset_searches_phase_change_memory():
    study = preset("nasbench201-analog")
    study.evaluator().check()
    told = study.accuracy_provenance()
    assert told["kind"] == "modelled"
    assert "AnalogNAS-Bench" in told["label"]
    baseline = study.baseline_costs()
    assert baseline["area_mm2"] <= 20
    design = cell("skip", *CELL_OPERATIONS) | study.baseline()
    metrics = study.evaluator()(design)
    assert {"accuracy", "latency_ms", "energy_uj", "area_mm2"} <= metrics.keys()


def test_a_search_looks_up_what_the_table_holds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = []
    for first in ("skip", "avgpool3x3"):
        for others in itertools.product(CELL_OPERATIONS, repeat=5):
            rows.append(f"{first},{','.join(others)},91,{70 + others.count('conv3x3')}.5+-0.3\n")
    Path("table.csv").write_text(HEADER + "".join(rows))
    asked = ["optimize", "--preset", "nasbench201-analog", "--budget", "3", "--jobs", "1"]
    assert run([*asked, "--table", "table.csv", "--format", "json"]) == 0
    front = json.loads(capsys.readouterr().out)["pareto"]
    for design in front:
        convolutions = [design["architecture"][f"edge_{i}"] for i in range(2, 7)].count("conv3x3")
        assert design["metrics"]["accuracy"] == 70.5 + convolutions
        assert design["accuracy_is"] == "measured by others"
    assert (
        run(["optimize", "--preset", "fmnist-vit", "--table", "table.csv", "--study", "b.db"]) == 2
    )
    assert "--table: holds no accuracies of fmnist-vit" in capsys.readouterr().err
