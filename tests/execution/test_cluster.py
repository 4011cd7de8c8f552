"""The same batch on a real local Dask cluster, a real local Ray and through submitit, with a worker killed midway."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import quick_accuracy

from cimbo import Study, execution
from cimbo.cli import run
from cimbo.errors import BadInput

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills processes as Linux does")


def evaluator() -> execution.Evaluate:
    def evaluate(
        params: dict[str, Any],
    ) -> dict[str, float]:  # local, so it travels whole: no node has this module
        if params["x"] == 7:
            os.abort()
        time.sleep(0.1)
        return {"double": 2.0 * params["x"], "driver": os.getppid()}

    return evaluate


def batch(backend: str, victim: bool, count: int = 16) -> list[execution.Outcome]:
    """Runs a batch; after three outcomes the process of the cluster that drove the first one is killed."""
    found = []
    todo = [SimpleNamespace(key=str(i), params={"x": i}) for i in range(count)]
    for outcome in execution.run(todo, evaluator(), backend=backend, n_jobs=2, timeout_s=60):
        found.append(outcome)
        if victim and len(found) == 3:
            os.kill(int(found[0].metrics["driver"]), signal.SIGKILL)
    return found


def check(found: list[execution.Outcome], count: int = 16) -> None:
    assert sorted(int(o.key) for o in found) == list(range(count))
    failed = {o.key: o.reason for o in found if o.status == "failed"}
    assert failed == ({"7": "the worker process was killed by SIGABRT"} if count > 7 else {})
    assert all(o.metrics["double"] == 2 * o.params["x"] for o in found if o.status == "done")


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        scheduler_port=0,
        local_directory=tmp_path,
    )
    with cluster:
        yield cluster.scheduler_address


def test_dask_gives_the_candidate_of_a_killed_worker_to_another(scheduler: str):
    with execution.connect("dask", scheduler):
        check(batch("dask", victim=True))


def test_ray_gives_the_candidate_of_a_killed_worker_to_another(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with execution.connect("ray"):
        check(batch("ray", victim=True))


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """``cimbo optimize`` as users run it, by default 15 evaluations of which 5 proposed; returns what the study holds."""
    quick_accuracy.install(tmp_path, monkeypatch)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, sys.path))
    )  # for the cluster's own processes
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    quick_accuracy.study(tmp_path)

    def run_job(backend: str, *options: str, budget: int = 15) -> list[Any]:
        more = ["--study", f"{backend}.db", "--backend", backend, "--jobs", "2", *options]
        assert (
            run(
                [
                    "optimize",
                    "--config",
                    "study.toml",
                    "--budget",
                    str(budget),
                    "--retries",
                    "1",
                    *more,
                ]
            )
            == 0
        )
        with Study.open(f"{backend}.db", readonly=True) as study:
            records = sorted(study.evaluations(), key=lambda r: r.extra["position"])
        return [(r.key, r.status, r.metrics) for r in records]

    yield run_job
    execution.close()


def drivers() -> set[int]:
    """Processes below this one that drive a worker process at this moment: those of the cluster that we started."""
    parents, workers = dict[int, int](), list[int]()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rpartition(")")[2].split()[1]
            )
            workers += (
                [int(folder.name)]
                if b"popen_loky_posix" in (folder / "cmdline").read_bytes()
                else []
            )

    def ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and ours(parents[pid]))

    return {parents[pid] for pid in workers if ours(parents[pid])} - {os.getpid()}


@contextlib.contextmanager
def one_driver_dies(study: str) -> Iterator[list[int]]:
    """Kills a process of the cluster once, when the study holds some evaluations and others are under way."""
    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02) and not killed:
            if Path(study).exists() and (alive := drivers()):
                with Study.open(study, readonly=True) as seen:
                    enough = len(seen.evaluations()) >= 3
                with contextlib.suppress(ProcessLookupError):
                    if enough and alive:
                        os.kill(max(alive), signal.SIGKILL)
                        killed.append(max(alive))

    thread = threading.Thread(target=watch)
    thread.start()
    yield killed
    over.set()
    thread.join()


def test_the_main_job_on_dask_is_the_one_of_this_machine(
    job: Callable[..., list[Any]], scheduler: str
):
    with one_driver_dies("dask.db") as killed:
        there = job("dask", "--scheduler", scheduler)
    assert killed
    assert len(there) == 15
    assert there == job("loky")


def test_the_main_job_on_ray_is_the_one_of_this_machine(job: Callable[..., list[Any]]):
    pytest.importorskip("ray")
    with one_driver_dies("ray.db") as killed:
        there = job("ray")
    assert killed
    assert there == job("loky")


def test_the_main_job_through_submitit_is_the_one_of_this_machine(job: Callable[..., list[Any]]):
    pytest.importorskip("submitit")
    there = job("slurm", budget=3)
    assert there == job("loky", budget=3)


def test_submitit_runs_one_job_a_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)  # without SLURM, submitit starts processes here
    check(batch("slurm", victim=False, count=3), count=3)


def test_who_stops_early_leaves_no_job_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)

    def evaluate(params: dict[str, Any]) -> dict[str, float]:
        (tmp_path / str(params["x"])).write_text(str(os.getpid()))
        time.sleep(1000 * params["x"])
        return {"a": 1.0}

    todo = [SimpleNamespace(key=str(i), params={"x": i}) for i in range(2)]
    outcomes = execution.run(todo, evaluate, backend="slurm", n_jobs=2)
    assert next(outcomes).status == "done"
    wait_for((tmp_path / "1").exists)
    pid = int((tmp_path / "1").read_text())
    outcomes.close()
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


@pytest.mark.parametrize("backend", ["dask", "ray", "slurm"])
def test_a_missing_extra_is_told_with_what_to_install(
    backend: str, monkeypatch: pytest.MonkeyPatch
):
    module = {"dask": "distributed", "ray": "ray", "slurm": "submitit"}[backend]
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(
        BadInput, match=rf"package {module} is not installed; pip install 'cimbo\[{backend}\]'"
    ):
        list(execution.run([], evaluator(), backend=backend))


def test_a_scheduler_that_does_not_answer_is_told():
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(BadInput, match=r"127\.0\.0\.1:9: no dask cluster answers"),
        execution.connect("dask", "tcp://127.0.0.1:9"),
    ):
        pass
    assert distributed
    with (
        pytest.raises(BadInput, match="use one of loky, dask, ray, slurm"),
        execution.connect("cloud"),
    ):
        pass
