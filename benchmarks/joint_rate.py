"""Inferences a second that network and chip gain together at the baseline's accuracy, on the two shipped super-networks.

    python benchmarks/joint_rate.py

Chips are digital arrays of no more area than the preset's baseline, layer by layer or side by side, with copies; networks are
sub-networks with all weights and activations at 4 to 8 bits. A digital chip changes no accuracy but by these bits, so both
sides are searched apart: every network meets random chips by the exact cost model; and some 30 accuracies are measured on 1,000
validation images: of bits of the largest network, of sub-networks at 8 bits, and of the fastest pairs of both that should
hold by the sum of their losses. The fastest that does is measured on all 5,000 validation and all 10,000 test images: it
counts within 0.5 points of the baseline on both. The budget is small and one seed is drawn: more is possible, not less. For
comparison: LRMP (copies of layers and bits by layer, arXiv 2312.03146) states 8 to 18 times. Writes joint_rate.json.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.config.study_config import preset
from cimbo.evaluation.accuracy.sources import accuracy_source
from cimbo.hardware import area_mm2, chip_choices, simulate_batch
from cimbo.workloads import network

PRESETS = ("fmnist-vit", "fmnist-mobilenet")
BITS = ((8, 8), (6, 8), (6, 6), (5, 6), (5, 5), (4, 6), (4, 4))
WITHIN = 0.5  # points of accuracy
IMAGES = 1000
SUB_NETWORKS, MEASURED_NETWORKS, MEASURED_PAIRS = 80, 10, 10
CHIPS, CHIPS_EACH, REFINED = 60_000, 250, 20_000
MOST_FINAL = 3
KEPT_SHARE = 0.8  # of the genes of a sub-network that are drawn, as the largest has them


@dataclass(frozen=True)
class Pair:
    """A network at some bits, with the fastest chip that was found for it."""

    subnet: int
    bits: tuple[int, int]
    rate: float
    chip: int


class Search:
    """One preset: its baseline, its chips, and the accuracies measured so far."""

    def __init__(self, name: str) -> None:
        self.name, self.rng = name, np.random.default_rng(0)
        config = preset(name)
        self.family = network(config.network)
        self.source: Any = accuracy_source(name)
        self.baseline = config.baseline()
        self.area = float(area_mm2([self.baseline])[0])
        largest = self.family.workload(self.family.largest())
        self.base_rate = float(simulate_batch(largest, [self.baseline])["inferences_per_s"][0])
        self.subnets = [self.family.largest(), *(self._drawn() for _ in range(SUB_NETWORKS))]
        self.workloads = [self.family.workload(subnet) for subnet in self.subnets]
        self.tables = {bits: self._chips(bits) for bits in BITS}
        self.measured: dict[tuple[int, tuple[int, int]], float] = {}

    def _drawn(self) -> dict[str, Any]:
        """A sub-network near the largest: most genes as that has them."""
        genes: dict[str, Any] = {}
        for choice in self.family.choices():
            if all(genes.get(gate) in values for gate, values in choice.active_if.items()):
                genes[choice.name] = max(choice.values)
                if self.rng.random() > KEPT_SHARE:
                    genes[choice.name] = choice.values[self.rng.integers(len(choice.values))]
        return genes

    def _chips(self, bits: tuple[int, int]) -> dict[str, Any]:
        """Digital chips of at most the baseline's area."""
        table: dict[str, Any] = {c.name: self.rng.choice(c.values, CHIPS) for c in chip_choices()}
        words = {"execution": ["pipelined", "layer_by_layer"]}
        words["duplication"] = ["bottleneck", "latency"]
        table |= {k: self.rng.choice(v, CHIPS).astype(object) for k, v in words.items()}
        table["array"] = np.full(CHIPS, "digital_sram", dtype=object)
        table |= {"weight_bits": np.full(CHIPS, bits[0]), "act_bits": np.full(CHIPS, bits[1])}
        fits = area_mm2(table) <= self.area
        return {name: values[fits] for name, values in table.items()}

    def fastest(self, subnet: int, bits: tuple[int, int], number: int) -> Pair:
        """The fastest of some chips for a network."""
        table = self.tables[bits]
        size = len(table["rows"])
        chosen = self.rng.permutation(size)[:number]
        some = {name: values[chosen] for name, values in table.items()}
        rates = simulate_batch(self.workloads[subnet], some)["inferences_per_s"]
        best = int(np.argmax(rates))
        return Pair(subnet, bits, float(rates[best]), int(chosen[best]))

    def design(self, subnet: int, bits: tuple[int, int]) -> dict[str, Any]:
        """A network at some bits, on a digital chip."""
        chip = self.baseline | {"weight_bits": bits[0], "act_bits": bits[1]}
        return {**self.subnets[subnet], **chip}

    def accuracy(self, subnet: int, bits: tuple[int, int]) -> float:
        """Percent on the first validation images."""
        key = (subnet, bits)
        if key not in self.measured:
            right = self.source.count_right(self.design(subnet, bits), 0, IMAGES)
            self.measured[key] = 100.0 * right / IMAGES
            print(self.name, key, self.measured[key], flush=True)
        return self.measured[key]

    def run(self) -> dict[str, Any]:
        """The search; what it found."""
        pairs = []
        for subnet in range(len(self.subnets)):
            pairs += [self.fastest(subnet, bits, CHIPS_EACH) for bits in BITS]
        base = self.accuracy(0, (8, 8))
        losses = {bits: base - self.accuracy(0, bits) for bits in BITS}
        # Sub-networks to measure at 8 bits: of every size, the fastest.
        at_8 = sorted((p for p in pairs if p.bits == (8, 8)), key=lambda p: -p.rate)
        groups = np.array_split(
            sorted(at_8, key=lambda p: self.workloads[p.subnet].macs), MEASURED_NETWORKS
        )
        for group in groups:
            self.accuracy(max(group, key=lambda p: p.rate).subnet, (8, 8))
        known = {
            subnet: base - value
            for (subnet, bits), value in self.measured.items()
            if bits == (8, 8)
        }
        promising = [
            p for p in pairs if p.subnet in known and known[p.subnet] + losses[p.bits] <= WITHIN
        ]
        promising.sort(key=lambda p: -p.rate)
        for pair in promising[:MEASURED_PAIRS]:
            self.accuracy(pair.subnet, pair.bits)
        held = [p for p in pairs if self.measured.get((p.subnet, p.bits), -1) >= base - WITHIN]
        refined = [self.fastest(p.subnet, p.bits, REFINED) for p in held]
        return self.final(sorted(refined, key=lambda p: -p.rate))

    def final(self, ordered: list[Pair]) -> dict[str, Any]:
        """Measures the fastest on all images, until one holds."""
        whole = self.design(0, (8, 8))
        base = {part: self.source.measure(whole, part) for part in ("validation", "test")}
        answer: dict[str, Any] = {"preset": self.name, "accuracies_measured": len(self.measured)}
        answer |= {"baseline": {"inferences_per_s": self.base_rate, "area_mm2": self.area, **base}}
        answer["tried"] = []
        for pair in ordered[:MOST_FINAL]:
            design = self.design(pair.subnet, pair.bits)
            found = {part: self.source.measure(design, part) for part in base}
            gain = pair.rate / self.base_rate
            table = self.tables[pair.bits]
            chip = {
                name: np.asarray(values)[pair.chip : pair.chip + 1].tolist()[0]
                for name, values in table.items()
            }
            chip.pop("adc_bits")
            tried = {"gain": gain, "inferences_per_s": pair.rate, **found}
            tried |= {"subnet": self.subnets[pair.subnet], "chip": chip}
            answer["tried"].append(tried)
            if all(found[part] >= base[part] - WITHIN for part in base):
                answer["gain"] = gain
                break
        return answer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PRESETS)
    only = parser.parse_args().only
    file = Path(__file__).with_suffix(".json")
    studies = {}
    if file.exists():
        studies = {each["preset"]: each for each in json.loads(file.read_text())["studies"]}
    for name in (only,) if only else PRESETS:
        started = time.process_time()
        studies[name] = Search(name).run()
        studies[name]["cpu_s"] = round(time.process_time() - started, 1)
        print(name, studies[name].get("gain"), studies[name]["cpu_s"], flush=True)
        answer = {"command": "python benchmarks/joint_rate.py", "within": WITHIN}
        answer |= {"studies": list(studies.values())}
        file.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
