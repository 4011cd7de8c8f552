"""The recovery drills: each breaks real processes and files, and returns what it measured.

The short form (``test_recovery.py``) runs in CI, the long one is ``benchmarks/store_recovery.py``.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import problem
import vices

from cimbo import execution
from cimbo.errors import BadInput
from cimbo.optimizer.options import OptimizerOptions
from cimbo.problem.pareto import non_dominated
from cimbo.storage import Store

HERE = Path(__file__).parent
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
}


@dataclass(frozen=True)
class Kills:
    """What SIGKILLs did. ``restart_s``: 95th percentile from the end of the imports to the first new evaluation;
    ``restart_cpu_s``: of the main process's CPU time in between, the same on a busy machine as on an idle one."""

    kills: int
    studies: int
    acknowledged: int
    lost: int
    duplicated: int
    left_running: int
    fronts_differing: int
    restart_s: float
    restart_cpu_s: float


@dataclass(frozen=True)
class Swarm:
    """What several processes did on one study; ``twice``: keys started again although their first owner lived."""

    processes: int
    evaluations: int
    kills: int
    lost: int
    duplicated: int
    twice: int
    left_running: int
    per_second: float


@dataclass(frozen=True)
class Faults:
    """A run in which a share of the evaluations goes wrong."""

    share: float
    budget: int
    recorded: int
    unexplained: int
    wrongly_failed: int
    seconds: float


@dataclass(frozen=True)
class Shortfall:
    """A search in which a share of the designs fails: its hypervolume over that of the same search without failures."""

    share: float
    budget: int
    recorded: int
    failed: int
    hypervolume: float


def start(mode: str, folder: Path, budget: int, last: float) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        HERE / "victim.py",
        mode,
        folder / "study.db",
        folder / "acks",
        str(budget),
        str(last),
    ]
    return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)


def acks(folder: Path) -> list[dict[str, Any]]:
    file = folder / "acks"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def front(path: Path) -> set[tuple[str, float, float]]:
    """The designs that are best in the first metric upwards and the second downwards."""
    with Store.open(path, readonly=True) as store:
        rows = [(r.key, *r.metrics.values()) for r in store.records()]
    best = non_dominated(np.array([(up, -down) for _, up, down in rows]))
    return {row for row, good in zip(rows, best, strict=True) if good}


def shortfall_drill(shares: tuple[float, ...], *, budget: int, seed: int = 0) -> list[Shortfall]:
    """The real search on a problem of which ``shares`` of the designs fail, in every way there is."""
    found, clean = [], 0.0
    for share in (0.0, *shares):
        with problem.study(None, seed) as study:
            study.optimize(partial(problem.faulty, share=share), budget, n_jobs=2, timeout_s=2.0)
            rows, volume = study.evaluations(), study.hypervolume()
        assert volume is not None
        clean = clean or volume
        failed = sum(r.status == "failed" for r in rows)
        found.append(Shortfall(share, budget, len(rows), failed, volume / clean))
    return found[1:]


def orders(budget: int, jobs: tuple[int, ...]) -> list[list[str]]:
    """The keys of a search with each number of workers, by the place at which they were proposed."""
    found = []
    for n in jobs:
        with problem.study(None) as study:
            study.optimize(
                problem.evaluate, budget, n_jobs=n, guidance=OptimizerOptions(initial=10)
            )
            rows = sorted(study.evaluations(), key=lambda r: r.extra["position"])
            found.append([r.key for r in rows])
    return found


def kill_drill(kills: int, *, budget: int, jobs: int, seed: int = 0, mode: str = "solo") -> Kills:
    """SIGKILLs at random instants until there were ``kills`` of them; a study that reaches its budget is checked."""
    dice, total, results = random.Random(seed), 0, Counter[str]()
    restarts: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name) / "whole"
        whole.mkdir()
        begin = time.perf_counter()
        ended(start(mode, whole, budget, jobs))
        span, expected = time.perf_counter() - begin, front(whole / "study.db")
        while total < kills:
            results["studies"] += 1
            folder = Path(name) / str(results["studies"])
            folder.mkdir()
            while True:
                known = len(acks(folder))
                begin = time.perf_counter()
                killed = shoot(
                    start(mode, folder, budget, jobs),
                    dice.uniform(0, span) if total < kills else None,
                )
                if not killed and not known:
                    span = time.perf_counter() - begin  # a busy machine may have become an idle one
                total += killed
                restarts += [
                    (line["after_s"], line["after_cpu_s"])
                    for line in acks(folder)[known : known + 1]
                ]
                results += inspect(folder)
                if not killed:
                    break
            results["fronts"] += front(folder / "study.db") != expected
            results["acknowledged"] += len(acks(folder))
    return Kills(
        total,
        results["studies"],
        results["acknowledged"],
        results["lost"],
        results["duplicated"],
        results["running"],
        results["fronts"],
        *np.percentile(restarts, 95, axis=0).tolist(),
    )


def shoot(process: subprocess.Popen[str], after_s: float | None) -> bool:
    """Kills the process after some seconds; False when it was done before. Raises when it failed by itself."""
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    ended(process)
    return False


def ended(process: subprocess.Popen[str]) -> None:
    _, complaint = process.communicate(timeout=300)
    assert process.returncode == 0, complaint


def inspect(folder: Path) -> Counter[str]:
    """Compares what was acknowledged with what is in the file."""
    path, found = folder / "study.db", Counter[str]()
    if not path.exists():
        return Counter(lost=len(acks(folder)))
    with Store.open(path, readonly=True) as store:
        rows = {r.key: (r.number, r.metrics) for r in store.records()}
        found["duplicated"] = store.count() - len(rows)
        found["running"] = len(store.running())
    found["lost"] = sum(rows.get(a["key"]) != (a["number"], a["metrics"]) for a in acks(folder))
    return +found


def swarm_drill(processes: int, *, budget: int, deaths: float) -> Swarm:
    """Several processes on one study. Each time one takes candidates it dies with probability ``deaths``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Store.open(
            folder / "study.db",
            {"space": {"genes": ["a", "b", "c"]}, "objectives": ["up", "down"], "constraints": []},
        ).close()
        crew, dead = [start("swarm", folder, budget, deaths) for _ in range(processes)], set[str]()
        while crew:
            process = crew.pop(0)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
            if process.returncode is None:
                crew.append(process)
            elif process.returncode == -signal.SIGKILL:
                dead.add(f"swarm {process.pid}")
                process.communicate()
                crew.append(start("swarm", folder, budget, deaths))
            else:
                ended(process)
        return verdict(folder, processes, dead)


def verdict(folder: Path, processes: int, dead: set[str]) -> Swarm:
    started: dict[str, list[str]] = {}
    with Store.open(folder / "study.db", readonly=True) as store:
        rows, running = store.records(), len(store.running())
    lines = acks(folder)
    done = [line for line in lines if line["event"] == "done"]
    for line in lines:
        if line["event"] == "start":
            started.setdefault(line["key"], []).append(line["owner"])
    numbers = {r.key: r.number for r in rows}
    return Swarm(
        processes,
        len(rows),
        len(dead),
        lost=sum(numbers.get(a["key"]) != a["number"] for a in done),
        duplicated=len(rows) - len(numbers),
        twice=sum(any(owner not in dead for owner in owners[:-1]) for owners in started.values()),
        left_running=running,
        per_second=len(rows) / (done[-1]["at"] - lines[0]["at"]),
    )


def fault_drill(share: float, *, budget: int) -> Faults:
    """A study through the engine while ``share`` of its evaluations crashes, hangs, lies or eats memory."""
    begin = time.perf_counter()
    todo = [SimpleNamespace(key=str(i), params=vices.candidate(i, share)) for i in range(budget)]
    with Store.open(None, {}) as store:
        for o in execution.run(todo, vices.evaluate, n_jobs=2, timeout_s=2.0, memory_mb=2048):
            store.record(
                o.key, o.params, metrics=o.metrics, status=o.status, reason=o.reason, origin="sobol"
            )
        rows = store.records()
    failed = [r for r in rows if r.status == "failed"]
    return Faults(
        share,
        budget,
        len(rows),
        sum(not r.reason or "\n" in r.reason for r in failed),
        sum((r.status == "failed") != (r.params["vice"] != "none") for r in rows),
        time.perf_counter() - begin,
    )


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A folder on a disk of its own. Raises PermissionError where one may not mount."""
    with tempfile.TemporaryDirectory() as name:
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", name]
        if subprocess.run(mounting, capture_output=True, check=False).returncode:
            raise PermissionError("mounting a tmpfs needs root")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "-l", name], check=True)


def full_disk_drill(megabytes: int = 2) -> tuple[str, int, int]:
    """Records until the disk is full. Returns the message, and how many were acknowledged and found; then goes on."""
    with small_disk(megabytes) as folder:
        path, message, kept = folder / "study.db", "", 0
        with Store.open(path, {}) as store:
            while not message:
                try:
                    store.record(
                        f"k{kept}", {"text": "x" * 3000}, metrics={"a": 1.0}, origin="told"
                    )
                    kept += 1
                except BadInput as error:
                    message = str(error)
        with Store.open(path, readonly=True) as store:
            found = store.count()
        subprocess.run(["mount", "-o", f"remount,size={megabytes * 4}m", str(folder)], check=True)
        with Store.open(path) as store:
            assert store.record("next", {}, metrics={"a": 1.0}, origin="told").number == found + 1
    return message, kept, found


def signal_drill(sent: signal.Signals, *, jobs: int) -> tuple[int, str, Counter[str]]:
    """Interrupts a study in the middle. Returns the exit code, what it said, and what was wrong with the file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = start("solo", folder, 1000, jobs)
        while len(acks(folder)) < 12:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(sent)
        _, told = process.communicate(timeout=30)
        return process.returncode, told, inspect(folder)
