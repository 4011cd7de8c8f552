"""Problems drawn at random: what they promise, and laws that hold for each of them."""

import json

import numpy as np
import pytest

from cimbo.benchmarking import generated
from cimbo.errors import BadInput

ALL = generated.names()


def test_there_are_forty_to_choose_on_and_forty_to_report_on():
    assert len(ALL) == len(set(ALL)) == 80
    assert len(generated.names("train")) == len(generated.names("test")) == 40
    assert sorted(json.loads(generated.REFERENCES_FILE.read_text())) == sorted(ALL)
    with pytest.raises(BadInput, match="train-40"):
        generated.generated("train-40")


def test_they_have_the_spread_that_is_promised():
    problems = [generated.generated(name) for name in ALL]
    genes = [len(p.blueprint.space.names) for p in problems]
    assert min(genes) >= 15
    assert max(genes) <= 90
    assert max(genes) >= 60
    assert {len(p.objectives) for p in problems} == {2, 3, 4}
    assert {p.noise for p in problems} == {0.0, 0.002, 0.01}
    assert {p.law.residency for p in problems} == {"greedy", "proportional", "none"}
    assert {p.accuracy_law.form for p in problems} == {"additive", "interacting", "saturating"}
    gated = [any(c.active_if for c in p.blueprint.space.choices) for p in problems]
    assert 20 <= sum(gated) <= 60


@pytest.mark.parametrize("name", ALL[::9])
def test_a_problem_is_the_same_every_time_and_its_best_is_above_random_designs(name: str):
    problem, again = generated.generated(name), generated.draw(name)
    space = problem.blueprint.space
    assert space == again.blueprint.space
    designs = space.designs(space.random_rows(200, np.random.default_rng(0)))
    measured = problem.measure(designs)
    assert measured == again.measure(designs)
    assert all(np.isfinite(v) for m in measured for v in m.values())
    assert 0.0 <= problem.share(designs) < 1.0


@pytest.mark.parametrize("name", ALL[::13])
def test_measurements_stray_from_the_truth_by_the_noise_and_no_more(name: str):
    problem = generated.generated(name)
    space = problem.blueprint.space
    rows = space.random_rows(100, np.random.default_rng(1))
    truth = problem.true_metrics(rows)["latency_ms"]
    measured = np.array([m["latency_ms"] for m in problem.measure(space.designs(rows))])
    strayed = np.abs(np.log(measured / truth))
    assert strayed.max() <= 5.0 * problem.noise + 1e-12
    if problem.noise:
        assert strayed.mean() > 0.3 * problem.noise


@pytest.mark.parametrize("name", ["train-02", "test-05", "test-10"])
def test_more_of_everything_in_the_memory_outside_is_never_slower(name: str):
    problem = generated.generated(name)
    space, meaning = problem.blueprint.space, problem.blueprint.meaning
    columns = [i for i, n in enumerate(space.names) if meaning[n] == "dram_bw"]
    rows = space.random_rows(300, np.random.default_rng(2))
    for column in columns:
        slow, fast = rows.copy(), rows.copy()
        slow[:, column], fast[:, column] = 0, space.cardinalities[column] - 1
        slower = problem.true_metrics(slow)["latency_ms"]
        assert (problem.true_metrics(fast)["latency_ms"] <= slower * (1 + 1e-12)).all()


def test_a_greedy_chip_keeps_the_first_layers_that_fit():
    law = generated.generated("train-01").law
    assert law.residency == "greedy"
    tiles, macros = np.array([[4.0, 8.0, 2.0, 3.0]]), np.array([7.0])
    assert generated.costs._resident(law, tiles, macros).tolist() == [[1.0, 0.0, 1.0, 0.0]]
