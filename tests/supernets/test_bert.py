"""BERT of Hugging Face's names: the same function as torch's own layers, sub-networks, and what is measured of sentences."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cimbo import BadInput
from cimbo.cli import run
from cimbo.evaluation.accuracy.checkpoint import CheckpointAccuracy
from cimbo.evaluation.accuracy.published import of_largest
from cimbo.supernets.labelled_sentences import read_labelled, vocabulary_beside
from cimbo.supernets.published_weights import elastic
from cimbo.workloads import network

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "fine", "film", "dull", "and", "long"]
WORDS += ["##ish", "##ly", "never", "was", "it", ".", "!"]
EMBED_SIZE, HIDDEN, HEADS, DEPTH = 768, 3072, 12, 12
SENTENCES = [("A fine film!", 1), ("dull and longish", 0), ("never was it dullly fine", 1)] * 4


def weights(seed: int = 0) -> dict[str, Tensor]:
    """Random ones at BERT-base's sizes, under the names of Hugging Face's BertForSequenceClassification."""
    torch.manual_seed(seed)
    shapes = {
        "bert.embeddings.word_embeddings.weight": (len(WORDS), EMBED_SIZE),
        "bert.embeddings.position_embeddings.weight": (512, EMBED_SIZE),
        "bert.embeddings.token_type_embeddings.weight": (2, EMBED_SIZE),
    }
    linear = {"bert.pooler.dense": (EMBED_SIZE, EMBED_SIZE), "classifier": (2, EMBED_SIZE)}
    norms = ["bert.embeddings.LayerNorm"]
    for layer in range(DEPTH):
        at = f"bert.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            linear[f"{at}.attention.self.{part}"] = (EMBED_SIZE, EMBED_SIZE)
        linear[f"{at}.attention.output.dense"] = (EMBED_SIZE, EMBED_SIZE)
        linear[f"{at}.intermediate.dense"] = (HIDDEN, EMBED_SIZE)
        linear[f"{at}.output.dense"] = (EMBED_SIZE, HIDDEN)
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    found = {name: 0.04 * torch.randn(shape) for name, shape in shapes.items()}
    for name in norms:
        found[f"{name}.weight"] = 1 + 0.1 * torch.randn(EMBED_SIZE)
        found[f"{name}.bias"] = 0.1 * torch.randn(EMBED_SIZE)
    return found


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    state = {name: tensor.half() for name, tensor in weights().items()}
    save_file(state, folder / "model.safetensors")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentences")
    rows = [f"{text}\t{label}" for text, label in SENTENCES]
    (folder / "dev.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    return folder


def of_torch(state: dict[str, Tensor], layer: int, heads: int, hidden: int) -> nn.Module:
    """A layer of torch's own encoder with the leading heads and units of the checkpoint's."""
    found = nn.TransformerEncoderLayer(
        EMBED_SIZE, HEADS, HIDDEN, 0.0, "gelu", 1e-12, batch_first=True
    ).eval()
    at = f"bert.encoder.layer.{layer}."
    kept = torch.zeros(EMBED_SIZE)  # of the heads that are left out, what they give is nothing
    kept[: 64 * heads] = 1
    own = found.self_attn
    for kind in ("weight", "bias"):
        parts = [state[f"{at}attention.self.{p}.{kind}"] for p in ("query", "key", "value")]
        getattr(own, f"in_proj_{kind}").data = torch.cat(parts)
        own.out_proj._parameters[kind].data = state[f"{at}attention.output.dense.{kind}"]
        found.linear1._parameters[kind].data = state[f"{at}intermediate.dense.{kind}"]
        found.linear2._parameters[kind].data = state[f"{at}output.dense.{kind}"]
        found.norm1._parameters[kind].data = state[f"{at}attention.output.LayerNorm.{kind}"]
        found.norm2._parameters[kind].data = state[f"{at}output.LayerNorm.{kind}"]
    own.out_proj.weight.data = own.out_proj.weight.data * kept
    units = torch.zeros(HIDDEN)
    units[:hidden] = 1
    found.linear2.weight.data = found.linear2.weight.data * units
    return found


def reference(state: dict[str, Tensor], rows: Tensor, subnet: dict[str, int]) -> Tensor:
    """Logits by torch's own layers."""
    at = "bert.embeddings."
    x = state[f"{at}word_embeddings.weight"][rows]
    x = x + state[f"{at}position_embeddings.weight"][: rows.shape[1]]
    x = x + state[f"{at}token_type_embeddings.weight"][0]
    norm = (state[f"{at}LayerNorm.weight"], state[f"{at}LayerNorm.bias"])
    x = nn.functional.layer_norm(x, (EMBED_SIZE,), *norm, eps=1e-12)
    for number in range(subnet["depth"]):
        heads, hidden = subnet[f"heads_{number + 1}"], subnet[f"ffn_{number + 1}"]
        layer = of_torch(state, number, heads, hidden)
        x = layer(x, src_key_padding_mask=rows == 0)
    pooled = torch.tanh(
        x[:, 0] @ state["bert.pooler.dense.weight"].T + state["bert.pooler.dense.bias"]
    )
    return pooled @ state["classifier.weight"].T + state["classifier.bias"]


@torch.no_grad()
def test_networks_of_all_sizes_are_torch_s_own_layers(checkpoint):
    state = {name: tensor.half().float() for name, tensor in weights().items()}
    rows = torch.tensor([[2, 4, 5, 6, 16, 3], [2, 7, 3, 0, 0, 0]])  # the second is padded
    module, family = elastic("bert-base", checkpoint), network("bert-base")
    small = {"depth": 6} | {f"heads_{i}": 6 + 2 * (i % 3) for i in range(1, 7)}
    small |= {f"ffn_{i}": 1024 * (1 + i % 3) for i in range(1, 7)}
    for subnet in (family.largest(), small):
        expected = reference(state, rows, subnet)
        assert expected.std() > 0.05
        assert torch.allclose(module(rows, subnet), expected, atol=1e-4, rtol=0)


def test_sentences_are_measured_and_stand_beside_what_was_published(
    checkpoint, data, tmp_path, capsys
):
    where = {"weights": str(checkpoint), "data": str(data), "images": 6, "test_images": 6}
    where |= {"batch": 3, "cache": str(tmp_path / "cache.jsonl")}
    source = CheckpointAccuracy("bert-base", **where)
    source.check()
    told = capsys.readouterr().err
    family = network("bert-base")
    found = source.measure(family.largest())
    assert f"largest bert-base: {found:.2f} %" in told
    assert "6 images on cpu" in told
    assert "published of BERT-base: 12 layers of 768: 93.5 %; --expect 93.5" in told
    module, right = elastic("bert-base", checkpoint), 0
    vocabulary = vocabulary_beside(checkpoint)
    for number in source.parts["validation"]:
        text, label = SENTENCES[number]
        row = torch.tensor([vocabulary.encode(text, 128)])  # one by one: nothing is padded
        right += int(module(row, family.largest()).argmax()) == label
    assert found == pytest.approx(100 * right / 6)
    wrong = 0.0 if found > 50 else 100.0
    with pytest.raises(BadInput, match="see the numbers of the labels"):
        CheckpointAccuracy("bert-base", **where, expect=wrong).check()


def test_optimize_measures_sentences_and_says_so(checkpoint, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ["--weights", str(checkpoint), "--data", str(data), "--images", "4"]
    asked += ["--test-images", "4", "--budget", "2", "--format", "json"]
    assert run(["optimize", "--preset", "bert-base", *asked]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert found["evaluations"] == 2
    assert "accuracy" not in found  # measured: nothing has to be said of it
    assert told.err.count("published of BERT-base") == 1
    for design in found["pareto"]:
        assert design["metrics"]["accuracy"] in {0, 25, 50, 75, 100}


def test_nothing_is_said_of_a_family_whose_largest_network_was_not_published():
    assert of_largest("autoformer-s") is None
    assert of_largest("ofa-resnet50") is None


def test_published_accuracies_of_largest_networks_are_of_families_that_there_are():
    for family in ("vit-s", "vit-b", "vit-l", "vit-b-384", "deit-b-distilled", "bert-base"):
        published = of_largest(family)
        assert published is not None
        assert 79 < published.accuracy < 94
    assert of_largest("vit-b").name == "DeiT-B"


def test_a_tokenizer_of_one_file_is_the_same_vocabulary(checkpoint, tmp_path):
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    settings = {"model": {"type": "WordPiece", "vocab": vocabulary}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings))
    assert vocabulary_beside(tmp_path) == vocabulary_beside(checkpoint / "model.safetensors")


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "no vocab.txt and no tokenizer.json"),
        ({"vocab.txt": "a\nb\n"}, r"lacks \[UNK\]"),
        ({"tokenizer.json": "{"}, "is no JSON"),
        ({"tokenizer.json": '{"model": {"type": "BPE"}}'}, "holds no word pieces"),
        ({"vocab.txt": "a", "tokenizer_config.json": '{"do_lower_case": false}'}, "a cased BERT"),
    ],
)
def test_vocabularies_that_are_none_are_refused(files, told, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=told):
        vocabulary_beside(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("text\tlabel\nfine\t1\n", "KeyError: 'sentence'"),
        ("sentence\tlabel\nfine\tgood\n", "ValueError"),
        ("sentence\tlabel\nfine\n", "TypeError"),
        ("sentence\tlabel\nfine\t2\n", "labels go from 2 to 2"),
    ],
)
def test_tables_of_sentences_that_are_none_are_refused(text, told, tmp_path):
    with pytest.raises(BadInput, match="holds no sentences"):
        read_labelled(tmp_path, 2)
    (tmp_path / "val.tsv").write_text(text)
    with pytest.raises(BadInput, match=told):
        read_labelled(tmp_path, 2)


def test_settings_of_images_are_refused_for_sentences(checkpoint, data):
    with pytest.raises(BadInput, match="bert-base reads sentences"):
        CheckpointAccuracy("bert-base", str(checkpoint), str(data), normalise="half")


def test_a_vocabulary_of_more_words_than_the_weights_is_refused(checkpoint, data, tmp_path):
    (tmp_path / "model.safetensors").symlink_to(checkpoint / "model.safetensors")
    (tmp_path / "vocab.txt").write_text("\n".join([*WORDS, "more"]) + "\n")
    source = CheckpointAccuracy("bert-base", str(tmp_path), str(data), images=4)
    with pytest.raises(BadInput, match="the vocabulary has 18 words, the weights know 17"):
        source.check()


def test_labels_are_numbers_of_classes(data):
    found = read_labelled(data, 2)
    assert found.labels.dtype == np.int64
    assert found.texts[1] == "dull and longish"
