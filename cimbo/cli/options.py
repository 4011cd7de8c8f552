"""Which study a command is about: a file, and for a new one a preset or a study.toml."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from cimbo.cli.values import at_least_one, json_object, one_or_all, origin, positive, sizes
from cimbo.config.study_config import DEFAULT_PRESET, Config
from cimbo.errors import BadInput
from cimbo.session.opening import (
    described_by,
    open_existing,
    open_session,
    open_to_ask,
    with_checkpoint,
    with_table,
)
from cimbo.session.session import Session
from cimbo.session.workers import Workers

__all__ = [
    "AskedStudy",
    "at_least_one",
    "command_line",
    "evaluation_options",
    "existing",
    "json_object",
    "new_study_options",
    "one_or_all",
    "origin",
    "positive",
    "simulator_option",
    "simulator_options_option",
    "sizes",
    "study_option",
]
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
    help='Options of the simulator as JSON, or @FILE, such as {"command": ["./simulate"]}.',
)


def _accuracy_options() -> list[Callable[..., Any]]:
    """What a user may say of weights and images of their own, and of published accuracies."""
    return [
        click.option(
            "--table",
            type=click.Path(path_type=Path),
            default=None,
            help="A file of accuracies that others measured, for a preset that models them.",
        ),
        click.option(
            "--expect",
            type=float,
            default=None,
            help="Accuracy in percent that --weights must have; the largest network is measured first.",
        ),
        click.option(
            "--normalise",
            default=None,
            metavar="NAME|M,M,M/D,D,D",
            help="Mean and deviation of pixels: imagenet, half, clip or numbers [default: as beside --weights].",
        ),
        click.option(
            "--crop",
            type=float,
            default=None,
            help="Share of an image's short side that --weights see [default: as beside them, or 0.875].",
        ),
        click.option(
            "--test-images",
            type=int,
            default=None,
            help="Images of --data for the final front [default: 10000].",
        ),
        click.option(
            "--image-batch",
            type=int,
            default=None,
            help="Images that --weights see at a time [default: 16].",
        ),
        click.option("--device", default=None, help="Where --weights run: cpu or cuda."),
        click.option(
            "--precision", default=None, help="Of --weights while they run: float32 or bfloat16."
        ),
    ]


# In the order of --help.
NEW_STUDY_OPTIONS = (
    study_option,
    click.option(
        "--preset",
        "preset_name",
        default=None,
        help=f"A shipped study [default: {DEFAULT_PRESET}].",
    ),
    click.option(
        "--network",
        multiple=True,
        metavar="FILE.onnx|NAME",
        help="Search chips for this network at its largest, by costs alone. Given several times: chips for all.",
    ),
    click.option(
        "--set",
        "pairs",
        multiple=True,
        metavar="NAME=SIZE",
        help="A size that the ONNX file leaves open; may be given several times.",
    ),
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=None,
        help="A study.toml that describes the study.",
    ),
    click.option("--seed", type=int, default=None, help="Seed of a new study [default: 0]."),
    simulator_option,
    simulator_options_option,
    click.option(
        "--data",
        type=click.Path(path_type=Path),
        default=None,
        help="Images for --weights: val/ and train/ with a folder for each class, or images.npy and labels.npy.",
    ),
    click.option(
        "--weights",
        type=click.Path(path_type=Path),
        default=None,
        help="A checkpoint (OFA, timm, Hugging Face): accuracy is measured, not modelled.",
    ),
    click.option(
        "--images",
        type=int,
        default=None,
        help="Images of --data that the search uses [default: 2000].",
    ),
    *reversed(_accuracy_options()),
)
WORKERS_OPTIONS = (
    click.option(
        "--jobs",
        type=int,
        default=None,
        callback=one_or_all,
        help="Evaluations at a time [default: one per core, at most 8; on a cluster as many as it allows].",
    ),
    click.option(
        "--timeout",
        "timeout_s",
        type=float,
        default=None,
        help="Seconds after which an attempt is ended.",
    ),
    click.option(
        "--retries",
        type=int,
        default=0,
        show_default=True,
        help="How often a failed evaluation is tried again.",
    ),
    click.option(
        "--memory-mb",
        type=int,
        default=None,
        help="Limit on the private memory of a worker process, in MiB (Linux).",
    ),
    click.option(
        "--backend",
        default="loky",
        show_default=True,
        help="loky (this machine), dask, ray or slurm.",
    ),
    click.option(
        "--scheduler",
        default=None,
        metavar="ADDRESS",
        help="A running Dask or Ray cluster [default: one here].",
    ),
    click.option(
        "--accept-changed",
        is_flag=True,
        help="Go on although the evaluator, or a file that it reads, has changed; the study then mixes both results.",
    ),
)


def new_study_options(command: F) -> F:
    """Give a command the options that say which study it is about.

    They are --study, --preset, --network, --set, --config, --seed, the simulator and a user's own
    super-network.

    Args:
        command: The function to decorate. It is called with ``asked``, an ``AskedStudy``, in place
            of these options.

    Returns:
        The decorated function.
    """
    return _with_options(_gathered(command, "asked", AskedStudy), NEW_STUDY_OPTIONS)


def evaluation_options(command: F) -> F:
    """Give a command the options of its evaluations.

    They say where evaluations run, what each may use, and whether they must be as before.

    Args:
        command: The function to decorate. It is called with ``workers`` in place of the fields of
            ``Workers``.

    Returns:
        The decorated function.
    """
    return _with_options(_gathered(command, "workers", Workers), WORKERS_OPTIONS)


def _gathered(command: F, argument: str, kind: type[AskedStudy] | type[Workers]) -> F:
    """A command whose options that are fields of ``kind`` come as one ``argument``."""
    names = [field.name for field in fields(kind)]

    @wraps(command)
    def collected(**given: Any) -> Any:
        """Call the command with these options in one record."""
        values = {name: given.pop(name) for name in names}
        return command(**{argument: kind(**values)}, **given)

    return cast(F, collected)


def _with_options(command: F, options: Sequence[Callable[[F], F]]) -> F:
    """A command with options, which ``--help`` lists in their order."""
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True)
class AskedStudy:
    """What the options of a command say of the study it is about."""

    file: str
    preset_name: str | None
    config: Path | None
    seed: int | None
    simulator: str | None
    simulator_options: str
    data: Path | None
    weights: Path | None
    images: int | None
    network: tuple[str, ...]
    pairs: tuple[str, ...]
    table: Path | None
    expect: float | None
    normalise: str | None
    crop: float | None
    test_images: int | None
    image_batch: int | None
    device: str | None
    precision: str | None

    def checkpoint(self) -> dict[str, Any]:
        """Gather what is said of the user's weights besides which they are.

        Returns:
            Options of the source of accuracy "checkpoint", those that were given.
        """
        said = {
            "expect": self.expect,
            "normalise": self.normalise,
            "crop": self.crop,
            "test_images": self.test_images,
            "batch": self.image_batch,
            "device": self.device,
            "precision": self.precision,
        }
        return {name: value for name, value in said.items() if value is not None}

    def source(self) -> Path | str | None:
        """Choose the named preset or study.toml.

        Returns:
            The path or the name; None where neither is named.

        Raises:
            BadInput: Where more than one of --preset, --config and --network is given.
        """
        named = {"--preset": self.preset_name, "--config": self.config, "--network": self.network}
        given = [option for option, value in named.items() if value]
        if len(given) > 1:
            what = f"both {' and '.join(given)} are given"
            raise BadInput("options", what, "give one of them")
        return self.config or self.preset_name

    def described(self) -> Config | None:
        """Load the named description, with the user's checkpoint.

        Returns:
            The description; None where nothing is named.

        Raises:
            BadInput: For options that contradict one another, and for a description or a checkpoint
                that is wrong.
        """
        named = described_by(self.source(), self.network or None, sizes(self.pairs))
        settings = self.checkpoint()
        if self.images is not None:
            settings["images"] = self.images
        return with_table(with_checkpoint(named, self.weights, self.data, settings), self.table)

    def open_to_ask(self) -> Session:
        """Open the study in the file, or start a new one, whatever evaluates it.

        Returns:
            A session; close it, or use it as a context manager.

        Raises:
            BadInput: As `open_to_ask` does, and for options that contradict one another or cannot
                be read.
        """
        described = self.described()
        if self.simulator is not None and described is not None:
            options = json_object("--simulator-options", self.simulator_options)
            described = described.with_simulator(self.simulator, options)
        return open_to_ask(described, self.file, self.seed, command_line())

    def open(self, *, accept_changed: bool = False) -> Session:
        """Open the study in the file, or start a new one.

        Args:
            accept_changed: Go on although what evaluates is not what it was.

        Returns:
            A session; close it, or use it as a context manager.

        Raises:
            BadInput: As `open_session` does, and for options that contradict one another or cannot
                be read.
        """
        options = {}
        if self.simulator is not None:
            options = json_object("--simulator-options", self.simulator_options)
        sizes_of_file = sizes(self.pairs)
        return open_session(
            self.source(),
            network=self.network or None,
            sizes=sizes_of_file,
            study=self.file,
            seed=self.seed,
            simulator=self.simulator,
            simulator_options=options,
            weights=self.weights,
            data=self.data,
            images=self.images,
            checkpoint=self.checkpoint(),
            table=self.table,
            accept_changed=accept_changed,
            command=command_line(),
        )


def command_line() -> str:
    """Name the command that is running, as it was typed.

    Returns:
        The command line; "" in a program that calls this module's functions.
    """
    context = click.get_current_context(silent=True)
    if context:
        return str(context.obj or "")
    return ""


def existing(file: str) -> Session:
    """Open a study to look at it.

    Args:
        file: The study's file.

    Returns:
        A session that cannot write; close it, or use it as a context manager.

    Raises:
        BadInput: There is no such file, or it is no study.
    """
    session = open_existing(file)
    gc.freeze()  # a long log lives as long as the command: no collection needs to look through it
    return session
