"""The front after verification: ranked by bit-accurate accuracies, and what counts as a difference."""

import pytest

from cimbo import Choice, Constraint, Objective, SearchSpace, Study
from cimbo.study.final_front import final_front, unverified_finalists

# accuracy and latency of designs a to e; d and e are beaten as long as nothing falls
MEASURED = {
    "a": (90.0, 3.0),
    "b": (88.0, 2.0),
    "c": (85.0, 1.0),
    "d": (87.5, 2.5),
    "e": (80.0, 4.0),
}


@pytest.fixture
def searched():
    space = SearchSpace([Choice("name", list(MEASURED))], [])
    objectives = [
        Objective("accuracy", "max", reference=70.0),
        Objective("latency_ms", "min", reference=5.0),
    ]
    with Study.open(None, space=space, objectives=objectives, seed=0) as study:
        keys = {}
        for name, (accuracy, latency) in MEASURED.items():
            metrics = {"accuracy": accuracy, "latency_ms": latency}
            keys[name] = study.tell({"name": name}, metrics).key
        yield study, keys


def verify(study, keys, **points):
    for name, (found, error) in points.items():
        study.record_bit_accurate(keys[name], found, 300, error=error)


def names(records):
    return [record.params["name"] for record in records]


def test_there_is_no_final_front_before_all_of_the_front_is_verified(searched):
    study, keys = searched
    assert names(study.pareto()) == ["a", "b", "c"]
    assert final_front(study) is None
    verify(study, keys, a=(0.0, 0.1), b=(0.0, 0.1))
    assert names(unverified_finalists(study)) == ["c"]
    assert final_front(study) is None
    verify(study, keys, c=(0.0, 0.1))
    final = final_front(study)
    assert names(final.records) == ["a", "b", "c"]
    assert final.hypervolume == study.hypervolume()
    assert final.dropped == ()


def test_a_design_that_falls_leaves_its_place_to_what_it_hid(searched):
    study, keys = searched
    verify(study, keys, a=(0.0, 0.1), b=(-4.0, 0.5), c=(0.0, 0.1))  # b: 84 at 2 ms, beaten by c
    assert names(unverified_finalists(study)) == ["d"]
    assert names(final_front(study).records) == ["a", "c"]  # d has not been verified yet
    verify(study, keys, d=(-0.6, 0.2))
    assert unverified_finalists(study) == []
    final = final_front(study)
    assert names(final.records) == ["a", "d", "c"]
    assert final.accuracies == pytest.approx((90.0, 86.9, 85.0))
    assert final.dropped == (keys["b"],)
    assert final.records[1].metrics["accuracy"] == 87.5  # as the search measured it


def test_a_difference_that_its_sampling_error_explains_ranks_nothing_anew(searched):
    study, keys = searched
    verify(study, keys, a=(-2.3, 1.2), b=(2.3, 1.2), c=(0.0, 0.0))  # a and b would change places
    assert names(final_front(study).records) == ["a", "b", "c"]


def test_differences_without_an_error_are_of_an_earlier_release_and_measured_anew(searched):
    study, keys = searched
    for name in "abc":
        study.record_bit_accurate(keys[name], -0.5, 300)
    assert names(unverified_finalists(study)) == ["a", "b", "c"]
    assert final_front(study) is None


def test_what_no_longer_keeps_a_constraint_is_dropped(searched):
    study, keys = searched
    limited = study.with_constraints([Constraint("accuracy", ">=", 84.0)])
    verify(study, keys, a=(0.0, 0.1), b=(0.0, 0.1), c=(-3.0, 0.3))
    assert names(final_front(limited).records) == ["a", "b"]
    assert final_front(limited).dropped == (keys["c"],)


def test_derived_metrics_follow_the_accuracy():
    space = SearchSpace([Choice("n", [1, 2])], [])
    question = {
        "space": space,
        "objectives": [Objective("loss", "min", reference=100.0)],
        "metrics": {"loss": "100 - accuracy"},
        "seed": 0,
    }
    with Study.open(None, **question) as study:
        first = study.tell({"n": 1}, {"accuracy": 90.0}).key
        second = study.tell({"n": 2}, {"accuracy": 89.0}).key
        study.record_bit_accurate(first, -5.0, 300, error=0.5)
        study.record_bit_accurate(second, 0.0, 300, error=0.5)
        assert [r.key for r in final_front(study).records] == [second]
