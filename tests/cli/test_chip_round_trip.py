"""A design that leaves a study is the same chip outside it: what simulate says of it is what the study measured."""

import csv
import json

import pytest

from cimbo.cli import run

STUDY = """
[network]
name = "fmnist-vit"
accuracy = "none"
batch = 2
[hardware.genes]
rows = [64, 128]
adc_bits = [5, 6]
{fixed}
[[objectives]]
name = "latency_ms"
goal = "min"
[[objectives]]
name = "energy_uj"
goal = "min"
[[constraints]]
metric = "area_mm2"
bound = 100
"""
SEARCH = ("--budget", "6", "--study", "s.db", "--jobs", "1", "--format", "json")


def said(capsys, *words):
    assert run(list(words)) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "fixed",
    [
        "",
        "[hardware.fixed]\nnode_nm = 22\nsupply_v = 0.8\n",
        "[hardware.options.fixed]\nnode_nm = 65\n",
    ],
)
@pytest.mark.parametrize("how", ["show", "export"])
def test_simulate_says_of_an_exported_design_what_the_study_measured(
    tmp_path, monkeypatch, capsys, fixed, how
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY.format(fixed=fixed))
    found = said(capsys, "optimize", "--config", "study.toml", *SEARCH)
    key = found["pareto"][0]["key"]
    words = {"show": ["show", key, "--format"], "export": ["export", key, "--to"]}[how]
    written = said(capsys, *words, "json", "--study", "s.db")
    (tmp_path / "k.json").write_text(json.dumps(written))
    again = said(
        capsys,
        *("simulate", "--network", "fmnist-vit", "--batch", "2", "--format", "json"),
        *("--hardware", "@k.json", "--subnet", "@k.json"),
    )
    for metric in ("latency_ms", "energy_uj", "area_mm2"):
        assert again[metric] == pytest.approx(written["metrics"][metric], rel=1e-12), metric


def test_a_design_with_fixed_properties_comes_back(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY.format(fixed="[hardware.fixed]\nnode_nm = 22\n"))
    said(capsys, "optimize", "--config", "study.toml", *SEARCH)
    front = said(capsys, "pareto", "--study", "s.db", "--format", "json")
    (tmp_path / "front.json").write_text(json.dumps(front))
    key = front["pareto"][0]["key"]
    kept = said(
        capsys, "pareto", "--fix", f"@front.json#{key}", "--study", "s.db", "--format", "json"
    )
    assert kept["pareto"][0]["hardware"] == front["pareto"][0]["hardware"]
    assert run(["export", "--to", "csv", "-o", "rows.csv", "--study", "s.db"]) == 0
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["node_nm"] for row in rows} == {"22"}
    on_front = {row["key"] for row in rows if row["on_front"] == "1"}
    assert on_front == {design["key"] for design in front["pareto"]}
    assert {row["feasible"] for row in rows} <= {"0", "1"}
    words = ["import", "rows.csv", "--config", "study.toml", "--study", "new.db"]
    assert said(capsys, *words, "--format", "json")["new"] == len(rows)
    other = (tmp_path / "rows.csv").read_text().replace(",22,", ",28,")
    (tmp_path / "other.csv").write_text(other)
    assert run(["import", "other.csv", "--config", "study.toml", "--study", "new.db"]) == 2
    assert "22 in every chip of the study" in capsys.readouterr().err
    assert run(["pareto", "--fix", "node_nm=28", "--study", "s.db"]) == 2
    assert "22 in every chip of the study" in capsys.readouterr().err


def test_simulate_says_its_process_and_changes_genes_of_a_chip(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    chip = {
        "rows": 128,
        "cols": 128,
        "macros_per_pe": 2,
        "pes": 16,
        "adc_bits": 6,
        "planes": 4,
        "columns_per_adc": 4,
        "buffer_mb": 0.5,
        "buffer_gb_s": 64,
        "dram_channels": 1,
    }
    (tmp_path / "chip.json").write_text(json.dumps(chip))
    words = ["simulate", "--network", "fmnist-vit", "--hardware", "@chip.json"]
    assert run(words) == 0
    told = capsys.readouterr().err
    assert "node_nm 28 (not given, assumed), supply_v 0.9 (not given, assumed)" in told
    smaller = said(capsys, *words, "--fix", "node_nm=22", "--format", "json")
    (tmp_path / "chip.json").write_text(json.dumps({**chip, "node_nm": 22}))
    assert said(capsys, *words, "--format", "json") == smaller


def test_a_row_of_an_exported_table_is_a_chip_and_no_gene_is_fixed_twice(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    array = {"array": "charge_sram", "rows": 32, "cols": 64, "adc_bits": 7, "columns_per_adc": 2}
    buffers = {"buffer_mb": 0.25, "buffer_gb_s": 32, "dram_channels": 1}
    chip = {**array, **buffers, "planes": 4, "macros_per_pe": 2, "pes": 2}
    marks = {"number": 1, "key": "67a48b928dfd", "status": "done", "reason": None, "seconds": 6.2}
    row = {**marks, "depth": 2, "embed": 32, **chip, "weight_bits": None, "accuracy": 85.3}
    (tmp_path / "all.json").write_text(json.dumps([row, {**row, "key": "a0"}]))
    (tmp_path / "chip.json").write_text(json.dumps(chip))
    words = ["simulate", "--network", "fmnist-vit", "--format", "json", "--hardware"]
    expected = said(capsys, *words, "@chip.json")
    assert said(capsys, *words, "@all.json#67a4") == expected
    assert run([*words, "@chip.json", "--fix", "rows=64", "--fix", "rows=128"]) == 2
    assert "rows is fixed at 64 too" in capsys.readouterr().err


def test_a_front_of_digital_arrays_says_what_no_chip_confirms(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = STUDY.format(fixed='array = ["digital_sram", "rram"]\n')
    (tmp_path / "study.toml").write_text(text)
    found = said(capsys, "optimize", "--config", "study.toml", *SEARCH)
    assert "designs have digital arrays, whose energies" in found["unvalidated"]
    assert run(["pareto", "--study", "s.db"]) == 0
    assert found["unvalidated"] in capsys.readouterr().err
    (tmp_path / "study.toml").write_text(text.replace('"digital_sram", "rram"', '"charge_sram"'))
    words = [word.replace("s.db", "other.db") for word in SEARCH]
    assert "unvalidated" not in said(capsys, "optimize", "--config", "study.toml", *words)
