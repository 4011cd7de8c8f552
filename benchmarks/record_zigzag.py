"""Records ZigZag-IMC on ResNet-50 (224 x 224, 53 convolutions and the classifier), every unique layer once.

    pip install zigzag-dse==3.9.1 six
    python benchmarks/record_zigzag.py aimc zigzag_resnet50_aimc.json

The chip is ZigZag's own aimc.yaml or dimc.yaml with a buffer of 2 MiB and a DRAM of 256 bit a cycle; its mapping file is
default_imc.yaml, lpf_limit is 4, one spatial mapping. Some 30 s of CPU. benchmarks/agreement.py and the tests read the result.
"""

import argparse
import json
import logging
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

BUFFER_BITS, DRAM_BITS = 2**24, 256
_LAYER = ("kind", "k", "c", "oy", "ox", "f", "s", "g")


def resnet50() -> list[dict]:
    """Layers in order: output channels k, input channels c, outputs oy x ox, kernel f, stride s."""
    found, channels = [("conv", 64, 3, 112, 112, 7, 2, 1)], 64
    for stage, (middle, blocks, size) in enumerate(
        ((64, 3, 56), (128, 4, 28), (256, 6, 14), (512, 3, 7))
    ):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 0 else 1
            before = size * stride
            found.append(("conv", middle, channels, before, before, 1, 1, 1))
            found.append(("conv", middle, middle, size, size, 3, stride, 1))
            found.append(("conv", 4 * middle, middle, size, size, 1, 1, 1))
            if block == 0:
                found.append(("conv", 4 * middle, channels, size, size, 1, stride, 1))
            channels = 4 * middle
    found.append(("linear", 1000, channels, 1, 1, 1, 1, 1))
    return [dict(zip(_LAYER, layer, strict=True)) for layer in found]


def described(layer: dict) -> dict:
    """As ZigZag's convolution; its Gemm operator fails on CiM arrays."""
    sizes = {
        "B": 1,
        "K": layer["k"],
        "C": layer["c"],
        "OY": layer["oy"],
        "OX": layer["ox"],
        "FY": layer["f"],
        "FX": layer["f"],
    }
    return {
        "id": 0,
        "name": "layer",
        "operator_type": "Conv",
        "equation": "O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]",
        "dimension_relations": [f"ix={layer['s']}*ox+1*fx", f"iy={layer['s']}*oy+1*fy"],
        "loop_dims": list(sizes),
        "loop_sizes": list(sizes.values()),
        "operand_source": {"W": 0},
        "operand_precision": {"W": 8, "I": 8, "O": 16, "O_final": 8},
    }


def chip(base: str, inputs: Path) -> dict:
    entry = yaml.safe_load((inputs / f"hardware/{base}.yaml").read_text())
    for name, memory in entry["memories"].items():
        if name.startswith("sram"):
            memory["size"] = BUFFER_BITS
    for port in entry["memories"]["dram"]["ports"]:
        port["bandwidth_max"] = DRAM_BITS
    return entry


def evaluate(layer: dict, hardware: Path, inputs: Path) -> dict:
    from zigzag.api import get_hardware_performance_zigzag

    energy, cycles, *_ = get_hardware_performance_zigzag(
        [described(layer)],
        str(hardware),
        str(inputs / "mapping/default_imc.yaml"),
        opt="latency",
        dump_folder=str(hardware.parent),
        lpf_limit=4,
        nb_spatial_mappings_generated=1,
        in_memory_compute=True,
        loma_show_progress_bar=False,
    )
    return {**layer, "cycles": float(cycles), "energy_pJ": float(energy)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", choices=("aimc", "dimc"))
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    import zigzag

    logging.disable(logging.WARNING)
    inputs = Path(zigzag.__file__).parent / "inputs"
    counts = Counter(tuple(layer.items()) for layer in resnet50())
    with TemporaryDirectory() as folder:
        hardware = Path(folder) / "chip.yaml"
        hardware.write_text(yaml.safe_dump(chip(options.base, inputs), sort_keys=False))
        found = [
            evaluate(dict(layer), hardware, inputs) | {"count": count}
            for layer, count in counts.items()
        ]
    entry = {
        "tool": "zigzag-dse 3.9.1 (IMC)",
        "net": "resnet50",
        "hw": f"{options.base}_gb2M_dram256",
        "hw_overrides": {"base": options.base, "gb_bits": BUFFER_BITS, "dram_bw": DRAM_BITS},
        "cycles": sum(layer["cycles"] * layer["count"] for layer in found),
        "per_unique_layer": found,
    }
    options.output.write_text(json.dumps([entry], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
