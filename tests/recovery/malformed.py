"""Three hundred inputs that are no study, no table, no bundle and no network, and what the command line says about them."""

import contextlib
import io
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from doors import DOORS, good_study
from drills import small_disk

from cimbo.cli import run
from cimbo.errors import BadInput
from cimbo.workloads.onnx.reader import from_onnx


@dataclass(frozen=True)
class Answer:
    """What a command made of an input. ``code`` is the name of the exception where one escaped."""

    code: int | str
    out: str
    said: str
    seconds: float


@dataclass(frozen=True)
class Malformed:
    """Inputs by how they were answered; ``wrong`` names each that was not answered as it should be."""

    inputs: int
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def answer(arguments: list[str]) -> Answer:
    """Runs a command in this process. ``onnx FILE`` and ``weights FILE`` stand for reading a network and a checkpoint."""
    out, said, begin = io.StringIO(), io.StringIO(), time.perf_counter()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        try:
            code: int | str = (
                READERS[arguments[0]](Path(arguments[1]))
                if arguments[0] in READERS
                else run(arguments)
            )
        except Exception as error:
            code = f"{type(error).__name__}: {error}"
    return Answer(code, out.getvalue(), said.getvalue(), time.perf_counter() - begin)


def reader(read: Callable[[Path], object]) -> Callable[[Path], int]:
    """Ends as a command would that reads a file by ``read``."""

    def command(file: Path) -> int:
        try:
            read(file)
        except BadInput as error:
            print(error, file=sys.stderr)
            return 2
        return 0

    return command


def checkpoint(file: Path) -> object:
    from cimbo.supernets import published_weights  # imports torch

    return published_weights.read(file)


READERS = {"onnx": reader(from_onnx), "weights": reader(checkpoint)}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def complaint(found: Answer, file: str) -> str | None:
    """What is wrong with an answer to a malformed ``file``, if anything is."""
    lines = found.said.splitlines()
    if found.code != 2:
        return f"ended with {found.code}: {found.said[-200:]}"
    well_formed = [line for line in lines if ": " in line and ";" in line and line.isprintable()]
    if found.out or not lines or well_formed != lines:  # a line a fault
        return f"said {lines}"
    if file not in lines[0]:
        return f"does not name {file}: {lines[0]}"
    return None if found.seconds < 2 else f"took {found.seconds:.1f} s"


def malformed_drill(count: int, seed: int = 0) -> Malformed:
    """``count`` malformed inputs, an equal share through each door; each in an empty folder."""
    dice, wrong, slowest = random.Random(seed), list[str](), 0.0
    doors = [door for door in DOORS if find_spec(door.needs)]
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        images = {door.file: door.good(Path(name)) for door in doors}
        for i in range(count):
            door, turn = doors[i % len(doors)], i // len(doors)
            damage = door.damages[turn % len(door.damages)]
            Path(door.file).write_bytes(damage(images[door.file], dice))
            before = contents(Path())
            found = answer(door.commands[turn % len(door.commands)](door.file))
            after = contents(Path())
            told = complaint(found, Path(door.file).name)
            wrong += [f"input {i}: {told}"] if told else []
            wrong += (
                [f"input {i}: wrote {sorted(after.keys() - before.keys())}"]
                if before != after
                else []
            )
            slowest = max(slowest, found.seconds)
            for path in after:
                Path(path).unlink()
    return Malformed(count, wrong, slowest)


READ_ONLY: list[tuple[str, list[str]]] = [
    ("study.db", ["optimize", "--budget", "1", "--study", "study.db"]),
    ("new.db", ["optimize", "--budget", "1", "--study", "new.db"]),
    ("out.html", ["report", "--study", "study.db", "-o", "out.html"]),
    ("out.csv", ["export", "--study", "study.db", "-o", "out.csv"]),
    ("study.schema.json", ["init"]),
]


def read_only_drill() -> list[str]:
    """Commands that would write on a disk that is read-only; mounting it needs root. What was answered wrongly."""
    with small_disk(8) as folder, contextlib.chdir(folder):
        Path("study.db").write_bytes(good_study(folder))
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        before = contents(folder)
        answers = [(arguments, complaint(answer(arguments), file)) for file, arguments in READ_ONLY]
        looked = answer(["status", "--study", "study.db"])
        wrong = [f"{arguments}: {told}" for arguments, told in answers if told]
        wrong += [f"status: {looked.said}"] if looked.code != 0 else []
        return wrong + (["wrote"] if contents(folder) != before else [])
