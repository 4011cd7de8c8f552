"""Fingerprints of evaluators: all that decides the numbers of an evaluation.

That is its settings, the content of the files it reads, and the versions of its models. Two evaluators with the same
fingerprint measure the same of a design. See `cimbo.study.provenance` for its use.
"""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cimbo import hardware
from cimbo.evaluation import accuracy, content
from cimbo.evaluation.accuracy.function import declared_genes
from cimbo.evaluation.declared_files import declared_files
from cimbo.evaluation.user_code import code_of_module
from cimbo.plugins import is_python_name, python_object
from cimbo.workloads import is_family_name, network
from cimbo.workloads.fixed import workload_digest
from cimbo.workloads.summary import is_onnx

if TYPE_CHECKING:
    from cimbo.evaluation.joint import JointEvaluator

Fingerprint = dict[str, Any]  # JSON

CODE = "code_files"  # entry of a part: digests by the name of a file
TOLD_BITS = "those that the chip computes with"  # of layers, as programs are told them
NO_PART_OF_THE_RESULT = frozenset({"cache", "timeout_s"})  # options that change no number
SIMULATOR_PACKAGES = {"zigzag": "zigzag-dse", "accelforge": "accelforge"}


def fingerprint(evaluator: JointEvaluator) -> Fingerprint:
    """Collects what decides the numbers of an evaluator.

    Args:
        evaluator: The evaluator.

    Returns:
        JSON with settings, content of files and versions, named as in a study.toml.

    Raises:
        OSError: When a file that it names cannot be read.
        BadInput: When its network or its accuracy function cannot be found.
    """
    told_bits = {}
    if evaluator.tells_chip_bits:
        told_bits["bits"] = TOLD_BITS  # earlier releases told those of the file
    return {
        "network": {
            **_network(evaluator),
            **_accuracy(evaluator.accuracy),
            **_reuse(evaluator),
            **declared_files("network.files", evaluator.files),
            "options": by_content(evaluator.accuracy_options),
            "results_version": _version("accuracy", evaluator.accuracy) or accuracy.RESULTS_VERSION,
        },
        "hardware": {
            "simulator": evaluator.simulator,
            "options": by_content(evaluator.options),
            "fixed": dict(evaluator.fixed),
            **declared_files("hardware.files", evaluator.simulator_files),
            "results_version": _version("simulators", evaluator.simulator)
            or hardware.RESULTS_VERSION,
            **told_bits,
        },
    }


def _network(evaluator: JointEvaluator) -> dict[str, Any]:
    """Identify the network: a family by its name; a file by its layers, wherever it lies.

    A file is identified by its content, too, where an accuracy may depend on its weights.

    Returns:
        JSON.
    """
    settings = evaluator.inference.to_json()
    name = evaluator.network
    if is_family_name(name):
        return {"name": name, **settings}
    family = network(name, evaluator.sizes_of_file)
    workload = family.workload(family.largest())
    entries: dict[str, Any] = {
        "name": "ONNX file" if is_onnx(name) else name,
        **settings,
        "macs": workload.macs,
        "parameters": workload.parameters,
        "layers": workload_digest(workload),
    }
    if is_onnx(name) and evaluator.has_accuracy:
        entries["file"] = content.digest(name)
    return entries


def _accuracy(name: str) -> dict[str, Any]:
    """Identify the source of accuracy by its name; a user's function by the content of its files, too."""
    if not is_python_name(name):
        return {"accuracy": name}
    module = inspect.getmodule(python_object(f"accuracy {name}", name))
    file = getattr(module, "__file__", None)
    digest = content.digest(file) if file else None
    return {"accuracy": name, "accuracy_file": digest, **code_of_function(name)}


def code_of_function(name: str) -> dict[str, Any]:
    """Collects the files of Python that a function stands on.

    Args:
        name: Where it is, as "package:function".

    Returns:
        The entry `CODE`, see `cimbo.evaluation.user_code.code_of_module`; empty where the function
        is of an installed package.
    """
    code = code_of_module(name.partition(":")[0])
    if not code:
        return {}
    return {CODE: code}


def _reuse(evaluator: JointEvaluator) -> dict[str, Any]:
    """Say how far one answer of a user's function or program serves other chips.

    Where nothing is declared, versions before 0.2 reused the first answer for a network on every chip. Studies of these
    have no such entry, so that their accuracies are never mixed with others.

    Args:
        evaluator: The evaluator.

    Returns:
        The entry; empty where genes are declared, and of what is no function and no program.
    """
    name = evaluator.accuracy
    if not (is_python_name(name) or name == "command") or _is_declared(evaluator):
        return {}
    if evaluator.told_genes is not None:
        return {"accuracy_reuse": sorted(evaluator.told_genes)}
    return {"accuracy_reuse": "by the genes that were looked up"}


def _is_declared(evaluator: JointEvaluator) -> bool:
    """Whether a user's function or program says which genes its answers depend on."""
    name = evaluator.accuracy
    if name == "command":
        return evaluator.accuracy_options.get("genes") is not None
    where = f"accuracy {name}"
    return declared_genes(where, python_object(where, name)) is not None


def by_content(options: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the paths of files and folders among options by digests of their content.

    Args:
        options: The options by name; nested ones and lists too.

    Returns:
        The options in the order of their names, without those that change no number.

    Raises:
        OSError: When a file that they name cannot be read.
    """
    kept = {}
    for name, value in options.items():
        if name not in NO_PART_OF_THE_RESULT:
            kept[name] = value
    return {name: _digested(value) for name, value in sorted(kept.items())}


def _digested(value: Any) -> Any:
    """A value of an option with digests in place of paths; lists and mappings entry by entry."""
    if isinstance(value, Mapping):
        return by_content(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return digested_command(value)
    if isinstance(value, str | os.PathLike):
        return _digested_path(str(value))
    return value


def digested_command(words: Sequence[Any]) -> list[Any]:
    """Replaces the program of a command and the files among its words by their digests.

    Args:
        words: The words of the command.

    Returns:
        The words, or digests in their place.

    Raises:
        OSError: When a file cannot be read.
    """
    digested = [_digested(word) for word in words]
    if words and isinstance(words[0], str) and digested[0] == words[0]:
        program = shutil.which(words[0])
        if program is not None:
            digested[0] = content.digest(program)
    return digested


def _digested_path(text: str) -> str:
    """The digest of the file that a text names; the text itself where it names none.

    A word without / counts as a path only if it has an ending, as ``table.csv``.

    Returns:
        Digest or text.
    """
    path = Path(text)
    looks_like_a_path = path.name != text or path.suffix != ""
    if not looks_like_a_path or not path.exists():
        return text
    return content.digest(path)


def _version(group: str, name: str) -> str | None:
    """Name and version of the package that a plug-in or another's simulator comes from; None for cimbo's own."""
    for point in entry_points(group=f"cimbo.{group}", name=name):
        if point.dist is not None:
            return f"{point.dist.name} {point.dist.version}"
    package = SIMULATOR_PACKAGES.get(name)
    if package is None:
        return None
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None
