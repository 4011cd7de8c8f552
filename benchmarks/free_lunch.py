"""Does any gene give something for nothing? Every gene one step up and down, on random chips and four networks.

    python benchmarks/free_lunch.py [--chips 2000]        (some two minutes)

A step is a gene with the value it leaves and the one it takes. It costs where latency, energy, area or the resolution of the
sums (what accuracy follows) get worse, by more than rounding. For each step the share of pairs of chip and network is counted
in which it improves something and costs nothing. A step of which that is so everywhere is a free lunch: what it should cost is
missing from the model. One of which it is so in many pairs has a reason in ``REASONS``, or is listed without one. Writes
free_lunch.json beside this file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
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

LISTED_SHARE = (
    0.2  # of pairs in which a step gives something for nothing, above which it needs a reason
)
SUMMED = Choice("columns_summed", [1, 2, 4, 8])  # no gene of the spaces, but one of a chip


@dataclass(frozen=True)
class Reason:
    """Why steps of a gene cost nothing in many pairs.

    Attributes:
        gene: The gene.
        direction: Steps that it holds for: "up", "down" or "any".
        text: The reason.
    """

    gene: str
    direction: str
    text: str


OVERSIZED = "a random chip has more than the networks use, and gives back what it has too much of"
REASONS = (
    Reason(
        "node_nm",
        "any",
        "a newer process costs money a mm2 and for its masks, which no metric counts",
    ),
    Reason(
        "dram",
        "any",
        "LPDDR4X and LPDDR5 are newer and dearer parts, which no metric counts; DDR4 and whole stacks are more "
        "than most random chips use, with up to eight channels",
    ),
    Reason("buffer_mb", "down", f"no network needs more than 2 MB at a time: {OVERSIZED}"),
    Reason("buffer_gb_s", "down", OVERSIZED),
    Reason("noc_gb_s", "down", OVERSIZED),
    Reason("dram_channels", "down", OVERSIZED),
    Reason("vector_lanes", "down", OVERSIZED),
    Reason("pes", "down", OVERSIZED),
    Reason("macros_per_pe", "down", OVERSIZED),
    Reason("planes", "down", f"planes that hold nothing: {OVERSIZED}"),
    Reason("rows", "down", f"rows that layers do not fill load the columns: {OVERSIZED}"),
    Reason("cols", "down", f"columns that layers do not fill load the word lines: {OVERSIZED}"),
    Reason("adc_bits", "down", f"bits that tell no more levels than there are: {OVERSIZED}"),
    Reason(
        "array",
        "any",
        "families differ in everything: resistive cells at rows of SRAM, and sharp converters where trees are smaller, lose",
    ),
    Reason(
        "clock_ghz",
        "up",
        "a slow clock needs wide ports for the same GB/s, which cost more than the effort of a faster one",
    ),
    Reason(
        "supply_v",
        "up",
        "near the threshold gates are so slow that leakage over the longer run outweighs what the supply saves",
    ),
    Reason(
        "rows_active", "up", "few rows at once take many steps, each with conversions of its own"
    ),
    Reason("columns_per_adc", "up", f"converters that wait for the DRAM may be fewer: {OVERSIZED}"),
    Reason(
        "columns_summed",
        "up",
        "one conversion for several columns, at the price of capacitors and of a step each, where one converter is dearer",
    ),
    Reason(
        "columns_summed",
        "down",
        "eight columns take 255 unit capacitors and seven steps, more than a second converter that tells more levels",
    ),
)


def random_chips(number: int, seed: int = 0) -> list[Chip]:
    """Chips of the extended space, every gene drawn by itself, those that no chip can have left out."""
    rng = np.random.default_rng(seed)
    choices = chip_choices(extended=True)
    chips = []
    for _ in range(number):
        chip = {c.name: c.values[int(rng.integers(len(c.values)))] for c in choices}
        chips.append(chip | {SUMMED.name: 1})
    summed = rng.integers(len(SUMMED.values), size=number)
    for chip, index in zip(chips, summed.tolist(), strict=True):
        chip[SUMMED.name] = SUMMED.values[index]
    return chips


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


def reason(gene: str, start: Any, to: Any, values: Sequence[Any]) -> str | None:
    """Why a step costs nothing in many pairs; None where there is no reason."""
    direction = "up" if values.index(to) > values.index(start) else "down"
    for each in REASONS:
        if each.gene == gene and each.direction in (direction, "any"):
            return each.text
    return None


@dataclass(frozen=True)
class Step:
    """One step of a gene over many pairs of chip and network.

    Attributes:
        gene: The gene.
        start: The value that it leaves.
        to: The value that it takes.
        pairs: How many pairs were tried.
        improves: Share in which something improves.
        costs: Share in which something gets worse.
        free: Share in which something improves and nothing gets worse.
        reason: Why ``free`` is large, where it is.
    """

    gene: str
    start: Any
    to: Any
    pairs: int
    improves: float
    costs: float
    free: float
    reason: str | None

    def row(self) -> dict[str, Any]:
        """For JSON."""
        row = asdict(self)
        row["from"] = row.pop("start")
        return row


def walk(chips: Sequence[Chip]) -> list[Step]:
    """Every step, with the shares of pairs in which it improves something, costs something, or only improves."""
    works = [network(name).workload(network(name).largest()) for name in NETWORKS]
    now = [simulate_batch(work, list(chips)) for work in works]
    sharp = np.array([resolution(chip) for chip in chips])
    choices = [*chip_choices(extended=True), SUMMED]
    values = {choice.name: list(choice.values) for choice in choices}
    found = []
    for gene, start, to in steps(choices):
        at = [i for i, chip in enumerate(chips) if chip[gene] == start]
        if not at:
            continue
        moved = [chips[i] | {gene: to} for i in at]
        before, after = sharp[at], np.array([resolution(chip) for chip in moved])
        better = np.tile(after > before, len(works))
        worse = np.tile(after < before, len(works))
        then = [simulate_batch(work, moved) for work in works]
        for metric in COSTS:
            ratios = [b[metric] / a[metric][at] for a, b in zip(now, then, strict=True)]
            ratio = np.concatenate(ratios)
            better |= ratio < 1 - WORTH
            worse |= ratio > 1 + ROUNDING
        free = float((better & ~worse).mean())
        why = reason(gene, start, to, values[gene]) if free > LISTED_SHARE else None
        shares = float(better.mean()), float(worse.mean()), free
        found.append(Step(gene, start, to, better.size, *shares, why))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=2000)
    options = parser.parse_args()
    found = sorted(walk(random_chips(options.chips)), key=lambda step: -step.free)
    listed = [step for step in found if step.free > LISTED_SHARE]
    for step in found:
        mark = ""
        if step in listed:
            mark = step.reason or "NOT EXPLAINED"
        print(
            f"{step.gene:16s}{step.start!s:>12s} -> {step.to!s:12s}{step.pairs:7d} pairs  improves "
            f"{step.improves:5.0%}  costs {step.costs:5.0%}  for nothing {step.free:5.0%}  {mark}"
        )
    everywhere = [step for step in found if step.improves > 0 and step.costs == 0]
    unexplained = [step for step in listed if step.reason is None]
    print(
        f"of {len(found)} steps {len(listed)} give something for nothing in more than {LISTED_SHARE:.0%} of the pairs, "
        f"{len(unexplained)} of them without a reason; {len(everywhere)} cost nothing in any pair"
    )
    report = {
        "command": f"python benchmarks/free_lunch.py --chips {options.chips}",
        "networks": NETWORKS,
        "defaults": {name: DEFAULT_GENES[name] for name in ("schedule", "weight_bits", "act_bits")},
        "listed_share": LISTED_SHARE,
        "listed": [step.row() for step in listed],
        "unexplained": [step.row() for step in unexplained],
        "cost_nothing_anywhere": [step.row() for step in everywhere],
        "steps": [step.row() for step in found],
    }
    text = json.dumps(report, indent=1) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
