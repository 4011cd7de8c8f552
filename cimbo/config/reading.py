"""Where descriptions of studies come from: shipped presets, a user's study.toml, and what they extend."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput, check_known, naming, unreadable
from cimbo.hardware.cells import FILE_SUFFIX
from cimbo.problem.scalars import shown
from cimbo.workloads.sparsity import MEASURED_ACTIVITY, read_file, shares_to_json
from cimbo.workloads.summary import is_onnx

PRESETS_FOLDER = Path(__file__).parent / "presets"
MOST_EXTENDED = 16  # files that extend one another


def preset_names() -> list[str]:
    """List the shipped studies.

    Returns:
        Their names, sorted.
    """
    return sorted(path.stem for path in PRESETS_FOLDER.glob("*.toml"))


def read_preset(name: str) -> dict[str, Any]:
    """Read a shipped study, with all that it extends.

    Args:
        name: Name of the preset, without ``.toml``.

    Returns:
        What it says, by table.

    Raises:
        BadInput: For a name that is unknown; it lists the known ones.
    """
    known = preset_names()
    check_known(name, known, f"preset {name!r}", "is unknown")
    data = read_toml(PRESETS_FOLDER / f"{name}.toml")
    return _with_extended(data, PRESETS_FOLDER, depth=1)


def read_study(path: Path) -> dict[str, Any]:
    """Read a study.toml, with all that it extends.

    Args:
        path: The file.

    Returns:
        What it says, by table; paths of ONNX files are resolved from the folder of the file that
        names them.

    Raises:
        BadInput: Where a file cannot be read or is no TOML, or extends a study that does not exist;
            it names file and place.
    """
    with naming(path):
        return _with_extended(_read_own(path), path.parent, depth=0)


def _read_own(path: Path) -> dict[str, Any]:
    """What a user's file says; the files that it names are found beside it."""
    data = read_toml(path)
    _find_networks(data, path.parent)
    _find_cells(data, path.parent)
    about = data.get("network")
    if isinstance(about, dict):
        _find_files_of_network(about, path.parent)
    return data


def _find_files_of_network(about: dict[str, Any], folder: Path) -> None:
    """Resolve the ONNX file that a table [network] names, and read its file of activities."""
    name = about.get("name")
    if isinstance(name, str):
        about["name"] = _onnx_beside(folder, name)
    activity = about.get("activity")
    if isinstance(activity, str) and activity != MEASURED_ACTIVITY:
        about["activity"] = shares_to_json(read_file(folder / activity))


def _onnx_beside(folder: Path, name: str) -> str:
    """The path of an ONNX file in a folder; the name of another network stays."""
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


def _find_networks(data: Mapping[str, Any], folder: Path) -> None:
    """Name the files of several networks, in the options of an evaluator, from where the study's file lies."""
    evaluator = data.get("evaluator")
    if not isinstance(evaluator, dict) or not isinstance(evaluator.get("options"), dict):
        return
    options: dict[str, Any] = evaluator["options"]
    names = options.get("networks")
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        options["networks"] = [_onnx_beside(folder, name) for name in names]


def _find_cells(data: Mapping[str, Any], folder: Path) -> None:
    """Name the files of cells from where the study's file lies."""
    for table in _tables_of_chips(data):
        if isinstance(table, dict) and "cell" in table:
            table["cell"] = _cells_beside(folder, table["cell"])


def _tables_of_chips(data: Mapping[str, Any]) -> list[Any]:
    """What a description says of chips: the baseline, fixed genes and genes that are searched."""
    tables = [data.get("baseline")]
    hardware = data.get("hardware")
    if isinstance(hardware, dict):
        tables += [hardware.get("fixed"), hardware.get("genes")]
    return tables


def _cells_beside(folder: Path, given: Any) -> Any:
    """What is said of the cell, one value or several, with the paths of the cells' files."""
    if isinstance(given, list):
        return [_beside(folder, word) for word in given]
    if isinstance(given, dict) and isinstance(given.get("values"), list):
        return {**given, "values": _cells_beside(folder, given["values"])}
    return _beside(folder, given)


def _beside(folder: Path, word: Any) -> Any:
    """The path of a cell's file in a folder; whatever is no file's name stays."""
    if isinstance(word, str) and word.endswith(FILE_SUFFIX):
        return str((folder / word).resolve())
    return word


def _with_extended(data: dict[str, Any], folder: Path, *, depth: int) -> dict[str, Any]:
    """``data`` over what its key ``extends`` names: a shipped study, or a file in ``folder``."""
    if "extends" not in data:
        return data
    own = dict(data)
    name = own.pop("extends")
    if not isinstance(name, str):
        raise BadInput("extends", f"is {shown(name)}", "name a preset, or a study.toml")
    return merged(_extended(name, folder, depth), own)


def _extended(name: str, folder: Path, depth: int) -> dict[str, Any]:
    """The study that another one extends, with all that it extends itself."""
    if depth >= MOST_EXTENDED:
        raise BadInput("extends", f"leads on from {name} without end", "name another study")
    if name.endswith(".toml"):
        path = folder / name
        return _with_extended(_read_own(path), path.parent, depth=depth + 1)
    check_known(name, preset_names(), "extends", f"{name!r} is no preset")
    return read_preset(name)


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one description over another: tables key by key, all else as the upper one has it.

    Args:
        base: The lower description.
        own: The upper one.

    Returns:
        A new description; neither of the two is changed.
    """
    found = dict(base)
    for key, value in own.items():
        known = found.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            value = merged(known, value)
        found[key] = value
    return found
