"""The chips whose errors the shipped super-networks are trained with.

The search decides which converter a chip gets, so a network that was trained for only one of them would do badly on the
others. One training has to serve all. Each sub-network of a training step therefore meets a chip drawn from
`reference_chips`, and each of its layers meets operands of 4 to 8 bits. The chips are arrays of 64 to 256 rows behind
converters of 5 to 10 bits with .3 to 1 LSB of noise, the range of published macros (see ``data/constants.toml``,
converters).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription, describe_array
from cimbo.supernets.output_noise import OutputNoise, relative_error
from cimbo.supernets.quantisation import straight_through_activation, straight_through_weight

CALIBRATED_BITS = (5, 6, 7)  # of converters that have a range for each layer
FIXED_BITS = (7, 8, 9)  # of converters that have one range for all layers, which takes more bits
REFERENCE_ENCODINGS = ("twos_complement", "differential")
ROW_COUNTS = (64, 128, 256)
CONVERTER_NOISE_LSB = (0.3, 0.5, 1.0)
OPERAND_BITS = (4, 5, 6, 8)
# Of a layer's product; with larger errors the noise hides what could be learned
LARGEST_RELATIVE_ERROR = 0.4
# Fraction of the sub-networks that are trained without analog errors, as on digital arrays
QUIET_SHARE = 0.25
TYPICAL_ROWS = 192  # rows of the layer for which a chip's error is computed when chips are compared


def reference_chips() -> tuple[ArrayDescription, ...]:
    """Make the chips that training draws from.

    Returns:
        All combinations of the constants above whose error is small enough, the least error first.
    """
    converters = [(bits, "layer") for bits in CALIBRATED_BITS]
    converters += [(bits, "fixed") for bits in FIXED_BITS]
    usable = []
    settings = itertools.product(converters, REFERENCE_ENCODINGS, ROW_COUNTS, CONVERTER_NOISE_LSB)
    for (bits, adc_range), encoding, rows, noise in settings:
        genes = {"rows": rows, "adc_bits": bits, "adc_range": adc_range, "encoding": encoding}
        chip = replace(describe_array(genes), noise_lsb=noise)
        if relative_error(chip, TYPICAL_ROWS) <= LARGEST_RELATIVE_ERROR:
            usable.append(chip)
    return tuple(sorted(usable, key=lambda chip: relative_error(chip, TYPICAL_ROWS)))


@dataclass
class ReferenceChipEffect:
    """The errors under which networks are trained: another chip for every sub-network, other operand bits for every layer.

    It is an ``ArrayNonideality``.

    Attributes:
        rng: draws chips and bits.
        chips: the chips to draw from, least error first.
    """

    rng: np.random.Generator
    chips: tuple[ArrayDescription, ...] = field(default_factory=reference_chips)
    _noise: OutputNoise | None = field(default=None, init=False)
    _bits: tuple[int, ...] = field(default=(8,), init=False)

    def next_chip(self, *, teacher: bool) -> None:
        """Draw the chip of the next sub-network; one in four has no analog errors (QUIET_SHARE).

        Args:
            teacher: Whether this sub-network teaches the others; it has 8 bits and a chip of the
                best third.
        """
        candidates = len(self.chips)
        if teacher:
            candidates = max(1, candidates // 3)
        number = int(self.rng.integers(candidates))
        quiet = self.rng.random() < QUIET_SHARE
        self._noise = None
        if not quiet:
            self._noise = OutputNoise(self.chips[number])
        self._bits = (8,) if teacher else OPERAND_BITS

    def operands(self, inputs: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Rounds the operands of a layer, each to bits of its own.

        Args:
            inputs: Activations that the layer reads, of any shape.
            weight: The layer's weights, (outputs, ...).

        Returns:
            Rounded inputs and weight of the same shapes; gradients pass straight through.
        """
        weight_bits, act_bits = (int(b) for b in self.rng.choice(self._bits, 2))
        rounded = straight_through_activation(inputs, act_bits)
        return rounded, straight_through_weight(weight, weight_bits)

    def product(self, product: Tensor, rows: int) -> Tensor:
        """Add the noise of the present sub-network's chip to a product.

        Args:
            product: A layer's product before its bias, of any shape.
            rows: Rows of an array over which one output is summed.

        Returns:
            The product with noise, of the same shape; as it is where the chip has no analog errors.
        """
        if self._noise is None:
            return product
        return self._noise.product(product, rows)
