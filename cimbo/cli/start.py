"""``cimbo init``: a study.toml to edit."""

from __future__ import annotations

from pathlib import Path

import click

from cimbo.cli.output import say, write
from cimbo.config.study_config import DEFAULT_PRESET, PRESETS, load, preset
from cimbo.errors import BadInput

SCHEMA = "study.schema.json"
_MORE = """
# ---- Everything below is optional; what is commented out shows what there is. -----------------------------------------

[search]
initial = 10               # designs drawn before the first surrogate
batch = 6                  # designs chosen at a time

# [hardware.genes]         # other values of a gene than the shipped ones (cimbo doctor shows the size of the space)
# adc_bits = [5, 6]
# dram_bw = [64, 128, 256, 512]

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


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("study.toml"))
@click.option(
    "--preset",
    "name",
    default=DEFAULT_PRESET,
    show_default=True,
    help="The shipped study to start from.",
)
def init(file: Path, name: str) -> None:
    """Write a commented study.toml, and beside it the schema that lets an editor check it."""
    preset(name)
    schema = file.parent / SCHEMA
    if file.exists():
        raise BadInput(file, "exists already", "name another file, or remove it")
    write(schema, (PRESETS / SCHEMA).read_text(encoding="utf-8"))
    write(
        file,
        f"#:schema ./{SCHEMA}\n{(PRESETS / f'{name}.toml').read_text(encoding='utf-8')}{_MORE}",
    )
    load(file)
    click.echo(str(file))
    say(f"edit it, then: cimbo doctor --config {file}; cimbo optimize --config {file} --budget 200")
