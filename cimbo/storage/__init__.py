"""The study file: an append-only log of evaluations that survives kill -9, power cuts and several writers.

The contract, in prose:

* `Store.record` returns only when the evaluation is on the disk. What it acknowledged is never lost
  and never changed.
* Rows are numbered 1, 2, 3, ... without gaps, in the order in which they were committed, by whichever
  process. So ``records(after=n)`` never misses a row that becomes visible later.
* A key has at most one ``done`` row. Recording it again returns the stored one. It may have one
  ``failed`` row before that, when somebody evaluated a failed candidate once more: both evaluations
  took place, both stay in the log.
* `Store.claim` gives a candidate to one owner at a time. A lease ends when the evaluation is recorded,
  when it expires, when its owner releases it, and at once when the process that took it is dead.
* A study file is only data: opening one runs nothing from it. See SECURITY.md.
"""

from cimbo.storage.opening import check_place
from cimbo.storage.store import Store
from cimbo.storage.values import Record

__all__ = ["Record", "Store", "check_place"]
