"""Elastic networks: slices, counts, recalibration, a training that learns, weights on disk."""

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from cimbo import BadInput, SearchSpace, _data
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.supernets import minilm
from cimbo.supernets.elastic import (
    Elastic,
    ElasticBatchNorm,
    ElasticConv,
    ElasticLayerNorm,
    ElasticLinear,
)
from cimbo.supernets.images import Images, read_idx, shipped
from cimbo.supernets.measurement import accuracy, deployed, logits, recalibrate
from cimbo.supernets.recipes import SUPERNET_CLASSES, TRAINED_MARGIN, load, recorded, save, trained
from cimbo.supernets.training import Recipe, extremes, train
from cimbo.supernets.transformer_functions import attention, gelu
from cimbo.workloads import network

NAMES = sorted(SUPERNET_CLASSES)
IMAGE_NAMES = ["fmnist-mobilenet", "fmnist-vit"]


def fresh(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return SUPERNET_CLASSES[name]().eval()


def subnets(name: str, n: int, seed: int = 0) -> list[dict]:
    space = SearchSpace(network(name).choices())
    return [
        *extremes(network(name).choices()),
        *space.designs(space.random_rows(n, np.random.default_rng(seed))),
    ]


def elastic_logits(supernet: nn.Module, subnet: Mapping, images: Tensor) -> Tensor:
    """As the elastic modules compute them, with the batch norm's statistics as they stand."""
    with torch.no_grad():
        return supernet(images, subnet)


def random_inputs(name: str, n: int, seed: int = 0) -> Tensor:
    """What a super-network reads: random images, or sentences of as many random words as there can be."""
    if name != "reviews-minilm":
        return noise_images(n, seed)
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(1, minilm.N_WORDS, (n, minilm.SENTENCE_POSITIONS), generator=draw)


def noise_images(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


class Used(TorchFunctionMode):
    """Counts the elements of each parameter that take part in a computation, slices being what they are cut to."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.names = {id(p): n for n, p in module.named_parameters()}
        self.counts: dict[str, int] = {}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is not Tensor.__getitem__:
            for argument in [*args, *(kwargs or {}).values()]:
                if isinstance(argument, Tensor):
                    owner = argument if argument._base is None else argument._base
                    if id(owner) in self.names:
                        name = self.names[id(owner)]
                        self.counts[name] = max(self.counts.get(name, 0), argument.nelement())
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", NAMES)
def test_a_sub_network_has_the_parameters_that_its_workload_says(name: str):
    """The kernel transformations (``shrink``) belong to the super-network: a deployed kernel is transformed already."""
    supernet = fresh(name)
    for subnet in subnets(name, 6):
        with Used(supernet) as used:
            supernet(random_inputs(name, 2), subnet)
        count = sum(n for parameter, n in used.counts.items() if "shrink" not in parameter)
        assert count == network(name).workload(subnet).parameters


@pytest.mark.parametrize("name", NAMES)
def test_a_sub_network_has_the_multiplications_that_its_workload_says(name: str):
    """Counted by torch while it runs; the only plain ``mm`` is the transformation of kernels, done once, not per image."""
    supernet = fresh(name)
    for subnet in subnets(name, 6):
        with (
            torch.no_grad(),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            supernet(random_inputs(name, 1), subnet)
        counted = {str(op): flops for op, flops in counter.get_flop_counts()["Global"].items()}
        assert (
            counter.get_total_flops() - counted.get("aten.mm", 0)
            == 2 * network(name).workload(subnet).macs
        )


# ---- elastic layers -------------------------------------------------------------------------------------------------


def test_a_linear_slice_is_the_leading_block():
    layer, x = ElasticLinear(8, 6), torch.randn(3, 5)
    torch.testing.assert_close(layer(x, 4), x @ layer.weight[:4, :5].T + layer.bias[:4])


def test_a_convolution_slice_is_the_leading_channels():
    layer, x = ElasticConv(8, 6, 3, stride=2), torch.randn(2, 5, 9, 9)
    torch.testing.assert_close(layer(x, 4), F.conv2d(x, layer.weight[:4, :5], stride=2, padding=1))


def test_a_smaller_kernel_is_the_transformed_centre():
    layer, x = ElasticConv(7, 7, 5, depthwise=True), torch.randn(2, 4, 8, 8)
    centre = layer.weight[:4, :, 1:4, 1:4]
    torch.testing.assert_close(
        layer(x, 4, 3), F.conv2d(x, centre, padding=1, groups=4)
    )  # the identity, untrained
    with torch.no_grad():
        layer.shrink["3"].copy_(2 * torch.eye(9).roll(1, 1))
    moved = 2 * centre.flatten(2).roll(1, 2).view_as(centre)
    torch.testing.assert_close(layer(x, 4, 3), F.conv2d(x, moved, padding=1, groups=4))
    torch.testing.assert_close(layer(x, 4), F.conv2d(x, layer.weight[:4], padding=2, groups=4))


def test_norms_act_on_the_leading_channels():
    x = torch.randn(4, 5, 3, 3)
    batch, layer = ElasticBatchNorm(8).train(), ElasticLayerNorm(8)
    torch.testing.assert_close(batch(x), F.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(batch.mean[:5], x.mean((0, 2, 3)))
    torch.testing.assert_close(batch.var[:5], x.var((0, 2, 3)))
    torch.testing.assert_close(batch.var[5:], torch.ones(3))
    torch.testing.assert_close(layer(x.flatten(2).mT), F.layer_norm(x.flatten(2).mT, (5,)))


def test_layers_beyond_the_depth_do_not_matter():
    subnet = extremes(network("fmnist-vit").choices())[1]
    supernet = fresh("fmnist-vit")
    before = elastic_logits(supernet, subnet, noise_images(4))
    for layer in supernet.layers[subnet["depth"] :]:
        for parameter in layer.parameters():
            nn.init.constant_(parameter, float("nan"))
    torch.testing.assert_close(
        elastic_logits(supernet, subnet, noise_images(4)), before, rtol=0, atol=0
    )


# ---- measuring ------------------------------------------------------------------------------------------------------


def test_recalibration_gives_each_sub_network_its_own_statistics():
    supernet = fresh("fmnist-mobilenet")
    images, calibration = noise_images(16, 1), noise_images(64, 2) * 3 + 1
    large, small = extremes(network("fmnist-mobilenet").choices())

    def measured(subnet: Mapping) -> Tensor:
        recalibrate(supernet, subnet, calibration)
        return elastic_logits(supernet, subnet, images)

    first = measured(large)
    of_another = measured(small)
    stale = elastic_logits(supernet, large, images)
    assert not torch.allclose(stale, first, atol=1e-3)
    torch.testing.assert_close(measured(large), first, rtol=0, atol=0)
    torch.testing.assert_close(measured(small), of_another, rtol=0, atol=0)
    stem = supernet.stem(calibration, supernet.stem.weight.shape[0])
    recalibrate(supernet, large, calibration)
    torch.testing.assert_close(supernet.stem_norm.mean, stem.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)
    assert not supernet.training


@pytest.mark.parametrize("name", NAMES)
def test_a_deployed_sub_network_computes_what_the_elastic_one_does(name: str):
    supernet = fresh(name)
    images, calibration = random_inputs(name, 40, 1), random_inputs(name, 64, 2)
    with torch.no_grad():
        for parameter in (
            supernet.parameters()
        ):  # nothing at its neutral start: norms, biases, kernel transformations
            parameter.add_(0.1 * torch.randn_like(parameter))
    for subnet in subnets(name, 3):
        recalibrate(supernet, subnet, calibration)
        expected = elastic_logits(supernet, subnet, images)
        found = logits(deployed(supernet, subnet, calibration), images)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.std().item())


def test_attention_and_gelu_are_those_of_torch():
    query, key, value = (3 * torch.randn(5, 49, 16) for _ in range(3))
    expected = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(attention(query.clone(), key, value), expected, rtol=1e-4, atol=1e-5)
    x = 4 * torch.randn(1000)
    torch.testing.assert_close(gelu(x), F.gelu(x, approximate="tanh"), rtol=1e-5, atol=1e-6)


def test_logits_do_not_depend_on_the_batches(monkeypatch: pytest.MonkeyPatch):
    subnet = extremes(network("fmnist-vit").choices())[0]
    ready = deployed(fresh("fmnist-vit"), subnet, noise_images(1))
    whole = logits(ready, noise_images(7))
    monkeypatch.setattr("cimbo.supernets.measurement.BATCH_SIZE", 3)
    torch.testing.assert_close(logits(ready, noise_images(7)), whole, rtol=1e-5, atol=1e-6)


# ---- training -------------------------------------------------------------------------------------------------------


def textures(n: int, seed: int) -> Images:
    """Five classes that no flip or shift changes: dark, bright, stripes of either direction, a chequerboard; with noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, n).astype(np.uint8)
    stripes = np.broadcast_to((np.arange(28) // 2 % 2)[:, None], (28, 28))
    patterns = np.stack([0 * stripes, 0 * stripes + 1, stripes, stripes.T, stripes ^ stripes.T])
    return Images(
        (patterns[labels] * 180 + rng.integers(0, 60, (n, 28, 28))).astype(np.uint8), labels
    )


@pytest.mark.parametrize("name", IMAGE_NAMES)
def test_a_short_training_teaches_every_sub_network(name: str):
    choices, images, unseen = network(name).choices(), textures(256, 0), textures(100, 1)
    torch.manual_seed(0)
    *_, last = train(
        SUPERNET_CLASSES[name](),
        choices,
        images,
        Recipe(epochs=5, batch=32, learning_rate=4e-3, average=0.8),
    )
    assert last.epoch == 5
    for subnet in subnets(name, 2):
        assert accuracy(last.network, subnet, unseen, images) > 40  # chance is 20


def test_training_goes_one_value_below_the_search():
    for name in NAMES:
        searched = network(name).choices()
        gene, least = TRAINED_MARGIN[name]
        wider = {c.name: c.values for c in trained(name, searched)}
        assert wider == {
            c.name: ((least, *c.values) if c.name == gene else c.values) for c in searched
        }
        assert least < min(wider[gene][1:])
        smallest = extremes(trained(name, searched))[1]
        supernet = fresh(name)
        shape = elastic_logits(supernet, smallest, random_inputs(name, 2)).shape
        assert shape == (2, supernet.classes)


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_weights_are_as_accurate_as_their_training_said(name: str):
    """And worth searching: several points lie between the largest and the smallest sub-network."""
    said = recorded(_data.path(f"supernets/{name}.safetensors"))["validation_accuracy"]["largest"]
    largest, smallest = (
        ShippedAccuracy(name).measure(s) for s in extremes(network(name).choices())
    )
    assert largest == pytest.approx(said, abs=0.1)
    assert largest - smallest > 3


def test_training_repeats_itself_and_improves():
    choices = network("fmnist-vit").choices()

    def taught(seed: int) -> tuple[list[float], Tensor]:
        torch.manual_seed(1)
        supernet = SUPERNET_CLASSES["fmnist-vit"](depth=6)
        history = [
            (p.loss, p.network)
            for p in train(
                supernet, choices, textures(96, 0), Recipe(epochs=2, batch=32, seed=seed)
            )
        ]
        return [loss for loss, _ in history], history[-1][1].head.weight.detach().clone()

    losses, weights = taught(0)
    again, weights_again = taught(0)
    assert losses == again
    torch.testing.assert_close(weights, weights_again, rtol=0, atol=0)
    assert losses[1] < losses[0]
    assert taught(1)[0] != losses


def test_training_under_noise_learns_and_leaves_no_noise_behind():
    choices, images = network("fmnist-mobilenet").choices(), textures(96, 0)

    def trained(**noise: float) -> tuple[float, nn.Module]:
        torch.manual_seed(1)
        recipe = Recipe(epochs=3, batch=32, learning_rate=4e-3, average=0.8, **noise)
        *_, last = train(SUPERNET_CLASSES["fmnist-mobilenet"](), choices, images, recipe)
        return last.loss, last.network

    quiet, (loud, result) = trained()[0], trained(adc_bits=2)
    assert loud != quiet
    assert loud < np.log(10)  # what guessing costs
    assert all(m.effect is None for m in result.modules() if isinstance(m, Elastic))


# ---- weights and images on disk -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_weights_come_back_in_half_precision(name: str, tmp_path: Path):
    supernet, path = fresh(name, 3), tmp_path / "w.safetensors"
    save(supernet, path, {"supernet": name})
    again = load(name, path)
    for (key, a), (_, b) in zip(
        supernet.state_dict().items(), again.state_dict().items(), strict=True
    ):
        torch.testing.assert_close(a.half().float(), b, rtol=0, atol=0, msg=key)
    subnet = subnets(name, 1)[2]
    for n in (supernet, again):
        recalibrate(n, subnet, random_inputs(name, 32))
    images = random_inputs(name, 4)
    torch.testing.assert_close(
        elastic_logits(supernet, subnet, images),
        elastic_logits(again, subnet, images),
        rtol=0.05,
        atol=0.05,
    )


def test_other_files_are_no_weights(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(BadInput, match="is not a safetensors file"):
        load("fmnist-vit", path)
    path.write_bytes(b"\x08\0\0\0\0\0\0\0garbage!")
    with pytest.raises(BadInput, match="is not a safetensors file"):
        load("fmnist-vit", path)
    save(fresh("fmnist-mobilenet"), path, {})
    with pytest.raises(BadInput, match="is not of super-network fmnist-vit"):
        load("fmnist-vit", path)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def test_idx_files_are_read_packed_or_not_and_checked(tmp_path: Path):
    images = textures(7, 0)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images.pixels)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(images.labels))
    found = read_idx(tmp_path, "train")
    np.testing.assert_array_equal(found.pixels, images.pixels)
    np.testing.assert_array_equal(found.labels, images.labels)
    with pytest.raises(BadInput, match=r"t10k-images-idx3-ubyte\.gz: does not exist"):
        read_idx(tmp_path, "t10k")
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(images.labels[:5]))
    with pytest.raises(BadInput, match="5 labels"):
        read_idx(tmp_path, "train")
    for damaged in (b"", idx(images.labels)[:-1], b"\0\0\x08"):
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(damaged)
        with pytest.raises(BadInput, match="is not a whole IDX file"):
            read_idx(tmp_path, "train")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images.pixels))[:-9])
    with pytest.raises(BadInput, match="is not a whole IDX file"):
        read_idx(tmp_path, "train")


@pytest.mark.parametrize(
    ("part", "size"), [("validation", 5000), ("calibration", 1000), ("test", 10_000)]
)
def test_shipped_images(part: str, size: int):
    images = shipped(part)
    assert images.pixels.shape == (size, 28, 28)
    assert np.bincount(images.labels, minlength=10).min() > 0.07 * size
    pixels, _ = images.tensors()
    assert abs(pixels.mean()) < 0.03
    assert abs(pixels.std() - 1) < 0.03


def test_images_of_the_search_are_not_those_of_the_calibration_or_the_test():
    seen = {
        part: {image.tobytes() for image in shipped(part).pixels}
        for part in ("validation", "calibration", "test")
    }
    assert not seen["validation"] & seen["test"]
    assert not seen["validation"] & seen["calibration"]


@pytest.mark.parametrize("name", IMAGE_NAMES)
def test_shipped_weights_measure_the_same_whatever_was_measured_before(name: str):
    assert _data.path(f"supernets/{name}.safetensors").stat().st_size < 8e6
    source, (large, small) = ShippedAccuracy(name), extremes(network(name).choices())
    clean = source.measure(large | {"array": "digital_sram"})
    poor = source.measure(small | {"array": "analog_sram", "adc_bits": 3})
    assert source.measure(large | {"array": "digital_sram"}) == clean > 80
    assert poor < clean
