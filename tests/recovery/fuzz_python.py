"""What the fuzzer gives to functions of Python, and the functions that take it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_values import HOSTILE_VALUES

import predictors
from cimbo import Choice, Constraint, Objective, SearchSpace, Study


@dataclass(frozen=True)
class FuzzInput:
    """One input: files by their place in an empty folder, the words of the command, and what it may write there."""

    files: dict[str, bytes]
    arguments: list[str]
    may_write: tuple[str, ...] = ()
    values: tuple[Any, ...] = field(default=())  # of the readers in Python

    def write(self, folder: Path) -> None:
        """Puts the files below ``folder``, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)


class _Refuses:
    """A number that cannot be had."""

    def __float__(self) -> float:
        raise RuntimeError("no number")

    __int__ = __index__ = __float__  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RuntimeError("no words")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


def python_values() -> list[Any]:
    return [
        *copy.deepcopy(HOSTILE_VALUES),  # some are changed by whoever takes them
        _Refuses(),
        Decimal("NaN"),
        Decimal("1e999"),
        Decimal("sNaN"),
        Fraction(1, 3),
        1j,
        b"1",
        {1},
        object(),
        np.float32(0.5),
        np.int64(64),
        np.uint64(2**63),
        np.array([1.0, 2.0]),
        np.array([]),
        np.array(3.0),
        np.array(None),
        np.str_("64"),
        np.datetime64("NaT"),
        np.timedelta64(1, "s"),
        np.bool_(True),
        np.complex64(1),
        range(3),
        iter([1]),
        lambda: 1,
        float,
        np.longdouble("1e4000"),
    ]


def read_images(_: FuzzInput) -> None:
    from cimbo.supernets import image_inputs, imagenet  # imports torch

    found = imagenet.source(Path("val"), 3)
    kept = imagenet.readable(found, range(len(found.labels)))
    if kept:
        image_inputs.prepared(found, kept[:2], 32, ((0.5,) * 3, (0.5,) * 3))


def read_bundle(given: FuzzInput) -> None:
    with np.errstate(all="ignore"):
        model = predictors.load("m.cimpred")
        rows = [{"a": 1, "b": 2, "c": "x"}, {"a": 4, "b": 0, "c": "y"}]
        model.predict(rows)
        model.sample(rows, 2)
        predictors.importances(model)


def tell(given: FuzzInput) -> None:
    design, metrics, reason = given.values
    genes = [Choice("a", [1, 2, 3]), Choice("b", ["x", "y"])]
    space = SearchSpace(genes, [Choice("c", [0.5, 1.5])])
    goals = [Objective("y", "min", 9.0), Objective("z", "max")]
    with Study.open("told.db", space, goals) as study:
        study.tell({"a": 1, "b": "y", "c": 1.5}, {"y": 3.0, "z": 1.0})
        study.tell(design, metrics, reason=reason)
        study.tell({"a": 3, "b": "y", "c": 0.5}, {"y": 2.0, "z": 1.5})
        study.pareto(), study.hypervolume(), study.evaluations()


def define(given: FuzzInput) -> None:
    (name, values, active_if), goal, (metric, relation, bound), seed, n = given.values
    genes = [Choice(name, values, active_if=active_if), Choice("other", [1, 2])]
    limit = Constraint(metric, relation, bound)
    with Study.open(None, SearchSpace(genes), [Objective(*goal)], [limit], seed=seed) as study:
        study.ask(n)


PYTHON_READERS: dict[str, Callable[[FuzzInput], None]] = {
    "python-images": read_images,
    "python-bundle": read_bundle,
    "python-tell": tell,
    "python-define": define,
}
