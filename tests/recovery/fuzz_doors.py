"""The ways in that the fuzzer tries: for each, how a mutated input is made and which command is given it."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from doors import CHIP, good_config, good_import, good_onnx
from fuzz_values import (
    HOSTILE_VALUES,
    HOSTILE_WORDS,
    mutated_bytes,
    mutated_document,
    mutated_json,
    mutated_text,
    tampered_database,
)

import predictors
from cimbo import Choice, Constraint, Objective, SearchSpace, Study
from cimbo.config import study_config
from cimbo.study import planner, provenance

sys.path.insert(0, str(Path(__file__).parents[1] / "predictors"))
from test_predictors_forged import Content, forged

N_DESIGNS = 10  # in the study that is tampered with, beside a failed one
STUDY_TABLES = ["meta", "meta", "meta", "evaluation", "evaluation", "lease"]
OPTUNA_TABLES = [
    "studies",
    "study_directions",
    "study_user_attributes",
    "study_system_attributes",
    "trials",
    "trial_params",
    "trial_values",
    "trial_user_attributes",
    "version_info",
    "alembic_version",
]


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


# ---- good files, made once ------------------------------------------------------------------------------------------


@cache
def study_file() -> bytes:
    """A study with all that a file may hold: rows, a plan, leases, fingerprints, further accuracies, replicates."""
    about = study_config.preset("fmnist-vit")
    problem = about.problem
    metadata = {"config": {"name": about.name, "data": dict(about.data)}, "command": "cimbo"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.db"
        with Study.open(
            path, problem.space, problem.objectives, problem.constraints, metadata=metadata
        ) as study:
            designs = study.ask(N_DESIGNS)
            records = []
            for i, design in enumerate(designs):
                values = {"accuracy": 80 + i / 7, "latency_ms": 0.1 + i % 5, "energy_uj": 2.0}
                guess = {"accuracy": [80.0, 1.0], "latency_ms": [0.1, 0.1]}
                extra = {"predicted": guess, "position": i, "overhead_s": 0.1}
                metrics = values | {"area_mm2": 1.0 + i % 3}
                records.append(study.record(design, metrics, extra=extra, seconds=1.0))
            failed, waiting = study.ask(2)
            study.tell(failed, None, reason="MemoryError: too large")
            study.tell(designs[0], {**records[0].metrics, "accuracy": 81.0})
            study.record_test_accuracy(records[1].key, 80.5)
            study.record_bit_accurate(records[1].key, -0.5, 100)
            store = study.store
            entry = {"params": dict(waiting.params), "origin": "sobol", "predicted": guess}
            store.set_meta(planner.PLAN_NAME, [{**entry, "extra": {}, "question": {}}])
            found = about.evaluator().fingerprint()
            store.set_meta(
                provenance.FINGERPRINTS,
                {provenance.identifier(found): json.loads(json.dumps(found))},
            )
            store.set_meta("expensive", "accuracy")
            store.set_meta("shaping", ["depth", "embed"])
        with closing(sqlite3.connect(path)) as connection:
            row = (waiting.key, json.dumps(waiting.params), "1-ab", "here", 9e9)
            connection.execute("INSERT INTO lease VALUES (?, ?, ?, ?, ?)", row)
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        image = path.read_bytes()
    return image


@cache
def study_key() -> str:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(_without_log(study_file()))
        found = connection.execute("SELECT key FROM evaluation WHERE number = 7").fetchone()[0]
    return str(found)


def _without_log(image: bytes) -> bytes:
    return image[:18] + b"\1\1" + image[20:]


@cache
def config_text() -> str:
    return good_config(Path()).decode()


@cache
def table_text() -> str:
    return good_import(Path()).decode()


@cache
def onnx_file() -> bytes:
    return good_onnx(Path())


@cache
def optuna_file() -> bytes:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = study_config.preset("fmnist-vit").problem.space
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.db"
        study = optuna.create_study(
            storage=f"sqlite:///{path}", directions=["maximize", "minimize"], study_name="s"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # metric names are called experimental
            study.set_metric_names(["accuracy", "latency_ms"])
        for i, design in enumerate(space.sobol(5, 0)):
            kinds = {
                c.name: optuna.distributions.CategoricalDistribution(list(c.values))
                for c in space.choices
                if c.name in design
            }
            study.add_trial(
                optuna.trial.create_trial(
                    params=dict(design),
                    distributions=kinds,
                    values=[80.0 + i, 0.5],
                    user_attrs={"area_mm2": 1.0, "energy_uj": 2.0, "seconds": 3},
                )
            )
        return path.read_bytes()


@cache
def bundle_content() -> list[Content]:
    """A small model of each kind, taken apart."""
    rows = [{"a": i % 5, "b": i % 3, "c": "xy"[i % 2]} for i in range(24)]
    y = [1.0 + r["a"] + 0.1 * r["b"] + (i % 7) / 50 for i, r in enumerate(rows)]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("gp", "xgboost", "posynomial"):
            predictors.save(predictors.fit(rows, y, kind=kind), Path(folder) / f"{kind}.cimpred")
            found.append(Content.of(Path(folder) / f"{kind}.cimpred"))
    return found


# ---- doors ----------------------------------------------------------------------------------------------------------


def config(dice: Random) -> FuzzInput:
    """study.toml."""
    text = mutated_text(config_text(), dice)
    data = mutated_bytes(text.encode(), dice) if dice.random() < 0.1 else text.encode("utf-8")
    files = {"study.toml": data, "measured.csv": table_text().encode()}
    arguments = ["import", "measured.csv", "--config", "study.toml", "--study", "new.db"]
    return FuzzInput(files, arguments, ("new.db",))


def chip(dice: Random) -> FuzzInput:
    """A chip as JSON."""
    text = mutated_json(json.dumps(CHIP), dice)
    files = {"chip.json": text.encode("utf-8", "surrogatepass")}
    command = ["simulate", "--network", "fmnist-vit", "--hardware", "@chip.json"]
    return FuzzInput(files, [*command, "--format", dice.choice(("table", "json", "csv"))])


def table(dice: Random) -> FuzzInput:
    """A CSV file to import."""
    data = mutated_text(table_text(), dice).encode()
    if dice.random() < 0.2:
        data = mutated_bytes(data, dice)
    return FuzzInput({"m.csv": data}, ["import", "m.csv", "--study", "new.db"], ("new.db",))


def optuna_storage(dice: Random) -> FuzzInput:
    """An Optuna storage to import."""
    data = tampered_database(optuna_file(), dice, OPTUNA_TABLES)
    if dice.random() < 0.2:
        data = mutated_bytes(optuna_file(), dice)
    return FuzzInput({"t.db": data}, ["import", "t.db", "--study", "new.db"], ("new.db",))


def _look(dice: Random, image: bytes) -> FuzzInput:
    key = study_key()
    commands: list[list[str]] = [
        ["status"],
        ["status", "--format", "json"],
        ["pareto"],
        ["pareto", "--format", "csv"],
        ["pareto", "--limit", "area_mm2=2"],
        ["show", key],
        ["show", key[:6], "--format", "json"],
        ["export"],
        ["export", "--to", "json"],
        ["export", "--to", "study", "-o", "out.db"],
        ["export", key, "--to", "zigzag", "--nearest", "-o", "out"],
        ["export", "--to", "parquet", "-o", "out.parquet"],
        ["explain", key],
        ["report", "--lite", "--next", "0"],
        ["plot", "--what", "calibration", "-o", "out.svg"],
    ]
    chosen = [*dice.choice(commands), "--study", "study.db"]
    return FuzzInput(
        {"study.db": image}, chosen, ("out.db", "out", "out.parquet", "out.svg", "report.html")
    )


def study_bytes(dice: Random) -> FuzzInput:
    """A study file with other bytes."""
    return _look(dice, mutated_bytes(study_file(), dice))


def study_cells(dice: Random) -> FuzzInput:
    """A study file, valid for SQLite, with other rows and metadata."""
    return _look(dice, tampered_database(study_file(), dice, STUDY_TABLES))


def images(dice: Random) -> FuzzInput:
    """Arrays of images and labels."""
    pixels = np.zeros((6, 8, 8, 3), np.uint8)
    labels = np.arange(6) % 3
    stored = {}
    for name, array in (("images.npy", pixels), ("labels.npy", labels)):
        buffer = io.BytesIO()
        np.save(buffer, _other_array(array, dice))
        stored[f"val/{name}"] = buffer.getvalue()
    changed = dice.choice(list(stored))
    stored[changed] = _other_npy(stored[changed], dice)
    return FuzzInput(stored, ["python-images"])


def _other_array(array: np.ndarray, dice: Random) -> np.ndarray:
    if dice.random() < 0.7:
        return array
    forms: list[Callable[[], np.ndarray]] = [
        lambda: array.astype(
            dice.choice(["f4", "f8", "i1", "i8", "u8", "c8", "S3", "U2", "M8[s]"])
        ),
        lambda: array[:0],
        lambda: array[..., None],
        lambda: array.ravel(),
        lambda: array - 1,
        lambda: np.full(array.shape, 2.5),
        lambda: np.full(array.shape, np.nan),
        lambda: np.zeros(array.shape, [("a", "i4")]),
        lambda: np.zeros((6, 1, 8, 3), np.uint8),
        lambda: np.zeros((6, 0, 8, 3), np.uint8),
        lambda: np.asfortranarray(array),
    ]
    return dice.choice(forms)()


def _other_npy(data: bytes, dice: Random) -> bytes:
    if dice.random() < 0.4:
        return mutated_bytes(data, dice)
    head, body = data[10:128].decode("latin1"), data[128:]
    changed = mutated_text(head.strip(), dice).encode("utf-8", "replace")[:60_000] + b"\n"
    version = bytes([dice.choice((1, 1, 1, 2, 3, 9)), 0])
    size = len(changed).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + changed + body


def network(dice: Random) -> FuzzInput:
    """An ONNX file."""
    data = _other_model(dice)
    if dice.random() < 0.4:
        data = mutated_bytes(onnx_file(), dice)
    command = ["workload", "net.onnx", "--format", dice.choice(("table", "json"))]
    return FuzzInput({"net.onnx": data}, command)


def _other_model(dice: Random) -> bytes:
    """A graph of a few nodes with odd sizes, names, attributes and constants."""
    from onnx import TensorProto, helper

    kinds = ["Conv", "MatMul", "Gemm", "Add", "Relu", "Reshape", "Transpose", "Concat", "Slice"]
    kinds += ["Gather", "Pad", "Resize", "Loop", "ConvTranspose", "LSTM", "Expand", "Tile", "Range"]
    kinds += ["ConstantOfShape", "Softmax", "Split", "Shape", "Cast", "QLinearConv", "Einsum", "X"]
    sizes = [1, 2, 3, 8, 16, 0, 2**31, 2**62, -1]

    def shape() -> list[int]:
        return [
            dice.choice(sizes[:5] if dice.random() < 0.95 else sizes)
            for _ in range(dice.choice((2, 3, 4, 4, 4)))
        ]

    names = ["x", "w", "s"]
    nodes = []
    for i in range(dice.randint(1, 4)):
        inputs = [dice.choice([*names, ""]) for _ in range(dice.randint(1, 3))]
        attributes: dict[str, Any] = {}
        some = ["strides", "pads", "group", "axis", "perm", "dilations", "to"]
        for name in dice.sample(some, dice.choice((0, 0, 1, 2))):
            number = dice.choice([0, 1, -1, 2, 7, 2**40])
            attributes[name] = [number] * 2 if name in ("strides", "pads", "perm") else number
        kind = dice.choice(kinds[:6] if dice.random() < 0.6 else kinds)
        nodes.append(helper.make_node(kind, inputs, [f"n{i}"], **attributes))
        names.append(f"n{i}")
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape())]
    small = [dice.choice([-1, 0, 1, 2, 8, 2**40]) for _ in range(dice.randint(0, 4))]
    constants = [
        TensorProto(name="w", dims=shape(), data_type=TensorProto.FLOAT),
        helper.make_tensor("s", TensorProto.INT64, [len(small)], small),
    ]
    result = [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", given, result, constants)
    return bytes(helper.make_model(graph).SerializeToString())


def bundle_of(dice: Random) -> FuzzInput:
    """A bundle of predictors whose seal is right."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forged.cimpred"
        content = forged(dice.choice(bundle_content()), np.random.default_rng(dice.getrandbits(32)))
        if dice.random() < 0.2:
            content.manifest["model"] = mutated_document(content.manifest["model"], dice)
        try:
            content.write(path)
            data = path.read_bytes()
        except UnicodeEncodeError:  # half a character cannot be written as JSON
            data = b""
    commands = [
        ["python-bundle"],
        ["predictors", "inspect", "m.cimpred"],
        ["predictors", "list", "."],
    ]
    return FuzzInput({"m.cimpred": data}, dice.choice(commands))


def options(dice: Random) -> FuzzInput:
    """Words on the command line."""
    commands = [
        "status --study study.db",
        "pareto --study study.db --fix rows=64 --limit area_mm2=3 --format json",
        f"show {study_key()[:8]} --study study.db --format table",
        "export --study study.db --to csv -o out",
        f"export {study_key()} --study study.db --to onnx -o out",
        f"explain {study_key()} --study study.db --rows prices --format csv",
        "report --study study.db -o out --next 0 --lite --baseline study.db",
        "plot --study study.db --what front -o out.svg --next 0",
        "workload fmnist-vit --batch 2 --format json",
        "simulate --network fmnist-vit --hardware @chip.json --batch 2 --simulator cimbo"
        " --simulator-options {}",
        "import m.csv --study new.db --seed 1 --map rows=rows --preset fmnist-vit",
        "optimize --study new.db --budget 0 --jobs 1 --seed 1 --timeout 1 --memory-mb 9000"
        " --retries 1 --preset fmnist-vit",
        "fit-predictors --samples 0 --study new.db --jobs 1 --out out",
        "portfolio --study study.db --size 0",
        "robust --study study.db --samples 0",
        "init out --preset fmnist-vit",
        "presets --format json",
        "predictors list .",
        "completion bash",
        "compare --budget 0 --seeds 0",
        "train-supernet --epochs 0 --out out",
    ]
    words = dice.choice(commands).split()
    unchanged = {"--budget", "--samples", "--epochs", "--seeds", "--size"}  # what makes it long
    free = [
        i for i in range(len(words)) if words[i - 1] not in unchanged and words[i] not in unchanged
    ]
    for _ in range(dice.choice((1, 1, 2, 3))):
        place = dice.choice(free)
        what = dice.randrange(6)
        if what == 0 and place:
            words[place] = dice.choice(words)
        elif what == 1 and place:
            words[place] = mutated_text(words[place], dice)
        elif place:
            words[place] = dice.choice(
                [*HOSTILE_WORDS, json.dumps(dice.choice(HOSTILE_VALUES)), "@no"]
            )
    words = [word.replace("\0", "") for word in words]  # no system passes it on
    files = {"study.db": study_file(), "chip.json": json.dumps(CHIP).encode()}
    return FuzzInput(files | {"m.csv": table_text().encode()}, words, ANYWHERE_HERE)


ANYWHERE_HERE = ("*",)  # options name files: they may lie anywhere in the folder


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
    from decimal import Decimal
    from fractions import Fraction

    return [
        *HOSTILE_VALUES,
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


def told(dice: Random) -> FuzzInput:
    """Designs and values told in Python."""
    odd = python_values()
    design: Any = {"a": 2, "b": "x", "c": 0.5}
    metrics: Any = {"y": 1.0, "z": 2.0}
    for _ in range(dice.choice((1, 1, 2, 3))):
        what = dice.randrange(8)
        if what < 3 and isinstance(design, dict):
            design[dice.choice(("a", "b", "c", "d", 1, None, ""))] = dice.choice(odd)
        elif what < 6 and isinstance(metrics, dict):
            metrics[dice.choice(("y", "z", "w", "status", 1, None, "\x1b"))] = dice.choice(odd)
        elif what == 6:
            design = dice.choice(odd)
        else:
            metrics = dice.choice(odd)
    reason = dice.choice(odd) if dice.random() < 0.1 else None
    return FuzzInput({}, ["python-tell"], ("told.db",), values=(design, metrics, reason))


def defined(dice: Random) -> FuzzInput:
    """Spaces, objectives and constraints defined in Python."""
    odd = python_values()

    def some(good: Any) -> Any:
        return dice.choice(odd) if dice.random() < 0.12 else good

    gene = (some("a"), some([some(1), some(2), 3]), some(None))
    goal = (some("y"), some("min"), some(3.0))
    bound = (some("z"), some("<="), some(5.0))
    return FuzzInput({}, ["python-define"], values=(gene, goal, bound, some(0), some(1)))


# ---- readers in Python ----------------------------------------------------------------------------------------------


def read_images(_: FuzzInput) -> None:
    from cimbo.supernets import imagenet  # imports torch

    found = imagenet.source(Path("val"), 3)
    kept = imagenet.readable(found, range(len(found.labels)))
    if kept:
        imagenet.prepared(found, kept[:2], 32, "half")


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
FUZZ_DOORS: dict[str, Callable[[Random], FuzzInput]] = {
    "config": config,
    "chip": chip,
    "csv": table,
    "optuna": optuna_storage,
    "study bytes": study_bytes,
    "study cells": study_cells,
    "images": images,
    "onnx": network,
    "bundle": bundle_of,
    "options": options,
    "tell": told,
    "define": defined,
}
