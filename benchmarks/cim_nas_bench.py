"""CIM-NAS-Bench: the measurements behind ``data/cim-nas-bench``, one line of JSON each.

    python benchmarks/cim_nas_bench.py measure LINES      measures what LINES lacks, and appends it; may be killed any time
    python benchmarks/cim_nas_bench.py list               prints how many measurements there are, of each network and part

A measurement is a sub-network of a shipped super-network on one die of one array. It depends on its
number alone: the same number is the same measurement, whoever makes it and when. Three parts:

``table``: every sub-network of a small space (the genes of all layers alike) on every array of a
small space, all on die 0; a search looks its accuracies up. ``random``: a sub-network of the whole
space on an array and under a noise drawn at random, for predictors. ``exact``: the first of
``random`` again, on bit-accurate arrays, beside the same measurement in the equivalent-noise form on
the same images.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cimbo.evaluation.accuracy.shipped import examples, supernetwork
from cimbo.hardware.cell_errors import ArrayConditions
from cimbo.problem.space import SearchSpace
from cimbo.supernets.array_errors import Die, arrays
from cimbo.supernets.measurement import deployed, logits
from cimbo.workloads import network

TABLE_NETWORKS: dict[str, dict[str, tuple[int, ...]]] = {
    "fmnist-vit": {"depth": (2, 4, 6), "embed": (32, 48, 64), "heads": (1, 4), "mlp": (1, 3)},
    "fmnist-mobilenet": {
        "resolution": (20, 24, 28),
        "depth": (1, 2, 3),
        "kernel": (3, 5),
        "expand": (2, 4),
    },
    "reviews-minilm": {"depth": (3, 6), "heads": (4, 12), "mlp": (384, 1536)},
}
"""The small spaces of sub-networks; a gene stands for those of all layers or stages."""

TABLE_ARRAYS: dict[str, dict[str, tuple[Any, ...]]] = {
    "fmnist-vit": {
        "array": ("charge_sram", "rram"),
        "rows": (32, 64, 128),
        "adc_bits": (6, 8),
    },
    "fmnist-mobilenet": {
        "array": ("charge_sram", "rram"),
        "rows": (32, 64, 128),
        "adc_bits": (5, 7),
    },
    "reviews-minilm": {"array": ("charge_sram",), "rows": (32, 64), "adc_bits": (7, 9)},
}
"""The small spaces of arrays with converters; beside them digital arrays with weights of 4 and of 8 bits."""

DIGITAL_WEIGHT_BITS = (4, 8)
RANDOM_COUNTS = {"fmnist-vit": 1880, "fmnist-mobilenet": 1880, "reviews-minilm": 60}
EXACT_COUNTS = {"fmnist-vit": 40, "fmnist-mobilenet": 40}
N_IMAGES = 500
N_EXACT_IMAGES = 300
N_CALIBRATION_IMAGES = 250
N_DIES = 4  # that the random part draws from
SEEDS = {"fmnist-vit": 11, "fmnist-mobilenet": 12, "reviews-minilm": 13}

RANDOM_ARRAY_GENES: dict[str, tuple[Any, ...]] = {
    "array": ("charge_sram", "current_sram", "rram", "digital_sram"),
    "rows": (16, 32, 64, 128, 256),
    "adc_bits": (4, 5, 6, 7, 8, 9, 10),
    "dac_bits": (1, 2, 4),
    "cell_bits": (1, 2),
    "weight_bits": (4, 5, 6, 7, 8),
    "act_bits": (4, 5, 6, 7, 8),
    "adc_range": ("layer", "layer_and_digit"),
}
OPERAND_GENES = ("weight_bits", "act_bits")  # the only ones that a digital array's accuracy sees
RANDOM_NOISE: dict[str, tuple[Any, ...]] = {
    "age": ("1 s", "1 h", "1 day", "1 month"),
    "stuck_cells": (None, 0.0, 0.001, 0.01),
    "noise_lsb": (None, 0.0, 0.25, 0.5, 1.0),
}
"""What else changes: age of written cells, share of stuck ones, noise of converters; None: as the constants have it."""


@dataclass(frozen=True)
class Measurement:
    """One measurement to be made.

    Attributes:
        number: Its number; lines of the file are told apart by it.
        network: The super-network.
        part: "table", "random" or "exact".
        subnet: Genes of the sub-network, of every layer that it has.
        array: Genes of the array; empty: without a chip.
        noise: Settings of `ArrayConditions` that are not as usual.
        die: Number of the die.
        images: How many test images, from the first.
        form: "equivalent" or "exact".
    """

    number: int
    network: str
    part: str
    subnet: Mapping[str, Any]
    array: Mapping[str, Any]
    noise: Mapping[str, Any] = field(default_factory=dict)
    die: int = 0
    images: int = N_IMAGES
    form: str = "equivalent"


def all_layers(name: str, small: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the genes of every layer from those of a small space.

    Args:
        name: The super-network.
        small: Genes of its small space.

    Returns:
        Each active gene of the super-network's space to its value.
    """
    full = {}
    for choice in network(name).choices():
        word = choice.name.split("_")[0]
        full[choice.name] = small[word]
    space = SearchSpace(network(name).choices())
    return dict(space.designs(space.rows([full]))[0])


def products(values: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Goes over all combinations of values, the last gene fastest."""
    for found in itertools.product(*values.values()):
        yield dict(zip(values, found, strict=True))


def table_arrays(name: str) -> list[dict[str, Any]]:
    """Lists the arrays of a super-network's table: those with converters, then digital ones."""
    found = list(products(TABLE_ARRAYS[name]))
    for bits in DIGITAL_WEIGHT_BITS:
        found.append({"array": "digital_sram", "weight_bits": bits})
    return found


def draw(rng: np.random.Generator, values: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Draws a value of each gene."""
    return {name: choices[rng.integers(len(choices))] for name, choices in values.items()}


def random_array(rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draws an array and what is unusual of its noise; digital arrays have operands alone."""
    array, noise = draw(rng, RANDOM_ARRAY_GENES), draw(rng, RANDOM_NOISE)
    if array["array"] == "digital_sram":
        kept = {gene: array[gene] for gene in ("array", *OPERAND_GENES)}
        return kept, {}
    if array["array"] != "rram":
        del noise["age"]  # what is written into SRAM does not age
    return array, {name: value for name, value in noise.items() if value is not None}


def measurements() -> list[Measurement]:
    """Lists all measurements in the order in which they are made; numbers are places in it."""
    found: list[Measurement] = []
    randoms: dict[str, list[Measurement]] = {}

    def add(name: str, part: str, *genes: Mapping[str, Any], **rest: Any) -> Measurement:
        made = Measurement(len(found), name, part, *genes, **rest)
        found.append(made)
        return made

    for name, count in RANDOM_COUNTS.items():
        rng = np.random.default_rng(SEEDS[name])
        space = SearchSpace(network(name).choices())
        for subnet in space.designs(space.random_rows(count, rng)):
            array, noise = random_array(rng)
            die = int(rng.integers(N_DIES))
            made = add(name, "random", subnet, array, noise=noise, die=die, images=N_IMAGES)
            randoms.setdefault(name, []).append(made)
    for name, values in TABLE_NETWORKS.items():
        for small in products(values):
            subnet = all_layers(name, small)
            for array in table_arrays(name):
                add(name, "table", subnet, array, images=N_IMAGES)
    for name, count in EXACT_COUNTS.items():
        for twin in [m for m in randoms[name] if "adc_bits" in m.array][:count]:
            for form in ("equivalent", "exact"):
                genes = (twin.subnet, twin.array)
                same = {"noise": twin.noise, "die": twin.die, "images": N_EXACT_IMAGES}
                add(name, "exact", *genes, form=form, **same)
    return found


def in_turn(all_of_them: list[Measurement]) -> list[Measurement]:
    """Orders measurements so that a run cut off is of use: tables first, then some of all others."""
    shuffled = np.random.default_rng(0).permutation(len(all_of_them))
    order = sorted(shuffled, key=lambda number: all_of_them[number].part != "table")
    return [all_of_them[number] for number in order]


def measure(asked: Measurement) -> tuple[int, float]:
    """Makes a measurement.

    Args:
        asked: What is measured.

    Returns:
        How many images are classified rightly, and the CPU seconds that took.
    """
    start = time.process_time()
    conditions = ArrayConditions(**asked.noise)
    genes = {**asked.subnet, **asked.array}
    chip = arrays(genes, seed=0, ideal=False, conditions=conditions)
    images, labels = (tensor[: asked.images] for tensor in examples(asked.network, "test"))
    calibration = examples(asked.network, "calibration")[0][:N_CALIBRATION_IMAGES]
    die = None
    if chip is not None:
        die = Die(chip, asked.die, exact=asked.form == "exact")
    with torch.inference_mode():
        ready = deployed(supernetwork(asked.network), genes, calibration, die)
        right = int((logits(ready, images).argmax(1) == labels).sum())
    return right, time.process_time() - start


def numbers_in(file: Path) -> set[int]:
    """Reads which measurements a file has; a last line that was cut off is cut away."""
    if not file.exists():
        return set()
    text = file.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    return {json.loads(line)["number"] for line in whole.splitlines()}


def run(file: Path) -> None:
    """Measures what ``file`` lacks, a line each."""
    torch.set_num_threads(1)
    done = numbers_in(file)
    with file.open("a", buffering=1) as out:
        for asked in in_turn(measurements()):
            if asked.number in done:
                continue
            right, seconds = measure(asked)
            line = {**asdict(asked), "right": right, "cpu_seconds": round(seconds, 3)}
            out.write(json.dumps(line) + "\n")


def main() -> None:
    """Runs a command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("measure").add_argument("lines", type=Path)
    commands.add_parser("list")
    asked = parser.parse_args()
    if asked.command == "measure":
        run(asked.lines)
        return
    counts = Counter((m.network, m.part) for m in measurements())
    for (name, part), count in counts.items():
        print(f"{name:20} {part:8} {count}")
    print(sum(counts.values()))


if __name__ == "__main__":
    main()
