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
    given = dict(sizes or {})
    found = input_sizes(path, model.graph, batch, given)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    parameters = ParameterCount(has_producer=bool(model.producer_name))
    inference = NodeInference(opsets, model.ir_version or 8)
    walker = GraphWalker(path, inference, parameters, found.named, read_weights=read_weights)
    walker.walk(model.graph, _inputs(path, model.graph, found))
    ledger = walker.ledger
    if not ledger.layers:
        todo = "give a network with a convolution or a linear layer"
        raise BadInput(file, "holds no product of matrices", todo)
    owned = sum(layer.parameters for layer in ledger.layers)
    workload = Workload(
        path.stem,
        tuple(ledger.layers),
        max(parameters.total - owned, 0),
        batch=found.batch if found.free_batch else 1,
        warnings=(*found.notes, *_warnings(ledger)),
    )
    return _at_batch(workload, found, batch)


def _at_batch(workload: Workload, found: InputSizes, batch: int | None) -> Workload:
    """Count a file for ``batch`` inferences at once.

    A file with a free batch size was read at that size already. One whose inputs all begin with 1
    is one inference, and is repeated. One whose inputs begin with another fixed size is a batch as
    it stands.

    Returns:
        The workload of the batch.
    """
    if found.free_batch or not batch:
        return workload
    leading = {shape[0] for shape in found.shapes.values() if shape}
    if leading <= {1}:
        return workload.batched(batch)
    return workload.with_batch(batch)


def _inputs(file: Path, graph: Any, found: InputSizes) -> Scope:
    """Make tensors of the inputs of a network.

    An input that is a whole number, such as a length, has a value if the user gave it one with
    ``--set``. All others have a shape only.

    Returns:
        The tensors by name.
    """
    scope: Scope = ChainMap()
    for value in graph.input:
        if value.name not in found.shapes:
            continue
        shape = found.shapes[value.name]
        kind = value.type.tensor_type.elem_type
        check_sizes(str(file), value.name, shape)
        content = None
        if is_number(value) and value.name in found.named:
            dtype = np.int32 if kind == INT32_TYPE else np.int64
            content = np.full(shape or (), found.named[value.name], dtype=dtype)
        scope[value.name] = Tensor(value.name, shape, kind, value=content, bits=bits_of(kind))
    return scope


def _warnings(ledger: Ledger) -> list[str]:
    lines = list(ledger.notes)
    if ledger.unknown:
        listed = _listed(ledger.unknown)
        lines.append(f"operators not known, counted as one operation an output element: {listed}")
    if ledger.unsized:
        listed = _listed(ledger.unsized)
        lines.append(f"vector work on sizes that depend on data, not counted: {listed}")
    return lines


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} x{count}" for name, count in sorted(counts.items()))
