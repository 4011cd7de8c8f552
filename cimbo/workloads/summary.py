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
    """Summarise one layer.

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
    """Summarise every layer of a network, in order.

    A network that generates tokens has the layers of the run over its prompt ("prompt.NAME"), then
    those of all steps together ("token.NAME"), which have no parameters of their own.

    Args:
        workload: The network.

    Returns:
        One summary a layer, of the whole batch.
    """
    if workload.loop is None:
        return [summarise(layer) for layer in workload.layers]
    of_prompt = []
    for layer in workload.layers:
        of_prompt.append(summarise(replace(layer, name=f"prompt.{layer.name}")))
    return of_prompt + _of_steps(workload.loop)


def _of_steps(loop: TokenLoop) -> list[LayerSummary]:
    """Summarise the layers of a token loop, over all its steps.

    A layer that runs at several lengths of the cache stands in the step once for each length, under one
    name; its counts are added up.

    Args:
        loop: The token loop.

    Returns:
        One summary a name.
    """
    by_name: dict[str, LayerSummary] = {}
    for layer in loop.step.layers:
        once = summarise(replace(layer, name=f"token.{layer.name}"))
        n_runs = layer.frequency * loop.tokens
        so_far = by_name.get(once.name, replace(once, macs=0, activations=0))
        by_name[once.name] = replace(
            once,
            parameters=0,
            macs=so_far.macs + round(once.macs * n_runs),
            activations=so_far.activations + round(once.activations * n_runs),
        )
    return list(by_name.values())


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
    """Join a simulator's results for each layer with the layer's counts.

    If the simulator gives as many rows as there are layers, they are taken to be in order; else layers
    are found by name.

    Args:
        workload: The network that was simulated.
        layers: The simulator's row for each layer.

    Returns:
        A row for each of ``layers``; where both have a value of the same name, it is the simulator's.
    """
    counted = summaries(workload)
    by_name = {summary.name: summary for summary in counted}
    in_order = len(layers) == len(counted)
    rows = []
    for index, simulated in enumerate(layers):
        summary = counted[index] if in_order else by_name.get(str(simulated.get("name")))
        counts = {} if summary is None else summary.row()
        rows.append({**counts, **simulated})
    return tuple(rows)


def is_onnx(name: str) -> bool:
    """Tell whether a network's name is that of an ONNX file and not of a family.

    Args:
        name: The name.

    Returns:
        True where it ends in .onnx, in letters of either case.
    """
    return name.lower().endswith(".onnx")
