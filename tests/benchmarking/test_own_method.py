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


class Greedy(FirstDesigns):
    def ask(self, n):
        return self.designs[: n + 1]


class Wrong(FirstDesigns):
    def ask(self, n):
        return [{"x": 1}]


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
        (Raising, "tell raised KeyError: 'population'; correct it"),
        (Greedy, "return a list of at most"),
        (Wrong, "x"),
        (Silent, "has no ask"),
    ],
)
def test_what_a_method_does_wrong_is_a_line(kind, complaint):
    settings = ComparisonSettings(4, 1, (own(kind),), 2)
    with pytest.raises(BadInput, match=complaint):
        benchmark.compare_problems("zdt1", settings)


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
