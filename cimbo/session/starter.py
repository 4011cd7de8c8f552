"""A study to start from: the shipped ones, and a study.toml to edit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cimbo.config.study_config import DEFAULT_PRESET, PRESETS_FOLDER, load, preset, presets
from cimbo.errors import BadInput
from cimbo.session.text import write_text

SCHEMA_FILE = "study.schema.json"
EFFORT_FILE = PRESETS_FOLDER / "budget_30.json"
"""CPU seconds and memory of 30 evaluations of each preset, as benchmarks/presets.py measured them."""
#: What a new study.toml shows commented out, below the table that each belongs to.
COMMENTED_OPTIONS = {
    "hardware": """\
# Your own simulator, JSON in and JSON out, in the place of the simulator above:
# simulator = "command"
# options = {command = ["python", "my_simulator.py"]}
""",
    "hardware.genes": """\

# [hardware.fixed]         # of every chip, and not searched
# node_nm = 28
""",
    "objectives": """\

# [[objectives]]           # one more objective
# name = "energy_uj"
# goal = "min"
# reference = 50.0
""",
    "constraints": """\

# [[constraints]]          # bound: in the metric's unit; baseline: times what the baseline has
# metric = "energy_uj"
# relation = "<="
# bound = 40.0

# [[fidelity]]             # the accuracy on so many images first, and on all only where a design may be worth it
# images = 500             # fewer than there are; for several stages write the table again, ascending;
                           # cheaper settings first: set = { dies = 1 }, cost = 0.3 instead of images
""",
}


@dataclass(frozen=True)
class ShippedPreset:
    """A study that cimbo ships.

    Attributes:
        preset: Its name.
        title: What it is about.
        default: Whether it is taken where none is named.
        accuracy: Whether its accuracies are measured or modelled.
        cpu_s_budget_30: CPU seconds that 30 evaluations took on one core of ours.
        memory_mb: What they took at most; both None where that was not measured.
    """

    preset: str
    title: str
    default: bool
    accuracy: str
    cpu_s_budget_30: int | None = None
    memory_mb: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A line of ``cimbo presets``."""
        return asdict(self)


def shipped_presets() -> list[ShippedPreset]:
    """The shipped studies, by name."""
    found = []
    efforts = json.loads(EFFORT_FILE.read_text(encoding="utf-8"))
    for name, title in presets().items():
        accuracy = str(preset(name).accuracy_provenance()["kind"])
        effort = efforts.get(name, {})
        shipped = ShippedPreset(
            name,
            title,
            default=name == DEFAULT_PRESET,
            accuracy=accuracy,
            cpu_s_budget_30=effort.get("cpu_s"),
            memory_mb=effort.get("memory_mb"),
        )
        found.append(shipped)
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
    write_text(path.parent / SCHEMA_FILE, _shipped(SCHEMA_FILE))
    written = _with_comments(_shipped(f"{name}.toml"))
    write_text(path, f"#:schema ./{SCHEMA_FILE}\n{written}")
    load(path)
    return path


def _shipped(file: str) -> str:
    """The text of a file beside the presets."""
    return (PRESETS_FOLDER / file).read_text(encoding="utf-8")


def _with_comments(shipped: str) -> str:
    """A study.toml with what is optional commented out, each below the last table of its kind."""
    blocks = _blocks(shipped)
    for name, comment in COMMENTED_OPTIONS.items():
        block = _last_of(name, blocks)
        while block and not block[-1].strip():
            block.pop()
        block += [*comment.splitlines(), ""]
    lines = [line for block in blocks for line in block]
    return "\n".join(lines).rstrip() + "\n"


def _blocks(text: str) -> list[list[str]]:
    """The lines of a TOML file, a list for what stands before the first table and one for each table."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith("["):
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _last_of(name: str, blocks: list[list[str]]) -> list[str]:
    """The last table of a name, be it [name] or [[name]]; the last of all where there is none."""
    for block in reversed(blocks):
        if block and block[0].strip("[]").split("]")[0] == name:
            return block
    return blocks[-1]
