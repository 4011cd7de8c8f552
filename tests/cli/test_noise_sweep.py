"""``cimbo robust --noise-lsb``: the front measured at several noises of its converters, and drawn in the report."""

import json

import pytest

import cimbo
from cimbo.cli import run
from cimbo.config import preset
from cimbo.session import decision
from cimbo.workloads import network

BITS_OF_CONVERTERS = 5  # few enough that noise tells


@pytest.fixture
def study_file(tmp_path, monkeypatch) -> str:
    """A study of two designs, neither ahead of the other: a digital one and one with converters."""
    monkeypatch.setattr(decision, "NOISE_IMAGES", 200)
    file = str(tmp_path / "two.db")
    with cimbo.open_session("fmnist-vit", study=file) as session:
        digital = network("fmnist-vit").smallest() | preset("fmnist-vit").baseline()
        analog = digital | {"array": "charge_sram", "adc_bits": BITS_OF_CONVERTERS}
        for latency_ms, accuracy, design in ((0.03, 86.0, digital), (0.02, 80.0, analog)):
            metrics = {"accuracy": accuracy, "latency_ms": latency_ms}
            told = session.study.tell(design, metrics | {"energy_uj": 2.0, "area_mm2": 2.0})
            assert told.status == "done"
    return file


def test_the_front_is_measured_at_each_noise_and_drawn_in_the_report(study_file, tmp_path, capsys):
    words = ["robust", "--study", study_file, "--noise-lsb", "0,2", "--format", "json"]
    assert run(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["noise_lsb"] == [0, 2]
    assert len(found["designs"]) == 2
    lost = sorted(each["accuracies"][0] - each["accuracies"][1] for each in found["designs"])
    assert lost[0] == 0  # of the digital one, which has no converter
    assert lost[1] > 10
    page = tmp_path / "page.html"
    assert run(["report", "--study", study_file, "-o", str(page)]) == 0
    assert "The front under noise" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("levels", ["-1", "nan", "", "much"])
def test_a_noise_that_is_none_is_refused_in_a_line(study_file, levels, capsys):
    assert run(["robust", "--study", study_file, "--noise-lsb", levels]) == 2
    assert capsys.readouterr().err.startswith("--noise-lsb: is ")


def test_no_study_is_started(tmp_path, capsys):
    file = tmp_path / "none.db"
    assert run(["robust", "--study", str(file), "--noise-lsb", "0,1"]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert not file.exists()
