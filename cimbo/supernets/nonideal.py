"""What analog arrays make of a product: quantised operands, bit slices, noisy cells, converters of few bits.

**The exact, per-row-block form** (:class:`BlockProduct`). Weights are rounded to ``weight_bits`` a column, activations to
``act_bits`` a layer, both as sign and magnitude. A magnitude is cut into digits: of ``cell_bits`` in the cells, of ``dac_bits``
on the word lines. Every pulse of every block of ``rows`` rows gives one partial sum a column of digits, which an ADC of
``adc_bits`` clips and rounds; digital adders weigh and sum what it reads. Its full scale is either *calibrated* (CLIP
standard deviations of the partial sums of that layer, pulse and digit, to either side) or *fixed* at the largest sum that
``rows`` rows can give; a step is never finer than what one cell adds. With a calibrated range and coarse steps the rows
cancel, for a layer of R rows has nb = R / rows blocks of variance v / nb:

    nb * (2 * CLIP * sqrt(v / nb) / 2^b)^2 / 12 = v * CLIP^2 / (3 * 4^b)

With a fixed one they do not: the range grows with the rows, the sum with their root. And few rows of few-bit digits need
few bits to be read without error. A cell that is off by ``cell_noise`` of its full scale is off for good: the weights are
disturbed once for each die.

**The equivalent-noise form** (:class:`Disturbance`). What the exact form does to a layer is measured on a sample of its
calibration inputs: a gain, an offset and a noise for each output, as Bussgang's theorem splits a distortion. The layer
itself then is one product and one addition. The search measures in this form; the exact one verifies finalists.

A digital array computes 8-bit products without error, and 8-bit operands change the accuracy of networks like these by
less than a tenth of a point: there nothing is modelled.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from cimbo.hardware.constants import constant
from cimbo.hardware.space import DEFAULTS

CLIP = 4.0  # half the ADC's calibrated range, in standard deviations of a partial sum
DIES = 4  # chips over which cell noise is averaged
SAMPLES = 128  # inputs of a layer by which its converters are calibrated and its noise is measured


@dataclass(frozen=True)
class Arrays:
    """The properties of analog arrays that change what they compute, and the seed of what is random in them."""

    adc_bits: int
    rows: int = 128
    cell_bits: int = 1
    dac_bits: int = 1
    weight_bits: int = 8
    act_bits: int = 8
    fixed_range: bool = False
    cell_noise: float = 0.0
    seed: int = 0

    @property
    def dies(self) -> int:
        """How many chips differ."""
        return DIES if self.cell_noise else 1


def arrays(design: Mapping[str, Any], seed: int) -> Arrays | None:
    """The arrays of the chip in ``design``; None for a digital one, and where ``design`` says nothing of converters."""
    chip = DEFAULTS | dict(design)
    if chip["array"] == "digital_sram" or "adc_bits" not in design:
        return None
    noise = constant("rram_cell.noise" if chip["array"] == "rram" else "sram_cell.noise")
    numbers = {n: int(chip[n]) for n in ("adc_bits", "cell_bits", "dac_bits", "weight_bits", "act_bits")}
    rows = int(chip.get("rows", Arrays.rows))
    return Arrays(**numbers, rows=rows, fixed_range=bool(chip["fixed_range"]), cell_noise=noise, seed=seed)


#: The genes of a chip that shape the accuracy on it.
GENES = ("adc_bits", "array", "cell_bits", "dac_bits", "fixed_range", "rows")


class Die:
    """One of the chips that were made: its cells' errors and its noise are drawn from ``chip.seed`` and ``number``.

    ``exact``: its layers compute in the exact form rather than in the equivalent one.
    """

    def __init__(self, chip: Arrays, number: int = 0, *, exact: bool = False) -> None:
        self.chip, self.exact = chip, exact
        self._cells = torch.Generator().manual_seed(1000 * chip.seed + number)
        self._places = random.Random(1000 * chip.seed + number)  # noqa: S311 (noise, not secrets)

    def product(self, weight: Tensor, *, common: bool) -> BlockProduct:
        """``weight`` (groups, outputs, rows) written into this die's cells."""
        return BlockProduct(self.chip, weight, self._cells, common=common)

    def sample(self, inputs: Tensor) -> Tensor:
        """Some of ``inputs`` (groups, samples, rows), to calibrate a layer by."""
        count = inputs.shape[1]
        return inputs[:, self._places.sample(range(count), min(count, SAMPLES))]

    def draw(self, size: int) -> Tensor:
        """``size`` standard normal numbers: a stretch of a fixed bank, for fresh ones would cost more than a network."""
        bank = _bank()
        if size >= len(bank):
            bank = bank.repeat(size // len(bank) + 2)
        start = self.place(len(bank) - size)
        return bank[start : start + size]

    def place(self, most: int) -> int:
        """A random whole number from 0 to ``most`` - 1."""
        return self._places.randrange(most)


@cache
def _bank() -> Tensor:
    """2^22 standard normal numbers, the same in every process."""
    return torch.empty(1 << 22).normal_(generator=torch.Generator().manual_seed(0))


class BlockProduct:
    """The exact form of a layer: inputs (groups, samples, rows) -> products (groups, samples, outputs).

    ``weight``: (groups, outputs, rows). ``common``: the groups share one range (a depthwise convolution), or have each
    their own (several layers in one).
    """

    def __init__(self, chip: Arrays, weight: Tensor, noise: torch.Generator, *, common: bool) -> None:
        self.chip, self.common = chip, common
        bits = max(1, chip.weight_bits - 1)  # of the magnitude; a sign alone still says one or minus one
        levels = 2**bits - 1
        self.scale = weight.abs().amax(-1, keepdim=True).clamp_min_(1e-30) / levels
        self.cells = _digits((weight / self.scale).round_(), bits, chip.cell_bits)
        if chip.cell_noise:
            full = min(2**chip.cell_bits - 1, levels)
            self.cells = self.cells + chip.cell_noise * full * torch.randn(self.cells.shape, generator=noise)

    @property
    def weight(self) -> Tensor:
        """(groups, outputs, rows): the weights that the cells hold in effect."""
        return torch.einsum("jgkr,j->gkr", self.cells, self._places(len(self.cells), self.chip.cell_bits)) * self.scale

    def calibrate(self, inputs: Tensor, every: Tensor | None = None) -> None:
        """Set the ranges of the converters by ``inputs`` (groups, samples, rows), the inputs' own by ``every`` one of them."""
        low, high = torch.aminmax(inputs if every is None else every)
        bits = max(1, self.chip.act_bits - (1 if low < 0 else 0))
        self.input_bits, self.input_scale = bits, torch.maximum(-low, high).clamp_min(1e-30) / (2**bits - 1)
        whole = self.chip.rows * (2**self.chip.dac_bits - 1.0) * (2**self.chip.cell_bits - 1.0)
        self.steps = []  # of each pulse: (groups or 1, digits, 1)
        for pulse in self._pulses(inputs):
            half = torch.full((1, len(self.cells), 1), whole)
            if not self.chip.fixed_range:
                sums = torch.stack([s.square().mean((1, 3)) for s in self._partial_sums(pulse)]).mean(0)
                half = CLIP * (sums.mean(0, keepdim=True) if self.common else sums).sqrt().unsqueeze(-1)
            self.steps.append((2 * half / 2**self.chip.adc_bits).clamp_min_(1.0))  # no finer than one cell

    @property
    def lossless(self) -> bool:
        """Whether the converters read every sum as it is: whole numbers, in steps of one, within the range."""
        digits = (2.0 ** min(self.chip.dac_bits, self.input_bits) - 1) * (2.0**self.chip.cell_bits - 1)
        most = min(self.chip.rows, self.cells.shape[-1]) * digits
        whole = self.chip.cell_noise == 0 and all(step.amax() == 1 for step in self.steps)
        return whole and most <= 2 ** (self.chip.adc_bits - 1) - 1

    def __call__(self, inputs: Tensor) -> Tensor:
        if self.lossless:
            return torch.bmm(self._rounded(inputs), self.weight.transpose(1, 2)) * self.input_scale
        most, total = 2 ** (self.chip.adc_bits - 1), torch.zeros(())
        weights = self._places(len(self.cells), self.chip.cell_bits)
        for place, (pulse, step) in enumerate(zip(self._pulses(inputs), self.steps, strict=True)):
            worth = 2.0 ** (self.chip.dac_bits * place) * weights[:, None] * step
            for sums in self._partial_sums(pulse, step):
                read = sums.round_().clamp_(-most, most - 1)
                total = total + torch.einsum("gsjk,gjx->gsk", read, worth.expand(len(sums), -1, -1))
        return total * self.input_scale * self.scale.transpose(1, 2)

    def _pulses(self, inputs: Tensor) -> Tensor:
        return _digits(self._rounded(inputs), self.input_bits, self.chip.dac_bits)

    def _rounded(self, inputs: Tensor) -> Tensor:
        top = 2**self.input_bits - 1
        return (inputs / self.input_scale).round_().clamp_(-top, top)

    def _partial_sums(self, pulse: Tensor, step: Tensor | None = None) -> Iterator[Tensor]:
        """Of each block of rows: (groups, samples, digits, outputs), in units of ``step``."""
        digits, groups, outputs, _ = self.cells.shape
        for block in range(0, pulse.shape[-1], self.chip.rows):
            rows = slice(block, block + self.chip.rows)
            cells = self.cells[..., rows].permute(1, 0, 2, 3)
            if step is not None:
                cells = cells / step.unsqueeze(-1)
            sums = torch.bmm(pulse[..., rows], cells.flatten(1, 2).transpose(1, 2))
            yield sums.view(groups, -1, digits, outputs)

    def _places(self, count: int, bits: int) -> Tensor:
        return 2.0 ** (bits * torch.arange(count))


def _digits(whole: Tensor, bits: int, each: int) -> Tensor:
    """Magnitudes of ``bits`` as digits of ``each`` bits, the lowest first, each with the sign: (digits, *shape)."""
    sign, rest = whole.sign(), whole.abs()
    found = []
    for _ in range(math.ceil(bits / each)):
        high = (rest / 2**each).floor_()
        found.append((rest - high * 2**each) * sign)
        rest = high
    return torch.stack(found)


@dataclass(frozen=True)
class Disturbance:
    """The equivalent-noise form of a layer: y -> gain * y + offset + std * standard normal noise; (outputs,) each."""

    gain: Tensor
    offset: Tensor
    std: Tensor


def disturbance(product: BlockProduct, inputs: Tensor) -> Disturbance:
    """What ``product`` makes of its own weights' plain product with ``inputs`` (groups, samples, rows), measured.

    Each output has a gain of its own: where a few strong ones set the range, the weak ones drown in the first step.
    """
    plain, exact = torch.bmm(inputs, product.weight.transpose(1, 2)), product(inputs)
    around, around_exact = (y - y.mean(1, keepdim=True) for y in (plain, exact))
    gain = (around_exact * around).sum(1, keepdim=True) / around.square().sum(1, keepdim=True).clamp_min(1e-30)
    left = exact - gain * plain
    return Disturbance(gain.flatten(), left.mean(1).flatten(), left.std(1).flatten())


@dataclass(frozen=True)
class ProductNoise:
    """An ``ArrayEffect`` to train under: Gaussian noise of about the size that converters and cells cause.

    Of converters as above; of a cell that is off by ``cell_noise`` of full scale, where a column's largest weight is some
    three standard deviations.
    """

    adc_bits: int = 0
    cell_noise: float = 0.0

    @property
    def relative(self) -> float:
        """Standard deviation of the noise as a share of the product's."""
        converters = CLIP / (math.sqrt(3.0) * 2.0**self.adc_bits) if self.adc_bits else 0.0
        return math.hypot(converters, 3.0 * self.cell_noise)

    def __call__(self, product: Tensor, rows: int) -> Tensor:
        return product + torch.randn_like(product) * (self.relative * product.detach().std())


def signal_to_noise_db(ideal: Tensor, delivered: Tensor) -> float:
    """10 log10 of the variance of ``ideal`` over the mean square of what ``delivered`` is off by."""
    return 10 * math.log10(ideal.var().item() / max((delivered - ideal).square().mean().item(), 1e-300))
