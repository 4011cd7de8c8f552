"""Checkpoints of transformers as users have them: AutoFormer, sizes and kinds of ViT, names, and how images are prepared."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from plain_networks import Weights, linear
from safetensors.torch import save_file

from cimbo import BadInput
from cimbo.cli import run
from cimbo.evaluation.accuracy.checkpoint import CheckpointAccuracy
from cimbo.supernets import image_inputs, imagenet
from cimbo.supernets.preprocessing import Preprocessing, chosen
from cimbo.supernets.published_weights import elastic
from cimbo.workloads import network

SIDE = 14  # patches


@pytest.fixture(scope="module")
def images():
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def normed(w, name, x, eps):
    """Layer norm on the leading channels of a network of any width; the full width is asked for first."""
    width = x.shape[-1]
    weight = w.draw(f"{name}.weight", width, std=0.1, mean=1.0)
    bias = w.draw(f"{name}.bias", width, std=0.1)
    return F.layer_norm(x, (width,), weight, bias, eps)


# ---- AutoFormer ---------------------------------------------------------------------------------


def random_autoformer(embed, heads, depth):
    """Random tensors under the names of the published super-networks."""
    w = Weights()
    w.draw("cls_token", 1, 1, embed, std=0.1)
    w.draw("pos_embed", 1, SIDE * SIDE + 1, embed, std=0.1)
    w.draw("patch_embed_super.proj.weight", embed, 3, 16, 16)
    w.draw("patch_embed_super.proj.bias", embed, std=0.1)
    for i in range(depth):
        name = f"blocks.{i}"
        for part in "kv":
            for way in "vh":
                table = f"{name}.attn.rel_pos_embed_{part}.embeddings_table_{way}"
                w.draw(table, 30, 64, std=0.2)
        shapes = {
            "attn.qkv": (3 * heads * 64, embed),
            "attn.proj": (embed, heads * 64),
            "fc1": (4 * embed, embed),
            "fc2": (embed, 4 * embed),
        }
        for layer, shape in shapes.items():
            w.draw(f"{name}.{layer}.weight", *shape)
            w.draw(f"{name}.{layer}.bias", shape[0], std=0.1)
        for norm in ("attn_layer_norm", "ffn_layer_norm"):
            w.draw(f"{name}.{norm}.weight", embed, std=0.1, mean=1.0)
            w.draw(f"{name}.{norm}.bias", embed, std=0.1)
    w.draw("norm.weight", embed, std=0.1, mean=1.0)
    w.draw("norm.bias", embed, std=0.1)
    w.draw("head.weight", 1000, embed)
    w.draw("head.bias", 1000, std=0.1)
    return w


def entry(q, k, way):
    """Row of a table of relative positions for two tokens, the first of which is the class token."""
    if q == 0 or k == 0:
        return 0
    places = [(token - 1) // SIDE if way == "v" else (token - 1) % SIDE for token in (q, k)]
    return max(-14, min(14, places[1] - places[0])) + 15


ENTRIES = {
    way: torch.tensor([[entry(q, k, way) for k in range(197)] for q in range(197)]) for way in "vh"
}


def plain_autoformer(w, x, subnet):
    """A sub-network as the published code computes it (microsoft/Cream), written plainly."""
    embed = subnet["embed"]
    cut = w["patch_embed_super.proj.weight"][:embed]
    x = F.conv2d(x, cut, w["patch_embed_super.proj.bias"][:embed], stride=16)
    x = torch.cat([w["cls_token"][..., :embed], x.flatten(2).transpose(1, 2)], 1)
    x = x + w["pos_embed"][..., :embed]

    def norm(name, y):
        return F.layer_norm(y, (embed,), w[f"{name}.weight"][:embed], w[f"{name}.bias"][:embed])

    for i in range(subnet["depth"]):
        name, heads = f"blocks.{i}", subnet[f"heads_{i + 1}"]
        hidden = int(embed * subnet[f"mlp_{i + 1}"])
        y = norm(f"{name}.attn_layer_norm", x)[0]
        full, bias = w[f"{name}.attn.qkv.weight"], w[f"{name}.attn.qkv.bias"]
        width, parts = heads * 64, []
        for number in range(3):
            rows = full[number : 3 * width : 3, :embed]
            parts.append(y @ rows.T + bias[number * width : (number + 1) * width])
        tables = {}
        for part in "kv":
            table = f"{name}.attn.rel_pos_embed_{part}.embeddings_table_"
            tables[part] = w[f"{table}v"][ENTRIES["v"]] + w[f"{table}h"][ENTRIES["h"]]
        attended = []
        for head in range(heads):
            q, k, v = (part[:, head * 64 : (head + 1) * 64] for part in parts)
            shares = ((q @ k.T + (q[:, None] * tables["k"]).sum(-1)) / 8).softmax(-1)
            attended.append(shares @ v + (shares[..., None] * tables["v"]).sum(1))
        proj = w[f"{name}.attn.proj.weight"][:embed, :width]
        x = x + torch.cat(attended, -1) @ proj.T + w[f"{name}.attn.proj.bias"][:embed]
        y = norm(f"{name}.ffn_layer_norm", x)
        y = F.gelu(
            F.linear(y, w[f"{name}.fc1.weight"][:hidden, :embed], w[f"{name}.fc1.bias"][:hidden])
        )
        x = x + F.linear(y, w[f"{name}.fc2.weight"][:embed, :hidden], w[f"{name}.fc2.bias"][:embed])
    x = norm("norm", x)[:, 1:].mean(1)
    return F.linear(x, w["head.weight"][:, :embed], w["head.bias"])


@torch.inference_mode()
def test_sub_networks_of_autoformer_are_the_plain_ones(images, tmp_path):
    w = random_autoformer(256, 4, 14)
    torch.save({"model": dict(w)}, tmp_path / "supernet-tiny.pth")
    module = elastic("autoformer-t", tmp_path / "supernet-tiny.pth")
    mixed = {"depth": 12, "embed": 192}
    for i in range(1, 13):
        mixed |= {f"heads_{i}": 3 + i % 2, f"mlp_{i}": (3.0, 3.5, 4.0)[i % 3]}
    for subnet in (network("autoformer-t").largest(), mixed):
        expected = plain_autoformer(w, images, subnet)
        assert 0.1 < expected.std() < 10
        assert torch.allclose(module(images, subnet), expected, atol=1e-4, rtol=0)


# Published best networks (experiments/subnet/*.yaml of microsoft/Cream): heads and MLP ratios of the blocks, and the weights
# that its code counts; the paper rounds them to 5.8, 22.9 and 53.7 million, and the MACs to 1.3, 5.1 and 11 billion.
BEST = {
    "autoformer-t": (192, "3333333333433", "7767668878787", 5_867_944, 1.34),
    "autoformer-s": (384, "6657555667767", "6767888888878", 22_891_432, 4.89),
    "autoformer-b": (576, "99999a99a9a99a", "77878776886867", 53_691_688, 11.24),
}


@pytest.mark.parametrize("name", BEST)
def test_workloads_of_autoformer_have_the_published_weights(name):
    embed, heads, ratios, parameters, gmacs = BEST[name]
    subnet = {"embed": embed, "depth": len(heads)}
    for block, (head, ratio) in enumerate(zip(heads, ratios, strict=True), 1):
        subnet |= {f"heads_{block}": int(head, 16), f"mlp_{block}": int(ratio) / 2}
    workload = network(name).workload(subnet)
    assert workload.parameters == parameters
    assert workload.macs / 1e9 == pytest.approx(gmacs, abs=0.005)


# ---- sizes and kinds of ViT ---------------------------------------------------------------------


def plain_vit(w, x, *, embed=384, layers=12, hidden=1536, eps=1e-6, kind="plain"):
    """A ViT under timm's names.

    Kind "distilled" has a token and a head more, "one head" only the token (DeiTForImageClassification of
    transformers), "deit3" scales and fewer positions.
    """
    heads, patches = embed // 64, (x.shape[-1] // 16) ** 2
    weight, bias = (
        w.draw("patch_embed.proj.weight", embed, 3, 16, 16),
        w.draw("patch_embed.proj.bias", embed),
    )
    x = F.conv2d(x, weight, bias, stride=16).flatten(2).transpose(1, 2)
    prefix = [w.draw("cls_token", 1, 1, embed, std=0.1)]
    if kind in ("distilled", "one head"):
        prefix.append(w.draw("dist_token", 1, 1, embed, std=0.1))
    if kind == "deit3":
        x = torch.cat([*prefix, x + w.draw("pos_embed", 1, patches, embed, std=0.1)], 1)
    else:
        x = torch.cat([*prefix, x], 1)
        x = x + w.draw("pos_embed", 1, patches + len(prefix), embed, std=0.1)
    for i in range(layers):
        name = f"blocks.{i}"
        y = linear(w, f"{name}.attn.qkv", normed(w, f"{name}.norm1", x, eps), 3 * embed)
        q, k, v = y.reshape(1, -1, 3, heads, 64).permute(2, 0, 3, 1, 4)
        y = ((q @ k.transpose(-1, -2) / 8).softmax(-1) @ v).transpose(1, 2).flatten(2)
        y = linear(w, f"{name}.attn.proj", y, embed)
        x = x + (y * w.draw(f"{name}.ls1.gamma", embed) if kind == "deit3" else y)
        y = F.gelu(linear(w, f"{name}.mlp.fc1", normed(w, f"{name}.norm2", x, eps), hidden))
        y = linear(w, f"{name}.mlp.fc2", y, embed)
        x = x + (y * w.draw(f"{name}.ls2.gamma", embed) if kind == "deit3" else y)
    x = normed(w, "norm", x, eps)
    found = linear(w, "head", x[:, 0], 10)
    if kind == "distilled":
        found = (found + linear(w, "head_dist", x[:, 1], 10)) / 2
    return found


@pytest.mark.parametrize(
    ("name", "kind", "side", "embed", "hidden"),
    [
        ("vit-s", "plain", 224, 384, 1536),
        ("vit-s", "deit3", 224, 384, 1536),
        ("deit-b-distilled", "distilled", 224, 768, 3072),
        ("deit-b-distilled", "one head", 224, 768, 3072),
        ("vit-b-384", "plain", 384, 768, 3072),
    ],
)
@torch.inference_mode()
def test_other_sizes_and_kinds_are_the_plain_network(name, kind, side, embed, hidden, tmp_path):
    w, pixels = Weights(), torch.randn(1, 3, side, side)
    expected = plain_vit(w, pixels, embed=embed, hidden=hidden, kind=kind)
    save_file(dict(w), tmp_path / "model.safetensors")
    module = elastic(name, tmp_path)  # a folder, as the Hub has it
    assert torch.allclose(module(pixels, network(name).largest()), expected, atol=1e-4, rtol=0)
    if kind == "distilled":
        with pytest.raises(BadInput, match="deit-b-distilled"):
            elastic("vit-b", tmp_path)


NEW_NAMES = {  # timm's, and those of transformers 5.24
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.o_proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


@torch.inference_mode()
def test_names_of_transformers_5(images, tmp_path):
    w, state = Weights(), {}
    expected = plain_vit(w, images, eps=1e-12)
    outside = {
        "cls_token": "vit.embeddings.cls_token",
        "pos_embed": "vit.embeddings.position_embeddings",
        "patch_embed.proj": "vit.embeddings.patch_embeddings.projection",
        "norm": "vit.layernorm",
        "head": "classifier",
    }
    for name, tensor in w.items():
        if not name.startswith("blocks."):
            stem = name.removesuffix(".weight").removesuffix(".bias")
            state[outside[stem] + name.removeprefix(stem)] = tensor.clone()
            continue
        _, layer, rest = name.split(".", 2)
        stem, kind = rest.rsplit(".", 1)
        if stem == "attn.qkv":
            for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                state[f"vit.layers.{layer}.attention.{part}_proj.{kind}"] = piece.clone()
        else:
            state[f"vit.layers.{layer}.{NEW_NAMES[stem]}.{kind}"] = tensor.clone()
    save_file(state, tmp_path / "model.safetensors")
    module = elastic("vit-s", tmp_path)
    assert torch.allclose(module(images, network("vit-s").largest()), expected, atol=1e-4, rtol=0)


# ---- how images are prepared --------------------------------------------------------------------

TIMM = {"mean": [0.5] * 3, "std": [0.5] * 3, "input_size": [3, 224, 224], "crop_pct": 0.9}


@pytest.mark.parametrize(
    ("file", "settings", "expected"),
    [
        (
            "config.json",
            {"pretrained_cfg": TIMM | {"interpolation": "bicubic"}},
            Preprocessing((0.5,) * 3, (0.5,) * 3, 224, 248, "bicubic"),
        ),
        (
            "preprocessor_config.json",
            {
                "size": {"height": 224, "width": 224},
                "image_mean": [0.5] * 3,
                "image_std": [0.5] * 3,
                "resample": 2,
            },
            Preprocessing((0.5,) * 3, (0.5,) * 3, 224, 224, "bilinear", keeps_aspect=False),
        ),
        (
            "preprocessor_config.json",
            {
                "size": {"shortest_edge": 256},
                "crop_size": {"height": 224, "width": 224},
                "do_center_crop": True,
                "image_mean": [0.485, 0.456, 0.406],
                "image_std": [0.229, 0.224, 0.225],
                "resample": 3,
            },
            Preprocessing(interpolation="bicubic"),
        ),
    ],
)
def test_what_lies_beside_the_weights_says_how_images_are_prepared(
    file, settings, expected, tmp_path
):
    (tmp_path / file).write_text(json.dumps(settings))
    found = chosen(tmp_path / "model.safetensors")
    assert found.label.split(" (")[0] == expected.label.split(" (")[0]
    asked = chosen(tmp_path / "model.safetensors", "imagenet", 1.0, "bilinear")
    assert (asked.mean[0], asked.resized, asked.interpolation) == (0.485, 224, "bilinear")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("config.json", "{", "cannot be read"),
        ("config.json", '{"pretrained_cfg": {"crop_pct": 0}}', "crop_pct"),
        ("config.json", '{"pretrained_cfg": {"mean": "half"}}', "mean"),
        ("preprocessor_config.json", '{"resample": 5}', "resample"),
        ("preprocessor_config.json", '{"size": {"height": 224, "width": 192}}', "size"),
    ],
)
def test_files_that_make_no_sense_are_refused(file, text, told, tmp_path):
    (tmp_path / file).write_text(text)
    with pytest.raises(BadInput, match=told):
        chosen(tmp_path)


@pytest.mark.parametrize("text", ["rgb", "0.5,0.5/1,1", "0,0,0/1,1,0"])
def test_normalisations_that_are_none_are_refused(text, tmp_path):
    with pytest.raises(BadInput, match="--normalise"):
        chosen(tmp_path, text)


def test_a_squashed_image_is_seen_whole_and_a_cropped_one_is_not():
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, :20] = 255  # a stripe at the left end
    shown = imagenet.Arrays(image[None], np.zeros(1, np.int64), 2)
    plain = {"mean": (0.0,) * 3, "deviation": (1.0,) * 3, "side": 50, "resized": 50}
    whole = image_inputs.prepared_as(shown, [0], Preprocessing(**plain, keeps_aspect=False))
    cropped = image_inputs.prepared_as(shown, [0], Preprocessing(**plain))
    assert whole.shape == cropped.shape == (1, 3, 50, 50)
    assert whole[0, 0, :, 0].min() == 1.0
    assert cropped.max() == 0.0


def test_an_expected_accuracy_is_checked_before_a_search(tmp_path, capsys):
    w = Weights()
    plain_vit(w, torch.randn(1, 3, 224, 224))
    save_file(dict(w), tmp_path / "model.safetensors")
    data = tmp_path / "images"
    data.mkdir()
    rng = np.random.default_rng(0)
    np.save(data / "images.npy", rng.integers(0, 256, (12, 224, 224, 3), dtype=np.uint8))
    np.save(data / "labels.npy", np.zeros(12, np.int64))
    where = {
        "weights": str(tmp_path),
        "data": str(data),
        "images": 4,
        "test_images": 4,
        "batch": 4,
        "cache": str(tmp_path / "cache.jsonl"),
    }
    found = CheckpointAccuracy("vit-s", **where).measure(network("vit-s").largest())
    CheckpointAccuracy("vit-s", **where, expect=found).check()
    assert "a measurement of the largest network takes about" in capsys.readouterr().err
    wrong = 0.0 if found > 50 else 100.0
    with pytest.raises(BadInput, match="--normalise"):
        CheckpointAccuracy("vit-s", **where, expect=wrong).check()
    assert math.isfinite(
        CheckpointAccuracy("vit-s", **where, precision="bfloat16").measure(
            network("vit-s").largest()
        )
    )


def test_a_family_without_a_preset_is_searched_by_its_accuracy(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    w = Weights()
    plain_vit(w, torch.randn(1, 3, 224, 224))
    Path("deit_s").mkdir()
    save_file(dict(w), "deit_s/model.safetensors")
    rng = np.random.default_rng(0)
    np.save("images.npy", rng.integers(0, 256, (4, 224, 224, 3), dtype=np.uint8))
    np.save("labels.npy", np.zeros(4, np.int64))
    asked = [
        "optimize",
        "--network",
        "vit-s",
        "--weights",
        "deit_s",
        "--data",
        ".",
        "--images",
        "2",
    ]
    more = ["--test-images", "2", "--image-batch", "2", "--jobs", "1", "--format", "json"]
    assert run([*asked, *more, "--budget", "2", "--bit-accurate-images", "0"]) == 0
    told = capsys.readouterr()
    assert "a measurement of the largest network takes about" in told.err
    assert "published of DeiT-S: 79.85 %" in told.err
    assert "Elastic vit-s (accuracy measured), chips of the baseline's area" in told.err
    design = json.loads(told.out)["pareto"][0]
    assert {"depth", "heads_1", "ffn_1"} <= set(design["architecture"])
    assert design["metrics"]["accuracy"] in {0, 50, 100}


def test_a_search_does_not_start_where_the_weights_miss_what_was_expected(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": dict(random_autoformer(256, 4, 14))}, "supernet-tiny.pth")
    rng = np.random.default_rng(0)
    np.save("images.npy", rng.integers(0, 256, (6, 256, 256, 3), dtype=np.uint8))
    np.save("labels.npy", np.zeros(6, np.int64))
    asked = ["optimize", "--preset", "autoformer-t-imagenet", "--budget", "1", "--images", "2"]
    asked += ["--weights", "supernet-tiny.pth", "--data", ".", "--test-images", "2"]
    assert run([*asked, "--image-batch", "2", "--expect", "99"]) == 2
    told = capsys.readouterr().err
    assert "expected 99" in told
    assert "--expect 99" in told
    where = {"weights": "supernet-tiny.pth", "data": ".", "images": 2, "test_images": 2, "batch": 2}
    CheckpointAccuracy("autoformer-t", **where).check()  # nothing was published: a batch is timed
    told = capsys.readouterr().err
    assert "a measurement of the largest network takes about" in told
    assert "published of" not in told
    assert run(["optimize", "--preset", "autoformer-t-imagenet", "--expect", "99"]) == 2
    assert "expect is about them" in capsys.readouterr().err
