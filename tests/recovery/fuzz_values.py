"""Values and files that nobody means, made from good ones by a seeded die."""

from __future__ import annotations

import copy
import json
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

#: What takes the place of a value in a JSON document.
HOSTILE_VALUES: list[Any] = [
    -1,
    0,
    1,
    7,
    10**6,
    2**31,
    2**63,
    -(2**63),
    10**400,
    1e308,
    -1e-320,
    0.5,
    float("nan"),
    float("inf"),
    True,
    None,
    "",
    "nan",
    "64",
    "x\x1b[2J\r\n\x00",
    "\ud800",
    "../../outside",
    "<script>",
    "a" * 5000,
    [],
    [0] * 300,
    [[]],
    [None],
    {},
    {"a": 1},
    {"": None},
]
#: What takes the place of a word or a number in a text.
HOSTILE_WORDS = [
    "",
    "-1",
    "0",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "9" * 400,
    "1e-320",
    "true",
    "null",
    "[]",
    "{}",
    "[[1]]",
    '"',
    "'",
    '""',
    "\0",
    "\x1b[31m",
    "\u202e",
    "é",
    ",",
    "\n",
    "=",
    "#",
    "x" * 3000,
    "../../outside",
    "/dev/null",
    "/",
    "~",
    "1979-05-27",
    "0x10",
    "1_000",
    "{a = 1}",
]


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON document."""
    keys: list[Any] = []
    if isinstance(document, dict):
        keys = list(document)
    elif isinstance(document, list):
        keys = list(range(len(document)))
    for key in keys:
        yield document, key
        yield from places(document[key])


def mutated_document(document: Any, dice: Random) -> Any:
    """A copy of a JSON document in which one to three places hold, lack or repeat something."""
    changed = copy.deepcopy(document)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        every = list(places(changed))
        if not every or dice.random() < 0.03:
            return copy.deepcopy(dice.choice(HOSTILE_VALUES))
        container, key = dice.choice(every)
        what = dice.randrange(8)
        if what == 0:
            del container[key]
        elif what == 1 and isinstance(container, list):
            container.insert(key, container[key])
        elif what == 1:
            container[dice.choice(HOSTILE_WORDS)[:50]] = container[key]
        elif what == 2:
            other, place = dice.choice(every)
            if isinstance(other, dict) and place in other:
                container[key] = copy.deepcopy(other[place])
        else:
            container[key] = copy.deepcopy(dice.choice(HOSTILE_VALUES))
    return changed


def mutated_json(text: str, dice: Random) -> str:
    """The text of a mutated document; sometimes one that is no JSON any more."""
    if dice.random() < 0.1:
        return mutated_text(text, dice)
    return json.dumps(mutated_document(json.loads(text), dice))


def mutated_text(text: str, dice: Random) -> str:
    """A text in which one to three lines or words became something else."""
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        lines = text.split("\n")
        number = dice.randrange(len(lines))
        what = dice.randrange(10)
        if what == 0:
            del lines[number]
        elif what == 1:
            lines.insert(dice.randrange(len(lines) + 1), lines[number])
        elif what == 2:
            lines[number] = lines[number][: dice.randrange(len(lines[number]) + 1)]
        else:
            lines[number] = _other_word(lines[number], dice)
        text = "\n".join(lines)
    return text


def _other_word(line: str, dice: Random) -> str:
    words = list(re.finditer(r'"[^"]*"|[\w.+-]+|\S', line))
    if not words:
        return line
    word = dice.choice(words)
    return line[: word.start()] + dice.choice(HOSTILE_WORDS) + line[word.end() :]


def mutated_bytes(data: bytes, dice: Random) -> bytes:
    """Bytes of which some were flipped, cut, doubled, zeroed or put elsewhere."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        start = dice.randrange(len(changed) or 1)
        length = dice.choice((1, 2, 4, 8, 64, 1024))
        span = changed[start : start + length]
        what = dice.randrange(7)
        if what == 0:
            changed[start : start + length] = b""
        elif what == 1:
            changed[start:start] = span
        elif what == 2:
            changed[start : start + length] = bytes(len(span))
        elif what == 3:
            changed[start : start + length] = b"\xff" * len(span)
        elif what == 4:
            changed = changed[: max(1, start)]
        else:
            changed[start : start + 1] = bytes([dice.randrange(256)])
    return bytes(changed)


def tampered_database(data: bytes, dice: Random, tables: list[str]) -> bytes:
    """An SQLite file, still valid, of which one to three cells of ``tables`` hold something else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tampered.db"
        path.write_bytes(data)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for _ in range(dice.choice((1, 1, 2, 3))):
                _tamper(connection, dice.choice(tables), dice)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


def _tamper(connection: sqlite3.Connection, table: str, dice: Random) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    column = dice.choice(columns)
    rows = connection.execute(f"SELECT * FROM {table}").fetchall()
    if not rows:
        return
    row = dice.choice(rows)
    where = " AND ".join(f"{name} IS ?" for name in columns)
    try:
        if dice.random() < 0.1:
            connection.execute(f"DELETE FROM {table} WHERE {where}", row)
            return
        value = _other_cell(row[columns.index(column)], dice)
        statement = f"UPDATE {table} SET {column} = ? WHERE {where}"
        connection.execute(statement, (value, *row))
    except (sqlite3.Error, OverflowError, UnicodeError):
        return  # a value that the table itself refuses


def _other_cell(value: Any, dice: Random) -> Any:
    if isinstance(value, str):
        try:
            document = json.loads(value)
        except ValueError:
            return dice.choice([*HOSTILE_WORDS, mutated_text(value, dice)])
        if isinstance(document, dict | list):
            return mutated_json(value, dice)
        return dice.choice([*HOSTILE_WORDS, json.dumps(dice.choice(HOSTILE_VALUES))])
    return dice.choice([None, -1, 0, 2**31, 2**62, -(2**62), 1e300, 1e-300, 0.5, float("inf"), "x"])
