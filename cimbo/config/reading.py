"""Reads descriptions of studies: shipped presets, a user's study.toml, and the studies that these extend."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput, check_known, naming, unreadable
from cimbo.evaluation.declared_files import check_files
from cimbo.hardware.cells import FILE_SUFFIX
from cimbo.problem.scalars import shown
from cimbo.workloads.sparsity import MEASURED_ACTIVITY, read_file, shares_to_json
from cimbo.workloads.summary import is_onnx

PRESETS_FOLDER = Path(__file__).parent / "presets"
MOST_EXTENDED = 16  # longest chain of studies that extend one another


def preset_names() -> list[str]:
    """List the shipped studies.

    Returns:
        Their names, sorted.
    """
    return sorted(path.stem for path in PRESETS_FOLDER.glob("*.toml"))


def read_preset(name: str) -> dict[str, Any]:
    """Read a shipped study, merged with the studies that it extends.

    Args:
        name: Name of the preset, without ``.toml``.

    Returns:
        Its tables, by name.

    Raises:
        BadInput: For a name that is unknown; it lists the known ones.
    """
    known = preset_names()
    check_known(name, known, f"preset {name!r}", "is unknown")
    data = read_toml(PRESETS_FOLDER / f"{name}.toml")
    return _with_extended(data, PRESETS_FOLDER, depth=1)


def read_study(path: Path) -> dict[str, Any]:
    """Read a study.toml, merged with the studies that it extends.

    Args:
        path: The file.

    Returns:
        Its tables, by name. Paths in them are resolved from the folder of the file that names them.

    Raises:
        BadInput: Where a file cannot be read or is no TOML, or extends a study that does not exist;
            it names file and place.
    """
    with naming(path):
        return _with_extended(_read_own(path), path.parent, depth=0)


def _read_own(path: Path) -> dict[str, Any]:
    """Read a user's file, without what it extends; paths in it are resolved from its folder."""
    data = read_toml(path)
    _resolve_networks(data, path.parent)
    _resolve_cells(data, path.parent)
    _resolve_declared_files(data, path.parent)
    network_table = data.get("network")
    if isinstance(network_table, dict):
        _resolve_files_of_network(network_table, path.parent)
    return data


def _resolve_files_of_network(table: dict[str, Any], folder: Path) -> None:
    """Resolve the ONNX file that a table [network] names, and replace its file of activities by what stands in it."""
    name = table.get("name")
    if isinstance(name, str):
        table["name"] = _onnx_beside(folder, name)
    activity = table.get("activity")
    if isinstance(activity, str) and activity != MEASURED_ACTIVITY:
        table["activity"] = shares_to_json(read_file(folder / activity))
    options = table.get("options")
    if isinstance(options, dict) and isinstance(options.get("noise_table"), str):
        options["noise_table"] = _noise_table_beside(folder, options["noise_table"])


def _noise_table_beside(folder: Path, name: str) -> str:
    """Find a table of cells in a folder; one that is in the working directory alone, as earlier releases had it, there."""
    file = folder / name
    if not file.exists() and Path(name).exists():
        file = Path(name)
    return str(file.resolve())


def _onnx_beside(folder: Path, name: str) -> str:
    """The full path of an ONNX file in a folder; the name of any other network stays as it is."""
    if is_onnx(name):
        return str((folder / name).resolve())
    return name


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.

    Returns:
        What stands in it.

    Raises:
        BadInput: Where it cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error, "give the path of a study.toml") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(path, f"is not TOML ({error})", "correct that line") from None


def _resolve_networks(data: Mapping[str, Any], folder: Path) -> None:
    """Resolve the ONNX files that an evaluator of several networks names in its options."""
    evaluator = data.get("evaluator")
    if not isinstance(evaluator, dict) or not isinstance(evaluator.get("options"), dict):
        return
    options: dict[str, Any] = evaluator["options"]
    names = options.get("networks")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        options["networks"] = [_onnx_beside(folder, name) for name in names]


def _resolve_declared_files(data: Mapping[str, Any], folder: Path) -> None:
    """Resolve the files that evaluations read from the folder of the study's file. Raises BadInput where one is missing."""
    for name in ("network", "hardware", "evaluator"):
        table = data.get(name)
        if not isinstance(table, dict):
            continue
        files = table.get("files")
        if isinstance(files, list) and all(isinstance(file, str) for file in files):
            table["files"] = [str((folder / file).resolve()) for file in files]
            check_files(f"{name}.files", table["files"])


def _resolve_cells(data: Mapping[str, Any], folder: Path) -> None:
    """Resolve the files of memory cells that a study names: on the baseline, fixed, or as values of a gene."""
    for table in _tables_of_chips(data):
        if isinstance(table, dict) and "cell" in table:
            table["cell"] = _cells_beside(folder, table["cell"])


def _tables_of_chips(data: Mapping[str, Any]) -> list[Any]:
    """The tables of a description that hold genes of chips: the baseline, fixed genes and searched genes; some may be None."""
    tables = [data.get("baseline")]
    hardware = data.get("hardware")
    if isinstance(hardware, dict):
        tables += [hardware.get("fixed"), hardware.get("genes")]
    return tables


def _cells_beside(folder: Path, given: Any) -> Any:
    """The value of a gene ``cell``, or its values as a list or a table, with paths of files resolved."""
    if isinstance(given, list):
        return [_beside(folder, word) for word in given]
    if isinstance(given, dict) and isinstance(given.get("values"), list):
        return {**given, "values": _cells_beside(folder, given["values"])}
    return _beside(folder, given)


def _beside(folder: Path, word: Any) -> Any:
    """The full path of a cell's file; anything that is no name of such a file stays as it is."""
    if isinstance(word, str) and word.endswith(FILE_SUFFIX):
        return str((folder / word).resolve())
    return word


def _with_extended(data: dict[str, Any], folder: Path, *, depth: int) -> dict[str, Any]:
    """Merge a description with the study that its key ``extends`` names, if it has one.

    Args:
        data: The description; its own keys win.
        folder: Where files that it names lie.
        depth: How many studies extend one another down to this one.

    Returns:
        The merged description, without the key ``extends``.

    Raises:
        BadInput: For a study that does not exist, or a chain that is too long.
    """
    if "extends" not in data:
        return data
    own_tables = dict(data)
    name = own_tables.pop("extends")
    if not isinstance(name, str):
        raise BadInput("extends", f"is {shown(name)}", "name a preset, or a study.toml")
    return merged(_extended(name, folder, depth), own_tables)


def _extended(name: str, folder: Path, depth: int) -> dict[str, Any]:
    """Read the study that another one extends, merged with those that it extends itself."""
    if depth >= MOST_EXTENDED:
        raise BadInput("extends", f"leads on from {name} without end", "name another study")
    if name.endswith(".toml"):
        path = folder / name
        return _with_extended(_read_own(path), path.parent, depth=depth + 1)
    check_known(name, preset_names(), "extends", f"{name!r} is no preset")
    return read_preset(name)


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two descriptions: tables key by key; for any other key the own value wins.

    Args:
        base: The description that is extended.
        own: The description that extends it.

    Returns:
        A new description; neither of the two is changed.
    """
    result = dict(base)
    for key, value in own.items():
        of_base = result.get(key)
        if isinstance(of_base, Mapping) and isinstance(value, Mapping):
            value = merged(of_base, value)
        result[key] = value
    return result
