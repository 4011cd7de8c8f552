"""The elastic MiniLM: slices, padding, order of importance, the cut vocabulary, and what its files are refused for."""

import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cimbo import BadInput, _data
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.hardware.array_description import describe_array
from cimbo.problem.space import Choice
from cimbo.supernets import recipes, review_packages, reviews
from cimbo.supernets.array_instance import ArrayInstance
from cimbo.supernets.die import Die
from cimbo.supernets.measurement import deployed, logits
from cimbo.supernets.minilm import (
    SENTENCE_POSITIONS,
    ElasticMiniLM,
    batches_of_words,
    runs,
    sort_by_importance,
)
from cimbo.supernets.review_packages import RatedSentence
from cimbo.supernets.reviews import Sentences, Vocabulary, encoded, pretrained, read_sentences
from cimbo.supernets.training import extremes
from cimbo.supernets.wordpiece import WordPiece, words
from cimbo.workloads import network

N_WORDS, EMBED_SIZE, HEADS, HIDDEN = 50, 64, 2, 24
LARGEST = {"depth": 2, "heads_1": 2, "mlp_1": 24, "heads_2": 2, "mlp_2": 24}
SMALLER = {"depth": 2, "heads_1": 1, "mlp_1": 8, "heads_2": 2, "mlp_2": 16}
SHALLOW = {"depth": 1, "heads_1": 1, "mlp_1": 24}


def tiny(seed: int = 0) -> ElasticMiniLM:
    torch.manual_seed(seed)
    network = ElasticMiniLM(N_WORDS, 2, EMBED_SIZE, HEADS, HIDDEN)
    for parameter in network.parameters():  # also biases and norms, which begin at zero and one
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return network.eval().requires_grad_(False)


def sentences(n: int, seed: int = 0, longest: int = 20) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randint(1, N_WORDS, (n, SENTENCE_POSITIONS), generator=draw)
    lengths = torch.randint(2, longest + 1, (n, 1), generator=draw)
    return rows.where(torch.arange(SENTENCE_POSITIONS) < lengths, 0)


def reference(network: ElasticMiniLM, rows: Tensor) -> Tensor:
    """The largest sub-network by torch's own encoder layers."""
    width = HEADS * 32
    x = network.norm(network.words(rows) + network.position[: rows.shape[1]])
    for ours in network.layers:
        layer = nn.TransformerEncoderLayer(
            EMBED_SIZE,
            HEADS,
            HIDDEN,
            0.0,
            lambda x: nn.functional.gelu(x, approximate="tanh"),
            batch_first=True,
        ).eval()
        state = layer.state_dict()
        assert width == EMBED_SIZE
        for kind in ("weight", "bias"):
            each = [getattr(part, kind) for part in (ours.query, ours.key, ours.value)]
            state[f"self_attn.in_proj_{kind}"] = torch.cat(each)
            state[f"self_attn.out_proj.{kind}"] = getattr(ours.project, kind)
            for theirs, part in (("linear1", ours.up), ("linear2", ours.down)):
                state[f"{theirs}.{kind}"] = getattr(part, kind)
            for theirs, part in (("norm1", ours.norm1), ("norm2", ours.norm2)):
                state[f"{theirs}.{kind}"] = getattr(part, kind)
        layer.load_state_dict(state)
        x = layer(x, src_key_padding_mask=rows == 0)
    kept = (rows != 0).unsqueeze(-1)
    return network.head((x * kept).sum(1) / kept.sum(1), 2)


def test_the_largest_sub_network_is_the_whole_encoder():
    network, rows = tiny(), sentences(9)
    torch.testing.assert_close(
        network(rows, LARGEST), reference(network, rows), rtol=1e-4, atol=1e-5
    )


def test_padding_changes_no_logits():
    network, rows = tiny(), sentences(9)
    for subnet in (LARGEST, SMALLER, SHALLOW):
        whole = network(rows, subnet)
        torch.testing.assert_close(network(rows[:, :20], subnet), whole, rtol=1e-5, atol=1e-6)
        alone = torch.cat([network(row[row != 0][None], subnet) for row in rows])
        torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-5)


def test_a_deployed_sub_network_computes_what_the_elastic_one_does():
    """In batches of similar length, and back in the order that was asked for."""
    network, rows = tiny(), sentences(300, seed=1)
    for subnet in (LARGEST, SMALLER, SHALLOW):
        found = logits(deployed(network, subnet, rows[:10]), rows)
        torch.testing.assert_close(found, network(rows, subnet), rtol=1e-4, atol=1e-5)


def test_arrays_act_on_the_layers_and_less_where_converters_are_finer():
    network, rows = tiny(), sentences(60, seed=2)
    ideal = network(rows, LARGEST)
    off = {}
    for bits in (5, 10):
        array = describe_array({"rows": 64, "adc_bits": bits})
        ready = deployed(network, LARGEST, rows, Die(ArrayInstance(array)))
        off[bits] = float((logits(ready, rows) - ideal).square().mean())
    digital = deployed(
        network,
        LARGEST,
        rows,
        Die(ArrayInstance(describe_array({"array": "digital_sram", "rows": 64}))),
    )
    rounded = float((logits(digital, rows) - ideal).square().mean())
    assert 0 < rounded < off[10] < off[5]


def test_sentences_are_batched_by_words():
    lengths = torch.tensor([3, 3, 5, 6, 9, 2])
    batches = batches_of_words(lengths, torch.arange(6), 10)
    assert torch.cat(batches).tolist() == list(range(6))
    assert [int(lengths[b].sum()) for b in batches] == [6, 11, 11]
    assert runs([4, 4, 2, 4]) == [(4, 2), (2, 1), (4, 1)]


def test_sorting_by_importance_keeps_the_largest_and_puts_what_matters_first():
    network, rows = tiny().requires_grad_(True), sentences(40)
    labels = torch.arange(40) % 2
    first = network.layers[0]
    with torch.no_grad():
        first.project.weight[:, :32] = 0  # the first head of the first layer says nothing
        first.down.weight[:, ::2] = 0
    before = network(rows, LARGEST).detach()
    losses = (
        nn.functional.cross_entropy(network(some, LARGEST), y)
        for some, y in zip(rows.split(8), labels.split(8), strict=True)
    )
    sort_by_importance(network, losses)
    torch.testing.assert_close(network(rows, LARGEST), before, rtol=1e-5, atol=1e-6)
    assert first.project.weight[:, 32:].abs().max() == 0 < first.project.weight[:, :32].abs().max()
    assert first.down.weight[:, HIDDEN // 2 :].abs().max() == 0


def bert_tensors() -> dict[str, Tensor]:
    torch.manual_seed(3)
    found = {
        "embeddings.word_embeddings.weight": torch.randn(N_WORDS, EMBED_SIZE),
        "embeddings.position_embeddings.weight": torch.randn(SENTENCE_POSITIONS + 8, EMBED_SIZE),
        "embeddings.token_type_embeddings.weight": torch.randn(2, EMBED_SIZE),
    }
    shapes = dict.fromkeys(("query", "key", "value", "project"), (EMBED_SIZE, EMBED_SIZE))
    shapes |= {
        "up": (HIDDEN, EMBED_SIZE),
        "down": (EMBED_SIZE, HIDDEN),
        "norm1": (EMBED_SIZE,),
        "norm2": (EMBED_SIZE,),
    }
    for kind in ("weight", "bias"):
        found[f"embeddings.LayerNorm.{kind}"] = torch.randn(EMBED_SIZE)
        for ours, theirs in reviews.BERT_NAMES.items():
            shape = shapes[ours] if kind == "weight" else shapes[ours][:1]
            found[f"encoder.layer.0.{theirs}.{kind}"] = torch.randn(shape)
    return found


def test_cutting_the_vocabulary_changes_nothing():
    tensors, rows = bert_tensors(), sentences(30)
    rows[rows == 7] = 8  # a word that does not occur
    kept = rows.unique().numpy()
    cut = Vocabulary(np.array(sorted({0, *kept.tolist()}), np.int64))
    assert len(cut.kept) < N_WORDS
    torch.manual_seed(0)
    small = pretrained(tensors, cut)
    torch.manual_seed(0)
    whole = pretrained(tensors, Vocabulary(np.arange(N_WORDS)))
    small.head.load_state_dict(whole.head.state_dict())
    renumbered = torch.from_numpy(cut.numbers(rows.flatten()).astype(np.int64)).view(rows.shape)
    subnet = {"depth": 1, "heads_1": 2, "mlp_1": 24}
    assert torch.equal(small(renumbered, subnet), whole(rows, subnet))


# ---- words and sentences -----------------------------------------------------------------------------------------------

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "the",
    "film",
    "un",
    "##want",
    "##ed",
    "##s",
    "!",
    "'",
    "cafe",
    "21st",
    "一",
]


def test_words_are_split_as_the_uncased_models_do():
    assert words("The FILM's  café,\u00a0n'est-ce\x00 pas?") == [
        *("the", "film", "'", "s", "cafe", ",", "n", "'", "est", "-", "ce", "pas", "?")
    ]
    assert words("a一b $5") == ["a", "一", "b", "$", "5"]


def test_words_become_the_longest_known_pieces():
    pieces = WordPiece.of_lines(PIECES)
    said = [PIECES[i] for i in pieces.encode("The films unwanted! Café un21st", 64)]
    assert said == [
        "[CLS]",
        "the",
        "film",
        "##s",
        "un",
        "##want",
        "##ed",
        "!",
        "cafe",
        "[UNK]",
        "[SEP]",
    ]
    assert [PIECES[i] for i in pieces.encode("the " * 9, 4)] == ["[CLS]", "the", "the", "[SEP]"]
    assert pieces.pieces("x" * 101) == [1]


def test_sentences_are_split_by_blocks_of_ids_and_lukewarm_ones_left_out():
    rated = [RatedSentence("the film" + "!" * (i % 3), 2.0 if i % 2 else -2.0) for i in range(2000)]
    rated[5] = RatedSentence("the film", 0.5)
    made = encoded(rated, WordPiece.of_lines(PIECES))
    assert [len(p) for p in (made.training, made.validation, made.test)] == [1399, 300, 300]
    assert made.training.labels[:5].tolist() == [0, 1, 0, 1, 0]
    assert made.training.labels[5] == 0  # that of the seventh sentence
    assert [PIECES[i] for i in made.vocabulary.kept] == [
        "[PAD]",
        "[CLS]",
        "[SEP]",
        "the",
        "film",
        "!",
    ]


def stored(n: int = 40, seed: int = 0) -> Sentences:
    rows = sentences(n, seed).numpy()
    words_of_all = rows[rows != 0].astype(np.uint16)
    return Sentences(
        words_of_all, (rows != 0).sum(1).astype(np.uint8), (np.arange(n) % 2).astype(np.uint8)
    )


def test_sentences_come_back_from_their_file(tmp_path):
    held = stored()
    held.save(tmp_path / "part.npz")
    rows, labels = read_sentences(tmp_path / "part.npz").tensors()
    assert torch.equal(rows, sentences(40))
    assert labels.tolist() == [0, 1] * 20
    some = held.take(np.array([7, 3])).tensors()[0]
    assert torch.equal(some, sentences(40)[[7, 3]])


def test_an_epoch_has_every_sentence_once_with_little_padding():
    held = stored(100)
    rows, padded = [], 0
    for batch, labels in held.batches(10, 0, np.random.default_rng(0)):
        assert batch.shape[0] == len(labels) == 10
        padded += int((batch == 0).sum())
        rows += [tuple(row[row != 0].tolist()) for row in batch]
    everything = [tuple(row[row != 0].tolist()) for row in held.tensors()[0]]
    assert sorted(rows) == sorted(everything)
    assert padded < 0.2 * sum(map(len, rows))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"words": lambda a: np.where(a == a.max(), N_WORDS, a)}, "outside 1 to 49"),
        ({"words": lambda a: np.where(np.arange(len(a)) == 3, 0, a)}, "outside 1 to 49"),
        ({"words": lambda a: a[:-1]}, "add up to"),
        ({"words": lambda a: a.astype(np.int64)}, "arrays of int64"),
        (
            {"lengths": lambda a: np.where(np.arange(len(a)) == 0, 65, a).astype(np.uint8)},
            "more than 64",
        ),
        ({"lengths": lambda a: a[:-1]}, "39 lengths and 40 labels"),
        ({"labels": lambda a: a + np.uint8(1)}, "neither 0 nor 1"),
    ],
)
def test_sentences_with_numbers_out_of_bounds_are_refused_in_a_line(tmp_path, changes, said):
    arrays = dict(vars(stored()))
    for name, change in changes.items():
        arrays[name] = (
            change(arrays[name]).astype(arrays[name].dtype)
            if "int64" not in said
            else change(arrays[name])
        )
    np.savez_compressed(tmp_path / "bad.npz", **arrays)
    with pytest.raises(BadInput, match=said) as caught:
        read_sentences(tmp_path / "bad.npz", N_WORDS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"\x80\x04K\x01."])
def test_a_file_of_something_else_is_refused_in_a_line(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(BadInput, match="holds no sentences") as caught:
        read_sentences(tmp_path / "bad.npz")
    assert "\n" not in str(caught.value)


# ---- the packages --------------------------------------------------------------------------------------------------------


def test_a_package_of_another_content_is_not_opened(tmp_path):
    for package in (review_packages.MODEL_PACKAGE, review_packages.RATINGS_PACKAGE):
        (tmp_path / package.file).write_bytes(b"something else")
    with pytest.raises(BadInput, match="another content"):
        review_packages.pretrained_tensors(tmp_path)
    with pytest.raises(BadInput, match="another content"):
        review_packages.rated_sentences(tmp_path)
    with pytest.raises(BadInput, match="is no file"):
        review_packages.model_file(tmp_path / "empty", "vocab.txt")


def test_of_what_pip_says_the_first_error_is_told():
    said = ["WARNING: old pip", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "    Got  1234"]
    assert review_packages._reason(said) == "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"
    assert review_packages._reason(["no route to host "]) == "no route to host"
    assert review_packages._reason([]) == "no word"


def test_only_a_plain_file_of_an_archive_is_read(tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        link = tarfile.TarInfo("ratings.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    for name, said in (
        ("ratings.txt", "cannot be read|no plain file"),
        ("absent", "cannot be read"),
    ):
        with pytest.raises(BadInput, match=said):
            review_packages._member(tmp_path, packed.getvalue(), name)
    with pytest.raises(BadInput, match="cannot be read"):
        review_packages._member(tmp_path, b"no archive", "ratings.txt")


# ---- the shipped one ----------------------------------------------------------------------------------------------------


def test_a_hundred_real_sentences_are_told_apart_by_the_shipped_sub_networks():
    """The largest and the smallest, on digital arrays and behind converters; the weights are small enough for a wheel."""
    assert _data.path("supernets/reviews-minilm.safetensors").stat().st_size < 35e6
    source, family = ShippedAccuracy("reviews-minilm"), network("reviews-minilm")
    largest = source.measure(family.largest(), images=100)
    digital = {"array": "digital_sram", "rows": 64}
    assert largest > 80
    assert source.measure(family.largest() | digital, images=100) == pytest.approx(largest, abs=3)
    assert source.measure(family.smallest(), images=100) > 70
    coarse = {"array": "charge_sram", "rows": 64}
    fine, poor = (
        source.measure(family.smallest() | coarse | {"adc_bits": bits}, images=100)
        for bits in (8, 3)
    )
    assert poor < 65 < fine  # chance is 50


def test_the_shipped_parts_have_no_sentence_in_common():
    parts = {}
    for part in ("validation", "test", "calibration"):
        rows = reviews.shipped(part).tensors()[0]
        parts[part] = {tuple(row[row != 0].tolist()) for row in rows}
    assert len(parts["validation"]) > 1500
    assert not parts["validation"] & parts["test"]
    assert not parts["calibration"] & (parts["validation"] | parts["test"])


def small_network() -> ElasticMiniLM:
    return ElasticMiniLM(depth=2, embed=EMBED_SIZE, heads=HEADS, hidden=HIDDEN)


def test_a_training_goes_through_every_stage_to_a_file_that_is_read(tmp_path, monkeypatch):
    """The shipped recipe on twelve sentences and a small network, each stage an epoch long."""
    few = reviews.shipped("calibration").take(np.arange(12))
    torch.manual_seed(0)
    material = recipes.Material(few, few, few, small_network())
    monkeypatch.setitem(recipes.TRAINING_MATERIAL, "reviews-minilm", lambda name, folder: material)
    monkeypatch.setitem(recipes.SUPERNET_CLASSES, "reviews-minilm", small_network)
    choices = [Choice("depth", [1, 2])]
    for layer in (1, 2):
        choices += [Choice(f"heads_{layer}", [1, 2]), Choice(f"mlp_{layer}", [8, HIDDEN])]
    shipped = recipes.TRAINING_RECIPES["reviews-minilm"]
    short = replace(shipped, tuning_epochs=1, epochs=1, batch=6)
    out = tmp_path / "mine.safetensors"
    said: list[str] = []
    run = recipes.Run(choices, tmp_path, out, short, stop_after=1)
    recipes.build("reviews-minilm", run, say=said.append)
    assert said[0] == f"training on 12 examples, 2 epochs; {out} is written after each"
    assert [line.split(":")[0] for line in said[1:]] == ["tuning epoch 1/1", "epoch 1/1"]
    assert [file.name for file in tmp_path.iterdir()] == [out.name]
    about = recipes.recorded(out)
    assert about["stages"][0]["epochs_done"] == 1
    read = recipes.load("reviews-minilm", out)
    rows, labels = few.tensors()
    with torch.inference_mode():
        right = read(rows, extremes(choices)[0]).argmax(1) == labels
    found = 100 * right.double().mean().item()
    assert found == pytest.approx(about["validation_accuracy"]["largest"])
