"""If, Loop and Scan: subgraphs that run as their conditions and counts say."""

from collections import ChainMap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cimbo.errors import BadInput
from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.tensors import Tensor

if TYPE_CHECKING:
    from cimbo.workloads.ledger import Ledger
    from cimbo.workloads.onnx.walker import GraphWalker

# Exporters write the largest integer they know where a loop has no limit of its own.
UNLIMITED_TRIPS = 2**31 - 1


@dataclass(frozen=True)
class Branching:
    """A node with subgraphs, and where they find the tensors around them."""

    where: str
    node: Any
    inputs: tuple[Tensor | None, ...]
    scope: ChainMap[str, Tensor]

    def graph(self, name: str) -> Any:
        """Finds a subgraph of the node.

        Args:
            name: Of the attribute that holds it.

        Returns:
            The GraphProto.

        Raises:
            BadInput: When the node has none of that name.
        """
        found = attributes.graph(self.node, name)
        if found is None:
            raise BadInput(self.where, f"lacks its {name}", "export the network again")
        return found


def conditional(walker: "GraphWalker", at: Branching) -> list[Tensor]:
    """Counts If.

    Where shapes decide, it is their branch. Of two branches that the data decide between, it is the
    one with more multiplications, and a note says so.

    Args:
        walker: Counts the branches, in its ledger.
        at: The node.

    Returns:
        What is known of the node's outputs.

    Raises:
        BadInput: When the node lacks a branch, or a branch cannot be counted.
    """
    condition = at.inputs[0] if at.inputs else None
    branches = [at.graph("then_branch"), at.graph("else_branch")]
    if condition is not None and condition.value is not None and condition.value.size == 1:
        if condition.value.ravel()[0]:
            chosen = branches[0]
        else:
            chosen = branches[1]
        return walker.walk(chosen, at.scope.new_child())
    results = []
    for branch in branches:
        before = walker.fork()
        outputs = walker.walk(branch, at.scope.new_child())
        results.append((walker.join(before), outputs))
    ledger, outputs = max(results, key=lambda pair: pair[0].macs)
    ledger.notes.append(
        f"{_short(at)} depends on data: counted is the branch with more multiplications"
    )
    walker.ledger.absorb(ledger, walker.last_layer(at.inputs))
    return [_changing(tensor) for tensor in outputs]


def loop(walker: "GraphWalker", at: Branching) -> list[Tensor]:
    """Counts Loop: its body as often as the trip count says.

    Where the count is unknown the body counts once, and a note says so.

    Args:
        walker: Counts the body, in its ledger.
        at: The node.

    Returns:
        What is known of the node's outputs: carried values, then what the steps stack up.

    Raises:
        BadInput: When the node lacks its body, or the body cannot be counted.
    """
    body = at.graph("body")
    times = _trips(at)
    carried = [_changing(t or Tensor("state")) for t in at.inputs[2:]]
    step, going = Tensor("step", (), 7), Tensor("condition", (), 9, value=_condition(at))
    ledger, outputs = _body(walker, at, body, [step, going, *carried])
    if times is None:
        ledger.notes.append(f"{_short(at)} runs as often as data decide: counted once")
    elif outputs and not outputs[0].constant and outputs[0].value is None:
        ledger.notes.append(f"{_short(at)} may end early: counted {times} times")
    walker.ledger.absorb(
        ledger, walker.last_layer(at.inputs), 1 if times is None else max(times, 0)
    )
    states = outputs[1 : 1 + len(carried)]
    final = [_merged(a, b) for a, b in zip(carried, states, strict=False)]
    return [*final, *(_stacked(each, times, 0) for each in outputs[1 + len(carried) :])]


def _trips(at: Branching) -> int | None:
    """How often a loop runs at most; None where the data decide."""
    limit = at.inputs[0] if at.inputs else None
    if limit is None or limit.value is None:
        return None
    times = int(limit.value.ravel()[0])
    if times < UNLIMITED_TRIPS:
        return times
    return None


def _condition(at: Branching) -> NDArray[Any] | None:
    """A loop's condition before its first step: true where there is none; None where data decide."""
    given = at.inputs[1] if len(at.inputs) > 1 else None
    if given is None:
        return np.array(True)
    return given.value


def scan(walker: "GraphWalker", at: Branching) -> list[Tensor]:
    """Counts Scan: its body once for each slice of the scanned inputs.

    Args:
        walker: Counts the body, in its ledger.
        at: The node.

    Returns:
        What is known of the node's outputs: states, then what the steps stack up.

    Raises:
        BadInput: When the node lacks its body, the number of steps is unknown, or the body cannot
            be counted.
    """
    body, scanned = at.graph("body"), attributes.integer(at.node, "num_scan_inputs", 1)
    states = [_changing(t or Tensor("state")) for t in at.inputs[: len(at.inputs) - scanned]]
    axes = attributes.integers(at.node, "scan_input_axes") or [0] * scanned
    slices, times = [], None
    for tensor, axis in zip(at.inputs[len(states) :], axes, strict=False):
        if (
            tensor is None
            or tensor.shape is None
            or not -len(tensor.shape) <= axis < len(tensor.shape)
        ):
            raise BadInput(at.where, "scans a tensor of unknown shape", "export with static shapes")
        shape = list(tensor.shape)
        times = shape.pop(axis)
        slices.append(replace(_changing(tensor), shape=tuple(shape)))
    if times is None:
        raise BadInput(at.where, "scans an unknown number of steps", "set that size (--set)")
    ledger, outputs = _body(walker, at, body, [*states, *slices])
    walker.ledger.absorb(ledger, walker.last_layer(at.inputs), times)
    made = attributes.integers(at.node, "scan_output_axes") or [0] * len(outputs)
    final = [_merged(a, b) for a, b in zip(states, outputs, strict=False)]
    rest = zip(outputs[len(states) :], made, strict=False)
    return [*final, *(_stacked(each, times, axis) for each, axis in rest)]


def _body(
    walker: "GraphWalker", at: Branching, body: Any, given: Sequence[Tensor]
) -> tuple["Ledger", list[Tensor]]:
    scope = at.scope.new_child()
    for value, tensor in zip(body.input, given, strict=False):
        scope[value.name] = replace(tensor, name=value.name)
    before = walker.fork()
    outputs = walker.walk(body, scope)
    return walker.join(before), outputs


def _changing(tensor: Tensor) -> Tensor:
    """A tensor whose elements another step or branch may change: its value is no longer known."""
    return replace(tensor, constant=False, value=None, sources=frozenset())


def _merged(first: Tensor, last: Tensor) -> Tensor:
    """What a carried tensor is after the loop: its sizes where no step changes them."""
    if first.shape is None or last.shape is None or len(first.shape) != len(last.shape):
        return replace(_changing(last), shape=None)
    pairs = zip(first.shape, last.shape, strict=True)
    return replace(_changing(last), shape=tuple(a if a == b else None for a, b in pairs))


def _stacked(tensor: Tensor, times: int | None, axis: int) -> Tensor:
    if tensor.shape is None:
        return _changing(tensor)
    shape = list(tensor.shape)
    shape.insert(axis % (len(shape) + 1), times)
    return replace(_changing(tensor), shape=tuple(shape))


def _short(at: Branching) -> str:
    return f"{at.node.op_type} {at.node.name or at.node.output[0]}"


CONTROL_RULES: dict[str, Callable[["GraphWalker", Branching], list[Tensor]]] = {
    "If": conditional,
    "Loop": loop,
    "Scan": scan,
}
