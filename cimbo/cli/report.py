"""``cimbo report`` and ``cimbo plot``: a study to read, and its figures for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cimbo.cli.options import existing, study_option
from cimbo.cli.output import write
from cimbo.cli.view import standing
from cimbo.config import from_definition
from cimbo.errors import BadInput
from cimbo.loop import Study

baseline_option = click.option(
    "--baseline", "baselines", multiple=True, metavar="FILE",
    help="Another study of the same problem, such as a random search; may be repeated.",
)  # fmt: skip


@click.command()
@study_option
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True,
              help="The file to write.")  # fmt: skip
@baseline_option
@click.option("--lite", is_flag=True, help="Without the layers of each design: a file of some 100 kB.")
def report(file: str, out: Path, baselines: tuple[str, ...], lite: bool) -> None:
    """One HTML file: front, hypervolume against random, predicted against verified, layers. It needs no network."""
    from cimbo import report as pages

    with existing(file) as study:
        text = pages.html(
            study, title=title(study), about=_provenance(study, file), baselines=curves(study, baselines),
            layers={} if lite else _layers(study),
        )  # fmt: skip
    write(out, text)
    click.echo(str(out))


@click.command()
@study_option
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("front.pdf"), show_default=True,
              help="The file to write; its ending says the format: pdf, png or svg.")  # fmt: skip
@click.option("--what", type=click.Choice(["front", "hypervolume", "calibration"]), default="front", show_default=True)
@baseline_option
def plot(file: str, out: Path, what: str, baselines: tuple[str, ...]) -> None:
    """A figure for a paper: the front, hypervolume over evaluations, or predicted against verified."""
    if out.suffix not in (".pdf", ".png", ".svg"):
        raise BadInput(out, "is no format of a figure", "end it in .pdf, .png or .svg")
    from cimbo.report import facts, figures

    with existing(file) as study:
        figures.write(out, what, facts.gather(study, baselines=curves(study, baselines)))
    click.echo(str(out))


def title(study: Study) -> str:
    """What the study is called in its description, marked where its evaluations were recorded elsewhere."""
    config = study.store.definition.get("config") or {}
    named = str((config.get("data") or {}).get("title", "cimbo study"))
    return f"Recorded: {named}" if "recorded" in study.store.definition else named


def curves(study: Study, files: Sequence[str]) -> dict[str, Sequence[float]]:
    """Hypervolume after each evaluation of other studies, by file name. Raises BadInput for a study of something else."""
    from cimbo.report import facts

    found: dict[str, Sequence[float]] = {}
    for file in files:
        with existing(file) as other:
            if other.problem != study.problem:
                raise BadInput(file, "is a study of another problem", "compare studies of one space and objectives")
            found[Path(file).stem] = facts.volumes(facts.gather(other))
    return found


def _layers(study: Study) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Layers of every design of the front by key; none for a study that is not of cimbo's networks and chip model."""
    from cimbo import hardware

    try:
        evaluator = from_definition(study.store.path, study.store.definition).evaluator()
    except BadInput:
        return {}  # a study made in Python: its genes mean something else
    if evaluator.simulator != "cimbo":
        return {}
    placed = {r.key: evaluator.placed(r.params) for r in study.pareto()}
    return {key: hardware.explain(*pair)["layers"] for key, pair in placed.items()}


def _provenance(study: Study, file: str) -> dict[str, str]:
    config = study.store.definition.get("config") or {}
    versions = study.store.definition.get("versions", {})
    name = config.get("name")
    command = f"cimbo optimize --budget {len(study.evaluations())} --seed {study.seed} --study {file}" + (
        f" --preset {name}" if name else ""
    )
    found = standing(study)
    about = {"accuracy": found["label"]} if found else {}
    return about | {"command": command, "versions": ", ".join(f"{k} {v}" for k, v in versions.items())}
