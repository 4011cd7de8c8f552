"""Fifty typical mistakes: each is answered by one line that names the place and the nearest right word."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

from cimbo import BadInput
from cimbo.cli import run
from cimbo.config import Config, preset

OWN = """
title = "mine"
[network]
name = "fmnist-vit"
accuracy = "fmnist-vit"
[hardware]
simulator = "command"
options = { command = ["python", "sim.py"] }
[hardware.genes]
adc_type = ["flash", "sar", "ramp"]
rows = [64, 128, 256]
[metrics]
edp = "energy_uj * latency_ms"
[[objectives]]
name = "accuracy"
goal = "max"
reference = 70.0
[[objectives]]
name = "edp"
goal = "min"
[[constraints]]
metric = "tops_per_watt"
relation = ">="
bound = 5.0
[search]
batch = 6
initial = 10
"""
CIMBOS = """
extends = "fmnist-vit"
[network.genes]
depth = [2]
[hardware]
simulator = "cimbo"
[hardware.genes]
rows = [64, 128]
node_nm = [22, 28]
[hardware.fixed]
activity = 0.5
"""
WHOLE = """
[evaluator]
python = "mine:evaluate"
[architecture.genes]
depth = [1, 2, 3]
act = ["relu", "gelu"]
heads = { values = [1, 2], active_if = { depth = [2, 3] } }
width = { low = 16, high = 64, step = 16 }
[architecture]
constraints = ["depth * width <= 128"]
[expensive]
metric = "top1"
budget = 10
genes = ["depth"]
[[objectives]]
name = "top1"
goal = "max"
"""
WHOLE = WHOLE.replace('[architecture]\nconstraints = ["depth * width <= 128"]\n', "").replace(
    "[architecture.genes]",
    '[architecture]\nconstraints = ["depth * width <= 128"]\n[architecture.genes]',
)

# (study, what is written, what is written wrongly, place, the right word)
MISTAKES = [
    (OWN, "[network]", "[netwrk]", "netwrk", "did you mean network?"),
    (OWN, "[hardware]\n", "[hardwre]\n", "hardwre", "did you mean hardware?"),
    (OWN, "[hardware.genes]", "[hardware.gene]", "hardware.gene", "did you mean genes?"),
    (OWN, "[[objectives]]", "[[objective]]", "objective", "did you mean objectives?"),
    (OWN, "[[constraints]]", "[[constraint]]", "constraint", "did you mean constraints?"),
    (OWN, "[metrics]", "[metric]", "metric", "did you mean metrics?"),
    (OWN, "[search]", "[serach]", "serach", "did you mean search?"),
    (OWN, "simulator =", "simulater =", "hardware.simulater", "did you mean simulator?"),
    (OWN, "options =", "option =", "hardware.option", "did you mean options?"),
    (OWN, "accuracy = ", "acuracy = ", "network.acuracy", "did you mean accuracy"),
    (OWN, 'goal = "max"', 'goal = "maximum"', "objectives.accuracy.goal", "use one of max, min"),
    (OWN, 'goal = "min"', 'gaol = "min"', "objectives.edp.gaol", "did you mean goal?"),
    (OWN, "reference = 70.0", "refrence = 70.0", "accuracy.refrence", "did you mean reference?"),
    (OWN, "reference = 70.0", 'reference = "70"', "accuracy.reference", "must be a number"),
    (OWN, 'relation = ">="', 'relation = ">"', "tops_per_watt.relation", "did you mean >="),
    (OWN, "bound = 5.0", "bond = 5.0", "constraints.tops_per_watt.bond", "did you mean bound?"),
    (OWN, "bound = 5.0", "", "constraints.tops_per_watt", "give a bound in the metric's unit"),
    (OWN, "batch = 6", "batch = 0", "search.batch", "must be at least 1"),
    (OWN, "batch = 6", "batch = 1.5", "search.batch", "must be an integer"),
    (OWN, "batch = 6", "batchsize = 6", "search.batchsize", "did you mean batch?"),
    (OWN, "batch = 6", 'simulator = "x"', "search.simulator", "it stands in [hardware]"),
    (OWN, '"command"\n', '"comand"\n', "comand", "did you mean command"),
    (OWN, '"fmnist-vit"\n', '"fmnist-vti"\n', "fmnist-vti", "did you mean fmnist-vit"),
    (OWN, '"energy_uj * latency_ms"', '"energy_uj x latency_ms"', "metrics.edp", "latency_ms"),
    (OWN, '"energy_uj * latency_ms"', '"maxx(energy_uj)"', "metrics.edp", "did you mean max?"),
    (OWN, '"energy_uj * latency_ms"', '"edp * 2"', "metrics.edp", "follows from itself"),
    (OWN, '"energy_uj * latency_ms"', "3", "metrics.edp", "it must be a text"),
    (OWN, "rows = [64, 128, 256]", "rows = 64", "hardware.genes.rows", "must be a list"),
    (OWN, "rows = [64, 128, 256]", "rows = []", "gene rows", "at least one value"),
    (OWN, "rows = [64, 128, 256]", 'rows = [64, "128"]', "gene rows", "all finite numbers or"),
    (OWN, "rows = [64, 128, 256]", "rows = { vals = [1] }", "genes.rows.vals", "mean values"),
    (OWN, "rows = [64, 128, 256]", "rows = { low = 1 }", "genes.rows", "low and high"),
    (
        OWN,
        "rows = [64, 128, 256]",
        'rows = { values = [64, 128], active_if = { adc_type = ["sarr"] } }',
        "hardware.genes.rows.active_if.adc_type",
        "did you mean sar?",
    ),
    (
        OWN,
        "[hardware]",
        'genes = { depth = { values = [2, 3], active_if = { adc_type = ["sar", "flush"] } } }\n[hardware]',
        "network.genes.depth.active_if.adc_type",
        "did you mean flash?",
    ),
    (OWN, 'title = "mine"', "title = mine", "line 2", "is not TOML"),
    (CIMBOS, '"fmnist-vit"', '"fmnist-vt"', "extends", "did you mean fmnist-vit"),
    (CIMBOS, "rows = [64, 128]", "row = [64]", "hardware.genes.row", "did you mean rows"),
    (CIMBOS, "node_nm = [22, 28]", "node = [22, 28]", "genes.node", "node_nm"),
    (CIMBOS, "node_nm = [22, 28]", "node_nm = [1]", "node_nm", "give 7 to 65"),
    (CIMBOS, "depth = [2]", "dept = [2]", "network.genes.dept", "did you mean depth"),
    (CIMBOS, "depth = [2]", "depth = [99]", "network.genes.depth", "use values among"),
    (CIMBOS, '"cimbo"', '"cimbow"', "cimbow", "did you mean cimbo"),
    (
        CIMBOS,
        "[hardware.fixed]",
        "[metrics]\nx = 'enrgy_uj * 2'\n[hardware.fixed]",
        "metrics.x",
        "did you mean energy_uj",
    ),
    (
        OWN,
        "rows = [64, 128, 256]",
        'array = ["analog", "mine"]\nrows = { values = [64, 128], active_if = { array = ["rram"] } }',
        "hardware.genes.rows.active_if.array",
        "analog, mine",
    ),
    (WHOLE, "[expensive]", "[[fidelity]]\nimages = 9\n[expensive]", "fidelity", "leave it out"),
    (
        CIMBOS,
        "[network.genes]",
        "[[fidelity]]\nimages = 500\n[[fidelity]]\nimages = 500\n[network.genes]",
        "fidelity",
        "ascending",
    ),
    (
        CIMBOS,
        "[network.genes]",
        "[[fidelity]]\nimages = 100000\n[network.genes]",
        "fidelity",
        "give fewer images than all",
    ),
    (
        CIMBOS,
        "node_nm = [22, 28]",
        'node_nm = { values = [22, 28], active_if = { array = ["rramm"] } }',
        "hardware.genes.node_nm.active_if.array",
        "did you mean rram?",
    ),
    (
        WHOLE,
        "[expensive]",
        "[metrics]\nerror = '100 - topp1'\n[expensive]",
        "metrics.error: topp1 is neither measured nor a gene",
        "did you mean top1?",
    ),
    (
        CIMBOS,
        "[hardware.fixed]",
        "[[objectives]]\nname='edpp'\ngoal='min'\n[hardware.fixed]",
        "edpp",
        "did you mean edp",
    ),
    (WHOLE, '"top1"\nbudget', '"top"\nbudget', "expensive.metric", "did you mean top1?"),
    (WHOLE, 'genes = ["depth"]', 'genes = ["deph"]', "expensive.genes", "did you mean depth"),
    (WHOLE, "budget = 10", "buget = 10", "expensive.buget", "did you mean budget?"),
    (WHOLE, "depth * width", "depth * widht", "widht", "did you mean width"),
    (WHOLE, "<= 128", "= 128", "is no expression", "write one as"),
    (WHOLE, "depth * width <= 128", "depth * width", "not a condition", "rows * cols <= 65536"),
    (WHOLE, "{ depth = [2, 3] }", "{ dept = [2, 3] }", "gene heads", "depth"),
    (
        WHOLE,
        "{ depth = [2, 3] }",
        "{ depth = [7] }",
        "gene heads, active_if depth",
        "choose one of [1, 2, 3]",
    ),
    (WHOLE, "high = 64", "high = 6", "genes.width", "put the lower first"),
    (WHOLE, "step = 16", "steps = 16", "width.steps", "did you mean step?"),
    (WHOLE, '"mine:evaluate"', '"mine:evaluat"', "mine:evaluat", "did you mean evaluate?"),
    (WHOLE, '"mine:evaluate"', '"mine"', "evaluator", "package:function"),
    (
        WHOLE,
        "[evaluator]",
        '[hardware]\nfiles = ["mine.py"]\n[evaluator]',
        "hardware.files",
        "[evaluator] files",
    ),
    (
        WHOLE,
        "[evaluator]",
        '[network]\nname = "nasbench201"\nfiles = ["mine.py"]\n[evaluator]',
        "network.files",
        "[evaluator] files",
    ),
    (WHOLE, "python =", "pyton =", "evaluator.pyton", "did you mean python"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a module that evaluates."""
    (tmp_path / "mine.py").write_text("def evaluate(design):\n    return {'top1': 1.0}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_there_are_fifty():
    assert len(MISTAKES) >= 50


@pytest.mark.parametrize(
    ("text", "right", "wrong", "place", "word"), MISTAKES, ids=[m[2][:40] for m in MISTAKES]
)
def test_a_mistake_in_a_file_is_a_line_with_its_place(
    folder, capsys, text, right, wrong, place, word
):
    assert right in text
    Path("study.toml").write_text(text.replace(right, wrong, 1), encoding="utf-8")
    words = ["--config", "study.toml", "--study", "s.db", "--budget", "1", "--jobs", "1"]
    assert run(["optimize", *words]) == 2
    told = capsys.readouterr().err
    lines = [line for line in told.splitlines() if place in line]
    assert lines, told
    assert any(word in line for line in lines), told
    assert "Traceback" not in told
    assert not Path("s.db").exists()


@pytest.mark.parametrize(
    ("words", "place", "word"),
    [
        (["optimise"], "optimise", "optimize"),
        (["optimize", "--bugdet", "3"], "--bugdet", "--budget"),
        (["optimize", "--preset", "fmnist-vti"], "fmnist-vti", "did you mean fmnist-vit"),
        (["optimize", "--budget", "x"], "--budget", "integer"),
        (["optimize", "--fix", "rws=64"], "rws", "rows"),
        (["optimize", "--limit", "area_mm<=3"], "area_mm", "area_mm2"),
        (["optimize", "--near", "accuracy=1"], "--near accuracy=1", "worse than the reference"),
        (["optimize", "--prefer", "accuracy=2,accuracy=1"], "--prefer", "accuracy more than once"),
        (["optimize", "--near", "accuracy=inf"], "--near", "is not finite"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_in_a_command_is_a_line(folder, capsys, words, place, word):
    more = [] if words == ["optimise"] else ["--study", "s.db", "--jobs", "1"]
    assert run([*words, *more]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert place in told
    assert word in told


def test_a_metric_that_no_evaluation_returned_is_named_with_the_nearest(folder, capsys):
    text = WHOLE.replace('"top1"\nbudget', '"top_1"\nbudget').replace(
        'name = "top1"', 'name = "top_1"'
    )
    Path("study.toml").write_text(text, encoding="utf-8")
    run(["optimize", "--config", "study.toml", "--study", "s.db", "--budget", "2", "--jobs", "1"])
    told = capsys.readouterr().err
    assert "did not measure top_1, is it top1?" in told
    assert json.dumps("Traceback") not in told


@pytest.mark.parametrize("metric", ["latency_ms", "accuracy", "macs"])
def test_a_derived_metric_has_no_name_that_is_measured(metric):
    source = preset("fmnist-vit")
    data = {**source.data, "metrics": {metric: "area_mm2 / 1e6"}}
    told = f"metrics.{metric}: is measured by every evaluation; rename it"
    with pytest.raises(BadInput, match=told):
        _ = Config("mine", data).problem
    assert Config("mine", data, is_stored=True).problem.metrics  # a study of an earlier release


def test_a_program_s_metric_under_a_derived_one_s_name_is_refused_before_a_search(
    tmp_path, monkeypatch, capsys
):
    """Before, the expression replaced what the program measured, on every design and without a word."""
    monkeypatch.chdir(tmp_path)
    Path("derived_energy.py").write_text(
        "def f(d):\n return {'energy_nj': 3.0 * d['rows'], 'area': 1.0}\n"
    )
    Path("study.toml").write_text(
        '[evaluator]\npython = "derived_energy:f"\n[hardware.genes]\nrows = [1, 2, 3]\n'
        '[metrics]\nenergy_nj = "area / 1e6"\n[[objectives]]\nname = "energy_nj"\ngoal = "min"\n'
    )
    assert run(["optimize", "--config", "study.toml", "--budget", "3", "--jobs", "1"]) == 2
    said = capsys.readouterr().err
    assert "metrics.energy_nj: is measured: " in said
    assert not Path("cimbo.db").exists()


def test_a_rate_of_a_latency_that_is_not_measured_is_refused_before_a_search(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("sim.py").write_text('print(\'{"latency_us": 3.0, "energy_uj": 2.0, "area_mm2": 1}\')')
    command = json.dumps([sys.executable, "sim.py"])
    Path("study.toml").write_text(
        '[network]\nname = "fmnist-vit"\naccuracy = "none"\n'
        f'[hardware]\nsimulator = "command"\noptions = {{ command = {command} }}\n'
        "[hardware.genes]\nlanes = [1, 2, 3]\n"
        '[[objectives]]\nname = "inferences_per_s"\ngoal = "max"\n'
    )
    assert run(["optimize", "--config", "study.toml", "--budget", "3", "--jobs", "1"]) == 2
    said = capsys.readouterr().err
    assert "did not measure inferences_per_s, which needs latency_ms, is it latency_us?" in said
    assert "measures (energy_uj, area_mm2, latency_us)" in said
    assert not Path("cimbo.db").exists()


@pytest.mark.parametrize(
    ("range_text", "last"),
    [
        ("{ low = 16, high = 500, step = 2, log = true }", "256"),
        ("{ low = 1, high = 10, step = 4 }", "9"),
    ],
)
def test_a_range_that_does_not_meet_its_end_is_warned_of(range_text, last, tmp_path, capsys):
    (tmp_path / "study.toml").write_text(
        f'[evaluator]\npython = "mine:f"\n[hardware.genes]\nrows = {range_text}\n'
        '[[objectives]]\nname = "energy_nj"\ngoal = "min"\n'
    )
    words = ["ask", "--config", str(tmp_path / "study.toml"), "--study", str(tmp_path / "s.db")]
    assert run(words) == 0
    said = capsys.readouterr().err
    assert said.count(f"hardware.genes.rows: ends at {last}, below its high") == 1
    met = range_text.replace("500", "512").replace("10", "9")
    text = (tmp_path / "study.toml").read_text().replace(range_text, met)
    (tmp_path / "study.toml").write_text(text)
    assert run([*words[:-1], str(tmp_path / "met.db")]) == 0
    assert "below its high" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fixed", "told"),
    [
        ('rows = "64"', "hardware.fixed.rows: is the text '64'; write a number, without quotes"),
        ('dram = "lpdr4x"', "did you mean lpddr4x"),
        ("dram = 3", "hardware.fixed.dram: is 3"),
    ],
)
def test_fixed_properties_are_of_their_kind(fixed, told):
    data = {**preset("fmnist-vit").data}
    data["hardware"] = {**data["hardware"], "fixed": tomllib.loads(fixed)}
    with pytest.raises(BadInput) as error:
        _ = Config("mine", data).problem
    assert told.replace("'", "") in str(error.value).replace("'", "").replace('"', "")


def test_a_study_that_gives_the_whole_chip_refuses_what_is_forgotten():
    data = {**preset("fmnist-vit").data}
    chip = {gene.name: gene.values[0] for gene in preset("fmnist-vit").problem.space.hardware}
    planes = chip.pop("planes")
    data["hardware"] = {"fixed": chip, "complete": True}
    with pytest.raises(BadInput, match=r"hardware\.fixed: lacks planes; give them"):
        _ = Config("mine", data).problem
    data["hardware"] = {"fixed": {**chip, "planes": planes}, "complete": True}
    assert not Config("mine", data).problem.space.hardware
