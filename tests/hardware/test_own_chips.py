"""`cimbo silicon` on a table of one's own, as people write them: cells left empty, a word that is none."""

import json

import pytest

from cimbo.cli import run

HEADER = "chip,array,rows,cols,columns_per_adc,adc_bits,dac_bits,act_bits,weight_bits"
ROW = "mine,charge_sram,1152,256,1,8,1,1,1"


def told(tmp_path, capsys, text):
    file = tmp_path / "t.csv"
    file.write_text(text)
    assert run(["silicon", "--table", str(file), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert run(["silicon", "--table", str(file)]) == 0
    return found, capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER},area_mm2\n{ROW},0.26\n",
        f"{HEADER},supply_v,node_nm,area_mm2\n{ROW},,,0.26\n",
        "array,rows,cols,columns_per_adc,adc_bits,area_mm2\n,256,256,4,6,0.2\n",
    ],
    ids=["no column", "empty cells", "no array"],
)
def test_what_a_table_does_not_say_is_assumed_and_told(tmp_path, capsys, text):
    found, said = told(tmp_path, capsys, text)
    assert found["rows"][0]["assumed"] == {"node_nm": 28, "supply_v": 0.9}
    assert found["sram"]["area"]["n"] == 1
    assert "supply_v 0.9 is assumed: line 2" in said


def test_a_wrong_array_is_named_with_the_nearest_and_leaves_the_others(tmp_path, capsys):
    other = ROW.replace("charge_sram", "digital")
    found, said = told(tmp_path, capsys, f"{HEADER},area_mm2\n{other},0.2\n{ROW},0.26\n")
    assert len(found["rows"]) == 1
    assert "digital is unknown; did you mean digital_sram" in said
    assert "adc_bits is missing" not in said


def test_a_wrong_array_of_a_chip_is_named_before_what_it_would_need(capsys):
    chip = {"array": "digital", "rows": 128, "cols": 128}
    assert run(["simulate", "--network", "fmnist-vit", "--hardware", json.dumps(chip)]) == 2
    assert "did you mean digital_sram" in capsys.readouterr().err


def test_chips_that_the_constants_were_fitted_on_are_named(tmp_path, capsys):
    row = f"{ROW},16,0.8,0.262"
    found, said = told(tmp_path, capsys, f"{HEADER},node_nm,supply_v,area_mm2\n{row}\n")
    assert "Jia" in found["rows"][0]["in_fit"]
    assert "line 2: the model's constants were fitted on it" in said
    new = row.replace("1152", "1024")
    found, said = told(tmp_path, capsys, f"{HEADER},node_nm,supply_v,area_mm2\n{new}\n")
    assert found["rows"][0]["in_fit"] is None
