"""Free sizes, batches, branches, bounds and bits of ONNX files."""

import json

import pytest

pytest.importorskip("onnx")

import numpy as np
from onnx import TensorProto as Proto
from onnx import helper, numpy_helper, save_model
from onnx_graphs import Node, Stored, graph, integers, save

from cimbo.cli import run
from cimbo.errors import BadInput
from cimbo.workloads.onnx import from_onnx

PRODUCT = [Node("MatMul", ["x", "w"], ["y"])]
WEIGHT = {"w": Stored((16, 8))}


def test_a_batch_counts_alike_in_every_kind_of_layer(tmp_path):
    nodes = [
        Node("Conv", ["x", "w"], ["c"]),
        Node("Flatten", ["c"], ["f"]),
        Node("Gemm", ["f", "v"], ["l"]),
        Node("Unsqueeze", ["l", "one"], ["r"]),
        Node("Transpose", ["r"], ["t"], {"perm": [0, 2, 1]}),
        Node("MatMul", ["t", "r"], ["y"]),
    ]
    stored = {"w": Stored((4, 3, 3, 3)), "v": Stored((16, 5)), "one": integers(1)}
    file = save(tmp_path, graph(nodes, {"x": ["batch", 3, 4, 4]}, stored))
    one, six = from_onnx(file), from_onnx(file, batch=6)
    assert [layer.macs for layer in one.layers] == [4 * 108, 80, 25]
    assert [layer.macs for layer in six.layers] == [6 * layer.macs for layer in one.layers]
    assert six.layers == one.batched(6).layers
    assert (one.batch, six.batch) == (1, 6)
    assert six.parameters == one.parameters


def test_a_file_of_one_fixed_inference_is_counted_for_a_batch(tmp_path):
    file = save(tmp_path, graph(PRODUCT, {"x": [1, 10, 16]}, WEIGHT))
    assert from_onnx(file, batch=4).macs == 4 * from_onnx(file).macs
    file = save(tmp_path, graph(PRODUCT, {"x": [3, 10, 16]}, WEIGHT))
    assert from_onnx(file, batch=3).batch == 3
    with pytest.raises(BadInput, match="a batch of 4, but the leading size is fixed at 3"):
        from_onnx(file, batch=4)


@pytest.mark.parametrize(
    ("shape", "sizes", "macs"),
    [
        (["batch", "tokens", 16], {"tokens": 7}, 7 * 128),
        (["tokens", "batch", 16], {"tokens": 7}, 7 * 128),
        ([None, "past + 2", 16], {"past": 5}, 7 * 128),
        ([1, None, 16], {"x[1]": 7}, 7 * 128),
    ],
)
def test_free_sizes_are_set_by_name(shape, sizes, macs, tmp_path):
    file = save(tmp_path, graph(PRODUCT, {"x": shape}, WEIGHT))
    assert from_onnx(file, sizes=sizes).macs == macs
    (name,) = sizes
    with pytest.raises(BadInput, match=r"is free; set it"):
        from_onnx(file)
    with pytest.raises(
        BadInput, match=f"has no free size other; the free ones are .*{name.split('[')[0]}"
    ):
        from_onnx(file, sizes={**sizes, "other": 1})


def test_a_file_fixed_inside_at_another_batch_is_refused(tmp_path):
    nodes = [Node("Reshape", ["x", "shape"], ["r"]), Node("MatMul", ["r", "w"], ["y"])]
    stored = {"shape": integers(1, 10, 16), **WEIGHT}
    file = save(tmp_path, graph(nodes, {"x": ["batch", 160]}, stored))
    assert from_onnx(file).macs == 1280
    with pytest.raises(BadInput, match="makes 160 elements of 320"):
        from_onnx(file, batch=2)


def branch(name: str, columns: int):
    node = helper.make_node("MatMul", ["x", f"w{columns}"], [name])
    value = helper.make_tensor_value_info(name, Proto.FLOAT, None)
    weight = helper.make_tensor(f"w{columns}", Proto.FLOAT, [16, columns], [0.0] * 16 * columns)
    return helper.make_graph([node], name, [], [value], [weight])


@pytest.mark.parametrize(("channels", "columns"), [(10, 8), (12, 4)])
def test_shapes_decide_a_branch(channels, columns, tmp_path):
    nodes = [
        Node("Shape", ["x"], ["all"]),
        Node("Gather", ["all", "one"], ["c"]),
        Node("Equal", ["c", "ten"], ["is_ten"]),
        Node(
            "If",
            ["is_ten"],
            ["y"],
            {"then_branch": branch("a", 8), "else_branch": branch("b", 4)},
        ),
    ]
    stored = {"one": integers(1), "ten": integers(10)}
    workload = from_onnx(save(tmp_path, graph(nodes, {"x": [1, channels, 16]}, stored)))
    assert workload.macs == channels * 16 * columns
    assert workload.warnings == ()


def test_a_branch_that_data_decide_is_said(tmp_path):
    nodes = [
        Node("ReduceMax", ["x"], ["most"], {"keepdims": 0}),
        Node("Cast", ["most"], ["is_some"], {"to": Proto.BOOL}),
        Node(
            "If",
            ["is_some"],
            ["y"],
            {"then_branch": branch("a", 4), "else_branch": branch("b", 8)},
        ),
    ]
    workload = from_onnx(save(tmp_path, graph(nodes, {"x": [1, 10, 16]})))
    assert workload.macs == 1280
    (line,) = workload.warnings
    assert line.startswith("If y depends on data")


def test_a_loop_runs_as_often_as_it_says(tmp_path):
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "w"], ["next"]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [
            info("step", Proto.INT64, []),
            info("going", Proto.BOOL, []),
            info("state", Proto.FLOAT, None),
        ],
        [info("on", Proto.BOOL, []), info("next", Proto.FLOAT, None)],
        [helper.make_tensor("w", Proto.FLOAT, [16, 16], [0.0] * 256)],
    )
    nodes = [Node("Loop", ["five", "", "x"], ["y"], {"body": body})]
    made = graph(nodes, {"x": [1, 10, 16]}, {"five": integers(5)})
    workload = from_onnx(save(tmp_path, made))
    assert (workload.macs, workload.parameters) == (5 * 10 * 256, 256)


def test_operators_that_are_not_known_are_listed_once(tmp_path):
    nodes = [
        Node("Mystery", ["x"], ["m"], {}, "of.ours"),
        Node("Wonder", ["p"], ["y"], {}, "of.ours"),
    ]
    nodes.insert(1, Node("MatMul", ["x", "w"], ["p"]))
    workload = from_onnx(save(tmp_path, graph(nodes, {"x": [1, 10, 16]}, WEIGHT)))
    assert workload.macs == 1280
    assert any("Mystery x1, Wonder x1" in line for line in workload.warnings)


def test_a_product_behind_an_unknown_shape_is_refused(tmp_path):
    nodes = [Node("Mystery", ["x"], ["m"], {}, "of.ours"), Node("MatMul", ["m", "w"], ["y"])]
    with pytest.raises(BadInput, match="the shape of m is unknown"):
        from_onnx(save(tmp_path, graph(nodes, {"x": [1, 10, 16]}, WEIGHT)))


@pytest.mark.parametrize(
    ("nodes", "shapes", "stored"),
    [
        ([Node("MatMul", ["x", "v"], ["y"])], {"x": [2**24, 1, 1], "v": [2**24, 1, 1]}, {}),
        (
            [Node("ConstantOfShape", ["s"], ["w"]), Node("MatMul", ["x", "w"], ["y"])],
            {"x": [1, 2**30]},
            {"s": integers(2**30, 2**30)},
        ),
        (PRODUCT, {"x": [2**62, 2**62, 16]}, WEIGHT),
    ],
)
def test_sizes_of_no_network_are_refused(nodes, shapes, stored, tmp_path):
    with pytest.raises(BadInput, match=r"groups|elements"):
        from_onnx(save(tmp_path, graph(nodes, shapes, stored)))


def quantised(form: str):
    """A product by a constant in 8 bits: as QDQ nodes, or as a product of integers."""
    stored = {
        "w": Stored((16, 8), None, Proto.INT8),
        "s": Stored((), (0.1,)),
        "z": Stored((), (0.0,), Proto.INT8),
        "u": Stored((), (0.0,), Proto.UINT8),
    }
    if form == "QDQ":
        nodes = [
            Node("QuantizeLinear", ["x", "s", "u"], ["q"]),
            Node("DequantizeLinear", ["q", "s", "u"], ["d"]),
            Node("DequantizeLinear", ["w", "s", "z"], ["v"]),
            Node("MatMul", ["d", "v"], ["y"]),
        ]
    else:
        nodes = [
            Node("DynamicQuantizeLinear", ["x"], ["q", "a", "b"]),
            Node("MatMulInteger", ["q", "w", "b", "z"], ["i"]),
            Node("Cast", ["i"], ["f"], {"to": Proto.FLOAT}),
            Node("Mul", ["a", "s"], ["scale"]),
            Node("Mul", ["f", "scale"], ["y"]),
        ]
    return graph(nodes, {"x": [1, 10, 16]}, stored)


@pytest.mark.parametrize("form", ["QDQ", "dynamic"])
def test_quantised_and_float_differ_in_bits_alone(form, tmp_path):
    (plain,) = from_onnx(save(tmp_path, graph(PRODUCT, {"x": [1, 10, 16]}, WEIGHT))).layers
    found = from_onnx(save(tmp_path, quantised(form)))
    (layer,) = found.layers
    assert (layer.weight_bits, layer.activation_bits) == (8, 8)
    assert (plain.weight_bits, plain.activation_bits) == (32, 32)
    for name in ("macs", "parameters", "kind", "vector_ops", "inputs", "outputs"):
        assert getattr(layer, name) == getattr(plain, name), name
    assert found.parameters == 128


def tied_file(folder, *, external: bool):
    table = np.arange(50 * 16, dtype=np.float32).reshape(50, 16)
    nodes = [Node("Gather", ["table", "x"], ["e"]), Node("MatMul", ["e", "onnx::MatMul_7"], ["y"])]
    made = graph(nodes, {"x": [1, 10]}, {}, element_type=Proto.INT64)
    made.initializer.append(numpy_helper.from_array(table, "table"))
    made.initializer.append(numpy_helper.from_array(table.T.copy(), "onnx::MatMul_7"))
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(made, opset_imports=opsets, producer_name="pytorch")
    file = folder / "tied.ONNX"
    save_model(model, str(file), save_as_external_data=external, location="w.bin", size_threshold=0)
    return file


@pytest.mark.parametrize("external", [False, True])
def test_a_table_stored_again_as_its_transpose_counts_once(external, tmp_path):
    workload = from_onnx(tied_file(tmp_path, external=external))
    assert (workload.macs, workload.parameters) == (10 * 16 * 50, 800)


@pytest.mark.parametrize(("same", "parameters"), [(True, 800), (False, 1600)])
def test_quantised_copies_are_known_by_their_elements(same, parameters, tmp_path):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, 16))
    copy = table.T if same else rng.normal(size=(16, 50))
    nodes = [
        Node("Gather", ["table", "x"], ["g"]),
        Node("DequantizeLinear", ["g", "s", "u"], ["e"]),
        Node("DequantizeLinear", ["copy", "s", "z"], ["v"]),
        Node("MatMul", ["e", "v"], ["y"]),
    ]
    stored = {
        "s": Stored((), (0.1,)),
        "u": Stored((), (128.0,), Proto.UINT8),
        "z": Stored((), (0.0,), Proto.INT8),
    }
    made = graph(nodes, {"x": [1, 10]}, stored, element_type=Proto.INT64)
    made.initializer.append(
        numpy_helper.from_array((128 + 30 * table).round().clip(0, 255).astype(np.uint8), "table")
    )
    made.initializer.append(
        numpy_helper.from_array((40 * copy).round().clip(-127, 127).astype(np.int8), "copy")
    )
    assert from_onnx(save(tmp_path, made)).parameters == parameters


def test_external_weights_need_not_be_there(tmp_path):
    file = tied_file(tmp_path, external=True)
    (tmp_path / "w.bin").unlink()
    assert from_onnx(file).macs == 10 * 16 * 50


def test_commands_count_a_file(tmp_path, capsys):
    file = save(tmp_path, graph(PRODUCT, {"x": ["batch", "tokens", 16]}, WEIGHT))
    words = ["workload", str(file), "--set", "tokens=7", "--batch", "2", "--format", "json"]
    assert run(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["macs"], answer["parameters"], answer["batch"]) == (14 * 128, 128, 2)
    (layer,) = answer["layers"]
    assert (layer["macs"], layer["parameters"], layer["kind"]) == (14 * 128, 128, "linear")
    assert run(["workload", str(file)]) == 2
    assert "the size tokens of its input x is free; set it" in capsys.readouterr().err
    assert run(["workload", str(file), "--set", "tokens"]) == 2
    assert "--set tokens: is no size; give NAME=SIZE" in capsys.readouterr().err


def test_a_product_with_a_single_number_is_refused(tmp_path):
    file = save(tmp_path, graph(PRODUCT, {"x": [1, 10, 16]}, {"w": Stored(())}))
    with pytest.raises(BadInput):
        from_onnx(file)


def test_a_name_that_is_no_text_is_refused(tmp_path):
    file = save(tmp_path, graph(PRODUCT, {"x": [1, 10, 16]}, WEIGHT))
    data = file.read_bytes()
    assert data.count(b"MatMul") == 1
    file.write_bytes(data.replace(b"MatMul", b"Mat\xfful"))
    with pytest.raises(BadInput):
        from_onnx(file)
