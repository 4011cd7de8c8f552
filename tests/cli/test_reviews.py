"""The pre-trained Transformer as a user meets it: a search, a sub-network as an ONNX file, a training without its packages."""

import json

import numpy as np
import pytest
import torch

from cimbo.cli import run
from cimbo.evaluation.accuracy.shipped import examples, supernetwork
from cimbo.supernets import review_packages
from cimbo.workloads import network


def test_a_search_measures_real_sentences_and_its_best_becomes_a_file(tmp_path, capsys):
    """Two designs of the smallest network on digital arrays, so that it takes seconds."""
    study = str(tmp_path / "reviews.db")
    small = tmp_path / "small.json"
    small.write_text(json.dumps({**network("reviews-minilm").smallest(), "array": "digital_sram"}))
    words = ["optimize", "--preset", "reviews-minilm", "--budget", "2", "--study", study]
    assert run([*words, "--fix", f"@{small}", "--format", "json"]) == 0
    front = json.loads(capsys.readouterr().out)["pareto"]
    assert all(70 < design["metrics"]["accuracy_test"] < 95 for design in front)
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "small.onnx"
    key = front[0]["key"]
    assert run(["export", key, "--to", "onnx", "--study", study, "-o", str(file)]) == 0
    some = examples("reviews-minilm", "test")[0][:5]
    session = onnxruntime.InferenceSession(str(file))
    (found,) = session.run(None, {"words": some.numpy()})
    with torch.inference_mode():
        expected = supernetwork("reviews-minilm")(some, front[0]["architecture"])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_training_whose_packages_are_others_says_so_in_a_line(tmp_path, capsys):
    for package in (review_packages.MODEL_PACKAGE, review_packages.RATINGS_PACKAGE):
        (tmp_path / package.file).write_bytes(b"something else")
    assert run(["train-supernet", "reviews-minilm", "--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert "has another content than expected" in said[-1]
