"""Operators as a module runs them on tensors without elements, and the layers that they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cimbo.workloads.layers import Layer, vector_work
from cimbo.workloads.ledger import Ledger
from cimbo.workloads.onnx.products import Product
from cimbo.workloads.onnx.tensors import Tensor
from cimbo.workloads.pytorch.operators import (
    FREE_OPERATORS,
    PRODUCT_RULES,
    VECTOR_FUNCTIONS,
    Call,
)


@dataclass(frozen=True)
class Origin:
    """Where the elements of a storage come from.

    Attributes:
        constant: whether nothing that they depend on is an input.
        sources: parameters that a constant was made of.
        layer: number of the last layer that they come from; 0 where they come from none.
    """

    constant: bool = True
    sources: frozenset[str] = frozenset()
    layer: int = 0


class Recorder(TorchDispatchMode):
    """Counts what runs under it.

    A tensor is constant when nothing that it depends on is an input; what is calculated of constants alone costs
    nothing, and its multiplications are in ``constant_macs``. Views share their storage, so an origin is kept for each
    storage, not for each tensor.

    Args:
        parameters: number of elements of each of the module's parameters, by name.

    Attributes:
        ledger: the layers found so far.
        constant_macs: multiply-accumulates of constants alone.
        sizes_through: sizes of the first tensor that goes into each module and that comes out, by the module's name.
    """

    def __init__(self, parameters: Mapping[str, int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ledger = Ledger()
        self.constant_macs = 0
        self.sizes_through: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self._sizes = dict(parameters)
        self._claimed: set[str] = set()  # parameters that a layer has
        self._origins: dict[int, Origin] = {}  # by the address of a storage
        self._kept: list[torch.Tensor] = []  # so that no storage's address is used twice
        self._modules: list[tuple[str, bool]] = [
            ("", False)
        ]  # running now, the innermost last: (name, is a layer)
        self._names: dict[str, int] = {}  # how often each layer's name was used
        self._n_layers = 0
        self._paused = False

    # ---- what the module is made of ----------------------------------------------------------------------------------

    def know(self, tensor: torch.Tensor, origin: Origin) -> None:
        """Keeps where a tensor comes from.

        Args:
            tensor: The tensor; the origin is that of its views, too.
            origin: Where its elements come from.
        """
        self._kept.append(tensor)
        self._origins[_address(tensor)] = origin

    def enter(self, path: str, *, is_layer: bool) -> None:
        """Says that a module starts to run.

        Args:
            path: The module's name.
            is_layer: Whether it is one layer, which then has the module's name.
        """
        self._modules.append((path, is_layer))

    def leave(self, given: Any, made: Any) -> None:
        """Says that the module that started last has ended.

        Args:
            given: What it was called with.
            made: What it returned.
        """
        path, _ = self._modules.pop()
        self.sizes_through[path] = (_first_sizes(given), _first_sizes(made))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing of what runs meanwhile."""
        was_paused = self._paused
        self._paused = True
        try:
            yield
        finally:
            self._paused = was_paused

    def known(self, tensor: torch.Tensor) -> Tensor:
        """Finds what is known of a tensor.

        Args:
            tensor: The tensor; one that was never met is constant.

        Returns:
            Its sizes, bits and origin.
        """
        origin = self._origins.get(_address(tensor), Origin())
        return Tensor(
            "tensor",
            tuple(int(size) for size in tensor.shape),
            constant=origin.constant,
            sources=origin.sources,
            bits=8 * tensor.element_size(),
            layer=origin.layer,
        )

    def add(self, name: str, products: Iterable[Product], results: Iterable[torch.Tensor]) -> None:
        """Counts products that no operator was recorded for.

        Args:
            name: The layers' name, to which each product's suffix is added.
            products: What is multiplied, in order.
            results: Tensors that come out of the last of these layers, or of the last counted before.
        """
        for product in products:
            self._append(name, product)
        for tensor in results:
            self.know(tensor, Origin(False, frozenset(), self._n_layers))

    @property
    def owned(self) -> int:
        """Number of parameters that are in layers, those that the vector unit uses after a layer included."""
        return sum(layer.parameters for layer in self.ledger.layers)

    # ---- what runs ---------------------------------------------------------------------------------------------------

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run one operator, or those that it decomposes into, and count it; torch calls this for each that runs."""
        named = kwargs or {}
        if func.namespace != "prim":
            with self:  # so that the operators that it decomposes into come here in turn
                decomposed = func.decompose(*args, **named)
            if decomposed is not NotImplemented:
                return decomposed
        result = func(*args, **named)
        if not self._paused:
            self._note(func, _arguments(func, args, named), result)
        return result

    def _note(self, func: Any, arguments: dict[str, Any], result: Any) -> None:
        """Count one operator that has run, and keep where its results come from."""
        name = func._schema.name.rpartition("::")[2]
        if func._schema.is_mutable:  # an in-place form, such as add_
            name = name.removesuffix("_")
        results = _tensors_in(result)
        inputs = [self.known(tensor) for tensor in _tensors_in(arguments)]
        constant = all(tensor.constant for tensor in inputs)
        sources: frozenset[str] = frozenset()
        if constant:
            sources = sources.union(*(tensor.sources for tensor in inputs))
        layer = max((tensor.layer for tensor in inputs), default=0)
        if results:
            call = Call(name, arguments, self.known, results[0])
            layer = self._count(func, call, inputs, layer)
        for tensor in results:
            self.know(tensor, Origin(constant, sources, layer))

    def _count(self, func: Any, call: Call, inputs: Sequence[Tensor], after: int) -> int:
        """Count an operator: as layers where it multiplies matrices, else as vector work of a layer before it.

        Args:
            func: The operator as torch has it.
            call: Its name, arguments and first result.
            inputs: What is known of the tensors among its arguments.
            after: Number of the last layer that they come from.

        Returns:
            Number of the last layer that its result comes from.
        """
        constant = all(tensor.constant for tensor in inputs)
        if call.name in PRODUCT_RULES:
            products = PRODUCT_RULES[call.name](call)
            if constant:
                self.constant_macs += sum(_macs(product) for product in products)
                return after
            for product in products:
                self._append(self._name_of(call.name), product)
            return self._n_layers
        if constant or func.is_view or call.name in FREE_OPERATORS:
            return after
        function = VECTOR_FUNCTIONS.get(call.name)
        if function is None:
            self.ledger.unknown[call.name] += 1
        elements = call.produced
        if function == "pool" and inputs:  # pooling reads more elements than it makes
            elements = inputs[0].elements or 0
        parameters = 0
        if self.ledger.holds(after):
            parameters = sum(self._claim(tensor.sources) for tensor in inputs if tensor.constant)
        self.ledger.add_work(after, vector_work(**{function or "add": elements}), parameters)
        return after

    def _append(self, name: str, product: Product) -> None:
        """Add a product to the ledger as the next layer."""
        self._n_layers += 1
        layer = self._layer(self._unique(name + product.suffix), product)
        self.ledger.append(layer, self._n_layers)

    def _layer(self, name: str, product: Product) -> Layer:
        """A product as a layer, which claims the parameters that its weights and biases are made of."""
        weights = product.stationary
        return Layer(
            name=name,
            kind=product.kind,
            px=product.positions,
            reduction=product.reduction,
            columns=product.outputs,
            groups=product.groups,
            dynamic=not weights.constant,
            vector_ops=vector_work(requantise=product.produced, softmax=product.softmax),
            inputs=product.moving.elements or 0,
            outputs=product.produced,
            extra_parameters=sum(self._claim(bias.sources) for bias in product.biases),
            kernel=product.kernel,
            stride=product.stride,
            width=product.width,
            weights=self._claim(weights.sources) if weights.constant else 0,
            weight_bits=weights.bits,
            activation_bits=product.moving.bits,
            steps=product.steps,
        )

    def _claim(self, sources: Iterable[str]) -> int:
        """Give parameters to the layer that reads them first; returns how many elements those have."""
        unclaimed = set(sources) - self._claimed
        self._claimed |= unclaimed
        return sum(self._sizes[source] for source in unclaimed)

    def _name_of(self, operator: str) -> str:
        """A layer's name: that of the module that runs, and of the operator where the module is more than one layer."""
        path, is_layer = self._modules[-1]
        if is_layer:
            return path
        if operator.startswith("_scaled_dot_product"):
            operator = "attention"
        if path:
            return f"{path}.{operator}"
        return operator

    def _unique(self, name: str) -> str:
        """``name``, or "name#2", "name#3", ... where layers have it already."""
        count = self._names.get(name, 0) + 1
        self._names[name] = count
        if count == 1:
            return name
        return f"{name}#{count}"


def _tensors_in(values: Any) -> list[torch.Tensor]:
    """The tensors in ``values``, which may be nested in lists and dictionaries."""
    tensors = []
    for value in tree_leaves(values):
        if isinstance(value, torch.Tensor):
            tensors.append(value)
    return tensors


def _first_sizes(values: Any) -> tuple[int, ...]:
    """The shape of the first tensor in ``values``; () where there is none."""
    for tensor in _tensors_in(values):
        return tuple(int(size) for size in tensor.shape)
    return ()


def _address(tensor: torch.Tensor) -> int:
    """A number that is the same for a tensor and its views alone: the address of the storage that they share."""
    return int(tensor.untyped_storage()._cdata)


def _arguments(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of an operator by the names that its schema gives them."""
    in_schema = func._schema.arguments
    positional = {each.name: value for each, value in zip(in_schema, args, strict=False)}
    return positional | dict(kwargs)


def _macs(product: Product) -> int:
    """Multiply-accumulates of a product."""
    return product.groups * product.positions * product.reduction * product.outputs
