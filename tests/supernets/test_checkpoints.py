"""Published checkpoints as super-networks: sub-networks at the real shapes, images of a user's own, evaluations that resume."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import plain_networks as plain
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from cimbo import BadInput
from cimbo.cli import run
from cimbo.evaluation.accuracy.checkpoint import CheckpointAccuracy
from cimbo.evaluation.racing import check_stages
from cimbo.supernets import image_inputs, imagenet
from cimbo.supernets.measurement_log import Tally, wilson
from cimbo.supernets.ofa import BatchNorm
from cimbo.supernets.output_noise import noise_of_chip
from cimbo.supernets.preprocessing import NAMED_NORMALISATIONS
from cimbo.supernets.published_weights import elastic
from cimbo.workloads import network

PLAIN = {
    "ofa-mobilenetv3": (plain.mobilenet_v3, 128),
    "ofa-resnet50": (plain.resnet50_d, 224),
    "vit-b": (plain.vit_b, 224),
}


@pytest.fixture(scope="module")
def images():
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def saved(path, state):
    torch.save({"state_dict": dict(state)}, path)
    return path


@pytest.mark.parametrize("name", PLAIN)
@torch.inference_mode()
def test_the_largest_sub_network_is_the_plain_network(name, images, tmp_path):
    compute, resolution = PLAIN[name]
    weights, pixels = plain.Weights(), images[:, :, :resolution, :resolution]
    expected = compute(weights, pixels)
    module = elastic(name, saved(tmp_path / "w.pth", weights))
    found = module(
        pixels, network(name).largest() | ({"resolution": resolution} if resolution == 128 else {})
    )
    assert found.shape == (1, 1000)
    assert 0.1 < expected.std() < 10
    assert torch.allclose(found, expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_hugging_face_names_are_the_same_network(images, tmp_path):
    weights = plain.Weights()
    expected = plain.vit_b(weights, images, classes=10)
    save_file(
        {k: v.contiguous() for k, v in plain.hugging_face(weights).items()},
        tmp_path / "hf.safetensors",
    )
    module = elastic("vit-b", tmp_path / "hf.safetensors")
    assert torch.allclose(module(images, network("vit-b").largest()), expected, atol=1e-4)


@torch.inference_mode()
def test_a_smaller_vit_is_the_plain_one_with_heads_units_and_layers_taken_out(images, tmp_path):
    weights = plain.Weights()
    plain.vit_b(weights, images, classes=10)
    module = elastic("vit-b", saved(tmp_path / "w.pth", weights))
    subnet = network("vit-b").largest() | {"depth": 10, "heads_3": 6, "ffn_5": 1024}
    cut = plain.Weights()
    cut.update({k: v.clone() for k, v in weights.items()})
    cut["blocks.2.attn.proj.weight"][:, 6 * 64 :] = 0  # what the last six heads find is not used
    cut["blocks.4.mlp.fc2.weight"][:, 1024:] = 0
    assert torch.allclose(
        module(images, subnet), plain.vit_b(cut, images, classes=10, layers=10), atol=1e-4
    )


@torch.inference_mode()
def test_a_smaller_kernel_is_cut_and_mapped_step_by_step(tmp_path):
    weights = plain.Weights()
    plain.mobilenet_v3(weights, torch.zeros(1, 3, 64, 64))
    layer = (
        elastic("ofa-mobilenetv3", saved(tmp_path / "w.pth", weights))
        .blocks[1]
        .conv.depth_conv.conv
    )
    name = "blocks.1.mobile_inverted_conv.depth_conv.conv"
    large = weights[f"{name}.conv.weight"][:48]
    five = torch.einsum(
        "oi,cji->cjo", weights[f"{name}.7to5_matrix"], large[:, :, 1:6, 1:6].flatten(2)
    )
    three = torch.einsum(
        "oi,cji->cjo",
        weights[f"{name}.5to3_matrix"],
        five.view(48, 1, 5, 5)[:, :, 1:4, 1:4].flatten(2),
    )
    assert torch.equal(layer.cut(48, 48, 7), large)
    assert torch.allclose(layer.cut(48, 48, 5), five.view(48, 1, 5, 5), atol=1e-6)
    assert torch.allclose(layer.cut(48, 48, 3), three.view(48, 1, 3, 3), atol=1e-6)


@pytest.mark.parametrize("name", ["ofa-mobilenetv3", "ofa-resnet50"])
@torch.inference_mode()
def test_every_kind_of_sub_network_runs_and_the_smallest_differs(name, tmp_path):
    compute, _ = PLAIN[name]
    weights, pixels = plain.Weights(), torch.randn(1, 3, 64, 64)
    largest = compute(weights, pixels, classes=10)
    module, family = elastic(name, saved(tmp_path / "w.pth", weights)), network(name)
    assert module(pixels, family.smallest()).shape == (1, 10)
    assert not torch.allclose(module(pixels, family.smallest()), largest, atol=1e-2)


def test_wrong_files_are_refused_in_one_line(tmp_path):
    weights = plain.Weights()
    plain.mobilenet_v3(weights, torch.zeros(1, 3, 32, 32), classes=3)
    short = {k: v for k, v in weights.items() if k != "first_conv.conv.weight"}
    wrong = dict(weights) | {"first_conv.conv.weight": torch.zeros(16, 3, 5, 5)}
    (tmp_path / "junk.pth").write_bytes(b"not a checkpoint")
    torch.save({"state_dict": {"a": 1}}, tmp_path / "odd.pth")
    for path, complaint in (
        (saved(tmp_path / "short.pth", short), r"lacks first_conv\.conv\.weight"),
        (
            saved(tmp_path / "wrong.pth", wrong),
            r"first_conv\.conv\.weight is \(16, 3, 5, 5\), expected \(16, 3, 3, 3\)",
        ),
        (tmp_path / "junk.pth", "cannot be read as weights"),
        (tmp_path / "odd.pth", "something else than named tensors"),
        (tmp_path / "none.pth", "cannot be read as weights"),
    ):
        with pytest.raises(BadInput, match=complaint) as told:
            elastic("ofa-mobilenetv3", path)
        assert "\n" not in str(told.value)
    with pytest.raises(BadInput, match="reviews-minilm has no loader"):
        elastic("reviews-minilm", tmp_path / "short.pth")


class Exploit:
    """Something that a pickle would run."""

    def __reduce__(self):
        return (print, ("run!",))


def test_nothing_of_a_file_is_run(tmp_path, capsys):
    torch.save({"state_dict": Exploit()}, tmp_path / "evil.pth")
    with pytest.raises(BadInput, match="cannot be read as weights"):
        elastic("vit-b", tmp_path / "evil.pth")
    assert "run!" not in capsys.readouterr().out


# ---- batch norm -----------------------------------------------------------------------------------------------------


def test_calibration_over_batches_is_calibration_over_all_images():
    torch.manual_seed(0)
    layer, x = BatchNorm(5), torch.randn(10, 5, 4, 4) * 3 + 1
    layer.weight.data.fill_(1.0), layer.bias.data.zero_()
    layer.running_mean.zero_(), layer.running_var.fill_(1.0)
    layer.found = []
    layer(x[:7, :3]), layer(x[7:, :3])  # three leading channels, batches of unequal size
    layer.settle()
    assert torch.allclose(layer.running_mean[:3], x[:, :3].mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(layer.running_var[:3], x[:, :3].var((0, 2, 3), unbiased=False), atol=1e-4)
    assert layer.running_mean[3:].eq(0).all()
    assert layer.running_var[3:].eq(1).all()


def test_converters_add_the_noise_of_uniform_rounding_and_digital_arrays_none():
    x, rows = torch.randn(4000, 64), 64
    for bits in (4, 5):
        chip = {"adc_bits": bits, "rows": rows, "cell_bits": 8, "dac_bits": 8}  # nothing is sliced
        found = noise_of_chip(chip, 1).product(x, rows)
        step = 2 * 4.0 * x.std() / 2**bits  # one block: the whole product is converted at once
        rounded = (x / step).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) * step
        # A layer's columns differ and share one range, so that their error is a little larger than one column's alone.
        assert 1.0 < (found - x).std().item() / (rounded - x).std().item() < 1.1
        assert torch.equal(found, noise_of_chip(chip, 1).product(x, rows))
        assert not torch.equal(found, noise_of_chip(chip, 2).product(x, rows))
    assert noise_of_chip({"adc_bits": 4, "array": "digital_sram"}, 1) is None


# ---- images ---------------------------------------------------------------------------------------------------------


def arrays(folder, count, classes=3, side=imagenet.RESIZED_SIDE):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(count)
    np.save(folder / "images.npy", rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8))
    np.save(folder / "labels.npy", rng.integers(0, classes, count))
    return folder


def test_a_folder_of_classes_and_an_array_give_the_same_pixels(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(
        0, 256, (4, imagenet.RESIZED_SIDE, imagenet.RESIZED_SIDE, 3), dtype=np.uint8
    )
    for i, wnid in enumerate(("n02", "n01", "n01", "n03")):
        (tmp_path / "folder" / wnid).mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels[i]).save(tmp_path / "folder" / wnid / f"{i}.png")
    found = imagenet.source(tmp_path / "folder", 3)
    assert found.labels.tolist() == [0, 0, 1, 2]  # classes are numbered by name
    (tmp_path / "array").mkdir()
    np.save(tmp_path / "array" / "images.npy", pixels[[1, 2, 0, 3]])
    np.save(tmp_path / "array" / "labels.npy", np.array([0, 0, 1, 2]))
    same = imagenet.source(tmp_path / "array", 3)
    for resolution in (128, 224):
        one, other = (
            image_inputs.prepared(s, [0, 1, 2, 3], resolution, NAMED_NORMALISATIONS["imagenet"])
            for s in (found, same)
        )
        assert one.shape == (4, 3, resolution, resolution)
        assert torch.equal(one, other)
    crop = torch.from_numpy(pixels[1][16:240, 16:240]).permute(2, 0, 1) / 255
    exact = image_inputs.prepared(found, [0], 224, NAMED_NORMALISATIONS["half"])[0]
    assert torch.allclose(
        exact, (crop - 0.5) / 0.5, atol=1e-6
    )  # at 224 pixels nothing is resized a second time


def test_images_that_cannot_be_used_are_refused(tmp_path):
    pytest.importorskip("PIL.Image")
    with pytest.raises(BadInput, match="is no folder"):
        imagenet.source(tmp_path / "none", 3)
    (tmp_path / "few" / "a").mkdir(parents=True)
    with pytest.raises(BadInput, match="has 1 folders of classes, the weights know 3"):
        imagenet.source(tmp_path / "few", 3)
    with pytest.raises(BadInput, match="holds no images"):
        imagenet.source(tmp_path / "few", 1)
    (tmp_path / "few" / "a" / "x.jpg").write_bytes(b"no image")
    with pytest.raises(BadInput, match="is not a readable image"):
        imagenet.source(tmp_path / "few", 1).resized_square(0)
    with pytest.raises(BadInput, match="labels reach 2, the weights know 2"):
        imagenet.source(arrays(tmp_path / "wide", 20), 2)


# ---- counting -------------------------------------------------------------------------------------------------------


def test_wilson_s_interval():
    # textbook values of the score interval: 10 of 100, and none of 10
    assert wilson(10, 100) == pytest.approx((5.5229, 17.4366), abs=1e-3)
    assert wilson(0, 10) == pytest.approx((0.0, 27.7533), abs=1e-3)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_s_interval_holds_the_share_and_is_symmetric(pair):
    right, count = pair
    low, high = wilson(right, count)
    assert 0 <= low <= 100 * right / count + 1e-9
    assert 100 * right / count - 1e-9 <= high <= 100
    assert wilson(count - right, count) == pytest.approx((100 - high, 100 - low))


def test_a_tally_outlives_a_torn_line(tmp_path):
    tally = Tally(tmp_path / "t.jsonl")
    tally.add("a", 0, 3, 8)
    with tally.path.open("a") as file:
        file.write('{"key": "a", "start": 8, "ri')
    tally.add("a", 16, 4, 8)
    tally.add("b", 8, 1, 8)
    assert tally.known("a") == {0: (3, 8), 16: (4, 8)}


# ---- the whole way --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Random OFA-MobileNetV3 weights of the real shapes for three classes, and 24 images."""
    folder = tmp_path_factory.mktemp("checkpoint")
    weights = plain.Weights()
    plain.mobilenet_v3(weights, torch.zeros(1, 3, 32, 32), classes=3)
    arrays(folder / "data", 24)
    return {"weights": str(saved(folder / "w.pth", weights)), "data": str(folder / "data")}


SMALL = {"images": 8, "test_images": 8, "calibration": 8, "batch": 4}


def test_an_interrupted_measurement_goes_on_where_it_stopped(checkpoint, tmp_path, monkeypatch):
    cache = str(tmp_path / "cache.jsonl")
    source = CheckpointAccuracy("ofa-mobilenetv3", **checkpoint, **SMALL, cache=cache)
    design = network("ofa-mobilenetv3").smallest() | {"adc_bits": 6, "rows": 64}
    whole = CheckpointAccuracy(
        "ofa-mobilenetv3", **checkpoint, **SMALL, cache=str(tmp_path / "other.jsonl")
    ).measure(design)
    measured, real = [], CheckpointAccuracy._right

    def right(self, design, index, about):
        measured.append(about)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return real(self, design, index, about)

    monkeypatch.setattr(CheckpointAccuracy, "_right", right)
    with pytest.raises(KeyboardInterrupt):
        source.measure(design)
    assert source.measure(design) == whole
    assert measured == ["validation 0", "validation 4", "validation 4"]
    assert (
        source.measure(design | {"cols": 128}) == whole
    )  # another chip of the same arrays: nothing is run
    assert len(measured) == 3
    low, high = source.interval(whole)
    assert low <= whole <= high
    assert high - low > 30  # eight images say little, and that is said


def test_stages_of_batches_add_up_to_the_whole_measurement(checkpoint, tmp_path):
    options = {**checkpoint, **SMALL}
    design = network("ofa-mobilenetv3").smallest() | {"adc_bits": 4, "rows": 64}
    one = CheckpointAccuracy("ofa-mobilenetv3", **options, cache=str(tmp_path / "one.jsonl"))
    other = CheckpointAccuracy("ofa-mobilenetv3", **options, cache=str(tmp_path / "other.jsonl"))
    assert one.image_count() == 8
    parts = [one.count_right(design, 0, 4), one.count_right(design, 4, 8)]
    assert 100 * sum(parts) / 8 == one.measure(design) == other.measure(design)
    check_stages(one, (4,))
    with pytest.raises(BadInput, match="a stage of 6 images, and 4 are looked at together; use 4"):
        check_stages(one, (6,))


def test_stages_refuse_images_that_cannot_be_read(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((64, 64, 3), np.uint8)
    for number in range(24):
        folder = tmp_path / "data" / f"n{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(pixels).save(folder / f"{number}.png")
    weights = plain.Weights()
    plain.mobilenet_v3(weights, torch.zeros(1, 3, 32, 32), classes=3)
    path = str(saved(tmp_path / "w.pth", weights))
    source = CheckpointAccuracy(
        "ofa-mobilenetv3", path, str(tmp_path / "data"), **SMALL, cache=str(tmp_path / "c.jsonl")
    )
    files = sorted((tmp_path / "data").rglob("*.png"))
    files[source.parts["validation"][5]].write_bytes(b"no image")
    design = network("ofa-mobilenetv3").smallest()
    assert source.count_right(design, 0, 4) in range(5)
    with pytest.raises(BadInput, match="has 1 files that cannot be read, and stages need all"):
        source.count_right(design, 4, 8)


def test_answers_are_kept_by_the_content_of_weights_and_images(checkpoint, tmp_path):
    data = Path(shutil.copytree(checkpoint["data"], tmp_path / "data"))
    design = network("ofa-mobilenetv3").smallest()
    options = {**checkpoint, **SMALL, "cache": str(tmp_path / "cache.jsonl")}
    before = CheckpointAccuracy("ofa-mobilenetv3", **options)
    moved = CheckpointAccuracy("ofa-mobilenetv3", **{**options, "data": str(data)})
    assert moved._key(design, "test") == before._key(design, "test")
    labels = np.load(data / "labels.npy")
    np.save(data / "labels.npy", labels[::-1].copy())  # as many bytes, at the same path
    assert moved._key(design, "test") != before._key(design, "test")


def test_validation_and_test_images_are_disjoint_and_kept(checkpoint):
    one, other = (
        CheckpointAccuracy("ofa-mobilenetv3", **checkpoint, **SMALL).parts for _ in range(2)
    )
    assert not set(one["validation"]) & set(one["test"])
    assert all(np.array_equal(one[p], other[p]) for p in one)
    with pytest.raises(BadInput, match="has 24 images"):
        _ = CheckpointAccuracy("ofa-mobilenetv3", **checkpoint, images=24).parts


def test_optimize_measures_a_checkpoint_in_parallel_and_resumes(
    checkpoint, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    asked = [
        "optimize",
        "--preset",
        "ofa-mobilenetv3-imagenet",
        "--data",
        checkpoint["data"],
        "--weights",
        checkpoint["weights"],
        "--images",
        "8",
        "--jobs",
        "2",
        "--format",
        "json",
    ]
    assert run([*asked, "--budget", "3"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["evaluations"] == 3
    assert "accuracy" not in first  # measured: nothing has to be said of it
    for design in first["pareto"]:
        m = design["metrics"]
        assert m["accuracy_low"] <= m["accuracy"] <= m["accuracy_high"]
        assert math.isclose(m["accuracy"] * 8 / 100, round(m["accuracy"] * 8 / 100))
    assert run([*asked, "--budget", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["pareto"] == first["pareto"]
    assert run(["optimize", "--preset", "ofa-mobilenetv3-imagenet", "--budget", "4"]) == 2
    assert "cimbo.db" in capsys.readouterr().err


def test_data_without_weights_and_the_other_way_round_are_refused(
    checkpoint, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    asked = ["optimize", "--preset", "vit-b-imagenet", "--budget", "1"]
    for more, complaint in (
        (["--data", checkpoint["data"]], "belong together"),
        (["--data", checkpoint["data"], "--weights", "none.pth"], "none.pth: is no file"),
        (["--data", "none", "--weights", checkpoint["weights"]], "none: is no folder"),
    ):
        assert run([*asked, *more]) == 2
        assert complaint in capsys.readouterr().err
    assert not (tmp_path / "cimbo.db").exists()


def test_a_cache_that_cannot_be_read_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        Tally(tmp_path).known("a")  # a folder
    assert Tally(tmp_path / "none.jsonl").known("a") == {}
