"""The chips under whose errors the shipped super-networks are trained: a mixture, so that one training serves a search.

Which converter a chip gets is what a search decides, so a network that is trained for one of them is wrong for the
others. Each sub-network of a training step therefore meets a chip drawn from ``REFERENCE_CHIPS``, and each of its layers
operands of 4 to 8 bits. The chips are arrays of 64 to 256 rows behind converters of 5 to 10 bits with .3 to 1 LSB of
noise, the range of published macros (see ``data/constants.toml``, converters).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription, describe_array
from cimbo.supernets.output_noise import OutputNoise, relative_error
from cimbo.supernets.quantisation import straight_through_activation, straight_through_weight

CALIBRATED_BITS, FIXED_BITS = (
    (5, 6, 7),
    (7, 8, 9),
)  # with a range a layer, and with one range for all
REFERENCE_ENCODINGS = ("twos_complement", "differential")
ROW_COUNTS = (64, 128, 256)
CONVERTER_NOISE_LSB = (0.3, 0.5, 1.0)
OPERAND_BITS = (4, 5, 6, 8)
LARGEST_RELATIVE_ERROR = 0.4  # of a layer's product; beyond, hardly anything is left to learn from
QUIET_SHARE = 0.25  # of the sub-networks that meet no analog errors, as on digital arrays
TYPICAL_ROWS = 192  # of a layer, by which chips are sorted by the error they make


def reference_chips() -> tuple[ArrayDescription, ...]:
    """The mixture's chips, those of the least error first."""
    kinds = [(bits, "layer") for bits in CALIBRATED_BITS] + [(bits, "fixed") for bits in FIXED_BITS]
    usable = []
    settings = itertools.product(kinds, REFERENCE_ENCODINGS, ROW_COUNTS, CONVERTER_NOISE_LSB)
    for (bits, policy), encoding, rows, noise in settings:
        genes = {"rows": rows, "adc_bits": bits, "adc_range": policy, "encoding": encoding}
        chip = replace(describe_array(genes), noise_lsb=noise)
        if relative_error(chip, TYPICAL_ROWS) <= LARGEST_RELATIVE_ERROR:
            usable.append(chip)
    return tuple(sorted(usable, key=lambda chip: relative_error(chip, TYPICAL_ROWS)))


@dataclass
class ReferenceChipEffect:
    """An ``ArrayNonideality`` that is another chip for every sub-network, and other bits for every layer.

    Attributes:
        rng: draws chips and bits.
        chips: the mixture, least error first.
    """

    rng: np.random.Generator
    chips: tuple[ArrayDescription, ...] = field(default_factory=reference_chips)
    _noise: OutputNoise | None = field(default=None, init=False)
    _bits: tuple[int, ...] = field(default=(8,), init=False)

    def next_chip(self, *, teacher: bool) -> None:
        """Draws the chip of the next sub-network; one in four meets no analog errors (QUIET_SHARE).

        Args:
            teacher: Whether this sub-network teaches the others; it has 8 bits and a chip of the
                best third.
        """
        few = max(1, len(self.chips) // 3)
        number = int(self.rng.integers(few if teacher else len(self.chips)))
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
        """Adds the noise of the chip at hand to a product.

        Args:
            product: A layer's product before its bias, of any shape.
            rows: Rows of an array over which one output is summed.

        Returns:
            The product with noise, of the same shape; as it is where the chip has no analog errors.
        """
        if self._noise is None:
            return product
        return self._noise.product(product, rows)
