"""Cost laws of generated problems: caricatures of weight-stationary chips, composed at random.

No law is a model of a chip. Each has the shape of something that simulators of chips do, so that a surrogate that does well on
many of them is good at costs in general and not at one simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cimbo.benchmarking.generated.spaces import FIXED_CHIP, FIXED_LAYER, Blueprint

Array = NDArray[np.float64]
CLIPPED_MS = 1000.0  # latencies are clipped to this
CLIPPED_SHARE = 0.9  # quantile of random designs that lies just below the clip
TYPICAL_MS, TYPICAL_UJ = 5.0, 50.0  # medians of random designs
MACRO_PERIPHERY_MM2 = 0.004
BUFFER_MM2_PER_KB = 0.002
LAYER_GENES = ("width", "kernel", "weight_bits", "input_bits", "expand")


@dataclass(frozen=True)
class CostLaw:
    """The law of costs of a generated problem.

    Attributes:
        residency: Which weights stay on the chip: "greedy" (whole layers in order, while there is room), "proportional"
            (the same fraction of each), "none" (all are loaded anew).
        bounds: How the times of compute, weights and activations of a layer are combined: "max", "sum", "norm" (cubic).
        schedule: How the times of layers are combined: "sequential", "pipelined".
        duplication: Which layers get copies in spare macros: "none", "even" (all), "work" (those with most work).
        spill: Traffic of activations beyond the buffer: "none", "cliff", "smooth".
        overload: Exponent of a heavy tail of latency where weights do not fit; 0 for none.
        clipped: Whether latencies are clipped to a second.
        leakage: Fraction of a typical energy that grows with latency.
        slow_converters: Whether fine converters lower the clock.
        latency_scale: ms for one raw unit.
        energy_scale: uJ for one raw unit.
    """

    residency: str
    bounds: str
    schedule: str
    duplication: str
    spill: str
    overload: float
    clipped: bool
    leakage: float
    slow_converters: bool
    latency_scale: float = 1.0
    energy_scale: float = 1.0


@dataclass(frozen=True)
class Layers:
    """Sizes of the layers of n designs, each (n, layers); 0 outputs where a layer is absent."""

    pixels: Array
    inputs: Array
    outputs: Array
    weight_bits: Array
    input_bits: Array


@dataclass(frozen=True)
class Costs:
    """Costs of n designs, each (n,)."""

    latency_ms: Array
    energy_uj: Array
    area_mm2: Array


def draw_law(rng: np.random.Generator) -> CostLaw:
    """Compose a law at random; its scales are set by whoever knows typical designs.

    Args:
        rng: Source of all choices.

    Returns:
        The law, with scales of 1.
    """
    return CostLaw(
        residency=str(rng.choice(["greedy", "proportional", "none"])),
        bounds=str(rng.choice(["max", "sum", "norm"])),
        schedule=str(rng.choice(["sequential", "sequential", "pipelined"])),
        duplication=str(rng.choice(["none", "even", "work"])),
        spill=str(rng.choice(["none", "cliff", "smooth"])),
        overload=float(rng.choice([0.0, 0.0, 0.7, 1.2])),
        clipped=bool(rng.random() < 0.3),
        leakage=float(rng.choice([0.02, 0.2, 0.5])),
        slow_converters=bool(rng.random() < 0.5),
    )


def layers_of(blueprint: Blueprint, values: Mapping[str, Array]) -> Layers:
    """Compute the sizes of the layers of designs.

    Args:
        blueprint: What the genes stand for.
        values: Meaning -> values (n,) of the genes, NaN where inactive.

    Returns:
        The layers of n designs; what a layer has no gene for is fixed.
    """
    n = len(next(iter(values.values())))
    resolution = values.get("resolution", np.full(n, 32.0))
    genes = {name: _of_layers(name, blueprint, values, n) for name in LAYER_GENES}
    is_there = ~np.isnan(genes["width"])
    filled = {name: np.where(is_there, table, 0.0) for name, table in genes.items()}
    of_image = np.full((n, 1), 3.0)
    channels = np.concatenate([of_image, filled["width"][:, :-1]], axis=1)
    return Layers(
        pixels=np.ceil(blueprint.pixels * (resolution[:, None] / 32.0) ** 2),
        inputs=channels * filled["kernel"] ** 2,
        outputs=filled["width"] * filled["expand"],
        weight_bits=filled["weight_bits"],
        input_bits=filled["input_bits"],
    )


def _of_layers(name: str, blueprint: Blueprint, values: Mapping[str, Array], n: int) -> Array:
    """Values of a layer gene, or its fixed value where there is no such gene, (n, layers); NaN where inactive."""
    fixed = np.full(n, FIXED_LAYER.get(name, 0.0))
    return np.stack([values.get(f"{name}{layer}", fixed) for layer in range(blueprint.layers)], 1)


def costs(law: CostLaw, blueprint: Blueprint, values: Mapping[str, Array]) -> Costs:
    """Compute what n designs cost.

    Args:
        law: How costs come about.
        blueprint: What the genes stand for.
        values: Meaning -> values (n,) of the genes, NaN where inactive.

    Returns:
        Latency, energy and area.
    """
    layers = layers_of(blueprint, values)
    chip = {}
    for name, fixed in FIXED_CHIP.items():
        chip[name] = values.get(name, np.full(len(layers.pixels), fixed))
    macro_area = _macro_area(chip)
    macros = _macros(values, macro_area)
    tiles = np.ceil(layers.inputs / chip["rows"][:, None])
    tiles = tiles * np.ceil(layers.outputs * layers.weight_bits / chip["cols"][:, None])
    traffic = _Traffic.of(law, layers, chip, _resident(law, tiles, macros))
    compute_s = _compute_s(law, layers, chip, tiles, macros)
    bounded = _bounded(law, compute_s, traffic.dram_s(chip), traffic.buffer_s(chip))
    seconds = np.where(layers.outputs > 0, bounded, 0.0)
    latency = _scheduled(law, seconds) * _overloaded(law, tiles, macros)
    area = macros * macro_area + BUFFER_MM2_PER_KB * chip["buffer_kb"] + 0.01 * chip["dram_bw"]
    picojoules = _conversion_pj(layers, chip, tiles)
    picojoules += traffic.picojoules()
    return _scaled(law, latency, picojoules * 1e-12, area)


@dataclass(frozen=True)
class _Traffic:
    """Bytes that each layer moves, (n, layers): over the DRAM (``outside``), and through the buffer."""

    outside: Array
    buffer: Array

    @classmethod
    def of(
        cls,
        law: CostLaw,
        layers: Layers,
        chip: Mapping[str, Array],
        resident: Array,
    ) -> _Traffic:
        """Count the bytes.

        Args:
            law: The law of costs.
            layers: Sizes of the layers.
            chip: Values of the chip's genes, (n,) each.
            resident: Fraction of the weights that need not be loaded, (n, layers).

        Returns:
            The traffic.
        """
        weight_bytes = layers.inputs * layers.outputs * layers.weight_bits / 8.0
        loaded = weight_bytes * (1.0 - resident)
        spilled = _spilled(law, layers, chip["buffer_kb"])
        moved = layers.pixels * (layers.inputs + layers.outputs) * layers.input_bits / 8.0
        return cls(loaded + spilled, moved)

    def dram_s(self, chip: Mapping[str, Array]) -> Array:
        """Seconds of the DRAM, (n, layers)."""
        return self.outside / (chip["dram_bw"] * 1e9)[:, None]

    def buffer_s(self, chip: Mapping[str, Array]) -> Array:
        """Seconds of the buffer, which moves a number of bytes in each cycle, (n, layers)."""
        return self.buffer / (chip["buffer_bw"] * chip["clock_mhz"] * 1e6)[:, None]

    def picojoules(self) -> Array:
        """Energy of moving the bytes of all layers, in pJ (n,)."""
        return np.asarray((self.outside * 20.0 + self.buffer * 0.5).sum(1))


def _compute_s(
    law: CostLaw,
    layers: Layers,
    chip: Mapping[str, Array],
    tiles: Array,
    macros: Array,
) -> Array:
    """Seconds of the arrays, (n, layers)."""
    copies = _copies(law, tiles, macros, layers)
    turns = np.ceil(layers.pixels / copies) * np.maximum(tiles / macros[:, None], 1.0)
    cycles = turns * layers.input_bits * chip["columns_per_adc"][:, None]
    return np.asarray(cycles / _clock(law, chip)[:, None])


def _conversion_pj(layers: Layers, chip: Mapping[str, Array], tiles: Array) -> Array:
    """Energy of the converters, in pJ (n,)."""
    is_there = layers.outputs > 0
    conversions = layers.pixels * tiles * layers.input_bits * chip["cols"][:, None]
    each_pj = 2.0 ** chip["adc_bits"] * 2e-3
    return np.asarray((conversions * each_pj[:, None] * is_there).sum(1))


def _macro_area(chip: Mapping[str, Array]) -> Array:
    """Area of a macro in mm2, (n,): cells, converters, periphery."""
    converters = np.ceil(chip["cols"] / chip["columns_per_adc"]) * 2.0 ** chip["adc_bits"]
    return 1e-6 * chip["rows"] * chip["cols"] + 2e-5 * converters + MACRO_PERIPHERY_MM2


def _macros(values: Mapping[str, Array], macro_area: Array) -> Array:
    """Number of macros, (n,): a gene, or as many as an area budget has room for."""
    if "macros" in values:
        return values["macros"]
    return np.maximum(np.floor(values["area_budget_mm2"] / macro_area), 1.0)


def _clock(law: CostLaw, chip: Mapping[str, Array]) -> Array:
    """Clock of the arrays in Hz, (n,)."""
    clock = chip["clock_mhz"] * 1e6
    if law.slow_converters:
        clock = np.minimum(clock, 3.2e9 / 2.0 ** (chip["adc_bits"] - 1.0))
    return clock


def _resident(law: CostLaw, tiles: Array, macros: Array) -> Array:
    """Fraction of each layer's weights that stays on the chip, (n, layers)."""
    if law.residency == "none":
        return np.zeros_like(tiles)
    if law.residency == "proportional":
        share = np.minimum(macros / np.maximum(tiles.sum(1), 1.0), 1.0)
        return np.broadcast_to(share[:, None], tiles.shape)
    resident = np.zeros_like(tiles)
    left = macros.copy()
    for layer in range(tiles.shape[1]):
        fits = tiles[:, layer] <= left
        resident[:, layer] = fits
        left = left - np.where(fits, tiles[:, layer], 0.0)
    return resident


def _copies(law: CostLaw, tiles: Array, macros: Array, layers: Layers) -> Array:
    """Copies of each layer's weights on the chip, (n, layers)."""
    if law.duplication == "none":
        return np.ones_like(tiles)
    spare = np.maximum(macros - tiles.sum(1), 0.0)[:, None]
    weight = np.where(tiles > 0, 1.0, 0.0)
    if law.duplication == "work":
        weight = weight * layers.pixels * layers.input_bits
    share = weight / np.maximum(weight.sum(1, keepdims=True), 1.0)
    return np.asarray(1.0 + np.floor(share * spare / np.maximum(tiles, 1.0)))


def _spilled(law: CostLaw, layers: Layers, buffer_kb: Array) -> Array:
    """Bytes of activations that do not fit the buffer and go over the DRAM, (n, layers)."""
    size = layers.pixels * layers.outputs * layers.input_bits / 8.0
    room = 1024.0 * buffer_kb[:, None]
    if law.spill == "cliff":
        return np.where(size > room, 4.0 * size, 0.0)
    if law.spill == "smooth":
        return np.maximum(size - room, 0.0)
    return np.zeros_like(size)


def _bounded(law: CostLaw, compute: Array, dram: Array, move: Array) -> Array:
    """Seconds of each layer, from those of its resources, (n, layers)."""
    parts = np.stack([compute, dram, move])
    if law.bounds == "max":
        return np.asarray(parts.max(0))
    if law.bounds == "sum":
        return np.asarray(parts.sum(0))
    return np.asarray((parts**3).sum(0) ** (1.0 / 3.0))


def _scheduled(law: CostLaw, seconds: Array) -> Array:
    """Seconds of a whole network, (n,), from those of its layers, (n, layers)."""
    if law.schedule == "pipelined":
        return np.asarray(seconds.max(1) * 4.0 + 0.1 * seconds.sum(1))
    return np.asarray(seconds.sum(1))


def _overloaded(law: CostLaw, tiles: Array, macros: Array) -> Array:
    """Factor on the latency of a chip that is too small, (n,)."""
    load = tiles.sum(1) / macros
    return np.asarray(np.maximum(load / 4.0, 1.0) ** law.overload)


def _scaled(law: CostLaw, seconds: Array, joules: Array, area: Array) -> Costs:
    """Convert costs to ms, uJ and mm2; leaked energy grows with the area and with the unclipped latency."""
    latency = law.latency_scale * seconds
    if law.clipped:
        shown = np.minimum(latency, CLIPPED_MS)
    else:
        shown = latency
    leaked = law.leakage * TYPICAL_UJ * (latency / TYPICAL_MS) * (area / (1.0 + area))
    return Costs(shown, law.energy_scale * joules + leaked, area)
