"""What a network is asked for: batches, and the lengths of a language model's prompt and answer."""

import json

import pytest

from cimbo.cli import run
from cimbo.errors import BadInput
from cimbo.hardware import BASELINE_CHIP
from cimbo.workloads import network
from cimbo.workloads.inference import InferenceSettings, with_settings
from cimbo.workloads.summary import summaries, totals


def test_settings_reach_the_workload():
    family = with_settings(network("gpt2-s"), InferenceSettings(batch=2, prompt=30, tokens=7))
    workload = family.workload(family.largest())
    assert (workload.batch, workload.loop.tokens, workload.loop.step.batch) == (2, 7, 2)
    assert workload.layers[0].px == 2 * 30
    assert family.choices() == network("gpt2-s").choices()


def test_only_what_differs_is_said():
    assert InferenceSettings().to_json() == {}
    assert InferenceSettings(4, tokens=3).to_json() == {"batch": 4, "tokens": 3}


@pytest.mark.parametrize("bad", [{"batch": 0}, {"tokens": -1}, {"prompt": True}, {"batch": 1.5}])
def test_bad_settings_name_what_is_wrong(bad):
    with pytest.raises(BadInput, match=next(iter(bad))):
        InferenceSettings(**bad)


def test_what_generates_no_tokens_has_no_prompt():
    with pytest.raises(BadInput, match="fmnist-vit generates no tokens"):
        with_settings(network("fmnist-vit"), InferenceSettings(prompt=4))


def test_layers_of_a_request_add_up():
    workload = network("gpt2-s").generating(20, 9).workload(network("gpt2-s").largest())
    counted = summaries(workload)
    assert sum(each.macs for each in counted) == totals(workload)["macs"] == workload.macs
    # 12 blocks of 768 x (3 + 1 + 4 + 4) * 768 for 20 prompt and 9 generated tokens, the head for 1 + 9 of them.
    linear = sum(each.macs for each in counted if each.kind == "linear")
    assert linear == 29 * 12 * 12 * 768 * 768 + 10 * 768 * 50257
    assert sum(each.parameters for each in counted) + 1024 * 768 == workload.parameters


def test_a_request_on_the_command_line(capsys):
    arguments = ["--network", "gpt2-s", "--prompt", "16", "--tokens", "4", "--batch", "2"]
    hardware = ["--hardware", json.dumps(BASELINE_CHIP), "--format", "json"]
    assert run(["simulate", *arguments, *hardware]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["batch"] == 2
    assert found["tokens_per_s"] > found["inferences_per_s"]
    names = [layer["name"] for layer in found["layers"]]
    assert names[0] == "prompt.block_1.qkv"
    assert names[-1] == "token.head"
    assert found["layers"][-1]["macs"] == 2 * 4 * 768 * 50257


def test_other_simulators_say_that_they_generate_no_tokens(capsys):
    chip = json.dumps(BASELINE_CHIP)
    options = ["--simulator", "accelforge", "--hardware", chip]
    assert run(["simulate", "--network", "gpt2-s", *options]) == 2
    assert "generates tokens; use cimbo" in capsys.readouterr().err
