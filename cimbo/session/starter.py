"""A study to start from: the shipped ones, and a study.toml to edit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cimbo.config.study_config import DEFAULT_PRESET, PRESETS_FOLDER, load, preset, presets
from cimbo.errors import BadInput
from cimbo.session.text import write_text

SCHEMA_FILE = "study.schema.json"
EXPLAINED_OPTIONS = """
# ---- Everything below is optional; what is commented out shows what there is. -----------------------------------------

# [hardware.fixed]         # of every chip, and not searched
# node_nm = 28

# Your own simulator, JSON in and JSON out, takes the place of hardware.simulator:
# simulator = "command"
# options = {command = ["python", "my_simulator.py"]}

# [[objectives]]           # a third objective
# name = "energy_uj"
# goal = "min"
# reference = 50.0

# [[constraints]]          # bound: in the metric's unit; baseline: times what the baseline has
# metric = "energy_uj"
# relation = "<="
# bound = 40.0
"""


@dataclass(frozen=True)
class ShippedPreset:
    """A study that cimbo ships; ``accuracy`` says whether its accuracies are measured."""

    preset: str
    title: str
    default: bool
    accuracy: str

    def to_json(self) -> dict[str, Any]:
        """A line of ``cimbo presets``."""
        return asdict(self)


def shipped_presets() -> list[ShippedPreset]:
    """The shipped studies, by name."""
    found = []
    for name, title in presets().items():
        accuracy = str(preset(name).accuracy_provenance()["kind"])
        found.append(ShippedPreset(name, title, name == DEFAULT_PRESET, accuracy))
    return found


def write_study_toml(path: str | Path = "study.toml", *, name: str = DEFAULT_PRESET) -> Path:
    """Write a commented study.toml, and beside it the schema that lets an editor check it.

    Args:
        path: The file to write.
        name: The shipped study to start from.

    Returns:
        The file.

    Raises:
        BadInput: For an unknown preset, and a file that exists.
    """
    preset(name)
    path = Path(path)
    if path.exists():
        raise BadInput(path, "exists already", "name another file, or remove it")
    write_text(
        path.parent / SCHEMA_FILE, (PRESETS_FOLDER / SCHEMA_FILE).read_text(encoding="utf-8")
    )
    shipped = (PRESETS_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    write_text(path, f"#:schema ./{SCHEMA_FILE}\n{shipped}{EXPLAINED_OPTIONS}")
    load(path)
    return path
