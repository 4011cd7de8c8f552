"""Language models token by token: bytes over the DRAM against counts by hand, and where the cache of keys and values lives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo.errors import BadInput
from cimbo.hardware import BASELINE_CHIP, BASELINE_VIT_B, chip_choices, simulate, simulate_batch
from cimbo.hardware.chip import DEFAULT_GENES
from cimbo.hardware.cost_model import one_circuit
from cimbo.workloads import network
from cimbo.workloads.layers import Workload

# 16 macros of 64 x 64 one-bit cells, one plane: 8 KB of weights, far less than any layer has, so all weights come every time.
SMALL = BASELINE_CHIP | {"rows": 64, "cols": 64, "macros_per_pe": 1, "planes": 1, "buffer_mb": 8}

# Weights that a token multiplies with, in bytes of 8 bits, counted by hand.
# GPT-2 small: 12 blocks of 768 x 2,304 (Q, K, V), 768 x 768, 768 x 3,072 and 3,072 x 768; the head 768 x 50,257.
GPT2_SMALL = 12 * (768 * 2304 + 768 * 768 + 2 * 768 * 3072) + 768 * 50257
# GPT-2 medium: 24 blocks of 1,024 x 3,072, 1,024 x 1,024, 1,024 x 4,096 and back; the head 1,024 x 50,257.
GPT2_MEDIUM = 24 * (1024 * 3072 + 1024 * 1024 + 2 * 1024 * 4096) + 1024 * 50257
# Llama 3 8B: 32 blocks of 4,096 x (32 + 2 * 8) * 128, 4,096 x 4,096 and three of 4,096 x 14,336; the head 4,096 x 128,256.
LLAMA_8B = 32 * (4096 * 6144 + 4096 * 4096 + 3 * 4096 * 14336) + 4096 * 128256
# Keys and values of a token: 2 x blocks x (heads of keys x their size).
CACHED = {"gpt2-s": 2 * 12 * 768, "gpt2-m": 2 * 24 * 1024, "llama-3-8b": 2 * 32 * 8 * 128}
WEIGHTS = {"gpt2-s": GPT2_SMALL, "gpt2-m": GPT2_MEDIUM, "llama-3-8b": LLAMA_8B}


def request(name: str, prompt: int, tokens: int, batch: int = 1, **genes) -> Workload:
    family = network(name).generating(prompt, tokens)
    return family.workload(family.largest() | genes).batched(batch)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("length", [128, 512, 1024])
@pytest.mark.parametrize("name", list(WEIGHTS))
def test_bytes_of_a_token_are_those_counted_by_hand(name, length, batch):
    # One step after ``length`` tokens: weights once for the batch; of each sequence its cache read, one token's written.
    by_hand = WEIGHTS[name] / batch + CACHED[name] * length + CACHED[name]
    found = simulate(request(name, length, 1, batch), SMALL)["dram_bytes_per_token"]
    assert found == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("kv_bits", [4, 16])
def test_bits_of_the_cache_and_of_weights(kv_bits):
    by_hand = GPT2_SMALL / 2 + CACHED["gpt2-s"] * 513 * kv_bits / 8
    chip = SMALL | {"kv_bits": kv_bits, "weight_bits": 4}
    found = simulate(request("gpt2-s", 512, 1), chip)["dram_bytes_per_token"]
    assert found == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("tokens", [1, 2, 5, 64, 127])
def test_the_mean_step_moves_what_all_steps_move(tokens):
    # Caches of 200, 201, ... tokens: an arithmetic series.
    lengths = [200 + step for step in range(tokens)]
    read = sum(CACHED["gpt2-s"] * (length + 1) for length in lengths)
    found = simulate(request("gpt2-s", 200, tokens), SMALL)
    assert found["dram_bytes_per_token"] * tokens == pytest.approx(
        tokens * GPT2_SMALL + read, rel=1e-9
    )


def test_a_mean_step_costs_what_all_steps_cost_one_by_one():
    loop = request("gpt2-s", 100, 90).loop
    together = simulate_batch(loop.step, BASELINE_VIT_B)
    alone = [request("gpt2-s", 100 + step, 1).loop.step for step in range(90)]
    each = simulate_batch(alone, BASELINE_VIT_B)
    for metric in ("latency_ms", "energy_uj", "dram_bytes"):
        assert together[metric][0] == pytest.approx(float(np.mean(each[metric])), rel=2e-3), metric


def test_longer_caches_cost_more():
    short, long = (simulate(request("gpt2-s", n, 1), BASELINE_VIT_B) for n in (128, 1024))
    assert long["latency_ms"] - long["time_to_first_token_ms"] > 1.05 * (
        short["latency_ms"] - short["time_to_first_token_ms"]
    )
    assert long["energy_per_token_uj"] > 1.05 * short["energy_per_token_uj"]


def test_request_is_the_prompt_and_its_tokens():
    found = simulate(request("gpt2-s", 64, 16, 2), BASELINE_CHIP)
    steps = found["latency_ms"] - found["time_to_first_token_ms"]
    assert found["tokens_per_s"] == pytest.approx(1e3 * 2 * 16 / steps)
    of_prompt = sum(x["cycles"] for x in found["layers"] if x["name"].startswith("prompt."))
    assert of_prompt * found["clock_ns"] * 1e-6 == pytest.approx(found["time_to_first_token_ms"])
    every = sum(sum(layer["energy_uj"].values()) for layer in found["layers"])
    assert every == pytest.approx(found["energy_uj"], rel=1e-9)
    assert sum(layer["cycles"] for layer in found["layers"]) == pytest.approx(found["cycles"])


def test_cache_on_the_chip_spares_the_dram():
    # 129 tokens of 18,432 bytes: 2.3 MB, which fit half of a buffer of 8 MB, and 4 MB of embedded DRAM.
    work = request("gpt2-s", 128, 1)
    away = simulate(work, SMALL)
    near = simulate(work, SMALL | {"kv_cache": "buffer"})
    edram = simulate(work, SMALL | {"kv_cache": "edram", "edram_mb": 4})
    assert away["dram_bytes_per_token"] == GPT2_SMALL + 129 * 18432
    assert near["dram_bytes_per_token"] == edram["dram_bytes_per_token"] == GPT2_SMALL
    assert edram["energy_parts_uj"]["edram"] > near["energy_parts_uj"]["edram"] == 0
    assert edram["area_mm2"] > near["area_mm2"] == away["area_mm2"]
    assert edram["leakage_mw"] > away["leakage_mw"]


def test_bytes_of_an_embedded_dram_are_those_counted_by_hand():
    # The prompt writes 128 tokens of 18,432 bytes; the one token after it reads these and writes its own.
    chip = SMALL | {"kv_cache": "edram", "edram_mb": 4}
    found = simulate(request("gpt2-s", 128, 1), chip)
    price_pj = one_circuit(chip).energies["edram_energy"][0]
    moved = found["energy_parts_uj"]["edram"] * 1e6 / price_pj / 8
    assert moved == pytest.approx((128 + 129) * 18432, rel=1e-9)


def test_what_does_not_fit_the_chip_lies_in_the_dram():
    # 1 MB of embedded DRAM for 129 x 18,432 bytes: 1,048,576 of 2,377,728 stay.
    found = simulate(request("gpt2-s", 128, 1), SMALL | {"kv_cache": "edram", "edram_mb": 1})
    away = 129 * 18432 - 2**20
    assert found["dram_bytes_per_token"] == pytest.approx(GPT2_SMALL + away, rel=1e-9)


def test_grouped_heads_share_keys():
    layers = {x.name: x for x in network("llama-3-8b").generating(10, 1).workload({}).layers}
    scores = layers["block_1.attention.scores"]
    assert (scores.px, scores.reduction, scores.columns, scores.groups) == (10 * 4, 128, 10, 8)
    assert scores.macs == 32 * 10 * 10 * 128


@pytest.mark.parametrize("length", [4, 200])
def test_a_decoder_of_speech_reads_what_was_heard_at_every_token(length):
    # Four blocks of 384: Q, K, V and projection 4 squares, cross-attention's query and projection 2, MLP 8; the head. The
    # cache holds 1,500 vectors of speech and the text so far, 2 x 4 x 384 elements each; one token is written.
    weights = 4 * 14 * 384 * 384 + 384 * 51865
    by_hand = weights + 2 * 4 * 384 * (1500 + length + 1)
    work = network("whisper-tiny").generating(length, 1).workload({})
    found = simulate(work, SMALL)["dram_bytes_per_token"]
    assert found == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2-s", 124_439_808),  # openai-community/gpt2
        ("gpt2-m", 354_823_168),  # openai-community/gpt2-medium
        ("llama-3.2-1b", 1_235_814_400),  # the models' cards
        ("llama-3.2-3b", 3_212_749_824),
        ("llama-3-8b", 8_030_261_248),
        ("whisper-tiny", 37_760_640),  # openai/whisper-tiny
    ],
)
def test_parameters_are_the_published_ones(name, parameters):
    family = network(name)
    assert family.workload(family.largest()).parameters == parameters


@pytest.mark.parametrize(
    "gene", ["buffer_gb_s", "dram_channels", "vector_lanes", "edram_gb_s", "buffer_mb"]
)
@settings(max_examples=20, deadline=None)
@given(
    chip=st.fixed_dictionaries(
        {choice.name: st.sampled_from(choice.values) for choice in chip_choices(extended=True)}
        | {"schedule": st.just("latency"), "kv_cache": st.sampled_from(["dram", "buffer", "edram"])}
    ),
    batch=st.sampled_from([1, 8]),
)
def test_twice_of_it_is_never_slower(gene, chip, batch):
    chip = DEFAULT_GENES | {"edram_mb": 2} | chip
    step = request("gpt2-s", 300, 40, batch, embed=384).loop.step
    before, after = simulate_batch(step, [chip, chip | {gene: 2 * chip[gene]}])["cycles"]
    assert after <= before * (1 + 1e-9)


def test_many_requests_at_once_are_each_alone():
    works = [
        request("gpt2-s", 64, 8),
        request("gpt2-s", 64, 8, 4, embed=384),
        request("gpt2-m", 32, 3),
    ]
    together = simulate_batch(works, BASELINE_CHIP)
    for index, work in enumerate(works):
        alone = simulate(work, BASELINE_CHIP)
        for metric in ("latency_ms", "energy_uj", "tokens_per_s", "energy_per_token_uj"):
            assert together[metric][index] == pytest.approx(alone[metric], rel=1e-9), metric


def test_bad_sizes_are_told():
    with pytest.raises(BadInput, match="prompt: is 0"):
        network("gpt2-s").generating(0)
    with pytest.raises(BadInput, match="edram_mb"):
        simulate(request("gpt2-s", 8, 1), SMALL | {"kv_cache": "edram", "edram_mb": 0})
    assert DEFAULT_GENES["kv_cache"] == "dram"


def test_as_many_blocks_stay_as_fit():
    # Tiles of 64 x 8 weights. 4,096 macros of 2 planes: 8,192 tiles, one plane of which is left for loads, so that 4,096 stay.
    # A block's projection has 12 x 96 = 1,152 of them, so at least three blocks' fit, though twelve blocks' do not.
    chip = SMALL | {"macros_per_pe": 64, "pes": 64, "planes": 2, "schedule": "energy"}
    found = simulate(request("gpt2-s", 128, 1), chip)
    loaded = found["dram_bytes_per_token"] - 129 * CACHED["gpt2-s"]
    kept = GPT2_SMALL - loaded
    assert kept > 0
    assert kept % (64 * 8) == 0
    assert 3 * 1152 * 512 <= kept <= 4096 * 512
