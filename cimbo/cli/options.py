"""Which study a command is about: a file, and for a new one a preset or a study.toml."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from cimbo import execution
from cimbo.config.study_config import DEFAULT_PRESET, Config, from_definition, load, preset
from cimbo.errors import BadInput, naming
from cimbo.problem.objectives import Problem
from cimbo.storage import check_place
from cimbo.study.study import Study

F = TypeVar("F", bound=Callable[..., Any])

study_option = click.option(
    "--study", "file", default="cimbo.db", show_default=True, help="The study file."
)


simulator_option = click.option(
    "--simulator",
    default=None,
    help="cimbo, zigzag, accelforge, command, table, or a plug-in's name.",
)
simulator_options_option = click.option(
    "--simulator-options",
    default="{}",
    help='Its options as JSON, or @FILE, such as {"command": ["./simulate"]}.',
)


def new_study_options(command: F) -> F:
    """--study, --preset, --config, --seed, the simulator and a user's own super-network."""
    for option in (
        click.option(
            "--images",
            type=int,
            default=None,
            help="Images of --data that the search uses [default: 2000].",
        ),
        click.option(
            "--weights",
            type=click.Path(path_type=Path),
            default=None,
            help="A checkpoint (OFA, timm, Hugging Face): accuracy is measured, not modelled.",
        ),
        click.option(
            "--data",
            type=click.Path(path_type=Path),
            default=None,
            help="Images for --weights: val/ and train/ with a folder a class, or images.npy and labels.npy.",
        ),
        simulator_options_option,
        simulator_option,
        click.option("--seed", type=int, default=None, help="Seed of a new study [default: 0]."),
        click.option(
            "--config", type=click.Path(path_type=Path), default=None, help="A study.toml."
        ),
        click.option(
            "--preset",
            "preset_name",
            default=None,
            help=f"A shipped study [default: {DEFAULT_PRESET}].",
        ),
        study_option,
    ):
        command = option(command)
    return command


def evaluation_options(command: F) -> F:
    """Where evaluations run, what each may use, and whether they must be as before."""
    for option in (
        click.option(
            "--accept-changed",
            is_flag=True,
            help="Go on although what evaluates, or a file that it reads, is not what it was: the study mixes both.",
        ),
        click.option(
            "--scheduler",
            default=None,
            metavar="ADDRESS",
            help="A running Dask or Ray cluster [default: one here].",
        ),
        click.option(
            "--backend",
            default="loky",
            show_default=True,
            help="loky (this machine), dask, ray or slurm.",
        ),
        click.option(
            "--memory-mb",
            type=int,
            default=None,
            help="Private memory of one worker process, in MiB (Linux).",
        ),
        click.option(
            "--retries",
            type=int,
            default=0,
            show_default=True,
            help="Further attempts after a failure.",
        ),
        click.option(
            "--timeout", "timeout_s", type=float, default=None, help="Seconds one attempt may take."
        ),
        click.option(
            "--jobs",
            type=int,
            default=None,
            help="Evaluations at a time [default: one a core, at most 8; on a cluster all it gives].",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def evaluations(asked: dict[str, Any]) -> Iterator[tuple[int, execution.ExecutionOptions]]:
    """How many evaluations at a time, and under which conditions; the cluster stays joined while the block lasts.

    Takes its own options out of ``asked``. Raises BadInput for impossible ones and a cluster that does not answer.
    """
    jobs, backend, scheduler = (asked.pop(name) for name in ("jobs", "backend", "scheduler"))
    if jobs is None:
        jobs = min(os.cpu_count() or 1, 8) if backend == "loky" else -1
    elif jobs != -1:
        positive("--jobs", jobs)
    conditions = execution.ExecutionOptions(
        timeout_s=asked.pop("timeout_s"),
        retries=asked.pop("retries"),
        memory_mb=asked.pop("memory_mb"),
        backend=backend,
    )
    execution.check(jobs, **conditions)
    with execution.connect(backend, scheduler):
        yield jobs, conditions


@contextmanager
def opened(asked: dict[str, Any]) -> Iterator[tuple[Study, Config]]:
    """The asked study; one that is started here goes again when bad input ends the command before an evaluation."""
    names = (
        "file",
        "preset_name",
        "config",
        "seed",
        "simulator",
        "simulator_options",
        "data",
        "weights",
        "images",
    )
    file, evaluated = Path(asked["file"]), 0
    new = not file.exists()
    study, config = open_or_start(**{name: asked[name] for name in names})
    try:
        with study:
            try:
                yield study, config
            finally:
                evaluated = len(study.evaluations())
    except BadInput:
        if new and not evaluated:
            file.unlink()
        raise


def open_or_start(
    *,
    file: str,
    preset_name: str | None,
    config: Path | None,
    seed: int | None,
    simulator: str | None,
    simulator_options: str,
    data: Path | None = None,
    weights: Path | None = None,
    images: int | None = None,
) -> tuple[Study, Config]:
    """The study in ``file`` with what it was made from, or a new one. Raises BadInput as ``Study.open`` does."""
    asked = _with_checkpoint(_described(preset_name, config), data, weights, images)
    if Path(file).exists():
        if simulator is not None:
            raise BadInput(
                "--simulator",
                f"{file} has its simulator already",
                "name another --study for another simulator",
            )
        return _existing(file, asked, seed)
    chosen = asked or preset(DEFAULT_PRESET)
    if simulator is not None:
        chosen = chosen.with_simulator(
            simulator, json_object("--simulator-options", simulator_options)
        )
    problem = chosen.problem
    check_place(Path(file).absolute())
    with naming(chosen.name):
        chosen.evaluator().check()  # nothing is written for a study that cannot be evaluated
    about = {"config": {"name": chosen.name, "data": dict(chosen.data)}, "command": command_line()}
    study = Study.open(
        file, problem.space, problem.objectives, problem.constraints, seed=seed or 0, metadata=about
    )
    return study, chosen


def command_line() -> str:
    """The command that is running, as it was typed; "" in a program that calls this module's functions."""
    context = click.get_current_context(silent=True)
    return str(context.obj or "") if context else ""


def studied(
    file: str,
    preset_name: str | None,
    config: Path | None,
    *,
    data: Path | None = None,
    weights: Path | None = None,
    images: int | None = None,
    **_: Any,
) -> Problem:
    """What the study in ``file`` is about, or what a new one would be; nothing is created."""
    if Path(file).exists():
        with existing(file) as study:
            return study.problem
    asked = _with_checkpoint(_described(preset_name, config), data, weights, images)
    return (asked or preset(DEFAULT_PRESET)).problem


def _described(preset_name: str | None, config: Path | None) -> Config | None:
    if preset_name and config:
        raise BadInput("options", "both --preset and --config are given", "give one of them")
    return preset(preset_name) if preset_name else load(config) if config else None


def _with_checkpoint(
    asked: Config | None, data: Path | None, weights: Path | None, images: int | None
) -> Config | None:
    """``asked`` with its accuracy measured on a user's checkpoint and images, where they are given."""
    if data is None and weights is None and images is None:
        return asked
    if data is None or weights is None or asked is None:
        raise BadInput(
            "--data and --weights",
            "belong together, with a --preset or --config",
            "give all of them",
        )
    options = {"weights": str(weights.resolve()), "data": str(data.resolve())}
    return asked.with_checkpoint(options | ({} if images is None else {"images": images}))


def _existing(file: str, asked: Config | None, seed: int | None) -> tuple[Study, Config]:
    if asked is not None:
        p = asked.problem
        study = Study.open(file, p.space, p.objectives, p.constraints)
    else:
        study = Study.open(file)
    if seed is not None and seed != study.seed:
        study.close()
        raise BadInput(
            file,
            f"was started with seed {study.seed}, not {seed}",
            "leave out --seed, or name another --study",
        )
    return study, asked or from_definition(file, study.metadata)


def existing(file: str) -> Study:
    """A study to look at. Raises BadInput when there is none."""
    if not Path(file).exists():
        raise BadInput(
            file,
            "does not exist",
            "name a study with --study, or start one: cimbo optimize, or cimbo demo",
        )
    study = Study.open(file, readonly=True)
    gc.freeze()  # a long log lives as long as the command: no collection needs to look through it
    return study


def positive(name: str, value: int) -> int:
    """``value`` when it is at least 1. Raises BadInput."""
    if value < 1:
        raise BadInput(name, f"{value} is not positive", "give a number of at least 1")
    return value


def json_object(name: str, text: str) -> dict[str, Any]:
    """A JSON object given on the command line, or in a file named after an @. Raises BadInput."""
    try:
        source = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        value = json.loads(source)
    except OSError as error:
        raise BadInput(
            origin(name, text), f"cannot be read ({error.strerror})", "name a readable file"
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(
            origin(name, text), f"is not JSON ({error})", 'give an object such as {"rows": 128}'
        ) from None
    if not isinstance(value, dict):
        raise BadInput(
            origin(name, text), "is no JSON object", 'give an object such as {"rows": 128}'
        )
    return value


def origin(name: str, text: str) -> str:
    """Where an option's value comes from: the option, and the file after an @."""
    return f"{name} {text[1:]}" if text.startswith("@") else name
