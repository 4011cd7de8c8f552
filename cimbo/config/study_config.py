"""Finds descriptions of studies: a shipped preset, a user's study.toml, or what a study file keeps.

Every key is checked, so that a typing error is one line with its place and never a silent default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cimbo.config import reading
from cimbo.config.description import Config
from cimbo.config.reading import PRESETS_FOLDER
from cimbo.problem.objectives import Objective, Problem
from cimbo.problem.space import Choice

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS_FOLDER",
    "Config",
    "from_definition",
    "load",
    "preset",
    "presets",
]
DEFAULT_PRESET = "fmnist-vit"


def presets() -> dict[str, str]:
    """List the shipped presets.

    Returns:
        Name to title.
    """
    titles = {}
    for name in reading.preset_names():
        titles[name] = str(reading.read_preset(name).get("title", name))
    return titles


def preset(name: str) -> Config:
    """Load a shipped study.

    Args:
        name: Name of the preset.

    Returns:
        Its description, checked.

    Raises:
        BadInput: The name is unknown; the message lists the known ones.
    """
    return _checked(name, reading.read_preset(name))


def load(path: Path) -> Config:
    """Load a user's study.toml.

    Args:
        path: The file.

    Returns:
        Its description, checked.

    Raises:
        BadInput: The file cannot be read, or is not a valid description; the message names the file
            and the place in it.
    """
    return _checked(str(path), reading.read_study(path))


def _checked(name: str, data: dict[str, Any], *, is_stored: bool = False) -> Config:
    """The description in ``data``. Raises BadInput naming every place that is wrong."""
    config = Config(name, data, is_stored)
    _ = config.tables  # a cached property: reading it for the first time checks the data
    return config


def from_definition(where: str, definition: Mapping[str, Any]) -> Config:
    """Recover the description of a study from its file.

    Args:
        where: Name of the study in messages, used if the file holds no name.
        definition: What the study file stores about the study.

    Returns:
        The description that the study was started with. A study that was started from Python has
        none: for it a description is made of its space and objectives.

    Raises:
        BadInput: The stored description is not valid in this release; the message names every
            place that is wrong.
    """
    stored = definition.get("config") or {}
    if "data" not in stored:
        return _checked(where, _described(definition), is_stored=True)
    return _checked(str(stored.get("name", where)), stored["data"], is_stored=True)


def _described(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a study.toml that would describe a study started from Python, without its evaluator."""
    problem = Problem.from_json(definition)
    space = problem.space
    constraints = []
    for c in problem.constraints:
        constraints.append({"metric": c.metric, "relation": c.relation, "bound": c.bound})
    return {
        "architecture": {"genes": _gene_tables(space.architecture)},
        "hardware": {
            "genes": _gene_tables(space.hardware),
            "space": "own",
            "constraints": list(space.constraints),
        },
        "objectives": [_objective_table(objective) for objective in problem.objectives],
        "constraints": constraints,
        "metrics": dict(problem.metrics),
    }


def _objective_table(objective: Objective) -> dict[str, Any]:
    """An objective as a study.toml writes it."""
    table: dict[str, Any] = {"name": objective.name, "goal": objective.goal}
    if objective.reference is not None:
        table["reference"] = objective.reference
    return table


def _gene_tables(choices: Sequence[Choice]) -> dict[str, Any]:
    """Genes as a study.toml writes them."""
    genes = {}
    for choice in choices:
        about = choice.to_json()
        genes[about.pop("name")] = about
    return genes
