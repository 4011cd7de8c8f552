"""Small ONNX files, made by hand for the tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, save_model

from cimbo.workloads.onnx import from_onnx

Sizes = Sequence[int | str | None]


@dataclass(frozen=True)
class Node:
    """A node: its operator, inputs, outputs and attributes."""

    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    domain: str = ""

    def proto(self) -> Any:
        """As onnx has it."""
        return helper.make_node(
            self.operator,
            self.inputs,
            self.outputs,
            name=self.outputs[0],
            domain=self.domain,
            **self.attributes,
        )


@dataclass(frozen=True)
class Stored:
    """An initializer: its sizes, or its elements, and its type."""

    sizes: Sequence[int] = ()
    elements: Sequence[float] | None = None
    element_type: int = TensorProto.FLOAT

    def proto(self, name: str) -> Any:
        """As onnx has it."""
        sizes = list(self.sizes)
        if self.elements is not None and not sizes:
            sizes = [len(self.elements)]
        count = int(np.prod(sizes, dtype=np.int64))
        elements = [0] * count if self.elements is None else list(self.elements)
        return helper.make_tensor(name, self.element_type, sizes, elements)


def integers(*elements: int) -> Stored:
    """A list of 64-bit integers."""
    return Stored(elements=elements, element_type=TensorProto.INT64)


def number(element: float, element_type: int = TensorProto.FLOAT) -> Stored:
    """A tensor without dimensions."""
    return Stored((), (element,), element_type)


def graph(
    nodes: Sequence[Node],
    inputs: Mapping[str, Sizes],
    stored: Mapping[str, Stored] | None = None,
    *,
    element_type: int = TensorProto.FLOAT,
    outputs: Sequence[str] = (),
) -> Any:
    """A graph whose outputs are the last node's, where none are named."""
    given = [helper.make_tensor_value_info(n, element_type, s) for n, s in inputs.items()]
    names = outputs or nodes[-1].outputs[:1]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    kept = []
    for name, each in (stored or {}).items():
        kept.append(_number(name, each) if _is_number(each) else each.proto(name))
    return helper.make_graph([node.proto() for node in nodes], "g", given, made, kept)


def _is_number(each: Stored) -> bool:
    return (
        not each.sizes
        and each.elements is not None
        and len(each.elements) == 1
        and (each.element_type != TensorProto.INT64)
    )


def _number(name: str, each: Stored) -> Any:
    return helper.make_tensor(name, each.element_type, [], list(each.elements or ()))


def save(folder: Path, made: Any, *, opset: int = 17, producer: str = "test") -> Path:
    """Write a graph to a file."""
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    file = folder / "network.onnx"
    model = helper.make_model(made, opset_imports=opsets, producer_name=producer)
    save_model(model, str(file))
    return file


@dataclass(frozen=True)
class Case:
    """A graph, and what it costs: multiplications, parameters, and multiplications of attention."""

    name: str
    nodes: list[Node]
    inputs: dict[str, list[Any]]
    stored: dict[str, Stored]
    macs: int
    parameters: int
    attention: int = 0
    element_type: int = TensorProto.FLOAT
    opset: int = 17
    kinds: tuple[str, ...] = field(default=())
    warnings: int = 0


def check_case(case: Case, folder: Path) -> None:
    """Read a case's graph, and compare what it costs with what is known by hand."""
    made = graph(case.nodes, case.inputs, case.stored, element_type=case.element_type)
    workload = from_onnx(save(folder, made, opset=case.opset))
    attention = sum(layer.macs for layer in workload.layers if layer.dynamic)
    found = (workload.macs, workload.parameters, attention)
    assert found == (case.macs, case.parameters, case.attention)
    assert len(workload.warnings) == case.warnings
    if case.kinds:
        assert tuple(layer.kind for layer in workload.layers) == case.kinds
