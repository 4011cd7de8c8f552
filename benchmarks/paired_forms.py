"""The noise form of arrays' errors against the bit-accurate one, image by image on the same dies.

    python benchmarks/paired_forms.py exact CACHE [--part pairs] [--seconds 75]     bit-accurate form; can be cut off
    python benchmarks/paired_forms.py compare CACHE [--part pairs] [--draws 3]      noise form on the same images

Parts: ``pairs``, random sub-networks on random analog chips (the 30 of nonideal.py); ``usable``, random sub-networks on chips
of 5 to 8 bits, of which most are better than guessing; ``fixed``, converters whose range is the largest sum.

Both forms meet the same cells and offsets on the same four dies (image i is on die i modulo 4), calibrated by the same 100
images a die. The bit-accurate form is asked for as many validation images as ``--seconds`` of CPU a pair allow, at most
5,000; what it says of every image is kept in CACHE, so that a change of the noise form costs no second simulation. The noise
form is drawn ``--draws`` times, the inputs that it is measured by and its noise anew, and each image has the mean of these
draws: so the standard error of a pair's difference is hardly more than what the noise of one bit-accurate run leaves. It is
that of the mean over images of (mean of draws - exact). What whole draws differ by is ``draw_spread``.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nonideal import random_pairs
from torch import Tensor

from cimbo.evaluation.accuracy.shipped import examples, supernetwork
from cimbo.problem.space import SearchSpace
from cimbo.supernets.array_instance import ACCURACY_GENES, ArrayInstance, arrays
from cimbo.supernets.deployment import Deployed
from cimbo.supernets.die import Die
from cimbo.supernets.measurement import deployed, logits
from cimbo.workloads import network

RESULTS = Path(__file__).with_suffix(".json")
MOST_IMAGES = 5000
CALIBRATION_IMAGES = 100  # a die
IMAGES_AT_ONCE = 200  # between two savings
DIE_SEED = 1
KNOWING = 70.0  # accuracy in percent from which a pair is of use to anybody
ALLOWED_POINTS = (0.5, 1.5)  # that the two forms may differ by: nearly always, and always
CONFIDENCE_ERRORS = 1.96  # standard errors to either side of a 95 % interval


@dataclass(frozen=True)
class Pair:
    """A sub-network of a shipped super-network on a chip."""

    network: str
    design: dict[str, Any]

    @property
    def chip(self) -> dict[str, Any]:
        """The genes of the chip that the accuracy depends on."""
        return {gene: self.design[gene] for gene in ACCURACY_GENES if gene in self.design}


@dataclass(frozen=True)
class ExactRun:
    """What the bit-accurate form says of the first images: right or not, (images,), and the CPU seconds that took."""

    hits: np.ndarray
    cpu_seconds: float


class RedrawnDie(Die):
    """A die in the noise form whose errors are measured and drawn anew; its cells, offsets and converters stay."""

    def __init__(self, chip: ArrayInstance, number: int, draw: int) -> None:
        super().__init__(chip, number)
        if draw:
            seed = 7919 * draw + number
            self._draws = torch.Generator().manual_seed(seed)
            self._samples, self._places = random.Random(seed), random.Random(seed)


def usable_pairs(count: int) -> list[Pair]:
    """Random sub-networks on chips of 5 to 8 bits, 16 to 128 rows, of every family."""
    rng, found = np.random.default_rng(19), []
    for number in range(count):
        name = ("fmnist-vit", "fmnist-mobilenet")[number % 2]
        space = SearchSpace(network(name).choices())
        subnet = space.designs(space.random_rows(1, rng))[0]
        chip = {
            "array": ("charge_sram", "current_sram", "rram")[number // 2 % 3],
            "adc_bits": int(rng.integers(5, 9)),
            "rows": int(2 ** rng.integers(4, 8)),
            "cell_bits": int(rng.integers(1, 3)),
            "dac_bits": int(2 ** rng.integers(0, 2)),
        }
        found.append(Pair(name, {**subnet, **chip}))
    return found


def pairs_of(part: str) -> list[Pair]:
    """The pairs of a part, in order."""
    if part == "usable":
        return usable_pairs(18)
    fixed = {"adc_range": "fixed"} if part == "fixed" else {}
    count = 6 if part == "fixed" else 30
    return [Pair(name, design) for name, design in random_pairs(count, 5, fixed)]


def kept_pairs(cache: Path, part: str) -> list[Pair]:
    """The pairs as they were drawn when the part was begun: what a space offers may have changed since."""
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / f"{part}.json"
    if not file.exists():
        file.write_text(
            json.dumps([asdict(pair) for pair in pairs_of(part)], indent=1, default=int)
        )
    return [Pair(**pair) for pair in json.loads(file.read_text())]


class Dies:
    """A pair on its dies, calibrated."""

    def __init__(self, pair: Pair, *, exact: bool, draw: int = 0) -> None:
        chip = arrays(pair.design, DIE_SEED, ideal=False)
        assert chip is not None
        self.name, self.ready = pair.network, []
        for number in range(chip.n_dies):
            die = Die(chip, number, exact=True) if exact else RedrawnDie(chip, number, draw)
            images = examples(self.name, "calibration")[0][number :: chip.n_dies]
            self.ready.append(self._deployed(pair, images[:CALIBRATION_IMAGES], die))

    def _deployed(self, pair: Pair, images: Tensor, die: Die) -> Deployed:
        return deployed(supernetwork(self.name), pair.design, images, die)

    def hits(self, first: int, last: int) -> np.ndarray:
        """Which validation images of a stretch are classified rightly, (last - first,)."""
        pixels, labels = (part[first:last] for part in examples(self.name, "validation"))
        found = torch.zeros(last - first, dtype=torch.bool)
        n_dies = len(self.ready)
        for number, ready in enumerate(self.ready):
            mine = slice((number - first) % n_dies, None, n_dies)
            found[mine] = logits(ready, pixels[mine]).argmax(1) == labels[mine]
        return found.numpy()


def exact_file(cache: Path, part: str, number: int) -> Path:
    """Where the bit-accurate run of a pair is kept."""
    return cache / f"{part}_{number:02d}.npz"


def read_exact(file: Path) -> ExactRun:
    """A bit-accurate run, of no image where there is none yet."""
    if not file.exists():
        return ExactRun(np.zeros(0, bool), 0.0)
    with np.load(file) as kept:
        return ExactRun(kept["hits"], float(kept["cpu_seconds"]))


def run_exact(pair: Pair, file: Path, seconds: float, most: int) -> None:
    """Adds images to a bit-accurate run until it has taken its CPU seconds or has seen all images."""
    done, begun = read_exact(file), time.process_time()
    if done.cpu_seconds >= seconds or len(done.hits) >= most:
        return
    dies, hits = Dies(pair, exact=True), done.hits
    while len(hits) < most:
        hits = np.concatenate([hits, dies.hits(len(hits), len(hits) + IMAGES_AT_ONCE)])
        taken = done.cpu_seconds + time.process_time() - begun
        partial = file.with_suffix(".tmp.npz")
        np.savez(partial, hits=hits, cpu_seconds=taken)
        partial.replace(file)
        if taken >= seconds:
            return


def simulate(cache: Path, part: str, seconds: float, numbers: list[int]) -> None:
    """Runs the bit-accurate form of some pairs, of all where none is named."""
    pairs = kept_pairs(cache, part)
    files = [exact_file(cache, part, number) for number in range(len(pairs))]
    for number in numbers or range(len(pairs)):
        run_exact(pairs[number], files[number], seconds, MOST_IMAGES)
        count = len(read_exact(files[number]).hits)
        print(number, pairs[number].network, pairs[number].chip, count, flush=True)


def compared(pair: Pair, run: ExactRun, draws: int) -> dict[str, Any]:
    """The noise form of a pair on the images of its bit-accurate run."""
    begun, means, total = time.process_time(), [], np.zeros(len(run.hits))
    for draw in range(draws):
        hits = Dies(pair, exact=False, draw=draw).hits(0, len(run.hits))
        total += hits
        means.append(100 * hits.mean())
    taken = time.process_time() - begun
    difference = 100 * (total / draws - run.hits)
    return {
        "network": pair.network,
        "chip": pair.chip,
        "images": len(run.hits),
        "exact": round(100 * float(run.hits.mean()), 2),
        "equivalent": round(float(np.mean(means)), 2),
        "difference": round(float(difference.mean()), 3),
        "standard_error": round(float(difference.std(ddof=1) / len(difference) ** 0.5), 3),
        "draw_spread": round(float(np.std(means, ddof=1)), 3) if draws > 1 else None,
        "cpu_seconds": [round(taken / draws, 1), round(run.cpu_seconds, 1)],
    }


def verdicts(found: list[Mapping[str, Any]]) -> dict[str, Any]:
    """How many pairs differ by how much, and of how many that is beyond what images leave open."""
    off = np.array([abs(pair["difference"]) for pair in found])
    margin = CONFIDENCE_ERRORS * np.array([pair["standard_error"] for pair in found])
    of_images = float(np.mean([pair["standard_error"] ** 2 for pair in found]))
    told: dict[str, Any] = {
        "pairs": len(found),
        "fewest_images": min(pair["images"] for pair in found),
        "most_images": max(pair["images"] for pair in found),
        "mean_signed_difference": round(float(np.mean([p["difference"] for p in found])), 3),
        "rms_difference": round(float((off**2).mean() ** 0.5), 3),
        "rms_of_sampling_alone": round(of_images**0.5, 3),
        "rms_beyond_sampling": round(max(0.0, float((off**2).mean()) - of_images) ** 0.5, 3),
    }
    for points in ALLOWED_POINTS:
        told[f"within_{points}"] = int((off <= points).sum())
        told[f"surely_within_{points}"] = int((off + margin <= points).sum())
        told[f"surely_beyond_{points}"] = int((off - margin > points).sum())
    told["known_classes"] = by_network(found)
    return told


def by_network(found: list[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Of the pairs that know their classes (KNOWING percent): mean difference, weighted by what is known of each."""
    told = {}
    for name in sorted({pair["network"] for pair in found}):
        own = [p for p in found if p["network"] == name and p["exact"] >= KNOWING]
        weights = np.array([p["standard_error"] ** -2.0 for p in own])
        mean = float((weights * [p["difference"] for p in own]).sum() / weights.sum())
        error = float(weights.sum() ** -0.5)
        told[name] = {"pairs": len(own), "mean": round(mean, 3), "standard_error": round(error, 3)}
    return told


def compare(cache: Path, part: str, draws: int) -> None:
    """Compares every pair that has a bit-accurate run, and keeps the part in the results."""
    found = []
    for number, pair in enumerate(kept_pairs(cache, part)):
        run = read_exact(exact_file(cache, part, number))
        if len(run.hits):
            found.append(compared(pair, run, draws))
            print(json.dumps(found[-1]), flush=True)
    figures = {"draws": draws, **verdicts(found), "list": found}
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {part: figures}, indent=1) + "\n")
    print(json.dumps(verdicts(found), indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["exact", "compare"])
    parser.add_argument("cache", type=Path)
    parser.add_argument("--part", choices=["pairs", "usable", "fixed"], default="pairs")
    parser.add_argument("--seconds", type=float, default=75.0)
    parser.add_argument("--numbers", type=int, nargs="*", default=[], help="of pairs, from 0")
    parser.add_argument("--draws", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        if given.what == "compare":
            compare(given.cache, given.part, given.draws)
        else:
            simulate(given.cache, given.part, given.seconds, given.numbers)
