"""Which stored numbers are parameters: what exporters calculated beforehand, lists of axes, numbers of an activation."""

import pytest

pytest.importorskip("onnx")

from onnx import TensorProto as Proto
from onnx import helper
from onnx_graphs import Node, Stored, graph, integers, number, save

from cimbo.workloads.onnx import from_onnx
from cimbo.workloads.onnx.stored import SIGNATURE_KEY

SIGNATURE = """
# inputs
p_cls_token: PARAMETER target='cls_token'
p_table: PARAMETER target='attn.table'
b_index: BUFFER target='attn.index' persistent=False
x: USER_INPUT
"""


def note(made, key, value):
    made.metadata_props.add(key=key, value=value)


@pytest.mark.parametrize(
    ("folded_from", "sizes", "counted"),
    [
        ("['cls_token', 'val_6']", (1, 1, 16), 16),  # a parameter of the network itself
        ("['val_6', 'val_7']", (1, 1, 16), 0),  # of no tensor of the network
        ("['attn.index']", (1, 1, 16), 0),  # of a buffer
        ("['attn.index', 'attn.table']", (1, 10, 16), 160),  # an embedding of positions, each once
        ("['attn.index', 'attn.table', 'index_1']", (1, 10, 16), 0),  # table[index] repeats numbers
    ],
)
def test_what_was_folded_counts_where_it_is_of_parameters(tmp_path, folded_from, sizes, counted):
    nodes = [Node("MatMul", ["x", "w"], ["h"]), Node("Add", ["h", "folded"], ["y"])]
    stored = {"w": Stored((8, 16)), "folded": Stored(sizes)}
    made = graph(nodes, {"x": [4, 10, 8]}, stored)
    note(made, SIGNATURE_KEY, SIGNATURE)
    folded = helper.make_tensor_value_info("folded", Proto.FLOAT, sizes)
    note(folded, "pkg.onnxscript.optimizer.folded_from", folded_from)
    made.value_info.append(folded)
    assert from_onnx(save(tmp_path, made)).parameters == 8 * 16 + counted


def test_axes_of_a_norm_of_weights_are_none(tmp_path):
    # Weights held as a direction and a length for each kernel position, as weight_norm keeps them.
    nodes = [
        Node("ReduceL2", ["v", "axes"], ["norm"], {"keepdims": 1}),
        Node("Div", ["v", "norm"], ["direction"]),
        Node("Mul", ["direction", "g"], ["w"]),
        Node("Conv", ["x", "w"], ["y"]),
    ]
    stored = {"v": Stored((8, 4, 3)), "g": Stored((1, 1, 3)), "axes": integers(0, 1)}
    made = graph(nodes, {"x": [1, 4, 10]}, stored)
    assert from_onnx(save(tmp_path, made, opset=18)).parameters == 8 * 4 * 3 + 3


@pytest.mark.parametrize(("sizes", "counted"), [((), 0), ((16,), 16)])
def test_a_lone_number_after_an_integer_product_is_no_bias(tmp_path, sizes, counted):
    # Dynamic quantisation of a product without a bias, and x / sqrt(2) of GELU behind it.
    value = helper.make_tensor("c", Proto.FLOAT, sizes, [1.41] * (counted or 1))
    nodes = [
        Node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        Node("MatMulInteger", ["q", "w", "z"], ["sum"]),
        Node("Cast", ["sum"], ["f"], {"to": Proto.FLOAT}),
        Node("Mul", ["s", "ws"], ["scale"]),
        Node("Mul", ["f", "scale"], ["h"]),
        Node("Constant", [], ["c"], {"value": value}),
        Node("Div", ["h", "c"], ["y"]),
    ]
    stored = {"w": Stored((8, 16), element_type=Proto.INT8), "ws": number(0.1)}
    made = graph(nodes, {"x": [4, 8]}, stored)
    assert from_onnx(save(tmp_path, made)).parameters == 8 * 16 + counted
