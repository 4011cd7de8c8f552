"""Files that are no study: each is answered in one line that names it, at once, and nothing is written."""

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cimbo.errors import BadInput
from cimbo.storage import Store, schema

DEFINITION = {"space": {"hardware": [["rows", [64, 128]]]}, "objectives": ["a"], "constraints": []}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A good study of 60 evaluations, as bytes."""
    path = tmp_path_factory.mktemp("good") / "study.db"
    with Store.open(path, DEFINITION) as store:
        for i in range(60):
            store.record(
                f"key {i}", {"rows": i, "text": "x" * 200}, metrics={"a": i / 7}, origin="sobol"
            )
    return path.read_bytes()


def refused(path: Path, *, definition: dict | None = None, readonly: bool = False) -> str:
    """The one line with which ``path`` is refused. Fails when anything on the disk changes or it takes long."""
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
    start = time.perf_counter()
    with (
        pytest.raises(BadInput) as caught,
        Store.open(path, definition, readonly=readonly) as store,
    ):
        store.records()
    assert time.perf_counter() - start < 2
    line = str(caught.value)
    assert path.name in line
    assert "\n" not in line
    assert {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()} == before
    return line


def edited(image: bytes, path: Path, *statements: str) -> Path:
    path.write_bytes(image)
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def put_at(offset: int, data: bytes) -> Callable[[bytes], bytes]:
    return lambda image: image[:offset] + data + image[offset + len(data) :]


@pytest.mark.parametrize("definition", [None, DEFINITION], ids=["open", "start"])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda image: b"", "empty or zeroed"),
        (lambda image: bytes(len(image)), "empty or zeroed"),
        (lambda image: image[:50], "not a study"),
        (lambda image: image[:4096], "damaged"),
        (lambda image: image[: len(image) // 2], "damaged"),
        (lambda image: image[:-1], "damaged"),
        (lambda image: image[: len(image) // 2] + bytes(len(image) - len(image) // 2), "damaged"),
        (lambda image: b"rows,latency_ms\n64,0.5\n" * 100, "not a study"),
        (lambda image: b"\x89PNG\r\n" + image, "not a study"),
        (put_at(68, b"\0\0\0\0"), "another program"),
        (put_at(60, b"\0\0\x03\xe8"), r"newer cimbo \(file version 1000\)"),
        (put_at(0, b"SQLite format 4\0"), "not a study"),
    ],
)
def test_damaged_files(tmp_path: Path, image: bytes, damage, told: str, definition: dict | None):
    path = tmp_path / "study.db"
    path.write_bytes(damage(image))
    line = refused(path, definition=definition)
    with pytest.raises(BadInput, match=told):
        raise BadInput("", line, "")


def test_files_of_other_programs(tmp_path: Path, image: bytes):
    other = tmp_path / "optuna.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE trials (id INTEGER)")
        connection.commit()
    assert "another program" in refused(other)
    disguised = edited(image, tmp_path / "disguised.db", "DROP TABLE lease")
    assert "does not have the tables" in refused(disguised)


def test_a_trigger_in_the_file_is_never_run(tmp_path: Path, image: bytes):
    trigger = "CREATE TRIGGER t AFTER INSERT ON evaluation BEGIN DELETE FROM evaluation; END"
    assert "does not have the tables" in refused(edited(image, tmp_path / "study.db", trigger))
    view = ("ALTER TABLE lease RENAME TO x", "CREATE VIEW lease AS SELECT * FROM x")
    assert "does not have the tables" in refused(edited(image, tmp_path / "view.db", *view))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE evaluation SET params = '{' WHERE number = 7",
        "UPDATE evaluation SET params = '[1]' WHERE number = 7",
        """UPDATE evaluation SET metrics = '{"a": "high"}' WHERE number = 7""",
        """UPDATE evaluation SET metrics = '{"a": NaN}' WHERE number = 7""",
        """UPDATE evaluation SET metrics = '{"a": 1e999}' WHERE number = 7""",
        f"UPDATE evaluation SET extra = '{'[' * 100_000}' WHERE number = 7",
        f"UPDATE evaluation SET params = '{{\"a\": {'1' * 10_000}}}' WHERE number = 7",
        "UPDATE meta SET value = 'x' WHERE name = 'definition'",
        "UPDATE meta SET value = '3' WHERE name = 'definition'",
        "DELETE FROM meta",
    ],
)
def test_rows_that_were_tampered_with(tmp_path: Path, image: bytes, statement: str):
    path = edited(image, tmp_path / "study.db", statement)
    line = refused(path)
    assert "evaluation 7" in line or "definition" in line


def test_random_damage_is_refused_or_leaves_the_rows_whole(tmp_path: Path, image: bytes):
    """Flipped bits either show up as one line, or hit free space or text, never a crash or another exception."""
    dice, path = random.Random(0), tmp_path / "study.db"
    for _ in range(100):
        data = bytearray(image)
        for _ in range(dice.choice([1, 8, 64])):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path.write_bytes(data)
        with contextlib.suppress(BadInput), Store.open(path) as store:
            assert len(store.records()) <= 60
            store.running()
        for log in tmp_path.glob("study.db-*"):
            log.unlink()


def test_places_where_no_study_can_be(tmp_path: Path):
    assert "does not exist" in refused(tmp_path / "none.db")
    assert "folder does not exist" in refused_anywhere(tmp_path / "no" / "study.db")
    assert "is a folder" in refused_anywhere(tmp_path)


def refused_anywhere(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        Store.open(path, DEFINITION)
    return str(caught.value)


def test_the_log_of_a_deleted_study_is_not_played_into_a_new_one(tmp_path: Path):
    path = tmp_path / "study.db"
    with Store.open(path, DEFINITION) as store:
        store.record("k", {}, metrics={"a": 1}, origin="told")
        path.with_name("copy").write_bytes(path.with_name("study.db-wal").read_bytes())
    path.unlink()
    path.with_name("copy").rename(path.with_name("study.db-wal"))
    assert "study.db-wal: belongs to a study that is no longer there" in refused(
        path, definition=DEFINITION
    )


READ_ONLY = """
import os, sys
from cimbo.errors import BadInput
from cimbo.storage import Store
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
path, readonly = sys.argv[1], sys.argv[2] == "readonly"
try:
    with Store.open(path, None if os.path.exists(path) else {}, readonly=readonly) as store:
        print(store.count())
except BadInput as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_what_may_not_be_written_is_refused_but_can_be_read(image: bytes):
    # Not pytest's tmp_path, whose parents another user may not enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.db").write_bytes(image)

        def told(file: str, mode: str) -> str:
            command = [sys.executable, "-c", READ_ONLY, folder / file, mode]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        folder.chmod(0o555)
        (folder / "study.db").chmod(0o444)
        assert "study.db: is read-only; make it writable" in told("study.db", "write")
        assert "the folder is read-only" in told("new.db", "write")
        assert told("study.db", "readonly") == "60"
        (folder / "study.db").chmod(0o000)
        assert "cannot be read (Permission denied)" in told("study.db", "readonly")
        (folder / "study.db").chmod(0o666)
        assert "the folder is read-only" in told("study.db", "write")
        folder.chmod(0o777)
        assert told("study.db", "write") == "60"
        assert sorted(p.name for p in folder.iterdir()) == ["study.db"]


def test_the_file_carries_its_mark(image: bytes):
    assert image[68:72] == b"CIMB" == schema.APPLICATION_ID.to_bytes(4, "big")
    assert image[18:20] == b"\2\2"  # a write-ahead log from birth
