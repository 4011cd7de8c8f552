"""Joint search problems that cost nothing to evaluate, with the best front known of each.

    python benchmarks/problems.py            # searches every front anew (NSGA-II, 2 x 60,000 evaluations); writes problems.json

Two kinds. *First kind*: 36 or 56 ordinal genes, all active, a latency made of ceil and max terms with a heavy tail; shares of
hypervolume in natural units. *Second kind*: genes that depth switches off; shares of hypervolume on the logarithm of costs.
``ofa-mobilenet`` takes its accuracy from a model of real ImageNet measurements (OFA-MobileNetV3, IntelLabs/DyNAS-T,
Apache-2.0), read from ``../shared/data``, and is left out where they are absent.

The formulas are caricatures with the shape of the real thing, no model of a chip: cycles are tiles of a weight matrix on
crossbars, times serial input bits and shared converters, against the time that weights and activations need to arrive.
"""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from joint_problem import HERE, Array, Compute, Problem

from cimbo import Choice, Objective, SearchSpace
from cimbo.optimizer import evolution
from cimbo.problem.pareto import non_dominated
from cimbo.problem.space import Rows

MEASURED = HERE.parent.parent / "shared" / "data"


# ---- a weight-stationary accelerator, in a dozen lines ------------------------------------------------------------------

CHIP = (
    Choice("rows", [32, 64, 128, 256, 512]),
    Choice("cols", [32, 64, 128, 256, 512]),
    Choice("macros", [4, 8, 16, 32, 64]),
    Choice("adc_bits", [3, 4, 5, 6, 7, 8]),
    Choice("columns_per_adc", [1, 2, 4, 8, 16]),
    Choice("buffer_kb", [32, 64, 128, 256, 512, 1024]),
    Choice("buffer_bw", [64, 128, 256, 512]),
    Choice("dram_bw", [8, 16, 32, 64, 128]),
)


def costs(
    g: Mapping[str, Array], layers: Iterable[tuple[Any, Any, Any, Any, Any]]
) -> dict[str, Array]:
    """Latency, energy and area of ``layers`` (pixels, inputs, outputs, weight bits, input bits; each (n,) or a number).

    A layer of 0 outputs is not there.
    """
    cycles, energy = np.zeros(len(g["rows"])), np.zeros(len(g["rows"]))
    for pixels, inputs, outputs, weight_bits, input_bits in layers:
        tiles = np.ceil(inputs / g["rows"]) * np.ceil(outputs * weight_bits / g["cols"])
        conversions = pixels * tiles * input_bits * g["cols"]
        rounds = np.ceil(pixels / np.maximum(g["macros"] // np.maximum(tiles, 1), 1)) * np.ceil(
            tiles / g["macros"]
        )
        compute = rounds * input_bits * g["columns_per_adc"] * (1 + g["adc_bits"] / 8)
        kilobytes = inputs * outputs * weight_bits / 8192
        passes = np.where(kilobytes > g["buffer_kb"], np.ceil(kilobytes / g["buffer_kb"]), 0)
        load = (
            1024
            * (kilobytes * (passes > 0) + pixels * outputs * np.sqrt(passes) / 8192)
            / g["dram_bw"]
        )
        move = pixels * (inputs + outputs) * input_bits / g["buffer_bw"]
        cycles += np.where(
            outputs > 0, np.maximum(compute, np.maximum(load, move)) + 200 * passes, 0
        )
        energy += conversions * 2.0 ** g["adc_bits"] * 2e-6 + 1e-3 * (
            g["dram_bw"] * load + 0.1 * g["buffer_bw"] * move
        )
    converters = g["macros"] * np.ceil(g["cols"] / g["columns_per_adc"]) * 2.0 ** g["adc_bits"]
    area = (
        0.4
        + 2e-6 * g["macros"] * g["rows"] * g["cols"]
        + 1.2e-5 * converters
        + 0.002 * g["buffer_kb"]
    )
    area += 0.001 * g["buffer_bw"] + 0.01 * g["dram_bw"]
    return {
        "latency_ms": cycles * 2e-6,
        "energy_uj": energy * 0.01 + 0.05 * area * cycles * 2e-6,
        "area_mm2": area,
    }


def analog_loss(g: Mapping[str, Array]) -> Array:
    """Points of accuracy lost where the converter cannot resolve what the rows add up to; (n,)."""
    return 0.9 * np.log1p(np.exp(0.5 * np.log2(g["rows"]) + 1.5 - g["adc_bits"])) ** 1.5


# ---- first kind -----------------------------------------------------------------------------------------------------------


def chain(
    name: str, objectives: tuple[Objective, ...], *, layers: int, bits: tuple[str, ...]
) -> Problem:
    """Convolutions one after another, each with a width, a kernel and ``bits``; 8 chip genes and the input's resolution."""
    genes: list[Choice] = []
    for i in range(layers):
        base = 16 * 2 ** (3 * i // layers)
        genes += [
            Choice(f"width{i}", [base, 3 * base // 2, 2 * base, 3 * base, 4 * base]),
            Choice(f"kernel{i}", [1, 3, 5, 7]),
        ]
        genes += [Choice(f"{b}{i}", [2, 3, 4, 6, 8]) for b in bits]
    extra = () if len(bits) > 1 else (Choice("resolution", [24, 28, 32, 40, 48]),)
    importance = np.random.default_rng(layers).lognormal(0, 0.7, (3, layers))

    def compute(g: Mapping[str, Array]) -> dict[str, Array]:
        size = g.get("resolution", np.full(len(g["rows"]), 32.0))
        shapes, lost, before = [], analog_loss(g), np.full(len(size), 3.0)
        for i in range(layers):
            width, kernel, w_bits = g[f"width{i}"], g[f"kernel{i}"], g[f"{bits[0]}{i}"]
            a_bits = g[f"{bits[-1]}{i}"]
            shapes.append(
                (
                    np.ceil(size / 2 ** (3 * i // layers)) ** 2,
                    before * kernel**2,
                    width,
                    w_bits,
                    a_bits,
                )
            )
            narrow = 16 * 2 ** (3 * i // layers) / np.minimum(width, before * (2 if i else 1e9))
            field = np.exp(-kernel / (2 + 2 * (i < layers // 2)))
            rough = 2.0 ** (2 - np.minimum(w_bits, a_bits + 1.0)) + 0.5 * 2.0 ** (2 - a_bits)
            lost = (
                lost + importance[0, i] * narrow + 1.6 * importance[1, i] * field * (0.5 + narrow)
            )
            lost = lost + 1.5 * importance[2, i] * rough * (0.6 + 0.8 * narrow)
            before = width
        lost = lost + 60 * np.exp(-size / 9)
        return {"accuracy": 80 - 1.8 * lost * 9 / layers} | costs(g, shapes)

    return Problem(name, SearchSpace(genes, (*CHIP, *extra)), objectives, compute)


# ---- second kind ----------------------------------------------------------------------------------------------------------


def transformer(name: str, objectives: tuple[Objective, ...]) -> Problem:
    """44 genes: up to 12 blocks, each with heads, a feed-forward width and weight bits, on eight chip genes."""
    depths = list(range(5, 13))
    genes = [Choice("depth", depths)]
    for i in range(12):
        gate = {"depth": [d for d in depths if d > i]} if i >= depths[0] else None
        options = {"heads": [2, 4, 6, 8], "ffn": [128, 256, 512, 768, 1024], "bits": [3, 4, 6, 8]}
        genes += [Choice(f"{option}{i}", values, gate) for option, values in options.items()]
    importance = np.random.default_rng(44).lognormal(0, 0.6, (3, 12))

    def compute(g: Mapping[str, Array]) -> dict[str, Array]:
        shapes, power, lost = [], np.zeros(len(g["rows"])), analog_loss(g)
        for i in range(12):
            here = ~np.isnan(g[f"heads{i}"])
            heads, ffn, bits = (
                np.where(here, g[f"{gene}{i}"], 0) for gene in ("heads", "ffn", "bits")
            )
            shapes += [
                (64, 192, 96 * heads, bits, 8),
                (64, 32 * heads, np.where(here, 192, 0), bits, 8),
            ]
            shapes += [(64, 192, ffn, bits, 8), (64, ffn, np.where(here, 192, 0), bits, 8)]
            power += here * (
                importance[0, i] * np.sqrt(heads / 8) + importance[1, i] * np.log1p(ffn / 128) / 2
            )
            lost += here * importance[2, i] * 2.0 ** (1.5 - bits) * (1 + (i < 2))
        return {"accuracy": 84 - 60 * np.exp(-power / 5) - 0.8 * lost} | costs(g, shapes)

    return Problem(
        name,
        SearchSpace(genes, CHIP[:7]),
        objectives,
        _with(compute, dram_bw=32.0),
        frozenset({"latency_ms"}),
    )


def _with(compute: Compute, **fixed: float) -> Compute:
    return lambda g: compute({**g, **{k: np.full(len(g["rows"]), v) for k, v in fixed.items()}})


_STAGES = (
    (16, 24, 112),
    (24, 40, 56),
    (40, 80, 28),
    (80, 112, 14),
    (112, 160, 14),
)  # channels in, out, pixels a side


def ofa_mobilenet(name: str, objectives: tuple[Objective, ...]) -> Problem:
    """53 genes: OFA-MobileNetV3 (five depths, twenty kernels and expansions) on eight chip genes.

    The accuracy is modelled: a ridge regression and boosted trees on its residual, fitted to real measurements.
    """
    genes = [Choice(f"depth{s}", [2, 3, 4]) for s in range(5)]
    for i in range(20):
        gate = {f"depth{i // 4}": [d for d in (2, 3, 4) if d > i % 4]} if i % 4 >= 2 else None
        genes += [Choice(f"kernel{i}", [3, 5, 7], gate), Choice(f"expand{i}", [3, 4, 6], gate)]
    space = SearchSpace(genes, CHIP)

    def compute(g: Mapping[str, Array]) -> dict[str, Array]:
        shapes = _mobile_layers(g)
        return {"accuracy": _imagenet(tuple(c.name for c in genes))(g) - analog_loss(g)} | costs(
            g, shapes
        )

    return Problem(name, space, objectives, compute, frozenset({"latency_ms"}))


def _mobile_layers(g: Mapping[str, Array]) -> list[tuple[Any, Any, Any, Any, Any]]:
    shapes: list[tuple[Any, Any, Any, Any, Any]] = []
    for i in range(20):
        (before, after, side), first = _STAGES[i // 4], i % 4 == 0
        side = side // (2 if i // 4 != 3 else 1) if not first or i // 4 == 3 else side
        inputs = before if first else after
        kernel, wide = (np.nan_to_num(g[f"{gene}{i}"]) for gene in ("kernel", "expand"))
        wide = wide * inputs
        out = np.where(wide > 0, after, 0)
        shapes += [
            (side**2, inputs, wide, 8, 8),
            (side**2, kernel**2, wide, 8, 8),
            (side**2, wide, out, 8, 8),
        ]
    return shapes


@cache
def _imagenet(names: tuple[str, ...]) -> Callable[[Mapping[str, Array]], Array]:
    """Top-1 in percent as a function of OFA-MobileNetV3's genes."""
    import xgboost
    from sklearn.linear_model import RidgeCV

    tables, accuracy = [], []
    for file in sorted(MEASURED.glob("ofa_mbv3_imagenet_*.csv")):
        with file.open() as lines:
            for line in csv.DictReader(lines):
                tables.append(_network(ast.literal_eval(line["Sub-network"])))
                accuracy.append(float(line["Top-1 Acc (%)"]))
    y = np.array(accuracy)
    x = _described({name: np.array([t.get(name, np.nan) for t in tables], float) for name in names})
    line = RidgeCV(np.logspace(-3, 2, 11)).fit(x, y)
    settings = {
        "max_depth": 4,
        "eta": 0.05,
        "subsample": 0.8,
        "colsample_bytree": 0.5,
        "nthread": 1,
        "base_score": 0.0,
    }
    trees = xgboost.train(settings, xgboost.DMatrix(x, y - line.predict(x), nthread=1), 200)
    return lambda g: (
        line.predict(_described(table := {n: g[n] for n in names}))
        + trees.inplace_predict(_described(table))
    )


def _network(found: Mapping[str, Sequence[int]]) -> dict[str, int]:
    depth = {f"depth{s}": d for s, d in enumerate(found["d"])}
    active = [i for i in range(20) if i % 4 < found["d"][i // 4]]
    return depth | {
        f"{g}{i}": found[k][i] for g, k in (("kernel", "ks"), ("expand", "e")) for i in active
    }


def _described(g: Mapping[str, Array]) -> Array:
    """Genes as numbers, 0 where inactive, and the logarithm of the multiplications (n, k)."""
    macs = sum(p * np.broadcast_to(i * o, len(g["depth0"])) for p, i, o, _, _ in _mobile_layers(g))
    return np.column_stack([*(np.nan_to_num(v) for v in g.values()), np.log(macs)])


# ---- the list -------------------------------------------------------------------------------------------------------------


def _objectives(accuracy: float, latency_ms: float, **third: float) -> tuple[Objective, ...]:
    others = tuple(Objective(name, "min", reference) for name, reference in third.items())
    return (
        Objective("accuracy", "max", accuracy),
        Objective("latency_ms", "min", latency_ms),
        *others,
    )


def _problems() -> dict[str, Problem]:
    listed = [
        chain("chain-36", _objectives(40.0, 0.3), layers=9, bits=("bits",)),
        chain("chain-56", _objectives(45.0, 0.25), layers=12, bits=("weight", "input")),
        chain("chain-36-area", _objectives(35.0, 1.0, area_mm2=3.0), layers=9, bits=("bits",)),
        chain(
            "chain-56-energy",
            _objectives(40.0, 0.4, energy_uj=80.0),
            layers=12,
            bits=("weight", "input"),
        ),
        transformer("transformer-44", _objectives(76.0, 1.0)),
    ]
    if list(MEASURED.glob("ofa_mbv3_imagenet_*.csv")):
        listed.append(ofa_mobilenet("ofa-mobilenet", _objectives(73.0, 8.0)))
    return {p.name: p for p in listed}


PROBLEMS: dict[str, Problem] = _problems()


# ---- fronts and baselines ---------------------------------------------------------------------------------------------------


def nsga2(
    problem: Problem, evaluations: int, population: int, seed: int, *, log: bool = True
) -> list[dict[str, float]]:
    """Metrics of everything that NSGA-II evaluated, in order; ``log``: costs on a log scale, which crowding feels."""
    met: list[dict[str, float]] = []

    def score(rows: Rows) -> tuple[Array, Array]:
        found = problem.metrics(rows)
        met.extend(
            {o.name: float(found[o.name][i]) for o in problem.objectives} for i in range(len(rows))
        )
        scores = [
            o.sign * (np.log(found[o.name]) if log and o.goal == "min" else found[o.name])
            for o in problem.objectives
        ]
        return np.stack(scores, 1), np.zeros(len(rows))

    effort = evolution.Effort(population, max(evaluations // population - 1, 1))
    rng = np.random.default_rng(seed)
    evolution.search(
        problem.space, score, problem.space.rows([]), rng=rng, effort=effort, pin=lambda rows: rows
    )
    return met[:evaluations]


def _front(problem: Problem) -> list[list[float]]:
    """Metrics of the non-dominated designs above the reference that two long searches found."""
    front: list[dict[str, float]] = []
    for log in (True, False):
        met = nsga2(problem, 60_000, 400, seed=1, log=log)
        for start in range(0, len(met), 2000):
            front += met[start : start + 2000]
            points = problem.points(front)
            inside = np.flatnonzero((points > problem.reference).all(1))
            front = [front[i] for i in inside[non_dominated(points[inside])]]
            front = list({tuple(m.values()): m for m in front}.values())
    return [[float(f"{m[o.name]:.5g}") for o in problem.objectives] for m in front]


if __name__ == "__main__":
    recorded: dict[str, Any] = {}
    for name, problem in PROBLEMS.items():
        front = _front(problem)
        recorded[name] = {"front": front}
        metrics = [dict(zip([o.name for o in problem.objectives], p, strict=True)) for p in front]
        best = problem.volume(metrics)
        rows = problem.space.random_rows(200, np.random.default_rng(0))
        random = problem.metrics(rows)
        chance = (
            problem.volume([{k: float(v[i]) for k, v in random.items()} for i in range(200)]) / best
        )
        evolved = {
            n: problem.volume(nsga2(problem, n, p, 2)) / best
            for n, p in ((200, 20), (1000, 50), (5000, 100))
        }
        shares = {"random_200": chance} | {f"nsga2_{n}": s for n, s in evolved.items()}
        recorded[name] |= {
            "genes": len(problem.space.choices),
            "shares": {k: round(v, 3) for k, v in shares.items()},
        }
        print(name, len(front), {k: round(v, 3) for k, v in shares.items()}, flush=True)
    (HERE / "problems.json").write_text(json.dumps(recorded) + "\n")
