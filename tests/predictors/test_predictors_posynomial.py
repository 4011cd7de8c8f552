"""Sums of products of powers: what they say, how they are fitted, and where a process that sees them is better."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from predictors_data import designs, space, truth

import predictors
from predictors import Feature, Schema, posynomial
from predictors.core import Task
from predictors.kinds import BUILT_IN_KINDS
from predictors.posynomial import FeatureLayout
from predictors.posynomial.layout import MAX_SEGMENTS

LAYERS = 6
WIDTHS = [Feature(f"width{i}", "ordinal", (8, 16, 32, 64), "width*") for i in range(LAYERS)]
BITS = [Feature(f"bits{i}", "ordinal", (2, 4, 8), "bits*") for i in range(LAYERS)]
CHIP = [
    Feature("macros", "ordinal", (1, 2, 4, 8, 16)),
    Feature("bandwidth", "ordinal", (8, 32, 128)),
]
KIND, MACS = Feature("kind", "nominal", ("a", "b")), Feature("macs", "numeric")
SCHEMA = Schema((*WIDTHS, *BITS, *CHIP), "latency_ms", "ms", log=True)


def networks(
    n: int, seed: int, least: float = 0.0, most: float = np.inf
) -> tuple[list[dict], np.ndarray]:
    """Designs whose latency lies between ``least`` and ``most``, with it."""
    rng, rows, found = np.random.default_rng(seed), [], []
    while len(rows) < n:
        row = {f.name: f.values[rng.integers(len(f.values))] for f in SCHEMA.features}
        if least <= (y := latency(row)) <= most:
            rows.append(row)
            found.append(y)
    return rows, np.array(found)


def latency(row: dict) -> float:
    """Layers, each bound by its products or by the transfer of its weights; whole passes over the macros."""
    total, before = 0.0, 3
    for i in range(LAYERS):
        width, bits = row[f"width{i}"], row[f"bits{i}"]
        compute = 4.0 ** (3 - i // 2) * bits * np.ceil(before * width / (256 * row["macros"]))
        total += max(compute, before * width * bits / row["bandwidth"])
        before = width
    return total


def test_one_member_is_the_sum_it_stands_for() -> None:
    layout = FeatureLayout.of(SCHEMA, SCHEMA.encode(networks(3, 0)[0]))
    (row,), _ = networks(1, 5)
    design = layout(SCHEMA.encode([row]))
    theta = np.random.default_rng(0).standard_normal((1, sum(design.parameters)))
    parameters = posynomial.split_parameters(theta, LAYERS)
    a, b, powers = parameters.a, parameters.b, parameters.powers

    def centred(name: str) -> float:
        levels = np.log(next(f.values for f in SCHEMA.features if f.name == name))
        return float(np.log(row[name]) - levels.mean())

    total = 0.0
    for layer in range(LAYERS):
        own = [centred("macros"), centred("bandwidth")]
        for shared in ("width", "bits"):
            own += [centred(f"{shared}{layer}"), centred(f"{shared}{layer - 1}") if layer else 0.0]
        for r in range(posynomial.TERMS_PER_LAYER):
            total += np.exp(a[0, r] + b[0, layer, r] + np.dot(own, powers[0, :, r]))
    assert posynomial.log_sums(theta, design).value[0, 0] == pytest.approx(np.log(total), rel=1e-12)


def test_slopes_are_those_of_finite_differences() -> None:
    rows, _ = networks(4, 1)
    design = FeatureLayout.of(SCHEMA, SCHEMA.encode(rows))(SCHEMA.encode(rows))
    theta = np.random.default_rng(1).standard_normal((2, sum(design.parameters)))
    slopes = posynomial.slopes(design, posynomial.log_sums(theta, design).products)
    step = 1e-6 * np.eye(theta.shape[1])
    each = [
        posynomial.log_sums(theta + s, design).value - posynomial.log_sums(theta - s, design).value
        for s in step
    ]
    np.testing.assert_allclose(slopes, np.stack(each, -1) / 2e-6, atol=1e-7)


def test_of_many_layers_neighbours_share_what_they_cost_alone() -> None:
    deep = Schema(
        tuple(Feature(f"width{i}", "ordinal", (1, 2, 4), "width*") for i in range(30)), log=True
    )
    design = FeatureLayout.of(deep, np.ones((2, 30)))(np.ones((2, 30)))
    assert design.segments.shape == (MAX_SEGMENTS, 30)
    np.testing.assert_array_equal(design.segments.sum(0), 1)
    assert set(design.segments.sum(1)) == {2, 3}


def test_a_layer_that_is_not_there_costs_nothing() -> None:
    rows, _ = networks(2, 2)
    short = {k: v for k, v in rows[0].items() if k not in ("width5", "bits5")}
    layout = FeatureLayout.of(SCHEMA, SCHEMA.encode(rows))
    design = layout(SCHEMA.encode([rows[0], short]))
    np.testing.assert_array_equal(design.active_mask.sum(1), [LAYERS, LAYERS - 1])
    theta = np.random.default_rng(2).standard_normal((1, sum(design.parameters)))
    sums = posynomial.log_sums(theta, design)
    whole, (first, _) = sums.value, sums.products
    assert whole[0, 1] == pytest.approx(whole[0, 0] + np.log(1 - first[-1].sum() / first.sum()))
    nothing = {f.name: rows[0][f.name] for f in CHIP}
    assert np.isfinite(posynomial.log_sums(theta, layout(SCHEMA.encode([nothing]))).value).all()


def test_without_shared_genes_it_is_one_sum_over_everything() -> None:
    schema = Schema((*CHIP, KIND, MACS), "energy_uj", log=True)
    rows = [
        {"macros": m, "bandwidth": b, "kind": k, "macs": 10.0 * m + b}
        for m in (1, 4, 16)
        for b in (8, 128)
        for k in "ab"
    ]
    encoded = schema.encode(rows)
    design = FeatureLayout.of(schema, encoded)(encoded)
    assert design.single.shape == (12, 5)  # two ordinals, two levels of a nominal, a numeric
    assert design.active_mask.all()
    np.testing.assert_allclose(
        [design.single[:, -1].mean(), design.single[:, -1].std()], [0.0, 1.0], atol=1e-12
    )
    y = np.array([r["macs"] ** 1.5 / r["macros"] * (1 + (r["kind"] == "b")) for r in rows])
    assert np.isfinite(predictors.fit(rows, y, schema, "posynomial").predict(rows).mean).all()


def test_far_from_its_data_it_is_much_closer_than_a_process() -> None:
    """Fitted to slow designs, asked for fast ones: what a search does all the time."""
    cut = np.median(networks(400, 3)[1])
    rows, y = networks(80, 4, least=cut)
    fast, y_fast = networks(60, 5, most=cut / 2)
    error = {}
    for kind in ("gp", "posynomial"):
        p = predictors.fit(rows, y, SCHEMA, kind).predict(fast)
        error[kind] = np.sqrt(np.mean((p.modelled_mean - np.log(y_fast)) ** 2))
    assert error["posynomial"] < 0.6 * error["gp"]
    assert predictors.fit(rows, y, SCHEMA).kind == "posynomial"


def test_its_held_out_error_is_that_of_rows_it_has_not_seen() -> None:
    rows, y = networks(120, 6)
    model = predictors.fit(rows[:80], y[:80], SCHEMA, "posynomial")
    off = np.sqrt(np.mean((model.predict(rows[80:]).modelled_mean - np.log(y[80:])) ** 2))
    assert 0.6 * off < model.metadata["error"] < 2.5 * off


def test_members_do_not_learn_from_rows_they_may_not_see() -> None:
    rows, y = networks(40, 7)
    encoded, target = SCHEMA.encode(rows), (np.log(y) - np.log(y).mean()) / np.log(y).std()
    seen = np.ones((2, 40))
    seen[1, :10] = 0.0
    other = np.where(np.arange(40) < 10, target + 3.0, target)
    first, again = (
        posynomial.fit(Task(SCHEMA, encoded, t, np.zeros(40), scale=1.3), seen)(encoded)
        for t in (target, other)
    )
    np.testing.assert_allclose(first[:, 1], again[:, 1], rtol=1e-6)
    assert np.abs(first[:10, 0] - again[:10, 0]).mean() > 1.0


def test_a_target_that_is_no_logarithm_gets_the_plain_process() -> None:
    rows = designs(40)
    y = np.array([truth(r) for r in rows])
    plain, asked = (predictors.fit(rows, y, space(), kind) for kind in ("gp", "posynomial"))
    np.testing.assert_array_equal(plain.predict(rows).mean, asked.predict(rows).mean)
    assert "posynomial" not in predictors.fit(rows, y, space()).selection_reason


ROWS = np.arange(24)
NEARLY_CONSTANT = {
    "1e8 and a few": 1e8 + ROWS % 7,
    "1e12 and a few": 1e12 + ROWS,
    "constant": np.full(24, 3.0),
    "last bits": 1.0 + (ROWS % 7) * 2.0**-52,
    "constant but for one outlier": np.where(ROWS == 20, 1e9, 1e3 + 1e-7 * ROWS),
    "constant but for an early outlier": np.where(ROWS == 1, 1e9, 1e3 + 1e-7 * ROWS),
}


@pytest.mark.parametrize("kind", ["auto", "posynomial"])
@pytest.mark.parametrize("case", NEARLY_CONSTANT)
def test_a_target_that_hardly_varies_can_be_fitted_and_told_more(case: str, kind: str) -> None:
    rows, y = networks(24, 3)[0], NEARLY_CONSTANT[case]
    model = predictors.fit(rows, y, SCHEMA, kind)
    for told in (model, predictors.extend(model, rows + rows[:4], np.concatenate([y, y[:4]]))):
        found = told.predict(rows)
        assert np.isfinite(found.mean).all()
        assert np.isfinite(found.std).all()
        error = np.abs(np.log(found.mean) - np.log(y))
        assert np.median(error) <= 1e-6 + 0.1 * np.log(y).std()  # an outlier may pass for noise


def test_a_candidate_that_cannot_be_fitted_loses_the_selection(monkeypatch) -> None:
    def singular(task):
        raise np.linalg.LinAlgError("Singular matrix")

    unfit = replace(BUILT_IN_KINDS["posynomial"], fit=singular)
    monkeypatch.setitem(BUILT_IN_KINDS, "posynomial", unfit)
    rows, y = networks(40, 7)
    model = predictors.fit(rows, y, SCHEMA)
    assert model.kind != "posynomial"
    assert "posynomial" not in model.selection_reason


def test_a_bundle_of_it_predicts_the_same_bits_and_can_be_told_more(tmp_path: Path) -> None:
    rows, y = networks(60, 8)
    schema = Schema((*SCHEMA.features, MACS), "latency_ms", "ms", log=True)
    table = [r | {"macs": float(sum(r[f.name] for f in WIDTHS))} for r in rows]
    model = predictors.fit(table[:50], y[:50], schema, "posynomial")
    predictors.save(model, tmp_path / "latency.cimpred")
    loaded = predictors.load(tmp_path / "latency.cimpred")
    for m in (loaded, predictors.extend(loaded, table[:50], y[:50])):
        np.testing.assert_allclose(
            m.predict(table).mean, model.predict(table).mean, rtol=0 if m is loaded else 1e-6
        )
    told = predictors.extend(loaded, table, y)
    before, after = (
        np.abs(m.predict(table[50:]).modelled_mean - np.log(y[50:])).mean() for m in (model, told)
    )
    assert after < 0.5 * before


def test_importance_counts_what_the_members_depend_on() -> None:
    rows, y = networks(80, 9)
    shares = predictors.importances(predictors.fit(rows, y, SCHEMA, "posynomial"))["ard"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["bandwidth"] > 2 * shares["bits0"]


def test_what_nothing_predicts_is_left_to_the_process() -> None:
    rows, _ = networks(40, 10)
    noise = 10.0 ** np.random.default_rng(0).uniform(-6, 6, 40)
    assert predictors.fit(rows, noise, SCHEMA).kind == "gp"
