"""A study described in TOML: its types, its genes, what it extends, and what a mistake is answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cimbo.config import load, preset, presets
from cimbo.config.own_network import of_names
from cimbo.config.provenance import cost_label
from cimbo.config.schema import study_schema
from cimbo.config.study_config import PRESETS_FOLDER
from cimbo.errors import BadInput

OBJECTIVES = '[[objectives]]\nname = "score"\ngoal = "max"\n'
EVALUATOR = '[evaluator]\npython = "math:dist"\n'


def study(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_schema_is_the_one_made_from_the_types():
    shipped = json.loads((PRESETS_FOLDER / "study.schema.json").read_text(encoding="utf-8"))
    assert shipped == study_schema(), "python -m cimbo.config.schema > presets/study.schema.json"


@pytest.mark.parametrize("name", presets())
def test_every_preset_reads(name):
    assert preset(name).problem.space.size > 1


def test_a_network_that_only_the_evaluator_knows(tmp_path):
    text = EVALUATOR + (
        '[architecture.genes]\ndepth = [2, 4]\nact = ["relu", "gelu"]\nresidual = [true, false]\n'
        "heads = { values = [1, 2], active_if = { depth = [4] } }\n"
        "[hardware.genes]\nrows = { low = 16, high = 64, step = 16 }\n"
        "mv = { low = 1, high = 100, step = 10, log = true }\n"
    )
    space = load(study(tmp_path, text + OBJECTIVES)).problem.space
    values = {choice.name: choice.values for choice in space.choices}
    assert values["rows"] == (16, 32, 48, 64)
    assert values["mv"] == (1, 10, 100)
    assert values["act"] == ("relu", "gelu")
    assert values["residual"] == (False, True)
    assert space.size == (1 + 2) * 2 * 2 * 4 * 3


@pytest.mark.parametrize(
    ("gene", "numbers"),
    [
        ("{ low = 0.1, high = 0.5, step = 0.1 }", (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("{ low = 1, high = 4 }", (1, 2, 3, 4)),
        ("{ low = 1, high = 4, step = 2 }", (1, 3)),
        ("{ low = 16, high = 1024, step = 4, log = true }", (16, 64, 256, 1024)),
        ("{ low = 0.001, high = 1, count = 4, log = true }", (0.001, 0.01, 0.1, 1)),
        ("{ low = 0, high = 1, count = 3 }", (0, 0.5, 1)),
    ],
)
def test_ranges_are_written_out(tmp_path, gene, numbers):
    text = EVALUATOR + f"[hardware.genes]\nx = {gene}\n" + OBJECTIVES
    assert load(study(tmp_path, text)).problem.space.choices[0].values == numbers


def test_own_genes_for_an_own_simulator_and_none_of_cimbos(tmp_path):
    text = (
        '[network]\nname = "fmnist-vit"\n[hardware]\nsimulator = "command"\n'
        'options = { command = ["true"] }\n[hardware.genes]\nadc_type = ["flash", "sar"]\n'
        "rows = [64, 128]\n" + OBJECTIVES
    )
    space = load(study(tmp_path, text)).problem.space
    assert [choice.name for choice in space.hardware] == ["adc_type", "rows"]


def test_cimbos_own_simulator_takes_every_property_that_it_knows(tmp_path):
    text = 'extends = "fmnist-vit"\n[hardware.genes]\nnode_nm = [22, 28]\nact_bits = [4, 8]\n'
    space = load(study(tmp_path, text)).problem.space
    assert [choice.name for choice in space.hardware][-2:] == ["node_nm", "act_bits"]
    assert space.hardware[0].name == "array"


def test_extends_takes_the_rest_from_a_preset_and_from_files(tmp_path):
    base = tmp_path / "base.toml"
    base.write_text('extends = "fmnist-vit"\n[search]\nbatch = 3\n', encoding="utf-8")
    text = 'extends = "base.toml"\ntitle = "mine"\n[hardware.genes]\nrows = [64]\n'
    about = load(study(tmp_path, text))
    assert about.title == "mine"
    assert (about.tables.search.batch, about.tables.search.initial) == (3, 10)
    values = {choice.name: choice.values for choice in about.problem.space.choices}
    assert values["rows"] == (64,)
    assert values["array"] == ("charge_sram", "digital_sram")


def test_a_file_that_extends_itself_is_refused(tmp_path):
    path = study(tmp_path, 'extends = "study.toml"\n')
    with pytest.raises(BadInput, match="without end"):
        load(path)


def test_every_fault_is_a_line(tmp_path):
    text = 'netwrk = 1\n[hardware]\nsimulatr = "cimbo"\n[search]\nbatch = 0\n' + OBJECTIVES
    with pytest.raises(BadInput) as caught:
        load(study(tmp_path, text))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "did you mean network?" in lines[0]
    assert "did you mean simulator?" in lines[1]
    assert "search.batch: is 0; it must be at least 1" in lines[2]


@pytest.mark.parametrize("gene", ["act_bits = [4, 8]", "weight_bits = [4, 8]"])
def test_a_modelled_accuracy_refuses_bits(tmp_path, gene):
    text = f'extends = "ofa-mobilenetv3-imagenet"\n[hardware.genes]\n{gene}\n'
    with pytest.raises(BadInput, match=r"hardware, .*_bits: is 4, but the accuracies of"):
        _ = load(study(tmp_path, text)).problem


def test_a_table_of_cells_is_found_beside_the_study_and_its_content_counts(tmp_path):
    text = 'extends = "fmnist-vit"\n[network]\noptions = { noise_table = "cells.csv" }\n'
    table = tmp_path / "cells.csv"
    table.write_text("level,mean,deviation\n0,0,0.01\n1,1,0.02\n")
    before = load(study(tmp_path, text)).evaluator().fingerprint()
    table.write_text("level,mean,deviation\n0,0,0.01\n1,1,0.03\n")
    after = load(study(tmp_path, text)).evaluator().fingerprint()
    assert before["network"] != after["network"]


def test_the_example_of_a_product_at_a_floor_reads():
    example = Path(__file__).parents[2] / "examples" / "edap_at_accuracy_floor.toml"
    problem = load(example).problem
    assert problem.targets == ("edap", "accuracy", "power_density_w_mm2")
    assert {"node_nm", "supply_v"} <= set(problem.space.names)
    designs = problem.space.designs(problem.space.sobol_rows(64))
    assert all(design["rows"] * design["cols"] <= 65536 for design in designs)


@pytest.mark.parametrize("name", presets())
def test_titles_say_whether_accuracies_are_measured(name):
    config = preset(name)
    kind = config.accuracy_provenance()["kind"]
    expected = {"measured": " measured)", "modelled": " modelled)"}
    told = expected.get(kind, " modelled: an illustration)")
    assert told in config.data["title"]
    source = {"measured": "is measured on "}.get(kind, "; from ")
    assert source in config.accuracy_provenance()["label"]
    assert cost_label(config.tables).startswith("costs are modelled, not measured")
    own = config.with_checkpoint({"weights": "w.safetensors", "data": "images"})
    assert own.accuracy_provenance()["kind"] == "measured"
    assert " measured)" in own.data["title"]
    assert "modelled" not in own.data["title"]
    assert "weights w.safetensors and the examples in images" in own.accuracy_provenance()["label"]


def test_weights_of_a_family_begin_its_shipped_study_or_a_usual_one():
    assert of_names(["autoformer-s"], has_weights=True).name == "autoformer-s-imagenet"
    described = of_names(["vit-s"], has_weights=True)
    own = described.with_checkpoint({"weights": "w.safetensors", "data": "images"})
    assert own.title == "Elastic vit-s (accuracy measured), chips of the baseline's area"
    assert [objective.name for objective in own.problem.objectives] == ["accuracy", "latency_ms"]
    assert {"depth", "heads_1", "ffn_12", "rows"} <= set(own.problem.space.names)
    assert of_names(["vit-s"]).title.startswith("Chips for vit-s (costs alone")
    with pytest.raises(BadInput, match="vit-x"):
        of_names(["vit-x"], has_weights=True)
