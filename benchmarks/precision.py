"""Bits of every stage or block on fixed chips: accuracy against energy, beside the same bits everywhere.

    python benchmarks/precision.py fmnist-vit [fmnist-mobilenet] [--images 2000] [--test-images 10000] [--exact-images 500]

The largest network of each shipped super-network, on chips that stay as they are; stem and head keep 8 bits. Each gene is
lowered to 4 bits by itself and the accuracy measured (validation images); from 8 bits everywhere, the bit that saves most
energy for what it is expected to lose (the loss of a gene grows fourfold a bit, as the variance of rounding does) goes next;
of few genes all assignments are looked at.
Networks along that way are measured on validation images, more of them where MOST_LOST points are lost, and those with the
same bits for all weights and the same for all inputs; of those that lose no more the one of least energy is chosen. The front
is measured on the ``--test-images`` (all 10,000) too. The largest gain that loses no more than MOST_LOST_ON_TEST there is told
as well; it is read off the test images, so it flatters a little. Beside the front stands what bounds it: which parts of the
energy bits move, and what each gene saves and loses by itself.

On digital arrays sums are exact, so that the two forms of the accuracy are one. Analog arrays have their converters as
described (noise, range policy, encoding): the front is measured in the equivalent-noise form, the one design that is chosen
also in the bit-accurate form on the first ``--exact-images`` test images, as are 8 bits everywhere.

Energies are of the schedule of least energy, for 8 bits as for fewer, so that a schedule which is chosen by latency too makes
no gain. ``CIMBO_WEIGHTS_FMNIST_VIT`` and ``CIMBO_WEIGHTS_FMNIST_MOBILENET`` name other weights than the shipped ones.
Results are parts of precision.json beside this file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.evaluation import content
from cimbo.evaluation.accuracy import shipped
from cimbo.hardware import BASELINE_CHIP, area_mm2, simulate, simulate_batch
from cimbo.supernets.recipes import load
from cimbo.workloads import network
from cimbo.workloads.precision import MixedPrecision, is_precision_gene

RESULTS = Path(__file__).parent / "precision.json"
# Points that fewer bits may lose on validation images, where they are chosen: half of the half point
# that they may lose on test images, for a difference on 5,000 images has a standard error of .25
MOST_LOST = 0.25
MOST_LOST_ON_TEST = 0.5
ROUNDING = 1e-9  # of a difference of accuracies
LEAST_SHARE = 0.01  # of the energy, of a part that is listed
STEPS = (8, 6, 5, 4)
MEASURED_ON_THE_WAY = 6  # networks between 8 and 4 bits everywhere
MOST_LISTED = 5000  # assignments; of more, only those on a way down are looked at

DIGITAL = BASELINE_CHIP | {"array": "digital_sram", "tree_bits": 4, "schedule": "energy"}
SMALL = {"macros_per_pe": 16, "pes": 1, "columns_per_adc": 1, "buffer_mb": 1 / 64, "planes": 8}
CHIPS: dict[str, dict[str, Any]] = {
    "digital, the preset's baseline with adder trees of 4 bits": DIGITAL,
    "digital, drawn for few bits: 16 macros of 8 planes, 16 KB": DIGITAL | SMALL,
    "digital, drawn for few bits: 16 macros of 8 planes, 24 KB": DIGITAL
    | SMALL
    | {"buffer_mb": 24 / 1024},
    "analog, the preset's baseline with 64 rows and 8-bit converters": BASELINE_CHIP
    | {"rows": 64, "adc_bits": 8, "schedule": "energy"},
}

Bits = Mapping[str, int]


@dataclass(frozen=True)
class Point:
    """One assignment of bits on one chip.

    Attributes:
        bits: By gene.
        energy_uj: Of an inference.
        gain: Energy of 8 bits everywhere over this one.
        validation: Accuracy in percent on validation images.
        test: Accuracy in percent on the test images; None where not measured.
    """

    bits: dict[str, int]
    energy_uj: float
    gain: float
    validation: float
    test: float | None = None


class Case:
    """One network: its accuracies, each measured once, and its energies."""

    def __init__(self, name: str, images: int, test_images: int) -> None:
        self.name, self.images, self.test_images = name, images, test_images
        self.family = MixedPrecision(network(name))
        self.top = self.family.largest()
        self.genes = [gene for gene in self.top if is_precision_gene(gene)]
        self.source = shipped.ShippedAccuracy(name, "described")
        self._known: dict[str, float] = {}

    def everywhere(self, bits: int) -> dict[str, int]:
        """The same bits in every stage."""
        return dict.fromkeys(self.genes, bits)

    def energies(self, chip: Mapping[str, Any], listed: list[dict[str, int]]) -> list[float]:
        """Microjoules of each assignment on a chip."""
        workloads = [self.family.workload({**self.top, **bits}) for bits in listed]
        found: list[float] = simulate_batch(workloads, [dict(chip)] * len(listed))[
            "energy_uj"
        ].tolist()
        return found

    def accuracy(self, chip: Mapping[str, Any], bits: Bits, part: str, **how: Any) -> float:
        """Percent; on digital arrays of all chips alike."""
        arrays = {k: chip[k] for k in self.source.genes if k in chip}
        if chip.get("array") == "digital_sram":
            arrays = {"array": "digital_sram", "rows": chip["rows"]}
        key = json.dumps([arrays, dict(bits), part, how], sort_keys=True)
        if key not in self._known:
            design = {**self.top, **bits, **arrays}
            self._known[key] = self.source.measure(design, part, **how)
        return self._known[key]

    def validation(self, chip: Mapping[str, Any], bits: Bits) -> float:
        """Percent of the first validation images."""
        return self.accuracy(chip, bits, "validation", images=self.images)

    def losses(self) -> dict[str, float]:
        """Points that each gene loses at 4 bits by itself, on digital arrays; at least a little."""
        whole = self.validation(DIGITAL, self.everywhere(8))
        found = {}
        for gene in self.genes:
            alone = self.validation(DIGITAL, self.everywhere(8) | {gene: STEPS[-1]})
            found[gene] = max(whole - alone, 0.02)
        return found


def way_down(
    case: Case, chip: Mapping[str, Any], losses: Mapping[str, float]
) -> list[dict[str, int]]:
    """Assignments from 8 bits everywhere to 4, the bit that saves most for what it loses first."""
    now = case.everywhere(8)
    way = [now]
    while any(bits > STEPS[-1] for bits in now.values()):
        nexts, expected = [], []
        for gene, bits in now.items():
            if bits > STEPS[-1]:
                lower = STEPS[STEPS.index(bits) + 1]
                nexts.append({**now, gene: lower})
                rounding = 4.0 ** (STEPS[-1] - lower) - 4.0 ** (STEPS[-1] - bits)
                expected.append(losses[gene] * rounding)
        energies = np.array(case.energies(chip, [now, *nexts]))
        saved = energies[0] - energies[1:]
        now = nexts[int(np.argmax((saved + 1e-6) / np.array(expected)))]
        way.append(now)
    return way


def candidates(case: Case, chip: Mapping[str, Any]) -> list[dict[str, int]]:
    """Assignments worth measuring, from 8 bits on: all that nothing beats in energy and expected loss, of all that there
    are, or of those on the way down where these are too many to list."""
    losses = case.losses()
    listed = way_down(case, chip, losses)
    if len(STEPS) ** len(case.genes) <= MOST_LISTED:
        every = itertools.product(STEPS, repeat=len(case.genes))
        listed = [dict(zip(case.genes, bits, strict=True)) for bits in every]
    points = []
    for bits, energy in zip(listed, case.energies(chip, listed), strict=True):
        lost = 0.0
        for gene, own in bits.items():
            lost += losses[gene] * (4.0 ** (STEPS[-1] - own) - 4.0 ** (STEPS[-1] - 8))
        points.append(Point(bits, energy, 1.0, -lost))
    return [point.bits for point in front(points)]


def split(case: Case) -> list[dict[str, int]]:
    """The same bits for all weights, and the same for all inputs, in every combination of two different ones."""
    found = []
    for weights, inputs in itertools.permutations(STEPS, 2):
        bits = {}
        for gene in case.genes:
            bits[gene] = weights if gene.startswith("weight") else inputs
        found.append(bits)
    return found


def front(points: list[Point]) -> list[Point]:
    """Those that no other beats in energy and validation accuracy, by falling energy."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.energy_uj, -p.validation)):
        if not kept or point.validation > kept[-1].validation:
            kept.append(point)
    return kept[::-1]


def around_the_limit(case: Case, chip: Mapping[str, Any], way: list[dict[str, int]]) -> set[int]:
    """Places on the way down at which it is looked for where MOST_LOST points are lost, halving what is left."""
    whole = case.validation(chip, case.everywhere(8))
    low, high, looked_at = 0, len(way) - 1, {len(way) - 1}
    while high - low > 1:
        middle = (low + high) // 2
        looked_at.add(middle)
        if case.validation(chip, way[middle]) >= whole - MOST_LOST:
            low = middle
        else:
            high = middle
    return looked_at


def cheapest_good(
    case: Case, chip: Mapping[str, Any], listed: list[dict[str, int]]
) -> dict[str, int]:
    """Of some assignments the one of least energy that loses no more than MOST_LOST points on validation images."""
    least = case.validation(chip, case.everywhere(8)) - MOST_LOST
    good = [bits for bits in listed if case.validation(chip, bits) >= least - ROUNDING]
    energies = case.energies(chip, good)
    return good[int(np.argmin(energies))]


def refined(case: Case, chip: Mapping[str, Any], start: dict[str, int]) -> list[dict[str, int]]:
    """Steps down from an assignment, one gene at a time: that which saves most of those that keep within MOST_LOST."""
    least = case.validation(chip, case.everywhere(8)) - MOST_LOST
    now, found = start, []
    while True:
        lower = [
            {**now, gene: STEPS[STEPS.index(bits) + 1]}
            for gene, bits in now.items()
            if bits > STEPS[-1]
        ]
        energies = case.energies(chip, [now, *lower])
        order = sorted(range(len(lower)), key=lambda i: energies[i + 1])
        saving = [lower[i] for i in order if energies[i + 1] < energies[0]]
        good = (bits for bits in saving if case.validation(chip, bits) >= least - ROUNDING)
        following = next(good, None)
        if following is None:
            return found
        found.append(following)
        now = following


@dataclass(frozen=True)
class EnergyPart:
    """What bits do to one part of the energy.

    Attributes:
        eight_bits: Its share of the energy with 8 bits everywhere.
        four_bits: Its share of the energy with 4 bits everywhere.
        gain: Its energy with 8 bits over that with 4.
    """

    eight_bits: float
    four_bits: float
    gain: float | None


def energy_parts(case: Case, chip: Mapping[str, Any]) -> dict[str, EnergyPart]:
    """Which parts of the energy bits move, the largest with 8 bits first: what no assignment can gain beyond."""
    totals: list[dict[str, float]] = []
    for bits in (8, 4):
        whole: dict[str, float] = {}
        layers = simulate(case.family.workload({**case.top, **case.everywhere(bits)}), chip)[
            "layers"
        ]
        for layer in layers:
            for part, energy in layer["energy_uj"].items():
                whole[part] = whole.get(part, 0.0) + energy
        totals.append(whole)
    eight, four = totals
    found = {}
    for part in sorted(eight, key=lambda name: -eight[name]):
        if eight[part] > LEAST_SHARE * sum(eight.values()):
            gain = eight[part] / four[part] if four[part] > 1e-9 else None
            shares = (eight[part] / sum(eight.values()), four[part] / sum(four.values()))
            found[part] = EnergyPart(
                *(round(share, 3) for share in shares), gain and round(gain, 2)
            )
    return found


def gene_worth(case: Case, chip: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Of each gene at 4 bits by itself: points lost on validation images, and what is saved of the energy, in percent."""
    losses, eight = case.losses(), case.everywhere(8)
    energies = case.energies(chip, [eight, *(eight | {gene: STEPS[-1]} for gene in case.genes)])
    found = {}
    for gene, energy in zip(case.genes, energies[1:], strict=True):
        saved = 100 * (1 - energy / energies[0])
        found[gene] = {"points_lost": round(losses[gene], 2), "percent_saved": round(saved, 1)}
    return found


def study(case: Case, chip: Mapping[str, Any], exact_images: int) -> dict[str, Any]:
    """The front on one chip, and what is gained by the assignment chosen on validation images, on test images."""
    way = candidates(case, chip)
    where = set(np.linspace(len(way) // 3, len(way) - 1, MEASURED_ON_THE_WAY).astype(int).tolist())
    where |= around_the_limit(case, chip, way)
    listed = [case.everywhere(bits) for bits in STEPS] + split(case)
    listed += [way[i] for i in sorted(where)]
    listed += refined(case, chip, cheapest_good(case, chip, listed))
    energies = case.energies(chip, listed)
    points = []
    for bits, energy in zip(listed, energies, strict=True):
        accuracy = case.validation(chip, bits)
        points.append(Point(bits, energy, energies[0] / energy, accuracy))
    uniform = tested(case, chip, points[0])
    kept = [tested(case, chip, point) for point in front(points)]
    good = [p for p in kept if p.validation >= uniform.validation - MOST_LOST - ROUNDING]
    chosen = max(good, key=lambda p: p.gain, default=uniform)
    as_good = [
        p for p in kept if (p.test or 0) >= (uniform.test or 0) - MOST_LOST_ON_TEST - ROUNDING
    ]
    found = {
        "validation_images": case.images,
        "test_images": case.test_images,
        "area_mm2": float(area_mm2([dict(chip)])[0]),
        "eight_bits": asdict(uniform),
        "uniform": [asdict(point) for point in points[: len(STEPS)]],
        "front": [asdict(point) for point in kept],
        "chosen": asdict(chosen),
        "gain": chosen.gain,
        "gain_within_limit_on_test": max((p.gain for p in as_good), default=1.0),
        "gain_of_four_bits": energies[0] / energies[len(STEPS) - 1],
        "energy_parts": {name: asdict(part) for name, part in energy_parts(case, chip).items()},
        "genes": gene_worth(case, chip),
        "points_lost": (uniform.test or 0) - (chosen.test or 0),
    }
    if chip.get("array") != "digital_sram":
        how = {"exact": True, "images": exact_images}
        exact = [case.accuracy(chip, p.bits, "test", **how) for p in (uniform, chosen)]
        found["bit_accurate"] = {"images": exact_images, "eight_bits": exact[0], "chosen": exact[1]}
    return found


def tested(case: Case, chip: Mapping[str, Any], point: Point) -> Point:
    """The point with its accuracy on the test images."""
    accuracy = case.accuracy(chip, point.bits, "test", images=case.test_images)
    return Point(**{**asdict(point), "test": accuracy})


def show(name: str, label: str, found: Mapping[str, Any]) -> None:
    """Prints a front as a table."""
    print(f"\n{name}, {label}, {found['area_mm2']:.2f} mm2")
    print("energy_uj   gain  validation   test   weight bits / activation bits by stage")
    for point in (found["eight_bits"], *found["front"]):
        bits = point["bits"]
        words = []
        for gene in ("weight_bits", "act_bits"):
            words.append("".join(str(v) for k, v in bits.items() if k.startswith(gene)))
        figures = f"{point['energy_uj']:9.2f} {point['gain']:6.2f} {point['validation']:11.2f}"
        print(f"{figures} {point['test']:7.2f}   {words[0]} / {words[1]}")
    print(f"all at 4 bits: gain {found['gain_of_four_bits']:.2f}; energy {found['energy_parts']}")
    print(f"each gene at 4 bits: {found['genes']}")
    print(f"gain {found['gain']:.2f} at {found['points_lost']:.2f} points lost", end="")
    print(f"; bit-accurate {found['bit_accurate']}" if "bit_accurate" in found else "")


def own_weights(name: str) -> str | None:
    """The file of other weights than the shipped ones."""
    return os.environ.get(f"CIMBO_WEIGHTS_{name.upper().replace('-', '_')}")


@cache
def _loaded(name: str, path: str) -> Any:
    return load(name, Path(path)).requires_grad_(False)


def with_own_weights(load_shipped: Callable[[str], Any]) -> Callable[[str], Any]:
    """``load_shipped``, or what loads the weights that the environment names."""

    def loading(name: str) -> Any:
        path = own_weights(name)
        return load_shipped(name) if path is None else _loaded(name, path)

    return loading


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="+")
    parser.add_argument("--images", type=int, default=2000, help="validation images")
    parser.add_argument("--test-images", type=int, default=10_000)
    parser.add_argument("--exact-images", type=int, default=500)
    parser.add_argument("--chips", nargs="*", default=["digital", "analog"], help="kinds of them")
    given = parser.parse_args()
    shipped.supernetwork = with_own_weights(shipped.supernetwork)
    for name in given.names:
        begun, case, path = (
            time.process_time(),
            Case(name, given.images, given.test_images),
            own_weights(name),
        )
        parts = {}
        for label, chip in CHIPS.items():
            if label.startswith(tuple(given.chips)):
                parts[label] = study(case, chip, given.exact_images)
                show(name, label, parts[label])
                keep(name, path, parts)
        print(f"{name}: {time.process_time() - begun:.0f} CPU-seconds")


def keep(name: str, path: str | None, parts: Mapping[str, Any]) -> None:
    """Stores the chips of a network beside those stored before."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    weights = "shipped" if path is None else content.digest(path)
    before = known.get(name, {})
    same = before.get("chips", {}) if before.get("weights") == weights else {}
    known[name] = {"weights": weights, "chips": {**same, **parts}}
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
