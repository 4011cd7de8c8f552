"""Accuracies from publications: what they say, where they stop, and that they are called modelled wherever they show up."""

import csv
import io
import json
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

import predictors
from cimbo import BadInput, _data
from cimbo.cli import run
from cimbo.config.study_config import Config, load, preset, presets
from cimbo.evaluation.accuracy import published
from cimbo.problem.space import SearchSpace
from cimbo.workloads import network

IMAGENET = {
    "vit-b-imagenet": "vit-b",
    "bert-base": "bert-base",
    "ofa-mobilenetv3-imagenet": "ofa-mobilenetv3",
    "ofa-resnet50-imagenet": "ofa-resnet50",
}
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize(("name", "family"), IMAGENET.items())
def test_each_preset_has_the_published_space_and_a_baseline_inside_its_own_constraint(name, family):
    study = preset(name)
    whole, narrowed = network(family).choices(), study.problem.space.architecture
    assert [c.name for c in narrowed] == [c.name for c in whole]
    assert {c.name for c, n in zip(whole, narrowed, strict=True) if c.values != n.values} <= {
        "resolution"
    }
    costs = study.baseline_costs()
    assert study.problem.feasible({"accuracy": 70.0, **costs})
    study.problem.space.rows(
        [{**network(family).largest(), **study.baseline()}]
    )  # the baseline is a design
    about = study.accuracy_provenance()
    assert about["kind"].startswith("modelled")
    assert 0 < about["error_points"] < 3
    assert all(about[k] for k in ("error_is", "valid", "source", "licence"))


def test_the_space_s_sizes_are_those_of_the_publications():
    sizes = {n: math.log10(SearchSpace(network(f).choices()).size) for n, f in IMAGENET.items()}
    assert sizes["vit-b-imagenet"] == pytest.approx(math.log10(9.7e12), abs=0.01)
    assert sizes["ofa-resnet50-imagenet"] == pytest.approx(12.4, abs=0.05)
    assert sizes["bert-base"] == pytest.approx(13.0, abs=0.05)
    # seven resolutions; the published size is at one of them
    assert sizes["ofa-mobilenetv3-imagenet"] - math.log10(7) == pytest.approx(
        math.log10(2.2e19), abs=0.05
    )


@pytest.mark.parametrize("name", [n for n in IMAGENET if n != "ofa-mobilenetv3-imagenet"])
def test_a_curve_passes_its_anchors_rises_and_keeps_its_stated_error(name):
    about, curve = published.description(name), published.load(name)
    for anchor in about["anchors"]:
        assert curve.at(anchor["gmacs"]) == pytest.approx(anchor["accuracy"])
    values = [curve.at(g) for g in np.geomspace(0.5, 40, 50)]
    assert all(np.diff(values) >= 0)
    for check in about.get("checks", []):
        assert abs(curve.at(check["gmacs"]) - check["accuracy"]) <= about["error_points"] + 0.05
    anchors = tuple((a["gmacs"], a["accuracy"]) for a in about["anchors"])
    for i in range(1, len(anchors) - 1):
        left_out = published.Curve(curve.network, anchors[:i] + anchors[i + 1 :])
        assert abs(left_out.at(anchors[i][0]) - anchors[i][1]) <= about["error_points"]


def test_vit_b_s_largest_network_is_deit_b_and_heads_cannot_be_told_from_layers():
    source, family = published.load("vit-b-imagenet"), network("vit-b")
    assert source.measure(family.largest()) == pytest.approx(81.98, abs=0.02)
    equal_macs = [family.largest() | {f"ffn_{i}": 2048} for i in (1, 7)]
    assert source.measure(equal_macs[0]) == source.measure(equal_macs[1])


def test_the_bundle_predicts_measured_sub_networks_and_refuses_what_was_not_measured():
    source, family = published.load("ofa-mobilenetv3-imagenet"), network("ofa-mobilenetv3")
    assert 77.0 < source.measure(family.largest()) < 78.5
    assert source.measure(family.smallest() | {"resolution": 224}) < 72
    with pytest.raises(BadInput, match=r"resolution: is 160; only \[224\] were measured"):
        source.measure(family.largest() | {"resolution": 160})
    about = predictors.inspect(_data.path("accuracy/ofa-mobilenetv3.cimpred"))
    assert "Apache-2.0" in about["licence"]


@pytest.mark.skipif(not SHARED.exists(), reason="the measured runs are not shipped")
def test_the_bundle_was_fitted_on_the_measured_runs():
    import ast

    source, errors = published.load("ofa-mobilenetv3-imagenet"), []
    with (SHARED / "ofa_mbv3_imagenet_linas.csv").open() as file:
        for line in list(csv.DictReader(file))[::25]:
            genes, design = ast.literal_eval(line["Sub-network"]), {"resolution": 224}
            for s, depth in enumerate(genes["d"]):
                design[f"depth_{s + 1}"] = depth
                for b in range(depth):
                    design[f"kernel_{s + 1}_{b + 1}"] = genes["ks"][4 * s + b]
                    design[f"expand_{s + 1}_{b + 1}"] = genes["e"][4 * s + b]
            errors.append(source.measure(design) - float(line["Top-1 Acc (%)"]))
    assert np.sqrt(np.mean(np.square(errors))) < 0.15


def test_the_stated_error_is_the_benchmark_s(tmp_path):
    answer = json.loads(
        (Path(__file__).parents[2] / "benchmarks" / "ofa_accuracy.json").read_text()
    )
    worst = max(run["rmse"] for run in answer["leave_one_run_out"].values())
    assert published.provenance("ofa-mobilenetv3-imagenet")["error_points"] == pytest.approx(
        worst, abs=0.005
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    file = str(tmp_path_factory.mktemp("modelled") / "vit.db")
    assert (
        run(
            [
                "optimize",
                "--preset",
                "vit-b-imagenet",
                "--budget",
                "20",
                "--jobs",
                "1",
                "--study",
                file,
            ]
        )
        == 0
    )
    return file


def printed(capsys, *arguments):
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def test_modelled_accuracies_are_labelled_in_table_json_csv_and_report(study, tmp_path, capsys):
    answer = json.loads(printed(capsys, "pareto", "--study", study, "--format", "json"))
    assert answer["accuracy"]["kind"] == "modelled (illustration)"
    assert {"error_points", "valid", "source"} <= set(answer["accuracy"])
    assert all(d["accuracy_is"] == "modelled (illustration) ± 1.8" for d in answer["pareto"])
    assert not any(
        "accuracy_test" in d["metrics"] for d in answer["pareto"]
    )  # nothing was measured on test images
    assert "modelled (illustration) ± 1.8" in printed(capsys, "pareto", "--study", study)
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "export", "--study", study))))
    assert {r["accuracy_is"] for r in rows} == {"modelled (illustration) ± 1.8"}
    key = answer["pareto"][0]["key"]
    assert "modelled" in printed(capsys, "show", key, "--study", study)
    assert "not measured" in printed(capsys, "status", "--study", study)
    page = tmp_path / "report.html"
    assert run(["report", "--study", study, "-o", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "accuracy is modelled (illustration), not measured: ± 1.8 points" in text
    assert "accuracy (illustration)" in text
    assert "its accuracy modelled" in text


def test_presets_tell_which_accuracies_are_modelled(capsys):
    rows = json.loads(printed(capsys, "presets", "--format", "json"))
    kinds = {r["preset"]: r["accuracy"] for r in rows}
    assert set(IMAGENET) < set(presets()) == set(kinds)
    assert kinds["fmnist-vit"] == "measured"
    assert all(kinds[name].startswith("modelled") for name in IMAGENET)


def test_a_study_may_narrow_the_genes_of_its_network(tmp_path):
    data = tomllib.loads(
        (Path(published.__file__).parents[2] / "config" / "presets" / "fmnist-vit.toml").read_text()
    )
    data["network"]["genes"] = {"depth": [3]}
    narrowed = Config("narrowed", data).problem.space
    assert narrowed.architecture[0].values == (3,)
    assert "heads_3" in narrowed.names
    assert "heads_4" not in narrowed.names  # a fourth layer cannot exist
    for genes, complaint in (
        ({"dpth": [3]}, "is no gene of fmnist-vit"),
        ({"depth": [99]}, r"is \[99\]; use values"),
    ):
        data["network"]["genes"] = genes
        with pytest.raises(BadInput, match=complaint):
            _ = Config("wrong", data).problem
    (tmp_path / "study.toml").write_text(
        '[network]\nname = "fmnist-vit"\ngene = 1\n[[objectives]]\nname = "a"\ngoal = "max"\n'
    )
    with pytest.raises(BadInput, match=r"network\.gene: is no key"):
        load(tmp_path / "study.toml")
