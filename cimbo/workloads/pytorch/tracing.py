"""The layers of a PyTorch module: it runs once, on tensors that have sizes and no elements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves, tree_map

from cimbo.errors import BadInput
from cimbo.workloads.layers import Workload
from cimbo.workloads.pytorch.recorder import Origin, Recorder
from cimbo.workloads.pytorch.recurrent import counted_forward

_DEPENDS_ON_DATA = (
    DataDependentOutputException,
    DynamicOutputShapeException,
    GuardOnDataDependentSymNode,
)


def trace(
    module: torch.nn.Module, *example: Any, batch: int = 1, name: str = "", **named: Any
) -> Workload:
    """Count the layers of a module.

    Nothing is calculated: parameters and example are replaced by tensors without elements, so that a module may be
    larger than memory (make it under ``torch.device("meta")`` then). Every multiplication of matrices is a layer,
    whatever makes it (convolutions, linear layers, matmul, bmm, einsum, attention, LSTM and GRU). An operator that is
    not known counts one operation of the vector unit for each element it makes, and a warning of the workload lists
    these.

    Args:
        module: what is counted, as it runs in evaluation.
        example: what it is called with; of tensors only sizes and types matter.
        batch: inferences that the example holds.
        name: what reports call the workload; the module's class by default.
        named: arguments that it is called with by name.

    Returns:
        The layers in the order in which they run, named after the modules they are in.

    Raises:
        BadInput: the module multiplies no matrices, is not initialised, or decides by elements of its tensors.
    """
    return traced(module, example, named, batch=batch, name=name).workload


@dataclass(frozen=True)
class TracedModule:
    """A module's layers, and the sizes of what goes into each of its parts and comes out, by the part's name.

    ``constant_macs`` are the multiplications of constants alone, which are in no layer.
    """

    workload: Workload
    constant_macs: int
    sizes_through: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]


def traced(
    module: torch.nn.Module,
    example: tuple[Any, ...],
    named: Mapping[str, Any],
    *,
    batch: int = 1,
    name: str = "",
) -> TracedModule:
    """Counts a module's layers as `trace` does, and keeps the sizes between the module's parts.

    Args:
        module: The module.
        example: What it is called with; of tensors only sizes and types matter.
        named: Arguments that it is called with by name.
        batch: Inferences that the example holds.
        name: What reports call the workload; the module's class by default.

    Returns:
        The workload, the multiplications of constants, and the sizes.

    Raises:
        BadInput: When the module multiplies no matrices, is not initialised, or decides by elements
            of its tensors.
    """
    called = name or type(module).__name__
    recorder = _run(module, example, named, called)
    if not recorder.ledger.layers:
        raise BadInput(
            called, "multiplies no matrices", "give a module with a convolution or a linear layer"
        )
    total = sum(parameter.numel() for parameter in module.parameters())
    workload = Workload(
        called,
        tuple(recorder.ledger.layers),
        max(total - recorder.owned, 0),
        batch=batch,
        warnings=tuple(_warnings(recorder)),
    )
    return TracedModule(workload, recorder.constant_macs, recorder.sizes_through)


def _run(
    module: torch.nn.Module, example: tuple[Any, ...], named: Mapping[str, Any], called: str
) -> Recorder:
    """What runs when the module is called with the example."""
    _check_initialised(module, called)
    empty = FakeTensorMode(allow_non_fake_inputs=True)
    sizes = {key: parameter.numel() for key, parameter in module.named_parameters()}
    recorder = Recorder(sizes)
    state = {}
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        state[key] = _without_elements(empty, tensor)
        if key in sizes:
            sources = frozenset({key})
        else:
            sources = frozenset()
        recorder.know(state[key], Origin(True, sources))
    given = tree_map(lambda value: _without_elements(empty, value), (example, dict(named)))
    for tensor in tree_leaves(given):
        if isinstance(tensor, torch.Tensor):
            recorder.know(tensor, Origin(constant=False))
    with _prepared(module, recorder), torch.no_grad(), empty, recorder:
        try:
            torch.func.functional_call(module, state, *given)
        except _DEPENDS_ON_DATA as error:
            what = f"decides by elements of its tensors ({type(error).__name__})"
            todo = "trace a part that does not, or export it to ONNX"
            raise BadInput(called, what, todo) from error
    return recorder


def _check_initialised(module: torch.nn.Module, called: str) -> None:
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            raise BadInput(called, f"{key} has no sizes yet", "run the module once before")


def _without_elements(empty: FakeTensorMode, value: Any) -> Any:
    """A tensor of the same sizes and type; anything else as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    with empty:
        return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="cpu")


@contextmanager
def _prepared(module: torch.nn.Module, recorder: Recorder) -> Iterator[None]:
    """The module in evaluation, telling the recorder which of its parts runs; afterwards all is as it was."""
    training = [each for each in module.modules() if each.training]
    handles: list[Any] = []
    replaced = []
    for path, part in module.named_modules():
        is_layer = bool(path) and not list(part.children()) and hasattr(part, "weight")
        handles.append(part.register_forward_pre_hook(_entering(recorder, path, is_layer)))
        handles.append(part.register_forward_hook(_leaving(recorder), always_call=True))
        if isinstance(part, torch.nn.RNNBase):
            part.forward = counted_forward(recorder, path or "recurrent", part)
            replaced.append(part)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(
        False
    )  # one operator for a whole block of a Transformer
    module.eval()
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()
        for part in replaced:
            del part.forward
        for part in training:
            part.training = True


def _entering(recorder: Recorder, path: str, is_layer: bool) -> Any:
    return lambda part, given: recorder.enter(path, is_layer=is_layer)


def _leaving(recorder: Recorder) -> Any:
    return lambda part, given, made: recorder.leave(given, made)


def _warnings(recorder: Recorder) -> Iterator[str]:
    unknown = recorder.ledger.unknown
    if unknown:
        listed = ", ".join(f"{name} x{count}" for name, count in sorted(unknown.items()))
        yield f"operators not known, counted as one operation an output element: {listed}"
    if recorder.constant_macs:
        yield f"{recorder.constant_macs} multiplications of constants alone are not counted"
