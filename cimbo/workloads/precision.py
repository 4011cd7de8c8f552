"""Precision as genes: bits of weights and activations for each stage (CNN) or block (transformer) of any family.

The chip's genes ``weight_bits`` and ``act_bits`` are what its arrays and registers are built for, and the precision of every
layer that has none of its own. The network's genes say where it needs less: ``weight_bits_3`` and ``act_bits_3`` are those of
its third stage or block, and exist where that exists. Layers of no stage (a stem, a head) have the chip's bits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from cimbo.errors import BadInput
from cimbo.problem.space import Choice
from cimbo.workloads.elastic import active
from cimbo.workloads.layers import Layer, Workload, pick

if TYPE_CHECKING:
    from cimbo.workloads import Network

STAGE_BITS = (4, 5, 6, 8)  # what the shipped super-networks are trained for
MOST_STAGE_BITS = 16
REFERENCE_BITS = 8  # bits of a layer that has none of its own, where no chip is known either
AS_THE_CHIP = 64  # wider than the operands of any chip, so that the chip's own bits are used
PRECISION_FEATURES = ("log_bit_macs", "log_parameter_bits", "log_rounding")
GENE_NAMES = ("weight_bits", "act_bits")
_GENE_OF_A_STAGE = re.compile(r"\D+_(\d+)")
_LAYER_OF_A_STAGE = re.compile(r"(?:stage|block)_(\d+)(?:\.|$)")


@dataclass(frozen=True)
class OperandBits:
    """Bits of the operands of a layer; 0: as the chip has it."""

    weight_bits: int = 0
    act_bits: int = 0


def stage_bits(design: Mapping[str, Any], stage: int) -> OperandBits:
    """Read the bits of a stage or block from a design.

    Args:
        design: Gene to value.
        stage: Number of the stage or block, from 1.

    Returns:
        Bits of weights and activations; 0 where the design has no such gene.
    """
    weight_bits, act_bits = (int(design.get(f"{name}_{stage}") or 0) for name in GENE_NAMES)
    return OperandBits(weight_bits, act_bits)


def is_precision_gene(name: str) -> bool:
    """Tell whether a gene is the precision of a stage.

    Args:
        name: The gene's name.

    Returns:
        True for names such as "weight_bits_3" and "act_bits_3".
    """
    word, _, number = name.rpartition("_")
    return word in GENE_NAMES and number.isdigit()


@dataclass(frozen=True)
class MixedPrecision:
    """A family of networks with genes for the bits of each stage or block.

    Attributes:
        family: The networks.
        bits: The values of these genes.

    Raises:
        BadInput: Where the family has no stages or blocks to tell apart.
    """

    family: Network
    bits: Sequence[int] = STAGE_BITS

    def __post_init__(self) -> None:
        if not self.stages:
            what = (
                "has no stages or blocks: it takes layers called stage_1.NAME or block_1.NAME and "
                "genes called NAME_1"
            )
            raise BadInput(f"network {self.name}", what, "leave out precision")

    @property
    def name(self) -> str:
        """That of the family."""
        return self.family.name

    @cached_property
    def stages(self) -> dict[int, Mapping[str, Any]]:
        """Number of each stage that has both genes and layers, to the conditions (``Choice.active_if``) of its first gene."""
        layers = self.family.workload(self.family.largest()).layers
        with_layers = {stage_of(layer) for layer in layers}
        conditions: dict[int, Mapping[str, Any]] = {}
        for choice in self.family.choices():
            match = _GENE_OF_A_STAGE.fullmatch(choice.name)
            if match is not None and int(match[1]) in with_layers:
                conditions.setdefault(int(match[1]), choice.active_if)
        return conditions

    @cached_property
    def _genes(self) -> list[Choice]:
        """The genes of bits, stage by stage; one exists where its stage does."""
        genes = []
        for stage, active_if in self.stages.items():
            for name in GENE_NAMES:
                genes.append(Choice(f"{name}_{stage}", list(self.bits), dict(active_if)))
        return genes

    def choices(self) -> list[Choice]:
        """The family's genes, then ``weight_bits_s`` and ``act_bits_s`` of each stage s."""
        return [*self.family.choices(), *self._genes]

    def largest(self) -> dict[str, Any]:
        """The family's largest network, at the most bits."""
        return self._with_bits(self.family.largest(), max(self.bits))

    def smallest(self) -> dict[str, Any]:
        """The family's smallest network, at the fewest bits."""
        return self._with_bits(self.family.smallest(), min(self.bits))

    def _with_bits(self, subnet: Mapping[str, Any], bits: int) -> dict[str, Any]:
        """A sub-network of the family with the same bits in every stage that exists in it."""
        chosen = dict(subnet)
        for gene in self._genes:
            if active(gene, subnet):
                chosen[gene.name] = bits
        return chosen

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Make the layers of one sub-network, each with its bits.

        A stage of which the genes say nothing has the chip's bits.

        Args:
            subnet: Gene to value, those of the family and the bits of its stages.

        Returns:
            The layers in the order in which they run.

        Raises:
            BadInput: As the family does, and where bits are none of the listed ones.
        """
        for gene in self._genes:
            if gene.name in subnet:
                pick(self.name, subnet, gene.name, gene.values)
        plain = self.family.workload(subnet)
        bits = {stage: stage_bits(subnet, stage) for stage in self.stages}
        return at_stage_bits(plain, bits)


def with_stage_bits(family: Network, bits: Sequence[int]) -> Network:
    """Add to a family genes for the bits of its stages.

    Args:
        family: The networks.
        bits: The values of these genes.

    Returns:
        The family with these genes; ``family`` itself where ``bits`` is empty.

    Raises:
        BadInput: When the family has no stages or blocks to tell apart.
    """
    if bits:
        return MixedPrecision(family, tuple(bits))
    return family


def at_stage_bits(workload: Workload, bits: Mapping[int, OperandBits]) -> Workload:
    """Give the layers of each stage their bits.

    A layer's results are written at the bits of the activations of the layer that comes next.

    Args:
        workload: The layers, of any bits.
        bits: Number of a stage to its bits; a stage that is not listed has the chip's.

    Returns:
        The same layers with their bits, the token loop's included.
    """
    loop = workload.loop
    if loop is not None:
        loop = replace(loop, step=at_stage_bits(loop.step, bits))
    return replace(workload, layers=tuple(_layers_at_bits(workload.layers, bits)), loop=loop)


def _layers_at_bits(layers: Sequence[Layer], bits: Mapping[int, OperandBits]) -> Iterator[Layer]:
    """The layers with the bits of their stages; results have the bits of the next layer's activations."""
    of_chip = OperandBits()
    own_bits = [bits.get(stage_of(layer), of_chip) for layer in layers]
    next_bits = [*own_bits[1:], own_bits[-1]]
    for layer, own, of_next in zip(layers, own_bits, next_bits, strict=True):
        yield _at_bits(layer, own, of_next.act_bits or AS_THE_CHIP)


@lru_cache(maxsize=1 << 16)  # a search meets the same few blocks over and over
def _at_bits(layer: Layer, bits: OperandBits, output_bits: int) -> Layer:
    """A layer with bits; in attention the stationary operand is an activation, and has the bits of one."""
    return replace(
        layer,
        weight_bits=bits.act_bits if layer.dynamic else bits.weight_bits,
        activation_bits=bits.act_bits,
        output_bits=output_bits,
    )


@lru_cache(maxsize=1 << 14)
def _stage_of(name: str) -> int:
    """As ``stage_of``, of a layer's name."""
    match = _LAYER_OF_A_STAGE.match(name)
    return int(match[1]) if match else 0


def stage_of(layer: Layer) -> int:
    """Find the stage or block that a layer belongs to, by its name.

    Args:
        layer: The layer.

    Returns:
        Number of the stage or block, from 1; 0 for none.
    """
    return _stage_of(layer.name)


def states_bits(workload: Workload) -> bool:
    """Tell whether any layer of a network has bits of its own.

    Args:
        workload: The network.

    Returns:
        True where any does: traced and read networks, and those whose stages have bits as genes.
    """
    layers = list(workload.layers)
    if workload.loop is not None:
        layers += workload.loop.step.layers
    return any(each.weight_bits or each.activation_bits or each.output_bits for each in layers)


def at_chip_bits(workload: Workload, chip: Mapping[str, Any]) -> Workload:
    """Give every layer the bits that its chip computes with.

    These are the layer's bits, but at most those that the chip is built for, as in
    `cimbo.hardware.precision`: a network that is stored in 32 bits is computed in 8 on a chip of 8. The
    stationary operand of attention is an activation, and has at most the bits of one.

    Args:
        workload: The layers, each of any bits; 0 stands for the chip's.
        chip: Genes and fixed properties of the chip; one without whole numbers ``weight_bits`` and
            ``act_bits`` has REFERENCE_BITS.

    Returns:
        The same layers, the token loop's included; no field of bits is 0.
    """
    weight_bits, act_bits = (_bits_of_chip(chip, name) for name in GENE_NAMES)
    loop = workload.loop
    if loop is not None:
        loop = replace(loop, step=at_chip_bits(loop.step, chip))
    layers = []
    for layer in workload.layers:
        layers.append(_computed_with(layer, weight_bits, act_bits))
    return replace(workload, layers=tuple(layers), loop=loop)


def _bits_of_chip(chip: Mapping[str, Any], name: str) -> int:
    """Bits of weights or activations (``name``) of a chip; REFERENCE_BITS where it has no positive whole number there."""
    given = chip.get(name)
    if isinstance(given, bool) or not isinstance(given, int | float) or given < 1 or given % 1:
        return REFERENCE_BITS
    return int(given)


@lru_cache(maxsize=1 << 16)
def _computed_with(layer: Layer, weight_bits: int, act_bits: int) -> Layer:
    """A layer at the bits that such a chip computes it with: its own where it says them, but no more than the chip's."""
    activation = min(layer.activation_bits or act_bits, act_bits)
    weight = min(layer.weight_bits or weight_bits, weight_bits)
    if layer.dynamic:  # the stationary operand is an activation itself
        weight = min(weight, activation)
    output = min(layer.output_bits or activation, act_bits)
    return replace(layer, weight_bits=weight, activation_bits=activation, output_bits=output)


def precision_features(workload: Workload) -> dict[str, float]:
    """Compute features of a network's bits that help surrogates, as natural logarithms.

    A layer without bits of its own counts with REFERENCE_BITS.

    Args:
        workload: The layers with their bits.

    Returns:
        ``log_bit_macs``: multiply-accumulates, each times the bits of both its operands.
        ``log_parameter_bits``: bits of all weights. ``log_rounding``: relative variance that rounding
        adds to a product, averaged over the multiply-accumulates; an operand of b bits counts with
        4^-b, to which the variance of a uniform rounding error is proportional.
    """
    bit_macs = parameter_bits = rounding = 0.0
    for layer in workload.layers:
        weight = min(layer.weight_bits or REFERENCE_BITS, AS_THE_CHIP)
        act = min(layer.activation_bits or REFERENCE_BITS, AS_THE_CHIP)
        bit_macs += layer.macs * weight * act
        parameter_bits += layer.parameters * weight
        rounding += layer.macs * (4.0**-weight + 4.0**-act)
    return {
        "log_bit_macs": math.log(bit_macs),
        "log_parameter_bits": math.log(parameter_bits),
        "log_rounding": math.log(rounding / workload.macs),
    }
