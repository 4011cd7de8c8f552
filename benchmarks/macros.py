"""The model beside AccelForge's published macros, run here: array operations of layers on one macro, all weights in place.

    pip install 'cimbo[accelforge]'      (Python 3.12 or newer; docs/reference.md, Other simulators)
    python benchmarks/macros.py [--macros NAME,NAME]

Latencies of the layers on one macro are compared with ours after division by those of the first layer, which is free of the
macro's cycle time. Prints ratios ours / AccelForge and writes macros.json beside this file. Some 2 s a layer.

Where columns leave a part of the last tile empty, AccelForge counts that part of an operation, not a whole one: 197 columns on
16 are 12.3 operations there and 13 here. Wang's macro takes two column tiles at once where one needs half of its rows.
On the basic macro its mapper finds no full use for sizes with few divisors.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/hardware"))
from accelforge_macros import MACROS, macro_cycles

from cimbo.evaluation.simulators.accelforge import published_latency_s

LAYERS = {
    "ViT-B qkv": (197, 768, 2304),
    "ViT-B first of the MLP": (197, 768, 3072),
    "ViT-B second of the MLP": (197, 3072, 768),
    "ViT-B scores, a head": (197, 64, 197),
    "BERT-base projection": (128, 768, 768),
    "ResNet-18 3 x 3, 64": (3136, 576, 64),
    "ResNet-50 1 x 1, 2048": (49, 2048, 512),
    "ResNet-50 classifier": (1, 2048, 1000),
    "odd sizes": (50, 200, 75),
}


def compared(arch: str) -> Iterator[dict]:
    first = None
    for layer, size in LAYERS.items():
        ours, theirs = macro_cycles(arch, size), published_latency_s(arch, size)
        first = first or theirs / ours
        row = {
            "macro": arch,
            "layer": layer,
            "M": size[0],
            "K": size[1],
            "N": size[2],
            "ours": ours,
            "latency_s": theirs,
        }
        yield row | {"ratio": ours * first / theirs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--macros", default=",".join(MACROS))
    rows = []
    for arch in parser.parse_args().macros.split(","):
        for row in compared(arch):
            seconds = f"{row['latency_s']:12.4g} s"
            print(
                f"{arch:22s}{row['layer']:26s}{row['ours']:12,.0f}{seconds}{row['ratio']:8.3f}",
                flush=True,
            )
            rows.append(row)
    Path(__file__).with_suffix(".json").write_text(
        json.dumps(rows, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
