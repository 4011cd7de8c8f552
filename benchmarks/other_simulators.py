"""Accuracies at equal settings in cimbo, aihwkit and CrossSim: one trained network, the same images, 20 settings.

    python benchmarks/other_simulators.py [--aihwkit FOLDER] [--cross-sim FOLDER] [--images 1000] [--check]

FOLDER is where each tool can be imported from; without it an installed one is taken, and a tool that is not there is left out
(aihwkit 1.1.0 and CrossSim 3.2, a clone of github.com/sandialabs/cross-sim). The network has two layers (784-96-10) and is
trained here, in seconds, on the 5,000 validation images of Fashion-MNIST; accuracy is of the first test images.

A setting is ADC bits, rows that are summed at once, noise of a reading in steps of the converter, and the spread of a cell in
percent of its full scale. What else the tools know is set alike: weights as differences of two cells, each output's largest
weight at full scale, operands not rounded, one symmetric converter range a layer, the one that cimbo calibrates.
CrossSim has no noise of a converter: it is left out there. Accuracies are means of --networks trainings, on CHIPS_A_NETWORK
chips each where cells differ: aihwkit computes with the cells that cimbo drew, CrossSim draws its own. ``aihwkit_error`` and
``cross_sim_error`` are standard errors of the mean difference to cimbo. Results: other_simulators.json, whose ``settings`` are
the table.

The last part is ASiM's question (arXiv 2411.11022): what 1 LSB of noise does to a network that was not trained under it, and
to the shipped transformer, which was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cimbo.evaluation.accuracy import shipped
from cimbo.hardware.array_description import ArrayDescription, describe_array
from cimbo.hardware.cell_errors import ArrayConditions
from cimbo.supernets.bit_accurate import BitAccurateMVM
from cimbo.workloads import network

RESULTS = Path(__file__).with_suffix(".json")
HIDDEN = 96
CHIPS_A_NETWORK = 3  # that are written, where cells differ
CALIBRATION = 256  # images that set the converters' ranges
WHOLE = {"cell_bits": 16, "dac_bits": 16, "weight_bits": 16, "act_bits": 16}
Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    """What all tools are set to."""

    adc_bits: int
    rows: int
    noise_lsb: float = 0.0
    cell_spread: float = 0.0  # a share of full scale


SETTINGS = (
    *(Setting(bits, rows) for rows in (64, 256) for bits in (4, 5, 6, 8)),
    *(Setting(bits, 128, noise_lsb=lsb) for bits in (5, 7) for lsb in (0.25, 0.5, 1.0)),
    *(
        Setting(bits, rows, cell_spread=s)
        for bits, rows in ((8, 128), (6, 256))
        for s in (0.02, 0.05, 0.1)
    ),
)


@dataclass(frozen=True)
class Trained:
    """A layer, each output's largest weight being 1: y = factor * (weight x) + bias."""

    weight: Tensor
    factor: Tensor
    bias: Tensor


def trained_network(seed: int = 0) -> list[Trained]:
    """Two linear layers with a ReLU between them, trained on the validation images."""
    torch.manual_seed(seed)
    images, labels = shipped.examples("fmnist-vit", "validation")
    flat = inputs_of(images)
    layers = [torch.nn.Linear(784, HIDDEN), torch.nn.Linear(HIDDEN, 10)]
    net = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    optimizer = torch.optim.Adam(net.parameters(), 2e-3, weight_decay=1e-4)
    for _ in range(12):
        for some in torch.randperm(len(flat)).split(100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(flat[some]), labels[some]).backward()
            optimizer.step()
    found = []
    for layer in layers:
        weight, bias = layer.weight.detach(), layer.bias.detach()
        factor = weight.abs().amax(1)
        found.append(Trained(weight / factor[:, None], factor, bias))
    return found


def inputs_of(images: Tensor) -> Tensor:
    """(n, 784) from 0 to 1."""
    flat = images.flatten(1)
    low, high = flat.min(), flat.max()
    return (flat - low) / (high - low)


def accuracy(layers: list[Trained], products: list[Layer], images: Tensor, labels: Tensor) -> float:
    x = inputs_of(images)
    for i, (layer, product) in enumerate(zip(layers, products, strict=True)):
        x = product(x) * layer.factor + layer.bias
        x = x.relu() if i == 0 else x
    return 100 * float((x.argmax(1) == labels).double().mean())


def description(setting: Setting) -> ArrayDescription:
    array = describe_array(
        {"array": "charge_sram", "adc_bits": setting.adc_bits, "rows": setting.rows, **WHOLE},
        ArrayConditions(noise_lsb=setting.noise_lsb),
    )
    return replace(
        array,
        encoding="differential",
        signed_inputs=True,
        range_policy="layer",
        inl_lsb=0.0,
        offset_lsb=0.0,
        cell_noise=setting.cell_spread,
        cell_levels=(),
        sum_noise=0.0,
    )


def in_cimbo(layer: Trained, setting: Setting, calibration: Tensor, seed: int) -> BitAccurateMVM:
    random = torch.Generator().manual_seed(seed)
    product = BitAccurateMVM(description(setting), layer.weight[None], random, shared_range=False)
    product.calibrate(calibration[None])
    return product


def half_range(product: BitAccurateMVM) -> float:
    """From zero to the end of the converters' range, in units of weight times input."""
    converter = product.converters[0]
    codes = 2.0**product.array.adc_bits
    built = float(converter.step.flatten()[0] / converter.built_steps.flatten()[0])
    return built * codes / 2 * product.range.scale * float(product.scale.flatten()[0])


def in_aihwkit(weight: Tensor, setting: Setting, half: float) -> Layer:
    """A layer of weights as the cells of one chip hold them."""
    from aihwkit.nn import AnalogLinear
    from aihwkit.simulator.configs import TorchInferenceRPUConfig
    from aihwkit.simulator.parameters.enums import (
        BoundManagementType,
        NoiseManagementType,
        WeightNoiseType,
    )

    setup = TorchInferenceRPUConfig()
    setup.mapping.max_input_size, setup.mapping.max_output_size = setting.rows, 0
    setup.mapping.weight_scaling_omega = 0.0
    forward = setup.forward
    forward.is_perfect = False
    forward.inp_bound, forward.inp_res = float("inf"), -1.0
    forward.noise_management = NoiseManagementType.NONE
    forward.bound_management = BoundManagementType.NONE
    forward.out_bound, forward.out_res = half, 1.0 / 2**setting.adc_bits
    forward.out_noise = setting.noise_lsb * 2 * half / 2**setting.adc_bits
    forward.w_noise_type = WeightNoiseType.NONE
    found = AnalogLinear(weight.shape[1], weight.shape[0], bias=False, rpu_config=setup)
    found.set_weights(weight)
    found.eval()

    def product(x: Tensor) -> Tensor:
        with torch.no_grad():
            return found(x)

    return product


def in_cross_sim(layer: Trained, setting: Setting, half: float, largest_input: float) -> Layer:
    from simulator import AnalogCore, CrossSimParameters
    from simulator.parameters.core_parameters import CoreStyle, PartitionStrategy

    setup = CrossSimParameters()
    setup.core.style = CoreStyle.BALANCED
    setup.core.balanced.subtract_current_in_xbar = True
    setup.core.rows_max, setup.core.cols_max = setting.rows, 0
    setup.core.mapping.weights.row_partition_strategy = PartitionStrategy.MAX
    setup.core.mapping.weights.percentile = None
    setup.core.mapping.weights.min, setup.core.mapping.weights.max = -1.0, 1.0
    setup.core.mapping.inputs.mvm.min = -largest_input
    setup.core.mapping.inputs.mvm.max = largest_input
    setup.xbar.device.infinite_on_off_ratio = True
    if setting.cell_spread:
        error = setup.xbar.device.programming_error
        error.enable, error.model, error.magnitude = (
            True,
            "NormalIndependentDevice",
            setting.cell_spread,
        )
    setup.xbar.adc.mvm.model, setup.xbar.adc.mvm.signed = "QuantizerADC", True
    setup.xbar.adc.mvm.bits = setting.adc_bits
    setup.xbar.adc.mvm.calibrated_range = np.array([-half / largest_input, half / largest_input])
    core = AnalogCore(layer.weight.numpy().astype(np.float64), setup)

    def product(x: Tensor) -> Tensor:
        return torch.tensor(core.matmul(x.numpy().astype(np.float64).T).T).float()

    return product


def compared(
    networks: list[list[Trained]], setting: Setting, tools: list[str], images: int
) -> dict[str, Any]:
    """One setting: the mean accuracy in each tool over the networks, each on a chip of its own, with its standard error."""
    pixels, labels = (part[:images] for part in shipped.examples("fmnist-vit", "test"))
    seen = inputs_of(shipped.examples("fmnist-vit", "calibration")[0][:CALIBRATION])
    found: dict[str, list[float]] = {tool: [] for tool in tools}
    chips = CHIPS_A_NETWORK if setting.cell_spread else 1
    for number in range(len(networks) * chips):
        layers = networks[number % len(networks)]
        first = layers[0]
        calibration = [seen, (seen @ first.weight.T * first.factor + first.bias).relu()]
        products = in_all(layers, setting, tools, calibration, number)
        for tool, own in products.items():
            found[tool].append(accuracy(layers, own, pixels, labels))
    row: dict[str, Any] = dict(asdict(setting))
    for tool, values in found.items():
        if not values:
            row[tool] = None
            continue
        row[tool] = round(float(np.mean(values)), 2)
        if tool != "cimbo":
            off = np.array(values) - np.array(found["cimbo"])
            row[f"{tool}_error"] = round(float(off.std(ddof=1) / len(off) ** 0.5), 2)
    return row


def in_all(
    layers: list[Trained], setting: Setting, tools: list[str], calibration: list[Tensor], seed: int
) -> dict[str, list[Layer]]:
    """The two layers in each tool that knows all of the setting."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (CrossSim draws from it)
    ours = [in_cimbo(x, setting, c, seed) for x, c in zip(layers, calibration, strict=True)]
    halves = [half_range(product) for product in ours]
    products: dict[str, list[Layer]] = {"cimbo": [lambda x, p=p: p(x[None])[0] for p in ours]}
    if "aihwkit" in tools:
        # The same chip: what the cells hold is what cimbo drew.
        products["aihwkit"] = [
            in_aihwkit(p.weight[0], setting, h) for p, h in zip(ours, halves, strict=True)
        ]
    if "cross_sim" in tools and not setting.noise_lsb:
        largest = [4 * float(c.abs().max()) for c in calibration]
        triples = zip(layers, halves, largest, strict=True)
        products["cross_sim"] = [in_cross_sim(x, setting, h, most) for x, h, most in triples]
    return products


def asim(networks: list[list[Trained]], images: int) -> dict[str, Any]:
    """Accuracy by noise of the converters, in LSB."""
    found: dict[str, Any] = {}
    for lsb in (0.0, 0.5, 1.0, 2.0):
        setting = Setting(6, 128, noise_lsb=lsb)
        row = {"not trained under noise": compared(networks, setting, ["cimbo"], images)["cimbo"]}
        conditions = ArrayConditions(noise_lsb=lsb)
        source = shipped.ShippedAccuracy("fmnist-vit", conditions=conditions)
        design = network("fmnist-vit").largest() | {
            "array": "charge_sram",
            "adc_bits": 7,
            "rows": 64,
        }
        row["shipped transformer, 7 bits, 64 rows"] = source.measure(design, "test", images=images)
        found[f"{lsb:g}"] = row
        print(lsb, row, flush=True)
    return found


def largest_change(networks: list[list[Trained]], images: int) -> float:
    """By how many points cimbo's side of the stored settings has changed; the other tools' sides depend on them alone."""
    changes = []
    for row in json.loads(RESULTS.read_text())["settings"]:
        setting = Setting(**{name: row[name] for name in asdict(SETTINGS[0])})
        now = compared(networks, setting, ["cimbo"], images)["cimbo"]
        changes.append(abs(now - row["cimbo"]))
    return max(changes)


def importable(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--aihwkit", type=Path, default=None)
    parser.add_argument("--cross-sim", type=Path, default=None)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--go-on", action="store_true", help="keep the settings that are stored")
    parser.add_argument(
        "--check",
        action="store_true",
        help="only tell by how much cimbo's side of the stored settings has changed",
    )
    asked = parser.parse_args()
    sys.path += [str(folder) for folder in (asked.aihwkit, asked.cross_sim) if folder]
    torch.set_num_threads(1)
    tools = ["cimbo"]
    for tool, module in (("aihwkit", "aihwkit.nn"), ("cross_sim", "simulator")):
        if importable(module):
            tools.append(tool)
    networks = [trained_network(seed) for seed in range(asked.networks)]
    if asked.check:
        print(f"changed by at most {largest_change(networks, asked.images):g} points")
        return
    pixels, labels = (part[: asked.images] for part in shipped.examples("fmnist-vit", "test"))
    in_float = []
    for layers in networks:
        plain: list[Layer] = [lambda x, p=p: x @ p.weight.T for p in layers]
        in_float.append(round(accuracy(layers, plain, pixels, labels), 2))
    document: dict[str, Any] = {
        "command": f"python benchmarks/other_simulators.py --images {asked.images} --networks {asked.networks}",
        "network": f"784-{HIDDEN}-10",
        "tools": tools,
        "in_float": in_float,
        "settings": [],
    }
    known = {}
    if asked.go_on and RESULTS.exists():
        known = {
            json.dumps(list(row.values())[:4]): row
            for row in json.loads(RESULTS.read_text())["settings"]
        }
    for setting in SETTINGS:
        row = known.get(json.dumps(list(asdict(setting).values())))
        if row is None:
            row = compared(networks, setting, tools, asked.images)
        document["settings"].append(row)
        print(row, flush=True)
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    for tool in tools[1:]:
        off = [abs(r["cimbo"] - r[tool]) for r in document["settings"] if r[tool] is not None]
        document[f"within_one_point_of_{tool}"] = f"{sum(d <= 1 for d in off)} of {len(off)}"
        document[f"largest_difference_to_{tool}"] = round(max(off), 2)
    document["noise"] = asim(networks, asked.images)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
