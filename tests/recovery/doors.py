"""Every way in for a file: a good one, the commands that read it, and all that can be wrong with it."""

import io
import json
import random
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import predictors
from cimbo.config import study_config
from cimbo.storage import Store
from predictors.storage import bundle

Damage = Callable[[bytes, random.Random], bytes]
CHIP = dict(study_config.preset("fmnist-vit").baseline())
NESTED = 100_000  # deeper than any parser goes


@dataclass(frozen=True)
class Door:
    """A way in: a good file, the commands that read one, and all that can be wrong with it."""

    file: str
    good: Callable[[Path], bytes]
    commands: list[Callable[[str], list[str]]]
    damages: list[Damage]
    needs: str = "cimbo"


# ---- good files -----------------------------------------------------------------------------------------------------


def good_study(folder: Path) -> bytes:
    about = study_config.preset("fmnist-vit")
    path = folder / "good.db"
    definition = about.problem.to_json() | {
        "config": {"name": about.name, "data": dict(about.data)}
    }
    with Store.open(path, definition) as store:
        for i, design in enumerate(about.problem.space.sobol(60, 0)):
            metrics = {"accuracy": 80 + i / 7, "latency_ms": 0.1, "area_mm2": 1.0}
            store.record(f"{i:04d}", design, metrics=metrics, origin="sobol")
    image = path.read_bytes()
    path.unlink()
    return image


def good_config(_: Path) -> bytes:
    return (study_config.PRESETS_FOLDER / "fmnist-vit.toml").read_bytes()


def good_table(_: Path) -> bytes:
    rows = [{**CHIP, "rows": rows, "latency_ms": 0.1, "energy_uj": 2.0} for rows in (64, 128, 256)]
    return "\n".join(
        [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows), ""]
    ).encode()


def good_bundle(folder: Path) -> bytes:
    rows = [{"a": i % 5, "b": i % 3} for i in range(30)]
    model = predictors.fit(rows, [r["a"] - 0.1 * r["b"] for r in rows], kind="gp")
    predictors.save(model, folder / "good.cimpred")
    image = (folder / "good.cimpred").read_bytes()
    (folder / "good.cimpred").unlink()
    return image


def good_import(_: Path) -> bytes:
    space = study_config.preset("fmnist-vit").problem.space
    names = [*space.names, "accuracy", "latency_ms", "area_mm2"]
    rows = [
        {**design, "accuracy": 85.5, "latency_ms": 0.125, "area_mm2": 2.5}
        for design in space.sobol(9, 0)
    ]
    return "\n".join(
        [",".join(names), *(",".join(str(row.get(n, "")) for n in names) for row in rows), ""]
    ).encode()


def good_json(_: Path) -> bytes:
    return json.dumps(CHIP).encode()


def good_onnx(_: Path) -> bytes:
    return onnx(
        [("Conv", ["x", "w"], ["c"]), ("Relu", ["c"], ["y"])],
        {"w": [8, 3, 3, 3]},
        {"x": [1, 3, 16, 16]},
    )


def onnx(nodes: list[tuple[str, list[str], list[str]]], weights: dict, shapes: dict) -> bytes:
    from onnx import TensorProto, helper

    given = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, size) for n, size in shapes.items()
    ]
    constants = [
        TensorProto(name=n, dims=size, data_type=TensorProto.FLOAT) for n, size in weights.items()
    ]
    made = [helper.make_node(kind, inputs, outputs) for kind, inputs, outputs in nodes]
    result = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    return bytes(
        helper.make_model(
            helper.make_graph(made, "g", given, result, constants)
        ).SerializeToString()
    )


# ---- what goes wrong with any file ----------------------------------------------------------------------------------


def truncated(image: bytes, dice: random.Random) -> bytes:
    return image[: dice.randrange(len(image))]


def zeroed(image: bytes, dice: random.Random) -> bytes:
    page = dice.randrange(
        1, len(image) // 4096
    )  # a page, as a disk loses them; the first makes another header
    return image[: page * 4096] + bytes(4096 * dice.randint(1, 3)) + image[(page + 3) * 4096 :]


def all_zero(image: bytes, dice: random.Random) -> bytes:
    return bytes(dice.randrange(1, len(image)))


def noise(_: bytes, dice: random.Random) -> bytes:
    return dice.randbytes(dice.randrange(1, 20_000))


def newer(image: bytes, dice: random.Random) -> bytes:
    return image[:60] + dice.randrange(2, 2**31).to_bytes(4, "big") + image[64:]


def unmarked(image: bytes, dice: random.Random) -> bytes:
    return image[:68] + dice.randbytes(4) + image[72:]


def other_program(_: bytes, dice: random.Random) -> bytes:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE t{dice.randrange(99)} (x)")
        return connection.serialize()


def prose(_: bytes, dice: random.Random) -> bytes:
    return "".join(f"{dice.random()},{dice.choice('abc')}\n" for _ in range(50)).encode()


def picture(_: bytes, dice: random.Random) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + dice.randbytes(500)


def archive(_: bytes, dice: random.Random) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("readme.txt", dice.randbytes(100))
    return buffer.getvalue()


def tampered(statement: str) -> Callable[[bytes, random.Random], bytes]:
    def change(image: bytes, dice: random.Random) -> bytes:
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(image)
            with closing(sqlite3.connect(file.name)) as connection:
                connection.execute(statement.replace("?", str(dice.randrange(1, 60))))
                connection.commit()
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return Path(file.name).read_bytes()

    return change


def rewritten(pattern: str, *values: str) -> Damage:
    """Text in which one match of ``pattern`` became one of ``values``."""

    def change(image: bytes, dice: random.Random) -> bytes:
        text = image.decode()
        place = dice.choice(list(re.finditer(pattern, text, re.MULTILINE)))
        return (text[: place.start()] + dice.choice(values) + text[place.end() :]).encode()

    return change


def forged(**changes: object) -> Damage:
    """A bundle with another manifest under a correct seal, as only a forger or a newer release makes it."""

    def change(image: bytes, dice: random.Random) -> bytes:
        with zipfile.ZipFile(io.BytesIO(image)) as file:
            members = {name: file.read(name) for name in file.namelist()}
        manifest = json.loads(members["manifest.json"]) | changes
        return bundle._seal(
            bundle._pack({**members, "manifest.json": json.dumps(manifest).encode()})
        )

    return change


def network_of(*arguments: object) -> Damage:
    return lambda image, dice: onnx(*arguments)


OTHERS = [all_zero, noise, other_program, picture, archive]

DOORS = [
    Door(
        "study.db",
        good_study,
        [
            lambda file: ["status", "--study", file],
            lambda file: ["optimize", "--budget", "1", "--study", file],
            lambda file: ["report", "--study", file],
            lambda file: ["export", "--study", file],
        ],
        [
            truncated,
            zeroed,
            *OTHERS,
            newer,
            unmarked,
            prose,
            tampered("DROP TABLE lease"),
            tampered(
                "CREATE TRIGGER t AFTER INSERT ON evaluation BEGIN DELETE FROM evaluation; END"
            ),
            tampered("UPDATE evaluation SET params = substr(params, 2) WHERE number = ?"),
            tampered(
                """UPDATE evaluation SET metrics = '{"a": "__import__(''os'')"}' WHERE number = ?"""
            ),
            tampered("UPDATE meta SET value = '!!python/object/apply:os.system [touch]'"),
            tampered(
                """UPDATE meta SET value = json_remove(value, '$.space') WHERE name = 'definition'"""
            ),
            tampered(
                """UPDATE meta SET value = json_set(value, '$.space', '?') WHERE name = 'definition'"""
            ),
            tampered(
                """UPDATE meta SET value = json_set(value, '$.space.hardware[0].values', 3)"""
            ),
            tampered("""UPDATE meta SET value = json_set(value, '$.objectives[0]', 3)"""),
            tampered(
                """UPDATE meta SET value = json_set(value, '$.objectives[0].goal', json('{}'))"""
            ),
            tampered("""UPDATE meta SET value = json_set(value, '$.constraints', 3)"""),
            tampered("""UPDATE meta SET value = json_set(value, '$.seed', 'x')"""),
        ],
    ),
    Door(
        "study.toml",
        good_config,
        [lambda file: ["optimize", "--budget", "1", "--config", file]],
        [
            lambda image, dice: image[: dice.randrange(image.index(b"max"))],
            lambda image, dice: (
                image[: (cut := dice.randrange(len(image)))] + bytes(9) + image[cut + 9 :]
            ),
            *OTHERS,
            prose,
            lambda image, dice: b"format = 2\n" + image,
            lambda image, dice: image.replace(b"[network]", b"[network]\nlayers = 3"),
            lambda image, dice: b"title = " + b"[" * NESTED + image,
            lambda image, dice: image.decode().encode("utf-16"),
            rewritten(
                r'^name = "fmnist-vit"',
                "name = 3",
                "name = []",
                "name = {}",
                'name = ""',
                'name = "no\\nsuch"',
            ),
            rewritten(
                r"^accuracy = .*",
                "accuracy = 3",
                "accuracy = [1]",
                'accuracy = "none"',
                "accuracy = {}",
            ),
            rewritten(r"^space = .*", 'space = "huge"', "space = 3", "space = []", "space = {}"),
            rewritten(
                r"^simulator = .*",
                'simulator = "none"',
                "simulator = 3",
                "simulator = []",
                "options = 3",
                "options = {nonsense = 1}",
            ),
            rewritten(
                r"^space = .*",
                "genes = {rows = []}",
                "genes = {rows = [1, 'x']}",
                "genes = {none = [1]}",
                "genes = {rows = [nan]}",
                "genes = {rows = [[1]]}",
                "genes = {rows = [64, 64]}",
                "genes = 3",
                "fixed = 3",
                "genes = {rows = [-64, 0]}",
            ),
            rewritten(r"^goal = .*", 'goal = "most"', "goal = 3", "goal = [1]", "goal = {}"),
            rewritten(
                r'^name = "(accuracy|latency_ms)"',
                "name = 3",
                "name = []",
                "name = {}",
                'name = "speed"',
            ),
            rewritten(
                r"^reference = .*",
                'reference = "x"',
                "reference = [1]",
                "reference = nan",
                "reference = inf",
                "reference = 1979-05-27",
                "reference = true",
            ),
            rewritten(r"^metric = .*", "metric = 3", "metric = []", 'metric = "weight_kg"'),
            rewritten(r"^relation = .*", 'relation = "<"', "relation = 3", "relation = [1]"),
            rewritten(
                r"^baseline = .*",
                'baseline = "x"',
                "baseline = [1]",
                "baseline = nan",
                "bound = nan",
                "bound = []",
            ),
            rewritten(
                r"^(rows|cols|pes|adc_bits) = .*",
                "",
                "rows = 'x'",
                "cols = [1]",
                "cols = -1",
                "cols = nan",
            ),
            rewritten(
                r"^\[baseline\]", "[search]\nbatch = 0\n[x]", "[search]\ninitial = 'x'\n[baseline]"
            ),
        ],
    ),
    Door(
        "chips.csv",
        good_table,
        [
            lambda file: [
                "simulate",
                "--network",
                "fmnist-vit",
                "--hardware",
                json.dumps(CHIP),
                "--simulator",
                "table",
                "--simulator-options",
                json.dumps({"path": file}),
            ]
        ],
        [
            lambda image, dice: image[: dice.randrange(image.index(b"\n") + 2)],
            lambda image, dice: (
                image[: (cut := image.rindex(b"128,"))] + bytes(20) + image[cut + 20 :]
            ),
            *OTHERS,
            rewritten("latency_ms,energy_uj", "speed,power"),
            rewritten(
                r"0\.1,2\.0", "nan,2.0", "0.1", "fast,2.0", ",", "1e999,2.0", "0.1,2.0,7,8", '"0.1'
            ),
            rewritten("^array", "lines", "rows,rows", "", "\0"),
            rewritten("^array", "x" * 200_000),
            rewritten(r"0\.1,2\.0", "9" * 200_000),
            lambda image, dice: image.replace(b"0.1", "0,1€".encode("cp1252")),
        ],
    ),
    Door(
        "measured.csv",
        good_import,
        [lambda file: ["import", file, "--study", "new.db"]],
        [
            lambda image, dice: image[: dice.randrange(1, image.index(b"0.125"))],
            lambda image, dice: (
                image[: (cut := image.rindex(b"85.5"))] + bytes(20) + image[cut + 20 :]
            ),
            *OTHERS,
            prose,
            rewritten(
                "0.125",
                "nan",
                "fast",
                "",
                "-0.125",
                "1e999",
                "0.125,7",
                '"0.125',
                "inf",
                "9" * 200_000,
            ),
            rewritten("^depth", "deep", "", "depth,depth", "\0", "x" * 200_000),
            rewritten(
                r"^\d+,",
                "77,",
                "-1,",
                "x,",
                ",",
                "{'depth': [,",
                "{" * NESTED + ",",
                "[" * NESTED + ",",
            ),
            lambda image, dice: image.replace(b"85.5", "85,5€".encode("cp1252")),
        ],
    ),
    Door(
        "chip.json",
        good_json,
        [lambda file: ["simulate", "--network", "fmnist-vit", "--hardware", f"@{file}"]],
        [
            truncated,
            *OTHERS,
            prose,
            lambda image, dice: b'{"rows": ' + b"[" * NESTED,
            lambda image, dice: b'{"rows": ' + b"9" * NESTED + b"}",
            rewritten(
                '"rows": 64',
                '"rows": "x"',
                '"rows": NaN',
                '"rows": [1]',
                '"rows": -3',
                '"lines": 128',
                '"rows": 0',
                '"rows": null',
                '"rows": 1e400',
            ),
            lambda image, dice: b"[" + image + b"]",
        ],
    ),
    Door(
        "accuracy.cimpred",
        good_bundle,
        [lambda file: ["optimize", "--budget", "1", "--predictors", str(Path(file).parent)]],
        [
            truncated,
            lambda image, dice: (
                image[: len(image) // 2] + bytes(200) + image[len(image) // 2 + 200 :]
            ),
            *OTHERS,
            prose,
            forged(format=2),
            forged(format=99),
            forged(model=None),
            forged(members={}),
            forged(model={"kind": "__import__('os')"}),
        ],
    ),
    Door(
        "network.onnx",
        good_onnx,
        [lambda file: ["onnx", file]],
        [
            truncated,
            lambda image, dice: image[:30] + bytes(len(image) - 30),
            *OTHERS,
            prose,
            network_of([], {}, {"x": [1]}),
            network_of([("Conv", ["x"], ["y"])], {}, {"x": [1, 3, 8, 8]}),
            network_of([("Conv", [], [])], {}, {"x": [1, 3, 8, 8]}),
            network_of([("Conv", ["x", "w"], ["y"])], {"w": [8, 3, 3, 3]}, {"x": [1, 3, "h", 8]}),
            network_of([("Conv", ["x", "w"], ["y"])], {"w": [8, 5, 3, 3]}, {"x": [1, 3, 8, 8]}),
            network_of([("Conv", ["x", "w"], ["y"])], {"w": [2**62] * 4}, {"x": [1, 3, 8, 8]}),
            network_of([("Conv", ["x", "w"], ["y"])], {"w": [-8, 3, 3, 3]}, {"x": [1, 3, 8, 8]}),
            network_of([("Conv", ["x", "w"], ["y"])], {"w": [8, 3, 3, 3]}, {"x": [3]}),
            network_of([("Conv", ["y", "w"], ["y"])], {"w": [8, 3, 3, 3]}, {"x": [1, 3, 8, 8]}),
            network_of([("MatMul", ["x", "x"], ["y"])], {}, {"x": [2, 3]}),
            network_of([("Gemm", ["x", "w"], ["y"])], {"w": [3]}, {"x": [1, 3]}),
            network_of([("Loop", ["x", "w"], ["y"])], {"w": [3]}, {"x": [1, 3]}),
        ],
        needs="onnx",
    ),
]
