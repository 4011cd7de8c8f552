"""Opens a session: a study's file together with the description of what it evaluates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cimbo.config.own_network import of_names
from cimbo.config.study_config import DEFAULT_PRESET, Config, load, preset
from cimbo.errors import BadInput, naming
from cimbo.evaluation.accuracy.sources import SHIPPED_SUPERNETS
from cimbo.session.session import Session
from cimbo.storage import check_place
from cimbo.study.study import Study

Source = str | Path | Config
"""What a study is about: the name of a preset, the path of a study.toml or of a study, or a `Config`.

Examples:
    >>> from cimbo import Source, open_session
    >>> source: Source = "fmnist-vit"
    >>> with open_session(source) as session:
    ...     session.study.problem.objectives[0].name
    'accuracy'
"""


DEFAULT_STUDY_FILE = "cimbo.db"
"""Where commands keep a study that is not named."""

MISTYPED_SIMILARITY = 0.8
"""Two names of files more alike than this (difflib's ratio) may be one name, mistyped."""


def open_session(
    source: Source | None = None,
    *,
    network: str | Path | Sequence[str] | None = None,
    sizes: Mapping[str, int] | None = None,
    study: str | Path | None = None,
    seed: int | None = None,
    simulator: str | None = None,
    simulator_options: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    data: str | Path | None = None,
    images: int | None = None,
    checkpoint: Mapping[str, Any] | None = None,
    table: str | Path | None = None,
    readonly: bool = False,
    accept_changed: bool = False,
    command: str = "",
) -> Session:
    """Open a study with all that cimbo's commands can do with it.

    Args:
        source: What the study is about: the name of a preset, the path of a study.toml, a `Config`, or the file of
            a study that exists. None: what ``study`` was started from, or the default preset.
        network: A network to find chips for instead of a described study: an ONNX file or a family; or several. Costs
            alone are measured.
        sizes: Free sizes of ``network`` where it is an ONNX file, by name.
        study: The study's file, which is created where it does not exist; None keeps a new study in memory.
        seed: Seed of a new study (0 unless given); an existing one must have been started with it.
        simulator: Another simulator than the description names, for a new study.
        simulator_options: What sets ``simulator`` up.
        weights: A checkpoint (OFA, timm, Hugging Face) of the user's: accuracy is measured on it, not modelled.
        data: Images for ``weights``: val/ and train/ with a folder a class, or images.npy and labels.npy.
        images: Images of ``data`` that the search uses (2000 unless given).
        checkpoint: Further settings of ``weights``: normalise, crop, interpolation, expect, device, precision, batch,
            test_images, calibration.
        table: A user's file of accuracies that others measured, which the described study otherwise models.
        readonly: Open an existing file to look at it only.
        accept_changed: Open an existing file although what evaluates is not what it was.
        command: The command line to keep with a new study, where one started it.

    Returns:
        A session; close it, or use it as a context manager.

    Raises:
        BadInput: For a description that is wrong, a file that is no study or another one, or an evaluation that
            cannot be set up. Nothing is written then.

    Examples:
        >>> import cimbo
        >>> with cimbo.open_session("fmnist-vit", study="vit.db") as session:
        ...     [objective.name for objective in session.study.problem.objectives]
        ['accuracy', 'latency_ms']
    """
    file = None if study is None else Path(study)
    if isinstance(source, str | Path) and _is_study_file(source):
        named = Path(source)
        if file is not None and file != named:
            raise BadInput(source, f"is a study, and so is {file}", "name one file")
        source, file = None, named
    if readonly:
        if file is None:
            raise BadInput("study", "has no file to read", "name it with study=")
        return open_existing(file)
    settings = dict(checkpoint or {})
    if images is not None:
        settings["images"] = images
    asked = described_by(source, network, sizes, has_weights=weights is not None)
    described = with_checkpoint(asked, weights, data, settings)
    described = with_table(described, table)
    if file is not None and file.exists():
        if simulator is not None:
            todo = "name another study (--study) for another simulator"
            raise BadInput("--simulator", f"{file} has its simulator already", todo)
        return _resume(file, described, seed, accept_changed)
    if described is None and file is not None:
        _check_not_mistyped(file)
    config = described or preset(DEFAULT_PRESET)
    if simulator is not None:
        config = config.with_simulator(simulator, simulator_options or {})
    return _start(file, config, seed or 0, command)


def open_existing(file: str | Path) -> Session:
    """Open the study in a file to look at it.

    Args:
        file: The study's file.

    Returns:
        A session that cannot write; close it, or use it as a context manager.

    Raises:
        BadInput: There is no such file, or it is no study.
    """
    if not Path(file).exists():
        todo = "name a study with --study, or start one: cimbo optimize, or cimbo demo"
        raise BadInput(file, "does not exist", near_files(file) + todo)
    return Session(Study.open(file, readonly=True), file=str(file))


def _check_not_mistyped(file: Path) -> None:
    """Raises BadInput where a file is missing, nearly has another's name, and nothing says what to search."""
    names = []
    for each in file.parent.glob(f"*{file.suffix}"):
        if _without_digits(each.name) != _without_digits(
            file.name
        ):  # vit2.db beside vit1.db is meant
            names.append(each.name)
    near = get_close_matches(file.name, names, 1, MISTYPED_SIMILARITY)
    if near and file.name != DEFAULT_STUDY_FILE:
        todo = (
            f"did you mean {file.parent / near[0]}? To start a new study of this name say what it "
            f"searches, such as --preset {DEFAULT_PRESET}"
        )
        raise BadInput(file, "does not exist", todo)


def _without_digits(name: str) -> str:
    return re.sub(r"\d", "", name)


def near_files(file: str | Path) -> str:
    """Ask about files beside one that does not exist, of the same ending and nearly its name.

    Args:
        file: The file that was named.

    Returns:
        A question with a space after it; "" where there are none.
    """
    path = Path(file)
    if not path.parent.is_dir():
        return ""
    near = _near_names(path)
    if not near:
        return ""
    files = [str(path.parent / name) for name in near]
    return f"did you mean {' or '.join(files)}? "


def _near_names(path: Path) -> list[str]:
    """Names beside ``path`` that are nearly its own; the only one of its ending is near enough."""
    names = [each.name for each in path.parent.glob(f"*{path.suffix or '.db'}")]
    if len(names) == 1:
        return names
    return get_close_matches(path.name, names, 2)


def open_to_tell(file: str | Path) -> Session:
    """Open the study in a file to ask and tell, whatever evaluates it.

    Args:
        file: The study's file.

    Returns:
        A session; close it, or use it as a context manager.

    Raises:
        BadInput: There is no such file, or it is no study.
    """
    if not Path(file).exists():
        todo = "name a study with --study, or start one: cimbo ask --config study.toml"
        raise BadInput(file, "does not exist", near_files(file) + todo)
    return Session(Study.open(file), file=str(file))


def open_to_ask(
    described: Config | None, file: str | Path, seed: int | None = None, command: str = ""
) -> Session:
    """Open the study in ``file`` to ask and tell, or start it. Whether its evaluation can run here does not matter.

    Args:
        described: What the study is about; None for what the file says, or the default preset.
        file: The study's file.
        seed: Seed of a new study (0 unless given); an existing one must have been started with it.
        command: The command line to keep with a new study.

    Returns:
        The session, to be closed after use.

    Raises:
        BadInput: For a description that is wrong, and for a file that is no study or another one.
    """
    path = Path(file)
    if path.exists():
        return _resume(path, described, seed, accept_changed=True)
    return _start(path, described or preset(DEFAULT_PRESET), seed or 0, command, checked=False)


def described_by(
    source: Source | None,
    network: str | Path | Sequence[str] | None = None,
    sizes: Mapping[str, int] | None = None,
    *,
    has_weights: bool = False,
) -> Config | None:
    """Return the description of what a study evaluates.

    Args:
        source: A preset, a study.toml, or a description itself.
        network: A network alone, or several, instead of ``source``.
        sizes: Free sizes of ``network`` where it is an ONNX file, by name.
        has_weights: Whether the user has weights of ``network``, so that its sub-networks are searched too.

    Returns:
        None where nothing is named.

    Raises:
        BadInput: For what is unknown, and where both are named.
    """
    if network is not None:
        if source is not None:
            what = "both a network and a described study are given"
            raise BadInput("network", what, "give one of them")
        if isinstance(network, str | Path):
            network = [str(network)]
        return of_names(list(network), sizes, has_weights=has_weights)
    if sizes:
        raise BadInput("--set", "is of an ONNX file, and none is named", "name it with --network")
    if source is None or isinstance(source, Config):
        return source
    if isinstance(source, Path) or source.endswith(".toml"):
        return load(Path(source))
    return preset(source)


def with_checkpoint(
    described: Config | None,
    weights: str | Path | None,
    data: str | Path | None,
    settings: Mapping[str, Any],
) -> Config | None:
    """Let a description measure its accuracy on a user's checkpoint and images.

    Args:
        described: The description; None where none is named.
        weights: The checkpoint's file.
        data: The folder of images.
        settings: What the user says besides, by name of an option of the source "checkpoint".

    Returns:
        The changed description; ``described`` itself where neither checkpoint nor images are given.

    Raises:
        BadInput: One of ``weights``, ``data`` and ``described`` is given without the others, or
            ``settings`` without them.
    """
    if data is None and weights is None and not settings:
        return described
    if described is not None and described.accuracy in SHIPPED_SUPERNETS:
        what = f"the weights and images of {described.accuracy} come with cimbo, and no others are taken"
        todo = (
            "leave them out; weights and images of your own: --preset vit-b-imagenet and its like, "
            "or an accuracy function (docs/networks.md)"
        )
        raise BadInput("--weights and --data", what, todo)
    if data is None or weights is None or described is None:
        what = "belong together, with a --preset or --config"
        if data is None and weights is None:
            what = f"are missing, and {', '.join(settings)} is about them"
        raise BadInput("--data and --weights", what, "give all of them")
    options: dict[str, Any] = {
        "weights": str(Path(weights).resolve()),
        "data": str(Path(data).resolve()),
        **settings,
    }
    return described.with_checkpoint(options)


def with_table(described: Config | None, table: str | Path | None) -> Config | None:
    """Let a description look up its accuracies in a user's file of published ones.

    Args:
        described: The description; None where none is named.
        table: The file; None where none is given.

    Returns:
        The changed description; ``described`` itself without a file.

    Raises:
        BadInput: Where no study is described, or its accuracies are in no such file.
    """
    if table is None:
        return described
    if described is None:
        todo = "name it with --preset, such as nasbench201-analog"
        raise BadInput("--table", "is given without a study", todo)
    return described.with_table(str(Path(table).resolve()))


def _is_study_file(source: str | Path) -> bool:
    path = Path(source)
    return path.suffix != ".toml" and path.is_file()


def _start(
    file: Path | None, config: Config, seed: int, command: str, *, checked: bool = True
) -> Session:
    """A new study of ``config``; where it is ``checked``, nothing is written for one that cannot be evaluated."""
    problem = config.problem
    if file is not None:
        check_place(file.absolute())
    if checked:
        with naming(config.name):
            config.evaluator().check()
    metadata = {"config": {"name": config.name, "data": dict(config.data)}, "command": command}
    study = Study.open(
        file,
        problem.space,
        problem.objectives,
        problem.constraints,
        seed=seed,
        metrics=problem.metrics,
        metadata=metadata,
    )
    return Session(study, config, is_new=file is not None, file=None if file is None else str(file))


def _resume(
    file: Path, described: Config | None, seed: int | None, accept_changed: bool
) -> Session:
    """The study in ``file``, which must be of ``described`` and ``seed`` where these are given."""
    study = _described_as(file, described, accept_changed)
    try:
        session = Session(study, described, file=str(file))
        if seed is not None and seed != study.seed:
            what = f"was started with seed {study.seed}, not {seed}"
            raise BadInput(file, what, "leave out the seed, or name another study (--study)")
    except BadInput:
        study.close()
        raise
    return session


def _described_as(file: Path, described: Config | None, accept_changed: bool) -> Study:
    """The study in ``file``, if ``described`` describes it.

    A bound may follow from what evaluates, so that what evaluates is compared first.

    Returns:
        The open study.
    """
    if described is None:
        return Study.open(file)
    problem = described.problem
    constraints = problem.constraints
    with Study.open(file) as stored:
        if accept_changed:
            constraints = stored.problem.constraints
        else:
            stored.refuse_changed(described.evaluator())
    return Study.open(file, problem.space, problem.objectives, constraints, metrics=problem.metrics)
