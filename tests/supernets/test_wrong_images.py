"""Images and checkpoints that do not fit.

One bad image is left out and told; a wrong set is refused before anything is kept.
"""

from pathlib import Path

import numpy as np
import plain_networks as plain
import pytest
import torch

from cimbo import BadInput
from cimbo.cli import run
from cimbo.evaluation.accuracy.checkpoint import CheckpointAccuracy
from cimbo.supernets import imagenet
from cimbo.workloads import network

NAME = "ofa-mobilenetv3"
N_IMAGES = 24
SMALL = {"images": 8, "test_images": 8, "calibration": 8, "batch": 4}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    """Random OFA-MobileNetV3 weights of the real shapes for three classes."""
    path, state = tmp_path_factory.mktemp("weights") / "w.pth", plain.Weights()
    plain.mobilenet_v3(state, torch.zeros(1, 3, 32, 32), classes=3)
    torch.save({"state_dict": dict(state)}, path)
    return str(path)


def class_folders(folder: Path, classes: int) -> Path:
    """``N_IMAGES`` images of noise in as many folders as ``classes``."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(classes)
    for i in range(N_IMAGES):
        place = folder / f"class{i % classes}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        image.fromarray(pixels).save(place / f"{i}.png")
    return folder


def test_one_corrupt_image_is_named_and_counted_and_not_the_end(weights, tmp_path, capsys):
    imagenet.LEFT_OUT.clear()
    data = class_folders(tmp_path / "data", 3)
    source = CheckpointAccuracy(
        NAME, weights, str(data), **SMALL, cache=str(tmp_path / "cache.jsonl")
    )
    broken = source._source.files[int(source.parts["validation"][1])]
    broken.write_bytes(broken.read_bytes()[:50])
    design = network(NAME).smallest()
    accuracy = source.measure(design)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"{broken}: is not a readable image")
    assert said[0].endswith("left out, 1 so far")
    assert accuracy * 7 / 100 == pytest.approx(round(accuracy * 7 / 100))  # seven images answered
    assert source.measure(design) == accuracy
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("classes", [2, 4])
def test_folders_of_other_classes_are_refused_before_anything_is_kept(
    classes, weights, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "data", classes)
    assert run([*ASKED, "--data", "data", "--weights", weights]) == 2
    said = capsys.readouterr().err.splitlines()
    assert f"has {classes} folders of classes, the weights know 3" in said[-1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


def test_a_checkpoint_of_another_network_is_refused_before_anything_is_kept(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "data", 3)
    state = plain.Weights()
    plain.resnet50_d(state, torch.zeros(1, 3, 32, 32))
    torch.save({"state_dict": dict(state)}, tmp_path / "resnet.pth")
    assert run([*ASKED, "--data", "data", "--weights", "resnet.pth"]) == 2
    assert "resnet.pth" in capsys.readouterr().err.splitlines()[-1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "resnet.pth"]


ASKED = ["optimize", "--preset", f"{NAME}-imagenet", "--budget", "2", "--images", "8"]
ASKED += ["--jobs", "1"]


@pytest.mark.parametrize("labels", [np.full(6, 1.5), np.full(6, 1j), np.zeros(6, [("a", "i4")])])
def test_labels_that_are_no_integers_are_refused(labels, tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((6, 8, 8, 3), np.uint8))
    np.save(tmp_path / "labels.npy", labels)
    with pytest.raises(BadInput, match=r"give .* integers"):
        imagenet.source(tmp_path, 3)


def test_a_header_that_is_no_literal_is_refused(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((6, 8, 8, 3), np.uint8))
    np.save(tmp_path / "labels.npy", np.zeros(6, np.int64))
    data = (tmp_path / "images.npy").read_bytes()
    (tmp_path / "images.npy").write_bytes(data.replace(b"}", b"(", 1))
    with pytest.raises(BadInput, match="cannot be read"):
        imagenet.source(tmp_path, 3)
