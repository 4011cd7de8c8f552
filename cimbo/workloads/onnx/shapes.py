"""Infers the outputs of one node from its inputs: shapes, types, and the elements of small tensors."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cimbo.workloads.onnx.contrib_shapes import CONTRIB_SHAPES, FUNCTION_SHAPES
from cimbo.workloads.onnx.tensors import (
    FLOAT_TYPE,
    INT64_TYPE,
    INTEGER_TYPES,
    Made,
    Tensor,
    is_small,
    names,
)

MOST_EVALUATED = 4096  # elements of a tensor whose values are computed
# Values of float tensors are kept up to this size: only scales, as of Resize, are needed
MOST_FLOATS = 64
# Operators on shapes and indices whose values are computed; none is a network's own arithmetic on large tensors.
EVALUATED_OPERATORS = names(
    "Abs Add And ArgMax Cast CastLike Ceil Clip Concat ConstantOfShape CumSum Div Equal Expand Flatten Floor Gather "
    "GatherElements GatherND Greater GreaterOrEqual Identity Less LessOrEqual Max Min Mod Mul Neg NonZero Not OneHot "
    "Or Pow Range Reciprocal ReduceMax ReduceMin ReduceProd ReduceSum Reshape Round ScatterElements ScatterND Sign "
    "Slice Split Sqrt Squeeze Sub Sum Tile TopK Transpose Trilu Unsqueeze Where Xor"
)
# Those of EVALUATED_OPERATORS that keep the elements in their order.
RESHAPING_OPERATORS = names("Flatten Identity Reshape Squeeze Unsqueeze")
# Operators of com.microsoft that make the shapes of a standard operator on their first inputs: its name, and how many inputs.
_AS_STANDARD = {
    "FusedConv": ("Conv", 3),
    "FusedGemm": ("Gemm", 3),
    "QLinearAveragePool": ("AveragePool", 1),
    "QLinearReduceMean": ("ReduceMean", 1),
}
_VALUE_FREE = frozenset(
    {"Shape", "Size"}
)  # operators whose result follows from the input's shape alone


class NodeInference:
    """Infers what single nodes make.

    Args:
        opsets: Domain of operators to its version, as the model imports them.
        ir_version: Version of the model's format.
    """

    def __init__(self, opsets: Mapping[str, int], ir_version: int) -> None:
        import onnx

        self._onnx = onnx
        self._opsets = dict(opsets)
        self._ir_version = ir_version
        make = onnx.helper.make_opsetid
        self._imports = [make(domain, version) for domain, version in opsets.items()]

    def made(self, node: Any, inputs: Sequence[Tensor | None]) -> list[Made] | None:
        """Infers what each output of a node is.

        Args:
            node: A NodeProto.
            inputs: What is known of its inputs.

        Returns:
            Shape, type and, of small ones, elements of each output; None where the operator is
            unknown or misused.
        """
        if node.op_type in _VALUE_FREE and node.domain in ("", "ai.onnx"):
            from_shape = self._from_shape(node, inputs[0])
            if from_shape is not None:
                return [from_shape]
        rule = CONTRIB_SHAPES.get(node.op_type)
        if rule is not None and not self._has_schema(node):
            return self._by_rule(rule, node, inputs)
        if node.op_type in _AS_STANDARD and not self._has_schema(node):
            return self._as_standard(node, inputs)
        made = self._by_schema(node, inputs)
        function = FUNCTION_SHAPES.get(node.op_type)
        if function is not None and (made is None or made[0].shape is None):
            made = self._by_rule(function, node, inputs)
        if made is None or node.op_type not in EVALUATED_OPERATORS:
            return made
        return self._with_values(node, inputs, made)

    def _as_standard(self, node: Any, inputs: Sequence[Tensor | None]) -> list[Made] | None:
        """Infer the outputs of an operator of com.microsoft from those of the standard operator in ``_AS_STANDARD``."""
        name, n_inputs = _AS_STANDARD[node.op_type]
        schema = self._onnx.defs.get_schema(name, self._opsets.get("", 1), "")
        standard = self._onnx.helper.make_node(name, node.input[:n_inputs], node.output)
        attributes = []
        for attribute in node.attribute:
            if attribute.name in schema.attributes:
                attributes.append(attribute)
        standard.attribute.extend(attributes)
        first = inputs[0]
        of_standard = list(inputs[:n_inputs])
        if first is not None:  # the standard operator takes no integers
            of_standard[0] = replace(first, element_type=FLOAT_TYPE)
        made = self._by_schema(standard, of_standard)
        if made is None or first is None:
            return made
        return [Made(output.shape, first.element_type) for output in made]

    def _has_schema(self, node: Any) -> bool:
        """Whether onnx knows the node's operator."""
        return self._schema(node) is not None

    def _schema(self, node: Any) -> Any:
        """onnx's description of a node's operator; None where it knows none."""
        if node.domain == "ai.onnx":
            domain = ""
        else:
            domain = node.domain
        version = self._opsets.get(domain, self._opsets.get(node.domain, 1))
        try:
            return self._onnx.defs.get_schema(node.op_type, version, domain)
        except Exception:  # onnx raises its own kind of error for an unknown operator
            return None

    def _by_rule(
        self, rule: Callable[..., list[Made]], node: Any, inputs: Sequence[Tensor | None]
    ) -> list[Made] | None:
        """What a rule of ours infers; None where it lacks a shape that it needs."""
        try:
            return rule(node, inputs)
        except (TypeError, ValueError, IndexError, AttributeError):
            return None

    def _by_schema(self, node: Any, inputs: Sequence[Tensor | None]) -> list[Made] | None:
        """What onnx infers of a node's outputs; None where it does not know the operator, or the node is wrong."""
        schema = self._schema(node)
        if schema is None:
            return None
        types, data = {}, {}
        for name, tensor in zip(node.input, inputs, strict=True):
            if tensor is None or not tensor.element_type:
                continue
            types[name] = self._type(tensor)
            if tensor.value is not None:
                data[name] = self._onnx.numpy_helper.from_array(tensor.value)
        try:
            types_of_outputs = self._onnx.shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=self._imports, ir_version=self._ir_version
            )
        except Exception:  # onnx raises several kinds of errors for a wrong node
            return None
        return [_read(types_of_outputs.get(name)) for name in node.output]

    def _type(self, tensor: Tensor) -> Any:
        """A tensor's type and, if known, shape as an onnx.TypeProto."""
        sizes = None
        if tensor.shape is not None:
            sizes = list(tensor.shape)
        return self._onnx.helper.make_tensor_type_proto(tensor.element_type, sizes)

    def _from_shape(self, node: Any, tensor: Tensor | None) -> Made | None:
        """What Shape and Size make of a tensor; None where its shape is not known."""
        if tensor is None or tensor.known_shape is None:
            return None
        sizes = list(tensor.known_shape)
        if node.op_type == "Size":
            return Made((), INT64_TYPE, np.array(tensor.elements, dtype=np.int64))
        bounds = {
            each.name: each.i for each in node.attribute
        }  # Shape may take a part of the sizes
        part = sizes[bounds.get("start", 0) : bounds.get("end", len(sizes))]
        return Made((len(part),), INT64_TYPE, np.array(part, dtype=np.int64))

    def _with_values(
        self, node: Any, inputs: Sequence[Tensor | None], made: list[Made]
    ) -> list[Made]:
        """Compute the elements of a node's outputs, where those of its inputs are known and the outputs are small.

        Args:
            node: A NodeProto.
            inputs: What is known of its inputs.
            made: Shapes and types of its outputs.

        Returns:
            The outputs, with their elements where these can be computed and are few.
        """
        given = [tensor for tensor in inputs if tensor is not None]
        if not given or any(tensor.value is None for tensor in given):
            return made
        shapes = []
        for output in made:
            if output.shape is not None:
                shapes.append(tuple(size for size in output.shape if size is not None))
        are_small = all(is_small(shape, MOST_EVALUATED) for shape in shapes)
        # How much NonZero makes depends on its input's elements, but is bounded by their number
        are_known = node.op_type == "NonZero" or all(
            output.shape is not None and None not in output.shape for output in made
        )
        if not are_small or not are_known:
            return made
        if node.op_type in RESHAPING_OPERATORS:
            value = np.asarray(given[0].value)
            if value.size != math.prod(shapes[0]):  # an impossible node
                return made
            values: list[NDArray[Any]] | None = [value.reshape(shapes[0])]
        else:
            values = self._evaluated(node, given)
        if values is None or len(values) != len(made):
            return made
        with_values = []
        for output, value in zip(made, values, strict=True):
            most = MOST_FLOATS
            if output.element_type in INTEGER_TYPES:
                most = MOST_EVALUATED
            kept = value if value.size <= most else None
            with_values.append(Made(value.shape, output.element_type, kept))
        return with_values

    def _evaluated(self, node: Any, given: Sequence[Tensor]) -> list[NDArray[Any]] | None:
        """The elements of a node's outputs by onnx's reference evaluator; None where it fails or they are no numbers."""
        from onnx.reference import ReferenceEvaluator

        names = [name for name in node.input if name]
        feed = {name: tensor.value for name, tensor in zip(names, given, strict=True)}
        try:
            with np.errstate(all="ignore"):
                values = ReferenceEvaluator(node, opsets=self._opsets).run(None, feed)
        except Exception:  # of an impossible value, which may raise anything
            return None
        arrays = [np.asarray(value) for value in values]
        if all(value.dtype.kind in "biuf" for value in arrays):
            return arrays
        return None


def _read(type_proto: Any) -> Made:
    """Shape and element type from an onnx.TypeProto; unknown for None."""
    if type_proto is None or not type_proto.HasField("tensor_type"):
        return Made(None, 0)
    tensor = type_proto.tensor_type
    if not tensor.HasField("shape"):
        return Made(None, tensor.elem_type)
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    return Made(tuple(sizes), tensor.elem_type)
