"""Expressions: what they give, and that nothing but arithmetic can be said with one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimbo.errors import BadInput
from cimbo.problem.derived import SHIPPED_METRICS, DerivedMetrics
from cimbo.problem.expressions import Expression


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("energy_uj * latency_ms", {"energy_uj": 2, "latency_ms": 0.5}, 1.0),
        ("2 ** 3 // 3 - -1 % 2", {}, 1.0),
        ("max(a, b, 3) + min(a, b) + mean(a, b)", {"a": 1, "b": 5}, 5 + 1 + 3),
        ("log2(a) + sqrt(a) + abs(-a)", {"a": 4}, 2 + 2 + 4),
        ("1 <= a < 3", {"a": np.arange(4)}, [False, True, True, False]),
        ('kind == "flash" or rows > 64', {"kind": np.array(["flash", "sar"]), "rows": 64}, [1, 0]),
        ('kind not in ["sar", "ramp"]', {"kind": np.array(["flash", "sar"])}, [True, False]),
        ("not big", {"big": True}, False),
        ("1 / a", {"a": 0}, np.inf),
        ("9 ** 9 ** 9 ** 9", {}, np.inf),
    ],
)
def test_values(text, values, expected):
    np.testing.assert_array_equal(Expression(text)(values), expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("__import__('os').system('x')", "is not understood"),
        ("__import__('os')", "__import__ is no function"),
        ("a.__class__", "is not understood"),
        ("a[0]", "is not understood"),
        ("lambda: 1", "is not understood"),
        ("[x for x in a]", "is not understood"),
        ("a if b else c", "is not understood"),
        ("f'{a}'", "is not understood"),
        ("(a := 1)", "is not understood"),
        ("b'x'", "is not understood"),
        ("1j", "is not understood"),
        ("a in b", "is not understood"),
        ("~a", "is not understood"),
        ("sqr(a)", "did you mean sqrt"),
        ("sqrt(a, b)", "has 2 arguments"),
        ("max()", "has 0 arguments"),
        ("a *", "is no expression"),
        ("", "is no expression"),
        ("a; b", "is no expression"),
        ("-" * 500 + "1", "nested too deeply"),
        ("(" * 1500, "is no expression"),
        ("1" * 5000, "has 5000 characters"),
        ("\0", "is no expression"),
    ],
)
def test_what_is_refused(text, told):
    with pytest.raises(BadInput, match=told) as caught:
        Expression(text, "metrics.edp")
    assert "\n" not in str(caught.value)


def test_texts_and_numbers_do_not_mix():
    with pytest.raises(BadInput, match="compare texts with texts"):
        Expression("kind < 3")({"kind": "flash"})


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_one_line(text):
    said = ""
    try:
        expression = Expression(text)
        expression(dict.fromkeys(expression.names, 1.5))
    except BadInput as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("edp", 40.0 * 2.0),
        ("edap", 40.0 * 2.0 * 5.0),
        ("power_w", 40e-6 / 2e-3),
        ("inferences_per_s", 500.0),
        ("inferences_per_j", 25_000.0),
        ("tops", 2 * 1e9 / 2e-3 / 1e12),
        ("tops_per_watt", 2 * 1e9 / 40e-6 / 1e12),
        ("tops_per_mm2", 2 * 1e9 / 2e-3 / 1e12 / 5.0),
        ("energy_per_mac_pj", 40e-6 / 1e9 * 1e12),
        ("power_density_w_mm2", 40e-6 / 2e-3 / 5.0),
        ("ed2p", 40.0 * 4.0),
    ],
)
def test_shipped_metrics_have_the_units_of_their_names(name, expected):
    measured = {"energy_uj": 40.0, "latency_ms": 2.0, "area_mm2": 5.0, "macs": 1e9}
    found = DerivedMetrics(wanted=(name,)).completed(measured)
    assert found[name] == pytest.approx(expected)


def test_every_shipped_metric_is_tried_above():
    tried = test_shipped_metrics_have_the_units_of_their_names.pytestmark[0].args[1]
    assert {name for name, _ in tried} == set(SHIPPED_METRICS)


def test_what_was_measured_stands_before_what_is_shipped_and_behind_what_is_declared():
    measured = {"energy_uj": 2.0, "latency_ms": 3.0, "edp": 1.0}
    assert DerivedMetrics(wanted=("edp",)).completed(measured)["edp"] == 1.0
    declared = DerivedMetrics({"edp": "energy_uj * latency_ms"})
    assert declared.completed(measured)["edp"] == 6.0


def test_metrics_may_follow_from_derived_ones_and_from_genes():
    derived = DerivedMetrics({"cost": "edp * rows", "worst": "max(latency_a, latency_b)"})
    found = derived.completed(
        {"energy_uj": 2.0, "latency_ms": 3.0, "latency_a": 1.0, "latency_b": 4.0}, {"rows": 10}
    )
    assert found["cost"] == 60.0
    assert found["worst"] == 4.0
    assert derived.parts("cost") == ("energy_uj", "latency_ms", "rows")


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"a": "b + 1", "b": "a + 1"}, "follows from itself: a from b from a"),
        ({"latency_ms": "latency_ms * 2"}, "follows from itself"),
        ({"a": "b > 1"}, "is true or false"),
        ({"a": 3}, "metrics.'a': is 3"),
    ],
)
def test_metrics_that_are_none(declared, told):
    with pytest.raises(BadInput, match=told):
        DerivedMetrics(declared)


@pytest.mark.parametrize("word", ["true", "True"])
def test_true_and_false_are_words_of_an_expression(word):
    condition = Expression(f"turbo == {word}")
    assert condition.names == ("turbo",)
    assert condition.is_condition
    assert condition({"turbo": True})
    assert not condition({"turbo": False})
    assert list(condition({"turbo": np.array([True, False])})) == [True, False]
    assert Expression("turbo == false")({"turbo": False})


def test_what_cannot_be_computed_is_left_out():
    derived = DerivedMetrics({"ratio": "a / b", "other": "c"})
    assert derived.completed({"a": 1.0, "b": 0.0}) == {"a": 1.0, "b": 0.0}
