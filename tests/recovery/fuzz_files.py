"""Good files for the fuzzer to spoil, each made once."""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import warnings
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from doors import good_config, good_import

import predictors
from cimbo import Study
from cimbo.config import study_config
from cimbo.study import planner, provenance

sys.path.insert(0, str(Path(__file__).parents[1] / "predictors"))
from predictor_forgeries import Content

N_DESIGNS = 10  # in the study that is tampered with, beside a failed one


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
                provenance.FINGERPRINTS_NAME,
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


@cache
def good_models() -> list[bytes]:
    """A convolutional network, an attention head, and one whose shapes are computed."""
    from onnx import TensorProto, helper

    kinds = {"float": TensorProto.FLOAT, "int": TensorProto.INT64}

    def model(nodes: list[Any], shape: list[Any], weights: dict[str, list[int]]) -> bytes:
        given = [helper.make_tensor_value_info("x", kinds["float"], shape)]
        constants = [
            TensorProto(name=name, dims=sizes, data_type=kinds["float"])
            for name, sizes in weights.items()
        ]
        constants.append(helper.make_tensor("s", kinds["int"], [3], [1, -1, 16]))
        constants.append(helper.make_tensor("zero", kinds["int"], [], [0]))
        result = [helper.make_tensor_value_info("y", kinds["float"], None)]
        graph = helper.make_graph(nodes, "g", given, result, constants)
        return bytes(helper.make_model(graph).SerializeToString())

    node = helper.make_node
    convolutional = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2], group=1),
        node("BatchNormalization", ["c", "a", "a", "a", "a"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]),
        node("Flatten", ["p"], ["f"], axis=1),
        node("Gemm", ["f", "v"], ["y"], transB=1),
    ]
    attention = [
        node("MatMul", ["x", "q"], ["k"]),
        node("Transpose", ["k"], ["t"], perm=[0, 2, 1]),
        node("MatMul", ["k", "t"], ["m"]),
        node("Softmax", ["m"], ["o"], axis=-1),
        node("MatMul", ["o", "k"], ["y"]),
    ]
    computed = [
        node("Shape", ["x"], ["size"]),
        node("Gather", ["size", "zero"], ["first"], axis=0),
        node("Reshape", ["x", "s"], ["r"]),
        node("Split", ["r"], ["a1", "a2"], axis=2, num_outputs=2),
        node("Concat", ["a1", "a2"], ["j"], axis=1),
        node("MatMul", ["r", "q"], ["y"]),
    ]
    return [
        model(convolutional, [1, 3, 16, 16], {"w": [8, 3, 3, 3], "a": [8], "v": [10, 8]}),
        model(attention, [1, 12, 16], {"q": [16, 16]}),
        model(computed, ["batch", 8, 16], {"q": [16, 4]}),
    ]
