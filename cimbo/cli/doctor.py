"""``cimbo doctor``: what is installed, what a search would take, and whether a plug-in keeps its promises."""

from __future__ import annotations

from pathlib import Path

import click

from cimbo.cli.grouped import command
from cimbo.cli.options import at_least_one, existing, json_object, simulator_options_option
from cimbo.cli.output import emit, format_option, say
from cimbo.config.study_config import DEFAULT_PRESET
from cimbo.session.opening import described_by

VERDICTS_IN_WORDS = {
    "PASS": "checks passed",
    "SKIP": "optional extras not installed",
    "WARN": "worth knowing",
    "FAIL": "failed",
}


@command()
@click.argument("name", required=False)
@click.option(
    "--preset", "preset_name", default=None, help=f"A shipped study [default: {DEFAULT_PRESET}]."
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="A study.toml that describes the study.",
)
@click.option(
    "--study", "file", default=None, help="A study file: do its genes stand at ends of ranges?"
)
@click.option(
    "--budget",
    type=int,
    default=200,
    show_default=True,
    callback=at_least_one,
    help="Evaluations to estimate the time of.",
)
@click.option(
    "--jobs",
    type=int,
    default=None,
    callback=at_least_one,
    help="Evaluations at a time [default: one a core, at most 8].",
)
@simulator_options_option
@format_option
def doctor(
    *,
    name: str | None,
    preset_name: str | None,
    config: Path | None,
    file: str | None,
    budget: int,
    jobs: int | None,
    simulator_options: str,
    style: str,
) -> int:
    """Check what is installed, how large the space is and how long a search takes; with NAME, whether that plug-in works.

    NAME is a network, a simulator, a source of accuracy or a surrogate, shipped or installed. The exit code is 1 where a
    check fails.

    Example: cimbo doctor --preset fmnist-vit --budget 200
    """
    from cimbo.session import health

    if name is not None:
        found = health.check_plugin(name, json_object("--simulator-options", simulator_options))
    elif file is not None:
        with existing(file) as session:
            found = health.check_study(session.pareto())
    else:
        found = health.doctor(described_by(config or preset_name), budget=budget, jobs=jobs)
    emit(style, found.to_json(), found.to_json())
    counts = []
    for verdict, said in VERDICTS_IN_WORDS.items():
        if found.counts[verdict]:
            counts.append(f"{found.counts[verdict]} {said}")
    say(", ".join(counts))
    return 0 if found.is_healthy else 1
