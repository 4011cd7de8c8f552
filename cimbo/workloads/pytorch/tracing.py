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
    """What was found in one run of a module.

    Attributes:
        workload: its layers.
        constant_macs: multiply-accumulates of constants alone, which are in no layer.
        sizes_through: of each part of the module, by name, the shapes of the first tensor that goes in and of the first
            that comes out.
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
    title = name or type(module).__name__
    recorder = _run(module, example, named, title)
    if not recorder.ledger.layers:
        raise BadInput(
            title, "multiplies no matrices", "give a module with a convolution or a linear layer"
        )
    total = sum(parameter.numel() for parameter in module.parameters())
    workload = Workload(
        title,
        tuple(recorder.ledger.layers),
        max(total - recorder.owned, 0),
        batch=batch,
        warnings=tuple(_warnings(recorder)),
    )
    return TracedModule(workload, recorder.constant_macs, recorder.sizes_through)


def _run(
    module: torch.nn.Module, example: tuple[Any, ...], named: Mapping[str, Any], title: str
) -> Recorder:
    """Call the module with the example, both without elements; returns the recorder of what ran.

    Args:
        module: The module.
        example: Arguments by position.
        named: Arguments by name.
        title: What errors call the module.

    Returns:
        The recorder, with all layers.

    Raises:
        BadInput: When the module is not initialised, or decides by elements of its tensors.
    """
    _check_initialised(module, title)
    empty = FakeTensorMode(allow_non_fake_inputs=True)
    sizes = {key: parameter.numel() for key, parameter in module.named_parameters()}
    recorder = Recorder(sizes)
    state = {}
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        state[key] = _without_elements(empty, tensor)
        sources: frozenset[str] = frozenset()
        if key in sizes:  # a buffer is constant, too, but no parameter
            sources = frozenset({key})
        recorder.know(state[key], Origin(True, sources))
    arguments = tree_map(lambda value: _without_elements(empty, value), (example, dict(named)))
    for tensor in tree_leaves(arguments):
        if isinstance(tensor, torch.Tensor):
            recorder.know(tensor, Origin(constant=False))
    with _prepared(module, recorder), torch.no_grad(), empty, recorder:
        try:
            torch.func.functional_call(module, state, *arguments)
        except _DEPENDS_ON_DATA as error:
            what = f"decides by elements of its tensors ({type(error).__name__})"
            todo = "trace a part that does not, or export it to ONNX"
            raise BadInput(title, what, todo) from error
    return recorder


def _check_initialised(module: torch.nn.Module, title: str) -> None:
    """Refuses a module with lazy parameters, whose sizes torch sets at the first run only."""
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            raise BadInput(title, f"{key} has no sizes yet", "run the module once before")


def _without_elements(empty: FakeTensorMode, value: Any) -> Any:
    """A tensor of the same sizes, strides and type in the mode ``empty``; anything but a tensor as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    with empty:
        return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="cpu")


@contextmanager
def _prepared(module: torch.nn.Module, recorder: Recorder) -> Iterator[None]:
    """Prepares a module to be recorded: in evaluation, and telling the recorder which of its parts runs.

    Args:
        module: The module.
        recorder: What records it.

    Yields:
        Nothing; afterwards the module is as it was.
    """
    in_training = [part for part in module.modules() if part.training]
    hooks: list[Any] = []
    with_other_forward = []
    for path, part in module.named_modules():
        is_layer = bool(path) and not list(part.children()) and hasattr(part, "weight")
        hooks.append(part.register_forward_pre_hook(_entering(recorder, path, is_layer)))
        hooks.append(part.register_forward_hook(_leaving(recorder), always_call=True))
        if isinstance(part, torch.nn.RNNBase):
            part.forward = counted_forward(recorder, path or "recurrent", part)
            with_other_forward.append(part)
    # torch's fast path runs a whole block of a Transformer as one operator, in which no product would be seen.
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    module.eval()
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for hook in hooks:
            hook.remove()
        for part in with_other_forward:
            del part.forward  # the class's own shows again
        for part in in_training:
            part.training = True


def _entering(recorder: Recorder, path: str, is_layer: bool) -> Any:
    """A hook for torch to call before the part ``path`` of a module runs."""
    return lambda part, given: recorder.enter(path, is_layer=is_layer)


def _leaving(recorder: Recorder) -> Any:
    """A hook for torch to call after a part of a module has run."""
    return lambda part, arguments, result: recorder.leave(arguments, result)


def _warnings(recorder: Recorder) -> Iterator[str]:
    """What the user has to know of the count: unknown operators, and products of constants that are in no layer."""
    unknown = recorder.ledger.unknown
    if unknown:
        listed = ", ".join(f"{name} x{count}" for name, count in sorted(unknown.items()))
        yield f"operators not known, counted as one operation an output element: {listed}"
    if recorder.constant_macs:
        yield f"{recorder.constant_macs} multiplications of constants alone are not counted"
