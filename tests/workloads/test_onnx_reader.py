"""ONNX files as workloads. Skipped without the onnx package, but for the message that says so."""

import json
import math
from importlib.util import find_spec

import pytest

from cimbo.cli import run
from cimbo.errors import BadInput
from cimbo.hardware import BASELINE_CHIP
from cimbo.workloads.onnx.reader import from_onnx

HAS_ONNX = find_spec("onnx") is not None
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="needs onnx")


@pytest.mark.skipif(HAS_ONNX, reason="onnx is installed")
def test_without_onnx_it_says_what_to_install(tmp_path):
    with pytest.raises(BadInput, match=r"cimbo\[onnx\]"):
        from_onnx(tmp_path / "x.onnx")


def save(path, nodes, weights, shapes):
    from onnx import TensorProto, helper, save_model

    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in shapes.items()
    ]
    constants = [
        helper.make_tensor(name, TensorProto.FLOAT, size, [0.0] * _count(size))
        for name, size in weights.items()
    ]
    made = [
        helper.make_node(kind, inputs, outputs, name=outputs[0], **more)
        for kind, inputs, outputs, more in nodes
    ]
    result = helper.make_tensor_value_info(made[-1].output[0], TensorProto.FLOAT, None)
    save_model(
        helper.make_model(helper.make_graph(made, "g", given, [result], constants)), str(path)
    )
    return path


def _count(size):
    total = 1
    for each in size:
        total *= each
    return total


@needs_onnx
def test_convolution_depthwise_and_linear(tmp_path):
    nodes = [
        ("Conv", ["x", "w1"], ["c1"], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ("Relu", ["c1"], ["r1"], {}),
        ("Conv", ["r1", "w2"], ["c2"], {"pads": [1, 1, 1, 1], "group": 8}),
        ("GlobalAveragePool", ["c2"], ["p"], {}),
        ("Flatten", ["p"], ["f"], {}),
        ("Gemm", ["f", "w3"], ["y"], {"transB": 1}),
    ]
    weights = {"w1": [8, 3, 3, 3], "w2": [8, 1, 3, 3], "w3": [10, 8]}
    workload = from_onnx(save(tmp_path / "net.onnx", nodes, weights, {"x": [1, 3, 16, 16]}))
    assert [layer.kind for layer in workload.layers] == ["conv", "depthwise", "linear"]
    assert [layer.macs for layer in workload.layers] == [64 * 27 * 8, 64 * 9 * 8, 80]
    assert workload.parameters == 8 * 27 + 72 + 80
    assert workload.layers[0].vector_ops == 2 * 64 * 8


@needs_onnx
@pytest.mark.parametrize(
    ("weight", "image", "pads", "px"),
    [
        ([4, 3, 1, 7], [3, 8, 9], [0, 3, 0, 3], 72),
        ([4, 3, 5], [3, 20], [2, 2], 20),
        ([4, 3, 3, 3, 3], [3, 4, 5, 6], [1] * 6, 120),
    ],
)
def test_windows_that_are_no_square_are_products(tmp_path, weight, image, pads, px):
    nodes = [("Conv", ["x", "w"], ["y"], {"pads": pads})]
    (layer,) = from_onnx(
        save(tmp_path / "net.onnx", nodes, {"w": weight}, {"x": [1, *image]})
    ).layers
    assert (layer.px, layer.reduction, layer.columns, layer.kernel) == (
        px,
        math.prod(weight[1:]),
        4,
        1,
    )
    assert layer.inputs == math.prod(image)


@needs_onnx
def test_attention_is_dynamic(tmp_path):
    nodes = [
        ("MatMul", ["q", "k"], ["s"], {}),
        ("Softmax", ["s"], ["a"], {}),
        ("MatMul", ["a", "v"], ["y"], {}),
    ]
    shapes = {"q": [1, 4, 49, 16], "k": [1, 4, 16, 49], "v": [1, 4, 49, 16]}
    scores, context = from_onnx(save(tmp_path / "a.onnx", nodes, {}, shapes)).layers
    assert (scores.px, scores.reduction, scores.columns, scores.groups, scores.dynamic) == (
        49,
        16,
        49,
        4,
        True,
    )
    assert context.macs == scores.macs == 49 * 49 * 16 * 4


@needs_onnx
def test_what_cannot_be_read_is_named(tmp_path):
    nodes = [("Conv", ["x", "w"], ["c"], {}), ("LSTM", ["c", "w", "w"], ["y"], {})]
    with pytest.raises(BadInput, match=r"node y \(LSTM\): c has 4 dimensions and needs 3"):
        from_onnx(save(tmp_path / "l.onnx", nodes, {"w": [4, 3, 1, 1]}, {"x": [1, 3, 8, 8]}))
    nodes = [("Conv", ["x", "w"], ["c"], {})]
    with pytest.raises(BadInput, match="the size h of its input x is free"):
        from_onnx(save(tmp_path / "s.onnx", nodes, {"w": [4, 3, 1, 1]}, {"x": [1, 3, "h", 8]}))
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    with pytest.raises(BadInput, match="cannot be read as ONNX"):
        from_onnx(tmp_path / "bad.onnx")


def test_a_file_on_the_command_line(tmp_path, capsys):
    chip = json.dumps(BASELINE_CHIP)
    assert run(["simulate", "--network", "x.onnx", "--subnet", "{}", "--hardware", chip]) == 2
    assert (
        "--subnet: chooses within a family, but x.onnx is one network; leave it out"
        in capsys.readouterr().err
    )
    if not HAS_ONNX:
        assert run(["simulate", "--network", "x.onnx", "--hardware", chip]) == 2
        assert "x.onnx: needs the onnx package" in capsys.readouterr().err
        return
    nodes = [("Conv", ["x", "w"], ["y"], {})]
    file = save(tmp_path / "one.onnx", nodes, {"w": [4, 3, 1, 1]}, {"x": [1, 3, 8, 8]})
    assert run(["simulate", "--network", str(file), "--hardware", chip, "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [layer["kind"] for layer in answer["layers"]] == ["conv"]
    assert answer["cycles"] > 0
