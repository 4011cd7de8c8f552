"""Layers of PyTorch modules: counts known by hand, torch's own counter, and what ONNX says of the same module."""

import resource

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cimbo.errors import BadInput
from cimbo.workloads import trace
from cimbo.workloads.onnx import from_onnx


class Products(nn.Module):
    """Products of every form, with weights on either side, twice used and tied."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 5))
        self.table = nn.Embedding(10, 4)

    def forward(self, x, places):
        """(2, 4) and (2, 6) -> five tensors."""
        looked_up = self.table(places)
        return (
            torch.einsum("bi,ij->bj", x, self.weight),
            x @ self.weight,
            self.weight.t() @ x.t(),
            torch.bmm(looked_up, looked_up.transpose(1, 2)),
            looked_up @ self.table.weight.t(),
        )


class Attention(nn.Module):
    """Attention in one operator, four heads of queries on two of keys."""

    def forward(self, query, key, value):
        """As torch takes them."""
        attention = nn.functional.scaled_dot_product_attention
        return attention(query, key, value, enable_gqa=True)


MODULES = {
    "conv2d": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8)
        ),
        [torch.zeros(2, 3, 12, 12)],
    ),
    "conv1d": (
        nn.Sequential(nn.Conv1d(4, 8, 3, groups=2), nn.ConvTranspose1d(8, 4, 3, 2, groups=2)),
        [torch.zeros(2, 4, 20)],
    ),
    "conv3d": (
        nn.Sequential(nn.Conv3d(4, 8, 3), nn.ConvTranspose3d(8, 4, 3, 2)),
        [torch.zeros(1, 4, 7, 7, 7)],
    ),
    "encoder": (nn.TransformerEncoderLayer(32, 4, batch_first=True), [torch.zeros(2, 5, 32)]),
    "transformer": (
        nn.Transformer(32, 4, 1, 1, 64, batch_first=True),
        [torch.zeros(2, 5, 32), torch.zeros(2, 7, 32)],
    ),
    "gru": (nn.GRU(8, 16, bidirectional=True), [torch.zeros(5, 2, 8)]),
    "products": (Products(), [torch.zeros(2, 4), torch.zeros(2, 6, dtype=torch.long)]),
    "attention": (Attention(), [torch.zeros(1, 4, 6, 8), *[torch.zeros(1, 2, 9, 8)] * 2]),
}


def counted_by_torch(module, example):
    """Multiply-accumulates by torch's own counter."""
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as found:
            module.eval()(*example)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    return found.get_total_flops() // 2


@pytest.mark.parametrize("name", MODULES)
def test_counts_equal_torch_s(name):
    module, example = MODULES[name]
    workload = trace(module, *example)
    assert workload.macs == counted_by_torch(module, example)
    assert workload.parameters == sum(p.numel() for p in module.parameters())
    assert workload.warnings == ()


def test_counts_by_hand():
    module, example = MODULES["products"]
    layers = trace(module, *example, batch=2).layers
    counts = [(x.kind, x.px, x.reduction, x.columns, x.groups, x.weights) for x in layers]
    assert counts == [
        ("linear", 2, 4, 5, 1, 20),
        ("linear", 2, 4, 5, 1, 0),  # the same weights again
        ("linear", 2, 4, 5, 1, 0),  # on the left of the product
        ("attention", 6, 4, 6, 2, 0),
        ("linear", 12, 4, 10, 1, 40),
    ]
    shared = trace(*MODULES["attention"][:1], *MODULES["attention"][1]).layers
    assert [(x.px, x.reduction, x.columns, x.groups) for x in shared] == [
        (12, 8, 9, 2),
        (12, 9, 8, 2),
    ]


def test_an_lstm_is_counted_from_its_sizes():
    layers = trace(nn.LSTM(8, 16, 2, batch_first=True, proj_size=4), torch.zeros(3, 5, 8)).layers
    assert [layer.name for layer in layers[:3]] == [
        "recurrent.0.input",
        "recurrent.0.recurrent",
        "recurrent.0.projection",
    ]
    assert [layer.macs for layer in layers] == [15 * 8 * 64, 15 * 4 * 64, 15 * 16 * 4] + [
        15 * 4 * 64,
        15 * 4 * 64,
        15 * 16 * 4,
    ]


def test_layers_are_those_of_the_onnx_file(tmp_path):
    pytest.importorskip("onnx")
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(72, 5),
        nn.Softmax(1),
    )
    example = torch.zeros(1, 3, 12, 12)
    torch.onnx.export(module.eval(), (example,), str(tmp_path / "m.onnx"), dynamo=False)
    read, traced = from_onnx(tmp_path / "m.onnx"), trace(module, example)
    for a, b in zip(read.layers, traced.layers, strict=True):
        for count in (
            "kind",
            "px",
            "reduction",
            "columns",
            "vector_ops",
            "inputs",
            "outputs",
            "parameters",
        ):
            assert getattr(a, count) == getattr(b, count), (b.name, count)


def test_a_module_larger_than_memory():
    with torch.device("meta"):
        block = nn.TransformerEncoderLayer(8192, 64, 32768, batch_first=True)
        module = nn.TransformerEncoder(block, 40, enable_nested_tensor=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workload = trace(module, torch.zeros(1, 1024, 8192, device="meta"))
    assert workload.parameters > 30e9
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_the_module_is_left_as_it_was():
    module = nn.Sequential(nn.LSTM(4, 4), nn.Dropout())
    module[1].eval()
    before = module[0].weight_hh_l0.clone()
    trace(module[0], torch.zeros(2, 3, 4))
    assert module[0].training
    assert not module[1].training
    assert "forward" not in vars(module[0])
    assert not module[0]._forward_hooks
    assert torch.equal(before, module[0].weight_hh_l0)


class Strange(nn.Module):
    """An operator that nobody knows, and products of constants."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.query = nn.Parameter(torch.zeros(3, 4))

    def forward(self, x):
        """(n, 4) -> (3, n)."""
        return self.inner(self.query) @ torch.erfinv(x).t()


def test_what_is_not_known_is_said():
    workload = trace(Strange(), torch.zeros(7, 4))
    assert workload.macs == 3 * 4 * 7
    unknown, constants = workload.warnings
    assert "erfinv x1" in unknown
    assert constants.startswith(f"{3 * 4 * 4} multiplications of constants")


class Deciding(nn.Module):
    """Looks at its elements."""

    def forward(self, x):
        """Any tensor."""
        return x if x.sum() > 0 else -x


def test_refusals_name_the_module():
    with pytest.raises(BadInput, match="Deciding: decides by elements"):
        trace(Deciding(), torch.zeros(3))
    with pytest.raises(BadInput, match="ReLU: multiplies no matrices"):
        trace(nn.ReLU(), torch.zeros(3))
    with pytest.raises(BadInput, match="weight has no sizes yet"):
        trace(nn.LazyLinear(3), torch.zeros(3, 3))


def test_steps_of_recurrent_modules_follow_one_another():
    layers = trace(nn.LSTM(8, 16, batch_first=True, proj_size=4), torch.zeros(3, 5, 8)).layers
    assert [(layer.px, layer.steps) for layer in layers] == [(15, 0), (15, 5), (15, 5)]
