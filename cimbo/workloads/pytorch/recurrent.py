"""LSTM, GRU and RNN modules, which torch computes step by step: counted from their sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch.nn.utils.rnn import PackedSequence

from cimbo.workloads.onnx.products import Product
from cimbo.workloads.onnx.tensors import Tensor
from cimbo.workloads.pytorch.recorder import Recorder

N_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


@dataclass(frozen=True)
class _Run:
    """One run of a recurrent module.

    Attributes:
        recorder: where its products are counted.
        module: the LSTM, GRU or RNN.
        vectors: steps of all sequences together, each one vector.
        steps: steps of the longest sequence, which follow one another.
        bits: bits of an element of the input.
    """

    recorder: Recorder
    module: Any
    vectors: int
    steps: int
    bits: int

    @property
    def directions(self) -> int:
        """How many directions the sequences are read in: 2 of a bidirectional module, else 1."""
        return 2 if self.module.bidirectional else 1

    @property
    def outputs(self) -> int:
        """Elements of one direction's result at each step."""
        return int(self.module.proj_size or self.module.hidden_size)

    def products(self, layer: int) -> list[Product]:
        """Makes the products of one of the module's layers, each over all steps and directions.

        Args:
            layer: Number of the module's layer, from 0.

        Returns:
            With the weights of the inputs, of the state, and of the projection where there is one.
        """
        products = [self.product("weight_ih", layer, ".input")]
        products.append(self.product("weight_hh", layer, ".recurrent"))
        if self.module.proj_size:
            products.append(self.product("weight_hr", layer, ".projection"))
        return products

    def product(self, weight: str, layer: int, suffix: str) -> Product:
        """Makes the product with one kind of weights, which each direction has of its own (outputs, inputs).

        Args:
            weight: The module's name for the weight, such as "weight_ih".
            layer: Number of the module's layer, from 0.
            suffix: What the counted layer's name ends in.

        Returns:
            One product with a group for each direction, over all steps.
        """
        weights = [self.parameter(weight, layer, direction) for direction in range(self.directions)]
        columns, reduction = weights[0].sizes(weight)
        return Product(
            kind="linear",
            groups=self.directions,
            positions=self.vectors,
            reduction=reduction,
            outputs=columns,
            moving=Tensor("moving", (self.directions, self.vectors, reduction), bits=self.bits),
            stationary=_together(weights),
            produced=self.directions * self.vectors * columns,
            biases=tuple(self.biases(weight, layer)),
            suffix=suffix,
            # Each step of the state needs the one before; the inputs' products wait for nothing.
            steps=0 if weight == "weight_ih" else self.steps,
        )

    def parameter(self, name: str, layer: int, direction: int) -> Tensor:
        """Finds what is known of one of the module's parameters.

        Args:
            name: The module's name for it, such as "weight_ih".
            layer: Number of the module's layer, from 0.
            direction: 0: forward, 1: reverse.

        Returns:
            Its sizes, bits and origin.
        """
        return self.recorder.known(getattr(self.module, _parameter_name(name, layer, direction)))

    def biases(self, weight: str, layer: int) -> Iterator[Tensor]:
        """Finds what is added to the product with a weight.

        Args:
            weight: The module's name for the weight, such as "weight_ih".
            layer: Number of the module's layer, from 0.

        Yields:
            The bias of each direction; nothing where the module has none.
        """
        bias = weight.replace("weight", "bias")
        for direction in range(self.directions):
            if self.module.bias and weight != "weight_hr":  # the projection has no bias
                yield self.parameter(bias, layer, direction)


def counted_forward(recorder: Recorder, path: str, module: Any) -> Callable[..., Any]:
    """Makes a function to run in the place of a recurrent module's own forward.

    Args:
        recorder: Where the products are counted.
        path: The module's name.
        module: The LSTM, GRU or RNN.

    Returns:
        A function with the module's arguments that counts its products and returns tensors of the
        right sizes.
    """

    def forward(given: Any, state: Any = None) -> Any:
        """Counts all layers and directions, and makes result and states without elements.

        Args:
            given: Sequences (steps, batch, inputs), (batch, steps, inputs), or packed.
            state: The first state, which does not change what is counted.

        Returns:
            What the module's own forward returns, of the same sizes.
        """
        data: Any = given
        if isinstance(given, PackedSequence):
            data = given.data
        vectors = data.numel() // data.shape[-1]
        steps = _steps(module, given)
        run = _Run(recorder, module, vectors, steps, bits=8 * data.element_size())
        for layer in range(module.num_layers):
            recorder.add(f"{path}.{layer}", run.products(layer), results=[])
        with recorder.paused():
            result = data.new_empty((*data.shape[:-1], run.directions * run.outputs))
            hidden = _state(module, given, run.outputs)
            cell = _state(module, given, module.hidden_size)
        recorder.add(path, products=[], results=[result, hidden, cell])
        if module.mode == "LSTM":
            states = (hidden, cell)
        else:
            states = hidden
        if isinstance(given, PackedSequence):
            result = PackedSequence(result, *given[1:])
        return result, states

    return forward


def _steps(module: Any, given: Any) -> int:
    """Steps of the longest of the sequences ``given``: packed, or (steps, batch, inputs), batch first or without a batch."""
    if isinstance(given, PackedSequence):
        return len(given.batch_sizes)
    if given.dim() == 3 and module.batch_first:
        return int(given.shape[1])
    return int(given.shape[0])


def _parameter_name(name: str, layer: int, direction: int) -> str:
    """torch's name of a parameter, such as "weight_ih_l0" forward and "weight_ih_l0_reverse" in reverse."""
    return f"{name}_l{layer}{'_reverse' if direction else ''}"


def _together(weights: list[Tensor]) -> Tensor:
    """The weights of all directions as one stationary operand."""
    sources = frozenset().union(*(each.sources for each in weights))
    return Tensor("weights", constant=True, sources=sources, bits=weights[0].bits)


def _state(module: Any, given: Any, size: int) -> Any:
    """A state after the last step: (layers x directions, batch, size), or without the batch where ``given`` has none."""
    n_states = module.num_layers * (2 if module.bidirectional else 1)
    if isinstance(given, PackedSequence):
        return given.data.new_empty((n_states, int(given.batch_sizes[0]), size))
    if given.dim() == 2:
        return given.new_empty((n_states, size))
    if module.batch_first:
        batch = given.shape[0]
    else:
        batch = given.shape[1]
    return given.new_empty((n_states, batch, size))
