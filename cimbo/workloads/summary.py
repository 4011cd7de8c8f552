"""A workload as a table that anyone can check: what each layer multiplies, holds and moves, and in how many bits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from cimbo.workloads.layers import Layer, TokenLoop, Workload

_COUNT_COLUMNS = ("kind", "macs", "parameters", "activations", "weight_bits", "activation_bits")


@dataclass(frozen=True)
class LayerSummary:
    """One layer's counts, of the whole batch.

    Attributes:
        name: of the layer.
        kind: conv, depthwise, linear or attention.
        macs: multiply-accumulates.
        parameters: trained numbers: weights that no earlier layer holds, biases and norms.
        weights: elements of the stationary operand; in attention these are activations.
        activations: elements that go in and come out.
        weight_bits: bits of a weight as the layer says them: without a chip, those of the file; None
            where nothing says so.
        activation_bits: bits of an activation likewise.
        positions: vectors that meet each group's stationary operand (M of the matrix product).
        reduction: elements of a vector (K).
        outputs: columns of the stationary operand (N).
        groups: independent products.
    """

    name: str
    kind: str
    macs: int
    parameters: int
    weights: int
    activations: int
    weight_bits: int | None
    activation_bits: int | None
    positions: int
    reduction: int
    outputs: int
    groups: int

    def row(self) -> dict[str, Any]:
        """The counts by name."""
        return asdict(self)


COUNTED_FIELDS = frozenset(field.name for field in fields(LayerSummary))


def summarise(layer: Layer) -> LayerSummary:
    """Take one layer's counts.

    Args:
        layer: The layer.

    Returns:
        Its counts, of the whole batch.
    """
    return LayerSummary(
        name=layer.name,
        kind=layer.kind,
        macs=layer.macs,
        parameters=layer.parameters,
        weights=layer.stationary,
        activations=layer.inputs + layer.outputs,
        weight_bits=layer.weight_bits or None,
        activation_bits=layer.activation_bits or None,
        positions=layer.px,
        reduction=layer.reduction,
        outputs=layer.columns,
        groups=layer.groups,
    )


def summaries(workload: Workload) -> list[LayerSummary]:
    """Take every layer's counts, in order.

    Of a network that generates tokens, the layers of the prompt's run ("prompt.NAME"), then those
    of all steps together ("token.NAME"), whose weights are the prompt's.

    Args:
        workload: The network.

    Returns:
        One summary a layer, of the whole batch.
    """
    if workload.loop is None:
        return [summarise(layer) for layer in workload.layers]
    found = []
    for layer in workload.layers:
        found.append(summarise(replace(layer, name=f"prompt.{layer.name}")))
    return found + _of_steps(workload.loop)


def _of_steps(loop: TokenLoop) -> list[LayerSummary]:
    """Counts of all steps together; a layer that runs at several lengths of the cache is one."""
    found: dict[str, LayerSummary] = {}
    for layer in loop.step.layers:
        own = summarise(replace(layer, name=f"token.{layer.name}"))
        times = layer.frequency * loop.tokens
        before = found.get(own.name, replace(own, macs=0, activations=0))
        found[own.name] = replace(
            own,
            parameters=0,
            macs=before.macs + round(own.macs * times),
            activations=before.activations + round(own.activations * times),
        )
    return list(found.values())


def totals(workload: Workload) -> dict[str, int]:
    """Sum a whole workload's counts.

    Args:
        workload: The network.

    Returns:
        ``macs``, ``parameters``, ``activations`` and ``batch``; the counts are of the whole batch.
    """
    return {
        "macs": workload.macs,
        "parameters": workload.parameters,
        "activations": sum(each.activations for each in summaries(workload)),
        "batch": workload.batch,
    }


def counts_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the columns that count a network's work and size.

    Args:
        row: A layer's row, or `totals`.

    Returns:
        Each such column to its count; None where ``row`` has no such count.
    """
    return {name: row.get(name) for name in _COUNT_COLUMNS}


def with_counts(
    workload: Workload, layers: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], ...]:
    """Join what a simulator says of each layer with the layer's counts.

    A simulator that answers as many layers as there are answers them in order; of any other, layers
    are found by name.

    Args:
        workload: The network that was simulated.
        layers: What the simulator says of each layer.

    Returns:
        A row for each of ``layers``; what the simulator says takes the place of a count of the same
        name.
    """
    counted = summaries(workload)
    by_name = {each.name: each for each in counted}
    in_order = len(layers) == len(counted)
    rows = []
    for index, said in enumerate(layers):
        own = counted[index] if in_order else by_name.get(str(said.get("name")))
        counts = {} if own is None else own.row()
        rows.append({**counts, **said})
    return tuple(rows)


def is_onnx(name: str) -> bool:
    """Tell whether a network's name is that of an ONNX file and not of a family.

    Args:
        name: The name.

    Returns:
        True where it ends in .onnx, in letters of either case.
    """
    return name.lower().endswith(".onnx")
