"""Measures how many bits of inputs and weights are one in the layers of the shipped super-networks.

    python benchmarks/measured_activity.py

The largest sub-network of each runs over images that it was trained on; operands are rounded to 8 bits as digital arrays take
them: inputs whole numbers from a zero point on, weights in two's complement. Shares are of bits over all images, positions and
channels. Attention's products, whose operands are both activations, are left out: there the chip's activity stays. Writes
data/activity/NETWORK.toml, which ``--activity measured`` reads.
"""

from pathlib import Path

import torch
from torch import Tensor

from cimbo.evaluation.accuracy.shipped import examples, supernetwork
from cimbo.supernets.elastic import Elastic
from cimbo.supernets.quantisation import input_range
from cimbo.workloads import network
from cimbo.workloads.layers import Layer

NETWORKS = ("fmnist-vit", "fmnist-mobilenet")
IMAGES = 200
BITS = 8
FOLDER = Path(__file__).resolve().parents[1] / "data" / "activity"


class Call:
    """Shares of ones of one product: bits that are one, and all, of inputs and of weights."""

    def __init__(self, inputs: Tensor, weight: Tensor) -> None:
        self.outputs = len(weight)
        whole = input_range(inputs, BITS).whole(inputs).to(torch.int64)
        self.input_ones, self.input_bits = _ones(whole), BITS * whole.numel()
        flat = weight.flatten(1)
        scale = flat.abs().amax(1, keepdim=True).clamp_min(1e-30) / (2 ** (BITS - 1) - 1)
        held = (flat / scale).round().to(torch.int64) % 2**BITS
        self.weight_ones, self.weight_bits = _ones(held), BITS * held.numel()


def _ones(whole: Tensor) -> int:
    return sum(int(((whole >> bit) & 1).sum()) for bit in range(BITS))


class Recorder:
    """Stands in the place of a chip's errors, changes nothing, and keeps what products there are."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def operands(self, inputs: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Both as they are."""
        self.calls.append(Call(inputs, weight))
        return inputs, weight

    def product(self, product: Tensor, rows: int) -> Tensor:
        """The product as it is."""
        return product


def by_layer(layers: list[Layer], calls: list[Call]) -> dict[str, tuple[float, float]]:
    """Shares of each layer with weights; one that is made of several products has those of all."""
    left, found = list(calls), {}
    for layer in layers:
        own = [left.pop(0)]
        while sum(call.outputs for call in own) < layer.columns * layer.groups:
            own.append(left.pop(0))
        inputs = sum(c.input_ones for c in own) / sum(c.input_bits for c in own)
        weights = sum(c.weight_ones for c in own) / sum(c.weight_bits for c in own)
        found[layer.name] = (inputs, weights)
    assert not left
    return found


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in NETWORKS:
        family, model = network(name), supernetwork(name)
        subnet = family.largest()
        images = examples(name, "calibration")[0][:IMAGES]
        recorder = Recorder()
        model.train()  # batch norms take the statistics of these images
        for module in model.modules():
            if isinstance(module, Elastic):
                module.effect = recorder
        with torch.no_grad():
            model(images, subnet)
        layers = [each for each in family.workload(subnet).layers if not each.dynamic]
        lines = [
            f"# Shares of ones in the largest {name}, {BITS} bits, {IMAGES} training images: measured by",
            "# benchmarks/measured_activity.py.",
        ]
        for layer, (inputs, weights) in by_layer(layers, recorder.calls).items():
            lines += ["", f'["{layer}"]', f"inputs = {inputs:.4f}", f"weights = {weights:.4f}"]
        (FOLDER / f"{name}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(name, len(layers))


if __name__ == "__main__":
    main()
