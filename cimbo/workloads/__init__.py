"""Families of elastic networks: a search space, and the exact workload of any sub-network in it."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

from cimbo.errors import BadInput, choose_from
from cimbo.problem.space import Choice
from cimbo.workloads import bert, language, mobilenet, resnet, vit, whisper
from cimbo.workloads.fixed import onnx_network
from cimbo.workloads.layers import Workload
from cimbo.workloads.summary import is_onnx

_BUILT_IN: dict[str, Callable[[], "Network"]] = {
    "bert-base": bert.bert_base,
    "fmnist-mobilenet": mobilenet.fmnist_mobilenet,
    "fmnist-vit": vit.fmnist_vit,
    "gpt2-m": language.gpt2_medium,
    "gpt2-s": language.gpt2_small,
    "llama-3-8b": language.llama_8b,
    "llama-3.2-1b": language.llama_1b,
    "llama-3.2-3b": language.llama_3b,
    "ofa-mobilenetv3": mobilenet.ofa_mobilenet_v3,
    "ofa-mobilenetv3-w1.2": mobilenet.ofa_mobilenet_v3_wide,
    "ofa-resnet50": resnet.ofa_resnet50,
    "vit-b": vit.vit_b,
    "whisper-tiny": whisper.whisper_tiny,
    "whisper-tiny-encoder": whisper.whisper_tiny_encoder,
}


@runtime_checkable
class Network(Protocol):
    """A family: which genes it has and what each sub-network computes."""

    @property
    def name(self) -> str:
        """What ``network(name)`` finds it by."""
        ...

    def choices(self) -> list[Choice]:
        """The genes, in a fixed order."""
        ...

    def workload(self, subnet: Mapping) -> Workload:
        """The layers of one sub-network. Raises BadInput on a missing active gene or a value outside its list."""
        ...

    def largest(self) -> dict:
        """The sub-network with every gene at its largest value."""
        ...

    def smallest(self) -> dict:
        """The sub-network with every gene at its smallest value; inactive genes left out."""
        ...


def known() -> list[str]:
    """Names of the families at hand: built in, and installed under the entry points ``cimbo.networks``."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group="cimbo.networks"))})


def network(name: str, sizes: Mapping[str, int] | None = None) -> Network:
    """Find a family by name, or read the one network of an ONNX file.

    Args:
        name: a family, or a file NAME.onnx.
        sizes: free sizes of an ONNX file, by name.

    Returns:
        The family; that of an ONNX file has no genes.

    Raises:
        BadInput: no family has this name (the message lists the known ones), or sizes were given for a family.
    """
    if is_onnx(name):
        return onnx_network(name, sizes or {})
    if sizes:
        raise BadInput("sizes", f"are of an ONNX file, and {name} is a family", "leave them out")
    return _family(name)


@cache
def _family(name: str) -> Network:
    if name in _BUILT_IN:
        return _BUILT_IN[name]()
    for point in entry_points(group="cimbo.networks"):
        if point.name == name:
            family = point.load()
            return family() if callable(family) else family
    todo = f"{choose_from(name, known())}, or a file NAME.onnx"
    raise BadInput(f"network {name!r}", "is unknown", todo)


def trace(module: Any, *example: Any, batch: int = 1, name: str = "", **named: Any) -> Workload:
    """Count the layers of a PyTorch module, without running it; see `cimbo.workloads.pytorch.tracing.trace`.

    >>> workload = trace(torch.nn.Linear(8, 4), torch.zeros(1, 8))

    Args:
        module: a torch.nn.Module.
        example: what it is called with; of tensors only sizes and types matter.
        batch: inferences that the example holds.
        name: what reports call the workload; the module's class by default.
        named: arguments that it is called with by name.

    Returns:
        The layers in the order in which they run.

    Raises:
        BadInput: the module multiplies no matrices, is not initialised, or decides by elements of its tensors.
    """
    from cimbo.workloads.pytorch import tracing

    return tracing.trace(module, *example, batch=batch, name=name, **named)
