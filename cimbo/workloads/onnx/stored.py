"""Reads the tensors that a file stores: their sizes, and the elements of small ones."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.workloads.onnx.parameters import ParameterCount
from cimbo.workloads.onnx.shapes import MOST_EVALUATED, MOST_FLOATS
from cimbo.workloads.onnx.tensors import (
    FLOAT_TYPE,
    INT64_TYPE,
    INTEGER_TYPES,
    Tensor,
    bits_of,
    check_sizes,
)

# Attributes of the node Constant that hold plain numbers.
_CONSTANT_TYPES = {
    "value_int": INT64_TYPE,
    "value_ints": INT64_TYPE,
    "value_float": FLOAT_TYPE,
    "value_floats": FLOAT_TYPE,
}


# Names that torch's older exporter gives to what it folded; the network's own tensors keep theirs.
_FOLDED_BY_TORCHSCRIPT = "onnx::"
KIND_KEY = "pkg.torch.export.graph_signature.InputSpec.kind"
_FOLDED_FROM = "pkg.onnxscript.optimizer.folded_from"
# What torch.export says of a graph's inputs, a line each: "p_conv_weight: PARAMETER target='conv.weight'".
SIGNATURE_KEY = "pkg.torch.export.ExportedProgram.graph_signature"
# The name that the exporter gives to a result of table[indices]
_LOOKED_UP = re.compile(r"index(_\d+)?")
_SIGNATURE_LINE = re.compile(r"\w+: (?P<kind>[A-Z_]+) target='(?P<name>[^']+)'")


@dataclass(frozen=True)
class Origin:
    """What an exporter wrote about a stored tensor.

    Attributes:
        kind: ``PARAMETER``, ``BUFFER`` or another word of torch.export; empty where the file has none.
        folded_from: names of the tensors that the exporter computed it from.
        folded_kinds: kinds, as above, of those of them that are tensors of the network.
    """

    kind: str = ""
    folded_from: tuple[str, ...] = ()
    folded_kinds: frozenset[str] = frozenset()

    def is_trained(self, name: str, shape: Sequence[int]) -> bool:
        """Tells whether a tensor that no product reads is a parameter, and not a mask, an index or a table.

        torch's older exporter does not say so of tensors that it folded: there a vector, which scales
        channels, is taken for a parameter. A tensor that was looked up in a table by indices, as for
        pairs of positions, is none: it repeats numbers of a smaller table that the file no longer holds.

        Args:
            name: Name of the tensor.
            shape: Its sizes.

        Returns:
            True where it is taken for a parameter.
        """
        if self.folded_kinds:
            is_looked_up = any(_LOOKED_UP.fullmatch(each) for each in (name, *self.folded_from))
            return "PARAMETER" in self.folded_kinds and not is_looked_up
        if self.folded_from:
            return any("." in each for each in self.folded_from)
        if self.kind:
            return self.kind == "PARAMETER"
        is_vector = sum(size > 1 for size in shape) <= 1
        return is_vector or not name.startswith(_FOLDED_BY_TORCHSCRIPT)


def _origins(graph: Any) -> dict[str, Origin]:
    """Name to origin, of the stored tensors about which the exporter wrote anything."""
    kinds = _signature(graph)
    origins = {}
    for value in graph.value_info:
        notes = {entry.key: entry.value for entry in value.metadata_props}
        if notes:
            folded = _listed_names(notes.get(_FOLDED_FROM, ""))
            folded_kinds = frozenset(kinds[name] for name in folded if name in kinds)
            origins[value.name] = Origin(notes.get(KIND_KEY, ""), folded, folded_kinds)
    return origins


def _signature(graph: Any) -> dict[str, str]:
    """Name to kind of the network's tensors, from the exporter's list; empty where it wrote none."""
    for entry in graph.metadata_props:
        if entry.key == SIGNATURE_KEY:
            return {each["name"]: each["kind"] for each in _SIGNATURE_LINE.finditer(entry.value)}
    return {}


def _listed_names(text: str) -> tuple[str, ...]:
    """The names in a text such as "['a', 'b']"."""
    return tuple(re.findall(r"'([^']+)'", text))


def initializers(
    graph: Any, file: Path, prefix: str, parameters: ParameterCount
) -> Iterator[Tensor]:
    """Read the initializers of a graph, and count each stored tensor once.

    Args:
        graph: A GraphProto.
        file: The model's file, beside which external data lie.
        prefix: Tells the names of subgraphs' tensors apart.
        parameters: Where stored tensors are counted.

    Yields:
        What is known of each initializer; the elements of small ones alone are read.

    Raises:
        BadInput: When one has a negative size, or more elements than any network's.
    """
    origins = _origins(graph)
    names = {proto.name for proto in graph.initializer}
    for proto in graph.initializer:
        origin = origins.get(proto.name, Origin())
        counted_as = _counted_as(proto.name, origin, names)
        source = prefix + counted_as
        if counted_as == proto.name:  # otherwise it is counted where its original is read
            _store(proto, source, origin, parameters)
        yield _stored(proto, file, source)
    for sparse in graph.sparse_initializer:
        yield _stored_sparse(sparse, file, prefix, parameters)


def _counted_as(name: str, origin: Origin, names: set[str]) -> str:
    """The name by which a tensor's elements are counted: its original's, where the exporter folded it from just one."""
    originals = [original for original in origin.folded_from if original in names]
    if len(originals) == 1:
        return originals[0]
    return name


def _stored_sparse(sparse: Any, file: Path, prefix: str, parameters: ParameterCount) -> Tensor:
    """What is known of a sparse tensor, which is counted with its zeros."""
    name, element_type, shape = sparse.values.name, sparse.values.data_type, tuple(sparse.dims)
    _check_shape(file, name, shape)
    source = prefix + name
    parameters.store(source, math.prod(shape), element_type)
    return Tensor(
        name,
        shape,
        element_type,
        constant=True,
        sources=frozenset({source}),
        bits=bits_of(element_type),
    )


def _check_shape(file: Path, name: str, shape: tuple[int, ...]) -> None:
    """Refuse negative sizes, and more elements than any network's."""
    if any(size < 0 for size in shape):
        raise BadInput(f"{file}: {name}", f"has the sizes {list(shape)}", "export it again")
    check_sizes(str(file), name, shape)


def _store(proto: Any, source: str, origin: Origin, parameters: ParameterCount) -> None:
    """Count a stored tensor: as a parameter, or as a constant that counts only where a product reads it."""
    size = math.prod(proto.dims)
    if origin.is_trained(proto.name, proto.dims) or not parameters.has_producer:
        parameters.store(source, size, proto.data_type, is_number=not proto.dims)
    else:
        parameters.made(source, size)


def _stored(proto: Any, file: Path, source: str) -> Tensor:
    """What is known of a stored tensor; ``source``: the name by which it is counted."""
    shape = tuple(proto.dims)
    _check_shape(file, proto.name, shape)
    return Tensor(
        proto.name,
        shape,
        proto.data_type,
        constant=True,
        value=_value(proto, file.parent, math.prod(shape)),
        sources=frozenset({source}),
        bits=bits_of(proto.data_type),
    )


def _value(proto: Any, folder: Path, size: int) -> NDArray[Any] | None:
    """The elements of a small tensor; None for a large one, and where its bytes are missing or wrong."""
    import onnx

    if size > _most_elements(proto) or proto.data_type == onnx.TensorProto.STRING:
        return None
    try:
        array: NDArray[Any] = onnx.numpy_helper.to_array(proto, str(folder))
    # onnx raises different errors for bytes that are missing, too few, or outside the folder
    except Exception:
        return None
    return array


def _most_elements(proto: Any) -> int:
    """How many elements a tensor of this type may have for them to be read."""
    if proto.data_type in INTEGER_TYPES:
        return MOST_EVALUATED
    return MOST_FLOATS


def constant(node: Any, prefix: str, parameters: ParameterCount) -> Tensor:
    """Reads the tensor that a node Constant holds.

    Args:
        node: A NodeProto.
        prefix: Tells the names of subgraphs' tensors apart.
        parameters: Where stored tensors are counted.

    Returns:
        What is known of its output; a tensor without a shape where it holds text.
    """
    import onnx

    name = node.output[0] if node.output else ""
    proto = None
    for attribute in node.attribute:
        content = onnx.helper.get_attribute_value(attribute)
        element_type = _CONSTANT_TYPES.get(attribute.name)
        if attribute.name == "value":
            proto = content
        elif attribute.name == "sparse_value":
            sparse = Tensor(name, tuple(content.dims), content.values.data_type)
            return _made(sparse, prefix, parameters)
        elif element_type is not None:
            elements = [content]
            dims: list[int] = []  # a lone number
            if isinstance(content, list | tuple):
                elements = list(content)
                dims = [len(elements)]
            proto = onnx.helper.make_tensor(name, element_type, dims, elements)
    if proto is None:
        return Tensor(name, constant=True)
    shape = tuple(proto.dims)
    value = _value(proto, Path(), math.prod(shape))
    return _made(Tensor(name, shape, proto.data_type, value=value), prefix, parameters)


def _made(tensor: Tensor, prefix: str, parameters: ParameterCount) -> Tensor:
    """A constant that a node holds, with its source; it is a parameter only where a product reads it."""
    source = prefix + tensor.name
    parameters.made(source, tensor.elements or 0)
    bits = bits_of(tensor.element_type)
    return replace(tensor, constant=True, sources=frozenset({source}), bits=bits)
