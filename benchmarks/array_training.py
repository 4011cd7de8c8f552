"""What training under the errors of chips is worth: accuracies on arrays before and after it.

    python benchmarks/array_training.py fmnist-vit --before OLD.safetensors [--images 1000]

Measures the largest and the smallest sub-network on the first validation images, without a chip, on digital arrays and on
charge-domain arrays as the cost model describes them (two's complement, one range a layer, .3 LSB of noise, .5 LSB of
non-linearity, offsets). Adds the figures to array_training.json beside this file, and those of three chips to supernets.json.

The weights of before stand in the repository's history; of fmnist-vit and of fmnist-mobilenet:

    git show c55c328^:data/supernets/fmnist-vit.safetensors > OLD.safetensors
"""

import argparse
import json
from pathlib import Path

from cimbo import _data
from cimbo.evaluation.accuracy import shipped
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.workloads import network

RESULTS = Path(__file__).with_suffix(".json")
SUPERNETS = Path(__file__).with_name("supernets.json")
SUMMARISED = ("no chip", "7-bit converters, 64 rows", "6-bit converters, 64 rows")
CONVERTERS = ((8, 128), (7, 64), (7, 128), (6, 32), (6, 64), (6, 128), (5, 32), (5, 64))


def chips() -> dict[str, dict[str, object]]:
    """The arrays to measure on, by what the table calls them."""
    found: dict[str, dict[str, object]] = {"no chip": {}}
    for bits in (8, 4):
        genes = {"array": "digital_sram", "rows": 64, "weight_bits": bits, "act_bits": bits}
        found[f"digital, operands of {bits} bits"] = genes
    for bits, rows in CONVERTERS:
        genes = {"array": "charge_sram", "rows": rows, "adc_bits": bits}
        found[f"{bits}-bit converters, {rows} rows"] = genes
    return found


def accuracies(name: str, weights: Path, images: int) -> dict[str, dict[str, float]]:
    """Accuracy in percent by sub-network and chip, with the weights of a file."""
    loaded = shipped.load(name, weights).requires_grad_(False)
    usual = shipped.supernetwork
    shipped.supernetwork = lambda supernet: loaded  # type: ignore[assignment]
    try:
        return {which: _on_chips(name, which, images) for which in ("largest", "smallest")}
    finally:
        shipped.supernetwork = usual


def _on_chips(name: str, which: str, images: int) -> dict[str, float]:
    """Accuracy in percent of the largest or the smallest sub-network by chip."""
    source, subnet = ShippedAccuracy(name), getattr(network(name), which)()
    measured = {}
    for chip, genes in chips().items():
        measured[chip] = round(source.measure({**subnet, **genes}, images=images), 2)
    return measured


def summarise(name: str, result: dict[str, object]) -> None:
    """Writes what training under errors did to the accuracy, clean and on chips that err, to supernets.json."""
    known = json.loads(SUPERNETS.read_text())
    summary: dict[str, object] = {"validation_images": result["validation_images"]}
    for when in ("before", "after"):
        of_all: dict[str, dict[str, float]] = result[when]  # type: ignore[assignment]
        summary[when] = {
            which: {chip: measured[chip] for chip in SUMMARISED}
            for which, measured in of_all.items()
        }
    known[name]["training_under_errors"] = summary
    SUPERNETS.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=["fmnist-vit", "fmnist-mobilenet"])
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--images", type=int, default=1000)
    arguments = parser.parse_args()
    after = _data.path(f"supernets/{arguments.name}.safetensors")
    result = {"validation_images": arguments.images}
    for when, weights in (("before", arguments.before), ("after", Path(after))):
        result[when] = accuracies(arguments.name, weights, arguments.images)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**known, arguments.name: result}, indent=1) + "\n")
    summarise(arguments.name, result)
    print(json.dumps(result, indent=1))
