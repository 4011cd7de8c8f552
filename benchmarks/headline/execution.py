"""ViT-B's execution alone, no accuracy model needed: exact figures of cimbo's chip model that bound what any search can reach.

    python benchmarks/headline/execution.py [PRESET]        (default vit-b-imagenet; about 20 s)

Every chip of the core space (972,000) runs the unchanged largest network; every chip runs the smallest one; and on the
baseline chip each architecture change is made alone. Writes execution-PRESET.json. The same numbers bound attribution: no
hardware-only, architecture-only or joint search over this space can be faster, whatever the accuracy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cimbo import hardware
from cimbo.analysis.attribution import ROUNDING, baselines
from cimbo.config.study_config import Config, preset
from cimbo.problem.space import SearchSpace
from cimbo.workloads import network
from cimbo.workloads.layers import Workload

HERE = Path(__file__).parent


class EveryChip:
    """All chips of a space, as columns, with what a network costs on each."""

    def __init__(self, space: SearchSpace) -> None:
        genes = {c.name: np.array(c.values, float) for c in space.hardware}
        self.columns = {
            n: g.ravel()
            for n, g in zip(genes, np.meshgrid(*genes.values(), indexing="ij"), strict=True)
        }
        self.size = len(self.columns["rows"])

    def run(self, workload: Workload) -> dict[str, np.ndarray]:
        """Costs (chips,) of the network on every chip."""
        return hardware.simulate_batch(workload, self.columns)

    def chip(self, index: int) -> dict[str, float]:
        return {name: float(values[index]) for name, values in self.columns.items()}

    def best(self, costs: dict[str, np.ndarray], kept: np.ndarray) -> tuple[float, dict[str, Any]]:
        """Latency and description of the fastest chip among those kept."""
        index = int(np.argmin(np.where(kept, costs["latency_ms"], np.inf)))
        found = {k: float(costs[k][index]) for k in ("latency_ms", "energy_uj", "area_mm2")}
        return found["latency_ms"], {**found, "chip": self.chip(index)}


def against(
    chips: EveryChip, costs: dict[str, dict[str, np.ndarray]], base: dict[str, float], bits: int
) -> dict[str, Any]:
    """Best chips of the baseline's area for the largest and the smallest network, as speed-ups over the baseline."""
    answer: dict[str, Any] = {"baseline": base}
    for what, fewest in (
        ("converters of at least the baseline's bits", bits),
        ("any converters", 0),
    ):
        rows = {}
        for side, network_ in (("hardware", "largest"), ("joint_bound", "smallest")):
            these = costs[network_]
            kept = (these["area_mm2"] <= base["area_mm2"] * (1 + ROUNDING)) & (
                chips.columns["adc_bits"] >= fewest
            )
            latency, about = chips.best(these, kept)
            frugal, _ = chips.best(
                these, kept & (these["energy_uj"] <= base["energy_uj"] * (1 + ROUNDING))
            )
            rows[side] = {
                "speedup": base["latency_ms"] / latency,
                "at_no_more_energy": base["latency_ms"] / frugal,
                **about,
            }
        answer[what] = rows
    alike = (costs["largest"]["area_mm2"] <= base["area_mm2"] * (1 + ROUNDING)) & (
        costs["largest"]["area_mm2"] >= 0.8 * base["area_mm2"]
    )
    answer["faster_chips_of_its_area"] = float(
        (costs["largest"]["latency_ms"][alike] < base["latency_ms"]).mean()
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
    family, chips = network(study.network), EveryChip(SearchSpace((), hardware.chip_choices()))
    costs = {w: chips.run(family.workload(getattr(family, w)())) for w in ("largest", "smallest")}
    evaluator, largest = study.evaluator(), family.largest()
    rows = {}
    for title, chip in baselines(study.problem.space, evaluator, largest, study.baseline()).items():
        found = hardware.simulate(family.workload(largest), chip)
        base = {k: found[k] for k in ("latency_ms", "energy_uj", "area_mm2")}
        bounds: dict[str, float] = {}
        for layer in found["layers"]:
            bounds[layer["bound"]] = (
                bounds.get(layer["bound"], 0.0) + layer["cycles"] / found["cycles"]
            )
        rows[title] = against(chips, costs, base, chip["adc_bits"]) | {
            "chip": chip,
            "time_by_bound": bounds,
            "architecture": changes(study, chip),
        }
    answer = {
        "command": f"python benchmarks/headline/execution.py {name}",
        "what": "exact figures of cimbo's chip model; no accuracy is involved",
        "network": study.network,
        "chips": chips.size,
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
                f"joint at most {joint['speedup']:.2f}x"
            )
        print(
            "  on this chip: " + ", ".join(f"{k} {v:.2f}x" for k, v in row["architecture"].items())
        )


if __name__ == "__main__":
    main()
