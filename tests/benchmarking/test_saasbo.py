"""The adapter of SAASBO. Needs ``pip install 'cimbo[peers-saasbo]'``; chains are shorter here than in a comparison."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, measure

from cimbo.benchmarking import runner, start
from cimbo.benchmarking.botorch_method import N_INITIAL_DESIGNS
from cimbo.benchmarking.method import Task
from cimbo.problem.objectives import Problem

pytest.importorskip("numpyro", reason="NumPyro is not installed")
PROBLEM = Problem(SPACE, OBJECTIVES, CONSTRAINTS)


@pytest.fixture(autouse=True)
def short_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    from cimbo.benchmarking import saasbo_method

    monkeypatch.setattr(saasbo_method, "N_WARMUP_STEPS", 48)
    monkeypatch.setattr(saasbo_method, "N_POSTERIOR_STEPS", 32)


def test_designs_are_of_the_space_and_failures_are_told() -> None:
    asked = []

    def evaluated(designs):
        asked.extend(designs)
        return [None if design["cell"] == "c" else measure(design) for design in designs]

    budget = N_INITIAL_DESIGNS + 3
    answers, overhead_s = runner.race(start("saasbo", Task(PROBLEM, 0)), evaluated, budget, 20)
    assert len(answers) == len(asked) == budget
    assert all(SPACE.canonical(design) == design for design in asked)
    assert overhead_s > 0


def test_of_many_variables_it_finds_the_one_that_matters() -> None:
    from cimbo.benchmarking.saasbo_method import SaasBo

    x = torch.rand(20, 8, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    scores = torch.sin(4.0 * x[:, 3:4])
    bounds = torch.stack([torch.zeros(8), torch.ones(8)]).double()
    model = SaasBo(Task(PROBLEM, 0))._model(x, scores, bounds)
    lengths = model.median_lengthscale.detach().numpy()
    assert np.argmin(lengths) == 3
    assert (np.delete(lengths, 3) > 3.0 * lengths[3]).all()
    at = torch.full((1, 8), 0.5, dtype=torch.double)
    at[0, 3] = 0.8
    mean = model.posterior(at).mixture_mean.item()
    assert mean == pytest.approx(np.sin(3.2), abs=0.05)
