"""Genes of every kind of value that a study may list: numbers, switches, texts, mixtures, and genes of a single value."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import predictors
from cimbo import BadInput, Choice, Objective, OptimizerOptions, SearchSpace, Study
from cimbo.cli import run
from cimbo.problem.expressions import Expression

STUDY = """
[evaluator]
python = "switches:evaluate"
[architecture.genes]
depth = [2, 4, 8]
skip = { values = [false, true], active_if = { depth = [4, 8] } }
act = ["relu", "gelu"]
flag = [true, false]
[hardware.genes]
mixed = [1, 2.5, 4]
single = [3]
rate = [0.1, 0.01]
word = ["only"]
[[objectives]]
name = "loss"
goal = "min"
reference = 120.0
[[objectives]]
name = "cost"
goal = "min"
reference = 40.0
"""
MODULE = '''
def evaluate(design):
    """A deeper network loses less; a skip is one more in cost, and must come as a boolean."""
    skip = design.get("skip", False)
    assert skip is True or skip is False
    loss = 100 / design["depth"] + 3 * skip + design["rate"] + (design["act"] == "gelu")
    return {"loss": loss, "cost": 2 * design["depth"] - skip + design["mixed"] + design["flag"]}
'''
SWITCHES = SearchSpace(
    [Choice("depth", [2, 4, 8]), Choice("skip", [False, True], {"depth": [4, 8]})],
    [Choice("rows", [64, 128])],
)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A folder with a study of such genes, searched beyond its Sobol phase."""
    folder = tmp_path_factory.mktemp("switches")
    (folder / "switches.py").write_text(MODULE)
    (folder / "study.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = ["optimize", "--config", "study.toml", "--budget", "14", "--jobs", "1"]
        assert run([*words, "--study", "a.db"]) == 0
        yield folder


def said(capsys, words: str) -> str:
    """What a command that ends well prints."""
    capsys.readouterr()
    code = run(words.split())
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def test_a_search_goes_on_after_its_sobol_phase(searched):
    study = Study.open("a.db")
    assert study.evaluations()[-1].origin == "proposed"
    assert {type(record.params.get("skip", False)) for record in study.evaluations()} == {bool}


def test_a_switch_is_fixed_as_json_or_python_writes_it(searched, capsys):
    for text in ("true", "True", "1"):
        out = said(capsys, f"pareto --study a.db --fix skip={text} --format json")
        for design in json.loads(out)["pareto"]:
            assert design["architecture"].get("skip", True) is True


def test_every_form_of_export_is_read_again(searched, capsys):
    for form, file in (("csv", "a.csv"), ("optuna", "a.optuna.db"), ("json", "a.json")):
        said(capsys, f"export --study a.db --to {form} -o {file}")
        assert Path(file).stat().st_size
    keys = {record.key for record in Study.open("a.db").evaluations()}
    for file, study in (("a.csv", "b.db"), ("a.optuna.db", "c.db")):
        said(capsys, f"import {file} --config study.toml --study {study}")
        assert {record.key for record in Study.open(study).evaluations()} == keys


def test_predictors_questions_and_reports_take_such_genes(searched, capsys):
    said(capsys, "fit-predictors --config study.toml --study a.db --samples 14 --out bundles")
    said(capsys, "report --study a.db -o a.html")
    asked = json.loads(said(capsys, "ask --study a.db -n 2 --format json"))
    assert len(asked) == 2
    said(
        capsys, "optimize --config study.toml --study d.db --budget 5 --predictors bundles --jobs 1"
    )


@pytest.mark.parametrize("kind", ["auto", "gp", "xgboost"])
def test_a_search_from_python_may_use_every_surrogate(kind):
    objectives = [Objective("loss", "min"), Objective("cost", "min")]
    options = OptimizerOptions(kind=kind, initial=6)
    study = Study.open(None, space=SWITCHES, objectives=objectives)

    def evaluate(design):
        skip = design.get("skip", False)
        return {"loss": 9 / design["depth"] - skip, "cost": design["depth"] + skip}

    study.optimize(evaluate, budget=9, batch_size=3, guidance=options)
    assert len(study.evaluations()) == 9


def test_booleans_of_an_ordinal_are_the_numbers_0_and_1():
    feature = predictors.Feature("skip", "ordinal", (True, False))
    assert feature.values == (0, 1)
    schema = predictors.Schema((feature,))
    np.testing.assert_array_equal(schema.encode([{"skip": False}, {"skip": True}]), [[0.5], [1.0]])


def test_a_predictor_of_posynomials_takes_a_text_of_a_single_value():
    rows = [{"depth": depth, "word": "only"} for depth in (1, 2, 3, 4, 5, 6)]
    word = predictors.Feature("word", "nominal", ("only",))
    depth = predictors.Feature("depth", "ordinal", (1, 2, 3, 4, 5, 6))
    schema = predictors.Schema((depth, word), log=True)
    model = predictors.fit(rows, np.arange(1.0, 7.0), schema=schema, kind="posynomial")
    measures = predictors.importances(model)
    assert measures
    for shares in measures.values():
        assert shares["word"] == pytest.approx(0.0, abs=1e-9)


def test_a_switch_in_an_expression_counts_as_1_or_0():
    assert Expression("loss - -skip")({"loss": 2.0, "skip": True}) == 3.0
    assert Expression("skip + flag")({"skip": True, "flag": True}) == 2.0


@pytest.mark.parametrize("values", [[None, 1], [1, "a"], [math.nan, 1], [True, 1]])
def test_what_is_no_list_of_different_numbers_or_of_texts_is_refused(values):
    with pytest.raises(BadInput, match="gene depth"):
        Choice("depth", values)
