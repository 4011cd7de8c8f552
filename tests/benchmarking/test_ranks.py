"""Ranks over problems, against numbers worked out elsewhere."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from cimbo.benchmarking import problem_sets, public_functions
from cimbo.benchmarking.ranks import against_control, ranking
from cimbo.cli.compare import compare
from cimbo.errors import BadInput


def test_the_critical_difference_is_that_of_demsar_2006():
    # Table 5(a) of the paper: q of 2.569 for four methods, so that fourteen data sets give 1.25 (its section 3.2.4).
    rng = np.random.default_rng(0)
    results = {f"m{i}": rng.random(14).tolist() for i in range(4)}
    assert ranking(results).critical_difference == pytest.approx(1.25, abs=0.005)


def test_a_method_that_is_best_everywhere_has_rank_one_and_small_chances():
    base = np.linspace(0.2, 0.8, 10)
    found = ranking({"worst": base - 0.1, "best": base + 0.1, "middle": base})
    assert found.methods == ("best", "middle", "worst")
    assert found.mean_rank == (1.0, 2.0, 3.0)
    # Friedman's statistic is n (k - 1) = 20 with 2 degrees of freedom: p = exp(-10).
    assert found.friedman_p == pytest.approx(np.exp(-10.0))
    # Wilcoxon, all ten differences of one sign: 2^-10; Holm doubles the smaller of two.
    assert found.worse_p[0] is None
    assert found.worse_p[1:] == pytest.approx((2.0**-9, 2.0**-9))


def test_ranks_against_a_control_are_z_tests_that_holm_corrects():
    base = np.linspace(0.2, 0.8, 10)
    results = {"worst": base - 0.1, "best": base + 0.1, "middle": base}
    # Ranks 1, 2, 3 with a standard error of sqrt(3 * 4 / 60): z is sqrt(5) and sqrt(20). Holm doubles the smaller p.
    found = against_control(results, "best")
    assert list(found) == ["worst", "middle"]
    assert found["middle"] == pytest.approx(0.025347, rel=1e-4)  # tables: 2 (1 - Phi(2.236))
    assert found["worst"] == pytest.approx(2 * 7.7442e-6, rel=1e-4)
    # The direction does not matter, and equal methods are equal.
    assert against_control(results, "worst")["middle"] == pytest.approx(found["middle"])
    assert against_control({"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]}, "a") == {"b": 1.0}


def test_equal_methods_share_their_rank_and_two_problems_are_not_tested():
    found = ranking({"a": [1.0, 2.0], "b": [1.0, 2.0]})
    assert found.mean_rank == (1.5, 1.5)
    assert found.friedman_p is None
    assert found.worse_p == (None, None)


def test_public_problems_have_the_fronts_of_their_papers():
    zdt1, dtlz2, dtlz7 = problem_sets.find("zdt1,dtlz2,dtlz7")
    best = [{c.name: 0 for c in zdt1.problem.space.choices} | {"x0": k} for k in range(11)]
    for metrics in zdt1.measure(best):
        assert metrics["f2"] == pytest.approx(1.0 - np.sqrt(metrics["f1"]))
    best = [{c.name: 5 for c in dtlz2.problem.space.choices} | {"x0": k} for k in range(11)]
    for metrics in dtlz2.measure(best):
        assert sum(v**2 for v in metrics.values()) == pytest.approx(1.0)
    origin = [{c.name: 0 for c in dtlz7.problem.space.choices}]
    assert dtlz7.measure(origin)[0] == pytest.approx({"f1": 0.0, "f2": 0.0, "f3": 6.0})


@pytest.mark.parametrize("name", list(public_functions.PUBLIC_PROBLEMS))
def test_no_design_of_a_public_problem_beats_its_front(name: str):
    (found,) = problem_sets.find(name)
    front = [m for m in found.measure(public_functions.public_front(name)) if m is not None]
    whole = found.volume(front)
    assert whole > 0
    space = found.problem.space
    near = space.rows(public_functions.public_front(name))
    rng = np.random.default_rng(0)
    rows = np.concatenate([space.random_rows(500, rng), near, near])
    changed = rng.random(rows.shape) < 0.05  # of random designs it changes nothing that matters
    rows[changed] = rng.integers(0, len(space.choices[0].values), int(changed.sum()))
    others = [m for m in found.measure(space.designs(rows)) if m is not None]
    assert found.volume(front + others) == pytest.approx(whole, rel=1e-12)


def test_zdt2_and_zdt6_have_the_fronts_of_their_paper():
    for name in ("zdt2", "zdt6"):
        (found,) = problem_sets.find(name)
        for metrics in found.measure(public_functions.public_front(name)):
            assert metrics is not None
            assert metrics["f2"] == pytest.approx(1.0 - metrics["f1"] ** 2)


@pytest.mark.parametrize("name", ["dtlz3", "dtlz4", "dtlz5", "dtlz6"])
def test_fronts_of_four_functions_lie_on_the_unit_sphere(name: str):
    (found,) = problem_sets.find(name)
    for metrics in found.measure(public_functions.public_front(name)):
        assert metrics is not None
        assert sum(v**2 for v in metrics.values()) == pytest.approx(1.0)
        if name in ("dtlz5", "dtlz6"):
            assert metrics["f1"] == pytest.approx(metrics["f2"])


def test_dtlz1_has_a_plane_as_front_zdt4_that_of_zdt1_and_zdt3_its_waves():
    dtlz1, zdt4, zdt3 = problem_sets.find("dtlz1,zdt4,zdt3")
    for metrics in dtlz1.measure(public_functions.public_front("dtlz1")):
        assert sum((metrics or {}).values()) == pytest.approx(0.5)
    for metrics in zdt4.measure(public_functions.public_front("zdt4")):
        assert metrics is not None
        assert metrics["f2"] == pytest.approx(1.0 - np.sqrt(metrics["f1"]))
    below = [m for m in zdt3.measure(public_functions.public_front("zdt3")) if m and m["f2"] < 0]
    assert len(below) == 2  # on these levels, of three pieces that go down to -0.77
    assert min(m["f2"] for m in below) > -0.78


@pytest.mark.parametrize("name", list(public_functions.PUBLIC_PROBLEMS))
def test_levels_do_not_hide_what_makes_a_function_hard(name: str):
    """Over the levels of one variable that says how far a design is from the front, no objective is constant."""
    function = public_functions.PUBLIC_PROBLEMS[name]
    levels = np.linspace(0.0, 1.0, function.levels)
    x = np.full((function.levels, function.genes), 0.3)
    x[:, -1] = levels
    values = function.compute(x)
    assert (np.ptp(values, axis=0) > 0).any()
    if name in ("zdt4", "dtlz1", "dtlz3"):  # many local optima
        steps = np.sign(np.diff(values[:, -1]))
        assert (np.diff(steps) != 0).sum() >= 4


def test_problems_are_found_by_name_and_by_pattern():
    assert [p.name for p in problem_sets.find("zdt1,train-0[01]")] == [
        "zdt1",
        "train-00",
        "train-01",
    ]
    assert len(problem_sets.find("test-*")) == 40
    with pytest.raises(BadInput, match="zdt9"):
        problem_sets.find("zdt9")


def test_compare_prints_a_line_a_problem_and_method_and_the_ranks():
    asked = [
        "--problem",
        "zdt1,dtlz7,train-34",
        "--methods",
        "random,linas",
        "--budget",
        "24",
        "--seeds",
        "1",
    ]
    found = CliRunner().invoke(compare, [*asked, "--format", "json"])
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert list(document["problems"]) == ["zdt1", "dtlz7", "train-34"]
    assert set(document["ranks"]) == {"6", "12", "24"}
    assert "mean rank after 24" in found.stderr
