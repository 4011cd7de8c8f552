"""Any ONNX file as a workload: products become layers, everything else vector work of the layer before it.

Needs the extra ``cimbo[onnx]``. Shapes are inferred from the inputs' sizes, node by node, and the values of small
integer tensors are followed, so that what a file calculates of its shapes is known. Weights' bytes are not read.
"""

from collections import ChainMap, Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.errors import BadInput
from cimbo.workloads.layers import Workload
from cimbo.workloads.ledger import Ledger
from cimbo.workloads.onnx.loading import InputSizes, input_sizes, is_number, load_model
from cimbo.workloads.onnx.parameters import ParameterCount
from cimbo.workloads.onnx.shapes import NodeInference
from cimbo.workloads.onnx.tensors import INT32_TYPE, Tensor, bits_of, check_sizes
from cimbo.workloads.onnx.walker import GraphWalker, Scope


def from_onnx(
    file: str | Path,
    *,
    batch: int | None = None,
    sizes: Mapping[str, int] | None = None,
    read_weights: bool = False,
) -> Workload:
    """The workload of an ONNX file.

    A tensor is constant when nothing that it depends on is an input of the graph; what is calculated of constants
    alone costs nothing. A constant operand of a product is a weight, on whichever side it stands and whatever it was
    made of, and counts once. Operators that are not known count as one operation of the vector unit for each element
    they make, and a warning of the workload lists them.

    Args:
        file: path of the file; external data are not needed.
        batch: inferences at once: the size of the free leading dimension of the inputs (1 when None). A file whose
            leading size is fixed at 1 is counted as often as ``batch`` says.
        read_weights: whether to count the ones of integer weights of 8 bits (``Layer.weight_ones``), for which their
            bytes are read.
        sizes: values of the other free sizes, by the name the file gives them, and of inputs that are one integer.

    Returns:
        The layers in the order of the file.

    Raises:
        BadInput: ``onnx`` is not installed, the file cannot be read, a size is free that was not given, or the size
            of a product is unknown; the message names the size or the node.
    """
    path = Path(file)
    model = load_model(path)
    input_shapes = input_sizes(path, model.graph, batch, dict(sizes or {}))
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    parameters = ParameterCount(has_producer=bool(model.producer_name))
    inference = NodeInference(opsets, model.ir_version or 8)
    walker = GraphWalker(path, inference, parameters, input_shapes.named, read_weights=read_weights)
    walker.walk(model.graph, _input_tensors(path, model.graph, input_shapes))
    ledger = walker.ledger
    if not ledger.layers:
        todo = "give a network with a convolution or a linear layer"
        raise BadInput(file, "holds no product of matrices", todo)
    in_layers = sum(layer.parameters for layer in ledger.layers)
    workload = Workload(
        path.stem,
        tuple(ledger.layers),
        max(parameters.total - in_layers, 0),
        batch=input_shapes.batch if input_shapes.free_batch else 1,
        warnings=(*input_shapes.notes, *_warnings(ledger)),
    )
    return _at_batch(workload, input_shapes, batch)


def _at_batch(workload: Workload, input_shapes: InputSizes, batch: int | None) -> Workload:
    """Say how many inferences the layers of a file are, or repeat them.

    There are three cases. A free batch size: the file was read at that size already. All inputs
    begin with 1: the file is one inference, and its counts are multiplied by ``batch``. They begin
    with another fixed size: the counts stay, and ``batch`` only says how many inferences they are
    of. It may differ from that size, which need not be a batch.

    Args:
        workload: The file's workload as it was read.
        input_shapes: Shapes of its inputs, and whether their leading size is free.
        batch: Inferences at once; None where the user did not say.

    Returns:
        The workload of the batch.
    """
    if input_shapes.free_batch or not batch:
        return workload
    leading = {shape[0] for shape in input_shapes.shapes.values() if shape}
    if leading <= {1}:
        return workload.batched(batch)
    return workload.with_batch(batch)


def _input_tensors(file: Path, graph: Any, input_shapes: InputSizes) -> Scope:
    """Make tensors of the inputs of a network.

    An input that is a whole number, such as a length, has a value if the user gave it one with
    ``--set``. All others have a shape only.

    Args:
        file: Path of the file, for errors.
        graph: The GraphProto of the network.
        input_shapes: Shapes of its inputs, and the sizes that the user gave by name.

    Returns:
        The tensors by name.
    """
    scope: Scope = ChainMap()
    for value in graph.input:
        if value.name not in input_shapes.shapes:
            continue
        shape = input_shapes.shapes[value.name]
        element_type = value.type.tensor_type.elem_type
        check_sizes(str(file), value.name, shape)
        elements = None
        if is_number(value) and value.name in input_shapes.named:
            dtype = np.int32 if element_type == INT32_TYPE else np.int64
            elements = np.full(shape or (), input_shapes.named[value.name], dtype=dtype)
        scope[value.name] = Tensor(
            value.name, shape, element_type, value=elements, bits=bits_of(element_type)
        )
    return scope


def _warnings(ledger: Ledger) -> list[str]:
    """What the user has to know of the count: the ledger's notes, and operators that it could not count fully."""
    lines = list(ledger.notes)
    if ledger.unknown:
        listed = _listed(ledger.unknown)
        lines.append(f"operators not known, counted as one operation an output element: {listed}")
    if ledger.unsized:
        listed = _listed(ledger.unsized)
        lines.append(f"vector work on sizes that depend on data, not counted: {listed}")
    return lines


def _listed(counts: Counter[str]) -> str:
    """How often each operator occurs, such as "Foo x3, Bar x1" in the order of names."""
    return ", ".join(f"{name} x{count}" for name, count in sorted(counts.items()))
