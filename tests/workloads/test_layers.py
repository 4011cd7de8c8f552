"""Layers and workloads: counts, validation, the array view."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cimbo.errors import BadInput
from cimbo.workloads.layers import (
    LAYER_COLUMNS,
    Layer,
    Workload,
    attention,
    conv,
    linear,
    vector_work,
)


def test_convolution_counts():
    layer = conv("c", 15, (8, 12), 3, stride=2)
    assert (layer.px, layer.reduction, layer.columns, layer.width) == (64, 72, 12, 8)
    assert layer.macs == 64 * 72 * 12
    assert layer.parameters == 72 * 12 + 24
    assert (layer.inputs, layer.outputs) == (15 * 15 * 8, 64 * 12)


def test_depthwise_counts():
    layer = conv("d", 14, (32, 32), 5, groups=32)
    assert (layer.kind, layer.reduction, layer.columns, layer.groups) == ("depthwise", 25, 1, 32)
    assert layer.macs == 196 * 25 * 32


def test_attention_has_no_parameters():
    scores, context = attention("a", 49, 4, 16)
    assert scores.parameters == context.parameters == 0
    assert scores.macs == context.macs == 49 * 49 * 16 * 4
    assert scores.outputs == context.inputs == 4 * 49 * 49


def test_vector_work_is_linear():
    assert vector_work(relu=7) == 7
    assert vector_work(softmax=10, add=3) == 10 * vector_work(softmax=1) + 3


@pytest.mark.parametrize("field", ["px", "reduction", "columns", "groups"])
@pytest.mark.parametrize("value", [0, -3, 2.5, True])
def test_impossible_sizes_are_refused(field, value):
    sizes = {"px": 4, "reduction": 4, "columns": 4, field: value}
    with pytest.raises(BadInput, match=f"layer bad: {field} is {value}"):
        Layer("bad", "linear", **sizes)


def test_unknown_kind_and_empty_workload_are_refused():
    with pytest.raises(BadInput, match="kind 'magic' is unknown"):
        Layer("bad", "magic", 1, 1, 1)
    with pytest.raises(BadInput, match="has no layers"):
        Workload("none", ())


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12
    )
)
def test_unique_view_keeps_every_layer(shapes):
    layers = tuple(linear(f"l{i}", px, (r, k)) for i, (px, r, k) in enumerate(shapes))
    workload = Workload("w", layers, 5)
    array, where = workload.unique
    column = {name: array[i] for i, name in enumerate(LAYER_COLUMNS)}
    assert array.shape == (len(LAYER_COLUMNS), len(set(shapes)))
    assert column["count"].sum() == len(layers)
    macs = column["px"] * column["reduction"] * column["columns"] * column["groups"]
    assert np.sum(macs * column["count"]) == workload.macs == sum(layer.macs for layer in layers)
    assert [array[0, i] for i in where] == [layer.px for layer in layers]
    assert workload.parameters == 5 + sum(layer.parameters for layer in layers)


def test_features_are_finite():
    features = Workload("w", (linear("l", 3, (4, 5)),)).features()
    assert np.isfinite(list(features.values())).all()
    assert features["log_macs"] == pytest.approx(np.log(60))


def test_a_layer_with_another_cache_is_else_the_same():
    layer = attention("block", 4, 2, 8)[0]
    assert layer.with_cache_size(7) == replace(layer, cache_size=7)
    with pytest.raises(BadInput, match="cache_size is -1"):
        layer.with_cache_size(-1)
