"""The joint space: one design, one row, one dict, one key; and exact counts, against enumeration by brute force."""

import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cimbo import BadInput, Choice, SearchSpace
from cimbo.problem import listing
from cimbo.problem.counting import estimate_designs
from cimbo.problem.space import INACTIVE_INDEX
from cimbo.workloads import network

VIT_GENES = [
    Choice("depth", [2, 3]),
    Choice("heads_1", [2, 4]),
    Choice("heads_3", [2, 4, 8], {"depth": [3]}),
]
CHIP_GENES = [
    Choice("rows", [64, 128]),
    Choice("array", ["analog", "digital"]),
    Choice("adc", [4, 5], {"array": ["analog"]}),
]
SMALL = SearchSpace(VIT_GENES, CHIP_GENES)


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Up to six genes, of numbers or strings; each may depend on up to two earlier ones, so chains of gates occur."""
    choices: list[Choice] = []
    for i in range(draw(st.integers(1, 6))):
        values = draw(
            st.sampled_from([[1], [3, 5], [8, 2, 4], ["x", "y"], [0.5, 1.5, 2.5], ["only"]])
        )
        gates = (
            draw(st.lists(st.sampled_from(choices), max_size=2, unique_by=lambda c: c.name))
            if choices
            else []
        )
        conditions = {
            g.name: draw(st.lists(st.sampled_from(g.values), min_size=1, unique=True))
            for g in gates
        }
        choices.append(Choice(f"g{i}", values, conditions))
    order = draw(st.permutations(choices))  # a gate may stand after the genes that it switches
    split = draw(st.integers(0, len(order)))
    return SearchSpace(order[:split], order[split:])


def every(space: SearchSpace) -> list[dict]:
    """All settings of all genes, inactive ones included."""
    return [
        dict(zip(space.names, values, strict=True))
        for values in itertools.product(*(c.values for c in space.choices))
    ]


def active_part(space: SearchSpace, setting: dict) -> tuple:
    """The meaning of a setting, from the definition alone: a gene counts while all its gates count and are open."""
    by_name = {c.name: c for c in space.choices}

    def counts(name: str) -> bool:
        return all(
            counts(g) and setting[g] in values for g, values in by_name[name].active_if.items()
        )

    return tuple((n, setting[n]) for n in space.names if counts(n))


@given(spaces())
@settings(max_examples=80)
def test_designs_are_the_same_exactly_where_their_active_genes_are(space: SearchSpace):
    settings_ = every(space)
    meanings = [active_part(space, s) for s in settings_]
    assert space.size == len(set(meanings))
    assert [tuple(d.items()) for d in space.designs(space.rows(settings_))] == meanings
    rows = [r.tobytes() for r in space.rows(settings_)]
    keys = [space.key(s) for s in settings_]
    assert len(set(keys)) == len(set(rows)) == len(set(meanings))
    assert len(set(zip(keys, rows, meanings, strict=True))) == len(set(meanings))


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=80)
def test_rows_and_designs_round_trip(space: SearchSpace, seed: int):
    rng = np.random.default_rng(seed)
    any_rows = rng.integers(-1, space.cardinalities, size=(20, len(space.names)))
    rows = space.canonical_rows(any_rows)
    np.testing.assert_array_equal(space.canonical_rows(rows), rows)
    np.testing.assert_array_equal(space.rows(space.designs(rows)), rows)
    np.testing.assert_array_equal(
        space.canonical_rows(space.random_rows(20, rng)) < space.cardinalities, True
    )
    assert space.designs(any_rows) == space.designs(rows)
    for design in space.designs(rows):
        assert space.canonical(design) == design
        assert tuple(design.items()) == active_part(
            space, {c.name: c.values[0] for c in space.choices} | design
        )


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=80)
def test_sobol_points_are_different_and_deterministic(space: SearchSpace, seed: int):
    n = min(space.size, 12)
    designs = space.sobol(n, seed)
    assert len(designs) == n == len({space.key(d) for d in designs})
    assert space.sobol(n, seed) == designs
    assert space.sobol(max(n // 2, 1), seed) == designs[: max(n // 2, 1)]
    assert space.sobol(0, seed) == []
    everything = space.sobol(10 * space.size, seed)
    assert len(everything) == space.size == len({space.key(d) for d in everything})


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=80)
def test_neighbours_differ_in_one_gene_and_are_all_there(space: SearchSpace, seed: int):
    design = space.designs(space.random_rows(1, np.random.default_rng(seed)))[0]
    neighbours = space.neighbours(design)
    for other in neighbours:
        assert sum(design[g] != other[g] for g in design.keys() & other) == 1
        awake = other.keys() - design.keys()
        assert all(other[g] == space.choices[space.column[g]].values[0] for g in awake)
    keys = {space.key(o) for o in neighbours}
    assert (
        len(keys)
        == len(neighbours)
        == sum(len(c.values) - 1 for c in space.choices if c.name in design)
    )
    assert space.key(design) not in keys


@given(spaces())
def test_json_round_trip(space: SearchSpace):
    again = SearchSpace.from_json(json.loads(json.dumps(space.to_json())))
    assert again == space
    assert again.to_json() == space.to_json()
    design = space.sobol(1)[0]
    assert again.key(design) == space.key(design)


def test_values_of_ordered_genes_are_sorted_and_of_unordered_ones_are_not():
    assert Choice("n", [8, 2, 4.5]).values == (2, 4.5, 8)
    assert Choice("s", ["b", "a"]).values == ("b", "a")


def test_encode_gives_values_indices_and_nan():
    rows = SMALL.rows(
        [
            {"depth": 2, "heads_1": 4, "rows": 128, "array": "digital"},
            {"depth": 3, "heads_1": 2, "heads_3": 8, "rows": 64, "array": "analog", "adc": 5},
        ]
    )
    nan = math.nan
    np.testing.assert_array_equal(
        SMALL.encode(rows), [[2, 4, nan, 128, 1, nan], [3, 2, 8, 64, 0, 5]]
    )
    assert list(rows[0]) == [0, 1, INACTIVE_INDEX, 1, 1, INACTIVE_INDEX]


def test_equal_numbers_are_one_value():
    design = {"depth": 2, "heads_1": 4, "rows": 128, "array": "digital"}
    assert SMALL.key(design) == SMALL.key(design | {"rows": 128.0, "heads_1": np.int64(4)})
    assert SMALL.canonical(design | {"rows": 128.0}) == design


def test_keys_never_change():
    """Studies on disk hold these keys. blake2b of the sorted JSON of the active genes, computed with b2sum -l 48."""
    assert (
        SMALL.key({"depth": 2, "heads_1": 4, "heads_3": 8, "rows": 64, "array": "digital"})
        == "d17860650f83"
    )
    assert (
        SMALL.key(
            {"depth": 2, "heads_1": 4, "rows": 64, "array": "digital"}, genes=["depth", "heads_3"]
        )
        == "e9d260966a19"
    )


def test_a_key_of_some_genes_is_shared_by_designs_that_agree_on_them():
    one = {"depth": 3, "heads_1": 2, "heads_3": 8, "rows": 64, "array": "analog", "adc": 5}
    genes = [c.name for c in SMALL.architecture]
    assert (
        SMALL.key(one, genes)
        == SMALL.key(one | {"rows": 128, "adc": 4}, genes)
        != SMALL.key(one | {"heads_3": 2}, genes)
    )


def test_size_of_real_spaces():
    """ofa-mobilenetv3: (9 ** 2 + 9 ** 3 + 9 ** 4) ** 5 blocks times 7 resolutions, section 3 of arXiv 1908.09791."""
    assert SearchSpace(network("ofa-mobilenetv3").choices()).size == 7 * (9**2 + 9**3 + 9**4) ** 5
    assert SearchSpace(network("fmnist-vit").choices()).size == 3 * sum(
        12**depth for depth in (2, 3, 4, 5, 6)
    )


def test_size_of_three_gates_and_a_chain():
    chain = SearchSpace(
        [
            Choice("a", [0, 1]),
            Choice("b", [0, 1, 2], {"a": [1]}),
            Choice("c", list(range(5)), {"b": [0, 2]}),
        ]
    )
    assert chain.size == 1 + 1 + 2 * 5


def test_sobol_is_the_same_in_another_process():
    program = (
        "from cimbo import Choice, SearchSpace\n"
        "s = SearchSpace([Choice(f'g{i}', ['p', 'q', 'r']) for i in range(9)])\n"
        "print([s.key(d) for d in s.sobol(9, 3)])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    space = SearchSpace([Choice(f"g{i}", ["p", "q", "r"]) for i in range(9)])
    assert said == f"{[space.key(d) for d in space.sobol(9, 3)]}\n"


def test_sobol_fills_the_space_more_evenly_than_chance():
    """Of 64 points in 2 dimensions of 8 values each, a Sobol sequence has one in every cell (scrambling keeps that)."""
    space = SearchSpace([Choice("a", list(range(8))), Choice("b", list(range(8)))])
    first = space.sobol(64, 5)
    counts = np.zeros((4, 4))
    for d in first[:16]:
        counts[d["a"] // 2, d["b"] // 2] += 1
    assert (counts == 1).all()


@pytest.mark.parametrize(
    ("design", "complaint"),
    [
        (
            {"depth": 2, "heads_1": 2, "rows": 64, "array": "digital", "deph": 3},
            r"gene deph: is not in this space; did you mean depth\? the genes are depth",
        ),
        (
            {"depth": 2, "rows": 64, "array": "digital"},
            r"gene heads_1 is missing; give it one of \[2, 4\]",
        ),
        ({"depth": 3, "heads_1": 2, "rows": 64, "array": "digital"}, "gene heads_3 is missing"),
        (
            {"depth": 2, "heads_1": 3, "rows": 64, "array": "digital"},
            r"gene heads_1: cannot be 3; choose one of \[2, 4\]",
        ),
        ({"depth": 2, "heads_1": 2, "rows": "64", "array": "digital"}, "gene rows: cannot be '64'"),
        (
            {"depth": 2, "heads_1": 2, "rows": math.nan, "array": "digital"},
            "gene rows: cannot be nan",
        ),
        ({"depth": 2, "heads_1": 2, "rows": [64], "array": "digital"}, "gene rows: cannot be"),
    ],
)
def test_wrong_designs_are_refused(design, complaint):
    with pytest.raises(BadInput, match=complaint):
        SMALL.canonical(design)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Choice("", [1]), "a gene needs a name"),
        (lambda: Choice("g", []), "at least one value"),
        (lambda: Choice("g", [1, 2, 1.0]), "none twice"),
        (lambda: Choice("g", [1, "a"]), "all finite numbers or all strings"),
        (lambda: Choice("g", [1, math.nan]), "all finite numbers"),
        (lambda: Choice("g", [math.inf]), "all finite numbers"),
        (lambda: Choice("g", [10**400]), "all finite numbers"),
        (lambda: Choice("g", [None]), "all finite numbers or all strings"),
        (lambda: Choice("g", [[1], [2]]), "all finite numbers or all strings"),
        (lambda: SearchSpace(), "has no genes"),
        (lambda: SearchSpace([Choice("g", [1])], [Choice("g", [2])]), "stand more than once"),
        (lambda: SearchSpace([Choice("g", [1], {"h": [1]})]), "unknown gene h"),
        (
            lambda: SearchSpace([Choice("g", [1]), Choice("h", [1], {"g": [2]})]),
            "gene h, active_if g: cannot be 2",
        ),
        (lambda: SearchSpace([Choice("g", [1], {"g": [1]})]), "cycle"),
        (
            lambda: SearchSpace([Choice("g", [1], {"h": [1]}), Choice("h", [1], {"g": [1]})]),
            "cycle",
        ),
    ],
)
def test_impossible_spaces_are_refused(make, complaint):
    with pytest.raises(BadInput, match=complaint):
        make()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "values", "active_if", "g"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["architecture", "hardware"]),
        JSON
        | st.lists(
            st.fixed_dictionaries({"name": JSON, "values": JSON}, optional={"active_if": JSON}),
            max_size=2,
        ),
    )
)
@settings(max_examples=300)
def test_whatever_is_no_description_of_genes_is_refused_in_one_line(data):
    try:
        space = SearchSpace.from_json(data)
    except BadInput as error:
        told = str(error)
    else:
        told = "a space"
        assert space.size >= 1
        assert space.sobol(1)[0] == space.canonical(space.sobol(1)[0])
    assert "\n" not in told


# ---- large spaces ---------------------------------------------------------------------------------------------------


def switches(n: int) -> SearchSpace:
    """A chain: each skip needs the two switches beside it (Ax, issue 2539)."""
    uses = [Choice(f"use{i}", [0, 1]) for i in range(n)]
    skips = [
        Choice(f"skip{i}", [0, 1], active_if={f"use{i}": [1], f"use{i + 1}": [1]})
        for i in range(n - 1)
    ]
    return SearchSpace(architecture=[*uses, *skips])


def test_chained_switches_are_counted_exactly_however_many():
    # Of a chain of n: a design of n - 1 and one more switch; f counts those that end in an open switch, g in a shut one.
    f, g = 1, 1
    for n in range(2, 61):
        f, g = 2 * f + g, f + g
        if n in (2, 3, 8, 20, 60):
            space = switches(n)
            assert space.size_is_exact
            assert space.size == f + g
    assert len(switches(60).sobol(3)) == 3


def test_a_gate_of_many_is_counted_and_so_is_a_deep_nest():
    gates = [Choice(f"g{i}", [0, 1, 2]) for i in range(40)]
    space = SearchSpace([*gates, Choice("last", range(5), {g.name: [1, 2] for g in gates})])
    assert space.size == (3**40 - 2**40) + 2**40 * 5
    nest = [Choice("n0", [0, 1])]
    nest += [Choice(f"n{i}", [0, 1], active_if={f"n{i - 1}": [1]}) for i in range(1, 60)]
    assert SearchSpace(nest).size == 61
    assert len(SearchSpace(nest).sobol(100)) == 61


def test_what_cannot_be_counted_is_estimated():
    rng = np.random.default_rng(0)
    gates = [Choice(f"g{i}", [0, 1]) for i in range(60)]
    tangled = []
    for i in range(400):
        a, b = rng.choice(60, 2, replace=False)
        tangled.append(Choice(f"t{i}", [0, 1], active_if={f"g{a}": [1], f"g{b}": [1]}))
    space = SearchSpace([*gates, *tangled])
    assert not space.size_is_exact
    assert (
        2.0**150 < space.size < 2.0**330
    )  # a quarter of 400 open on average, most of the sum where more are
    assert len(space.sobol(5)) == 5


@pytest.mark.parametrize("condition", ["use0 + use1 == 1", "use2 >= use3", "use0 == 0"])
def test_an_estimate_counts_what_keeps_the_constraints(condition):
    space = SearchSpace(architecture=switches(8).architecture, constraints=[condition])
    assert space.size_is_exact
    assert listing.estimated_size(space) == pytest.approx(space.size, rel=0.1)


def test_the_estimate_is_right_where_the_number_is_known():
    space = switches(8)
    active = space.random_rows(20_000, np.random.default_rng(1)) != -1
    assert estimate_designs(space.cardinalities, active) == pytest.approx(space.size, rel=0.05)


def test_a_gene_of_more_values_than_16_bits_count_keeps_them_all():
    space = SearchSpace([Choice("wide", range(40_000)), Choice("narrow", ["a", "b"])])
    assert space.size == 80_000
    designs = [{"wide": 39_999, "narrow": "b"}, {"wide": 32_768, "narrow": "a"}]
    assert space.designs(space.rows(designs)) == designs
    drawn = space.random_rows(1000, np.random.default_rng(0))
    assert drawn.min() >= 0
    assert (drawn[:, 0] > 32_767).any()
    assert len(space.sobol(80_000)) == 80_000


def test_a_condition_on_a_value_that_is_none_names_the_gene_that_has_it():
    genes = [Choice("b", [1, 2]), Choice("a", [3, 4], active_if={"b": [9]})]
    with pytest.raises(
        BadInput, match=r"^gene a, active_if b: cannot be 9; choose one of \[1, 2\]$"
    ):
        SearchSpace(genes)
