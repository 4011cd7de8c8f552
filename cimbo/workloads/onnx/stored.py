"""Tensors that a file stores: their sizes, and the elements of the small ones alone."""

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
        kind: ``PARAMETER``, ``BUFFER`` or another word of torch.export; empty where nothing is said.
        folded_from: names of what the exporter calculated it from.
        folded_kinds: words of torch.export for those of them that are tensors of the network.
    """

    kind: str = ""
    folded_from: tuple[str, ...] = ()
    folded_kinds: frozenset[str] = frozenset()

    def is_trained(self, name: str, shape: Sequence[int]) -> bool:
        """Tells whether a tensor that no product reads is a parameter of the network.

        Otherwise it is a mask, an index or a table. Of what torch's older exporter folded nothing
        says so: there a vector, which scales channels, is taken for a parameter. What was looked up
        in a table by indices, as for pairs of positions, repeats the numbers of a smaller table that
        the file no longer holds.

        Args:
            name: Of the tensor.
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
    found, kinds = {}, _signature(graph)
    for value in graph.value_info:
        notes = {each.key: each.value for each in value.metadata_props}
        if notes:
            folded = _listed_names(notes.get(_FOLDED_FROM, ""))
            folded_kinds = frozenset(kinds[each] for each in folded if each in kinds)
            found[value.name] = Origin(notes.get(KIND_KEY, ""), folded, folded_kinds)
    return found


def _signature(graph: Any) -> dict[str, str]:
    """Kinds of the network's tensors by name, where the exporter lists them."""
    for entry in graph.metadata_props:
        if entry.key == SIGNATURE_KEY:
            return {each["name"]: each["kind"] for each in _SIGNATURE_LINE.finditer(entry.value)}
    return {}


def _listed_names(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"'([^']+)'", text))


def initializers(
    graph: Any, file: Path, prefix: str, parameters: ParameterCount
) -> Iterator[Tensor]:
    """Reads the initializers of a graph.

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
    origins, names = _origins(graph), {proto.name for proto in graph.initializer}
    for proto in graph.initializer:
        origin = origins.get(proto.name, Origin())
        same = [each for each in origin.folded_from if each in names]
        source = prefix + (same[0] if len(same) == 1 else proto.name)
        if source == prefix + proto.name:
            _store(proto, source, origin, parameters)
        yield _stored(proto, file, source)
    for sparse in graph.sparse_initializer:
        shape, kind = tuple(sparse.dims), sparse.values.data_type
        source = prefix + sparse.values.name
        parameters.store(source, math.prod(shape), kind)
        sources = frozenset({source})
        name, bits = sparse.values.name, bits_of(kind)
        yield Tensor(name, shape, kind, constant=True, sources=sources, bits=bits)


def _store(proto: Any, source: str, origin: Origin, parameters: ParameterCount) -> None:
    size = math.prod(proto.dims)
    if origin.is_trained(proto.name, proto.dims) or not parameters.has_producer:
        parameters.store(source, size, proto.data_type, is_number=not proto.dims)
    else:
        parameters.made(source, size)


def _stored(proto: Any, file: Path, source: str) -> Tensor:
    shape = tuple(proto.dims)
    if any(size < 0 for size in shape):
        raise BadInput(f"{file}: {proto.name}", f"has the sizes {list(shape)}", "export it again")
    check_sizes(str(file), proto.name, shape)
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
    """The elements of a small tensor; None of a large one, or where its bytes are missing or wrong."""
    import onnx

    if size > _most_elements(proto) or proto.data_type == onnx.TensorProto.STRING:
        return None
    try:
        array: NDArray[Any] = onnx.numpy_helper.to_array(proto, str(folder))
    # The kind depends on whether bytes are missing, too few, or outside the folder
    except Exception:
        return None
    return array


def _most_elements(proto: Any) -> int:
    """How many elements of a tensor are read at most."""
    if proto.data_type in INTEGER_TYPES:
        return MOST_EVALUATED
    return MOST_FLOATS


def constant(node: Any, prefix: str, parameters: ParameterCount) -> Tensor:
    """Reads what a node Constant makes.

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
        given = onnx.helper.get_attribute_value(attribute)
        kind = _CONSTANT_TYPES.get(attribute.name)
        if attribute.name == "value":
            proto = given
        elif attribute.name == "sparse_value":
            shape, kind = tuple(given.dims), given.values.data_type
            return _made(Tensor(name, shape, kind), prefix, parameters)
        elif kind is not None:
            several = isinstance(given, list | tuple)
            elements = list(given) if several else [given]
            proto = onnx.helper.make_tensor(name, kind, [len(elements)] * several, elements)
    if proto is None:
        return Tensor(name, constant=True)
    shape = tuple(proto.dims)
    value = _value(proto, Path(), math.prod(shape))
    return _made(Tensor(name, shape, proto.data_type, value=value), prefix, parameters)


def _made(tensor: Tensor, prefix: str, parameters: ParameterCount) -> Tensor:
    """A constant that a node holds: a source, but a parameter only where a product reads it."""
    source = prefix + tensor.name
    parameters.made(source, tensor.elements or 0)
    bits = bits_of(tensor.element_type)
    return replace(tensor, constant=True, sources=frozenset({source}), bits=bits)
