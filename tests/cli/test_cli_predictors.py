"""``cimbo predictors``: bundles listed, inspected, drawn and compared, as a user meets it."""

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import quick_accuracy

import cimbo
import predictors
from cimbo.cli import run
from cimbo.session.workers import Workers
from predictors import Feature, Schema

GENES = "rows = [64, 128, 256]\nbuffer_mb = [0.25, 0.5, 1]\nadc_bits = [4, 5, 6]\n"


def asked(capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
    code = run([str(a) for a in arguments])
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    """A study of 30 evaluations with its bundles, and 8 evaluations more."""
    where = tmp_path_factory.mktemp("bundles")
    with pytest.MonkeyPatch.context() as patch:
        quick_accuracy.install(where, patch)
        quick_accuracy.study(where, genes=GENES)
        fitted = [
            "fit-predictors",
            "--samples",
            "30",
            "--out",
            "bundles",
            "--jobs",
            "1",
            "--config",
            "study.toml",
            "--licence",
            "CC-BY-4.0",
        ]
        assert run(fitted) == 0
        assert run(["fit-predictors", "--samples", "38", "--out", "later", "--jobs", "1"]) == 0
        Path("bundles/broken.cimpred").write_bytes(b"no")
        yield where


def test_list_names_what_each_bundle_is_and_what_is_wrong_with_others(folder: Path, capsys) -> None:
    code, out, _ = asked(capsys, "predictors", "list", folder / "bundles", "--format", "csv")
    assert code == 0
    rows = {r["file"]: r for r in csv.DictReader(io.StringIO(out))}
    assert "not a predictor bundle" in rows["broken.cimpred"]["refused"]
    latency = rows["latency_ms.cimpred"]
    assert (latency["target"], latency["unit"], latency["scale"], latency["rows"]) == (
        "latency_ms",
        "ms",
        "log",
        "30",
    )
    assert latency["licence"] == "CC-BY-4.0"
    texts = {
        e.text
        for e in ElementTree.parse(folder / "bundles/knobs.svg").iter()
        if e.tag.endswith("text")
    }
    assert {"accuracy", "latency_ms", "log_macs"} <= texts
    code, out, _ = asked(capsys, "predictors", "list", folder / "bundles", "--format", "json")
    assert json.loads(out)["accuracy.gp.cimpred"]["model"]["kind"] == "gp"
    code, _, err = asked(capsys, "predictors", "list", folder / "none")
    assert (code, err.count("\n")) == (2, 1)


def test_inspect_tells_and_draws_which_knobs_matter(folder: Path, capsys) -> None:
    bundle, drawn = folder / "bundles/latency_ms.hybrid.cimpred", folder / "knobs.svg"
    command = [
        "predictors",
        "inspect",
        bundle,
        "--study",
        folder / "cimbo.db",
        "-o",
        drawn,
        "--format",
        "json",
    ]
    code, out, err = asked(capsys, *command)
    assert code == 0, err
    answer = json.loads(out)
    assert answer["importances"].keys() == {"ard", "gain", "shap"}
    most = max(answer["importances"]["ard"], key=answer["importances"]["ard"].get)
    assert most in ("log_array_ns", "log_roofline_ns")  # what bounds a small chip
    assert answer["members"].keys() == {"arrays.safetensors", "trees.json"}
    texts = {e.text for e in ElementTree.parse(drawn).iter() if e.tag.endswith("text")}
    assert {"ard", "gain", "shap", "log_array_ns", "buffer_mb"} <= texts
    code, out, _ = asked(capsys, "predictors", "inspect", bundle)
    assert code == 0
    assert "held_out_error" in out
    assert "knob log_array_ns" in out


def test_compare_scores_on_what_a_bundle_was_not_fitted_to(folder: Path, capsys) -> None:
    files = [
        folder / "bundles/accuracy.gp.cimpred",
        folder / "later/accuracy.gp.cimpred",
        folder / "bundles/latency_ms.gp.cimpred",
    ]
    code, out, err = asked(
        capsys, "predictors", "compare", *files, "--study", folder / "cimbo.db", "--format", "json"
    )
    assert code == 0, err
    early, late, other = json.loads(out)["bundles"]
    assert (early["n"], late["n"], other["n"]) == (8, 0, 8)
    assert late["rmse"] is None
    assert "nothing is left to test it" in err
    assert early["rmse"] < 5
    assert early["differs"] == late["differs"] == ""
    assert "target is 'latency_ms', expected 'accuracy'" in other["differs"]
    code, out, _ = asked(capsys, "predictors", "compare", *files, "-o", folder / "two.svg")
    assert code == 0
    assert out.count("cimpred") == 3


def test_a_bundle_of_another_space_is_refused_by_name(folder: Path, capsys) -> None:
    schema = Schema(
        (Feature("wings", "ordinal", (1, 2)), Feature("rows", "ordinal", (64, 128))),
        "latency_ms",
        "ms",
    )
    predictors.save(
        predictors.fit([[1, 64], [2, 128], [1, 128]], [1, 2, 3], schema, "gp"),
        folder / "other.cimpred",
    )
    code, out, err = asked(
        capsys, "predictors", "compare", folder / "other.cimpred", "--study", folder / "cimbo.db"
    )
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "other.cimpred: belongs to another space" in err
    assert "wings" in err
    for command in ("inspect", "compare"):
        code, _, err = asked(capsys, "predictors", command, folder / "bundles/broken.cimpred")
        assert (code, err.count("\n")) == (2, 1)
    code, _, err = asked(
        capsys, "predictors", "inspect", folder / "other.cimpred", "-o", folder / "none/x.svg"
    )
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot be written" in err


def test_many_samples_are_drawn_in_few_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawing a batch takes longer the more samples there are: in batches of four, 2,000 samples took minutes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("summed_genes.py").write_text(
        "def evaluate(design):\n    return {'latency_ms': 1.0 + design['a'] + design['b']}\n"
    )
    Path("study.toml").write_text(
        '[evaluator]\npython = "summed_genes:evaluate"\n'
        "[hardware.genes]\na = { low = 0, high = 50 }\nb = { low = 0, high = 50 }\n"
        '[[objectives]]\nname = "latency_ms"\ngoal = "min"\n'
    )
    keys = {}
    for samples in (100, 220):
        proposed = []
        with cimbo.open_session("study.toml") as session:
            session.fit_predictors(
                samples,
                out=tmp_path / "bundles",
                workers=Workers(jobs=1),
                listener=lambda event, seen=proposed: seen.append(event),
            )
            keys[samples] = [record.key for record in session.study.evaluations()]
        batches = [event for event in proposed if isinstance(event, cimbo.Proposed)]
        assert len(batches) == 25
        judged = [event for event in proposed if isinstance(event, cimbo.Step)]
        assert judged[0].count == 0  # said before the first part is done
        assert judged[-1].count == judged[-1].total == 7  # five folds, two points of a curve
    assert keys[220][:100] == keys[100]
