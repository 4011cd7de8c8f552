"""The store against a model of it: any sequence of operations, two connections to one file, closings and crashes."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cimbo.storage import Record, Store

KEYS = st.sampled_from("abcde")
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


class StoreMachine(RuleBasedStateMachine):
    """``log`` and ``leases`` are what the file must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "study.db"
        self.stores = [Store.open(self.path, {"space": [1]}), Store.open(self.path)]
        self.log: list[Record] = []
        self.leases: dict[str, str] = {}
        self.notes: dict[str, Any] = {}

    @rule(who=st.integers(0, 1), key=KEYS, value=st.floats(), failed=st.booleans(), extra=JSON)
    def record(self, who: int, key: str, value: float, failed: bool, extra: Any) -> None:
        store, status = self.stores[who], "failed" if failed else "done"
        given = {
            "status": status,
            "reason": "asked" if failed else None,
            "origin": "told",
            "extra": {"free": extra},
        }
        got = store.record(key, {"gene": key}, metrics={"m": value}, **given)
        finite = value - value == 0
        expected = status if finite else "failed"
        known = [r for r in self.log if r.key == key and r.status in ("done", expected)]
        if known:
            assert got == max(known, key=lambda r: r.status == "done")
        else:
            assert got.number == len(self.log) + 1
            assert got.status == expected
            assert got.metrics == ({"m": value} if finite else {})
            assert got.extra == {"free": extra}
            assert (got.reason is None) == (expected == "done")
            self.log.append(got)
        self.leases.pop(key, None)

    @rule(who=st.integers(0, 1), keys=st.lists(KEYS, max_size=4))
    def claim(self, who: int, keys: list[str]) -> None:
        owner = f"owner {who}"
        free = [k for k in dict.fromkeys(keys) if self.leases.get(k, owner) == owner]
        expected = [k for k in free if all(r.key != k for r in self.log)]
        assert (
            self.stores[who].claim([(k, {"gene": k}) for k in keys], owner=owner, lease_s=1000)
            == expected
        )
        self.leases |= dict.fromkeys(expected, owner)

    @rule(who=st.integers(0, 1))
    def release(self, who: int) -> None:
        self.stores[who].release(f"owner {who}")
        self.leases = {k: o for k, o in self.leases.items() if o != f"owner {who}"}

    @rule(who=st.integers(0, 1), name=st.text(max_size=3), value=JSON)
    def note(self, who: int, name: str, value: Any) -> None:
        self.stores[who].set_meta(name, value)
        self.notes[name] = value

    @rule(who=st.integers(0, 1))
    def reopen(self, who: int) -> None:
        self.stores[who].close()
        self.leases = {k: o for k, o in self.leases.items() if o != f"owner {who}"}
        self.stores[who] = Store.open(self.path, {"space": [1]})

    @rule()
    def crash(self) -> None:
        """What a power cut leaves: the files as they are, with the log not yet folded in."""
        after = self.folder / "after"
        after.mkdir()
        for file in self.folder.glob("study.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, after / file.name)
        with Store.open(after / "study.db") as found:
            assert found.records() == self.log
        shutil.rmtree(after)

    @invariant()
    def agrees(self) -> None:
        for store in self.stores:
            assert store.records() == self.log
            assert store.count() == len(self.log)
            assert store.records(after=2) == self.log[2:]
            assert {r.key: r.extra["owner"] for r in store.running()} == self.leases
            assert all(store.meta(name) == value for name, value in self.notes.items())

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)


StoreMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStore = StoreMachine.TestCase
