"""LSTM, GRU and RNN: products with the inputs' weights and with the recurrent ones, at every step."""

from functools import partial

from cimbo.workloads.onnx.products import Operation, Product, Rule, present
from cimbo.workloads.onnx.tensors import Tensor

N_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def recurrent_layer(op: Operation, gates: int, *, transposed: bool = False) -> list[Product]:
    """Reads one layer of LSTM, GRU or RNN, whose directions have weights of their own.

    Inputs as in the schema: 0 the sequences (steps, batch, inputs), or (batch, steps, inputs) at layout 1; 1 the
    weights of the inputs (directions, gates x hidden, inputs); 2 the recurrent weights (directions, gates x hidden,
    hidden), which multiply the state of the step before; 3 biases; 7 of LSTM weights of its peepholes.

    Args:
        op: The node.
        gates: Gates of a unit: 4 of an LSTM, 3 of a GRU, 1 of an RNN.
        transposed: Whether the weights' last two sizes are exchanged (DynamicQuantizeLSTM).

    Returns:
        The product with the inputs' weights, of all steps at once, and that with the recurrent ones,
        step after step.

    Raises:
        BadInput: When a size is unknown, or the weights do not fit the inputs.
    """
    steps, batch, width = op.shape(0, 3)
    if op.integer("layout"):  # the batch stands first
        steps, batch = batch, steps
    directions, columns, inputs = _as_in_schema(op.shape(1, 3), transposed)
    hidden = _as_in_schema(op.shape(2, 3), transposed)[2]
    if inputs != width or columns != gates * hidden:
        raise op.wrong(f"weights {list(op.shape(1))} do not take {width} inputs to {hidden} units")
    vectors = steps * batch
    produced = directions * vectors * columns
    sequences = op.input(0)
    state = Tensor("state", (directions, vectors, hidden), bits=sequences.bits)
    of_inputs = Product(
        kind="linear",
        groups=directions,
        positions=vectors,
        reduction=inputs,
        outputs=columns,
        moving=sequences,
        stationary=op.input(1),
        produced=produced,
        biases=present(op.optional(3)),
        suffix=".input",
    )
    of_state = Product(
        kind="linear",
        groups=directions,
        positions=vectors,
        reduction=hidden,
        outputs=columns,
        moving=state,
        stationary=op.input(2),
        produced=produced,
        biases=present(op.optional(7)) if gates == 4 else (),
        suffix=".recurrent",
        steps=steps,  # each needs the state of the one before
    )
    return [of_inputs, of_state]


def _as_in_schema(shape: tuple[int, ...], transposed: bool) -> tuple[int, ...]:
    """Three sizes in the order of the schema: the last two are exchanged where the weights are stored transposed."""
    if transposed:
        return shape[0], shape[2], shape[1]
    return shape


RECURRENT_PRODUCTS: dict[str, Rule] = {
    "DynamicQuantizeLSTM": partial(recurrent_layer, gates=4, transposed=True)
}
for _name, _gates in N_GATES.items():
    RECURRENT_PRODUCTS[_name] = partial(recurrent_layer, gates=_gates)
