"""Accuracy functions of a user's: an answer is reused only where all that it depends on agrees, and answers are checked."""

import json
import pickle
from pathlib import Path

import pytest

import cimbo
from cimbo.cli import run
from cimbo.config.study_config import load
from cimbo.errors import BadInput, WrongAnswer
from cimbo.evaluation.accuracy.command import CommandAccuracy
from cimbo.evaluation.accuracy.watched_design import WatchedDesign
from cimbo.problem.noted_metrics import NotedMetrics, about
from cimbo.session.context import StudyContext
from cimbo.study.study import Study

SHORT_SEARCH = [
    "optimize",
    "--config",
    "study.toml",
    "--study",
    "s.db",
    "--jobs",
    "1",
    "--budget",
    "4",
]
OWN = """
import json
import torch
from cimbo.workloads import torch_family

def build(genes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, genes["width"]), torch.nn.Linear(genes["width"], 10))

family = torch_family("own", {"width": [16, 32, 64]}, build, torch.zeros(1, 1, 8, 8))
calls = []

def true_accuracy(design):
    if design["array"] == "digital_sram":
        return 96.0
    return 90.0 + design["adc_bits"] / 2

def accuracy(design):
    calls.append(1)
    return true_accuracy(design)

def blind(design):
    calls.append(1)
    return 80.0 + design["width"] / 16

def through_json(design):
    calls.append(1)
    return true_accuracy(json.loads(json.dumps(design)))

def whole(design):
    calls.append(1)
    return true_accuracy({**design})

def declared(design):
    calls.append(1)
    return true_accuracy(design)
declared.genes = ("array", "adc_bits")

def too_little(design):
    return true_accuracy(design)
too_little.genes = ("array",)

def several(design):
    mean = true_accuracy(design)
    return {"accuracy": mean, "accuracy_p05": mean - 1, "calibration_error": 0.1}

class Net:
    def __init__(self):
        self.genes = ("array", "adc_bits")
    def __call__(self, design):
        return true_accuracy(design)
    def measure(self, design, part="validation"):
        return true_accuracy(design)

class Method:
    def measure(self, design):
        return true_accuracy(design)

instance = Net()
method = Method()
def none(design): return None
def text(design): return "97"
def true(design): return True
def nan(design): return float("nan")
def share(design): return 0.97
def too_much(design): return 970.0
def below(design): return -1.0
def no_name(design): return {"top1": 3.0}
def costs(design): return {"accuracy": 90.0, "latency_ms": 3.0}
def raises(design): raise RuntimeError("validation set not mounted")
"""
STUDY = """
[network]
name = "{module}:family"
accuracy = "{module}:{function}"
[[objectives]]
name = "accuracy"
goal = "max"
reference = 70.0
[[objectives]]
name = "latency_ms"
goal = "min"
reference = 10.0
"""
CHIP = {
    "rows": 128, "cols": 64, "macros_per_pe": 4, "pes": 4, "columns_per_adc": 1, "buffer_mb": 0.25,
    "buffer_gb_s": 32, "dram_channels": 1, "planes": 4,
}  # fmt: skip
ANALOG = {"width": 32, "array": "charge_sram", **CHIP, "adc_bits": 8}
DIGITAL = {"width": 32, "array": "digital_sram", **CHIP}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Writes the study of an accuracy function, and gives the module that it stands in."""
    monkeypatch.chdir(tmp_path)
    module = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(OWN)

    def write(function, more=""):
        text = STUDY.format(module=module, function=function) + more
        (tmp_path / "study.toml").write_text(text)
        return load(tmp_path / "study.toml")

    return write


def true_accuracy(design):
    """What the functions of the module return."""
    return 96.0 if design["array"] == "digital_sram" else 90.0 + design["adc_bits"] / 2


def calls_of(evaluator):
    """How often the accuracy function of an evaluator was called."""
    return len(evaluator._accuracy._function.__globals__["calls"])


@pytest.mark.parametrize("function", ["accuracy", "whole", "through_json", "declared", "instance"])
def test_an_accuracy_is_that_of_the_design_on_every_chip(study, function):
    evaluator = study(function).evaluator()
    for bits in (8, 1, 4, 8):
        for rows in (128, 512):
            for design in (ANALOG | {"adc_bits": bits, "rows": rows}, DIGITAL | {"rows": rows}):
                assert evaluator(design)["accuracy"] == true_accuracy(design)


@pytest.mark.parametrize(("function", "n"), [("accuracy", 3), ("declared", 3), ("whole", 5)])
def test_an_answer_serves_designs_that_agree_in_what_was_looked_up(study, function, n):
    evaluator = study(function).evaluator()
    several = [ANALOG, ANALOG | {"rows": 512}, DIGITAL, DIGITAL | {"rows": 512}]
    for design in [*several, ANALOG | {"adc_bits": 4}, *several]:
        evaluator(design)
    assert calls_of(evaluator) == n


def test_what_a_function_looked_up_is_known_to_a_later_process(study):
    config = study("accuracy")
    first, later = config.evaluator(), config.evaluator()
    assert "rows" in later.accuracy_genes()  # whatever it may depend on, while nothing is known
    for design in (ANALOG, DIGITAL):
        measured = pickle.loads(pickle.dumps(first(design)))
        later.remember(design, NotedMetrics(measured, about(measured)))
    before = calls_of(later)
    assert later(ANALOG | {"rows": 512})["accuracy"] == true_accuracy(ANALOG)
    assert calls_of(later) == before
    assert later.accuracy_genes() == {"width", "array", "adc_bits"}
    later.remember(ANALOG, dict(first(ANALOG)))  # one of which nobody noted anything
    assert "rows" in later.accuracy_genes()


def test_a_gene_that_is_not_declared_is_refused(study):
    with pytest.raises(
        BadInput, match=r"reads the gene adc_bits, which its attribute genes does not list"
    ):
        study("too_little").evaluator()(ANALOG)
    listed = '[expensive]\nmetric = "accuracy"\ngenes = ["width", "array"]\n'
    evaluator = study("accuracy", listed).evaluator()
    with pytest.raises(BadInput, match=r"adc_bits, which \[expensive\] genes does not list"):
        evaluator(ANALOG)


def test_expensive_genes_of_a_chip_are_honoured(study):
    listed = '[expensive]\nmetric = "accuracy"\ngenes = ["width", "array", "adc_bits"]\n'
    evaluator = study("whole", listed).evaluator()
    for design in (ANALOG, ANALOG | {"rows": 512}, DIGITAL, ANALOG | {"adc_bits": 1}):
        assert evaluator(design)["accuracy"] == true_accuracy(design)
    assert calls_of(evaluator) == 3


def test_a_study_keeps_what_was_looked_up_and_counts_by_it(study):
    config = study("accuracy")
    with cimbo.open_session("study.toml", study="s.db") as session:
        session.optimize(budget=8, workers=cimbo.Workers(jobs=1))
    with Study.open("s.db", readonly=True) as stored:
        networks = set()
        for record in stored.evaluations():
            assert record.metrics["accuracy"] == true_accuracy(record.params)
            seen = record.extra["accuracy_from"]["genes"]
            assert seen == (
                ["array"] if record.params["array"] == "digital_sram" else ["adc_bits", "array"]
            )
            networks.add(tuple(record.params.get(name) for name in ("width", "array", "adc_bits")))
        assert stored.accuracies_measured() == len(networks)
        assert StudyContext(stored, config).evaluator.accuracy_genes() == {
            "width",
            "array",
            "adc_bits",
        }


def test_studies_of_one_answer_for_every_chip_are_told_apart(study):
    undeclared = study("accuracy").evaluator().fingerprint()["network"]
    assert undeclared["accuracy_reuse"] == "by the genes that were looked up"
    assert "accuracy_reuse" not in study("declared").evaluator().fingerprint()["network"]


def test_a_program_that_declares_nothing_is_asked_for_every_design():
    assert CommandAccuracy(["x"]).genes is None
    assert CommandAccuracy(["x"], genes=[]).genes == ()


def test_every_way_to_read_a_design_is_noticed():
    ways = {
        "dict": dict, "list": list, "len": len, "copy": lambda d: d.copy(), "repr": repr,
        "equal": lambda d: d == {}, "or": lambda d: d | {}, "ror": lambda d: {} | d,
        "pickle": lambda d: pickle.loads(pickle.dumps(d)), "items": lambda d: list(d.items()),
        "format": lambda d: "{a}".format(**d), "star": lambda d: {**d},
    }  # fmt: skip
    for name, way in ways.items():
        design = WatchedDesign({"a": 1, "b": 2})
        way(design)
        assert design.looked_up == {"a", "b"}, name
    design = WatchedDesign({"a": 1, "b": 2})
    assert design.get("c", 3) == 3
    assert "{a}".format_map(design) == "1"
    assert design.looked_up == {"a", "c"}
    design["a"] = 5
    assert design["a"] == 5
    with pytest.raises(TypeError):
        json.dumps(design)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("none", "returned None; return percent, such as 91.5"),
        ("text", "returned '97'; return percent"),
        ("true", "returned True; return percent"),
        ("nan", "returned nan; return percent"),
        ("too_much", "returned 970.0, which is no percentage"),
        ("below", "returned -1.0, which is no percentage"),
        ("no_name", 'returned top1 and no "accuracy"'),
        ("costs", "returned latency_ms, which the simulator gives"),
        ("raises", "validation set not mounted"),
        ("Net", "Net is a class, and a function is asked; name a function or an instance"),
        ("method", 'is no function; name its method: "package:instance.measure"'),
    ],
)
def test_what_no_accuracy_is_ends_a_search_before_it_begins(study, capsys, function, told):
    study(function)
    assert run(SHORT_SEARCH) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert told in line
    assert f":{function}" in line
    # Where code raised an error it is said of what type, and on which line
    is_error = function == "raises"
    assert (".py:" in line) == is_error
    assert ("Error: " in line) == is_error


def test_a_wrong_answer_in_a_search_names_the_function(study):
    from cimbo.execution.worker import measure

    result = measure(study("none").evaluator(), ANALOG)
    assert result.reason is not None
    assert "none: returned None; return percent" in result.reason
    assert ".py" not in result.reason
    with pytest.raises(WrongAnswer):
        study("none").evaluator()(ANALOG)


def test_a_share_is_refused_before_the_search(study):
    study("share")
    with cimbo.open_session("study.toml", study="s.db") as session:
        with pytest.raises(BadInput, match=r"0\.97.*a share.*return 100 times as much"):
            session.optimize(budget=3, workers=cimbo.Workers(jobs=1))
        assert session.study.evaluations() == []


def test_an_accuracy_that_is_the_same_on_every_chip_is_warned_of_and_marked(study, caplog, capsys):
    study("blind", '[hardware.genes]\narray = ["charge_sram", "digital_sram"]\n')
    with cimbo.open_session("study.toml", study="s.db") as session:
        session.optimize(budget=8, workers=cimbo.Workers(jobs=1))
    told = [r.message for r in caplog.records]
    (warned,) = [line for line in told if "looks at no gene of the chip" in line]
    assert "adc_bits = [8] and rows of at most 256" in warned
    Path("own_is_gone").mkdir()
    for file in Path().glob("own_*.py"):
        file.unlink()  # what is stored is told without the function
    assert run(["export", "--study", "s.db", "--to", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    for row in rows["evaluations"] if isinstance(rows, dict) else rows:
        loses = row.get("adc_bits") is not None and (row["adc_bits"] < 8 or row["rows"] > 256)
        assert (row.get("accuracy_is") == "blind to the chip") == loses
    assert any(
        row.get("accuracy_is") for row in (rows["evaluations"] if isinstance(rows, dict) else rows)
    )


@pytest.mark.parametrize(
    ("function", "more"),
    [
        ("blind", '[hardware.genes]\narray = ["digital_sram"]\n'),
        ("blind", "[hardware.genes]\nadc_bits = [8]\nrows = [64, 256]\n"),
        ("accuracy", ""),
        ("declared", ""),
    ],
)
def test_no_warning_where_chips_lose_nothing_or_are_looked_at(study, caplog, function, more):
    study(function, more)
    with cimbo.open_session("study.toml", study="s.db") as session:
        session.optimize(budget=2, workers=cimbo.Workers(jobs=1))
        assert not session.accuracy_provenance
    assert not [r for r in caplog.records if "looks at no gene" in r.message]


def test_several_metrics_of_one_function(study):
    more = '[[constraints]]\nmetric = "accuracy_p05"\nrelation = ">="\nbound = 90.0\n'
    more += '[[constraints]]\nmetric = "calibration_error"\nrelation = "<="\nbound = 0.2\n'
    study("several", more)
    with cimbo.open_session("study.toml", study="s.db") as session:
        found = session.optimize(budget=14, workers=cimbo.Workers(jobs=1))
    for design in found.front.designs:
        assert design.metrics["accuracy_p05"] == design.metrics["accuracy"] - 1 >= 90
        assert design.metrics["calibration_error"] == 0.1


def test_a_metric_that_a_function_does_not_return(study, capsys):
    study("accuracy", '[[constraints]]\nmetric = "accuracy_p50"\nrelation = ">="\nbound = 90.0\n')
    assert run(SHORT_SEARCH) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "accuracy_p50" in line
