"""Designs that are evaluated outside: handed out under leases, told when they are measured, asked anew when they are lost.

A shell script, a queue of jobs or a person asks and tells. Everything is kept in the study file: who holds which design
until when (the table of leases), and what was known of it when it was chosen (the metadata ``asked``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cimbo.errors import BadInput, choose_from
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.objectives import candidate
from cimbo.storage import Record, handed_out
from cimbo.study import replicates, stored_values
from cimbo.study.ask_tell import warn_of_inactive
from cimbo.study.handed_out_design import (
    AskedDesign,
    Teller,
    ToldOutcome,
    ToldRow,
    is_asked_design,
)
from cimbo.study.provenance import FINGERPRINT_REFERENCE
from cimbo.study.study import Study
from cimbo.study.told_ranges import Ranges
from cimbo.study.told_refusals import not_told, only_one, unknown_key
from cimbo.study.withdrawal import Kept, first_of, withdrawn_by_key, words_of

__all__ = [
    "DEFAULT_LEASE_S",
    "MAX_TIMES_ASKED",
    "AskedDesign",
    "AskedDesigns",
    "Teller",
    "ToldOutcome",
    "ToldRow",
    "is_asked_design",
]
ASKED_NAME = "asked"  # name under which a study file keeps the designs that are handed out
MAX_TIMES_ASKED = 3  # a design that was lost so often is given out again only by `retry`
DEFAULT_LEASE_S = 24 * 3600.0
TELLER_NAME = "told_by"  # field of a row's ``extra``: who reported it


class AskedDesigns:
    """What of a study is handed out."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._store = study.store
        self._ranges = Ranges()
        self._withdrawn: dict[str, list[Kept]] = {}

    def all(self) -> dict[str, AskedDesign]:
        """Return what was asked for and is not told yet, by key."""
        check = stored_values.mapping_of(is_asked_design)
        entries = stored_values.read(self._store, ASKED_NAME, check) or {}
        found = {}
        for entry in entries.values():
            asked = self._read(entry)
            found[asked.candidate.key] = asked
        return found

    def _read(self, entry: Mapping[str, Any]) -> AskedDesign:
        chosen = candidate(
            self._study.problem.space,
            entry["params"],
            origin=entry["origin"],
            predicted=entry["predicted"],
        )
        return AskedDesign(
            chosen,
            extra=entry["extra"],
            by=entry["by"],
            at=entry["at"],
            times=entry["times"],
            retry=entry["retry"],
        )

    def lost(self) -> list[AskedDesign]:
        """Return what nobody holds any more and nobody told, and what is to be tried again; oldest first."""
        held = {r.key for r in self._study.running()}
        status = {r.key: r.status for r in self._study.evaluations()}
        found = []
        for key, asked in self.all().items():
            if key not in held and not asked.is_answered(status.get(key)):
                found.append(asked)
        return sorted(found, key=lambda asked: asked.at)

    def ask(
        self, n: int, options: OptimizerOptions, *, by: str, lease_s: float = DEFAULT_LEASE_S
    ) -> list[AskedDesign]:
        """Hand out ``n`` designs: first those that were lost, then new ones; fewer when the space is exhausted.

        Args:
            n: How many.
            options: What the optimizer knows.
            by: Who is going to evaluate them.
            lease_s: Seconds until they count as lost.

        Returns:
            At most ``n`` designs, with who took them and when.
        """
        with handed_out.one_asks(self._store):
            waiting = [asked for asked in self.lost() if asked.times < MAX_TIMES_ASKED]
            given = self._lease(waiting[:n], by, lease_s)
            while len(given) < n:
                fresh = self._chosen(n - len(given), options)
                if not fresh:
                    break
                given += self._lease(fresh, by, lease_s)
        return given

    def _chosen(self, n: int, options: OptimizerOptions) -> list[AskedDesign]:
        """Up to ``n`` new designs, none of those that were lost: these are asked anew by `ask` and `retry` alone."""
        start = time.perf_counter()
        first = len(self._study.evaluations()) + len(self._study.running())
        self._study.hold_back([asked.candidate for asked in self.lost()])
        candidates = self._study.ask(n, guidance=options)
        self._study.clear_pending()  # from here on the leases say what is under way
        seconds = time.perf_counter() - start
        found = []
        for i, c in enumerate(candidates):
            about = {"position": first + i, "overhead_s": seconds / len(candidates)}
            found.append(AskedDesign(c, about))
        return found

    def _lease(self, designs: list[AskedDesign], by: str, lease_s: float) -> list[AskedDesign]:
        """Lease what nobody else holds of ``designs``. Noted before it is leased: a crash between the two loses nothing."""
        noted = [replace(d, by=by, at=time.time(), times=d.times + 1) for d in designs]
        if not noted:
            return []
        self._note(noted)
        items = [(d.candidate.key, d.candidate.params) for d in noted]
        leased = handed_out.hand_out(self._store, items, holder=by, lease_s=lease_s)
        return [d for d in noted if d.candidate.key in leased]

    def _note(self, designs: Iterable[AskedDesign], gone: Iterable[str] = ()) -> None:
        entries = {d.candidate.key: d.to_json() for d in designs}
        dropped = set(gone)

        def change(known: dict[str, Any] | None) -> dict[str, Any]:
            """Add the new entries to those that are kept, and leave out what is gone."""
            kept = {}
            for key, entry in (known or {}).items():
                if key not in dropped:
                    kept[key] = entry
            return {**kept, **entries}

        self._store.update_meta(ASKED_NAME, change)

    # ---- telling --------------------------------------------------------------------------------------------------

    def tell(self, rows: Iterable[ToldRow], teller: Teller) -> list[ToldOutcome]:
        """Record what ``rows`` tell, each on the disk before the next.

        A row that is wrong stops none of the others.

        Args:
            rows: What was measured, or why it failed.
            teller: Who tells.

        Returns:
            What became of each row, in the same order. A BadInput stands in the outcome of its row.
        """
        self._withdrawn = withdrawn_by_key(self._store)
        designs = self._known()
        outcomes = []
        told = []
        rows = list(rows)
        told_metrics = [row.metrics for row in rows]
        targets = self._study.problem.targets
        known = self._study.evaluations()
        self._ranges = Ranges.of(self._store.definition, told_metrics, known, targets)
        counts: Counter[str] = Counter()  # equal rows told together are several measurements
        for row in rows:
            try:
                asked = self._resolved(row, designs)
                message = f"{asked.candidate.key} {row.failed} {sorted(row.metrics.items())}"
                counts[message] += 1
                gone = self._withdrawal(asked, row)
                if gone is not None:
                    outcomes.append(ToldOutcome("withdrawn", withdrawal=words_of(gone)))
                    continue
                outcomes.append(ToldOutcome(self._tell(asked, row, teller, counts[message])))
                told.append(asked.candidate.key)
            except BadInput as error:
                outcomes.append(ToldOutcome("refused", error))
        # After the records are written: a design that was reported but is still listed
        # here is not lost, see `lost`.
        self._note([], gone=told)
        return outcomes

    def _known(self) -> dict[str, AskedDesign]:
        """Every design that a key may name: evaluated, being evaluated, withdrawn, or handed out once."""
        space = self._study.problem.space
        known = self._withdrawn_designs()
        for r in (*self._study.evaluations(), *self._study.running()):
            known[r.key] = AskedDesign(candidate(space, r.params, origin=r.origin or "told"), {})
        return {**known, **self.all()}

    def _withdrawn_designs(self) -> dict[str, AskedDesign]:
        """The designs whose evaluations were all withdrawn, as if nobody had asked for them."""
        space = self._study.problem.space
        standing = {record.key for record in self._study.evaluations()}
        found = {}
        for key, evaluations in self._withdrawn.items():
            if key not in standing:
                last = evaluations[-1]
                chosen = candidate(space, last["params"], origin=last["origin"])
                found[key] = AskedDesign(chosen, {})
        return found

    def _resolved(self, row: ToldRow, designs: Mapping[str, AskedDesign]) -> AskedDesign:
        """The design that ``row`` is about. Raises BadInput where its key was never asked for, or is not of its genes."""
        key = row.key
        if row.params is None:
            if key is None or key not in designs:
                raise unknown_key(key, designs)
            return designs[key]
        own = candidate(self._study.problem.space, row.params, origin="told")
        warn_of_inactive(row.params, own)
        if key is not None and key != own.key:
            raise BadInput(f"key {key}", f"is not of its params ({own.key})", "leave one out")
        return designs.get(own.key, AskedDesign(own, {}))

    def _withdrawal(self, asked: AskedDesign, row: ToldRow) -> Kept | None:
        """The withdrawn evaluation that a row only tells again; None where it counts."""
        key = asked.candidate.key
        kept = first_of(self._withdrawn.get(key, ()), row.metrics, row.failed)
        if kept is None or asked.times:  # what was handed out since is a new measurement
            return None
        standing = []
        for record in replicates.merged(self._store.records(), replicates.stored(self._store)):
            if record.key == key:
                standing.append({**vars(record), "beside": record.extra})
        if first_of(standing, row.metrics, row.failed) is not None:
            return None
        return kept

    def _tell(self, asked: AskedDesign, row: ToldRow, teller: Teller, times: int) -> str:
        """Record what a row tells of its design, for the so many-th time, and say what became of it."""
        if row.failed is None:
            self._check_metrics(row.metrics, asked.candidate.params)
        before = self._store.last_number()
        record = self._record(asked, row, teller)
        if row.failed is None:
            is_kept = self._study.keep_replicates(record, row.metrics, times)
        else:
            is_kept = self._study.keep_failure(record, row.failed, times)
        if is_kept:
            return "again"
        if record.number > before:
            return "new"
        return "known"

    def _record(self, asked: AskedDesign, row: ToldRow, teller: Teller) -> Record:
        """Write a row to the log, with who told it."""
        if row.failed is None:
            status = "done"
        else:
            status = "failed"
        return self._study.record(
            asked.candidate,
            row.metrics,
            status=status,
            reason=row.failed,
            seconds=row.seconds,
            extra={
                **asked.extra,
                TELLER_NAME: teller.by,
                FINGERPRINT_REFERENCE: teller.reference,
            },
        )

    def _check_metrics(self, metrics: Mapping[str, float], params: Mapping[str, Any]) -> None:
        """Raise BadInput for a row without what the study asks for, most likely misspelt, or that cannot be."""
        self._ranges.check(metrics)
        problem = self._study.problem
        known = problem.completed(metrics, params)
        divided = problem.derived.not_finite(metrics, params)
        for name in problem.targets:
            if name in divided:
                raise BadInput(f"metrics.{name}", divided[name], "correct what it is made of")
            if name not in known:
                needed = problem.derived.missing(name, {**params, **known}) or (name,)
                raise not_told(needed[0], metrics)

    # ---- trying again ---------------------------------------------------------------------------------------------

    def retry(self, keys: Sequence[str] = (), by: str | None = None) -> list[AskedDesign]:
        """Let designs be asked anew: those of ``keys``, those that ``by`` holds, or all that failed or are lost.

        Args:
            keys: Keys, which may be shortened; those of withdrawn designs too.
            by: Who holds them, as ``cimbo status`` shows it, and has ended or was stopped.

        Returns:
            The designs that may be asked anew.

        Raises:
            BadInput: For a key that nothing or several things have, and for a design that is measured.
        """
        self._withdrawn = withdrawn_by_key(self._store)
        failed = self._failed()
        known = {**self._withdrawn_designs(), **failed, **self.all()}
        if by is not None:
            # Counts as lost once more, as nobody asked for it again: a design that
            # kills every job that takes it must be given up in the end.
            again = [known[key] for key in self._held(by) if key in known]
        elif keys:
            again = [self._named(key, known).afresh() for key in keys]
        else:
            lost = {asked.candidate.key: asked for asked in self.lost()}
            again = [asked.afresh() for asked in {**failed, **lost}.values()]
        self._note(again)
        handed_out.take_back(self._store, [asked.candidate.key for asked in again])
        return again

    def ask_again(self, records: Iterable[Record]) -> None:
        """Let the next `ask` give out the designs of evaluations that are no longer in the log."""
        self._note([self._asked_before(record).afresh() for record in records])

    def forget(self, records: Iterable[Record]) -> None:
        """Forget that the designs of evaluations that are no longer in the log were asked for."""
        self._note([], gone=[record.key for record in records])

    def _failed(self) -> dict[str, AskedDesign]:
        """What has failed, was never measured, and is not handed out again already."""
        records = self._study.evaluations()
        done = {r.key for r in records if r.status == "done"}
        done |= {r.key for r in self._study.running()}
        found = {}
        for r in records:
            if r.key not in done:
                found[r.key] = self._asked_before(r)
        return found

    def _asked_before(self, record: Record) -> AskedDesign:
        """The design of a row as if it were handed out, at its place in the search."""
        space = self._study.problem.space
        predicted = stored_values.predictions(record) or None
        c = candidate(space, record.params, origin=record.origin, predicted=predicted)
        return AskedDesign(c, {"position": stored_values.position(record)})

    def _named(self, key: str, known: Mapping[str, AskedDesign]) -> AskedDesign:
        found = [name for name in known if name.startswith(key)]
        if len(found) == 1:
            return known[found[0]]
        if not found:
            todo = "cimbo status lists what is handed out"
            raise BadInput(f"KEY {key}", "has neither failed nor been handed out", todo)
        raise BadInput(f"KEY {key}", f"{len(found)} keys start so", "give more of it")

    def renew(
        self, keys: Sequence[str] = (), by: str | None = None, *, lease_s: float
    ) -> list[Record]:
        """Let leases end ``lease_s`` seconds from now.

        Args:
            keys: Keys of designs that are handed out, which may be shortened.
            by: Who holds further ones, all of which are meant; None for nobody.
            lease_s: Seconds from now.

        Returns:
            The designs whose leases were changed, as they are now.

        Raises:
            BadInput: A key is that of no design or of several that are handed out, or ``by`` holds
                none.
        """
        chosen: list[str] = []
        if by is not None:
            chosen += self._held(by)
        handed = [record.key for record in self._handed_out()]
        for key in keys:
            chosen.append(only_one(key, handed))
        handed_out.extend(self._store, chosen, lease_s=lease_s)
        return [r for r in self._study.running() if r.key in chosen]

    def _handed_out(self) -> list[Record]:
        """What is being evaluated outside."""
        return [r for r in self._study.running() if r.extra.get("handed_out")]

    def _held(self, by: str) -> list[str]:
        """Keys of what ``by`` holds. Raises BadInput where that is nothing."""
        records = self._handed_out()
        found = [record.key for record in records if record.extra["owner"] == by]
        if not found:
            holders = {str(record.extra["owner"]) for record in records}
            todo = "nothing is handed out"
            if holders:
                todo = choose_from(by, sorted(holders), "holders are")
            raise BadInput(f"--by {by}", "holds no design", todo)
        return found
