"""A network of one's own on a chip of one's own: the chip, its schedule and every metric are shown wherever they matter."""

import json
from pathlib import Path

import pytest

from cimbo import Study
from cimbo.cli import run

MODULE = """
import torch
from cimbo.workloads import torch_family

def build(genes):
    return torch.nn.Sequential(
        torch.nn.Linear(16, genes["width"]), torch.nn.ReLU(), torch.nn.Linear(genes["width"], genes["classes"])
    )

family = torch_family(
    "tiny", {"width": list(range(8, 40)), "classes": [4, 8, 12]}, build, torch.zeros(1, 16)
)

def accuracy(design):
    value = 50.0 + design["width"] - design["classes"] / 3
    return {"accuracy": value, "accuracy_p05": value - 60 / design["rows"] - design["width"] / 9}
"""
STUDY = """
[network]
name = "tiny:family"
accuracy = "tiny:accuracy"
[hardware.fixed]
array = "charge_sram"
rows = {rows}
cols = 128
macros_per_pe = 4
pes = 4
adc_bits = 5
columns_per_adc = 4
buffer_mb = 0.125
buffer_gb_s = 64
dram_channels = 1
{planes}
[[objectives]]
name = "accuracy"
goal = "max"
[[objectives]]
name = "latency_ms"
goal = "min"
[[constraints]]
metric = "accuracy_p05"
relation = ">="
bound = 20.0
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("tiny.py").write_text(MODULE)
    Path("a.toml").write_text(STUDY.format(rows=64, planes="planes = 2"))
    Path("b.toml").write_text(STUDY.format(rows=128, planes="planes = 2"))
    Path("forgotten.toml").write_text(STUDY.format(rows=64, planes=""))
    return tmp_path


def searched(name: str, budget: int, *more: str) -> None:
    words = ["optimize", "--config", f"{name}.toml", "--study", f"{name}.db", "--jobs", "1"]
    assert run([*words, "--budget", str(budget), *more]) == 0


def test_a_given_chip_its_schedule_and_what_is_searched_of_it_are_told(folder, capsys):
    searched("a", 12)
    said = capsys.readouterr().err
    assert "96 designs" in said
    assert "searched are" not in said
    assert run(["status", "--study", "a.db"]) == 0
    assert "rows=64" in capsys.readouterr().out
    assert run(["show", "--study", "a.db"]) == 0
    shown = capsys.readouterr().out
    assert "adc_bits" in shown
    assert "all weights stay on the chip between inferences" in shown
    assert run(["explain", "--study", "a.db"]) == 0
    said = capsys.readouterr().err
    assert "schedule: all weights stay on the chip between inferences" in said
    assert run(["explain", "--study", "a.db", "--rows", "accuracy"]) == 2
    assert "a minute or two" not in capsys.readouterr().err
    searched("forgotten", 2)
    assert "searched are planes" in capsys.readouterr().err


def test_predictors_of_a_constrained_metric_are_written_and_a_warm_start_measures_other_designs(
    folder,
):
    searched("a", 12)
    assert run(["fit-predictors", "--study", "a.db", "--samples", "12", "--jobs", "1"]) == 0
    assert Path("bundles/accuracy_p05.cimpred").exists()
    searched("b", 8, "--warm-from", "a.db")
    with Study.open("a.db", readonly=True) as a, Study.open("b.db", readonly=True) as b:
        known = {record.key for record in a.evaluations()}
        drawn = [record for record in b.evaluations() if record.origin == "sobol"]
        assert drawn
        assert not known & {record.key for record in drawn}


def test_the_own_module_of_a_design_is_an_onnx_file(folder):
    onnx = pytest.importorskip("onnx")
    searched("a", 3)
    with Study.open("a.db", readonly=True) as study:
        record = study.evaluations()[0]
    words = ["export", record.key, "--study", "a.db", "--to", "onnx", "-o", "net.onnx"]
    assert run(words) == 0
    sizes = [tuple(each.dims) for each in onnx.load("net.onnx").graph.initializer]
    width, classes = record.params["width"], record.params["classes"]
    assert sorted(sizes) == sorted([(width, 16), (width,), (classes, width), (classes,)])


def test_a_network_without_weights_of_its_own_is_said_before_a_package_is_asked_for(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ["optimize", "--preset", "vit-b-imagenet", "--study", "v.db", "--budget", "1"]
    assert run([*words, "--jobs", "1", "--format", "json"]) == 0
    key = json.loads(capsys.readouterr().out)["pareto"][0]["key"]
    assert run(["export", key, "--study", "v.db", "--to", "onnx", "-o", "net.onnx"]) == 2
    assert "cimbo has no weights of the network" in capsys.readouterr().err


def test_images_of_ones_own_are_no_dead_end(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["optimize", "--preset", "fmnist-vit", "--data", "img", "--study", "s.db"]
    assert run(words) == 2
    said = capsys.readouterr().err
    assert "come with cimbo, and no others are taken" in said
    assert "an accuracy function" in said
