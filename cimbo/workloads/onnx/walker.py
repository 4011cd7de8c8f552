"""A graph's nodes in order: each one's tensors, and its cost."""

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.workloads.layers import Layer, vector_work
from cimbo.workloads.ledger import Ledger
from cimbo.workloads.onnx import control, stored
from cimbo.workloads.onnx.attention import ATTENTION_PRODUCTS
from cimbo.workloads.onnx.biases import adds_bias, is_weighted_sum
from cimbo.workloads.onnx.constant_sources import sources_of
from cimbo.workloads.onnx.loading import evaluate_size
from cimbo.workloads.onnx.matrix_products import MATRIX_PRODUCTS
from cimbo.workloads.onnx.ones import StoredOnes
from cimbo.workloads.onnx.ordering import in_order
from cimbo.workloads.onnx.parameters import ParameterCount
from cimbo.workloads.onnx.products import Operation, Product, check_product
from cimbo.workloads.onnx.quantised import (
    WIDE_BIAS_INPUTS,
    is_integer_sum,
    is_running_scale,
    not_parameters,
    rescales,
    stored_bits,
)
from cimbo.workloads.onnx.recurrent import RECURRENT_PRODUCTS
from cimbo.workloads.onnx.shapes import NodeInference
from cimbo.workloads.onnx.tensors import Made, Tensor, check_sizes
from cimbo.workloads.onnx.tied import TiedTables
from cimbo.workloads.onnx.vector import VECTOR_FUNCTIONS, VIEW_OPERATORS, is_known, work_of

PRODUCT_RULES = MATRIX_PRODUCTS | ATTENTION_PRODUCTS | RECURRENT_PRODUCTS
Scope = ChainMap[str, Tensor]


class GraphWalker:
    """Walks a graph and its subgraphs.

    Args:
        file: what messages name, and beside which external data lie.
        inference: of single nodes.
        parameters: where stored tensors are counted.
        named: values of the free sizes, for shapes that the file states in their terms.
        read_weights: whether the ones of integer weights are counted, for which their bytes are read.
    """

    def __init__(
        self,
        file: Path,
        inference: NodeInference,
        parameters: ParameterCount,
        named: Mapping[str, int],
        *,
        read_weights: bool = False,
    ) -> None:
        self.file = file
        self.parameters = parameters
        self.ledger = Ledger()
        self._inference = inference
        self._named = named
        self._graphs = 0
        self._made = 0
        self._depths = {0: 0}  # products on the longest way to each layer, itself included
        self._tied = TiedTables(file.parent)
        self._ones = None
        if read_weights:
            self._ones = StoredOnes(file.parent)

    def walk(self, graph: Any, scope: Scope) -> list[Tensor]:
        """Counts a graph.

        Args:
            graph: A GraphProto.
            scope: Tensors by name, the graph's inputs among them; what else it makes is added here.

        Returns:
            What is known of its outputs.

        Raises:
            BadInput: When a node is malformed, or a product's size is unknown; it names the node.
        """
        self._graphs += 1
        if self._graphs == 1:
            prefix = ""
        else:
            prefix = f"{self._graphs}:"
        for tensor in stored.initializers(graph, self.file, prefix, self.parameters):
            scope[tensor.name] = tensor
        for proto in graph.initializer:
            self._tied.store(prefix + proto.name, proto)
            if self._ones is not None:
                self._ones.store(prefix + proto.name, proto)
        stated = {value.name: self._stated(value) for value in (*graph.value_info, *graph.output)}
        for index, node in enumerate(in_order(graph.node)):
            self._visit(
                f"{self.file}: node {node.name or index} ({node.op_type})", node, scope, stated
            )
        return [self._found(str(self.file), value.name, scope) for value in graph.output]

    def fork(self) -> Ledger:
        """Start a ledger of a subgraph's own; returns the one before, to be given back with ``join``."""
        before, self.ledger = self.ledger, Ledger()
        return before

    def join(self, before: Ledger) -> Ledger:
        """Ends a subgraph's ledger and goes on with the one before.

        Args:
            before: What `fork` returned.

        Returns:
            The subgraph's ledger.
        """
        inner, self.ledger = self.ledger, before
        return inner

    def last_layer(self, tensors: Iterable[Tensor | None]) -> int:
        """Finds the layer that ends the longest chain of products that some tensors come from.

        The length decides, and not the order in the file, which quantisers change.

        Args:
            tensors: The tensors; one whose elements are known, such as a shape, comes from no layer.

        Returns:
            The layer's number, of equals the last in the file; 0 where there is none.
        """
        numbers = [t.layer for t in tensors if t is not None and t.value is None]
        return max(numbers, key=lambda number: (self._depths[number], number), default=0)

    def _found(self, where: str, name: str, scope: Scope) -> Tensor:
        if name not in scope:
            raise BadInput(where, f"reads {name}, which nothing makes", "export the network again")
        return scope[name]

    def _stated(self, value: Any) -> Made:
        """What the file itself says of a tensor, in the sizes that are set."""
        tensor = value.type.tensor_type
        if not tensor.HasField("shape"):
            return Made(None, tensor.elem_type)
        sizes = []
        for dim in tensor.shape.dim:
            named = self._named.get(dim.dim_param, evaluate_size(dim.dim_param, self._named))
            if dim.dim_value > 0:
                sizes.append(dim.dim_value)
            else:
                sizes.append(named)
        return Made(tuple(sizes), tensor.elem_type)

    def _visit(self, where: str, node: Any, scope: Scope, stated: Mapping[str, Made]) -> None:
        inputs = tuple(self._found(where, name, scope) if name else None for name in node.input)
        if node.op_type in control.CONTROL_RULES:
            self._branch(control.Branching(where, node, inputs, scope))
            return
        outputs = self._outputs(where, node, inputs, stated)
        self._note_parameters(node, inputs)
        after = self.last_layer(inputs)
        if not all(t.constant or t.value is not None for t in outputs):
            after = self._count(where, node, inputs, outputs)
        weighted = is_weighted_sum(node, inputs)
        for tensor in outputs:
            if tensor.name:
                scope[tensor.name] = replace(tensor, layer=after, weighted_sum=weighted)

    def _branch(self, at: control.Branching) -> None:
        made = control.CONTROL_RULES[at.node.op_type](self, at)
        for name, tensor in zip(at.node.output, made, strict=False):
            at.scope[name] = replace(tensor, name=name)
        for name in at.node.output:
            at.scope.setdefault(name, Tensor(name))

    def _outputs(
        self,
        where: str,
        node: Any,
        inputs: tuple[Tensor | None, ...],
        stated: Mapping[str, Made],
    ) -> tuple[Tensor, ...]:
        if node.op_type == "Constant":
            return (stored.constant(node, f"{self._graphs}:", self.parameters),)
        made = self._inference.made(node, inputs) or [Made(None, 0)] * len(node.output)
        given = [tensor for tensor in inputs if tensor is not None]
        constant = all(tensor.constant for tensor in given)
        if constant:
            sources = sources_of(node, inputs)
        else:
            sources = frozenset[str]()
        outputs = []
        for index, (name, each) in enumerate(zip(node.output, made, strict=True)):
            each = _completed(each, stated.get(name))
            check_sizes(where, name, each.shape)
            outputs.append(
                Tensor(
                    name,
                    each.shape,
                    each.element_type,
                    constant=constant,
                    value=each.value,
                    sources=sources,
                    bits=stored_bits(node, inputs, each),
                    integer_sum=is_integer_sum(node, inputs),
                    scaled_sum=rescales(node, inputs),
                    is_scale=is_running_scale(node, inputs, index),
                )
            )
        _check_reshape(where, node, given, outputs)
        return tuple(outputs)

    def _note_parameters(self, node: Any, inputs: tuple[Tensor | None, ...]) -> None:
        for index in not_parameters(node, inputs):
            tensor = inputs[index] if index < len(inputs) else None
            if tensor is not None and tensor.constant:
                self.parameters.discard(tensor.sources)
        if node.op_type == "Gather" and inputs and inputs[0] is not None:
            self._tied.look_up(inputs[0])
        bias = WIDE_BIAS_INPUTS.get(node.op_type)
        if bias is not None and bias < len(inputs):
            given = inputs[bias]
            if given is not None:
                self.parameters.count_biases(given.sources)

    def _count(
        self,
        where: str,
        node: Any,
        inputs: tuple[Tensor | None, ...],
        outputs: tuple[Tensor, ...],
    ) -> int:
        """Count a node that runs; returns the number of the layer it belongs to."""
        if node.op_type in PRODUCT_RULES:
            if not outputs or not inputs:
                raise BadInput(where, "lacks an input or an output", "export the network again")
            products = PRODUCT_RULES[node.op_type](Operation(where, node, inputs, outputs))
            depth = self._depths[self.last_layer(inputs)]
            for number, product in enumerate(products, 1):
                check_product(where, product)
                name = (node.name or node.output[0]) + product.suffix
                self._made += 1
                self._depths[self._made] = depth + number
                self.ledger.append(self._layer(name, product), self._made)
            if products:
                return self._made
        elif not is_known(node):
            self.ledger.unknown[node.op_type] += 1
        after = self.last_layer(inputs)
        self._add_work(node, inputs, outputs, after)
        return after

    def _add_work(
        self,
        node: Any,
        inputs: tuple[Tensor | None, ...],
        outputs: tuple[Tensor, ...],
        after: int,
    ) -> None:
        work: int | None = 0
        if not rescales(node, inputs) and not adds_bias(node, inputs):
            work = work_of(node, inputs, outputs)
        if work is None:
            self.ledger.unsized[node.op_type] += 1
        parameters = 0
        if self.ledger.holds(after) and node.op_type not in VIEW_OPERATORS:
            parameters = self._claimed_by_vector_work(node, inputs)
        self.ledger.add_work(after, work or 0, parameters)

    def _claimed_by_vector_work(self, node: Any, inputs: tuple[Tensor | None, ...]) -> int:
        """Biases, norms and slopes: trained numbers that a node of the vector unit reads."""
        others = not_parameters(node, inputs)
        on_sum = any(tensor is not None and tensor.scaled_sum for tensor in inputs)
        claimed = 0
        for index, tensor in enumerate(inputs):
            if tensor is None or not tensor.constant or index in others:
                continue
            if not tensor.sources and VECTOR_FUNCTIONS.get(node.op_type) in (
                "requantise",
                "layernorm",
            ):
                claimed += self._claimed(tensor)
            elif on_sum and tensor.shape != ():  # a lone number is of an activation, and no bias
                claimed += self.parameters.claim(tensor.sources)
            else:
                claimed += self.parameters.claim_counted(tensor.sources)
        return claimed

    def _layer(self, name: str, product: Product) -> Layer:
        """Make the layer that computes a product.

        Stored numbers that several nodes share are counted for the first layer that reads them.

        Returns:
            The layer, with its parameters.
        """
        held = product.stationary
        dynamic = not held.constant  # both operands are activations, as in attention
        weights = 0
        weight_ones = 0.0
        if not dynamic:
            weights = self._claimed_weights(product)
            if self._ones is not None:
                weight_ones = self._ones.share(held.sources)
        biases = sum(self._claimed(bias) for bias in product.biases if bias.constant)
        work = vector_work(requantise=product.produced, softmax=product.softmax)
        return Layer(
            name,
            product.kind,
            product.positions,
            product.reduction,
            product.outputs,
            product.groups,
            dynamic=dynamic,
            vector_ops=work,
            inputs=product.moving.elements or 0,
            outputs=product.produced,
            extra_parameters=biases,
            kernel=product.kernel,
            stride=product.stride,
            width=product.width,
            weights=weights,
            weight_bits=product.weight_bits or held.bits,
            activation_bits=product.moving.bits,
            weight_ones=weight_ones,
        )

    def _claimed_weights(self, product: Product) -> int:
        held = product.stationary
        sources = self._tied.original(held.sources)
        self.parameters.discard(held.sources - sources)
        if product.weights is not None:  # packed: several weights an element
            for source in sources:
                self.parameters.made(source, product.weights)
        return self._claimed(replace(held, sources=sources))

    def _claimed(self, tensor: Tensor) -> int:
        """Elements of a constant's stored tensors that nothing claimed before.

        One that a node makes of no stored tensor, such as ConstantOfShape, is its own.

        Returns:
            How many elements.
        """
        if tensor.sources:
            return self.parameters.claim(tensor.sources)
        source = f"{tensor.name} (made)"
        self.parameters.made(source, tensor.elements or 0)
        return self.parameters.claim({source})


def _completed(made: Made, stated: Made | None) -> Made:
    """``made``, with what the file states in the place of what could not be inferred."""
    if stated is None:
        return made
    element_type = made.element_type or stated.element_type
    if made.shape is None:
        return Made(stated.shape, element_type, made.value)
    if None in made.shape and stated.shape is not None and len(stated.shape) == len(made.shape):
        pairs = zip(made.shape, stated.shape, strict=True)
        merged = tuple(mine if mine is not None else theirs for mine, theirs in pairs)
        return Made(merged, element_type, made.value)
    return Made(made.shape, element_type, made.value)


def _check_reshape(where: str, node: Any, given: list[Tensor], made: list[Tensor]) -> None:
    """A file whose inner shapes are fixed at another batch cannot run at this one."""
    if node.op_type != "Reshape" or not given or not made:
        return
    before, after = given[0].elements, made[0].elements
    if before is not None and after is not None and before != after:
        what = f"makes {after} elements of {before}"
        raise BadInput(where, what, "give the sizes it was exported with, or export it again")
