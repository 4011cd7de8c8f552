"""Search methods of a user's own, problems that tell nothing, and what the tables say of themselves."""

import json

import pytest

from cimbo import BadInput
from cimbo.benchmarking import start
from cimbo.benchmarking.method import Task
from cimbo.benchmarking.problem_sets import find, known_names
from cimbo.cli import run
from cimbo.session import benchmark
from cimbo.session.comparison import ComparisonSettings

TABLE_PROBLEM = "cim-nas-bench-fmnist-vit-latency"


class FirstDesigns:
    def __init__(self, task):
        self.designs = task.problem.space.sobol(40)
        self.told = 0

    def ask(self, n):
        return self.designs[self.told : self.told + n]

    def tell(self, designs, measured):
        self.told += len(designs)


class Raising(FirstDesigns):
    def tell(self, designs, measured):
        raise KeyError("population")


class Unmade(FirstDesigns):
    def __init__(self, task):
        raise RuntimeError("boom")


class RaisingLate(FirstDesigns):
    def __init__(self, task):
        super().__init__(task)
        self.seed = task.seed

    def ask(self, n):
        if self.seed == 2:
            raise RuntimeError("boom")
        return super().ask(n)


class Greedy(FirstDesigns):
    def ask(self, n):
        return self.designs[: n + 1]


class Wrong(FirstDesigns):
    def ask(self, n):
        return [{"x": 1}]


class Empty(FirstDesigns):
    def ask(self, n):
        return []


class Silent:
    def __init__(self, task):
        pass


def own(kind) -> str:
    return f"{__name__}:{kind.__name__}"


def test_a_method_of_ones_own_is_compared(capsys):
    options = ["--budget", "6", "--seeds", "1", "--methods", f"random,{own(FirstDesigns)}"]
    assert run(["compare", "--problem", "zdt1", *options, "--format", "json"]) == 0
    shown = capsys.readouterr()
    assert own(FirstDesigns) in json.loads(shown.out)["problems"]["zdt1"]["methods"]
    assert "overhead_s: CPU seconds" in shown.err
    assert "it takes 3 problems" in shown.err


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (Unmade, "it raised RuntimeError: boom; correct it"),
        (Raising, "tell raised KeyError: 'population'; correct it"),
        (Greedy, "return a list of at most"),
        (Wrong, "Wrong: ask returned a design that is none"),
    ],
)
def test_what_a_method_does_wrong_is_a_line(kind, complaint):
    settings = ComparisonSettings(4, 1, (own(kind),), 2)
    (failed,) = benchmark.compare_problems("zdt1", settings).comparisons[0].failed
    assert failed.method == own(kind)
    assert complaint in failed.reason


def test_a_method_that_cannot_be_asked_is_refused_before_any_evaluation():
    settings = ComparisonSettings(4, 1, ("random", own(Silent)), 2)
    with pytest.raises(BadInput, match="has no ask"):
        benchmark.compare_problems("zdt1", settings)


def test_what_others_found_is_printed_where_a_method_fails(capsys):
    options = ["--budget", "6", "--seeds", "2", "--methods", f"{own(Raising)},random"]
    assert run(["compare", "--problem", "zdt1,dtlz2", *options, "--format", "json"]) == 1
    shown = capsys.readouterr()
    for document in json.loads(shown.out)["problems"].values():
        assert list(document["methods"]) == ["random"]
        assert document["failed"][0]["method"] == own(Raising)
        assert document["failed"][0]["seed"] == 0
    assert f"failed: {own(Raising)}; the other methods are complete" in shown.err
    assert run(["compare", "--problem", "zdt1", *options]) == 1
    shown = capsys.readouterr().out
    assert "tell raised KeyError" in shown
    assert "random" in shown


def test_the_seeds_before_the_one_that_failed_are_kept(capsys):
    options = ["--budget", "6", "--seeds", "3", "--methods", f"{own(RaisingLate)},random"]
    assert run(["compare", "--problem", "zdt1", *options, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)["problems"]["zdt1"]
    assert list(found["methods"][own(RaisingLate)]["hypervolume"]["by_seed"]) == ["0", "1"]
    assert [each["seed"] for each in found["failed"]] == [2]
    assert run(["compare", "--problem", "zdt1", *options, "--format", "csv"]) == 1
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 3
    assert "seed 2: " in rows[1]


def test_the_curve_and_the_end_of_every_seed_are_in_json(capsys):
    options = ["--budget", "50", "--seeds", "2", "--seed", "7", "--methods", "random,tpe"]
    assert run(["compare", "--problem", TABLE_PROBLEM, *options, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    ranked_after = list(document["ranks"])
    found = document["problems"][TABLE_PROBLEM]["methods"]["random"]
    assert found["seeds"] == [7, 8]
    curves = found["hypervolume"]
    assert set(curves["by_seed"]) == {"7", "8"}
    assert len(curves["by_seed"]["8"]) == len(found["evaluations"]) == 50
    for seed, curve in curves["by_seed"].items():
        assert curves["final"][seed] == curve[-1]
    assert run(["compare", "--problem", TABLE_PROBLEM, *options, "--format", "csv"]) == 0
    header = capsys.readouterr().out.splitlines()[0].split(",")
    columns = [name.removeprefix("after_") for name in header if name.startswith("after_")]
    assert columns == ranked_after


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--study", "mine.db"], "--study: is of a study, not of --problem"),
        (["--jobs", "2"], "--jobs: is of a study, not of --problem"),
        (["--preset", "fmnist-vit"], "--preset: is of a study, not of --problem"),
        (["--methods", "random,nsga2,random"], "names random more than once"),
        (["--seed", "-1"], "--seed: is -1"),
    ],
)
def test_what_would_change_nothing_is_refused(capsys, words, complaint):
    assert run(["compare", "--problem", "zdt1", "--budget", "2", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_a_method_without_designs_says_so(caplog):
    caplog.set_level("INFO", "cimbo")
    benchmark.compare_problems("zdt1", ComparisonSettings(4, 1, (own(Empty),), 2))
    assert "after 0 of 4 evaluations: ask returned no designs" in caplog.text


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(BadInput, match="did you mean nsga2"):
        start("nsga3", Task(find("zdt1")[0].problem, 0))


def test_problems_are_listed(capsys):
    assert run(["compare", "--problem", "list", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == known_names()


def test_a_problem_on_which_all_have_nothing_is_named_and_not_ranked(caplog):
    settings = ComparisonSettings(2, 1, ("random", own(FirstDesigns)), 1)
    found = benchmark.compare_problems("zdt1", settings)
    assert (found.left_out, found.rankings) == (("zdt1",), {})
    assert "all methods have 0 on zdt1" in caplog.text


def test_a_plot_with_another_ending_is_refused_before_anything_is_compared(tmp_path, capsys):
    words = ["compare", "--problem", "zdt1", "--plot", str(tmp_path / "curves.png")]
    assert run(words) == 2
    assert "curves.png does not end in .svg" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_comparison_on_problems_talks_as_much_as_is_asked(tmp_path, capsys):
    log = tmp_path / "compare.log"
    words = ["compare", "--problem", "zdt1", "--methods", "random", "--budget", "4", "--seeds", "1"]
    assert run([*words, "-q", "--log-file", str(log)]) == 0
    assert "zdt1, random" not in capsys.readouterr().err
    assert "zdt1, random" in log.read_text(encoding="utf-8")
