"""Rows that a model should not be asked about are refused or warned of, instead of answered by 2.7e14 ms."""

import numpy as np
import pytest

import predictors
from predictors import Feature, OutsideWarning, PredictorError, Schema

RNG = np.random.default_rng(0)
FEATURES = (
    Feature("depth", "ordinal", (2, 4, 6)),
    Feature("heads_6", "ordinal", (1, 2, 4)),
    Feature("memory", "nominal", ("dram", "sram")),
    *(Feature(f"log_cycles_{i}", "numeric") for i in range(4)),
)


def rows(n):
    found = []
    for _ in range(n):
        depth = int(RNG.choice([2, 4, 6]))
        row = {"depth": depth, "memory": str(RNG.choice(["dram", "sram"]))}
        if depth == 6:
            row["heads_6"] = int(RNG.choice([1, 2, 4]))
        row |= {f"log_cycles_{i}": float(RNG.uniform(8, 12)) for i in range(4)}
        found.append(row)
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    X = rows(60)
    y = [np.exp(row["log_cycles_0"]) * row["depth"] for row in X]
    schema = Schema(FEATURES, "latency_ms", log=True)
    fitted = predictors.fit(X, y, schema, "gp")
    file = tmp_path_factory.mktemp("bundle") / "latency_ms.cimpred"
    predictors.save(fitted, file)
    return predictors.load(file)


def test_one_feature_of_many_is_refused(model):
    with pytest.raises(
        PredictorError, match=r"row 0: has no memory, log_cycles_0.* and 1 more, of 7; give every"
    ):
        model.predict([{"depth": 4}])
    ordinary = rows(1)[0]
    with pytest.raises(PredictorError, match="row 1: has no log_cycles_3, of 7"):
        model.predict([ordinary, {k: v for k, v in ordinary.items() if k != "log_cycles_3"}])


def test_an_inactive_gene_may_be_missing_and_any_may_be_none(model, recwarn):
    found = model.predict([row for row in rows(20) if row["depth"] != 6])
    assert np.isfinite(found.mean).all()
    assert np.isfinite(model.predict([rows(1)[0] | {"memory": None}]).mean).all()
    assert not recwarn.list


def test_far_values_are_warned_of_and_near_ones_are_not(model, recwarn):
    near = [row | {"log_cycles_0": 14.0} for row in rows(3)]
    model.predict(near)
    assert not recwarn.list
    far = rows(2)[:1] + [row | {"log_cycles_0": 30.0} for row in rows(2)]
    with pytest.warns(OutsideWarning, match=r"'log_cycles_0': 30 is far from .* \(2 of 3 rows\)"):
        model.predict(far)


def test_unknown_categories_are_refused_or_warned_of(model):
    with pytest.raises(PredictorError, match="value flash is not allowed; allowed: dram, sram"):
        model.predict([rows(1)[0] | {"memory": "flash"}])
    X = [{"memory": m, "bits": b} for m in ("dram", "sram") for b in range(8)]
    open_model = predictors.fit(X, [row["bits"] + 1.0 for row in X], kind="gp")
    with pytest.warns(OutsideWarning, match="'memory': flash is none of dram, sram"):
        open_model.predict([{"memory": "flash", "bits": 3}])


def test_models_of_older_bundles_refuse_missing_measures_only(model):
    from dataclasses import replace

    older = replace(model, metadata={"rows": 60})
    ordinary = rows(1)[0]
    ordinary.pop("memory")
    assert np.isfinite(older.predict([ordinary]).mean).all()
    with pytest.raises(PredictorError, match="has no log_cycles_0"):
        older.predict([{"depth": 4}])


def widths():
    """Rows whose schema is inferred: widths of 16 to 256, and their costs."""
    X = [{"width": 16 * (i % 16 + 1), "bits": 4 + i % 3} for i in range(32)]
    return X, [0.9 * row["width"] * row["bits"] / 4 for row in X]


def test_a_number_that_is_none_is_refused_where_a_schema_is_inferred():
    X, y = widths()
    broken = [*X[:3], {"width": np.nan, "bits": 4}, *X[4:]]
    with pytest.raises(PredictorError, match="row 3 holds NaN in 'width'; leave the row out"):
        predictors.fit(broken, y, kind="gp")
    fitted = predictors.fit(broken, y, predictors.infer(broken), "gp")  # NaN is an inactive gene
    assert fitted.predict([{"width": np.nan, "bits": 4}]).mean.shape == (1,)
    fitted = predictors.fit(X, y, kind="gp")
    for bad in ([{"width": np.nan, "bits": 4}], np.array([[np.nan, 4.0]])):
        with pytest.raises(PredictorError, match="row 0: holds NaN in 'width', which no row had"):
            fitted.predict(bad)
    with pytest.raises(PredictorError, match="value inf is not allowed"):
        fitted.predict([{"width": np.inf, "bits": 4}])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scikit_learns_door_refuses_it_too(bad):
    X, y = widths()
    table = np.array([[row["width"], row["bits"]] for row in X], float)
    fitted = predictors.SklearnPredictor("gp").fit(table, y)
    table[3, 0] = bad
    with pytest.raises(ValueError, match=r"NaN|inf"):
        predictors.SklearnPredictor("gp").fit(table, y)
    with pytest.raises(ValueError, match=r"NaN|inf"):
        fitted.predict(table)


def test_beyond_the_levels_it_is_said_that_the_interval_does_not_hold():
    X, y = widths()
    fitted = predictors.fit(X, y, kind="gp")
    with pytest.warns(OutsideWarning, match="that of 256, and its interval does not hold"):
        beyond = fitted.predict([{"width": 300, "bits": 5}])
    assert beyond.mean == pytest.approx(fitted.predict([{"width": 256, "bits": 5}]).mean)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    X, y = widths()
    file = tmp_path / "nodir" / "x.cimpred"
    with pytest.raises(
        PredictorError, match=r"the folder .*nodir does not exist; make that folder"
    ):
        predictors.save(predictors.fit(X, y, kind="gp"), file)
