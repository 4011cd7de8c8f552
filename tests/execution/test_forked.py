"""A process that is forked from one with idle workers starts its own."""

import os

import pytest

from cimbo import execution
from cimbo.execution.pool import IDLE_WORKERS
from cimbo.problem.objectives import Candidate


def measured(design):
    return {"latency_ms": float(design["rows"])}


def run_one():
    found = execution.run(
        [Candidate({"rows": 2}, {}, {"rows": 2}, "k")], measured, n_jobs=1, timeout_s=60
    )
    return [outcome.metrics for outcome in found]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_leaves_its_parents_workers_alone():
    assert run_one() == [{"latency_ms": 2.0}]
    waiting = list(IDLE_WORKERS.waiting)
    child = os.fork()
    if child == 0:
        try:
            alone = not IDLE_WORKERS.waiting and run_one() == [{"latency_ms": 2.0}]
            IDLE_WORKERS.close()
        except BaseException:
            alone = False
        os._exit(0 if alone else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert waiting == IDLE_WORKERS.waiting
    assert all(worker.alive for worker in waiting)
