"""Goes through a graph's nodes in order: infers each one's tensors, and counts its cost."""

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
from cimbo.workloads.onnx.tensors import Made, Tensor, check_sizes, completed
from cimbo.workloads.onnx.tied import TiedTables
from cimbo.workloads.onnx.vector import VECTOR_FUNCTIONS, VIEW_OPERATORS, is_known, work_of

PRODUCT_RULES = MATRIX_PRODUCTS | ATTENTION_PRODUCTS | RECURRENT_PRODUCTS
Scope = ChainMap[str, Tensor]


class GraphWalker:
    """Counts a graph and its subgraphs.

    Args:
        file: The file, for messages; external data lie beside it.
        inference: Infers the outputs of single nodes.
        parameters: Where stored tensors are counted.
        named: Name to value of the free sizes, for shapes that the file states by these names.
        read_weights: Whether the bits that are one in integer weights are counted, for which their bytes are read.
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
        self._unsized_by: dict[str, str] = {}  # tensor -> the unknown operator that hides its sizes
        self.parameters = parameters
        self.ledger = Ledger()
        self._inference = inference
        self._named = named
        self._graphs = 0  # graphs and subgraphs begun so far
        self._made = 0  # layers made so far; a layer's number is its own count
        # Layer's number to the products on the longest way to it, itself included; 0 is no layer
        self._depths = {0: 0}
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
        return [self._looked_up(str(self.file), value.name, scope) for value in graph.output]

    def fork(self) -> Ledger:
        """Start a new ledger for a subgraph; returns the one so far, to be given back to ``join``."""
        before, self.ledger = self.ledger, Ledger()
        return before

    def join(self, before: Ledger) -> Ledger:
        """Ends the ledger of a subgraph and continues with the one before it.

        Args:
            before: What `fork` returned.

        Returns:
            The subgraph's ledger.
        """
        inner, self.ledger = self.ledger, before
        return inner

    def last_layer(self, tensors: Iterable[Tensor | None]) -> int:
        """Finds the layer that some tensors come from: the end of the longest chain of products before them.

        The length of the chain decides, not the order in the file, which quantisers change.

        Args:
            tensors: The tensors. One whose elements are known, such as a shape, comes from no layer.

        Returns:
            The layer's number; of equally long chains the last in the file, 0 where there is no layer.
        """
        numbers = [t.layer for t in tensors if t is not None and t.value is None]
        return max(numbers, key=lambda number: (self._depths[number], number), default=0)

    def _looked_up(self, where: str, name: str, scope: Scope) -> Tensor:
        """The tensor of a name; raises BadInput where nothing has made it."""
        if name not in scope:
            raise BadInput(where, f"reads {name}, which nothing makes", "export the network again")
        return scope[name]

    def _stated(self, value: Any) -> Made:
        """Shape and type that the file states for a tensor; sizes by name have the values that are set, or None."""
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
        """Infer a node's outputs, count its cost, and put the outputs into the scope.

        Args:
            where: The node, for messages.
            node: A NodeProto.
            scope: Tensors by name; the node's outputs are added.
            stated: Name to shape and type, of tensors for which the file states them.
        """
        inputs = tuple(self._looked_up(where, name, scope) if name else None for name in node.input)
        if node.op_type in control.CONTROL_RULES:
            self._branch(control.Branching(where, node, inputs, scope))
            return
        outputs = self._outputs(where, node, inputs, stated)
        self._note_parameters(node, inputs)
        layer = self.last_layer(inputs)
        # What is made of constants and shapes alone costs nothing when the network runs
        if not all(t.constant or t.value is not None for t in outputs):
            layer = self._count(where, node, inputs, outputs)
        self._note_unsized(node, inputs, outputs)
        weighted = is_weighted_sum(node, inputs)
        for tensor in outputs:
            if tensor.name:
                scope[tensor.name] = replace(tensor, layer=layer, weighted_sum=weighted)

    def _branch(self, op: control.Branching) -> None:
        """Count a node with subgraphs, and put its outputs into the scope; an output that is not made has no shape."""
        made = control.CONTROL_RULES[op.node.op_type](self, op)
        for name, tensor in zip(op.node.output, made, strict=False):
            op.scope[name] = replace(tensor, name=name)
        for name in op.node.output:
            op.scope.setdefault(name, Tensor(name))

    def _outputs(
        self,
        where: str,
        node: Any,
        inputs: tuple[Tensor | None, ...],
        stated: Mapping[str, Made],
    ) -> tuple[Tensor, ...]:
        """What is known of a node's outputs: by inference, and where that fails by what the file states."""
        if node.op_type == "Constant":
            return (stored.constant(node, f"{self._graphs}:", self.parameters),)
        made = self._inference.made(node, inputs) or [Made(None, 0)] * len(node.output)
        present = [tensor for tensor in inputs if tensor is not None]
        constant = all(tensor.constant for tensor in present)
        if constant:
            sources = sources_of(node, inputs)
        else:
            sources = frozenset[str]()
        outputs = []
        for index, (name, inferred) in enumerate(zip(node.output, made, strict=True)):
            output = completed(inferred, stated.get(name))
            check_sizes(where, name, output.shape)
            outputs.append(
                Tensor(
                    name,
                    output.shape,
                    output.element_type,
                    constant=constant,
                    value=output.value,
                    sources=sources,
                    bits=stored_bits(node, inputs, output),
                    integer_sum=is_integer_sum(node, inputs),
                    scaled_sum=rescales(node, inputs),
                    is_scale=is_running_scale(node, inputs, index),
                )
            )
        _check_reshape(where, node, present, outputs)
        return tuple(outputs)

    def _note_parameters(self, node: Any, inputs: tuple[Tensor | None, ...]) -> None:
        """Note which of a node's stored inputs are no parameters, tables that are looked up, or wide biases."""
        for index in not_parameters(node, inputs):
            tensor = inputs[index] if index < len(inputs) else None
            if tensor is not None and tensor.constant:
                self.parameters.discard(tensor.sources)
        if node.op_type == "Gather" and inputs and inputs[0] is not None:
            self._tied.look_up(inputs[0])
        bias_index = WIDE_BIAS_INPUTS.get(node.op_type)
        if bias_index is not None and bias_index < len(inputs):
            bias = inputs[bias_index]
            if bias is not None:
                self.parameters.count_biases(bias.sources)

    def _count(
        self,
        where: str,
        node: Any,
        inputs: tuple[Tensor | None, ...],
        outputs: tuple[Tensor, ...],
    ) -> int:
        """Count a node that runs: its products become layers; other work is added to the layer before it.

        Args:
            where: The node, for messages.
            node: A NodeProto.
            inputs: What is known of its inputs.
            outputs: What is known of its outputs.

        Returns:
            The number of the layer that the node belongs to; 0 for none.
        """
        if node.op_type in PRODUCT_RULES:
            if not outputs or not inputs:
                raise BadInput(where, "lacks an input or an output", "export the network again")
            try:
                products = PRODUCT_RULES[node.op_type](Operation(where, node, inputs, outputs))
            except BadInput as error:
                raise self._naming_unknown(error, inputs) from None
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
        layer = self.last_layer(inputs)
        self._add_work(node, inputs, outputs, layer)
        return layer

    def _note_unsized(
        self, node: Any, inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor, ...]
    ) -> None:
        """Remember which unknown operator leaves the sizes of tensors unknown."""
        operator = None
        if node.op_type not in PRODUCT_RULES and not is_known(node):
            operator = f"{node.op_type} of {node.domain or 'onnx'}"
        for tensor in inputs:
            if operator is None and tensor is not None:
                operator = self._unsized_by.get(tensor.name)
        if operator is None:
            return
        for tensor in outputs:
            if tensor.known_shape is None:
                self._unsized_by[tensor.name] = operator

    def _naming_unknown(self, error: BadInput, inputs: tuple[Tensor | None, ...]) -> BadInput:
        """The error of a product, with the unknown operator that leaves the sizes of its inputs unknown."""
        for tensor in inputs:
            operator = None if tensor is None else self._unsized_by.get(tensor.name)
            if operator is not None:
                what = f"{error.what}: it comes from the operator {operator}, which cimbo does not know"
                todo = "state the shape of its output in the file (value_info), or leave it out"
                return BadInput(error.where, what, todo)
        return error

    def _add_work(
        self,
        node: Any,
        inputs: tuple[Tensor | None, ...],
        outputs: tuple[Tensor, ...],
        layer: int,
    ) -> None:
        """Add a node's work of the vector unit, and the parameters it reads, to the layer of that number."""
        work: int | None = 0
        # Rescaling is part of requantisation, and a bias of the product: both are counted with it
        if not rescales(node, inputs) and not adds_bias(node, inputs):
            work = work_of(node, inputs, outputs)
        if work is None:
            self.ledger.unsized[node.op_type] += 1
        parameters = 0
        if self.ledger.holds(layer) and node.op_type not in VIEW_OPERATORS:
            parameters = self._claim_by_vector_work(node, inputs)
        self.ledger.add_work(layer, work or 0, parameters)

    def _claim_by_vector_work(self, node: Any, inputs: tuple[Tensor | None, ...]) -> int:
        """How many trained numbers a node of the vector unit reads that nothing read before: biases, norms, slopes."""
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
                claimed += self._claim(tensor)
            elif on_sum and tensor.shape != ():  # a lone number is of an activation, and no bias
                claimed += self.parameters.claim(tensor.sources)
            else:
                claimed += self.parameters.claim_counted(tensor.sources)
        return claimed

    def _layer(self, name: str, product: Product) -> Layer:
        """Make the layer that computes a product.

        Stored numbers that several nodes share are counted for the first layer that reads them.

        Args:
            name: Name of the layer.
            product: The product.

        Returns:
            The layer, with its parameters.
        """
        stationary = product.stationary
        dynamic = not stationary.constant  # both operands are activations, as in attention
        weights = 0
        weight_ones = 0.0
        if not dynamic:
            weights = self._claim_weights(product)
            if self._ones is not None:
                weight_ones = self._ones.share(stationary.sources)
        biases = sum(self._claim(bias) for bias in product.biases if bias.constant)
        work = vector_work(requantise=product.produced, softmax=product.softmax)
        return Layer(
            name,
            product.kind,
            px=product.positions,
            reduction=product.reduction,
            columns=product.outputs,
            groups=product.groups,
            dynamic=dynamic,
            vector_ops=work,
            inputs=product.moving.elements or 0,
            outputs=product.produced,
            extra_parameters=biases,
            kernel=product.kernel,
            stride=product.stride,
            width=product.width,
            weights=weights,
            weight_bits=product.weight_bits or stationary.bits,
            activation_bits=product.moving.bits,
            weight_ones=weight_ones,
            steps=product.steps,
        )

    def _claim_weights(self, product: Product) -> int:
        """How many weights of a product nothing read before; a copy of a table that is looked up counts as that table."""
        stationary = product.stationary
        sources = self._tied.original(stationary.sources)
        self.parameters.discard(stationary.sources - sources)
        if product.weights is not None:  # packed: several weights an element
            for source in sources:
                self.parameters.made(source, product.weights)
        return self._claim(replace(stationary, sources=sources))

    def _claim(self, tensor: Tensor) -> int:
        """Give a constant's stored tensors to the layer that is built now; each is counted once in a network.

        This changes ``parameters``: a second call for the same tensors returns 0.

        Args:
            tensor: The constant.

        Returns:
            Elements of those of its stored tensors that nothing claimed before. A constant that comes
            from no stored tensor, as of ConstantOfShape, counts as one of its own.
        """
        if tensor.sources:
            return self.parameters.claim(tensor.sources)
        own_source = f"{tensor.name} (made)"  # the name of no stored tensor
        self.parameters.made(own_source, tensor.elements or 0)  # registers its size
        return self.parameters.claim({own_source})


def _check_reshape(where: str, node: Any, given: list[Tensor], made: list[Tensor]) -> None:
    """Refuse a Reshape to another number of elements: its shape was fixed at another batch, say."""
    if node.op_type != "Reshape" or not given or not made:
        return
    before, after = given[0].elements, made[0].elements
    if before is not None and after is not None and before != after:
        what = f"makes {after} elements of {before}"
        raise BadInput(where, what, "give the sizes it was exported with, or export it again")
