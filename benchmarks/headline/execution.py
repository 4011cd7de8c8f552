"""Execution alone, no accuracy model needed: figures of cimbo's chip model that bound what a search can reach.

    python benchmarks/headline/execution.py [PRESET]        (default vit-b-imagenet; about a minute)

30,000 random chips of the preset's space run the unchanged largest network and the smallest one; the fastest within the
baseline's area are improved by single steps and pairs of steps until none helps. On the baseline chip each architecture change
is made alone. Writes execution-PRESET.json. The space is too large to run every chip (7.6 million and more), so the gains are
lower bounds on what hardware alone, and both together, can reach; restarts agree to a few percent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cimbo import hardware
from cimbo.analysis.attribution import ROUNDING_TOLERANCE
from cimbo.analysis.baseline_chips import baselines
from cimbo.config.study_config import Config, preset
from cimbo.problem.space import Choice, SearchSpace
from cimbo.workloads import network
from cimbo.workloads.layers import Workload

HERE = Path(__file__).parent
COSTS = ("latency_ms", "energy_uj", "area_mm2")


SAMPLES = 30_000
STARTS = 12  # of the climb
PAIRS_OF_STEPS = 400

Chip = dict[str, Any]


class Chips:
    """Random chips of a space, and the best that are found from them by steps."""

    def __init__(self, genes: Sequence[Choice], seed: int = 0) -> None:
        self.genes = list(genes)
        self.rng = np.random.default_rng(seed)
        self.chips = [
            {c.name: c.values[int(self.rng.integers(len(c.values)))] for c in self.genes}
            for _ in range(SAMPLES)
        ]

    def run(self, workload: Workload) -> dict[str, np.ndarray]:
        """Costs (chips,) of the network on every sampled chip."""
        return hardware.simulate_batch(workload, self.chips)

    def best(
        self, workload: Workload, costs: Mapping[str, np.ndarray], fits: Callable[..., np.ndarray]
    ) -> tuple[Chip, dict[str, float]]:
        """The fastest chip that fits, after climbing from the fastest sampled ones."""
        order = np.argsort(np.where(fits(costs, self.chips), costs["latency_ms"], np.inf))
        found = [self._climb(workload, self.chips[i], fits) for i in order[:STARTS]]
        return min(found, key=lambda pair: pair[1]["latency_ms"])

    def _climb(
        self, workload: Workload, chip: Chip, fits: Callable[..., np.ndarray]
    ) -> tuple[Chip, dict[str, float]]:
        while True:
            tried = [chip, *self._around(chip)]
            costs = hardware.simulate_batch(workload, tried)
            kept = fits(costs, tried)
            kept[0] = True
            index = int(np.argmin(np.where(kept, costs["latency_ms"], np.inf)))
            if costs["latency_ms"][index] >= costs["latency_ms"][0] * (1 - 1e-9):
                return chip, {k: float(costs[k][0]) for k in COSTS}
            chip = tried[index]

    def _around(self, chip: Chip) -> list[Chip]:
        """One gene elsewhere, and some pairs of genes."""
        single = [
            {c.name: value} for c in self.genes for value in c.values if value != chip[c.name]
        ]
        pairs = self.rng.integers(len(single), size=(PAIRS_OF_STEPS, 2))
        return [chip | step for step in single] + [chip | single[i] | single[j] for i, j in pairs]


def converter_bits(chip: Mapping[str, Any]) -> float:
    """Bits that a sum is known to; digital arrays add up exactly."""
    return np.inf if chip.get("array") == "digital_sram" else chip["adc_bits"]


def changed_genes(start: Mapping[str, Any], chip: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Genes in which ``chip`` differs from the one it is compared with, as [before, after]."""
    exact = chip.get("array") == "digital_sram"
    names = [name for name in chip if not (exact and name == "adc_bits")]
    return {n: [start.get(n), chip[n]] for n in names if start.get(n) != chip[n]}


def ends(genes: Sequence[Choice], chip: Mapping[str, Any]) -> list[str]:
    """Genes that stand at an end of their range."""
    exact = chip.get("array") == "digital_sram"
    listed = [gene for gene in genes if gene.ordered and not (exact and gene.name == "adc_bits")]
    return [g.name for g in listed if chip[g.name] in (g.values[0], g.values[-1])]


def against(
    chips: Chips, works: Mapping[str, Workload], base: dict[str, float], start: Chip
) -> dict[str, Any]:
    """Best chips of the baseline's area for the largest and the smallest network, as speed-ups over the baseline."""
    answer: dict[str, Any] = {"baseline": base}
    bits = converter_bits(start)
    area, energy = (
        base["area_mm2"] * (1 + ROUNDING_TOLERANCE),
        base["energy_uj"] * (1 + ROUNDING_TOLERANCE),
    )
    costs = {name: chips.run(work) for name, work in works.items()}
    for what, fewest in (
        ("converters of at least the baseline's bits", bits),
        ("any converters", 0),
    ):

        def sharp(tried: Sequence[Chip], fewest: float = fewest) -> np.ndarray:
            return np.array([converter_bits(chip) >= fewest for chip in tried])

        def fits(of: Mapping[str, np.ndarray], tried: Sequence[Chip]) -> np.ndarray:
            return (of["area_mm2"] <= area) & sharp(tried)

        def thrifty(of: Mapping[str, np.ndarray], tried: Sequence[Chip]) -> np.ndarray:
            return fits(of, tried) & (of["energy_uj"] <= energy)

        rows = {}
        for side, name in (("hardware", "largest"), ("joint_bound", "smallest")):
            chip, found = chips.best(works[name], costs[name], fits)
            _, frugal = chips.best(works[name], costs[name], thrifty)
            rows[side] = {
                "speedup": base["latency_ms"] / found["latency_ms"],
                "at_no_more_energy": base["latency_ms"] / frugal["latency_ms"],
                **found,
                "chip": chip,
                "changed": changed_genes(start, chip),
                "at_an_end": ends(chips.genes, chip),
            }
        answer[what] = rows
    of = costs["largest"]
    alike = (of["area_mm2"] <= area) & (of["area_mm2"] >= 0.8 * base["area_mm2"])
    answer["faster_chips_of_its_area"] = float(
        (of["latency_ms"][alike] < base["latency_ms"]).mean()
    )
    return answer


def changes(study: Config, chip: dict[str, Any]) -> dict[str, float]:
    """Speed-up on the baseline chip of every gene alone at its smallest value, and of all of them together."""
    family = network(study.network)
    space = SearchSpace(family.choices())
    largest = family.largest()
    base = hardware.simulate(family.workload(largest), chip)["latency_ms"]
    stems = dict.fromkeys(c.name.rstrip("0123456789_") for c in space.architecture)
    designs = {"all together": family.smallest()}
    for stem in stems:
        group = {
            c.name: c.values[0] for c in space.architecture if c.name.rstrip("0123456789_") == stem
        }
        changed = space.canonical(largest | group)
        designs[
            f"{stem} at {min(group.values())}" + (" in every layer" if len(group) > 1 else "")
        ] = changed
    return {
        name: base / hardware.simulate(family.workload(d), chip)["latency_ms"]
        for name, d in designs.items()
    }


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "vit-b-imagenet"
    study = preset(name)
    family, chips = network(study.network), Chips(study.problem.space.hardware)
    works = {w: family.workload(getattr(family, w)()) for w in ("largest", "smallest")}
    evaluator, largest = study.evaluator(), family.largest()
    rows = {}
    for title, chip in baselines(study.problem.space, evaluator, largest, study.baseline()).items():
        found = hardware.simulate(works["largest"], chip)
        base = {k: found[k] for k in COSTS}
        bounds: dict[str, float] = {}
        for layer in found["layers"]:
            bounds[layer["bound"]] = (
                bounds.get(layer["bound"], 0.0) + layer["cycles"] / found["cycles"]
            )
        rows[title] = against(chips, works, base, chip) | {
            "chip": chip,
            "time_by_bound": bounds,
            "architecture": changes(study, chip),
        }
    answer = {
        "command": f"python benchmarks/headline/execution.py {name}",
        "what": "figures of cimbo's chip model; no accuracy is involved",
        "network": study.network,
        "chips": SAMPLES,
        "baselines": rows,
    }
    (HERE / f"execution-{name}.json").write_text(json.dumps(answer, indent=1) + "\n")
    for title, row in rows.items():
        print(
            f"{title}: {row['baseline']['latency_ms']:.2f} ms, {row['baseline']['area_mm2']:.1f} mm2; "
            f"{100 * row['faster_chips_of_its_area']:.1f} % of the chips of its area are faster"
        )
        for what in ("converters of at least the baseline's bits", "any converters"):
            hw, joint = row[what]["hardware"], row[what]["joint_bound"]
            print(
                f"  {what}: unchanged network {hw['speedup']:.2f}x ({hw['at_no_more_energy']:.2f}x at no more energy), "
                f"joint at most {joint['speedup']:.2f}x; by {hw['changed']}, at an end {hw['at_an_end']}"
            )
        print(
            "  on this chip: " + ", ".join(f"{k} {v:.2f}x" for k, v in row["architecture"].items())
        )


if __name__ == "__main__":
    main()
