"""Families of elastic networks: a search space, and the exact workload of any sub-network in it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

from cimbo.errors import BadInput, choose_from
from cimbo.plugins import is_python_name, python_object
from cimbo.problem.space import Choice
from cimbo.workloads import autoformer, bert, language, mobilenet, nasbench, resnet, vit, whisper
from cimbo.workloads.fixed import onnx_network
from cimbo.workloads.layers import Workload
from cimbo.workloads.summary import is_onnx

LIBRARY_PREFIXES = ("timm:", "hf:")

_BUILT_IN: dict[str, Callable[[], "Network"]] = {
    "autoformer-b": autoformer.base,
    "autoformer-s": autoformer.small,
    "autoformer-t": autoformer.tiny,
    "bert-base": bert.bert_base,
    "deit-b-distilled": vit.deit_b_distilled,
    "fmnist-mobilenet": mobilenet.fmnist_mobilenet,
    "fmnist-vit": vit.fmnist_vit,
    "gpt2-m": language.gpt2_medium,
    "gpt2-s": language.gpt2_small,
    "llama-3-8b": language.llama_8b,
    "llama-3.2-1b": language.llama_1b,
    "llama-3.2-3b": language.llama_3b,
    "nasbench201": nasbench.nasbench201,
    "nasbench201-analog": nasbench.nasbench201_analog,
    "ofa-mobilenetv3": mobilenet.ofa_mobilenet_v3,
    "ofa-mobilenetv3-w1.2": mobilenet.ofa_mobilenet_v3_wide,
    "ofa-resnet50": resnet.ofa_resnet50,
    "reviews-minilm": bert.reviews_minilm,
    "vit-b": vit.vit_b,
    "vit-b-384": vit.vit_b_384,
    "vit-l": vit.vit_l,
    "vit-s": vit.vit_s,
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

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Makes the layers of one sub-network.

        Args:
            subnet: Each active gene to its value; further entries are ignored.

        Returns:
            The layers in the order in which they run.

        Raises:
            BadInput: On a missing active gene or a value outside its list.
        """
        ...

    def largest(self) -> dict[str, Any]:
        """The sub-network with every gene at its largest value."""
        ...

    def smallest(self) -> dict[str, Any]:
        """The sub-network with every gene at its smallest value; inactive genes left out."""
        ...


@runtime_checkable
class Described(Protocol):
    """A family that describes its sub-networks by more than their genes and sizes."""

    def descriptors(self, subnet: Mapping[str, Any]) -> dict[str, float]:
        """Describes a sub-network by what its accuracy is learned from.

        Args:
            subnet: Each active gene to its value; further entries are ignored.

        Returns:
            Numbers by name; the names are the same for every sub-network.
        """
        ...


def known() -> list[str]:
    """Names of the families at hand: built in, and installed under the entry points ``cimbo.networks``."""
    return sorted({*_BUILT_IN, *(point.name for point in entry_points(group="cimbo.networks"))})


def network(name: str, sizes: Mapping[str, int] | None = None) -> Network:
    """Find a family by name, or read the one network of an ONNX file.

    Args:
        name: a family; a file NAME.onnx; a network of a library, as timm:NAME or hf:NAME; or "package:object", where
            a Python module has one.
        sizes: free sizes of an ONNX file, by name; or what a library's network is given: image, tokens.

    Returns:
        The family; that of an ONNX file has no genes.

    Raises:
        BadInput: no family has this name (the message lists the known ones), or sizes were given for a family.
    """
    if is_onnx(name):
        return onnx_network(name, sizes or {})
    if name.startswith(LIBRARY_PREFIXES):
        return _of_library(name, tuple(sorted((sizes or {}).items())))
    if sizes:
        what = f"sets sizes of an ONNX file, and {name} is a family"
        raise BadInput("--set", what, "leave it out")
    return _family(name)


def is_family_name(name: str) -> bool:
    """Tells whether a name is that of a family.

    Args:
        name: What a study calls its network.

    Returns:
        True for a family's name; False for an ONNX file, a library's network or an object of a
        module, which may change while the name stays.
    """
    return not is_onnx(name) and ":" not in name


@cache
def _family(name: str) -> Network:
    """Find a family: shipped, installed as a plug-in, or an object of a user's module; raises BadInput for another name."""
    if name in _BUILT_IN:
        return _BUILT_IN[name]()
    for point in entry_points(group="cimbo.networks"):
        if point.name == name:
            return _family_of(point.load())
    if is_python_name(name):
        return _own_family(name)
    todo = f"{choose_from(name, known())}; or a file NAME.onnx, timm:NAME, hf:NAME, package:object"
    raise BadInput(f"network {name!r}", "is unknown", todo)


def _own_family(name: str) -> Network:
    """The family that "package:object" names: the object itself, or what it returns when it is called.

    Args:
        name: The name.

    Returns:
        The family.

    Raises:
        BadInput: When the object is no family and makes none.
    """
    where = f"network {name!r}"
    loaded = python_object(where, name)
    if inspect.isclass(loaded) or not _is_family(loaded):
        try:
            loaded = _family_of(loaded)
        except Exception as error:  # the user's code may raise anything
            what = f"is no family, and calling it raised {type(error).__name__}: {error}"
            raise BadInput(where, what, "name what torch_family returned") from error
    if not _is_family(loaded):
        what = f"is a {type(loaded).__name__} and no family"
        raise BadInput(where, what, "name what torch_family returned")
    family: Network = loaded
    return family


def _is_family(candidate: object) -> bool:
    """Whether an object has the methods of a family that every network needs."""
    return all(callable(getattr(candidate, name, None)) for name in ("choices", "workload"))


def _family_of(plugin: Any) -> Network:
    """The family that a plug-in is, or makes when it is called."""
    family: Network = plugin() if callable(plugin) else plugin
    return family


@cache
def _of_library(name: str, sizes: tuple[tuple[str, int], ...]) -> Network:
    """The network of a library, timm:NAME or hf:NAME, as a family without genes; it is traced once."""
    from cimbo.workloads.pytorch.libraries import library_network

    return library_network(name, dict(sizes))


def torch_family(
    name: str,
    genes: Mapping[str, Sequence[Any]] | Sequence[Choice],
    build: Callable[[dict[str, Any]], Any],
    example: Any,
    *,
    batch: int = 1,
) -> Network:
    """Make an elastic family of PyTorch modules.

    Where it is a variable of a Python module, "module:variable" is its name in a study: ``cimbo optimize --network
    my_networks:family``. It can also be installed as a plug-in, under the entry points ``cimbo.networks``.

    Args:
        name: what reports call it.
        genes: what a sub-network may be: a list of values for each name, or `Choice` objects.
        build: makes the torch.nn.Module of a sub-network from a dictionary of its active genes.
        example: what the module is called with: a tensor, a tuple of them, or a function of the genes that gives it.
        batch: inferences that the example holds.

    Returns:
        A `Network`: each sub-network's layers are traced once, on tensors without elements.
    """
    from cimbo.workloads.pytorch import family

    return family.torch_family(name, genes, build, example, batch=batch)


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
