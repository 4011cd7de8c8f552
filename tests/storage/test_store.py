"""What a study promises: nothing twice, nothing lost, leases that end, and one line for whatever is not a study."""

import math
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cimbo.errors import BadInput
from cimbo.storage import Record, Store, location, schema

DEFINITION = {
    "space": {"hardware": [["rows", [64, 128]]]},
    "objectives": ["a"],
    "constraints": [],
    "seed": 0,
}
PARAMS = {"rows": 64, "kind": "x"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a study é%#?.db"


def put(store: Store, key: str, value: float = 1.0, **more) -> Record:
    return store.record(key, PARAMS, metrics={"a": value}, origin="told", **more)


def test_what_is_recorded_is_read_back_exactly(path: Path):
    with Store.open(path, DEFINITION) as store:
        written = store.record(
            "k",
            PARAMS,
            metrics={"a": 0.1 + 0.2, "b": -0.0},
            origin="sobol",
            seconds=1.5,
            extra={"p": [1e-300, None]},
        )
        assert (written.number, written.status, written.reason) == (1, "done", None)
    with Store.open(path) as store:
        assert store.records() == [written]
        assert math.copysign(1, store.records()[0].metrics["b"]) == -1
        assert store.definition == DEFINITION
        assert store.records(after=1) == []
        assert store.count() == 1


def test_what_was_synced_last_holds_all_that_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After a power cut there may be nothing but what was synced: here, copies made whenever that happens."""
    synced, fsync = path.parent / "synced.db", os.fsync

    def copy(descriptor: int) -> None:
        fsync(descriptor)
        for end in ("", "-wal"):
            synced.with_name(synced.name + end).write_bytes(
                path.with_name(path.name + end).read_bytes()
            )

    with Store.open(path, DEFINITION) as store, Store.open(path) as other:
        monkeypatch.setattr("cimbo.storage.store.os.fsync", copy)
        store.claim([("k", PARAMS)], owner="me", lease_s=60)
        assert not synced.exists()  # a lease need not survive
        for each in (store, other):
            each._connection.execute("PRAGMA wal_autocheckpoint = 20")  # so that there are several
        for i in range(60):
            last = put((store, other)[i % 2], f"k{i}", status="failed" if i % 7 == 0 else "done")
            put(store, f"k{i}", status="failed" if i % 7 == 0 else "done")
            if i % 10 == 9:
                with Store.open(synced, readonly=True) as found:
                    assert found.records()[-1] == last
                for file in path.parent.glob("synced.db*"):
                    file.unlink()


def test_a_disk_that_fails_to_sync_is_told_and_nothing_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with Store.open(path, DEFINITION) as store:
        monkeypatch.setattr("cimbo.storage.store.os.fsync", fail)
        with pytest.raises(BadInput, match="the disk is full or failing; free some space"):
            put(store, "k")


def test_a_key_is_done_once_and_a_failed_one_may_be_done_later(path: Path):
    with Store.open(path, DEFINITION) as store:
        failed = put(store, "k", status="failed", reason="it\nbroke\0 \udcff")
        assert failed.reason == "it broke\\0 \\udcff"
        assert put(store, "k", status="failed", reason="again") == failed
        done = put(store, "k", 2.0)
        assert put(store, "k", 3.0) == done == put(store, "k", status="failed", reason="late")
        assert store.records() == [failed, done]
        assert done.number == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "3", [1.0, 2.0], 10**400])
def test_a_metric_that_is_no_finite_number_makes_a_failure_that_names_it(value):
    with Store.open(None, DEFINITION) as store:
        record = store.record("k", PARAMS, metrics={"good": 1, "bad": value}, origin="told")
        assert record.status == "failed"
        assert record.reason is not None
        assert record.reason.startswith("bad is ")
        assert record.metrics == {"good": 1.0} == store.records()[0].metrics


def test_numpy_values_and_unfinite_extras_are_stored_as_plain_json():
    np = pytest.importorskip("numpy")
    with Store.open(None, DEFINITION) as store:
        record = store.record(
            "k",
            {"depth": np.int64(3), "w": (1, 2)},
            metrics={"a": np.float32(0.5)},
            origin="told",
            extra={"std": np.array([1.0, math.nan]), "x": math.inf},
        )
    assert record.params == {"depth": 3, "w": [1, 2]}
    assert record.metrics == {"a": 0.5}
    assert record.extra == {"std": [1.0, None], "x": None}


def test_what_is_not_json_is_refused_and_leaves_no_trace():
    with Store.open(None, DEFINITION) as store:
        with pytest.raises(BadInput, match="params of k"):
            store.record("k", {"f": print}, metrics={}, origin="told")
        with pytest.raises(BadInput, match="neither done nor failed"):
            put(store, "k", status="running")
        assert store.count() == 0
        put(store, "k")


def test_meta_holds_small_values_but_never_replaces_the_definition(path: Path):
    with Store.open(path, DEFINITION) as store:
        assert store.meta("batches") is None
        store.set_meta("batches", [1, {"x": 2.5}])
        store.set_meta("batches", [2])
        with pytest.raises(BadInput, match="never changes"):
            store.set_meta("definition", {})
    with Store.open(path) as store:
        assert store.meta("batches") == [2]
        assert store.definition == DEFINITION


def test_another_definition_is_refused_with_the_first_difference(path: Path):
    Store.open(path, DEFINITION).close()
    Store.open(path, {**DEFINITION, "seed": 7, "preset": "mini"}).close()
    for change, told in (
        (
            {"space": {"hardware": [["rows", [64, 256]]]}},
            r"space.hardware\[0\]\[1\]\[1\] is 128 in the file, 256 now",
        ),
        ({"space": {"hardware": []}}, "space.hardware has 1 entries in the file, 0 now"),
        (
            {"space": {"hardware": DEFINITION["space"]["hardware"], "x": 1}},
            "space.x is only in this program",
        ),
        ({"objectives": None}, r"objectives is \['a'\] in the file"),
    ):
        with pytest.raises(BadInput, match=told):
            Store.open(path, {**DEFINITION, **change})


def test_claims_are_exclusive_renewable_and_end(path: Path):
    items = [("a", PARAMS), ("b", PARAMS), ("a", PARAMS)]
    with Store.open(path, DEFINITION) as one, Store.open(path) as two:
        assert one.claim(items, owner="one", lease_s=60) == ["a", "b"]
        assert two.claim(items, owner="two", lease_s=60) == []
        assert one.claim(items[:1], owner="one", lease_s=60) == ["a"]  # renewed
        assert [r.key for r in two.running()] == ["b", "a"]
        assert two.running()[0].extra["owner"] == "one"
        put(one, "a")
        assert [r.key for r in two.running()] == ["b"]
        one.release("one")
        assert two.claim(items, owner="two", lease_s=60) == ["b"]
        two.release("two")
        assert two.running() == []
        assert one.claim(items, owner="one", lease_s=60) == ["b"]
        put(one, "b", status="failed", reason="x")
        assert two.claim(items, owner="two", lease_s=60) == []


def test_closing_releases_and_so_does_dying(path: Path):
    with Store.open(path, DEFINITION) as mine:
        other = Store.open(path)
        other.claim([("a", PARAMS)], owner="other", lease_s=1000)
        other.close()
        assert mine.running() == []
        code = (
            "import os, signal, sys; from cimbo.storage import Store; s = Store.open(sys.argv[1]); "
            "s.claim([('a', {})], owner='victim', lease_s=1000); os.kill(os.getpid(), signal.SIGKILL)"
        )
        assert (
            subprocess.run([sys.executable, "-c", code, path], check=False).returncode
            == -signal.SIGKILL
        )
        if location.identity():  # elsewhere the lease has to expire
            assert mine.running() == []
            assert mine.claim([("a", PARAMS)], owner="mine", lease_s=1) == ["a"]


def test_a_dead_process_is_told_from_a_living_and_an_unknown_one():
    mine = location.identity()
    if not mine:
        pytest.skip("no /proc")
    boot, namespace, pid, start = mine.split("/")
    assert not location.dead(mine)
    assert location.dead(f"{boot}/{namespace}/{pid}/{int(start) - 1}")  # the pid was reused
    assert location.alive(mine)
    # Another boot may be another machine on the same disk: nobody can tell.
    assert not location.dead(f"another-boot/{namespace}/{pid}/{start}")
    assert not location.alive(f"another-boot/{namespace}/{pid}/{start}")
    assert not location.dead(f"{boot}/1/{pid}/{start}")  # another container: nobody can tell
    assert not any(
        location.dead(name) for name in ("", "x", f"{boot}/{namespace}/../etc/{start}", "a/b/c/d/e")
    )


def test_threads_share_a_store(path: Path):
    with Store.open(path, DEFINITION) as store, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: put(store, f"k{i % 40}"), range(120)))
        assert [r.number for r in store.records()] == list(range(1, 41))


def test_a_store_refuses_to_cross_a_fork(path: Path):
    if not hasattr(os, "fork") or threading.active_count() > 1:
        pytest.skip("needs a fork without threads")
    with Store.open(path, DEFINITION) as store:
        child = multiprocessing.get_context("fork").Process(target=lambda: put(store, "k"))
        child.start()
        child.join()
        assert child.exitcode == 1
        assert store.count() == 0


def test_read_only_reads_and_never_writes(path: Path):
    with Store.open(path, DEFINITION) as store:
        put(store, "k")
        with Store.open(
            path, readonly=True
        ) as reader:  # beside a living writer, with an unfinished log
            assert reader.count() == 1
            for write in (
                lambda: put(reader, "x"),
                lambda: reader.set_meta("x", 1),
                lambda: reader.release("x"),
            ):
                with pytest.raises(BadInput, match="read-only"):
                    write()
    with pytest.raises(BadInput, match="does not exist"):
        Store.open(path.with_name("none.db"), DEFINITION, readonly=True)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_migrations_run_once_and_in_order(path: Path):
    Store.open(path, DEFINITION).close()
    scripts = (
        *schema.MIGRATION_SCRIPTS,
        "CREATE TABLE tag (name TEXT) STRICT; INSERT INTO tag VALUES ('x')",
    )
    for _ in range(2):
        connection = schema.connect(str(path))
        schema.migrate(connection, scripts)
        assert schema.version(connection) == len(scripts)
        assert connection.execute("SELECT * FROM tag").fetchall() == [("x",)]
        connection.close()
    with pytest.raises(BadInput, match="newer cimbo"):
        Store.open(path)


def test_a_migration_that_fails_changes_nothing(path: Path):
    Store.open(path, DEFINITION).close()
    connection = schema.connect(str(path))
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(
            connection,
            (*schema.MIGRATION_SCRIPTS, "CREATE TABLE tag (name TEXT) STRICT; DROP TABLE nowhere"),
        )
    connection.close()
    with Store.open(path) as store:
        assert store.definition == DEFINITION


def test_the_network_is_recognised_by_the_longest_mount_point():
    mounts = (
        "22 1 0:20 / / rw,relatime - ext4 /dev/root rw\n"
        "30 22 0:40 / /home rw,relatime shared:1 - nfs4 filer:/home rw\n"
        "31 30 0:41 / /home/me/local\\040disk rw - xfs /dev/sdb rw\n"
        "32 22 0:42 / /scratch rw - ext4 /dev/sdc rw\n33 22 0:43 / /scratch rw - lustre x@tcp:/s rw\nnonsense\n"
    )
    for where, kind in (
        ("/home/me/a.db", "nfs4"),
        ("/homely/a.db", "ext4"),
        ("/home/me/local disk/a.db", "xfs"),
        ("/scratch/a.db", "lustre"),
    ):
        assert location.file_system(Path(where), mounts) == kind
    assert location.not_local(Path("/proc/self")) == "proc"


@pytest.mark.parametrize(
    "kind", ["9p", "virtiofs", "ocfs2", "gfs2", "fuse.juicefs", "fuse.s3fs", "nfs4", "new"]
)
def test_only_what_is_known_to_be_local_is_written_to_unless_a_user_insists(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(location, "file_system", lambda path, mounts: kind)
    with pytest.raises(
        BadInput,
        match=rf"\({kind}\) that is not known to be local.*CIMBO_LOCAL_FILE_SYSTEMS={kind}",
    ):
        Store.open(tmp_path / "study.db", DEFINITION)
    monkeypatch.setenv("CIMBO_LOCAL_FILE_SYSTEMS", f"other,{kind}")
    Store.open(tmp_path / "study.db", DEFINITION).close()


def test_processes_that_start_the_same_study_at_once_get_the_same_file(path: Path):
    def begin(i: int) -> int:
        with Store.open(path, {**DEFINITION, "seed": i}) as store:
            put(store, f"k{i}")
            return int(store.definition["seed"])

    with ThreadPoolExecutor(8) as pool:
        seeds = set(pool.map(begin, range(16)))
    assert len(seeds) == 1
    with Store.open(path) as store:
        assert store.count() == 16
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_reader_brings_the_tables_of_an_older_cimbo_up_to_date(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    Store.open(path, DEFINITION).close()
    newer = (*schema.MIGRATION_SCRIPTS, "CREATE TABLE tag (name TEXT) STRICT")
    monkeypatch.setattr(schema, "MIGRATION_SCRIPTS", newer)
    with Store.open(path, readonly=True) as reader:
        assert reader.definition == DEFINITION
    connection = schema.connect(str(path))
    assert schema.version(connection) == len(newer)
    connection.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_reader_refuses_tables_of_an_older_cimbo_that_it_may_not_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    Store.open(path, DEFINITION).close()
    path.chmod(0o444)
    newer = (*schema.MIGRATION_SCRIPTS, "CREATE TABLE tag (name TEXT) STRICT")
    monkeypatch.setattr(schema, "MIGRATION_SCRIPTS", newer)
    with pytest.raises(BadInput, match="older cimbo"):
        Store.open(path, readonly=True)
