"""``cimbo report`` and ``cimbo plot``: a study to read, and its figures for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cimbo.cli.options import existing, study_option
from cimbo.cli.output import say, writable, write
from cimbo.cli.view import accuracy_provenance
from cimbo.config.study_config import Config, from_definition
from cimbo.errors import BadInput
from cimbo.evaluation.joint import JointEvaluator
from cimbo.problem.objectives import Candidate
from cimbo.storage import Record
from cimbo.study.study import Study

#: what a study says it evaluates, and with what
Described = tuple[Config, JointEvaluator]

baseline_option = click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="FILE",
    help="Another study of the same problem, such as a random search; may be repeated.",
)


def next_option(n: int) -> Any:
    """--next N, ``n`` by default."""
    return click.option(
        "--next",
        "following",
        type=int,
        default=n,
        show_default=True,
        metavar="N",
        help="Also show N designs that the search would verify next, as predicted.",
    )


@click.command()
@study_option
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The file to write.",
)
@baseline_option
@next_option(6)
@click.option(
    "--lite", is_flag=True, help="Without the layers of each design: a file of some 100 kB."
)
def report(*, file: str, out: Path, baselines: tuple[str, ...], following: int, lite: bool) -> None:
    """One HTML file: front, next candidates, hypervolume, predicted against verified, layers. It needs no network."""
    from cimbo import report as pages

    writable(out)
    with existing(file) as study:
        described = _described(study)
        predicted = candidates(study, described, following)
        text = pages.html(
            study,
            title=title(study),
            about=_provenance(study),
            baselines=curves(study, baselines),
            layers={} if lite else _layers(described, [*study.pareto(), *predicted]),
            predicted=predicted,
        )
    write(out, text)
    click.echo(str(out))


@click.command()
@study_option
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("front.pdf"),
    show_default=True,
    help="The file to write; its ending says the format: pdf, png or svg.",
)
@click.option(
    "--what",
    type=click.Choice(["front", "hypervolume", "calibration"]),
    default="front",
    show_default=True,
)
@baseline_option
@next_option(0)
def plot(*, file: str, out: Path, what: str, baselines: tuple[str, ...], following: int) -> None:
    """A figure for a paper: the front, hypervolume over evaluations, or predicted against verified."""
    if out.suffix not in (".pdf", ".png", ".svg"):
        raise BadInput(out, "is no format of a figure", "end it in .pdf, .png or .svg")
    from cimbo.report import facts, figures

    figures.available()
    writable(out)
    with existing(file) as study:
        predicted = candidates(study, _described(study), following)
        known = facts.gather(study, baselines=curves(study, baselines), predicted=predicted)
        figures.write(out, what, known)
    click.echo(str(out))


def title(study: Study) -> str:
    """What the study is called in its description, marked where its evaluations were recorded elsewhere."""
    config = study.metadata.get("config") or {}
    named = str((config.get("data") or {}).get("title", "cimbo study"))
    return f"Recorded: {named}" if "recorded" in study.metadata else named


def curves(study: Study, files: Sequence[str]) -> dict[str, Sequence[float]]:
    """Hypervolume after each evaluation of other studies, by file name. Raises BadInput for a study of something else."""
    from cimbo.report import facts

    found: dict[str, Sequence[float]] = {}
    for file in files:
        with existing(file) as other:
            if other.problem != study.problem:
                raise BadInput(
                    file,
                    "is a study of another problem",
                    "compare studies of one space and objectives",
                )
            found[Path(file).stem] = facts.volumes(facts.gather(other))
    return found


def candidates(study: Study, described: Described | None, n: int) -> list[Candidate]:
    """The ``n`` designs that the search would verify next, with what it predicts; none while it has no model to ask."""
    if n < 0:
        raise BadInput("--next", f"cannot show {n} designs", "give 0 or more")
    if n == 0 or not any(r.status == "done" for r in study.evaluations()):
        return []
    from cimbo.cli.search import plain_guidance

    say(f"asking the search for its next {n} designs (--next 0 leaves them out)")
    try:
        guidance = plain_guidance(study, *described) if described else None
    except BadInput as error:  # what it evaluated with may be on another machine; all that is measured can be shown still
        say(f"no next designs: {error}")
        return []
    return [c for c in study.ask(n, guidance=guidance) if c.predicted]


def _described(study: Study) -> Described | None:
    """What the study says it evaluates, and with what; None for one made in Python, whose genes may mean anything."""
    try:
        config = from_definition(study.path, study.metadata)
        return config, config.evaluator()
    except BadInput:
        return None


def _layers(
    described: Described | None, designs: Sequence[Record | Candidate]
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Layers of each of ``designs`` by key; none for a study that is not of cimbo's networks and chip model."""
    from cimbo import hardware

    if described is None or (evaluator := described[1]).simulator != "cimbo":
        return {}
    placed = {r.key: evaluator.placed(r.params) for r in designs}
    return {key: hardware.explain(*pair)["layers"] for key, pair in placed.items()}


def _provenance(study: Study) -> dict[str, str]:
    """What the accuracies are worth where they are not measured, the command that started the study, and the versions."""
    versions = study.metadata.get("versions", {})
    found = accuracy_provenance(study)
    about = {"accuracy": found["label"]} if found else {}
    command = study.metadata.get("command")
    about |= {"command": str(command)} if command else {}
    return about | {"versions": ", ".join(f"{k} {v}" for k, v in versions.items())}
