"""CIM-NAS-Bench: the measurements behind ``data/cim-nas-bench``, one line of JSON each.

    python benchmarks/cim_nas_bench.py measure LINES      measures what LINES lacks, and appends it; may be killed any time
    python benchmarks/cim_nas_bench.py list               prints how many measurements there are, of each network and part
    python benchmarks/cim_nas_bench.py pack LINES         writes data/cim-nas-bench from LINES

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
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cimbo.benchmarking.cim_nas_bench.measurements import (
    ABOUT_FILE,
    FOLDER,
    About,
    Measurement,
    write,
)
from cimbo.benchmarking.cim_nas_bench.measuring import measure
from cimbo.benchmarking.cim_nas_bench.spaces import (
    TABLE_NETWORKS,
    all_layers,
    products,
    table_arrays,
)
from cimbo.evaluation.accuracy import RESULTS_VERSION
from cimbo.problem.space import SearchSpace
from cimbo.workloads import network

DATA_FOLDER = Path(__file__).parents[1] / "data" / FOLDER
RANDOM_COUNTS = {"fmnist-vit": 1880, "fmnist-mobilenet": 1880, "reviews-minilm": 60}
EXACT_COUNTS = {"fmnist-vit": 40, "fmnist-mobilenet": 40}
N_IMAGES = 500
N_EXACT_IMAGES = 300
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


def pack(file: Path, accuracy_version: int) -> None:
    """Writes what was measured as the files that are shipped.

    Args:
        file: Lines of `run`.
        accuracy_version: `cimbo.evaluation.accuracy.RESULTS_VERSION` of the code that measured.

    Raises:
        ValueError: A line is of another measurement than its number says.
    """
    asked, found = measurements(), []
    for line in file.read_text().splitlines():
        measured = Measurement(**json.loads(line))
        same = asked[measured.number]
        if replace(measured, right=same.right, cpu_seconds=same.cpu_seconds) != same:
            raise ValueError(f"line of number {measured.number} is not what that number asks for")
        found.append(measured)
    DATA_FOLDER.mkdir(exist_ok=True)
    hashes = {}
    for name in TABLE_NETWORKS:
        packed = DATA_FOLDER / f"{name}.csv"
        write(name, [each for each in found if each.network == name], packed)
        hashes[packed.name] = hashlib.sha256(packed.read_bytes()).hexdigest()
    about = About(
        accuracy_results_version=accuracy_version,
        measurements=len(found),
        asked=len(asked),
        cpu_seconds=round(sum(each.cpu_seconds for each in found)),
        sha256=hashes,
    )
    text = json.dumps(asdict(about), indent=1) + "\n"
    (DATA_FOLDER / ABOUT_FILE).write_text(text, encoding="utf-8")


def main() -> None:
    """Runs a command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("measure").add_argument("lines", type=Path)
    commands.add_parser("list")
    packing = commands.add_parser("pack")
    packing.add_argument("lines", type=Path)
    packing.add_argument(
        "--accuracy-version",
        type=int,
        default=RESULTS_VERSION,
        help="of the code that measured, where it was another",
    )
    asked = parser.parse_args()
    if asked.command == "measure":
        run(asked.lines)
        return
    if asked.command == "pack":
        pack(asked.lines, asked.accuracy_version)
        return
    counts = Counter((m.network, m.part) for m in measurements())
    for (name, part), count in counts.items():
        print(f"{name:20} {part:8} {count}")
    print(sum(counts.values()))


if __name__ == "__main__":
    main()
