"""Does any gene give something for nothing? Every gene one step up and down, on random chips and four networks.

    python benchmarks/free_lunch.py [--chips 2000]        (about a minute)

A step is a gene with the value it leaves and the one it takes. It costs where latency, energy, area or the resolution of the
sums (what accuracy follows) get worse, by more than rounding. A step that improves something and costs nothing on any chip
for any network is a free lunch: what it should cost is missing from the model. A step that costs nothing on single chips only
is what an oversized chip can give back. Writes free_lunch.json beside this file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cimbo.hardware import DEFAULT_GENES, chip_choices, simulate_batch
from cimbo.hardware.array_description import describe_array
from cimbo.problem.space import Choice
from cimbo.workloads import network

NETWORKS = ("fmnist-vit", "fmnist-mobilenet", "vit-b", "ofa-mobilenetv3")
COSTS = ("latency_ms", "energy_uj", "area_mm2")
ROUNDING = 1e-6
WORTH = 1e-3  # an improvement by less is none

Chip = dict[str, Any]

# Why a step may cost nothing: its price is none of the four that are counted.
EXPLAINED = {
    "node_nm": "a newer process costs more money a mm2 and for its masks, which no metric here counts",
    "dram": "a better kind of DRAM costs more money, HBM an interposer besides, which no metric here counts",
    "buffer_mb": "none of the four networks needs more than 2 MB at a time: the chip gives back what it has too much of",
    "buffer_gb_s": "no chip of the space computes as fast as its widest buffer: it gives back what it has too much of",
    "noc_gb_s": "no chip of the space computes as fast as its widest network: it gives back what it has too much of",
}


def random_chips(number: int, seed: int = 0) -> list[Chip]:
    """Chips of the extended space, every gene drawn by itself, those that no chip can have left out."""
    rng = np.random.default_rng(seed)
    choices = chip_choices(extended=True)
    return [
        {c.name: c.values[int(rng.integers(len(c.values)))] for c in choices} for _ in range(number)
    ]


def steps(choices: Sequence[Choice]) -> Iterator[tuple[str, Any, Any]]:
    """(gene, from, to): to the next value and back, between any two words."""
    for choice in choices:
        if choice.ordered:
            for below, above in zip(choice.values, choice.values[1:], strict=False):
                yield choice.name, below, above
                yield choice.name, above, below
        else:
            for one in choice.values:
                yield from ((choice.name, one, other) for other in choice.values if other != one)


def resolution(chip: Mapping[str, Any]) -> float:
    """Bits by which an array's sums are known: of the converter, less what more rows and levels need; exact: infinite.

    With a range calibrated to the sums, the error of a layer is that of the converter whatever the rows; more levels of cells
    and inputs in one sum leave fewer readings to average over. Few rows that a converter reads exactly are as good as can be.
    """
    array = describe_array(chip)
    if array.is_digital:
        return np.inf
    levels = np.log2(array.largest_sum + 1)
    if array.adc_bits >= levels:
        return 100.0  # every sum as it is, but for the cells' noise
    return array.adc_bits - 0.5 * (array.cell_bits + array.dac_bits) - 1e-3 * levels


def walk(chips: Sequence[Chip]) -> list[dict[str, Any]]:
    """Every step, with how many pairs of chip and network it was tried on, improved something, cost something."""
    works = [network(name).workload(network(name).largest()) for name in NETWORKS]
    now = [simulate_batch(work, list(chips)) for work in works]
    sharp = np.array([resolution(chip) for chip in chips])
    rows = []
    for gene, start, to in steps(chip_choices(extended=True)):
        at = [i for i, chip in enumerate(chips) if chip[gene] == start]
        moved = [chips[i] | {gene: to} for i in at]
        if not at:
            continue
        before, after = sharp[at], np.array([resolution(chip) for chip in moved])
        better = np.tile(after > before, len(works))
        worse = np.tile(after < before, len(works))
        then = [simulate_batch(work, moved) for work in works]
        for metric in COSTS:
            ratio = np.concatenate(
                [b[metric] / a[metric][at] for a, b in zip(now, then, strict=True)]
            )
            better |= ratio < 1 - WORTH
            worse |= ratio > 1 + ROUNDING
        rows.append(
            {
                "gene": gene,
                "from": start,
                "to": to,
                "pairs": int(better.size),
                "improves": float(better.mean()),
                "costs": float(worse.mean()),
                "free_lunch": bool(better.any() and not worse.any()),
                "explained": EXPLAINED.get(gene) if better.any() and not worse.any() else None,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=2000)
    options = parser.parse_args()
    rows = walk(random_chips(options.chips))
    for row in sorted(rows, key=lambda row: row["costs"]):
        mark = f"FREE LUNCH: {row['explained'] or 'NOT EXPLAINED'}" if row["free_lunch"] else ""
        print(
            f"{row['gene']:16s}{row['from']!s:>12s} -> {row['to']!s:12s}{row['pairs']:7d} pairs  improves "
            f"{row['improves']:5.0%}  costs {row['costs']:5.0%}  {mark}"
        )
    free = [row for row in rows if row["free_lunch"]]
    open_ones = sum(row["explained"] is None for row in free)
    print(
        f"{len(free)} of {len(rows)} steps give something for nothing, {open_ones} without a reason"
    )
    report = {
        "command": f"python benchmarks/free_lunch.py --chips {options.chips}",
        "networks": NETWORKS,
        "defaults": {name: DEFAULT_GENES[name] for name in ("schedule", "weight_bits", "act_bits")},
        "free_lunches": free,
        "steps": rows,
    }
    text = json.dumps(report, indent=1) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
