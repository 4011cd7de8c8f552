"""The seed decides a run: one BLAS thread and two give the same designs, and what was set before is set again."""

import json
import os
import subprocess
import sys
import zlib

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from cimbo import OptimizerOptions, Study, config
from cimbo.optimizer.threads import one_thread
from cimbo.session.warm_start import views

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def measured_keys(budget: int) -> list[str]:
    """The default preset's space and analytic costs, with a stand-in for its accuracy."""
    preset = config.preset("fmnist-vit")
    evaluator, problem = preset.evaluator(), preset.problem
    architecture = [c.name for c in problem.space.architecture]

    def evaluate(design: dict) -> dict:
        size = sum(design[name] for name in architecture if name in design)
        noise = zlib.crc32(json.dumps(design, sort_keys=True).encode()) % 100 / 500
        accuracy = 90 - 5 * 2.718 ** (-size / 300) - 0.3 * (8 - design.get("adc_bits", 8)) + noise
        return {"accuracy": accuracy, **evaluator.simulated(design)}

    options = OptimizerOptions(evaluator.analytic_costs(), views(evaluator), initial=10)
    with Study.open(None, problem.space, problem.objectives, problem.constraints, seed=3) as study:
        study.optimize(evaluate, budget, 6, guidance=options)
        return [r.key for r in study.evaluations()]


def test_two_blas_threads_give_the_designs_of_one():
    found = []
    for number in "12":
        run = subprocess.run(
            [sys.executable, __file__],
            env={**os.environ, **dict.fromkeys(VARIABLES, number)},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(run.stdout.splitlines()[-1]))
    assert found[0] == found[1]
    assert len(found[0]) == 28


def set_threads() -> dict[str, int]:
    """How many threads each loaded library may use, torch among them."""
    return {"torch": torch.get_num_threads()} | {
        lib["filepath"]: lib["num_threads"] for lib in threadpool_info()
    }


def fails_inside() -> None:
    with one_thread():
        assert set(set_threads().values()) == {1}
        raise InterruptedError


def test_threads_are_as_before_after_an_error_in_a_proposal():
    before = torch.get_num_threads()
    with threadpool_limits(limits=2):
        torch.set_num_threads(2)
        given = set_threads()  # a library that was started with one thread cannot have two
        with pytest.raises(InterruptedError):
            fails_inside()
        assert given.items() <= set_threads().items()
        assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


if __name__ == "__main__":
    print(json.dumps(measured_keys(28)))
