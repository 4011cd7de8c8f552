"""Elastic families of PyTorch modules: the user's own, and those of timm and transformers."""

import random
from pathlib import Path

import pytest
import torch
from torch import nn

import cimbo
from cimbo.cli import run
from cimbo.errors import BadInput
from cimbo.workloads import network, trace
from cimbo.workloads.pytorch.sliced import sliced_family
from cimbo.workloads.pytorch.tracing import traced

OWN = """
import torch

from cimbo.workloads import torch_family


def build(genes):
    width = genes["width"]
    layers = [torch.nn.Conv2d(3, width, 3, stride=2)]
    for _ in range(genes["depth"]):
        layers += [torch.nn.ReLU(), torch.nn.Conv2d(width, width, 3, padding=1)]
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(width * 49, 10))


family = torch_family(
    "plain", {"depth": [1, 2, 3], "width": [16, 32]}, build, torch.zeros(1, 3, 16, 16)
)


def accuracy(design, offset=0):
    return 80 + 2 * design["depth"] + design["width"] / 16 + offset
"""
STUDY = """
[network]
name = "{module}:family"
accuracy = "{module}:accuracy"
options = {options}

[[objectives]]
name = "accuracy"
goal = "max"

[[objectives]]
name = "latency_ms"
goal = "min"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that one is in, with a module of a family and an accuracy."""
    monkeypatch.chdir(tmp_path)
    name = f"own_networks_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN)
    (tmp_path / "study.toml").write_text(STUDY.format(module=name, options="{}"))
    return name


def test_a_family_is_searched_with_an_accuracy_from_a_function(folder):
    with cimbo.open_session("study.toml", study="s.db") as session:
        found = session.optimize(budget=4)
        assert found.succeeded == 4
        for design in found.front.designs:
            genes = design.architecture
            assert design.metrics["accuracy"] == 80 + 2 * genes["depth"] + genes["width"] / 16
    family = network(f"{folder}:family")
    by_hand = 49 * 27 * 32 + 3 * 49 * 9 * 32 * 32 + 49 * 32 * 10
    assert family.workload(family.largest()).macs == by_hand


def test_another_accuracy_is_refused(folder, tmp_path, capsys):
    with cimbo.open_session("study.toml", study="s.db") as session:
        session.optimize(budget=2)
    (tmp_path / f"{folder}.py").write_text(OWN.replace("return 80 +", "return 81 +"))
    assert run(["optimize", "--study", "s.db", "--budget", "3", "--jobs", "1"]) == 2
    assert f"{folder}.py has changed" in capsys.readouterr().err


def test_mistakes_are_one_line(folder, capsys):
    mistakes = {f"{folder}:famly": "did you mean family", "nix:family": "cannot be imported"}
    for name, told in mistakes.items():
        capsys.readouterr()
        assert run(["workload", name]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    Path("study.toml").write_text(STUDY.format(module=folder, options="{ shift = 3 }"))
    with pytest.raises(BadInput, match="cannot be called with a design and these options"):
        cimbo.open_session("study.toml")
    with pytest.raises(BadInput, match="depth"):
        network(f"{folder}:family").workload({"width": 16})


FAULTY = """
import torch
from cimbo.workloads import torch_family

def net(genes):
    return torch.nn.Conv2d(1, genes["width"], 3)

GENES = {"depth": [1, 2], "width": [8]}
x = torch.zeros(1, 1, 8, 8)
shape = torch_family("shape", GENES, net, torch.zeros(1, 3, 8, 8))
gene = torch_family("gene", {"depth": [1, 2]}, net, x)
nothing = torch_family("nothing", GENES, lambda genes: None, x)
example = torch_family("example", GENES, net, lambda genes: 1 / 0)
number = 3
"""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "shape",
            "network shape, depth=2 width=8: the module, called with the example, raised RuntimeError",
        ),
        (
            "gene",
            "network gene, depth=2: build raised KeyError: 'width'; the genes of the family are depth",
        ),
        (
            "nothing",
            "network nothing, depth=2 width=8: build returned None; return a torch.nn.Module",
        ),
        ("example", "network example, depth=2 width=8: example raised ZeroDivisionError"),
        ("number", "is a int and no family; name what torch_family returned"),
        ("net", "is no family, and calling it raised TypeError"),
    ],
)
def test_mistakes_in_a_family_are_one_line(tmp_path, monkeypatch, capsys, name, told):
    monkeypatch.chdir(tmp_path)
    module = f"faulty_{name}"
    Path(f"{module}.py").write_text(FAULTY)
    assert run(["workload", f"{module}:{name}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_module_that_fails_to_import_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("broken_module.py").write_text("1 / 0")
    assert run(["workload", "broken_module:family"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "importing broken_module raised ZeroDivisionError" in line


class Block(nn.Module):
    """A block of a Transformer, its keys shared by pairs of heads where asked for."""

    def __init__(self, width, heads, shared, hidden):
        super().__init__()
        self.heads, self.shared, self.size = heads, shared, width // heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * shared * self.size)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        """(batch, tokens, width), before and after."""
        y = self.norm(x)
        q = self.q(y).unflatten(-1, (self.heads, self.size)).transpose(1, 2)
        k, v = self.kv(y).unflatten(-1, (2, self.shared, self.size)).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.down(torch.relu(self.up(x)))


@pytest.mark.parametrize("shared", [4, 2])
def test_slices_are_what_a_smaller_module_computes(shared):
    def module(depth, heads, hidden):
        blocks = [Block(64, 4, shared, 96) for _ in range(depth)]
        for block in blocks:
            block.heads, block.shared = heads, shared * heads // 4
            block.q = nn.Linear(64, 16 * heads)
            block.kv = nn.Linear(64, 32 * block.shared)
            block.out = nn.Linear(16 * heads, 64)
            block.up, block.down = nn.Linear(64, hidden), nn.Linear(hidden, 64)
        return nn.Sequential(nn.Linear(8, 64), nn.Sequential(*blocks), nn.Linear(64, 5))

    example = torch.zeros(1, 10, 8)
    whole = module(4, 4, 96)
    family = sliced_family("own", whole, traced(whole, (example,), {}))
    assert family.workload(family.largest()) == trace(whole, example)
    genes = {"depth": 3}
    for block in (1, 2, 3):
        genes |= {f"heads_{block}": shared // 2, f"ffn_{block}": 64}
    small, built = family.workload(genes), trace(module(3, 2, 64), example)
    for a, b in zip(small.layers, built.layers, strict=True):
        assert a == b, a.name
    assert small.other_parameters == built.other_parameters


def test_a_sliced_timm_network_is_the_family_of_its_kind():
    pytest.importorskip("timm")
    assert_alike("timm:vit_base_patch16_224", "vit-b", macs=0, parameters=0)


def test_a_sliced_bert_is_the_family_of_its_kind():
    pytest.importorskip("transformers")
    # The family has a classifier of two classes on top.
    assert_alike("hf:bert-base-uncased", "bert-base", macs=768 * 2, parameters=769 * 2)


def assert_alike(name, family, *, macs, parameters):
    """Both families count alike for the same genes, but for so many in what the second has on top."""
    first, second = network(name), network(family)
    rng = random.Random(0)
    for _ in range(10):
        genes = {choice.name: rng.choice(choice.values) for choice in second.choices()}
        a, b = first.workload(genes), second.workload(genes)
        assert b.macs - a.macs == macs
        assert b.parameters - a.parameters == parameters


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [  # of the models' papers, in units of 10^9 and 10^6
        ("timm:resnet50", 4.089, 25.557),
        ("timm:deit_small_patch16_224", 4.599, 22.051),
        ("timm:swin_tiny_patch4_window7_224", 4.491, 28.288),
    ],
)
def test_the_largest_sub_network_is_the_original(name, macs, parameters):
    pytest.importorskip("timm")
    family = network(name)
    whole = family.workload(family.largest())
    assert whole == family.whole
    assert whole.macs / 1e9 == pytest.approx(macs, abs=1e-3)
    assert whole.parameters / 1e6 == pytest.approx(parameters, abs=1e-3)
    assert family.workload(family.smallest()).macs < whole.macs


def test_an_absent_library_is_one_line(capsys):
    for name, package in (("timm:resnet50", "timm"), ("hf:bert", "transformers")):
        try:
            __import__(package)
        except ImportError:
            assert run(["workload", name]) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert f"pip install 'cimbo[{package}]'" in line


def test_the_commands_of_the_documentation(tmp_path, monkeypatch, capsys):
    pytest.importorskip("timm")
    pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    searched = "cimbo optimize --network timm:deit_small_patch16_224 --budget 200 --study deit.db"
    words = searched.replace("200", "4").split()
    assert run([*words[1:], "--jobs", "1"]) == 0
    listed = "cimbo workload hf:bert-base-uncased --set tokens=64"
    assert run([*listed.split()[1:], "--format", "json"]) == 0
