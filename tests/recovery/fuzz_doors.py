"""The ways in that the fuzzer tries: for each, how a mutated input is made and which command is given it."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from doors import CHIP
from fuzz_files import (
    bundle_content,
    config_text,
    good_models,
    optuna_file,
    study_file,
    study_key,
    table_text,
)
from fuzz_python import FuzzInput, python_values
from fuzz_values import (
    HOSTILE_VALUES,
    HOSTILE_WORDS,
    mutated_bytes,
    mutated_document,
    mutated_json,
    mutated_text,
    tampered_database,
)
from predictor_forgeries import forged  # fuzz_files has put its folder on the path

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
        data = mutated_bytes(dice.choice(good_models()), dice)
    command = ["workload", "net.onnx", "--format", dice.choice(("table", "json"))]
    return FuzzInput({"net.onnx": data}, command)


def _other_model(dice: Random) -> bytes:
    """A graph in which one to three sizes, names, attributes or nodes are others."""
    import onnx

    model = onnx.load_from_string(dice.choice(good_models()))
    graph = model.graph
    kinds = [node.op_type for node in graph.node] + ["X", "Loop", "ConvTranspose", "Einsum"]
    kinds += ["Slice", "Pad", "Resize", "LSTM", "Expand", "Tile", "Range", "ConstantOfShape"]
    names = [name for node in graph.node for name in node.output] + ["x", "s", "w", "q", ""]
    sizes = [0, 1, 2, 7, 16, -1, 2**31, 2**40, 2**62]
    for _ in range(dice.choice((1, 1, 2, 3))):
        node, what = dice.choice(graph.node), dice.randrange(7)
        if what == 0:
            node.op_type = dice.choice(kinds)
        elif what == 1 and node.input:
            node.input[dice.randrange(len(node.input))] = dice.choice(names)
        elif what == 2:
            tensor = dice.choice(graph.initializer)
            tensor.dims[:] = [dice.choice(sizes) for _ in range(dice.randint(0, 5))]
        elif what == 3 and node.attribute:
            attribute = dice.choice(node.attribute)
            attribute.i = dice.choice(sizes)
            attribute.ints[:] = [dice.choice(sizes) for _ in attribute.ints]
        elif what == 4:
            shape = graph.input[0].type.tensor_type.shape
            dice.choice(shape.dim).dim_value = dice.choice(sizes)
        elif what == 5 and len(graph.node) > 1:
            graph.node.remove(node)
        else:
            graph.node.append(node)
    return bytes(model.SerializeToString())


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
