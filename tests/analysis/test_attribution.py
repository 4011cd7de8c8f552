"""Attribution of a speed-up to the network, the chip and both: by hand on a small problem, and the command on a preset."""

import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from cimbo import BadInput, Choice, Constraint, Objective, SearchSpace, Study
from cimbo.analysis.attribution import (
    HELD_CONDITIONS,
    Point,
    Rules,
    bootstrap,
    gains,
    over_seeds,
    pool,
)
from cimbo.analysis.baseline_chips import baselines
from cimbo.cli import run
from cimbo.session.attribution import HeldOutAccuracies
from cimbo.storage import Record

SPACE = SearchSpace(
    [Choice("depth", [1, 2, 3])], [Choice("rows", [1, 2, 4, 8]), Choice("adc_bits", [4, 6])]
)


@dataclass
class Law:
    """latency = depth / rows, area = rows * adc_bits, energy = depth * rows."""

    known: dict = field(default_factory=lambda: {"latency_ms": None})

    def analytic_costs(self):
        return self.known

    def accuracy_genes(self):
        return frozenset({"depth", "adc_bits"})

    def costs(self, designs):
        depth, rows, bits = (
            np.array([d[g] for d in designs], float) for g in ("depth", "rows", "adc_bits")
        )
        return {"latency_ms": depth / rows, "energy_uj": depth * rows, "area_mm2": rows * bits}


def record(number, depth, rows, adc_bits, accuracy):
    params = {"depth": depth, "rows": rows, "adc_bits": adc_bits}
    costs = {k: float(v[0]) for k, v in Law().costs([params]).items()}
    return Record(
        number=number,
        key=SPACE.key(params),
        params=params,
        metrics={"accuracy": accuracy, **costs},
        status="done",
        reason=None,
        origin="told",
        seconds=0.0,
        extra={},
    )


def point(accuracy=90.0, **params):
    costs = Law().costs([params])
    return Point(params, accuracy, {k: float(v[0]) for k, v in costs.items()})


BASE = point(depth=3, rows=2, adc_bits=6)
RECORDS = [
    record(1, 2, 4, 6, 89.8),  # a network as accurate as the baseline's, on another chip
    record(2, 1, 1, 6, 80.0),  # too inaccurate
    record(3, 2, 8, 4, 89.0),  # its accuracy holds only with 4-bit converters
]


def table(records=RECORDS, evaluator=None, **rules):
    made = pool(SPACE, evaluator or Law(), BASE, {"joint": records})
    return {(g.held, g.side): g for g in gains(made, Rules(**{"within": 0.3, **rules}))}


def test_each_side_is_the_fastest_verified_point_that_leaves_the_other_side_alone():
    found = table()
    # depth 2 moved to the baseline's chip: 3/2 over 2/2
    assert found["accuracy", "architecture"].speedup == pytest.approx(1.5)
    assert found["accuracy", "architecture"].point.params == {"depth": 2, "rows": 2, "adc_bits": 6}
    # depth 3 moved to the evaluated chip with 4 rows; the one with 8 rows has 4-bit converters, where it was not measured
    assert found["accuracy", "hardware"].speedup == pytest.approx(2.0)
    assert found["accuracy", "joint"].speedup == pytest.approx(3.0)
    assert found["accuracy", "joint"].point.params == {"depth": 2, "rows": 4, "adc_bits": 6}


def test_area_and_energy_of_the_baseline_are_kept_where_they_are_held():
    found = table()
    assert found["accuracy, area", "hardware"].speedup == 1.0  # four rows are larger than two
    assert found["accuracy, area", "joint"].speedup == pytest.approx(1.5)
    assert found["accuracy, energy", "joint"].point.costs["energy_uj"] <= BASE.costs["energy_uj"]
    for (held, _), gain in found.items():
        for metric in HELD_CONDITIONS[held]:
            assert gain.point.costs[metric] <= BASE.costs[metric]


def test_the_tolerance_and_the_study_s_constraints_decide_what_counts():
    assert table(within=0.1)["accuracy", "joint"].speedup == pytest.approx(
        2.0
    )  # only the largest network is left
    assert table(within=1.0)["accuracy", "joint"].speedup == pytest.approx(
        6.0
    )  # depth 2 with 4-bit converters counts
    bounded = table(within=1.0, constraints=[Constraint("area_mm2", "<=", 24.0)])
    assert bounded["accuracy", "joint"].speedup == pytest.approx(3.0)


def test_a_winner_that_fails_the_last_check_gives_way_to_the_next():
    asked = []

    def confirm(p):
        asked.append(p.params)
        return p.params["rows"] == 2

    assert table(confirm=confirm)["accuracy", "joint"].speedup == pytest.approx(1.5)
    assert {"depth": 2, "rows": 4, "adc_bits": 6} in asked


def test_without_exact_costs_only_evaluated_designs_count():
    found = table(evaluator=Law(known={}))
    assert found["accuracy", "architecture"].speedup == 1.0
    assert found["accuracy", "joint"].speedup == pytest.approx(3.0)


def test_a_restricted_search_serves_its_own_side_only():
    made = pool(SPACE, Law(), BASE, {"joint": RECORDS[:1], "hardware": [record(9, 3, 8, 6, 90.0)]})
    found = {(g.held, g.side): g.speedup for g in gains(made, Rules(0.3))}
    assert found["accuracy", "hardware"] == pytest.approx(4.0)
    assert found["accuracy", "joint"] == pytest.approx(3.0)


def test_a_study_without_a_success_is_refused():
    with pytest.raises(BadInput, match="has no verified design"):
        pool(SPACE, Law(), BASE, {"joint": [replace(RECORDS[0], status="failed")]})


def test_interval_over_seeds_is_student_t_on_the_logarithm():
    # exp(mean +- t(0.975, 2) * sd / sqrt(3)) of logs 0, 1, 2: t = 4.302653
    interval = over_seeds(np.exp([0.0, 1.0, 2.0]))
    assert interval.mean == pytest.approx(np.e)
    assert np.log([interval.low, interval.high]) == pytest.approx(
        [1 - 4.302653 / 3**0.5, 1 + 4.302653 / 3**0.5], abs=1e-5
    )


def test_bootstrap_never_exceeds_the_point_and_shrinks_when_many_points_are_as_good():
    alone = [record(1, 1, 2, 6, 90.0), *(record(n, 3, 2, 4, 70.0) for n in range(2, 10))]
    many = [record(n, 1, 2, 6, 90.0) for n in range(1, 10)]
    rules = Rules(0.3)
    for records, low in ((alone, 1.0), (many, 1.0)):
        made = pool(SPACE, Law(), BASE, {"joint": records})
        gain = next(g for g in gains(made, rules) if g.side == "architecture")
        interval = bootstrap(made, rules, gain)
        assert interval.mean == gain.speedup == pytest.approx(3.0)
        assert low <= interval.low <= interval.high <= gain.speedup
    assert bootstrap(made, rules, gain).high == pytest.approx(3.0)


def test_other_baselines_are_chips_of_the_space_no_larger_than_the_drawn_one():
    found = baselines(SPACE, Law(), {"depth": 3}, {"rows": 4, "adc_bits": 4})
    assert found["drawn"] == {"rows": 4, "adc_bits": 4}
    assert found["drawn, its best single knob turned"] == {
        "rows": 4,
        "adc_bits": 4,
    }  # more rows would be larger
    assert found["drawn with 6-bit converters (larger)"] == {"rows": 4, "adc_bits": 6}
    assert found["median of random chips of its area"]["adc_bits"] == 4


class Imaged(Law):
    """A law with test images: a point less than 90 for every row."""

    def has_test(self):
        return True

    def on_test(self, params):
        return 90.0 - params["depth"]


def test_test_accuracies_are_read_measured_when_asked_and_kept_for_every_chip_that_shares_them(
    tmp_path,
):
    objectives = [Objective("accuracy", "max"), Objective("latency_ms", "min")]
    with Study.open(tmp_path / "s.db", space=SPACE, objectives=objectives) as study:
        for r in RECORDS:
            study.tell(r.params, r.metrics)
        key = study.evaluations()[0].key
        study.record_test_accuracy(key, 88.5)
        shy, eager = (
            HeldOutAccuracies(study, Imaged(), measure=False),
            HeldOutAccuracies(study, Imaged(), measure=True),
        )
        for tests in (shy, eager):
            tests.load()
            assert (
                tests.of({"depth": 2, "rows": 8, "adc_bits": 6}) == 88.5
            )  # measured on the chip with four rows
        other = {"depth": 1, "rows": 2, "adc_bits": 6}
        assert shy.of(other) is None
        assert eager.of(other) == 89.0
        assert study.test_accuracies() == {key: 88.5, SPACE.key(other): 89.0}


# ---- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two small studies of ViT-B, its accuracy modelled: no image is needed."""
    folder = tmp_path_factory.mktemp("attribute")
    files = [str(folder / f"{seed}.db") for seed in (0, 1)]
    for seed, file in enumerate(files):
        asked = [
            "optimize",
            "--preset",
            "vit-b-imagenet",
            "--budget",
            "22",
            "--jobs",
            "1",
            "--seed",
            str(seed),
        ]
        assert run([*asked, "--study", file]) == 0
    return files


def test_attribute_over_two_seeds(studies, capsys):
    assert run(["attribute", *studies, "--within", "0.5", "--format", "json"]) == 0
    out = capsys.readouterr()
    answer = json.loads(out.out)
    assert answer["accuracy"]["kind"] == "modelled (illustration)"
    assert "not measured" in out.err
    assert answer["interval"].startswith("95 %, Student's t over 2")
    base = answer["baseline"]["metrics"]
    assert answer["baseline"]["architecture"]["depth"] == 12
    for row in answer["speedups"]:
        assert len(row["each"]) == 2
        for ratio, best in zip(row["each"], row["points"], strict=True):
            assert ratio == pytest.approx(base["latency_ms"] / best["metrics"]["latency_ms"])
            assert best["metrics"]["accuracy"] >= base["accuracy"] - 0.5
            if row["side"] == "architecture":
                assert best["hardware"] == answer["baseline"]["hardware"]
            if row["side"] == "hardware":
                assert best["architecture"] == answer["baseline"]["architecture"]
    assert {b["baseline"].split(",")[0].split(" with")[0] for b in answer["baselines"]} >= {"drawn"}
    assert len(answer["baselines"]) >= 3


def test_restricted_searches_are_completed_resumed_and_only_add(studies, capsys):
    asked = ["attribute", studies[0], "--complete", "24", "--format", "json", "--within", "0.5"]
    assert run(asked) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["evaluations"] == [{"joint": 22, "architecture": 24, "hardware": 24}]
    assert run(asked) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert run(["attribute", studies[0], "--format", "json", "--within", "0.5"]) == 0
    without = {
        (s["held"], s["side"]): s["speedup"]
        for s in json.loads(capsys.readouterr().out)["speedups"]
    }
    for row in first["speedups"]:
        assert row["speedup"] >= without[row["held"], row["side"]] * (1 - 1e-12)
    hardware = next(s for s in first["speedups"] if s["side"] == "hardware")
    assert hardware["speedup"] > 1


def test_attribute_refuses_what_it_cannot_compare(studies, tmp_path, capsys):
    other = str(tmp_path / "other.db")
    assert (
        run(["optimize", "--preset", "bert-base", "--budget", "2", "--jobs", "1", "--study", other])
        == 0
    )
    assert run(["attribute", studies[0], other]) == 2
    assert "is about another problem" in capsys.readouterr().err
    assert run(["attribute", studies[0], studies[0]]) == 2
    assert "is given twice" in capsys.readouterr().err
    assert run(["attribute", studies[0], "--within", "-1"]) == 2
    assert run(["attribute", str(tmp_path / "none.db")]) == 2
