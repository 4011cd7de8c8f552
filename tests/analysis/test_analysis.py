"""From a front to a decision: prices against plain simulation, neighbours, robustness, and one chip for several networks."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from cimbo import Choice, Constraint, Objective, Study, hardware
from cimbo.analysis import (
    Errors,
    Portfolio,
    beaten,
    bottleneck,
    chances,
    one_step,
    prices,
    serve,
)
from cimbo.analysis.mapped_design import place
from cimbo.cli import run
from cimbo.config.study_config import preset
from cimbo.problem.objectives import Problem
from cimbo.workloads import network

CONFIG = preset("fmnist-vit")
SPACE = CONFIG.problem.space
EVALUATOR = CONFIG.evaluator()
VIT = network("fmnist-vit")


@pytest.fixture(scope="module")
def study():
    """Real chips and networks with an accuracy that is a formula, so that nothing has to be measured."""
    s = Study.open(
        None,
        SPACE,
        CONFIG.problem.objectives,
        CONFIG.problem.constraints,
        metadata={"config": {"name": "fmnist-vit", "data": dict(CONFIG.data)}},
    )
    for design in SPACE.sobol(800, 1):
        costs = EVALUATOR.costs([design])
        accuracy = (
            80 + 2 * design["depth"] ** 0.5 + design["embed"] / 32 + design.get("adc_bits", 8) / 4
        )
        s.tell(design, {"accuracy": accuracy} | {k: float(v[0]) for k, v in costs.items()})
    return s


def placed(record):
    return place(EVALUATOR, SPACE, [record.params])[0]


def test_prices_are_differences_of_plain_simulations(study):
    for record in study.pareto()[:4]:
        here = placed(record)
        now = hardware.simulate(here.workload, here.chip)
        found = prices(here)
        converters = {"ADC bit"} if "adc_bits" in here.chip else set()
        assert {p.resource for p in found} >= {"DRAM GB/s", "buffer GB/s", "NoC GB/s", *converters}
        for p in found:
            then = hardware.simulate(here.workload, {**here.chip, p.gene: p.to})
            units = {
                "DRAM GB/s": (p.to - p.start) * 8.53,  # of a channel of LPDDR4X
                "mm2": then["area_mm2"] - now["area_mm2"],
            }.get(p.resource, p.to - p.start)
            assert p.amount == pytest.approx(units, rel=1e-9)
            for metric in ("latency_ms", "energy_uj", "area_mm2"):
                assert getattr(p, metric) * p.amount == pytest.approx(
                    then[metric] - now[metric], rel=1e-6, abs=1e-12
                )


def test_of_all_steps_that_add_area_the_price_names_the_one_that_saves_most(study):
    here = placed(study.pareto()[0])
    now = hardware.simulate(here.workload, here.full)
    saved = []
    for choice in SPACE.hardware:
        if choice.name not in here.chip or choice.name in here.kept:
            continue
        i = choice.index(here.chip[choice.name])
        for value in choice.values[max(i - 1, 0) : i + 2]:
            then = hardware.simulate(here.workload, {**here.full, choice.name: value})
            if then["area_mm2"] > now["area_mm2"] + 1e-9:
                saved.append(
                    (then["latency_ms"] - now["latency_ms"]) / (then["area_mm2"] - now["area_mm2"])
                )
    price = min((p for p in prices(here) if p.resource == "mm2"), key=lambda p: p.latency_ms)
    assert price.latency_ms == pytest.approx(min(saved), rel=1e-6)
    assert price.latency_ms < 0


def test_more_bandwidth_is_never_slower_and_a_bit_more_never_saves_energy(study):
    for record in study.pareto():
        for p in prices(placed(record)):
            assert p.latency_ms <= 0 or p.resource not in ("DRAM GB/s", "buffer GB/s", "NoC GB/s")
            assert p.energy_uj > 0 or p.resource != "ADC bit"


def test_the_bottleneck_is_what_most_time_waits_for():
    narrow = hardware.BASELINE_CHIP | {
        "dram_channels": 1,
        "planes": 1,
        "pes": 64,
        "columns_per_adc": 1,
    }
    wide = hardware.BASELINE_CHIP | {"columns_per_adc": 8, "pes": 4}
    load = bottleneck(hardware.explain(VIT.workload(VIT.largest()), narrow), narrow)
    assert (load["bound"], load["genes"]) == ("weight load", ["dram_channels"])
    compute = bottleneck(hardware.explain(VIT.workload(VIT.largest()), wide), wide)
    assert compute["bound"] == "compute"
    assert 0 < compute["layer_share"] <= 1
    assert compute["share"] >= 1 / 6  # of six bounds the largest
    assert compute["genes"] == ["columns_per_adc", "pes", "macros_per_pe"]
    at_its_end = wide | {"columns_per_adc": 1, "pes": 64}
    told = bottleneck(
        hardware.explain(VIT.workload(VIT.largest()), wide), at_its_end, SPACE.hardware
    )
    assert told["genes"] == ["macros_per_pe"]  # the others have no wider value left


def test_neighbours_that_were_beaten_are_dominated_or_break_a_limit(study):
    problem = study.problem
    for record in study.pareto()[:5]:
        found = beaten(problem, record, study.evaluations(), 8)
        assert found
        distances = [len(n.changes) for n in found]
        assert distances[0] == min(distances)
        for n in found:
            assert n.how == "measured"
            if n.verdict == "beaten":
                assert min(n.margins.values()) >= 0 < max(n.margins.values())
            else:
                assert n.metrics["area_mm2"] > problem.constraints[0].bound
                assert list(n.broken) == [problem.constraints[0]]


def test_a_step_of_one_gene_costs_what_simulating_it_costs(study):
    record = study.pareto()[0]
    for n in one_step(study.problem, record, placed(record)):
        ((gene, (start, to)),) = n.changes.items()
        assert record.params[gene] == start
        assert gene != "adc_bits"  # accuracy depends on it
        costs = EVALUATOR.costs([{**record.params, gene: to}])
        assert n.metrics["latency_ms"] == pytest.approx(float(costs["latency_ms"][0]), rel=1e-9)
        assert n.margins["latency_ms"] == pytest.approx(
            n.metrics["latency_ms"] - record.metrics["latency_ms"], abs=1e-15
        )
        assert n.margins["accuracy"] == 0


def test_without_errors_the_front_is_certain_and_nothing_else_is_on_it(study):
    records = study.feasible_evaluations()
    sure = chances(
        study.problem,
        records,
        [placed(r) for r in records],
        Errors(0.0, 0.0, 0.0, 0.0),
        draws=2,
        seed=0,
    )
    front = {r.key for r in study.pareto()}
    assert [bool(c) for c in sure] == [r.key in front for r in records]
    assert set(sure) <= {0.0, 1.0}


def test_the_larger_the_error_of_accuracy_the_less_sure_the_front(study):
    records = study.feasible_evaluations()
    at = [placed(r) for r in records]
    front = {r.key for r in study.pareto()}
    sure = [
        np.mean(
            [
                c
                for c, r in zip(
                    chances(study.problem, records, at, Errors(0, 0, e, 0), draws=60, seed=3),
                    records,
                    strict=True,
                )
                if r.key in front
            ]
        )
        for e in (0.0005, 0.005, 0.05)
    ]
    assert sure[0] > sure[1] > sure[2] > 0


def test_energy_under_a_wrong_adc_is_what_the_chip_model_says_of_its_parts(study):
    from cimbo.analysis import robustness

    at = [placed(r) for r in study.feasible_evaluations()[:10]]
    base, now = (robustness._simulated(at, np.ones(3), f) for f in (1.0, 1.7))
    for i, p in enumerate(at):
        adc = hardware.simulate(p.workload, p.chip)["energy_parts_uj"]["adc"]
        assert now["energy_uj"][i] - base["energy_uj"][i] == pytest.approx(0.7 * adc, rel=1e-9)
    assert (now["latency_ms"] == base["latency_ms"]).all()
    slow = robustness._simulated(at, np.full(3, 0.5), 1.0)
    assert (slow["latency_ms"] >= base["latency_ms"]).all()
    assert (slow["area_mm2"] == base["area_mm2"]).all()


def test_designs_that_share_an_accuracy_share_its_error():
    """Two chips of one network: whatever the accuracy, the slower one is never on the front."""
    network_genes = {
        k: v for k, v in SPACE.sobol(1, 0)[0].items() if k not in hardware.BASELINE_CHIP
    }
    space, objectives = (
        SPACE,
        (Objective("accuracy", "max", 0.0), Objective("latency_ms", "min", 10.0)),
    )
    study = Study.open(None, space, objectives)
    for channels in (1, 8):
        design = {**network_genes, **hardware.BASELINE_CHIP, "planes": 1, "dram_channels": channels}
        costs = EVALUATOR.costs([design])
        study.tell(design, {"accuracy": 88.0, "latency_ms": float(costs["latency_ms"][0])})
    records = study.feasible_evaluations()
    sure = chances(
        Problem(space, objectives),
        records,
        [placed(r) for r in records],
        Errors(0.0, 0.0, 0.1, 0.0),
        draws=20,
        seed=0,
    )
    assert list(sure) == [0.0, 1.0]


SMALL = [
    Choice("rows", [64, 128]),
    Choice("cols", [64, 128]),
    Choice("macros_per_pe", [1, 4]),
    Choice("pes", [4, 16]),
    Choice("adc_bits", [6]),
    Choice("columns_per_adc", [1, 8]),
    Choice("buffer_mb", [0.25, 1]),
    Choice("buffer_gb_s", [64]),
    Choice("dram_channels", [1, 4]),
    Choice("planes", [1, 4]),
]


def test_one_chip_for_several_networks_is_the_best_of_all_chips():
    """A space so small that every chip can be tried."""
    works = [
        VIT.workload(VIT.smallest()),
        network("fmnist-mobilenet").workload(network("fmnist-mobilenet").largest()),
    ]
    asked = Portfolio(works, np.array([3.0, 1.0]), SMALL, {}, area_mm2=4.0)
    chips = [
        dict(zip([c.name for c in SMALL], v, strict=True))
        for v in itertools.product(*(c.values for c in SMALL))
    ]
    costs = asked.costs(chips)
    special = costs.min(1)
    found = {s.criterion: s for s in serve(asked, samples=64, seed=0)}
    assert found["worst case"].costs.max() == pytest.approx(costs.max(0).min(), rel=1e-12)
    mean = np.array([0.75, 0.25]) @ found["weighted mean"].costs
    assert mean == pytest.approx((np.array([0.75, 0.25]) @ costs).min(), rel=1e-12)
    assert found["regret"].regrets.max() == pytest.approx(
        (costs / special[:, None]).max(0).min() - 1, abs=1e-12
    )
    for k, work in enumerate(works):
        specialist = found[f"specialist of {work.name}"]
        assert specialist.costs[k] == pytest.approx(special[k], rel=1e-12)
        assert specialist.regrets[k] == 0
    assert all(s.area_mm2 <= 4.0 for s in found.values())


@pytest.fixture
def file(study, tmp_path):
    """The study in a file."""
    path = tmp_path / "s.db"
    with Study.open(
        path,
        SPACE,
        study.problem.objectives,
        study.problem.constraints,
        metadata=study.metadata,
    ) as s:
        for r in study.evaluations():
            s.tell(r.params, r.metrics)
    return path


def test_the_commands_print_it(study, file, capsys):
    key = study.pareto()[0].key
    assert run(["explain", key, "--study", str(file), "--format", "json"]) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert {"bottleneck", "prices", "front", "neighbours", "layers"} <= set(answer)
    assert len(answer["front"]) == len(study.pareto())
    assert "bottleneck: " in said.err
    for rows in ("prices", "front", "neighbours"):
        assert (
            run(["explain", key[:6], "--study", str(file), "--rows", rows, "--format", "csv"]) == 0
        )
        assert len(capsys.readouterr().out.splitlines()) >= 3
    drawn = file.with_name("layers.svg")
    assert run(["explain", key, "--study", str(file), "--picture", str(drawn)]) == 0
    assert drawn.read_text().startswith("<svg")
    assert all(f">{layer['name']}<" in drawn.read_text() for layer in answer["layers"])
    capsys.readouterr()
    assert run(["robust", "--study", str(file), "--draws", "5", "--format", "json"]) == 0
    designs = json.loads(capsys.readouterr().out)["designs"]
    assert {d["key"] for d in designs if d["on_front"]} == {r.key for r in study.pareto()}
    small = f"fmnist-vit={json.dumps(VIT.smallest())}"
    asked = ["portfolio", "fmnist-vit", small, key, "--area", "4", "--samples", "50"]
    assert run([*asked, "--study", str(file), "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [s["for"] for s in answer][:3] == ["worst case", "weighted mean", "regret"]
    assert len(answer) == 6
    assert all([n["network"] for n in s["networks"]] == ["fmnist-vit", small, key] for s in answer)
    assert all(s["chip"]["adc_bits"] == 6 for s in answer)


def test_costs_of_another_simulator_are_not_compared_with_ours(study, tmp_path, capsys):
    path, problem = tmp_path / "other.db", study.problem
    config = CONFIG.with_simulator("command", {"command": ["true"]})
    about = {"config": {"name": "fmnist-vit", "data": dict(config.data)}}
    with Study.open(path, SPACE, problem.objectives, problem.constraints, metadata=about) as s:
        for r in study.evaluations():
            s.tell(r.params, r.metrics | {"latency_ms": 1000 * r.metrics["latency_ms"]})
    assert run(["explain", study.pareto()[0].key, "--study", str(path), "--format", "json"]) == 0
    said = capsys.readouterr()
    assert "another simulator's" in said.err
    assert {n["how"] for n in json.loads(said.out)["neighbours"]} == {"measured"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("portfolio", "nope", "--area", "4"), "cimbo.db"),
        (("portfolio", "fmnist-vit", "--area", "0.001", "--samples", "8"), "--area"),
        (("portfolio", "fmnist-vit", "--area", "4", "--weights", "1,2"), "--weights"),
        (("portfolio", "fmnist-vit", "fmnist-vit", "--area", "4"), "NETWORKS"),
        (("portfolio", 'fmnist-vit={"depth": 3}', "--area", "4"), "fmnist-vit"),
        (("portfolio", "fmnist-vit", "--area", "4", "--fix", "colour=2"), "colour"),
        (("robust", "--draws", "0"), "--draws"),
        (("robust", "--bandwidth", "-1"), "--bandwidth"),
        (("robust", "--study", "missing.db"), "missing.db"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    assert run(list(arguments)) == 2
    said = capsys.readouterr().err
    assert word in said
    assert len(said.strip().splitlines()) == 1


def test_a_constraint_decides_who_may_be_on_a_shaken_front(study):
    """A front under a limit on latency shrinks when bandwidths may be lower."""
    tight = Constraint(
        "latency_ms",
        "<=",
        min(r.metrics["latency_ms"] for r in study.feasible_evaluations()) * 1.001,
    )
    problem = Problem(SPACE, study.problem.objectives, (tight,))
    records = [r for r in study.feasible_evaluations() if problem.feasible(r.metrics)]
    sure = chances(
        problem, records, [placed(r) for r in records], Errors(0.5, 0.0, 0.0, 0.0), draws=40, seed=0
    )
    assert 0 < sure.max() < 1


def test_metrics_that_follow_from_others_follow_the_step(study):
    product = {"energy_times_latency": "energy_uj * latency_ms"}
    known = study.problem
    problem = Problem(known.space, known.objectives, known.constraints, product)
    record = study.pareto()[0]
    metrics = problem.completed(record.metrics, record.params)
    steps = one_step(problem, replace(record, metrics=metrics), placed(record))
    assert steps
    for n in steps:
        expected = n.metrics["energy_uj"] * n.metrics["latency_ms"]
        assert n.metrics["energy_times_latency"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("fixed", ["node_nm=22", "rows=64", "array=digital_sram"])
def test_a_portfolio_keeps_its_converters_whatever_else_is_fixed(fixed, capsys):
    """A gene that only some chips have is none of the others: their neighbours are found without it."""
    asked = ["portfolio", "fmnist-vit", "--area", "4", "--samples", "40", "--fix", fixed]
    assert run([*asked, "--format", "json"]) == 0
    name, _, value = fixed.partition("=")
    for found in json.loads(capsys.readouterr().out):
        assert str(found["chip"][name]) == value
        assert found["chip"].get("adc_bits", 6) == 6


def test_a_portfolio_may_search_converters():
    from cimbo.session.portfolio import PortfolioSettings, portfolio, portfolio_workload

    network = portfolio_workload("fmnist-vit")
    settings = PortfolioSettings(4.0, fixed={"node_nm": 22}, samples=60)
    chips = portfolio({"fmnist-vit": network}, settings).chips
    for served in chips:
        is_digital = served.chip["array"] == "digital_sram"
        assert is_digital == ("adc_bits" not in served.chip)
