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
    nothing, and its multiplications are in ``constant_macs``. Views share their storage, so an origin belongs to that.

    Args:
        parameters: sizes of the module's parameters, by name.

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
        self._claimed: set[str] = set()
        self._origins: dict[int, Origin] = {}
        self._kept: list[torch.Tensor] = []  # so that no storage's address is used twice
        self._modules: list[tuple[str, bool]] = [("", False)]
        self._names: dict[str, int] = {}
        self._made = 0
        self._paused = False

    # ---- what the module is made of ----------------------------------------------------------------------------------

    def know(self, tensor: torch.Tensor, origin: Origin) -> None:
        """Says where a tensor comes from.

        Args:
            tensor: The tensor; its views share what is said.
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
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

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
            name: Of the layers; each product's suffix is added.
            products: What is multiplied, in order.
            results: Tensors that come out of the last layer counted so far.
        """
        for product in products:
            self._append(name, product)
        for tensor in results:
            self.know(tensor, Origin(False, frozenset(), self._made))

    @property
    def owned(self) -> int:
        """Parameters that layers have."""
        return sum(layer.parameters for layer in self.ledger.layers)

    # ---- what runs ---------------------------------------------------------------------------------------------------

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Run one operator, or what it is made of, and count it."""
        given = kwargs or {}
        if func.namespace != "prim":
            with self:
                taken_apart = func.decompose(*args, **given)
            if taken_apart is not NotImplemented:
                return taken_apart
        made = func(*args, **given)
        if not self._paused:
            self._note(func, _arguments(func, args, given), made)
        return made

    def _note(self, func: Any, arguments: dict[str, Any], made: Any) -> None:
        name = func._schema.name.rpartition("::")[2]
        if func._schema.is_mutable:
            base = name.removesuffix("_")
        else:
            base = name
        results = []
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                results.append(each)
        given = []
        for each in tree_leaves(arguments):
            if isinstance(each, torch.Tensor):
                given.append(each)
        inputs = [self.known(tensor) for tensor in given]
        constant = all(tensor.constant for tensor in inputs)
        sources: frozenset[str] = frozenset()
        after = max((tensor.layer for tensor in inputs), default=0)
        if constant:
            sources = sources.union(*(tensor.sources for tensor in inputs))
        if results:
            call = Call(base, arguments, self.known, results[0])
            after = self._count(func, call, inputs, after)
        for tensor in results:
            self.know(tensor, Origin(constant, sources, after))

    def _count(self, func: Any, call: Call, inputs: Sequence[Tensor], after: int) -> int:
        """Count an operator; returns the number of the layer that it belongs to."""
        constant = all(tensor.constant for tensor in inputs)
        if call.name in PRODUCT_RULES:
            products = PRODUCT_RULES[call.name](call)
            if constant:
                self.constant_macs += sum(_macs(product) for product in products)
                return after
            for product in products:
                self._append(self._name_of(call.name), product)
            return self._made
        if constant or func.is_view or call.name in FREE_OPERATORS:
            return after
        function = VECTOR_FUNCTIONS.get(call.name)
        if function is None:
            self.ledger.unknown[call.name] += 1
        elements = call.produced
        if function == "pool" and inputs:
            elements = inputs[0].elements or 0
        parameters = 0
        if self.ledger.holds(after):
            parameters = sum(self._claim(tensor.sources) for tensor in inputs if tensor.constant)
        self.ledger.add_work(after, vector_work(**{function or "add": elements}), parameters)
        return after

    def _append(self, name: str, product: Product) -> None:
        self._made += 1
        self.ledger.append(self._layer(self._unique(name + product.suffix), product), self._made)

    def _layer(self, name: str, product: Product) -> Layer:
        held = product.stationary
        return Layer(
            name,
            product.kind,
            product.positions,
            product.reduction,
            product.outputs,
            product.groups,
            dynamic=not held.constant,
            vector_ops=vector_work(requantise=product.produced, softmax=product.softmax),
            inputs=product.moving.elements or 0,
            outputs=product.produced,
            extra_parameters=sum(self._claim(bias.sources) for bias in product.biases),
            kernel=product.kernel,
            stride=product.stride,
            width=product.width,
            weights=self._claim(held.sources) if held.constant else 0,
            weight_bits=held.bits,
            activation_bits=product.moving.bits,
            steps=product.steps,
        )

    def _claim(self, sources: Iterable[str]) -> int:
        """Elements of those parameters that no layer has yet."""
        found = set(sources) - self._claimed
        self._claimed |= found
        return sum(self._sizes[source] for source in found)

    def _name_of(self, operator: str) -> str:
        """A layer's name: that of its module, and of the operator where the module is more than this layer."""
        path, is_layer = self._modules[-1]
        if is_layer:
            return path
        if operator.startswith("_scaled_dot_product"):
            operator = "attention"
        if path:
            return f"{path}.{operator}"
        return operator

    def _unique(self, name: str) -> str:
        """``name``, with a number where another layer has it."""
        count = self._names[name] = self._names.get(name, 0) + 1
        if count == 1:
            return name
        return f"{name}#{count}"


def _first_sizes(values: Any) -> tuple[int, ...]:
    """Sizes of the first tensor; none where there is none."""
    for value in tree_leaves(values):
        if isinstance(value, torch.Tensor):
            return tuple(int(size) for size in value.shape)
    return ()


def _address(tensor: torch.Tensor) -> int:
    """What names the storage that a tensor and its views share."""
    return int(tensor.untyped_storage()._cdata)


def _arguments(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments by name."""
    described = func._schema.arguments
    named = {each.name: value for each, value in zip(described, args, strict=False)}
    return named | dict(kwargs)


def _macs(product: Product) -> int:
    return product.groups * product.positions * product.reduction * product.outputs
