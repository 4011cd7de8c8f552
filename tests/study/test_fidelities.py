"""Measurements that stop early: they teach, they cost less, and they make no front."""

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimbo import Choice, Constraint, Objective, SearchSpace, Study
from cimbo.config.study_config import preset
from cimbo.evaluation.racing import CountedImages, next_stage_cost, raced, stated
from cimbo.problem.fidelity import Race, deviations, share_deviation
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import improvements
from cimbo.problem.space import canonical_key
from cimbo.session import study_status
from cimbo.session.context import StudyContext
from cimbo.study.fidelity_offsets import calibrated

SPACE = SearchSpace([Choice(f"width{i}", [1, 2, 3, 4]) for i in range(6)])
OBJECTIVES = (Objective("accuracy", "max", 50.0), Objective("latency_ms", "min", 30.0))
PROBLEM = Problem(SPACE, OBJECTIVES)
TOTAL = 5000


class Images:
    """A network that classifies image k rightly where a fixed draw allows it: counts can be added up."""

    def __init__(self) -> None:
        self.seen = 0
        self._draws = np.random.default_rng(0).random(TOTAL)

    def chance(self, design: Mapping[str, float]) -> float:
        widths = [v for k, v in design.items() if k.startswith("width")]
        return 0.95 - 0.5 * math.exp(-sum(widths) / 8)

    def image_count(self) -> int:
        return TOTAL

    def count_right(self, design: Mapping[str, float], first: int, last: int) -> int:
        self.seen += last - first
        return int((self._draws[first:last] < self.chance(design)).sum())


class Evaluator:
    """An evaluator that is told what a measurement has to beat."""

    def __init__(self, stages: tuple[int, ...]) -> None:
        self.images, self.stages = Images(), stages
        self.race = Race(PROBLEM, ())
        self.counted: dict[str, CountedImages] = {}

    def cost_of_continuing(self, metrics: Mapping[str, float]) -> float | None:
        if not self.stages:
            return None
        return next_stage_cost(CountedImages.of(metrics).seen, self.stages, TOTAL)

    def remember(self, design: dict[str, float], metrics: Mapping[str, float]) -> None:
        self.counted[canonical_key(design)] = CountedImages.of(metrics)

    def race_against(self, race: Race) -> None:
        self.race = race

    def __call__(self, design: dict[str, float]) -> dict[str, float]:
        costs = {"latency_ms": float(sum(v**1.5 for v in design.values()))}
        known = self.counted.get(canonical_key(design), CountedImages())
        found = raced(self.images, design, {}, self.stages, self.race, costs, known)
        return {**found, **costs}


def counted(right: int, seen: int) -> dict[str, float]:
    """What is recorded of a design that classifies so many of the first images rightly."""
    return stated(Images(), CountedImages(right, seen))


def test_a_search_with_stages_reaches_nearly_the_hypervolume_with_two_fifths_of_the_images():
    budget, found = 70, {}
    for stages in ((), (200, 1000)):
        evaluator = Evaluator(stages)
        with Study.open(None, space=SPACE, objectives=OBJECTIVES, seed=0) as study:
            study.optimize(evaluator, budget=budget, batch_size=5)
            found[stages] = (study.hypervolume(), evaluator.images.seen)
            front = study.pareto()
            assert all(r.metrics["accuracy_fidelity"] == 1.0 for r in front)
            partial = [r for r in study.evaluations() if r.metrics["accuracy_fidelity"] < 1.0]
            assert bool(partial) == bool(stages)
            assert all(r.metrics["accuracy_std"] > 0 for r in partial)
    assert found[()][1] == budget * TOTAL
    assert found[200, 1000][1] < 0.4 * budget * TOTAL
    assert found[200, 1000][0] > 0.99 * found[()][0]


def test_a_design_measured_in_full_without_stages_keeps_no_notes_of_a_part():
    design = {f"width{i}": 2 for i in range(6)}
    with Study.open(None, space=SPACE, objectives=OBJECTIVES) as study:
        study.tell(design, {**counted(180, 200), "latency_ms": 9.0})
        (row,) = study.evaluations()
        study.keep_replicates(row, {"accuracy": 88.0, "latency_ms": 9.0})
        (record,) = study.evaluations()
        assert record.metrics == {"accuracy": 88.0, "latency_ms": 9.0}
        images = study_status.status(StudyContext(study)).images
        assert images == {"used": TOTAL, "in_full": TOTAL, "stopped_early": 0}


class InVain(Evaluator):
    """An evaluator that says it goes on with stopped designs, and never gets further than the first stage."""

    def __call__(self, design: dict[str, float]) -> dict[str, float]:
        known = self.counted.get(canonical_key(design), CountedImages())
        if not known.seen:
            return super().__call__(design)
        return {**stated(self.images, known), "latency_ms": sum(v**1.5 for v in design.values())}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_design_that_is_continued_in_vain_is_not_tried_for_ever(asynchronous):
    evaluator = InVain((200,))
    with Study.open(None, space=SPACE, objectives=OBJECTIVES, seed=0) as study:
        study.optimize(evaluator, budget=12, batch_size=4, asynchronous=asynchronous)
        assert len(study.evaluations()) == 12
        assert all(len(r.extra.get("replicates", [])) <= 2 for r in study.evaluations())


def test_nothing_that_is_stopped_contradicts_the_front_when_it_is_measured_in_full():
    evaluator = Evaluator((200, 1000))
    with Study.open(None, space=SPACE, objectives=OBJECTIVES, seed=1) as study:
        study.optimize(evaluator, budget=30, batch_size=5)
        for record in study.pareto():
            again = evaluator.images.count_right(record.params, 0, TOTAL)
            assert record.metrics["accuracy"] == pytest.approx(100.0 * again / TOTAL)


def test_a_design_below_the_reference_is_stopped_at_the_first_stage():
    source, race = Images(), Race(PROBLEM, ())
    found = raced(
        source, {f"width{i}": 4 for i in range(6)}, {}, (200,), race, {"latency_ms": 99.0}
    )
    assert source.seen == 200
    assert found["accuracy_fidelity"] == 200 / TOTAL
    found = raced(source, {f"width{i}": 4 for i in range(6)}, {}, (200,), race, {"latency_ms": 9.0})
    assert found["accuracy_fidelity"] == 1.0
    assert "accuracy_std" not in found


def test_a_prediction_stops_what_a_few_images_alone_would_not():
    design = {f"width{i}": 2 for i in range(6)}
    front = ({"accuracy": 86.0, "latency_ms": 16.0},)
    measured = {**counted(171, 200), "latency_ms": 16.5}
    part = {"accuracy": (measured["accuracy"], measured["accuracy_std"])}
    costs = {"latency_ms": 16.5}
    race = Race(PROBLEM, front, gain_elsewhere=2.0)
    assert not race.is_hopeless(design, part, costs, 0.96)
    told = {canonical_key(design): {"accuracy": (80.0, 0.5)}}
    assert replace(race, predicted=told).is_hopeless(design, part, costs, 0.96)


def test_a_constraint_that_even_hope_breaks_ends_a_measurement():
    problem = Problem(SPACE, OBJECTIVES, (Constraint("accuracy", ">=", 90.0),))
    race = Race(problem, ())
    design, costs = {f"width{i}": 2 for i in range(6)}, {"latency_ms": 5.0}
    assert race.is_hopeless(design, {"accuracy": (70.0, 2.0)}, costs, 0.96)
    assert not race.is_hopeless(design, {"accuracy": (89.5, 2.0)}, costs, 0.96)


FRONT = ({"accuracy": 80.0, "latency_ms": 10.0}, {"accuracy": 88.0, "latency_ms": 20.0})
DESIGN = {f"width{i}": 2 for i in range(6)}
percents = st.floats(40.0, 99.0)
stds = st.floats(0.01, 5.0)


@given(accuracy=percents, std=stds, more=stds, latency_ms=st.floats(1.0, 40.0))
def test_what_is_expected_grows_with_what_is_not_known(
    accuracy: float, std: float, more: float, latency_ms: float
):
    race, costs = Race(PROBLEM, FRONT), {"latency_ms": latency_ms}
    less = race.expected_gain(DESIGN, {"accuracy": (accuracy, std)}, costs)
    wider = race.expected_gain(DESIGN, {"accuracy": (accuracy, std + more)}, costs)
    certain = race.expected_gain(DESIGN, {}, {**costs, "accuracy": accuracy})
    assert certain <= less + 1e-9
    assert less <= wider + 1e-9


@given(accuracy=percents, std=stds, cost=st.floats(0.05, 1.0), elsewhere=st.floats(0.0, 50.0))
def test_what_is_worth_a_cost_is_worth_less(
    accuracy: float, std: float, cost: float, elsewhere: float
):
    race, measured = Race(PROBLEM, FRONT, gain_elsewhere=elsewhere), {"accuracy": (accuracy, std)}
    costs = {"latency_ms": 12.0}
    if not race.is_hopeless(DESIGN, measured, costs, cost):
        assert not race.is_hopeless(DESIGN, measured, costs, 0.5 * cost)
        cheaper = replace(race, gain_elsewhere=0.5 * elsewhere)
        assert not cheaper.is_hopeless(DESIGN, measured, costs, cost)


@given(bound=percents, accuracy=percents, std=stds)
def test_a_constraint_counts_as_a_probability(bound: float, accuracy: float, std: float):
    # With one flat objective the gain of every feasible outcome is the same
    objectives = (Objective("latency_ms", "min", 30.0),)
    problem = Problem(SPACE, objectives, (Constraint("accuracy", ">=", bound),))
    gain = Race(problem, ()).expected_gain(
        DESIGN, {"accuracy": (accuracy, std)}, {"latency_ms": 20.0}
    )
    probability = 1.0 - NormalDist(accuracy, std).cdf(bound)
    assert gain == pytest.approx(10.0 * probability, abs=10.0 / 64)


def test_two_metrics_may_be_partial_at_once():
    measured = {"accuracy": (85.0, 1.0), "latency_ms": (15.0, 1.0)}
    rng = np.random.default_rng(0)
    draws = np.stack([rng.normal(85.0, 1.0, 20000), -rng.normal(15.0, 1.0, 20000)], 1)
    gains = improvements(draws, PROBLEM.scores(FRONT), PROBLEM.reference())
    found = Race(PROBLEM, FRONT).expected_gain(DESIGN, measured, {})
    assert found == pytest.approx(gains.mean(), rel=0.05)


class CountingTwice(Images):
    """Refuses to look at an image of a design twice."""

    def __init__(self) -> None:
        super().__init__()
        self.seen_of: dict[str, int] = {}

    def count_right(self, design: Mapping[str, float], first: int, last: int) -> int:
        key = canonical_key(dict(design))
        assert first == self.seen_of.get(key, 0)
        self.seen_of[key] = last
        return super().count_right(design, first, last)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_no_image_is_counted_twice_and_what_was_stopped_is_continued(asynchronous: bool):
    evaluator = Evaluator((200, 1000))
    if not asynchronous:
        evaluator.images = CountingTwice()
    with Study.open(None, space=SPACE, objectives=OBJECTIVES, seed=0) as study:
        study.optimize(evaluator, budget=15, batch_size=5, asynchronous=asynchronous)
        records = study.evaluations()
        assert len(records) == 15
        assert any("replicates" in record.extra for record in records)
        for record in records:
            images = int(record.metrics["accuracy_images"])
            right = Images().count_right(record.params, 0, images)
            assert record.metrics["accuracy"] == pytest.approx(100.0 * right / images)
            assert ("accuracy_std" in record.metrics) == (images < TOTAL)
        found = study_status.status(StudyContext(study, preset("fmnist-vit")))
        if not asynchronous:  # else workers counted
            assert found.images["used"] == evaluator.images.seen


class Killed(BaseException):
    """Ends a process in the middle, as far as a test can."""


class Mortal(CountingTwice):
    """Dies in the middle of a stage that continues a measurement."""

    def __init__(self, deaths: int) -> None:
        super().__init__()
        self.deaths = deaths

    def count_right(self, design: Mapping[str, float], first: int, last: int) -> int:
        if first and self.deaths:
            self.deaths -= 1
            raise Killed
        return super().count_right(design, first, last)


def test_a_kill_between_stages_loses_nothing(tmp_path):
    images = Mortal(3)
    for _ in range(4):
        evaluator = Evaluator((200, 1000))
        evaluator.images = images
        try:
            with Study.open(tmp_path / "s.db", SPACE, OBJECTIVES, seed=0) as study:
                study.optimize(evaluator, budget=15, batch_size=5, listener=None)
        except Killed:
            continue
    assert images.deaths == 0
    with Study.open(tmp_path / "s.db") as study:
        assert len(study.evaluations()) == 15
        assert sum(r.metrics["accuracy_images"] for r in study.evaluations()) == images.seen
        assert not study.running()


def test_two_processes_do_not_continue_one_design_both(tmp_path):
    part = {**counted(180, 200), "latency_ms": 9.0}
    with Study.open(tmp_path / "s.db", SPACE, OBJECTIVES) as one:
        one.tell(DESIGN, part)
        with Study.open(tmp_path / "s.db") as other:
            (stale,) = other.evaluations()
            assert one._planner.claim_again(one.evaluations())
            assert not other._planner.claim_again([stale])
            assert other._planner._state().pending.shape[0] == 0  # it is no new design
            one.keep_replicates(stale, {**counted(900, 1000), "latency_ms": 9.0})
            one._planner.release()
            # It went on meanwhile: what the other process wanted to do is done
            assert not other._planner.claim_again([stale])
            other._planner.release()
            assert other._planner.claim_again(other.evaluations())


def test_a_continuation_takes_no_place_of_the_budget(tmp_path):
    with Study.open(tmp_path / "s.db", SPACE, OBJECTIVES) as study:
        study.tell(DESIGN, {**counted(180, 200), "latency_ms": 9.0})
        assert study._planner.claim_again(study.evaluations())
        designs = [(f"k{i}", {"width0": i}) for i in range(3)]
        assert len(study.store.claim(designs, owner="me", budget=3)) == 2


def test_what_the_first_images_have_in_common_is_learned_from_the_start():
    study = Study.open(None, space=SPACE, objectives=OBJECTIVES)
    rng = np.random.default_rng(0)
    for i, c in enumerate(study.ask(9)):
        full = 80.0 + i
        part = full - 3.0 + rng.normal(0.0, 0.3)  # the first images are harder, for all alike
        told = {**counted(160, 200), "accuracy": part, "latency_ms": 9.0}
        study.tell(c, told)
        if i < 8:
            study.tell(c, {**counted(4000, TOTAL), "accuracy": full, "latency_ms": 9.0})
    stopped = calibrated(study.evaluations())[-1].metrics
    assert stopped["accuracy"] == pytest.approx(88.0, abs=0.6)
    assert 0.3 < stopped["accuracy_std"] < 0.7 * told["accuracy_std"]
    assert calibrated(study.evaluations())[0].metrics["accuracy"] == 80.0


def test_where_designs_deviate_each_for_itself_nothing_is_corrected():
    study = Study.open(None, space=SPACE, objectives=OBJECTIVES)
    told = {**counted(160, 200), "latency_ms": 9.0}
    for c, deviation in zip(study.ask(7), (-2.0, 1.5, 0.5, -1.0, 1.4, -1.6, 0.0), strict=True):
        part = {**told, "accuracy": 80.0 + deviation * told["accuracy_std"]}
        study.tell(c, part)
        if deviation:
            study.tell(c, {**counted(4000, TOTAL), "latency_ms": 9.0})
    stopped = calibrated(study.evaluations())[-1].metrics
    assert stopped["accuracy"] == 80.0
    assert stopped["accuracy_std"] == pytest.approx(told["accuracy_std"])


def test_partial_measurements_make_neither_front_nor_hypervolume():
    study = Study.open(None, space=SPACE, objectives=OBJECTIVES)
    for accuracy, fidelity in ((80.0, 1.0), (90.0, 0.04)):
        design = study.ask(1)[0]
        study.tell(design, {"accuracy": accuracy, "latency_ms": 9.0, "accuracy_fidelity": fidelity})
    assert [r.metrics["accuracy"] for r in study.pareto()] == [80.0]
    assert study.hypervolume() == pytest.approx(30.0 * 21.0)


def test_a_design_that_is_measured_in_full_later_is_what_the_full_measurement_says():
    study = Study.open(None, space=SPACE, objectives=OBJECTIVES)
    design = study.ask(1)[0]
    part = {"accuracy": 80.0, "accuracy_fidelity": 0.04, "accuracy_std": 2.0, "latency_ms": 9.0}
    study.tell(design, part)
    assert not study.pareto()
    study.tell(design, {"accuracy": 82.0, "latency_ms": 9.0, "accuracy_fidelity": 1.0})
    (best,) = study.pareto()
    assert best.metrics["accuracy"] == 82.0
    assert len(best.extra["replicates"]) == 2
    study.tell(design, {"accuracy": 83.0, "latency_ms": 9.0})
    assert study.pareto()[0].metrics["accuracy"] == 82.5


@given(seen=st.integers(2, TOTAL), share=st.floats(0.0, 1.0), more=st.integers(1, TOTAL))
def test_deviations_fall_with_images_and_end_at_zero(seen: int, share: float, more: int):
    later = min(seen + more, TOTAL)
    clipped = min(max(share, 0.5 / seen), 1.0 - 0.5 / seen)
    assert share_deviation(share, TOTAL, TOTAL) == 0.0
    assert 0.0 <= share_deviation(0.5, later, TOTAL) <= share_deviation(0.5, seen, TOTAL)
    assert share_deviation(clipped, seen, TOTAL) <= 0.5 / math.sqrt(seen) + 1e-12


def test_the_deviation_is_that_of_draws_without_replacement():
    right = np.zeros(TOTAL)
    right[: int(0.88 * TOTAL)] = 1.0
    rng = np.random.default_rng(0)
    means = [rng.permutation(right)[:1000].mean() for _ in range(3000)]
    assert share_deviation(0.88, 1000, TOTAL) == pytest.approx(np.std(means), rel=0.05)


def test_a_full_measurement_deviates_from_nothing_and_says_so():
    images = Images()
    full = raced(images, {"width0": 4}, {}, (200, 1000), Race(PROBLEM, ()), {"latency_ms": 1.0})
    assert full["accuracy_images"] == TOTAL
    assert "accuracy_std" not in full
    front = [{"accuracy": 99.0, "latency_ms": 0.1}]
    part = raced(images, {"width0": 4}, {}, (200, 1000), Race(PROBLEM, front), {"latency_ms": 1.0})
    assert part["accuracy_images"] == 200
    assert part["accuracy_std"] > 0


def test_a_status_says_how_many_images_were_used_and_which_measurements_stopped():
    study = Study.open(None, SPACE, OBJECTIVES)
    designs = study.ask(3)
    for design, seen in zip(designs, (200, 5000, 1000), strict=True):
        study.tell(design, {**counted(seen // 2, seen), "latency_ms": 1.0})
    found = study_status.status(StudyContext(study, preset("fmnist-vit")))
    assert found.images == {"used": 6200, "in_full": 15000, "stopped_early": 2}


def test_stated_deviations_are_read_by_metric():
    rows = [{"accuracy": 1.0, "accuracy_std": 0.3}, None, {"accuracy": 2.0}]
    assert deviations(rows, ["accuracy", "latency_ms"]).keys() == {"accuracy"}
    assert deviations(rows, ["accuracy"])["accuracy"].tolist() == [0.3, 0.0, 0.0]


def test_a_study_toml_declares_fidelities_and_shipped_accuracies_count_in_stretches(tmp_path):
    from cimbo.config.study_config import load
    from cimbo.evaluation.accuracy.shipped import ShippedAccuracy

    text = 'extends = "fmnist-vit"\n[[fidelity]]\nimages = 200\n[[fidelity]]\nimages = 1000\n'
    (tmp_path / "study.toml").write_text(text)
    config = load(tmp_path / "study.toml")
    assert config.evaluator().stages == (200, 1000)
    design = config.problem.space.designs(config.problem.space.sobol_rows(1, 3))[0]
    source = ShippedAccuracy("fmnist-vit")
    parts = [source.count_right(design, a, b) for a, b in ((0, 50), (50, 130), (130, 200))]
    right = source.hits(design).numpy()[source.ranking.order[:200]]
    assert sum(parts) == right.sum()
