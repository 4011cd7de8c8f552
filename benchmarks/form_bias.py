"""Where is the noise form too low? Pairs of CIM-NAS-Bench that were measured in both forms, sorted; the worst ones drawn anew.

    python benchmarks/form_bias.py [--draws 5] [--images 1000]

CIM-NAS-Bench has 40 pairs of a sub-network and an array of either network, drawn at random, on one die and 300 test images, in
the bit-accurate form and in the noise form. Their mean difference is sorted by what their converters are. Then the two pairs
that differ most are measured again in both forms, on validation images, with everything drawn anew that a chip draws when it is
calibrated: which inputs set the ranges of its converters, and which ones show its errors. Cells and offsets stay. Writes
form_bias.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cimbo.benchmarking.cim_nas_bench.measurements import Measurement, read
from cimbo.evaluation.accuracy.shipped import examples, supernetwork
from cimbo.hardware.cell_errors import ArrayConditions
from cimbo.supernets.array_instance import arrays
from cimbo.supernets.die import Die
from cimbo.supernets.measurement import deployed, top1

RESULTS = Path(__file__).with_suffix(".json")
NETWORKS = ("fmnist-mobilenet", "fmnist-vit")
FEWEST_BITS_OF_USE = 7  # of a converter; arrays behind fewer lose some ten points and more
N_CALIBRATION_IMAGES = 250
WORST_PAIRS = 2


@dataclass(frozen=True)
class MeasuredPair:
    """A pair in both forms, accuracies in percent."""

    asked: Measurement
    exact: float
    noise: float

    @property
    def difference(self) -> float:
        """By how much the noise form is too low, in points."""
        return self.exact - self.noise


def pairs_of(name: str) -> list[MeasuredPair]:
    """The pairs of a network that were measured in both forms."""
    by_design: dict[str, dict[str, Measurement]] = {}
    for found in read(name):
        if found.part == "exact":
            key = json.dumps([found.subnet, found.array, found.noise, found.die], sort_keys=True)
            by_design.setdefault(key, {})[found.form] = found
    pairs = []
    for forms in by_design.values():
        exact, noise = forms["exact"], forms["equivalent"]
        pairs.append(MeasuredPair(exact, exact.accuracy, noise.accuracy))
    return pairs


KINDS: dict[str, Callable[[MeasuredPair], bool]] = {
    "all": lambda pair: True,
    "converters of 7 bits and more": lambda p: p.asked.array["adc_bits"] >= FEWEST_BITS_OF_USE,
    "converters of 4 to 6 bits": lambda p: p.asked.array["adc_bits"] < FEWEST_BITS_OF_USE,
    "one range a layer": lambda p: p.asked.array["adc_range"] == "layer",
    "a range of every digit": lambda p: p.asked.array["adc_range"] == "layer_and_digit",
}


def by_kind(pairs: Sequence[MeasuredPair]) -> dict[str, dict[str, float]]:
    """Mean difference of the pairs of each kind, in points, with its standard error."""
    found = {}
    for kind, is_one in KINDS.items():
        differences = [pair.difference for pair in pairs if is_one(pair)]
        error = statistics.stdev(differences) / len(differences) ** 0.5
        mean, middle = statistics.mean(differences), statistics.median(differences)
        found[kind] = {
            "pairs": len(differences),
            "mean": mean,
            "standard_error": error,
            "median": middle,
        }
    return found


def redrawn(asked: Measurement, draw: int, images: int, *, exact: bool) -> float:
    """Accuracy of a pair on validation images, in percent, calibrated by a draw of its own."""
    genes = {**asked.subnet, **asked.array}
    chip = arrays(genes, seed=0, ideal=False, conditions=ArrayConditions(**asked.noise))
    assert chip is not None
    die = Die(chip, asked.die, exact=exact)
    seed = 7919 * draw + asked.die
    die._draws = torch.Generator().manual_seed(seed)
    die._samples, die._places = random.Random(seed), random.Random(seed)
    pixels, labels = (t[:images] for t in examples(asked.network, "validation"))
    calibration = examples(asked.network, "calibration")[0][:N_CALIBRATION_IMAGES]
    with torch.inference_mode():
        return top1(deployed(supernetwork(asked.network), genes, calibration, die), pixels, labels)


def drawn_anew(pair: MeasuredPair, draws: int, images: int) -> dict[str, Any]:
    """Both forms of a pair over several draws."""
    forms: dict[str, Any] = {}
    for form, exact in (("exact", True), ("noise", False)):
        each = [redrawn(pair.asked, draw, images, exact=exact) for draw in range(1, draws + 1)]
        forms[form] = {"mean": statistics.mean(each), "deviation": statistics.stdev(each)}
    error = (forms["exact"]["deviation"] ** 2 + forms["noise"]["deviation"] ** 2) ** 0.5
    return {
        "number": pair.asked.number,
        "array": dict(pair.asked.array),
        "difference_of_one_draw": pair.difference,
        **forms,
        "difference": forms["exact"]["mean"] - forms["noise"]["mean"],
        "standard_error_of_draws": error / draws**0.5,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000)
    asked = parser.parse_args()
    pairs = {name: pairs_of(name) for name in NETWORKS}
    document: dict[str, Any] = {name: by_kind(each) for name, each in pairs.items()}
    worst = sorted(pairs["fmnist-mobilenet"], key=lambda pair: -pair.difference)[:WORST_PAIRS]
    document["draws"], document["validation_images"] = asked.draws, asked.images
    document["worst"] = [drawn_anew(pair, asked.draws, asked.images) for pair in worst]
    rounded = json.loads(json.dumps(document), parse_float=lambda text: round(float(text), 3))
    RESULTS.write_text(json.dumps(rounded, indent=1) + "\n")
    print(json.dumps(rounded, indent=1))


if __name__ == "__main__":
    main()
