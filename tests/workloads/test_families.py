"""Search spaces and workloads of the families, against published figures and hand-derived shapes."""

import ast
import csv
import math
import random
from pathlib import Path

import pytest

from cimbo.errors import BadInput
from cimbo.problem.space import Choice
from cimbo.workloads import Network, known, network
from cimbo.workloads.elastic import divisible

MEASURED_ACTIVITY = Path(__file__).resolve().parents[3] / "shared/data/ofa_mbv3_imagenet_linas.csv"
FAMILIES = known()
CONDITIONAL = [name for name in FAMILIES if any(c.active_if for c in network(name).choices())]


def random_subnet(family: Network, rng: random.Random) -> dict:
    """A random sub-network; conditions name genes listed before."""
    genes: dict = {}
    for choice in family.choices():
        if all(genes.get(parent) in values for parent, values in choice.active_if.items()):
            genes[choice.name] = rng.choice(choice.values)
    return genes


@pytest.mark.parametrize("name", FAMILIES)
def test_extremes_bound_every_sub_network(name):
    family, rng = network(name), random.Random(0)
    least, most = family.workload(family.smallest()), family.workload(family.largest())
    for _ in range(20):
        workload = family.workload(random_subnet(family, rng))
        assert least.macs <= workload.macs <= most.macs
        assert least.parameters <= workload.parameters <= most.parameters


@pytest.mark.parametrize("name", CONDITIONAL)
def test_inactive_genes_change_nothing(name):
    family = network(name)
    smallest = family.smallest()
    padded = {choice.name: choice.values[-1] for choice in family.choices()} | smallest
    assert len(padded) > len(smallest)
    assert family.workload(padded) == family.workload(smallest)


@pytest.mark.parametrize("name", FAMILIES)
def test_protocol_and_names(name):
    family = network(name)
    assert isinstance(family, Network)
    assert family.name == name
    names = [choice.name for choice in family.choices()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "gmacs", "million_parameters"),
    [
        (
            "vit-b",
            17.56,
            86.57,
        ),  # torchvision vit_b_16: 17.56 GFLOPS (as MACs), 86,567,656 parameters
        (
            "bert-base",
            11.2,
            109.5,
        ),  # 22.5 GFLOPs at 128 tokens (Jiao et al., 2020); 109,482,240 parameters + classifier
    ],
)
def test_full_transformers_match_published_figures(name, gmacs, million_parameters):
    family = network(name)
    workload = family.workload(family.largest())
    assert workload.macs / 1e9 == pytest.approx(gmacs, rel=0.01)
    assert workload.parameters / 1e6 == pytest.approx(million_parameters, rel=0.01)


def test_vit_b_parameters_are_exact():
    family = network("vit-b")
    assert family.workload(family.largest()).parameters == 86_567_656


def test_resnet50_d_inside_the_elastic_space():
    """depths 3, 4, 6, 3 with expansion 1/4 is ResNet-50-D: 25.6M parameters, 4.35 GMACs (He et al., 2019; timm)."""
    family = network("ofa-resnet50")
    genes = {k: 0.25 if k.startswith("expand") else v for k, v in family.largest().items()}
    workload = family.workload(genes | {"depth_1": 1, "depth_2": 2, "depth_3": 2, "depth_4": 1})
    assert workload.parameters / 1e6 == pytest.approx(25.58, rel=0.001)
    assert workload.macs / 1e9 == pytest.approx(4.35, rel=0.01)


@pytest.mark.skipif(not MEASURED_ACTIVITY.exists(), reason="needs the shared measurements")
def test_ofa_mobilenet_v3_equals_what_dynas_t_counted():
    family = network("ofa-mobilenetv3")
    with MEASURED_ACTIVITY.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        workload = family.workload(from_dynas_t(ast.literal_eval(row["Sub-network"])))
        assert (workload.macs, workload.parameters) == (
            int(row["MACs"]),
            int(row["Model Parameters"]),
        )


def from_dynas_t(given: dict) -> dict:
    genes = {"resolution": given["r"][0]} | {
        f"depth_{stage + 1}": depth for stage, depth in enumerate(given["d"])
    }
    for index, (kernel, expand) in enumerate(zip(given["ks"], given["e"], strict=True)):
        block = f"{index // 4 + 1}_{index % 4 + 1}"
        genes |= {f"kernel_{block}": kernel, f"expand_{block}": expand}
    return genes


def count(choices: list[Choice], sums: dict[str, list[int]]) -> float:
    """log10 of the number of canonical sub-networks: blocks of a stage multiply, depths add."""
    per_block = math.prod(len(c.values) for c in choices if c.name.endswith("_1_1"))
    return math.log10(math.prod(sum(per_block**d for d in depths) for depths in sums.values()))


def test_canonical_sizes_of_the_published_spaces():
    mobilenet = [
        c
        for c in network("ofa-mobilenetv3").choices()
        if c.name.startswith(("kernel_1_1", "expand_1_1"))
    ]
    assert 10 ** count(mobilenet, {f"s{i}": [2, 3, 4] for i in range(5)}) == pytest.approx(
        2.2e19, rel=0.02
    )
    vit = network("vit-b").choices()
    per_block = len(vit[1].values) * len(vit[2].values)
    assert sum(per_block**d for d in vit[0].values) == pytest.approx(9.7e12, rel=0.01)
    bert = network("bert-base").choices()
    assert math.log10(sum(12**d for d in bert[0].values)) == pytest.approx(13, abs=0.05)


def test_fmnist_vit_shapes():
    family = network("fmnist-vit")
    genes = family.smallest() | {"embed": 48, "heads_1": 3, "mlp_1": 2}
    layers = {layer.name: layer for layer in family.workload(genes).layers}
    assert (layers["stem_1"].px, layers["stem_1"].reduction, layers["stem_1"].columns) == (
        196,
        9,
        16,
    )
    assert (layers["stem_2"].px, layers["stem_2"].reduction, layers["stem_2"].columns) == (
        49,
        144,
        48,
    )
    assert (
        layers["block_1.qkv"].px,
        layers["block_1.qkv"].reduction,
        layers["block_1.qkv"].columns,
    ) == (49, 48, 144)
    assert layers["block_1.ffn_in"].columns == 96
    scores = layers["block_1.attention.scores"]
    assert (scores.px, scores.reduction, scores.columns, scores.groups, scores.dynamic) == (
        49,
        16,
        49,
        3,
        True,
    )
    assert len([name for name in layers if name.endswith("qkv")]) == 2


def test_fmnist_mobilenet_shapes():
    family = network("fmnist-mobilenet")
    layers = {layer.name: layer for layer in family.workload(family.largest()).layers}
    depthwise = layers["stage_1.block_1.depthwise"]
    assert (depthwise.px, depthwise.reduction, depthwise.columns, depthwise.groups) == (
        196,
        25,
        1,
        32,
    )
    assert layers["stage_2.block_1.depthwise"].px == 49
    assert layers["stage_3.block_1.squeeze"].columns == divisible(32 * 4 // 4) == 32
    assert layers["final"].px == 49
    small = family.workload(family.largest() | {"resolution": 20})
    assert {layer.name: layer.px for layer in small.layers}["final"] == 25


@pytest.mark.parametrize(
    ("change", "message"),
    [({"depth": 7}, "fmnist-vit.depth: is 7"), ({"heads_1": "3"}, "fmnist-vit.heads_1: is '3'")],
)
def test_bad_values_name_the_gene(change, message):
    family = network("fmnist-vit")
    with pytest.raises(BadInput, match=message):
        family.workload(family.largest() | change)


def test_missing_gene_and_unknown_family():
    family = network("vit-b")
    genes = family.largest()
    del genes["ffn_3"]
    with pytest.raises(
        BadInput, match=r"vit-b.ffn_3: is missing; give one of \[1024, 2048, 3072\]"
    ):
        family.workload(genes)
    with pytest.raises(BadInput, match="fmnist-vit"):
        network("resnet-18")
