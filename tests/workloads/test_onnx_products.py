"""Graphs made by hand whose counts are known by hand: every kind of product, and what is no product."""

import pytest

pytest.importorskip("onnx")

from onnx import TensorProto as Proto
from onnx_graphs import Case, Node, Stored, check_case, integers

BYTES, SIGNED = Proto.UINT8, Proto.INT8
MICROSOFT = "com.microsoft"


def scale(bits: int = 8) -> dict[str, Stored]:
    """A scale and a zero point, called ``s`` and ``z``."""
    return {"s": Stored((), (0.1,)), "z": Stored((), (0.0,), SIGNED if bits == 8 else BYTES)}


CASES = [
    Case(
        "transposed convolution: every input position meets all weights",
        [Node("ConvTranspose", ["x", "w"], ["y"], {"strides": [2, 2]})],
        {"x": [1, 6, 5, 5]},
        {"w": Stored((6, 4, 3, 3))},
        25 * 6 * 4 * 9,
        216,
        kinds=("conv",),
    ),
    Case(
        "transposed convolution in groups, batch of 2",
        [Node("ConvTranspose", ["x", "w", "b"], ["y"], {"group": 2})],
        {"x": [2, 6, 5, 5]},
        {"w": Stored((6, 4, 3, 3)), "b": Stored((8,))},
        2 * 25 * 6 * 4 * 9,
        224,
    ),
    Case(
        "convolution over time, dilated: 20 - 2 * 3 = 14 outputs",
        [Node("Conv", ["x", "w"], ["y"], {"dilations": [3]})],
        {"x": [1, 4, 20]},
        {"w": Stored((8, 4, 3))},
        14 * 8 * 12,
        96,
    ),
    Case(
        "a window that depends on the input is no weight",
        [Node("Conv", ["x", "w"], ["y"])],
        {"x": [1, 4, 8, 8], "w": [2, 4, 1, 1]},
        {},
        64 * 8,
        0,
        attention=64 * 8,
    ),
    Case(
        "Einsum, weights on the right: bij,jk->bik",
        [Node("Einsum", ["x", "w"], ["y"], {"equation": "bij,jk->bik"})],
        {"x": [2, 10, 16]},
        {"w": Stored((16, 8))},
        2 * 10 * 16 * 8,
        128,
    ),
    Case(
        "Einsum, attention's scores: bhid,bhjd->bhij",
        [Node("Einsum", ["q", "k"], ["y"], {"equation": "bhid,bhjd->bhij"})],
        {"q": [1, 4, 10, 16], "k": [1, 4, 12, 16]},
        {},
        4 * 10 * 12 * 16,
        0,
        attention=4 * 10 * 12 * 16,
    ),
    Case(
        "Einsum with an ellipsis and weights first: ok,...k->...o",
        [Node("Einsum", ["w", "x"], ["y"], {"equation": "ok,...k->...o"})],
        {"x": [3, 5, 16]},
        {"w": Stored((8, 16))},
        15 * 16 * 8,
        128,
    ),
    Case(
        "LSTM, 7 steps, two directions",
        [
            Node(
                "LSTM",
                ["x", "w", "r", "b"],
                ["y"],
                {"hidden_size": 5, "direction": "bidirectional"},
            )
        ],
        {"x": [7, 3, 6]},
        {"w": Stored((2, 20, 6)), "r": Stored((2, 20, 5)), "b": Stored((2, 40))},
        2 * 21 * 20 * (6 + 5),
        2 * 20 * 11 + 80,
    ),
    Case(
        "GRU, batch of 3",
        [Node("GRU", ["x", "w", "r"], ["y"], {"hidden_size": 5})],
        {"x": [7, 3, 6]},
        {"w": Stored((1, 15, 6)), "r": Stored((1, 15, 5))},
        21 * 15 * 11,
        165,
    ),
    Case(
        "RNN",
        [Node("RNN", ["x", "w", "r"], ["y"], {"hidden_size": 5})],
        {"x": [7, 1, 6]},
        {"w": Stored((1, 5, 6)), "r": Stored((1, 5, 5))},
        7 * 5 * 11,
        55,
    ),
    Case(
        "Attention of com.microsoft: one weight for queries, keys and values",
        [Node("Attention", ["x", "w", "b"], ["y"], {"num_heads": 4}, MICROSOFT)],
        {"x": [2, 10, 32]},
        {"w": Stored((32, 96)), "b": Stored((96,))},
        20 * 32 * 96 + 2 * 2 * 10 * 10 * 32,
        32 * 96 + 96,
        attention=2 * 2 * 10 * 10 * 32,
    ),
    Case(
        "grouped queries of com.microsoft: 8 heads on 2, one token after a cache of 15",
        [
            Node(
                "GroupQueryAttention",
                ["q", "k", "v", "pk", "pv", "n", "t"],
                ["y", "ck", "cv"],
                {"num_heads": 8, "kv_num_heads": 2},
                MICROSOFT,
            )
        ],
        {
            "q": [1, 1, 128],
            "k": [1, 1, 32],
            "v": [1, 1, 32],
            "pk": [1, 2, 15, 16],
            "pv": [1, 2, 15, 16],
        },
        {"n": Stored((1,), (15,), Proto.INT32), "t": Stored((1,), (16,), Proto.INT32)},
        2 * 8 * 16 * 16,
        0,
        attention=2 * 8 * 16 * 16,
    ),
    Case(
        "Attention of opset 23: 8 heads on 2, 4 more keys of a cache",
        [Node("Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "ck", "cv"])],
        {
            "q": [1, 8, 10, 16],
            "k": [1, 2, 10, 16],
            "v": [1, 2, 10, 16],
            "pk": [1, 2, 4, 16],
            "pv": [1, 2, 4, 16],
        },
        {},
        2 * 8 * 10 * 14 * 16,
        0,
        attention=2 * 8 * 10 * 14 * 16,
        opset=23,
    ),
    Case(
        "MultiHeadAttention of com.microsoft",
        [Node("MultiHeadAttention", ["q", "k", "v"], ["y"], {"num_heads": 4}, MICROSOFT)],
        {"q": [1, 10, 32], "k": [1, 12, 32], "v": [1, 12, 32]},
        {},
        2 * 10 * 12 * 32,
        0,
        attention=2 * 10 * 12 * 32,
    ),
    Case(
        "MatMulNBits: 4 bits, packed two a byte",
        [
            Node(
                "MatMulNBits",
                ["x", "w", "s"],
                ["y"],
                {"K": 64, "N": 48, "bits": 4, "block_size": 32},
                MICROSOFT,
            )
        ],
        {"x": [1, 10, 64]},
        {"w": Stored((48, 2, 16), None, BYTES), "s": Stored((96,))},
        10 * 64 * 48,
        64 * 48,
    ),
    Case(
        "MatMulInteger",
        [Node("MatMulInteger", ["x", "w"], ["y"])],
        {"x": [1, 10, 16]},
        {"w": Stored((16, 8), None, SIGNED)},
        1280,
        128,
        element_type=BYTES,
    ),
    Case(
        "ConvInteger",
        [Node("ConvInteger", ["x", "w"], ["y"])],
        {"x": [1, 3, 8, 8]},
        {"w": Stored((4, 3, 3, 3), None, SIGNED)},
        36 * 27 * 4,
        108,
        element_type=BYTES,
    ),
    Case(
        "QLinearConv with a bias",
        [Node("QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z", "b"], ["y"])],
        {"x": [1, 3, 8, 8]},
        {"w": Stored((4, 3, 3, 3), None, SIGNED), "b": Stored((4,), None, Proto.INT32)} | scale(),
        36 * 27 * 4,
        112,
        element_type=SIGNED,
    ),
    Case(
        "QLinearMatMul",
        [Node("QLinearMatMul", ["x", "s", "z", "w", "s", "z", "s", "z"], ["y"])],
        {"x": [1, 10, 16]},
        {"w": Stored((16, 8), None, SIGNED)} | scale(),
        1280,
        128,
        element_type=SIGNED,
    ),
    Case(
        "weights that are dequantised and reshaped",
        [
            Node("DequantizeLinear", ["w", "s", "z"], ["d"]),
            Node("Reshape", ["d", "shape"], ["r"]),
            Node("MatMul", ["x", "r"], ["y"]),
        ],
        {"x": [1, 10, 16]},
        {"w": Stored((4, 4, 8), None, SIGNED), "shape": integers(16, 8)} | scale(),
        1280,
        128,
    ),
    Case(
        "weights that a node makes of a shape",
        [
            Node("ConstantOfShape", ["shape"], ["w"]),
            Node("MatMul", ["x", "w"], ["y"]),
        ],
        {"x": [1, 10, 16]},
        {"shape": integers(16, 8)},
        1280,
        128,
    ),
    Case(
        "what constants alone make costs nothing: the product of two weights",
        [Node("MatMul", ["a", "b"], ["w"]), Node("MatMul", ["x", "w"], ["y"])],
        {"x": [1, 10, 16]},
        {"a": Stored((16, 4)), "b": Stored((4, 8))},
        1280,
        64 + 32,
    ),
    Case(
        "a table that is looked up and multiplied with counts once",
        [
            Node("Gather", ["table", "x"], ["e"]),
            Node("Transpose", ["table"], ["t"], {"perm": [1, 0]}),
            Node("MatMul", ["e", "t"], ["y"]),
        ],
        {"x": [1, 10]},
        {"table": Stored((50, 16))},
        10 * 16 * 50,
        800,
        element_type=Proto.INT64,
    ),
    Case(
        "sizes that the graph calculates: half the channels, whatever the batch",
        [
            Node("Shape", ["x"], ["all"]),
            Node("Gather", ["all", "one"], ["c"]),
            Node("Div", ["c", "two"], ["half"]),
            Node("Slice", ["x", "zero", "half", "one"], ["part"]),
            Node("Conv", ["part", "w"], ["y"]),
        ],
        {"x": ["batch", 8, 6, 6]},
        {
            "one": integers(1),
            "two": integers(2),
            "zero": integers(0),
            "w": Stored((5, 4, 1, 1)),
        },
        36 * 4 * 5,
        20,
    ),
    Case(
        "batch norm: two parameters a channel, not its running statistics",
        [
            Node("Conv", ["x", "w"], ["c"]),
            Node("BatchNormalization", ["c", "g", "b", "m", "v"], ["y"]),
        ],
        {"x": [1, 3, 8, 8]},
        {
            "w": Stored((4, 3, 1, 1)),
            "g": Stored((4,)),
            "b": Stored((4,)),
            "m": Stored((4,)),
            "v": Stored((4,)),
        },
        64 * 12,
        12 + 8,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_counts_known_by_hand(case, tmp_path):
    check_case(case, tmp_path)
