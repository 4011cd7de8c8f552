from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predictors_data import designs, space

from predictors import Feature, PredictorError, Schema, infer

SMALL = Schema(
    (
        Feature("d", "ordinal", (6, 3, 4)),
        Feature("a", "nominal", ("x", "y")),
        Feature("m", "numeric"),
    )
)


def test_encoding_is_rank_one_hot_and_zero_where_inactive() -> None:
    encoded = SMALL.encode([{"d": 3, "a": "y", "m": 2.5}, {"d": 6, "m": -1}, {"a": "x"}])
    expected = [[1 / 3, 0, 1, 2.5], [1, 0, 0, -1], [0, 1, 0, 0]]
    np.testing.assert_allclose(encoded, expected)


@given(st.integers(0, 2**32 - 1))
def test_decode_inverts_encode(seed: int) -> None:
    table = space().table(designs(5, seed))
    np.testing.assert_allclose(space().decode(space().encode_table(table)), table)


def test_dicts_object_arrays_and_codes_agree() -> None:
    rows = [{"d": 4, "a": "y", "m": 1.0}, {"d": 3, "a": "x", "m": 2.0}]
    values = np.array([[4, "y", 1.0], [3, "x", 2.0]], dtype=object)
    codes = np.array([[4, 1, 1.0], [3, 0, 2.0]])
    np.testing.assert_array_equal(SMALL.encode(rows), SMALL.encode(values))
    np.testing.assert_array_equal(SMALL.encode(rows), SMALL.encode(codes))


def test_frames_by_column_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"m": [1.0, 2.0], "a": ["y", None], "d": [4, None], "other": [0, 0]})
    rows = [{"d": 4, "a": "y", "m": 1.0}, {"m": 2.0}]
    np.testing.assert_array_equal(SMALL.encode(frame), SMALL.encode(rows))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"d": 5, "a": "x", "m": 0}], "feature 'd': value 5.0 is not allowed; allowed: 3, 4, 6"),
        ([{"d": 3, "a": "z", "m": 0}], "feature 'a': value z is not allowed; allowed: x, y"),
        ([{"d": "deep", "a": "x", "m": 0}], "feature 'd': holds text"),
        ([{"d": 3, "a": "x", "m": float("inf")}], "feature 'm': value inf"),
        (np.zeros((2, 2)), "X: has shape (2, 2), expected (n, 3)"),
        ({"d": 3}, "X: is one dict"),
    ],
)
def test_refusals_are_one_line_and_name_the_place(rows: object, says: str) -> None:
    with pytest.raises(PredictorError) as caught:
        SMALL.table(rows)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_inferred_schema_tells_kinds_apart_and_is_open() -> None:
    rows = [
        {"depth": 2 + i % 3, "array": "ab"[i % 2], "macs": 1.5**i, "on": bool(i % 2)}
        for i in range(30)
    ]
    schema = infer(rows)
    assert {f.name: f.kind for f in schema.features} == {
        "depth": "ordinal",
        "array": "nominal",
        "macs": "numeric",
        "on": "nominal",
    }
    encoded = schema.encode([{"depth": 9, "array": "c", "macs": 1.0, "on": True}])
    np.testing.assert_allclose(
        encoded, [[1.0, 0, 0, 1.0, 0, 1]]
    )  # beyond the last level; unknown text as inactive


def test_fingerprint_and_difference_follow_the_content() -> None:
    other = Schema((Feature("d", "ordinal", (3, 4)), *SMALL.features[1:]), unit="ms")
    assert (
        SMALL.fingerprint()
        == Schema.from_dict(SMALL.to_dict()).fingerprint()
        != other.fingerprint()
    )
    assert SMALL.difference(Schema.from_dict(SMALL.to_dict())) == ""
    difference = SMALL.difference(other)
    assert "'d' is ordinal [3, 4], expected ordinal [3, 4, 6]" in difference
    assert "unit is 'ms'" in difference
