"""Three hundred files that are no study, and what is said about them."""

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cimbo.errors import BadInput
from cimbo.store import Store


@dataclass(frozen=True)
class Malformed:
    """Inputs by how they were answered. ``slowest_s`` is the longest answer."""

    inputs: int
    accepted: int
    not_one_line: int
    wrote_something: int
    slowest_s: float


def study(folder: Path, rows: int) -> bytes:
    with Store.open(folder / "good.db", {"space": [1]}) as store:
        for i in range(rows):
            store.record(f"key {i}", {"text": "x" * 200, "i": i}, metrics={"a": i / 7}, origin="sobol")
    return (folder / "good.db").read_bytes()


def truncated(image: bytes, dice: random.Random) -> bytes:
    return image[: dice.randrange(len(image))]


def zeroed(image: bytes, dice: random.Random) -> bytes:
    page = dice.randrange(1, len(image) // 4096)  # a page, as a disk loses them; the first makes another header
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


def table(_: bytes, dice: random.Random) -> bytes:
    return "".join(f"{dice.random()},{dice.choice('abc')}\n" for _ in range(50)).encode()


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


KINDS: list[Callable[[bytes, random.Random], bytes]] = [
    truncated, zeroed, all_zero, noise, newer, unmarked, other_program, table,
    tampered("DROP TABLE lease"),
    tampered("CREATE TRIGGER t AFTER INSERT ON evaluation BEGIN DELETE FROM evaluation; END"),
    tampered("UPDATE evaluation SET params = substr(params, 2) WHERE number = ?"),
    tampered("""UPDATE evaluation SET metrics = '{"a": "__import__(''os'')"}' WHERE number = ?"""),
    tampered("UPDATE meta SET value = '!!python/object/apply:os.system [touch]'"),
]  # fmt: skip


def malformed_drill(count: int, seed: int = 0) -> Malformed:
    dice, results, slowest = random.Random(seed), [], 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = study(folder, 60)
        for i in range(count):
            path = folder / f"study{i}.db"
            path.write_bytes(KINDS[i % len(KINDS)](image, dice))
            before = {p.name: p.read_bytes() for p in folder.iterdir()}
            begin = time.perf_counter()
            try:
                with Store.open(path) as store:
                    store.records()
                answer = None
            except BadInput as error:
                answer = str(error)
            slowest = max(slowest, time.perf_counter() - begin)
            results.append((answer, path.name, before == {p.name: p.read_bytes() for p in folder.iterdir()}))
            path.unlink()
    return Malformed(
        count,
        sum(answer is None for answer, _, _ in results),
        sum(answer is not None and ("\n" in answer or file not in answer) for answer, file, _ in results),
        sum(not same for _, _, same in results),
        slowest,
    )
