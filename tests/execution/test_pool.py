"""Evaluations that crash, hang, lie and eat memory cost themselves and nothing else."""

import ctypes
import gc
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cimbo import execution
from cimbo.errors import BadInput


@dataclass(frozen=True)
class Candidate:
    key: str
    params: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module", autouse=True)
def no_worker_stays() -> Iterator[None]:
    yield
    execution.close()


def act(params: dict[str, Any]) -> Any:
    """An evaluator with every vice; module level, as users write them."""
    match params["do"]:
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "abort":
            os.abort()
        case "exit":
            os._exit(3)
        case "sys.exit":
            sys.exit("enough")
        case "raise":
            raise ValueError("line one\nline two")
        case "hang":
            time.sleep(1000)
        case "memory":
            return {"a": len(bytearray(4 << 30))}
        case "none":
            return None
        case "text":
            return {"a": "high"}
        case "nan":
            return {"a": math.nan, "b": 2.0}
        case "print":
            print("to stdout")
            os.write(1, b"to descriptor 1\n")
        case "mutate":
            params.clear()
    return {"a": 1.0, "pid": os.getpid()}


def outcomes(actions: list[str], **limits: Any) -> dict[str, execution.Outcome]:
    candidates = [Candidate(f"{i} {do}", {"do": do}) for i, do in enumerate(actions)]
    found = {o.key.split(" ", 1)[1]: o for o in execution.run(candidates, act, **limits)}
    assert len(found) == len(set(actions))
    return found


GENTLE = {
    "raise": r"ValueError: line one line two \(test_pool.py:\d+\)",
    "none": "returned None instead of a dict of metrics",
    "text": "a is 'high', not a number",
    "nan": "a is nan",
    "sys.exit": r"SystemExit: enough \(test_pool.py:\d+\)",
}
BRUTAL = {
    "segfault": "killed by SIGSEGV",
    "kill": "killed by SIGKILL, perhaps for lack of memory",
    "abort": "killed by SIGABRT",
    "exit": r"ended itself \(exit code 3\)",
    "memory": "MemoryError",
    "hang": "took longer than 1.5 s",
}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_vice_costs_one_evaluation_and_has_its_reason(n_jobs: int):
    vices = {**GENTLE, **BRUTAL}
    found = outcomes([*vices, "good"], n_jobs=n_jobs, timeout_s=1.5, memory_mb=2048)
    assert found["good"].status == "done"
    for do, reason in vices.items():
        assert found[do].status == "failed"
        assert found[do].reason is not None
        assert "\n" not in found[do].reason
        with pytest.raises(RuntimeError, match=reason):
            raise RuntimeError(found[do].reason)
    assert found["nan"].metrics == {"b": 2.0}
    assert 1.4 < found["hang"].seconds < 5


def test_in_this_process_the_same_holds_for_what_can_be_caught(capfd: pytest.CaptureFixture[str]):
    found = outcomes([*GENTLE, "good", "mutate"])
    assert found["good"].metrics["pid"] == os.getpid()
    assert found["mutate"].params == {"do": "mutate"}
    assert [o.status for o in found.values()] == ["failed"] * len(GENTLE) + ["done"] * 2
    outcomes(["print"], timeout_s=10)
    assert capfd.readouterr().out == ""


def test_one_job_can_be_isolated_without_any_limit():
    found = outcomes(["segfault", "good"], isolate=True)
    assert [o.status for o in found.values()] == ["failed", "done"]
    assert found["good"].metrics["pid"] != os.getpid()


def test_retries_repeat_a_failure_and_stop_at_success(tmp_path: Path):
    def flaky(params: dict[str, Any]) -> dict[str, float]:
        mark = Path(params["mark"])
        mark.write_text(mark.read_text() + "x" if mark.exists() else "x")
        if len(mark.read_text()) < params["good"]:
            os.abort()
        return {"tries": len(mark.read_text())}

    todo = [Candidate(str(n), {"mark": str(tmp_path / str(n)), "good": n}) for n in (1, 3, 9)]
    found = {o.key: o for o in execution.run(todo, flaky, n_jobs=2, retries=3)}
    assert [found[k].metrics.get("tries") for k in "139"] == [1, 3, None]
    assert [found[k].extra for k in "139"] == [{}, {"attempts": 3}, {"attempts": 4}]


def test_workers_are_reused_between_batches_but_not_their_evaluator():
    first = outcomes(["good"], timeout_s=30)["good"].metrics["pid"]
    assert outcomes(["good"], timeout_s=30)["good"].metrics["pid"] == first
    other = next(
        execution.run(
            [Candidate("k", {})], lambda p: {"pid": os.getpid(), "other": 1}, timeout_s=30
        )
    )
    assert other.metrics == {"pid": first, "other": 1.0}


def test_a_worker_that_would_find_other_modules_is_not_reused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    def pid() -> float:
        return outcomes(["good"], timeout_s=30)["good"].metrics["pid"]

    first = pid()
    assert pid() == first
    monkeypatch.syspath_prepend(tmp_path)
    second = pid()
    assert second != first
    monkeypatch.chdir(tmp_path)
    assert pid() not in (first, second)


def test_workers_use_one_thread_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch):
    def threads(_: dict[str, Any]) -> dict[str, float]:
        return {name: float(os.environ[f"{name}_NUM_THREADS"]) for name in ("OMP", "MKL")}

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    execution.close()
    assert next(execution.run([Candidate("k")], threads, timeout_s=60)).metrics == {
        "OMP": 1.0,
        "MKL": 3.0,
    }


def test_candidates_run_side_by_side_and_arrive_as_they_finish():
    def wait(params: dict[str, Any]) -> dict[str, float]:
        time.sleep(params["s"])
        return {"s": params["s"]}

    list(execution.run([Candidate("a", {"s": 0.0}), Candidate("b", {"s": 0.0})], wait, n_jobs=2))
    start = time.perf_counter()
    order = [
        o.key
        for o in execution.run(
            [Candidate("slow", {"s": 2.0}), Candidate("fast", {"s": 0.1})], wait, n_jobs=2
        )
    ]
    assert order == ["fast", "slow"]
    assert time.perf_counter() - start < 3.5


def test_an_abandoned_batch_ends_its_workers_and_their_programs(tmp_path: Path):
    def stubborn(params: dict[str, Any]) -> dict[str, float]:
        if params["good"]:
            return {"a": 1.0}
        child = subprocess.Popen(["sleep", "1000"])
        Path(params["pids"]).write_text(f"{os.getpid()} {child.pid}")
        child.wait()
        return {"a": 2.0}

    file = tmp_path / "pids"
    batch = execution.run(
        [Candidate("hang", {"good": False, "pids": str(file)}), Candidate("good", {"good": True})],
        stubborn,
        n_jobs=2,
    )
    assert next(batch).key == "good"
    wait_for(lambda: file.exists() and len(file.read_text().split()) == 2)
    pids = [int(pid) for pid in file.read_text().split()]
    batch.close()
    wait_for(lambda: not any(living(pid) for pid in pids))
    del batch
    gc.collect()
    wait_for(lambda: not [t for t in threading.enumerate() if "Thread-" in t.name and not t.daemon])


MASTER = """
    import os, signal, sys, time
    from types import SimpleNamespace
    from cimbo import execution

    def hang(params):
        open(sys.argv[1] + "/" + params["n"], "w").write(str(os.getpid()))
        time.sleep(1000)

    try:
        list(execution.run([SimpleNamespace(key=n, params={"n": n}) for n in "ab"], hang, n_jobs=2))
    except KeyboardInterrupt:
        print("interrupted")
        sys.exit(130)
"""


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)]
)
def test_when_the_master_goes_the_workers_go(tmp_path: Path, sent: signal.Signals, code: int):
    script = tmp_path / "script.py"  # a script without a __main__ guard, as people write them
    script.write_text(textwrap.dedent(MASTER).replace("sys.argv[1]", repr(str(tmp_path))))
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, script], env=path, stdout=subprocess.PIPE, text=True
    ) as master:
        wait_for(
            lambda: all((tmp_path / n).exists() and (tmp_path / n).read_text() for n in "ab"), 60
        )
        pids = [int((tmp_path / n).read_text()) for n in "ab"]
        start = time.perf_counter()
        master.send_signal(sent)
        out, _ = master.communicate(timeout=30)
    assert time.perf_counter() - start < 10
    assert master.returncode == code
    assert out == ("interrupted\n" if code == 130 else "")
    wait_for(lambda: not any(living(pid) for pid in pids))


def test_an_evaluator_that_cannot_travel_is_refused():
    lock = threading.Lock()
    with pytest.raises(BadInput, match="evaluate: cannot be sent to another process"):
        execution.run([Candidate("k")], lambda p: {"a": float(lock.locked())}, n_jobs=2)
    found = execution.run([Candidate("k")], lambda p: {"a": float(lock.locked())})
    assert next(found).metrics == {"a": 0.0}


class Ends(BaseException):
    """What pytest, asyncio and others raise past everything that catches exceptions."""


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_is_no_exception_is_a_value_too(n_jobs: int):
    def ends(params: dict[str, Any]) -> dict[str, float]:
        if params:
            raise Ends("over")
        return {"a": 1.0}

    todo = [Candidate("a", {"x": 1}), Candidate("b")]
    found = {o.key: o for o in execution.run(todo, ends, n_jobs=n_jobs)}
    assert found["b"].status == "done"
    assert str(found["a"].reason).startswith("Ends: over (test_pool.py:")


def test_an_interrupt_by_the_user_still_interrupts():
    def interrupted(params: dict[str, Any]) -> dict[str, float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(execution.run([Candidate("a")], interrupted))
    # In a worker, which hears no Ctrl-C, it is the evaluator's own.
    found = next(execution.run([Candidate("a")], interrupted, isolate=True))
    assert str(found.reason).startswith("KeyboardInterrupt")


def leaves_children(params: dict[str, Any]) -> dict[str, float]:
    """Starts a child in a session of its own and an orphan, and then does what ``then`` says."""
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    orphan = subprocess.check_output(["sh", "-c", "setsid sleep 1000 > /dev/null & echo $!"])
    Path(params["pids"]).write_text(f"{os.getpid()} {child.pid} {int(orphan)}")
    if params["then"] == "crash":
        os.abort()
    if params["then"] == "C code":
        ctypes.PyDLL(None).sleep(1000)  # unlike CDLL, with the interpreter held
    time.sleep(1000)
    return {}


@pytest.mark.parametrize("then", ["crash", "hang", "C code"])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")
def test_what_an_evaluation_has_started_ends_with_it(tmp_path: Path, then: str):
    file = tmp_path / "pids"
    todo = [Candidate("a", {"pids": str(file), "then": then})]
    limit = 20 if then == "crash" else 3
    assert next(execution.run(todo, leaves_children, timeout_s=limit)).status == "failed"
    pids = [int(pid) for pid in file.read_text().split()]
    assert len(pids) == 3
    wait_for(lambda: not any(living(pid) for pid in pids), 5)


ORPHANED = """
    import ctypes, os, subprocess, sys
    from pathlib import Path
    from types import SimpleNamespace
    from cimbo import execution

    def deep(params):
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        Path(params["pids"]).write_text(f"{os.getpid()} {child.pid}")
        ctypes.PyDLL(None).sleep(1000)

    list(execution.run([SimpleNamespace(key="a", params={"pids": sys.argv[1]})], deep, isolate=True))
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")
def test_a_worker_in_c_code_ends_with_its_master_and_so_do_its_children(tmp_path: Path):
    script, file = tmp_path / "script.py", tmp_path / "pids"
    script.write_text(textwrap.dedent(ORPHANED))
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, script, file], env=path) as master:
        wait_for(lambda: file.exists() and len(file.read_text().split()) == 2, 60)
        pids = [int(pid) for pid in file.read_text().split()]
        master.kill()
    wait_for(lambda: not any(living(pid) for pid in pids), 5)


class Unloadable:
    def __reduce__(self) -> tuple[Any, ...]:
        return (int, ("not a number",))

    def __call__(self, params: dict[str, Any]) -> dict[str, float]:
        return {}


def test_an_evaluator_that_cannot_be_loaded_fails_each_candidate():
    found = list(execution.run([Candidate("a"), Candidate("b")], Unloadable(), n_jobs=2))
    assert all(o.status == "failed" for o in found)
    assert all("cannot be loaded in a worker: ValueError" in str(o.reason) for o in found)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"n_jobs": 0}, "n_jobs"), ({"timeout_s": 0}, "timeout"), ({"timeout_s": math.nan}, "timeout")]
    + [
        ({"retries": -1}, "retries"),
        ({"memory_mb": 0}, "memory"),
        ({"backend": "cloud"}, "use one of loky, dask"),
    ],
)
def test_impossible_arguments_are_refused_at_once(wrong: dict[str, Any], told: str):
    with pytest.raises(BadInput, match=told):
        execution.run([], act, **wrong)


def test_no_candidates_give_no_outcomes():
    assert list(execution.run([], act)) == []
    assert list(execution.run([], act, n_jobs=2)) == []


def wait_for(condition: Any, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


def living(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
