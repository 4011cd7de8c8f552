"""Tensors that a file stores: their sizes, and the elements of the small ones alone."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.workloads.onnx.parameters import ParameterCount
from cimbo.workloads.onnx.shapes import MOST_EVALUATED, MOST_FLOATS
from cimbo.workloads.onnx.tensors import INTEGER_TYPES, Tensor, bits_of, check_sizes


def initializers(
    graph: Any, file: Path, prefix: str, parameters: ParameterCount
) -> Iterator[Tensor]:
    """The initializers of a graph. ``prefix`` tells those of subgraphs apart."""
    for proto in graph.initializer:
        yield _stored(proto, file, prefix, parameters)
    for sparse in graph.sparse_initializer:
        shape = tuple(sparse.dims)
        source = prefix + sparse.values.name
        parameters.store(source, math.prod(shape), sparse.values.data_type)
        kind = sparse.values.data_type
        yield Tensor(
            sparse.values.name,
            shape,
            kind,
            constant=True,
            sources=frozenset({source}),
            bits=bits_of(kind),
        )


def _stored(proto: Any, file: Path, prefix: str, parameters: ParameterCount) -> Tensor:
    shape, source = tuple(proto.dims), prefix + proto.name
    if any(size < 0 for size in shape):
        raise BadInput(f"{file}: {proto.name}", f"has the sizes {list(shape)}", "export it again")
    check_sizes(str(file), proto.name, shape)
    size = math.prod(shape)
    parameters.store(source, size, proto.data_type, is_number=not shape)
    return Tensor(
        proto.name,
        shape,
        proto.data_type,
        constant=True,
        value=_value(proto, file.parent, size),
        sources=frozenset({source}),
        bits=bits_of(proto.data_type),
    )


def _value(proto: Any, folder: Path, size: int) -> NDArray | None:
    """The elements of a small tensor; None of a large one, or where its bytes are missing or wrong."""
    import onnx

    most = MOST_EVALUATED if proto.data_type in INTEGER_TYPES else MOST_FLOATS
    if size > most or proto.data_type == onnx.TensorProto.STRING:
        return None
    try:
        array: NDArray = onnx.numpy_helper.to_array(proto, str(folder))
    except Exception:  # of several kinds, as the bytes are missing, too few, or outside the folder
        return None
    return array


def constant(node: Any, prefix: str, parameters: ParameterCount) -> Tensor:
    """What a node Constant makes."""
    import onnx

    name = node.output[0] if node.output else ""
    for attribute in node.attribute:
        if attribute.name == "value":
            proto = attribute.t
            tensor = Tensor(
                name,
                tuple(proto.dims),
                proto.data_type,
                constant=True,
                value=_value(proto, Path(), math.prod(proto.dims)),
                bits=bits_of(proto.data_type),
            )
            break
        if attribute.name == "sparse_value":
            kind = attribute.sparse_tensor.values.data_type
            shape = tuple(attribute.sparse_tensor.dims)
            tensor = Tensor(name, shape, kind, constant=True, bits=bits_of(kind))
            break
        if attribute.name in ("value_int", "value_ints", "value_float", "value_floats"):
            given = onnx.helper.get_attribute_value(attribute)
            kind = "int64" if "int" in attribute.name else "float32"
            array = onnx.numpy_helper.to_array(
                onnx.helper.make_tensor(
                    name,
                    7 if kind == "int64" else 1,
                    [len(given)] if attribute.name.endswith("s") else [],
                    given if attribute.name.endswith("s") else [given],
                )
            )
            tensor = Tensor(
                name, array.shape, 7 if kind == "int64" else 1, constant=True, value=array
            )
            break
    else:
        return Tensor(name, constant=True)
    source = prefix + name
    parameters.made(source, tensor.elements or 0)
    return Tensor(
        name,
        tensor.shape,
        tensor.element_type,
        constant=True,
        value=tensor.value,
        sources=frozenset({source}),
        bits=bits_of(tensor.element_type),
    )
