"""The report: everything escaped, nothing fetched, numbers as the study has them, and a page for every odd study."""

import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searched_study import (
    HOSTILE,
    OBJECTIVES,
    SPACE,
    Page,
    measure,
    measured,
    report,
    searched,
    told,
    without_scripts,
)

import cimbo.report
from cimbo import BadInput, Objective, Study
from cimbo.analysis.surrogate_views import SurrogateViews, views
from cimbo.optimizer.options import OptimizerOptions
from cimbo.plots import axes, quantity
from cimbo.plots.markup import tag, text
from cimbo.problem.objectives import candidate
from cimbo.report import embedded, facts, scatter, statistics

ODD: dict[str, Callable[[], Study]] = {
    "empty": lambda: searched(0),
    "one evaluation": lambda: searched(1),
    "two evaluations": lambda: searched(2),
    "one objective": lambda: searched(30, 1),
    "three objectives": lambda: searched(60, 3),
    "none feasible": lambda: searched(30, limit=1.0),
    "only failures": lambda: told(OBJECTIVES, None, None),
    "no references": lambda: told(
        [Objective("latency_ms", "min"), Objective("accuracy", "max")], *measured(15)
    ),
    "missing metrics": lambda: told(
        OBJECTIVES, *(dict(list(m.items())[i % 4 :]) for i, m in enumerate(measured(12)))
    ),
    "all the same": lambda: told(OBJECTIVES, *[measured(1)[0]] * 5),
    "extremes": lambda: told(
        OBJECTIVES[:2],
        *({"accuracy": a, "latency_ms": b} for a in (-1e150, 0, 1e150) for b in (5e-324, 1e150)),
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ODD)
def test_every_study_has_a_page(name: str) -> None:
    study = ODD[name]()
    written = report(study)
    page = Page(written)
    assert page.count("section") == 10
    assert page.count("tbody") >= len(study.pareto())
    assert not re.search(r'="[^"]*\b(nan|inf)\b|NaN', without_scripts(written))


def test_numbers_are_the_studys() -> None:
    study = searched(120)
    page = Page(report(study))
    shown = page.values("data", "value")
    failed = [r for r in study.evaluations() if r.status == "failed"]
    assert [float(v) for v in shown[:4]] == [
        120,
        len(failed),
        len(study.pareto()),
        study.hypervolume(),
    ]
    best = [
        max(r.metrics["accuracy"] for r in study.pareto()),
        min(r.metrics["latency_ms"] for r in study.pareto()),
    ]
    assert [float(v) for v in shown[4:]] == best
    cells = page.values("td", "data-v")
    assert "accuracy, test set" in page.words
    first = study.pareto()[0]
    expected = [first.number, first.metrics["accuracy"], first.metrics["latency_ms"], 12.5]
    assert [float(v) for v in cells[:4]] == pytest.approx(expected, rel=1e-9)
    assert [a["id"] for n, a in page.tags if n == "tbody" and "id" in a] == [
        f"d{r.number}" for r in study.pareto()
    ]


def test_noise_of_converters_is_drawn_where_it_was_measured() -> None:
    study = searched(40, seed=3)
    assert "The front under noise" not in report(study)
    key = study.pareto()[0].key
    study.record_noise_accuracies(key, {"0": 80.0, "0.5": 71.25})
    written = report(study)
    assert "The front under noise" in written
    assert f"{key}: 71.25 % at 0.5 steps" in written


def test_history_ends_at_the_studys_hypervolume() -> None:
    for m in (1, 2, 3):
        study = searched(80, m)
        known = facts.gather(study)
        history = facts.volumes(known)
        assert history[-1] == pytest.approx(study.hypervolume())
        assert all(b >= a for a, b in pairwise(history))
        assert facts.volumes(known, lambda r: r.number <= 10)[-1] == pytest.approx(history[9])


def test_nothing_hostile_comes_through() -> None:
    study = searched(60)
    key = study.pareto()[0].key
    page = report(
        study,
        about={HOSTILE: HOSTILE, "command": f"cimbo {HOSTILE}"},
        extra_rows={key: {HOSTILE: HOSTILE}},
        baselines={HOSTILE: [1.0, 2.0]},
    )
    parsed = Page(page)
    assert parsed.count("script") == 2  # data, and the script
    assert parsed.count("img") == 0
    assert not any(
        name.startswith("on") or name == "style" for _, attrs in parsed.tags for name in attrs
    )
    assert HOSTILE in parsed.words  # it is shown, as the text it is
    assert page.count("</script>") == 2


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_text_survives_as_text(value: str) -> None:
    page = Page(str(tag("p", value, title=value)))
    assert page.tags == [("p", {"title": "".join(page.words)})]
    str(text(value)).encode("utf-8")


def test_nothing_is_fetched() -> None:
    page = Page(report(searched(60, 3)))
    links = [
        a.get(k)
        for _, a in page.tags
        for k in ("href", "src", "action", "data", "xlink:href")
        if k in a
    ]
    assert all(link and link.startswith(("#", "data:,")) for link in links)
    assert not re.search(
        r"https?:|url\(|@import|fetch\(|XMLHttp|innerHTML|eval\(", report(searched(20))
    )
    policy = next(
        a["content"] for n, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2


@pytest.mark.parametrize(("m", "most"), [(2, 300_000), (3, 350_000)])
def test_size(m: int, most: int) -> None:
    study = searched(200, m)
    assert len(report(study).encode()) < most, len(study.pareto())


def test_points_are_told_apart() -> None:
    study = searched(100)
    known = facts.gather(study)
    guessed = candidate(
        SPACE,
        SPACE.sobol(300, 9)[-1],
        predicted={"accuracy": (80.0, 1.0), "latency_ms": (0.5, 0.1)},
    )
    page = report(study, predicted=[guessed])
    data = embedded.document(facts.gather(study, predicted=(guessed,)))
    found = {letter: data["status"].count(letter) for letter in "fdixn"}
    assert found == {
        "f": len(known.front),
        "d": len(known.verified) - len(known.front),
        "i": len(known.infeasible),
        "x": len(known.failed),
        "n": 1,
    }
    accuracy = data["metrics"][0]
    failed_later = [
        i for i, r in enumerate(known.records) if r.number > 20 and r.status == "failed"
    ]
    for i in failed_later:  # it stands where it was predicted
        assert accuracy["values"][i] is None
        assert accuracy["mean"][i] > 0
    assert accuracy["values"][100] is None
    assert accuracy["mean"][100] == 80.0
    assert page.count(guessed.key) == 2  # in the data, and in the table of next candidates
    assert "80.00 ± 1.6" in page  # 1.645 standard deviations
    assert "not verified" not in without_scripts(report(study))
    assert len(known.verified) + len(known.infeasible) + len(known.failed) == 100


def test_a_reference_far_away_is_named_and_does_not_flatten_the_picture() -> None:
    study = told(
        [Objective("accuracy", "max", -900.0), Objective("latency_ms", "min", 1e9)], *measured(15)
    )
    known = facts.gather(study)
    drawn = scatter.view(known, *known.problem.objectives)
    values = [r.metrics["accuracy"] for r in known.verified]
    assert drawn.y_axis.high - drawn.y_axis.low < 1.2 * (max(values) - min(values))
    page = report(study)
    assert "↓ reference −900" in page
    assert "reference 1e9\u00a0ms →" in page
    assert 'class="reference"' not in page


def test_it_is_a_pure_function() -> None:
    assert report(searched(40)) == report(searched(40))


def test_bad_input_is_named() -> None:
    study = searched(3)
    with pytest.raises(BadInput, match="title"):
        cimbo.report.html(study, title=" ")
    with pytest.raises(BadInput, match="'nobody'"):
        report(study, extra_rows={"nobody": {}})
    with pytest.raises(BadInput, match="baseline 'b'"):
        report(study, baselines={"b": [float("nan")]})


def test_predictions_that_cannot_be_read_are_left_out() -> None:
    for wrong in (
        None,
        3,
        "x",
        [1],
        [1, 2, 3],
        ["1", "2"],
        [float("nan"), 1.0],
        [1.0, -1.0],
        [10**400, 1],
    ):
        assert facts.as_prediction(wrong) is None
    assert facts.as_prediction([2, 0.5]) == facts.Prediction(2.0, 0.5)


@pytest.mark.parametrize(
    ("metric", "label"),
    [
        ("latency_ms", "latency (ms)"),
        ("energy_uj", "energy (µJ)"),
        ("area_mm2", "area (mm²)"),
        ("peak_tops_per_w", "peak (TOPS/W)"),
        ("accuracy", "accuracy"),
        ("top_1", "top 1"),
        ("ms", "ms"),
        ("_ms", "_ms"),
    ],
)
def test_units_come_from_names(metric: str, label: str) -> None:
    assert quantity.label(metric) == label


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"),
        (0.61234, "0.6123"),
        (-1234.5, "−1,234"),
        (4e-4, "4e-4"),
        (1.5e9, "1.5e9"),
        (None, "–"),
        (float("inf"), "∞"),
    ],
)
def test_numbers_are_short(value: float | None, written: str) -> None:
    assert quantity.number(value) == written


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=6))
def test_axes_hold_their_values(values: list[float]) -> None:
    axis = axes.axis("x", values)
    assert all(0 <= axis.at(v) <= 100 for v in values)
    assert 0 <= len(axis.ticks()) <= 13
    if values and all(1e-90 < abs(v) < 1e90 for v in values):
        assert axis.log == (min(values) > 0 and max(values) > 10 * min(values))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff([axis.at(values[i]) for i in order]) >= 0)


def test_statistics_by_hand() -> None:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])
    assert statistics.rank_correlation(x, y) == pytest.approx(0.8)  # 1 - 6 (1 + 1) / (4 * 15)
    assert statistics.kendall(x, y) == pytest.approx(4 / 6)  # five pairs agree, one does not
    for same in (np.ones(4), np.array([7.0])):
        assert statistics.rank_correlation(same, y[: len(same)]) is None
        assert statistics.kendall(same, y[: len(same)]) is None
    two_groups = np.array([0, 0, 1, 1])
    assert statistics.correlation_ratio(two_groups, np.array([1.0, 1.0, 2.0, 2.0])) == 1.0
    assert statistics.correlation_ratio(two_groups, np.array([1.0, 2.0, 1.0, 2.0])) == 0.0
    assert statistics.chance(101, 2) == pytest.approx(0.196, abs=1e-4)  # 1.96 / sqrt(100)
    assert statistics.chance(101, 4) == pytest.approx((7.8147 / 100) ** 0.5, abs=1e-4)


def test_coverage_counts_what_the_intervals_held() -> None:
    mean, std = np.zeros(4), np.ones(4)
    assert statistics.coverage(mean, std, np.array([0.0, 1.6, -1.7, 5.0])) == 0.5
    assert statistics.coverage(mean, np.zeros(4), mean) is None


def looked_into(study: Study) -> SurrogateViews:
    """What surrogates say around a design; accuracy is computed, and neither gene of the pair changes it."""

    def accuracy(designs: list[dict[str, Any]]) -> np.ndarray:
        return np.array([measure(design)["accuracy"] for design in designs])

    surrogates = study.surrogates(OptimizerOptions({"accuracy": accuracy}))
    return views(SPACE, surrogates, [study.pareto()[0].params], ["rows", "dram_bw"])


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
@pytest.mark.parametrize(
    "name", ["three objectives", "one objective", "extremes", "empty", "all the same"]
)
def test_a_browser_draws_it_without_complaint(tmp_path: Path, name: str) -> None:
    """What only a browser knows: the policy lets our style and script run, and the console stays empty."""
    file = tmp_path / "report.html"
    study = ODD[name]()
    more = {"around": looked_into(study)} if name == "three objectives" else {}
    file.write_text(report(study, **more), encoding="utf-8")
    options = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync"
    command = [
        "chromium",
        *options.split(),
        f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr",
    ]
    ran = subprocess.run(
        [*command, "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "CONSOLE" not in ran.stderr
    assert 'id="tip"' in ran.stdout  # the script ran
    if study.evaluations():
        assert re.search(r'<aside id="chosen"[^>]*><h3>', ran.stdout)
