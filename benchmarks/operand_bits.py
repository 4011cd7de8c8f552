"""Operands of few bits on digital arrays: 8 bits are as good as float, one bit knows nothing.

    python benchmarks/operand_bits.py [--images 5000]

The largest network of each shipped super-network, on test images, the same ones for all; operands as the super-networks were
trained to hold them. ``difference`` is that of an accuracy from the one in float, ``standard_error`` follows from the images on
which the two differ. Results are in operand_bits.json beside this file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.workloads import network

RESULTS = Path(__file__).with_suffix(".json")
NAMES = ("fmnist-vit", "fmnist-mobilenet")
BITS = (8, 1)


def accuracies(name: str, images: int) -> dict[str, Any]:
    """Accuracy in float and at each number of bits, in percent of the first test images."""
    source, subnet = ShippedAccuracy(name), network(name).largest()
    plain = source.hits(subnet, "test", images=images)
    found: dict[str, Any] = {"float": round(100 * plain.double().mean().item(), 2)}
    for bits in BITS:
        genes = {"array": "digital_sram", "rows": 64, "weight_bits": bits, "act_bits": bits}
        hits = source.hits({**subnet, **genes}, "test", images=images)
        differ = int((hits != plain).sum())
        accuracy = 100 * hits.double().mean().item()
        found[f"{bits}_bits"] = {
            "accuracy": round(accuracy, 2),
            "difference": round(accuracy - found["float"], 2),
            "standard_error": round(100 * differ**0.5 / len(hits), 2),
        }
        print(name, bits, found[f"{bits}_bits"], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=5000)
    images = parser.parse_args().images
    torch.set_num_threads(1)
    figures: dict[str, Any] = {"test_images": images}
    for name in NAMES:
        figures[name] = accuracies(name, images)
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
