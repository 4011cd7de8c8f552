"""The log of a study: its evaluations, and leases on candidates that are being evaluated."""

import math
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput
from cimbo.storage import leases, location, schema
from cimbo.storage.opening import check_place, connect, create, same_study
from cimbo.storage.study_file import IN_MEMORY, StudyFile
from cimbo.storage.values import (
    Record,
    are_finite,
    collection_paused,
    finite_metrics,
    normal,
    one_line,
    parse_rows,
    to_json,
)

__all__ = ["EVALUATION_COLUMNS", "IN_MEMORY", "Store"]
EVALUATION_COLUMNS = "number, key, params, metrics, status, reason, origin, seconds, extra"
INSERT_EVALUATION = (
    "INSERT INTO evaluation (number, key, status, params, metrics, reason, origin, seconds, extra) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
WITHDRAWN_PREFIX = "withdrawn/"  # of the names of metadata that keep what was withdrawn
WITHDRAWALS_NAME = "withdrawals"  # how many evaluations were
LAST_WITHDRAWN_NAME = "last_withdrawn"  # the highest number of these, which is not given again
REPLACE_LEASE = "REPLACE INTO lease (key, params, owner, process, expires) VALUES (?,?,?,?,?)"


class Store(StudyFile):
    """A study file. Open it with `Store.open`; use it from any thread, but not across a fork."""

    @staticmethod
    def open(
        path: str | os.PathLike[str] | None,
        definition: Mapping[str, Any] | None = None,
        *,
        readonly: bool = False,
    ) -> "Store":
        """Open the study at ``path``, or create it there with ``definition``.

        Args:
            path: The study file; None keeps the study in memory.
            definition: What the study is about, as JSON: space, objectives, constraints, metrics
                and whatever else is to be kept. An existing file has to agree in these four. None
                takes the study that the file holds.
            readonly: Whether to refuse writing. Has no effect on a study in memory.

        Returns:
            The store. Close it, or use it in a ``with`` block.

        Raises:
            BadInput: For anything that is not a usable study, or is another one than the definition
                says. The file is then left as it was.
        """
        expected = None
        if definition is not None:
            expected = normal(definition, "definition")
        if path is None:
            connection = schema.newborn(to_json(expected or {}, "definition"))
            return Store(connection, IN_MEMORY, readonly=False)
        file = Path(path).expanduser().resolve()
        if not readonly:
            check_place(file)
        if not file.exists():
            create(file, expected, readonly=readonly)
        connection = connect(file, readonly=readonly)
        try:
            store = Store(connection, str(file), readonly=readonly)
            same_study(store.definition, expected, str(file))
        except BaseException:
            connection.close()
            raise
        return store

    def records(self, *, after: int = 0) -> list[Record]:
        """Read the done and failed evaluations with a number above ``after``.

        Args:
            after: A number of an evaluation; 0 for all of them.

        Returns:
            The evaluations in order of number.

        Raises:
            BadInput: A row is damaged; it is named.
        """
        query = f"SELECT {EVALUATION_COLUMNS} FROM evaluation WHERE number > ? ORDER BY number"  # noqa: S608 (a constant)
        rows = self._rows(query, after)
        texts = [(row[2], row[3], row[8]) for row in rows]  # params, metrics, extra
        records = []
        with (
            collection_paused()
        ):  # the garbage collector would go through all records again and again
            for row, parts in zip(rows, parse_rows(texts), strict=True):
                records.append(self._read(row, parts))
        return records

    def record(
        self,
        key: str,
        params: Mapping[str, Any],
        *,
        metrics: Mapping[str, Any],
        status: str = "done",
        reason: str | None = None,
        origin: str,
        seconds: float = 0.0,
        extra: Mapping[str, Any] | None = None,
    ) -> Record:
        """Write one evaluation; it is on the disk when this returns.

        The lease on ``key`` ends. A key that is already done keeps its row; so does one that has
        failed and fails again.

        Args:
            key: The key of the candidate.
            params: Its genes by name, as JSON.
            metrics: What was measured. One that is not a finite number is left out and makes the
                evaluation ``failed``, with a reason that names it.
            status: ``done`` or ``failed``.
            reason: Why it failed; it is kept as one line.
            origin: Who wanted it, see `Record`.
            seconds: What the evaluation took.
            extra: Free JSON that is kept beside it.

        Returns:
            The row that the file holds now: the new one, or the one that stays.

        Raises:
            BadInput: ``status`` is another word, something is not JSON, the disk is full, or the
                file is read-only or was deleted or replaced while it was open.
        """
        if status not in ("done", "failed"):
            what = f"status {status!r} is neither done nor failed"
            raise BadInput(f"record {key}", what, "use one of the two")
        finite, complaint = finite_metrics(metrics)
        if complaint:
            status = "failed"
            reason = _with_complaint(reason, complaint)
        values = (
            key,
            status,
            to_json(params, f"params of {key}"),
            to_json(finite, f"metrics of {key}"),
            None if reason is None else one_line(reason),
            one_line(origin),
            float(seconds),
            to_json(extra or {}, f"extra of {key}"),
        )
        with self._writing() as connection:
            stored = self._stored(key, status)
            if stored is None:
                connection.execute(INSERT_EVALUATION, (self.last_number() + 1, *values))
                stored = self._stored(key, status)
            connection.execute("DELETE FROM lease WHERE key = ?", (key,))
        assert stored is not None
        return stored

    def withdraw(
        self, records: Sequence[Record], note: Mapping[str, Any], beside: Sequence[str] = ()
    ) -> None:
        """Take evaluations out of the log; what they measured is kept with ``note``, and counts no more.

        Their designs may then be evaluated anew; their numbers are not given again. All of it is on the disk when this returns.

        Args:
            records: The evaluations, as `records` gives them.
            note: JSON that is kept with each, such as why.
            beside: Names of metadata that hold values by design, see `set_meta`; those of these
                designs are kept with the evaluation, and removed. A name that ends in "/" is a
                prefix of names that end in the key of a design; what these hold is that of its
                done evaluation.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        with self._writing() as connection:
            count = len(self.metas(WITHDRAWN_PREFIX))
            self._write_meta(LAST_WITHDRAWN_NAME, self.last_number())
            for serial, record in enumerate(records, start=count + 1):
                withdrawn = {**vars(record), **note}
                withdrawn["beside"] = self._take_values(record, beside)
                self._write_meta(f"{WITHDRAWN_PREFIX}{serial:06d}", withdrawn)
                connection.execute("DELETE FROM evaluation WHERE number = ?", (record.number,))
            self._write_meta(WITHDRAWALS_NAME, count + len(records))

    def _take_values(self, record: Record, names: Sequence[str]) -> dict[str, Any]:
        """Remove the values of a design from metadata that hold values by design, and return them by name."""
        taken = {}
        for name in names:
            if name.endswith("/"):
                values = self.meta(name + record.key)
                if values and record.status == "done":
                    taken[name.rstrip("/")] = values
                    self._write_meta(name + record.key, [])
                continue
            values = self.meta(name)
            if isinstance(values, dict) and record.key in values:
                taken[name] = values.pop(record.key)
                self._write_meta(name, values)
        return taken

    def claim(
        self,
        items: Sequence[tuple[str, Mapping[str, Any]]],
        *,
        owner: str,
        lease_s: float = leases.LEASE_S,
        budget: int | None = None,
        again: bool = False,
    ) -> list[str]:
        """Lease to ``owner`` those candidates that nobody has evaluated and nobody else is evaluating.

        No two processes get the same candidate. The store renews its leases until `release` or `close`.
        See `cimbo.storage.leases` for when a lease ends.

        Args:
            items: Key and genes of each candidate. One that has failed counts as evaluated.
            owner: A name for whoever evaluates. Candidates that it holds already are leased to it again.
            lease_s: Seconds until the lease is said to expire; it is shown where running evaluations are
                listed.
            budget: How many evaluations and leases of processes the file may hold together; None
                for any number. A lease of a process that died does not count, and what was handed
                out does not either, nor what is leased ``again``.
            again: Whether to lease candidates that were evaluated: their measurement is continued.

        Returns:
            The keys that are leased to ``owner`` now, in the order of ``items``.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        expires = time.time() + lease_s
        params_of_key = {}
        for key, params in items:
            params_of_key[key] = to_json(params, f"params of {key}")
        claimed = []
        with self._writing(durable=False) as connection:
            leases.delete_ended(connection, self.lease_judge)
            held = leases.owners_of_processes(connection)
            free_places = math.inf  # how many more leases the budget allows
            if budget is not None:
                free_places = budget - self.count() - len(held)
            for key, text in params_of_key.items():
                is_new = held.get(key) != owner  # a renewed lease takes no further place
                if is_new and free_places <= 0:
                    continue
                if leases.may_claim(connection, key, owner, again=again):
                    if is_new:
                        free_places -= 1
                    lease = (key, text, owner, self._process, expires)
                    connection.execute(REPLACE_LEASE, lease)
                    claimed.append(key)
        self._owners.add(owner)
        if self._heartbeat is None and not self._in_memory:
            self._heartbeat = leases.Heartbeat(self)
        return claimed

    def renew(self) -> None:
        """Renew the leases claimed through this store, so that other machines see that they still hold.

        Raises:
            BadInput: The study is read-only or cannot be written.
        """
        expires = time.time() + leases.LEASE_S
        with self._lock:
            if not self._owners:
                return
            with self._writing(durable=False) as connection:
                for owner in sorted(self._owners):
                    renewal = "UPDATE lease SET expires = ? WHERE owner = ?"
                    connection.execute(renewal, (expires, owner))

    def running(self) -> list[Record]:
        """Return the candidates under a lease that holds.

        Returns:
            A record for each, with number 0 and status ``running``. Its ``extra`` holds the
            ``owner`` and ``expires`` (Unix seconds), and ``handed_out`` where no process of ours
            evaluates it.
        """
        query = "SELECT key, params, owner, process, expires FROM lease ORDER BY expires, key"
        records = []
        for key, text, owner, process, expires in self._rows(query):
            lease = leases.Lease(key, owner, process, expires)
            if self._holds(lease):
                params = self._json(text, key)
                extra = _lease_details(lease)
                records.append(Record(0, key, params, {}, "running", None, "", 0.0, extra))
        return records

    def _holds(self, lease: leases.Lease) -> bool:
        """Whether a lease counts as held for lists of running evaluations and for proposals."""
        # Of a process elsewhere the expiry in its lease is believed here; ``claim`` watches it for longer
        if lease.expires <= time.time() and not location.alive(lease.process):
            return False
        return not self.lease_judge.ended(lease)

    def lease_transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open one transaction on the leases, for `cimbo.storage.handed_out`.

        Returns:
            A context manager that gives the connection. It commits at the end of the block, or
            rolls back when the block raises.
        """
        return self._writing(durable=False)

    def count(self) -> int:
        """Count the recorded evaluations, done and failed."""
        return int(self._rows("SELECT count(*) FROM evaluation")[0][0])

    def last_number(self) -> int:
        """Return the highest number that any evaluation has or had, withdrawn ones included; 0 for none."""
        query = "SELECT coalesce(max(number), 0) FROM evaluation"
        return max(int(self._rows(query)[0][0]), self.meta(LAST_WITHDRAWN_NAME) or 0)

    def _stored(self, key: str, status: str) -> Record | None:
        """The stored row because of which a new one is not added: a done row of the key, or one of the same status."""
        query = (
            f"SELECT {EVALUATION_COLUMNS} FROM evaluation WHERE key = ? AND status IN ('done', ?)"  # noqa: S608 (a constant)
        )
        rows = self._rows(f"{query} ORDER BY status", key, status)  # "done" comes before "failed"
        if rows:
            return self._read(rows[0])
        return None

    def _read(self, row: tuple[Any, ...], parts: Sequence[Any] | None = None) -> Record:
        """Make the record of a row; ``parts``: its JSON columns (params, metrics, extra) where these are parsed already."""
        number, key, params, metrics, status, reason, origin, seconds, extra = row
        where = f"evaluation {number}"
        if parts is None:
            parts = [self._json(text, where) for text in (params, metrics, extra)]
        if not all(isinstance(part, dict) for part in parts) or not are_finite(parts[1]):
            raise BadInput(f"{self.path}, {where}", "is damaged", "restore the file from a copy")
        params, metrics, extra = parts
        return Record(number, key, params, metrics, status, reason, origin, seconds, extra)


def _with_complaint(reason: str | None, complaint: str) -> str:
    """The evaluator's reason for a failure, if it gave one, and what is wrong with its metrics."""
    of_evaluator = one_line(reason or "")
    if of_evaluator:
        return f"{of_evaluator}; {complaint}"
    return complaint


def _lease_details(lease: leases.Lease) -> dict[str, Any]:
    """The ``extra`` of a running record: owner, expiry, and whether it was handed out."""
    details = {"owner": lease.owner, "expires": lease.expires}
    if lease.process == leases.HANDED_OUT:
        details["handed_out"] = True
    return details
