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
