"""Which study a command is about: a file, and for a new one a preset or a study.toml."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from cimbo.cli.option_lists import (
    NEW_STUDY_OPTIONS,
    WORKERS_OPTIONS,
    simulator_option,
    simulator_options_option,
    study_option,
)
from cimbo.cli.values import at_least_one, json_object, one_or_all, origin, positive, sizes
from cimbo.config.study_config import Config
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
    "existing_to_write",
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
        named = described_by(
            self.source(),
            self.network or None,
            sizes(self.pairs),
            has_weights=self.weights is not None,
        )
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


def existing_to_write(file: str) -> Session:
    """Open a study that measurements are added to.

    Args:
        file: The study's file.

    Returns:
        A session; close it, or use it as a context manager.

    Raises:
        BadInput: There is no such file, or it is no study.
    """
    existing(file).close()  # refuses a file that is not there, which would be started
    return open_session(study=file)
