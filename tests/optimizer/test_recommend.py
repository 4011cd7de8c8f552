"""What is proposed: nothing twice, the same for the same log, within fixed genes and known constraints, and it helps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_problem import CONSTRAINTS, OBJECTIVES, SPACE, area, latency, measure

from cimbo import Choice, Constraint, Objective, SearchSpace
from cimbo.optimizer import modelled_units, surrogates
from cimbo.optimizer.evolution import Effort
from cimbo.optimizer.recommend import Proposal, Search, State, recommend
from cimbo.optimizer.surrogates import Inputs, SurrogateFactory, View
from cimbo.problem.objectives import Problem
from cimbo.problem.pareto import hypervolume, non_dominated


def searching(
    space=SPACE,
    objectives=OBJECTIVES,
    constraints=(),
    *,
    cheap=None,
    initial=5,
    fixed=None,
    kind="gp",
) -> Search:
    problem = Problem(space, tuple(objectives), tuple(constraints))
    return Search(
        problem,
        SurrogateFactory(space, kind, analytic=cheap or {}),
        initial,
        fixed or {},
        Effort(40, 8),
    )


def log(n: int, *, space=SPACE, seed: int = 7, of=measure, pending: int = 0) -> State:
    designs = space.sobol(n + pending, seed)
    return State.of(space, designs[:n], [of(d) for d in designs[:n]], designs[n:])


def keys(proposal: Proposal) -> list[str]:
    return [c.key for c in proposal.candidates]


@pytest.mark.parametrize("evaluated", [0, 2, 14])
def test_equal_logs_and_seeds_give_equal_proposals_of_unseen_designs(evaluated: int):
    state = log(evaluated, pending=3)
    first = recommend(searching(), state, 5, seed=1)
    assert keys(recommend(searching(), state, 5, seed=1)) == keys(first)
    seen = {SPACE.key(d) for d in SPACE.designs(state.seen)}
    assert len({*keys(first)} - seen) == len(first.candidates) >= 1
    assert {c.origin for c in first.candidates} == ({"proposed"} if evaluated == 14 else {"sobol"})
    assert bool(first.surrogates) == (evaluated == 14)


def test_sobol_designs_come_first_and_never_more_than_asked_for_in_the_study():
    search, designs = searching(initial=8), []
    for expected in (5, 3):
        found = recommend(
            search, State.of(SPACE, designs, [measure(d) for d in designs]), 5, seed=2
        )
        assert [c.origin for c in found.candidates] == ["sobol"] * expected
        designs += [c.params for c in found.candidates]
    assert designs == SPACE.sobol(8, 2)


def test_pending_designs_count_as_started():
    state = State.of(SPACE, [], [], SPACE.sobol(6, 0))
    assert len(recommend(searching(initial=8), state, 5, seed=0).candidates) == 2


@pytest.mark.parametrize("evaluated", [0, 12])
def test_fixed_genes_stay(evaluated: int):
    fixed = {"depth": 2, "cell": "b"}
    found = recommend(searching(fixed=fixed), log(evaluated), 5, seed=0)
    assert len(found.candidates) == 5
    assert all(
        {g: c.params[g] for g in fixed} == fixed and "w3" not in c.params for c in found.candidates
    )


@pytest.mark.parametrize("evaluated", [0, 12])
def test_a_constraint_that_can_be_computed_is_kept(evaluated: int):
    search = searching(constraints=[Constraint("area_mm2", "<=", 12.0)], cheap={"area_mm2": area})
    found = recommend(search, log(evaluated), 5, seed=0)
    assert len(found.candidates) == 5
    assert (area([c.params for c in found.candidates]) <= 12).all()


def test_cheap_metrics_are_predicted_exactly_and_the_others_with_doubt():
    search = searching(constraints=CONSTRAINTS, cheap={"latency_ms": latency, "area_mm2": area})
    found = recommend(search, log(14), 3, seed=0)
    for c in found.candidates:
        truth = measure(c.params)
        assert c.predicted is not None
        for metric in ("latency_ms", "area_mm2"):
            assert c.predicted[metric] == pytest.approx((truth[metric], 0.0), rel=1e-9)
        mean, deviation = c.predicted["accuracy"]
        assert deviation > 0
        assert abs(mean - truth["accuracy"]) < 10


def test_predictions_are_in_natural_units_of_logarithmic_surrogates_too():
    found = recommend(searching(), log(40), 4, seed=0)
    assert found.surrogates["latency_ms"].log
    assert not found.surrogates["accuracy"].log
    ratios = [
        c.predicted["latency_ms"][0] / measure(c.params)["latency_ms"] for c in found.candidates
    ]
    assert all(0.5 < r < 2 for r in ratios)


def test_proposals_improve_the_front_more_than_chance_does():
    state, reference = log(20), np.array([60.0, -3.0])
    problem = searching().problem

    def volume(designs: list[dict]) -> float:
        return hypervolume(problem.scores([*state.metrics, *map(measure, designs)]), reference)

    proposed = volume([c.params for c in recommend(searching(), state, 5, seed=0).candidates])
    rng = np.random.default_rng(0)
    random = [volume(SPACE.designs(SPACE.random_rows(5, rng))) for _ in range(50)]
    assert proposed > np.quantile(random, 0.9)


def test_a_space_is_proposed_to_its_last_design():
    space = SearchSpace([Choice("a", [1, 2, 3]), Choice("b", [1, 2])], [Choice("c", ["x", "y"])])

    def of(d: dict) -> dict:
        return {"accuracy": d["a"] + 0.1 * d["b"], "latency_ms": d["b"] + (d["c"] == "x") + 0.5}

    found = recommend(searching(space), log(9, space=space, of=of), 5, seed=0)
    assert len(set(keys(found))) == 3
    assert not recommend(searching(space), log(12, space=space, of=of), 5, seed=0).candidates


def test_when_everything_failed_the_search_still_goes_on():
    designs = SPACE.sobol(12, 7)
    found = recommend(searching(), State.of(SPACE, designs, [None] * 12), 5, seed=7)
    assert found.candidates
    assert not {c.key for c in found.candidates} & {SPACE.key(d) for d in designs}


def test_failed_designs_are_not_proposed_again():
    whole = log(16)
    state = State(
        whole.rows, [m if i % 2 else None for i, m in enumerate(whole.metrics)], whole.pending
    )
    assert not {*keys(recommend(searching(), state, 6, seed=0))} & {
        SPACE.key(d) for d in SPACE.designs(whole.rows)
    }


@pytest.mark.parametrize(
    ("change", "objectives", "constraints"),
    [
        ({"accuracy": 50.0}, OBJECTIVES, ()),  # one constant
        ({"accuracy": 0.0, "latency_ms": 0.0}, OBJECTIVES, ()),  # both constant, and no logarithm
        ({}, OBJECTIVES, [Constraint("area_mm2", "<=", 1.0)]),  # nothing feasible yet
        ({}, OBJECTIVES, [Constraint("latency_ms", "<=", -1.0)]),  # impossible
        ({}, OBJECTIVES, [Constraint("latency_ms", ">=", 0.0)]),  # always true
        ({}, OBJECTIVES[:1], ()),  # a single objective
        ({}, [Objective("accuracy", "max"), Objective("latency_ms", "min")], ()),  # no reference
        (
            {},
            [Objective("accuracy", "max", 999.0), Objective("latency_ms", "min", -3.0)],
            (),
        ),  # out of reach
    ],
)
def test_odd_problems_are_still_searched(change: dict, objectives, constraints):
    state = log(10, of=lambda d: measure(d) | change)
    found = recommend(searching(objectives=objectives, constraints=constraints), state, 4, seed=0)
    assert len(set(keys(found))) == 4
    for c in found.candidates:
        assert all(math.isfinite(v) for pair in (c.predicted or {}).values() for v in pair)


def test_a_single_objective_is_climbed():
    found = recommend(searching(objectives=OBJECTIVES[:1]), log(20), 4, seed=0)
    best_seen = max(m["accuracy"] for m in log(20).metrics)
    assert max(measure(c.params)["accuracy"] for c in found.candidates) > best_seen


def test_an_untrusted_surrogate_is_told_and_half_of_the_batch_explores():
    dice = np.random.default_rng(5)
    state = log(16, of=lambda d: measure(d) | {"accuracy": float(dice.normal())})
    found = recommend(searching(), state, 4, seed=0)
    assert not found.surrogates["accuracy"].trusted
    assert [c.origin for c in found.candidates].count("explored") == 2
    assert found.notes == ["surrogate of accuracy does not predict yet: 2 of 4 candidates explore"]


def test_more_genes_than_observations():
    space = SearchSpace(
        [Choice(f"g{i}", [1, 2, 3, 4]) for i in range(30)], [Choice("cell", ["a", "b"])]
    )

    def of(d: dict) -> dict:
        total = sum(v for k, v in d.items() if k != "cell")
        return {"accuracy": total + (d["cell"] == "a"), "latency_ms": 0.1 * total + 1.0}

    found = recommend(searching(space), log(6, space=space, of=of), 4, seed=0)
    assert len(set(keys(found))) == 4


@given(st.integers(0, 2**32 - 1), st.integers(8, 30), st.integers(0, 4))
@settings(max_examples=12, deadline=None)
def test_nothing_is_ever_proposed_twice_under_any_name(seed: int, evaluated: int, pending: int):
    state = log(evaluated, seed=seed % 1000, pending=pending)
    found = recommend(searching(), state, 4, seed=seed % 1000)
    identities = [
        tuple(SPACE.rows([d])[0])
        for d in (*SPACE.designs(state.seen), *(c.params for c in found.candidates))
    ]
    assert len(set(identities)) == len(identities) == evaluated + pending + 4


@pytest.mark.parametrize(
    "odd",
    [
        lambda i, m: m | {"accuracy": 50.0},
        lambda i, m: m | {"latency_ms": m["latency_ms"] * 10.0 ** (6 * (i % 7 == 0))},
        lambda i, m: None if i % 2 else m,
    ],
    ids=["constant", "outliers over six orders of magnitude", "half of them fail"],
)
def test_a_hard_run_ends_normally(odd):
    designs: list[dict] = []
    metrics: list[dict | None] = []
    for _ in range(5):
        found = recommend(searching(initial=8), State.of(SPACE, designs, metrics), 5, seed=3)
        for c in found.candidates:
            metrics.append(odd(len(designs), measure(c.params)))
            designs.append(c.params)
    assert len({SPACE.key(d) for d in designs}) == len(designs) == 23


def test_surrogates_read_rows_as_their_schema_would():
    designs = SPACE.sobol(60, 1)
    sizes = View(None, lambda ds: {"size": np.arange(len(ds))})
    for view in (View(), View(frozenset({"depth", "w3", "cell"})), sizes):
        inputs = Inputs(SPACE, SPACE.rows(designs))
        schema = view.schema(SPACE, "accuracy", log=False)
        np.testing.assert_array_equal(inputs.encoded(view), schema.encode(inputs.table(view)))


def test_alike_layers_are_learned_from_fewer_measurements():
    """Of 40 layers and 30 measurements: no layer's own share can be told, that of all together can."""
    space = SearchSpace(
        [Choice(f"w{i}", [1, 2, 3, 4]) for i in range(40)], [Choice("rows", [32, 64, 128])]
    )
    rows = space.random_rows(60, np.random.default_rng(0))
    total = rows[:, :40].sum(1)
    problem = Problem(space, (Objective("accuracy", "max"),))
    fitted = surrogates.fit(
        problem,
        rows[:30],
        [{"accuracy": float(v)} for v in total[:30]],
        SurrogateFactory(space, "gp"),
        seed=0,
    )
    assert np.corrcoef(fitted["accuracy"].mean(Inputs(space, rows[30:])), total[30:])[0, 1] > 0.95


def test_what_a_proposal_remembers_does_not_change_it():
    """A resumed search, whose memory is empty, chooses as the one that was interrupted would have."""
    search = searching(kind="auto")
    for n in (12, 14, 19):
        found = recommend(search, log(n), 3, seed=0)
    assert keys(found) == keys(recommend(searching(kind="auto"), log(19), 3, seed=0))


@pytest.mark.parametrize("m", [3, 4])
def test_three_and_four_objectives(m: int):
    more = (*OBJECTIVES, Objective("area_mm2", "min", 60.0), Objective("wires", "min", 9.0))[:m]

    def of(d: dict) -> dict:
        return measure(d) | {"wires": 1.0 + math.log2(d["rows"]) - 0.5 * d["depth"]}

    found = recommend(searching(objectives=more), log(24, of=of), 4, seed=0)
    assert len(set(keys(found))) == 4
    assert {c.origin for c in found.candidates} == {"proposed"}


def test_long_logs_are_learned_from_in_part_and_the_front_is_in_it(monkeypatch):
    scores = np.random.default_rng(0).normal(0, 1, (400, 2))
    monkeypatch.setattr(surrogates, "MAX_TRAINING_ROWS", 60)
    kept = surrogates.training_subset(scores)
    assert len(set(kept)) == len(kept) == 60
    assert set(np.flatnonzero(non_dominated(scores))) <= set(kept)
    np.testing.assert_array_equal(surrogates.training_subset(scores[:60]), np.arange(60))
    state = log(78, seed=3)
    found = recommend(searching(), state, 4, seed=0)
    assert found.surrogates["accuracy"].model.metadata[
        "rows"
    ] == 60 + 78 - modelled_units.refit_size(78, modelled_units.REFIT_GROWTH)
    ratios = [
        c.predicted["latency_ms"][0] / measure(c.params)["latency_ms"] for c in found.candidates
    ]
    assert all(0.5 < r < 2 for r in ratios)


@pytest.mark.parametrize(
    "cost",
    [
        lambda d: 1e9 + d["depth"],
        lambda d: 1e12 + d["depth"] * d["rows"],
        lambda d: 5e9 + d["depth"] % 3,
        lambda d: (
            1e12 if d["rows"] == SPACE.choices[SPACE.column["rows"]].values[0] else d["depth"]
        ),
        lambda d: 0.0 if d["depth"] < 2 else 1e-300 * d["rows"],
    ],
    ids=["offset 1e9", "offset 1e12", "ns on 5 s", "one value far off", "zeros and tiny"],
)
def test_a_cost_that_hardly_varies_or_has_an_outlier_does_not_end_the_search(cost):
    def of(design):
        return measure(design) | {"latency_ms": cost(design)}

    found = recommend(searching(kind="auto"), log(16, of=of), 3, seed=0)
    assert [c.origin for c in found.candidates].count("proposed") >= 1
