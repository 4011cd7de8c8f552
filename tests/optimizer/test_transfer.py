"""A search that knows an older study of a related problem starts with more than one that knows nothing."""

import numpy as np
import pytest
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, area, latency, measure

from cimbo import Choice, SearchSpace, Study
from cimbo.optimizer import transfer
from cimbo.optimizer.options import N_INITIAL_WITH_PRIORS, OptimizerOptions
from cimbo.optimizer.surrogates import View

# As the toy problem, with another cell, larger arrays, and a gene that this one has not.
RELATED = SearchSpace(
    SPACE.architecture,
    [Choice("rows", [128, 256, 1024]), Choice("cell", ["d", "b", "a"]), Choice("voltage", [1, 2])],
)


def related(design: dict) -> dict[str, float]:
    twin = design | {"cell": {"d": "c"}.get(design["cell"], design["cell"])}
    metrics = measure({k: v for k, v in twin.items() if k != "voltage"})
    return metrics | {"accuracy": 0.8 * metrics["accuracy"] + 3 - design["voltage"]}


@pytest.fixture(scope="module")
def older() -> list:
    with Study.open(None, RELATED, OBJECTIVES, CONSTRAINTS) as study:
        study.optimize(related, 60, batch_size=60, guidance=OptimizerOptions(initial=60))
        return study.evaluations()


def test_designs_that_fit_are_found(older):
    fitting = transfer.fitting(SearchSpace(SPACE.architecture, RELATED.hardware), older)
    assert fitting == older
    assert transfer.fitting(SPACE, older) == []
    fewer = SearchSpace(SPACE.architecture, [Choice("rows", [128]), *RELATED.hardware[1:]])
    assert {r.params["rows"] for r in transfer.fitting(fewer, older)} == {128}


def test_priors_know_the_shared_genes_and_nothing_else(older):
    models = transfer.priors(
        SPACE, RELATED, older, {"accuracy": View(frozenset({"cell", "w1", "w2", "w3", "voltage"}))}
    )
    assert set(models["accuracy"].schema.names) == {"cell", "w1", "w2", "w3"}
    assert transfer.priors(SPACE, RELATED, older[:9], {"accuracy": View()}) == {}
    assert transfer.priors(SPACE, RELATED, older, {"energy_uj": View()}) == {}
    assert (
        transfer.priors(SearchSpace([Choice("cell", [1, 2])]), RELATED, older, {"accuracy": View()})
        == {}
    )


def test_a_warm_search_starts_earlier_and_finds_more(older):
    views = {"accuracy": View(frozenset(SPACE.names) - {"rows"})}
    priors = transfer.priors(SPACE, RELATED, older, views)
    cold = OptimizerOptions({"latency_ms": latency, "area_mm2": area}, views, kind="gp")
    warm = OptimizerOptions(cold.analytic, views, kind="gp", priors=priors)
    assert (cold.start(["accuracy", "latency_ms"]), warm.start(["accuracy", "latency_ms"])) == (
        10,
        N_INITIAL_WITH_PRIORS,
    )
    found = {
        name: [_found(guidance, seed) for seed in range(3)]
        for name, guidance in (("cold", cold), ("warm", warm))
    }
    assert np.median(found["warm"]) > np.median(found["cold"])


def _found(guidance: OptimizerOptions, seed: int) -> float:
    with Study.open(None, SPACE, OBJECTIVES, CONSTRAINTS, seed=seed) as study:
        study.optimize(measure, 14, batch_size=3, guidance=guidance)
        return study.hypervolume() or 0.0
