"""If, Loop and Scan: subgraphs that run as their conditions and counts say."""

from collections import ChainMap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.tensors import BOOL_TYPE, INT64_TYPE, Tensor

if TYPE_CHECKING:
    from cimbo.workloads.ledger import Ledger
    from cimbo.workloads.onnx.walker import GraphWalker

# Exporters write the largest integer they know where a loop has no limit of its own.
UNLIMITED_TRIPS = 2**31 - 1


@dataclass(frozen=True)
class Branching:
    """A node with subgraphs.

    Attributes:
        where: The node, for messages.
        node: Its NodeProto.
        inputs: What is known of its inputs.
        scope: Tensors by name, which the subgraphs may read.
    """

    where: str
    node: Any
    inputs: tuple[Tensor | None, ...]
    scope: ChainMap[str, Tensor]

    def graph(self, name: str) -> Any:
        """Finds a subgraph of the node.

        Args:
            name: Name of the attribute that holds it.

        Returns:
            The GraphProto.

        Raises:
            BadInput: When the node has none of that name.
        """
        subgraph = attributes.graph(self.node, name)
        if subgraph is None:
            raise BadInput(self.where, f"lacks its {name}", "export the network again")
        return subgraph


def conditional(walker: "GraphWalker", op: Branching) -> list[Tensor]:
    """Counts an If.

    Where the condition follows from shapes, its branch is counted. Where it depends on data, the branch
    with more multiplications is counted, and a note says so.

    Args:
        walker: Counts the branches, in its ledger.
        op: The node.

    Returns:
        What is known of the node's outputs.

    Raises:
        BadInput: When the node lacks a branch, or a branch cannot be counted.
    """
    condition = op.inputs[0] if op.inputs else None
    branches = [op.graph("then_branch"), op.graph("else_branch")]
    if condition is not None and condition.value is not None and condition.value.size == 1:
        if condition.value.ravel()[0]:
            chosen = branches[0]
        else:
            chosen = branches[1]
        return walker.walk(chosen, op.scope.new_child())
    results = []
    for branch in branches:
        before = walker.fork()
        outputs = walker.walk(branch, op.scope.new_child())
        results.append((walker.join(before), outputs))
    ledger, outputs = max(results, key=lambda pair: pair[0].macs)
    ledger.notes.append(
        f"{_short(op)} depends on data: counted is the branch with more multiplications"
    )
    walker.ledger.absorb(ledger, walker.last_layer(op.inputs))
    return [_changing(tensor) for tensor in outputs]


def loop(walker: "GraphWalker", op: Branching) -> list[Tensor]:
    """Counts a Loop: its body as often as its trip count says, run after run where values are carried over.

    Where the trip count is unknown the body counts once, and a note says so.

    Args:
        walker: Counts the body, in its ledger.
        op: The node.

    Returns:
        What is known of the node's outputs: carried values, then what the steps stack up.

    Raises:
        BadInput: When the node lacks its body, or the body cannot be counted.
    """
    body = op.graph("body")
    times = _trips(op)
    # Inputs of a Loop: trip count, condition, carried states. Those of its body: number of the step,
    # condition, states. Outputs of the body: condition, states, and what is stacked up step by step.
    carried = [_changing(t or Tensor("state")) for t in op.inputs[2:]]
    step = Tensor("step", (), INT64_TYPE)
    condition = Tensor("condition", (), BOOL_TYPE, value=_condition(op))
    ledger, outputs = _body(walker, op, body, [step, condition, *carried])
    if times is None:
        ledger.notes.append(f"{_short(op)} runs as often as data decide: counted once")
    elif outputs and not outputs[0].constant and outputs[0].value is None:
        ledger.notes.append(f"{_short(op)} may end early: counted {times} times")
    runs = 1 if times is None else max(times, 0)
    layer_before = walker.last_layer(op.inputs)
    walker.ledger.absorb(ledger, layer_before, runs, is_serial=bool(carried))
    states = outputs[1 : 1 + len(carried)]
    final = [_merged(before, after) for before, after in zip(carried, states, strict=False)]
    stacked = [_stacked(output, times, 0) for output in outputs[1 + len(carried) :]]
    return [*final, *stacked]


def _trips(op: Branching) -> int | None:
    """How often a loop runs at most, by its input 0; None where the data decide, or where it has no limit."""
    limit = op.inputs[0] if op.inputs else None
    if limit is None or limit.value is None:
        return None
    most_trips = int(limit.value.ravel()[0])
    if most_trips < UNLIMITED_TRIPS:
        return most_trips
    return None


def _condition(op: Branching) -> NDArray[Any] | None:
    """The value of a loop's condition before its first step: true where there is none; None where data decide."""
    condition = op.inputs[1] if len(op.inputs) > 1 else None
    if condition is None:
        return np.array(True)
    return condition.value


def scan(walker: "GraphWalker", op: Branching) -> list[Tensor]:
    """Counts a Scan: its body once for each slice of the scanned inputs, one after the other where it has states.

    Args:
        walker: Counts the body, in its ledger.
        op: The node.

    Returns:
        What is known of the node's outputs: states, then what the steps stack up.

    Raises:
        BadInput: When the node lacks its body, the number of steps is unknown, or the body cannot
            be counted.
    """
    body = op.graph("body")
    # Inputs and outputs of a Scan: states, then tensors that are scanned, or stacked up
    n_scanned = attributes.integer(op.node, "num_scan_inputs", 1)
    states = [_changing(t or Tensor("state")) for t in op.inputs[: len(op.inputs) - n_scanned]]
    axes = attributes.integers(op.node, "scan_input_axes") or [0] * n_scanned
    slices: list[Tensor] = []
    times = None
    for tensor, axis in zip(op.inputs[len(states) :], axes, strict=False):
        if (
            tensor is None
            or tensor.shape is None
            or not -len(tensor.shape) <= axis < len(tensor.shape)
        ):
            raise BadInput(op.where, "scans a tensor of unknown shape", "export with static shapes")
        shape = list(tensor.shape)
        times = shape.pop(axis)
        slices.append(replace(_changing(tensor), shape=tuple(shape)))
    if times is None:
        raise BadInput(op.where, "scans an unknown number of steps", "set that size (--set)")
    ledger, outputs = _body(walker, op, body, [*states, *slices])
    walker.ledger.absorb(ledger, walker.last_layer(op.inputs), times, is_serial=bool(states))
    output_axes = attributes.integers(op.node, "scan_output_axes") or [0] * len(outputs)
    final = [_merged(before, after) for before, after in zip(states, outputs, strict=False)]
    slices_and_axes = zip(outputs[len(states) :], output_axes, strict=False)
    stacked = [_stacked(output, times, axis) for output, axis in slices_and_axes]
    return [*final, *stacked]


def _body(
    walker: "GraphWalker", op: Branching, body: Any, inputs: Sequence[Tensor]
) -> tuple["Ledger", list[Tensor]]:
    """Count the body of a loop once, in a ledger of its own; gives that ledger and what is known of its outputs."""
    scope = op.scope.new_child()
    for value, tensor in zip(body.input, inputs, strict=False):
        scope[value.name] = replace(tensor, name=value.name)
    before = walker.fork()
    outputs = walker.walk(body, scope)
    return walker.join(before), outputs


def _changing(tensor: Tensor) -> Tensor:
    """A tensor whose elements another step or branch may change: its value is no longer known."""
    return replace(tensor, constant=False, value=None, sources=frozenset())


def _merged(first: Tensor, last: Tensor) -> Tensor:
    """What is known of a carried tensor after the loop: those sizes that the first step does not change."""
    if first.shape is None or last.shape is None or len(first.shape) != len(last.shape):
        return replace(_changing(last), shape=None)
    pairs = zip(first.shape, last.shape, strict=True)
    return replace(_changing(last), shape=tuple(a if a == b else None for a, b in pairs))


def _stacked(tensor: Tensor, times: int | None, axis: int) -> Tensor:
    """A tensor that every step makes, stacked up along a new axis; ``times`` is None where that is unknown."""
    if tensor.shape is None:
        return _changing(tensor)
    shape = list(tensor.shape)
    shape.insert(axis % (len(shape) + 1), times)
    return replace(_changing(tensor), shape=tuple(shape))


def _short(op: Branching) -> str:
    """A node in a note: its operator and name."""
    return f"{op.node.op_type} {op.node.name or op.node.output[0]}"


CONTROL_RULES: dict[str, Callable[["GraphWalker", Branching], list[Tensor]]] = {
    "If": conditional,
    "Loop": loop,
    "Scan": scan,
}
