"""Further graphs whose counts are known by hand: the less usual forms of products, and what surrounds them."""

import pytest

pytest.importorskip("onnx")

from onnx import TensorProto as Proto
from onnx import helper
from onnx_graphs import Case, Node, Stored, check_case, graph, integers, number, save

from cimbo.cli import run
from cimbo.errors import BadInput
from cimbo.workloads.onnx import from_onnx

BYTES, SIGNED = Proto.UINT8, Proto.INT8
MICROSOFT = "com.microsoft"


def einsum(name, equation, shapes, *, weights=(), macs, parameters=0, attention=0, warnings=0):
    """A case of one Einsum: operands ``a``, ``b``, ...; those of ``weights`` are stored."""
    operands = [chr(ord("a") + index) for index in range(len(shapes))]
    named = dict(zip(operands, shapes, strict=True))
    return Case(
        f"Einsum {name}: {equation}",
        [Node("Einsum", operands, ["y"], {"equation": equation})],
        {key: shape for key, shape in named.items() if key not in weights},
        {key: Stored(tuple(named[key])) for key in weights},
        macs,
        parameters,
        attention=attention,
        warnings=warnings,
    )


def subgraph(name, nodes, inputs=(), outputs=("y",), stored=()):
    """A graph inside another."""
    info = helper.make_tensor_value_info
    given = [info(each, kind, shape) for each, kind, shape in inputs]
    made = [info(each, Proto.FLOAT, None) for each in outputs]
    return helper.make_graph([node.proto() for node in nodes], name, given, made, list(stored))


def loop_body(product="w", columns=16):
    """x = x @ w, going on while the condition says so."""
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("MatMul", ["state", product], ["next"]),
        helper.make_node("Identity", ["going"], ["on"]),
    ]
    given = [
        info("step", Proto.INT64, []),
        info("going", Proto.BOOL, []),
        info("state", Proto.FLOAT, None),
    ]
    made = [info("on", Proto.BOOL, []), info("next", Proto.FLOAT, None)]
    return helper.make_graph(nodes, "body", given, made)


CASES = [
    einsum(
        "without a result", "ij,jk", [[10, 16], [16, 8]], weights="b", macs=1280, parameters=128
    ),
    einsum(
        "summed over rows first",
        "ij,jk->k",
        [[10, 16], [16, 8]],
        weights="b",
        macs=128,
        parameters=128,
    ),
    einsum(
        "relative positions: weights a row of the image",
        "bhwc,hkc->bhwk",
        [[2, 7, 7, 32], [7, 7, 32]],
        weights="b",
        macs=2 * 7 * 7 * 7 * 32,
        parameters=7 * 7 * 32,
    ),
    einsum(
        "weights of three sizes: abc,chd->abhd",
        "abc,chd->abhd",
        [[2, 10, 32], [32, 4, 8]],
        weights="b",
        macs=20 * 32 * 32,
        parameters=1024,
    ),
    einsum(
        "two summed sizes: abhd,hdc->abc",
        "abhd,hdc->abc",
        [[2, 10, 4, 8], [4, 8, 32]],
        weights="b",
        macs=20 * 32 * 32,
        parameters=1024,
    ),
    einsum(
        "heads that share keys",
        "bhgqd,bhkd->bhgqk",
        [[1, 2, 4, 10, 16], [1, 2, 10, 16]],
        macs=8 * 100 * 16,
        attention=8 * 100 * 16,
    ),
    einsum("an outer product", "i,j->ij", [[10], [16]], macs=160, attention=160),
    einsum(
        "three operands, two of them weights: bi,ir,ro->bo (low rank)",
        "bi,ir,ro->bo",
        [[10, 32], [32, 4], [4, 24]],
        weights="bc",
        macs=10 * 32 * 4 + 10 * 4 * 24,
        parameters=32 * 4 + 4 * 24,
    ),
    Case(
        "transposed convolution in three dimensions and groups, with more outputs at the end",
        [
            Node(
                "ConvTranspose",
                ["x", "w"],
                ["y"],
                {"group": 2, "strides": [2, 2, 2], "output_padding": [1, 1, 1]},
            )
        ],
        {"x": [1, 4, 3, 4, 5]},
        {"w": Stored((4, 3, 3, 3, 3))},
        60 * 4 * 3 * 27,
        4 * 3 * 27,
    ),
    Case(
        "depthwise transposed convolution",
        [Node("ConvTranspose", ["x", "w"], ["y"], {"group": 6, "strides": [2, 2]})],
        {"x": [1, 6, 5, 5]},
        {"w": Stored((6, 1, 4, 4))},
        25 * 6 * 16,
        96,
        kinds=("depthwise",),
    ),
    Case(
        "a convolution padded by name: 15 / 2 rounded up is 8 outputs a side",
        [Node("Conv", ["x", "w"], ["y"], {"auto_pad": "SAME_UPPER", "strides": [2, 2]})],
        {"x": [1, 4, 15, 15]},
        {"w": Stored((8, 4, 3, 3))},
        64 * 36 * 8,
        288,
    ),
    Case(
        "LSTM with batches first, lengths, a first state and peepholes",
        [
            Node(
                "LSTM",
                ["x", "w", "r", "b", "n", "h", "c", "p"],
                ["y", "yh", "yc"],
                {"hidden_size": 5, "layout": 1},
            )
        ],
        {"x": [3, 7, 6]},
        {
            "w": Stored((1, 20, 6)),
            "r": Stored((1, 20, 5)),
            "b": Stored((1, 40)),
            "n": Stored((3,), (7, 7, 7), Proto.INT32),
            "h": Stored((3, 1, 5)),
            "c": Stored((3, 1, 5)),
            "p": Stored((1, 15)),
        },
        21 * 20 * 11,
        20 * 11 + 40 + 15 + 30,
    ),
    Case(
        "what follows both directions of a GRU",
        [
            Node(
                "GRU",
                ["x", "w", "r"],
                ["y"],
                {"hidden_size": 5, "direction": "bidirectional", "linear_before_reset": 1},
            ),
            Node("Transpose", ["y"], ["t"], {"perm": [0, 2, 1, 3]}),
            Node("Reshape", ["t", "flat"], ["f"]),
            Node("MatMul", ["f", "v"], ["o"]),
        ],
        {"x": [7, 3, 6]},
        {
            "w": Stored((2, 15, 6)),
            "r": Stored((2, 15, 5)),
            "flat": integers(0, 0, -1),
            "v": Stored((10, 4)),
        },
        2 * 21 * 15 * 11 + 21 * 40,
        2 * 15 * 11 + 40,
    ),
    Case(
        "grouped queries of com.microsoft, packed, with a cache",
        [
            Node(
                "GroupQueryAttention",
                ["x", "", "", "pk", "pv", "n", "t"],
                ["y", "ck", "cv"],
                {"num_heads": 8, "kv_num_heads": 2, "do_rotary": 1},
                MICROSOFT,
            ),
            Node("MatMul", ["y", "w"], ["o"]),
        ],
        {"x": [1, 1, 192], "pk": [1, 2, 31, 16], "pv": [1, 2, 31, 16]},
        {
            "n": Stored((1,), (31,), Proto.INT32),
            "t": Stored((1,), (32,), Proto.INT32),
            "w": Stored((128, 64)),
        },
        2 * 8 * 32 * 16 + 128 * 64,
        128 * 64,
        attention=2 * 8 * 32 * 16,
    ),
    Case(
        "Attention of opset 23 on tokens of all heads together",
        [Node("Attention", ["q", "k", "v"], ["y"], {"q_num_heads": 8, "kv_num_heads": 2})],
        {"q": [2, 10, 128], "k": [2, 12, 32], "v": [2, 12, 64]},
        {},
        2 * 8 * 10 * 12 * 16 + 2 * 8 * 10 * 12 * 32,
        0,
        attention=2 * 8 * 10 * 12 * 48,
        opset=23,
    ),
    Case(
        "MatMulNBits: 100 inputs in blocks of 32, two bits, zero points and a bias",
        [
            Node(
                "MatMulNBits",
                ["x", "w", "s", "z", "", "b"],
                ["y"],
                {"K": 100, "N": 48, "bits": 2, "block_size": 32},
                MICROSOFT,
            )
        ],
        {"x": [2, 5, 100]},
        {
            "w": Stored((48, 4, 8), None, BYTES),
            "s": Stored((192,)),
            "z": Stored((48,), None, BYTES),
            "b": Stored((48,)),
        },
        10 * 100 * 48,
        100 * 48 + 48,
    ),
    Case(
        "weights of four bits, dequantised in blocks, then transposed",
        [
            Node("DequantizeLinear", ["w", "s"], ["d"], {"axis": 1, "block_size": 16}),
            Node("Transpose", ["d"], ["t"], {"perm": [1, 0]}),
            Node("MatMul", ["x", "t"], ["y"]),
        ],
        {"x": [1, 10, 32]},
        {"w": Stored((24, 32), None, Proto.INT4), "s": Stored((24, 2))},
        10 * 32 * 24,
        32 * 24,
        opset=21,
    ),
    Case(
        "one table for both ends, read by Gemm",
        [
            Node("Gather", ["table", "x"], ["e"]),
            Node("Gemm", ["e", "table"], ["y"], {"transB": 1}),
        ],
        {"x": [10]},
        {"table": Stored((50, 16))},
        10 * 16 * 50,
        800,
        element_type=Proto.INT64,
    ),
    Case(
        "Gemm with a transposed input and weights on the left",
        [Node("Gemm", ["w", "x", "b"], ["y"], {"transA": 1, "transB": 1})],
        {"x": [10, 16]},
        {"w": Stored((16, 8)), "b": Stored((8, 1))},
        10 * 16 * 8,
        136,
        kinds=("linear",),
    ),
    Case(
        "a batch of weights against one input: 4 experts on the same tokens",
        [Node("MatMul", ["x", "w"], ["y"])],
        {"x": [1, 1, 10, 16]},
        {"w": Stored((4, 16, 8))},
        4 * 10 * 16 * 8,
        512,
    ),
    Case(
        "a loop in a loop: 3 x 2 steps with weights from outside",
        [
            Node(
                "Loop",
                ["three", "", "x"],
                ["y"],
                {
                    "body": helper.make_graph(
                        [
                            helper.make_node(
                                "Loop", ["two", "", "outer"], ["end"], body=loop_body()
                            ),
                            helper.make_node("Identity", ["c"], ["c2"]),
                        ],
                        "outside",
                        [
                            helper.make_tensor_value_info("i", Proto.INT64, []),
                            helper.make_tensor_value_info("c", Proto.BOOL, []),
                            helper.make_tensor_value_info("outer", Proto.FLOAT, None),
                        ],
                        [
                            helper.make_tensor_value_info("c2", Proto.BOOL, []),
                            helper.make_tensor_value_info("end", Proto.FLOAT, None),
                        ],
                    )
                },
            )
        ],
        {"x": [1, 10, 16]},
        {"three": integers(3), "two": integers(2), "w": Stored((16, 16))},
        6 * 10 * 256,
        256,
    ),
    Case(
        "a loop without a limit counts once, and says so",
        [
            Node("ReduceMax", ["x"], ["most"], {"keepdims": 0}),
            Node("Cast", ["most"], ["some"], {"to": Proto.BOOL}),
            Node("Loop", ["limit", "some", "x"], ["y"], {"body": loop_body()}),
        ],
        {"x": [1, 10, 16]},
        {"limit": integers(2**63 - 1), "w": Stored((16, 16))},
        10 * 256,
        256,
        warnings=1,
    ),
    Case(
        "a branch that sizes decide, in one that sizes decide",
        [
            Node("Size", ["x"], ["n"]),
            Node("Greater", ["n", "hundred"], ["large"]),
            Node(
                "If",
                ["large"],
                ["y"],
                {
                    "then_branch": subgraph(
                        "outer",
                        [
                            Node("Less", ["n", "thousand"], ["middle"]),
                            Node(
                                "If",
                                ["middle"],
                                ["y"],
                                {
                                    "then_branch": subgraph(
                                        "a", [Node("MatMul", ["x", "w"], ["y"])]
                                    ),
                                    "else_branch": subgraph(
                                        "b", [Node("MatMul", ["x", "v"], ["y"])]
                                    ),
                                },
                            ),
                        ],
                    ),
                    "else_branch": subgraph("c", [Node("MatMul", ["x", "v"], ["y"])]),
                },
            ),
            Node("MatMul", ["y", "u"], ["o"]),
        ],
        {"x": [1, 10, 16]},
        {
            "hundred": number(100, Proto.INT64),
            "thousand": number(1000, Proto.INT64),
            "w": Stored((16, 8)),
            "v": Stored((16, 4)),
            "u": Stored((8, 2)),
        },
        10 * 128 + 10 * 16,
        128 + 64 + 16,
    ),
    Case(
        "windows of a shifted image: sizes that the graph calculates, the batch among them",
        [
            Node("Shape", ["x"], ["all"]),
            Node("Gather", ["all", "zero"], ["n"]),
            Node("Concat", ["n", "rest"], ["split"], {"axis": 0}),
            Node("Reshape", ["x", "split"], ["r"]),
            Node("Transpose", ["r"], ["t"], {"perm": [0, 1, 3, 2, 4, 5]}),
            Node("Reshape", ["t", "windows"], ["v"]),
            Node("MatMul", ["v", "w"], ["q"]),
            Node("Transpose", ["v"], ["k"], {"perm": [0, 2, 1]}),
            Node("MatMul", ["q", "k"], ["y"]),
        ],
        {"x": ["batch", 8, 8, 16]},
        {
            "zero": integers(0),
            "rest": integers(2, 4, 2, 4, 16),
            "windows": integers(-1, 16, 16),
            "w": Stored((16, 16)),
        },
        64 * 256 + 4 * 16 * 16 * 16,
        256,
        attention=4 * 16 * 16 * 16,
    ),
    Case(
        "an image enlarged by sizes of another",
        [
            Node("Conv", ["x", "v"], ["small"], {"strides": [4, 4]}),
            Node("Shape", ["x"], ["all"]),
            Node("Slice", ["all", "two", "four"], ["hw"]),
            Node("Cast", ["hw"], ["h"], {"to": Proto.INT64}),
            Node("Concat", ["nc", "h"], ["sizes"], {"axis": 0}),
            Node("Resize", ["small", "", "", "sizes"], ["large"]),
            Node("Conv", ["large", "w"], ["y"]),
        ],
        {"x": [1, 3, 16, 16]},
        {
            "two": integers(2),
            "four": integers(4),
            "nc": integers(1, 5),
            "v": Stored((5, 3, 4, 4)),
            "w": Stored((2, 5, 1, 1)),
        },
        16 * 48 * 5 + 256 * 10,
        240 + 10,
    ),
    Case(
        "fused forms of onnxruntime: a convolution with its sum, and a scaled product",
        [
            Node("FusedConv", ["x", "w", "b", "x"], ["c"], {"activation": "Relu"}, MICROSOFT),
            Node("Reshape", ["c", "flat"], ["f"]),
            Node("FusedMatMul", ["f", "f"], ["y"], {"transB": 1, "alpha": 0.5}, MICROSOFT),
        ],
        {"x": [1, 4, 6, 6]},
        {"w": Stored((4, 4, 1, 1)), "b": Stored((4,)), "flat": integers(1, 4, 36)},
        36 * 16 + 4 * 4 * 36,
        20,
        attention=4 * 4 * 36,
    ),
    Case(
        "a stack of weights, one of which is looked up by a constant",
        [
            Node("Gather", ["all", "second"], ["w"], {"axis": 0}),
            Node("MatMul", ["x", "w"], ["y"]),
        ],
        {"x": [1, 10, 16]},
        {"all": Stored((3, 16, 8)), "second": number(1, Proto.INT64)},
        1280,
        3 * 128,
    ),
    Case(
        "deformable convolution: offsets, weights, bias and masks",
        [Node("DeformConv", ["x", "w", "o", "b", "m"], ["y"], {"kernel_shape": [3, 3]})],
        {"x": [1, 4, 8, 8], "o": [1, 18, 6, 6], "m": [1, 9, 6, 6]},
        {"w": Stored((8, 4, 3, 3)), "b": Stored((8,))},
        36 * 36 * 8,
        296,
        opset=19,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_counts_known_by_hand(case, tmp_path):
    check_case(case, tmp_path)


def one_product(shape, **stored):
    """x @ w on an input of that shape."""
    return graph(
        [Node("MatMul", ["x", "w"], ["y"])], {"x": shape}, stored or {"w": Stored((16, 8))}
    )


def test_a_word_for_any_size_is_no_name(tmp_path):
    file = save(tmp_path, one_product(["?", "?", 16]))
    with pytest.raises(BadInput, match=r"the size x\[1\] of its input x is free"):
        from_onnx(file)
    assert from_onnx(file, sizes={"x[1]": 10}).macs == 1280


def test_a_size_that_an_input_has_twice_is_not_the_batch(tmp_path):
    made = graph([Node("MatMul", ["x", "x"], ["y"])], {"x": ["n", "n"]})
    with pytest.raises(BadInput, match="the size n of its input x is free"):
        from_onnx(save(tmp_path, made))
    assert from_onnx(save(tmp_path, made), sizes={"n": 10}).macs == 1000


def test_a_size_is_set_by_its_place_where_it_has_a_name(tmp_path):
    file = save(tmp_path, one_product([1, "tokens", 16]))
    assert from_onnx(file, sizes={"x[1]": 7}).macs == 7 * 128


def test_a_leading_length_that_is_taken_for_the_batch_is_said(tmp_path):
    file = save(tmp_path, one_product(["seq_len", 16]))
    (line,) = from_onnx(file).warnings
    assert "seq_len is taken for the batch" in line
    assert from_onnx(file, sizes={"seq_len": 10}).warnings == ()


@pytest.mark.parametrize("kind", [Proto.FLOAT16, Proto.BFLOAT16, Proto.DOUBLE])
def test_bits_are_those_of_the_file(kind, tmp_path):
    stored = {"w": Stored((16, 8), None, kind)}
    made = graph([Node("MatMul", ["x", "w"], ["y"])], {"x": [1, 10, 16]}, stored, element_type=kind)
    (layer,) = from_onnx(save(tmp_path, made)).layers
    assert layer.weight_bits == layer.activation_bits == {10: 16, 16: 16, 11: 64}[kind]


def test_weights_of_four_bits_are_read_as_such(tmp_path):
    nodes = [Node("DequantizeLinear", ["w", "s"], ["d"]), Node("MatMul", ["x", "d"], ["y"])]
    stored = {"w": Stored((16, 8), None, Proto.INT4), "s": Stored((), (0.1,))}
    (layer,) = from_onnx(save(tmp_path, graph(nodes, {"x": [1, 10, 16]}, stored), opset=21)).layers
    assert layer.weight_bits == 4


def test_a_suffix_in_capitals(tmp_path, capsys):
    file = save(tmp_path, one_product([1, 10, 16])).rename(tmp_path / "NET.ONNX")
    assert run(["workload", str(file), "--format", "json"]) == 0
    assert '"macs": 1280' in capsys.readouterr().out


def test_nodes_in_no_order_are_sorted(tmp_path):
    nodes = [
        Node("MatMul", ["p", "v"], ["y"]),
        Node("Relu", ["q"], ["p"]),
        Node("MatMul", ["x", "w"], ["q"]),
    ]
    stored = {"w": Stored((16, 8)), "v": Stored((8, 4))}
    made = graph(nodes, {"x": [1, 10, 16]}, stored, outputs=["y"])
    layers = from_onnx(save(tmp_path, made)).layers
    assert [layer.macs for layer in layers] == [1280, 320]


def test_steps_of_recurrences_follow_one_another(tmp_path):
    """The product with the state recurs; that with the inputs, of all steps at once, does not."""
    gru = Node("GRU", ["x", "w", "r"], ["y"], {"hidden_size": 5})
    stored = {"w": Stored((1, 15, 4)), "r": Stored((1, 15, 5))}
    layers = from_onnx(save(tmp_path, graph([gru], {"x": [7, 3, 4]}, stored))).layers
    assert [(layer.px, layer.steps) for layer in layers] == [(21, 0), (21, 7)]


def test_runs_of_a_loop_that_carries_values_follow_one_another(tmp_path):
    nodes = [Node("Loop", ["trips", "", "x"], ["y"], {"body": loop_body()})]
    stored = {"w": Stored((16, 16)), "trips": integers(5)}
    (layer,) = from_onnx(save(tmp_path, graph(nodes, {"x": [1, 16]}, stored))).layers
    assert (layer.px, layer.steps) == (5, 5)


def test_an_unknown_operator_that_hides_sizes_is_named(tmp_path):
    nodes = [
        Node("MyOp", ["x"], ["q"], domain="com.mine"),
        Node("Relu", ["q"], ["p"]),
        Node("MatMul", ["p", "w"], ["y"]),
    ]
    made = graph(nodes, {"x": [1, 4]}, {"w": Stored((4, 4))}, outputs=["y"])
    with pytest.raises(BadInput, match=r"it comes from the operator MyOp of com\.mine, which"):
        from_onnx(save(tmp_path, made))
