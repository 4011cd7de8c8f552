"""What analog arrays make of a product: quantised operands, bit slices, noisy cells, converters of few bits.

**The exact, per-row-block form** (:class:`BitAccurateMVM`). Weights are rounded to ``weight_bits`` a column, activations to
``act_bits`` a layer, both as sign and magnitude. A magnitude is cut into digits: of ``cell_bits`` in the cells, of ``dac_bits``
on the word lines. Every pulse of every block of ``rows`` rows gives one partial sum a column of digits, which an ADC of
``adc_bits`` clips and rounds; digital adders weigh and sum what it reads. Its full scale is either *calibrated*
(CLIP_DEVIATIONS standard deviations of the partial sums of that layer, pulse and digit, to either side) or *fixed* at the
largest sum that ``rows`` rows can give; a step is never finer than what one cell adds. With a calibrated range and coarse
steps the rows cancel, for a layer of R rows has nb = R / rows blocks of variance v / nb:

    nb * (2 * CLIP_DEVIATIONS * sqrt(v / nb) / 2^b)^2 / 12 = v * CLIP_DEVIATIONS^2 / (3 * 4^b)

With a fixed one they do not: the range grows with the rows, the sum with their root. And few rows of few-bit digits need
few bits to be read without error. A cell that is off by ``cell_noise`` of its full scale is off for good: the weights are
disturbed once for each die.

**The equivalent-noise form** (:class:`EquivalentNoise`). What the exact form does to a layer is measured on a sample of its
calibration inputs: a gain, an offset and a noise for each output, as Bussgang's theorem splits a distortion. The layer
itself then is one product and one addition. The search measures in this form; the exact one verifies finalists.

What a convolution is off by at the positions of one image is alike, most in the first layers (flat backgrounds) and in late
depthwise ones, so that pooling averages out less of it than of white noise. There the noise is a sum of two: one drawn for
each image, one for each position.

A digital array computes 8-bit products without error, and 8-bit operands change the accuracy of networks like these by
less than a tenth of a point: there nothing is modelled.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from cimbo.hardware.chip import DEFAULTS
from cimbo.hardware.technology import constant

CLIP_DEVIATIONS = 4.0  # half the ADC's calibrated range, in standard deviations of a partial sum
N_DIES = 4  # chips over which cell noise is averaged
SUMS_AT_ONCE = 1 << 18  # partial sums read at a time
N_CALIBRATION_INPUTS = 256  # inputs of a layer by which converters are calibrated and noise is measured, over all dies together
INPUTS_PER_IMAGE = 8  # of these of one image, where what they share counts


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
        return N_DIES if self.cell_noise else 1


def arrays(design: Mapping[str, Any], seed: int) -> Arrays | None:
    """The arrays of the chip in ``design``; None for a digital one, and where ``design`` says nothing of converters."""
    chip = DEFAULTS | dict(design)
    if chip["array"] == "digital_sram" or "adc_bits" not in design:
        return None
    noise = constant("rram_cell.noise" if chip["array"] == "rram" else "sram_cell.noise")
    numbers = {
        n: int(chip[n]) for n in ("adc_bits", "cell_bits", "dac_bits", "weight_bits", "act_bits")
    }
    rows = int(chip.get("rows", Arrays.rows))
    return Arrays(
        **numbers, rows=rows, fixed_range=chip["adc_range"] == "fixed", cell_noise=noise, seed=seed
    )


#: The genes of a chip that shape the accuracy on it.
ACCURACY_GENES = ("adc_bits", "adc_range", "array", "cell_bits", "dac_bits", "rows")


class Die:
    """One of the chips that were made: its cells' errors and its noise are drawn from ``chip.seed`` and ``number``.

    ``exact``: its layers compute in the exact form rather than in the equivalent one.
    """

    def __init__(self, chip: Arrays, number: int = 0, *, exact: bool = False) -> None:
        self.chip, self.exact = chip, exact
        self._cells = torch.Generator().manual_seed(1000 * chip.seed + number)
        # Two sequences: an exact die and an equivalent one, which draws noise besides, calibrate by the same inputs.
        self._samples, self._places = (random.Random(1000 * chip.seed + number) for _ in range(2))  # noqa: S311 (no secrets)
        self._share = N_CALIBRATION_INPUTS // chip.dies

    def product(self, weight: Tensor, *, common: bool) -> BitAccurateMVM:
        """``weight`` (groups, outputs, rows) written into this die's cells."""
        return BitAccurateMVM(self.chip, weight, self._cells, common=common)

    def sample(self, count: int) -> Tensor:
        """Numbers of some of ``count`` inputs, to calibrate a layer by."""
        return torch.tensor(self._samples.sample(range(count), min(count, self._share)))

    def sample_by_image(self, images: int, positions: int) -> tuple[Tensor, int]:
        """As many numbers of ``images`` times ``positions`` inputs, image by image, and how many of each image."""
        each = min(INPUTS_PER_IMAGE, positions)
        some = min(images, self._share // each)
        starts = (i * images // some * positions for i in range(some))
        return torch.tensor(
            [s + p for s in starts for p in self._places.sample(range(positions), each)]
        ), each

    def draw(self, size: int) -> Tensor:
        """``size`` standard normal numbers."""
        return _stretch(size, self.place)

    def place(self, most: int) -> int:
        """A random whole number from 0 to ``most`` - 1."""
        return self._places.randrange(most)


def _stretch(size: int, place: Callable[[int], int]) -> Tensor:
    """``size`` standard normal numbers of a fixed bank, for fresh ones would cost more than a network; ``place`` says where."""
    bank = _bank()
    if size >= len(bank):
        bank = bank.repeat(size // len(bank) + 2)
    start = place(len(bank) - size)
    return bank[start : start + size]


@cache
def _bank() -> Tensor:
    """2^22 standard normal numbers, the same in every process."""
    return torch.empty(1 << 22).normal_(generator=torch.Generator().manual_seed(0))


class BitAccurateMVM:
    """The exact form of a layer: inputs (groups, samples, rows) -> products (groups, samples, outputs).

    ``weight``: (groups, outputs, rows). ``common``: the groups share one range (a depthwise convolution), or have each
    their own (several layers in one).
    """

    def __init__(
        self, chip: Arrays, weight: Tensor, noise: torch.Generator, *, common: bool
    ) -> None:
        self.chip, self.common = chip, common
        bits = max(
            1, chip.weight_bits - 1
        )  # of the magnitude; a sign alone still says one or minus one
        levels = 2**bits - 1
        self.scale = weight.abs().amax(-1, keepdim=True).clamp_min_(1e-30) / levels
        digits = _digits((weight / self.scale).round_().transpose(1, 2), bits, chip.cell_bits)
        self.cells = torch.stack(list(digits), -1)  # (groups, rows, outputs, digits)
        if chip.cell_noise:
            full = min(2**chip.cell_bits - 1, levels)
            self.cells += chip.cell_noise * full * torch.randn(self.cells.shape, generator=noise)

    @property
    def weight(self) -> Tensor:
        """(groups, outputs, rows): the weights that the cells hold in effect."""
        return (self.cells @ self._places).transpose(1, 2) * self.scale

    @property
    def _places(self) -> Tensor:
        """(digits,): what a digit of a weight is worth."""
        return 2.0 ** (self.chip.cell_bits * torch.arange(self.cells.shape[-1]))

    def calibrate(self, inputs: Tensor, every: Tensor | None = None) -> None:
        """Set the ranges of the converters by ``inputs`` (groups, samples, rows), the inputs' own by ``every`` one of them."""
        low, high = torch.aminmax(inputs if every is None else every)
        bits = max(1, self.chip.act_bits - (1 if low < 0 else 0))
        self.input_bits, self.input_scale = (
            bits,
            torch.maximum(-low, high).clamp_min(1e-30) / (2**bits - 1),
        )
        whole = self.chip.rows * (2**self.chip.dac_bits - 1.0) * (2**self.chip.cell_bits - 1.0)
        self.steps = []  # of each pulse: (groups or 1, digits)
        for pulse in self._pulses(inputs):
            half = torch.full((1, self.cells.shape[-1]), whole)
            if not self.chip.fixed_range:
                squares = self._mean_squares(pulse)
                half = (
                    CLIP_DEVIATIONS
                    * (squares.mean(0, keepdim=True) if self.common else squares).sqrt()
                )
            self.steps.append(
                (2 * half / 2**self.chip.adc_bits).clamp_min_(1.0)
            )  # no finer than one cell

    @property
    def lossless(self) -> bool:
        """Whether the converters read every sum as it is: whole numbers, in steps of one, within the range."""
        digits = (2.0 ** min(self.chip.dac_bits, self.input_bits) - 1) * (
            2.0**self.chip.cell_bits - 1
        )
        most = min(self.chip.rows, self.cells.shape[1]) * digits
        whole = self.chip.cell_noise == 0 and all(step.amax() == 1 for step in self.steps)
        return whole and most <= 2 ** (self.chip.adc_bits - 1) - 1

    def __call__(self, inputs: Tensor) -> Tensor:
        if self.lossless:
            return torch.bmm(self._rounded(inputs), self.weight.transpose(1, 2)) * self.input_scale
        groups, rows, outputs, digits = self.cells.shape
        cells = [(self.cells / step.view(-1, 1, 1, digits)).flatten(2) for step in self.steps]
        some = max(1, SUMS_AT_ONCE // (groups * max(outputs * digits, rows)))
        read = torch.cat([self._read(part, cells) for part in inputs.split(some, 1)], 1)
        return read * self.input_scale * self.scale.transpose(1, 2)

    def _read(self, inputs: Tensor, cells: list[Tensor]) -> Tensor:
        """What the converters' readings sum up to: (groups, samples, outputs). ``cells``: in each pulse's steps."""
        groups, _, outputs, digits = self.cells.shape
        most = 2 ** (self.chip.adc_bits - 1)
        total = torch.zeros(groups, inputs.shape[1] * outputs, 1)
        for place, (pulse, scaled) in enumerate(zip(self._pulses(inputs), cells, strict=True)):
            worth = (
                2.0 ** (self.chip.dac_bits * place) * self._places * self.steps[place]
            ).unsqueeze(-1)
            for rows in self._blocks():
                sums = torch.bmm(pulse[..., rows], scaled[:, rows]).round_().clamp_(-most, most - 1)
                total.baddbmm_(sums.view(groups, -1, digits), worth.expand(groups, -1, -1))
        return total.view(groups, -1, outputs)

    def _blocks(self) -> list[slice]:
        """Rows of the layer that share an array."""
        return [
            slice(start, start + self.chip.rows)
            for start in range(0, self.cells.shape[1], self.chip.rows)
        ]

    def _pulses(self, inputs: Tensor) -> Iterator[Tensor]:
        return _digits(self._rounded(inputs), self.input_bits, self.chip.dac_bits)

    def _rounded(self, inputs: Tensor) -> Tensor:
        top = 2**self.input_bits - 1
        return (inputs / self.input_scale).round_().clamp_(-top, top)

    def _mean_squares(self, pulse: Tensor) -> Tensor:
        """Of the partial sums of each digit, over samples, outputs and blocks of rows: (groups, digits).

        By way of the rows' products with each other: c' (P' P) c costs less than every sum of P c.
        """
        groups, _, outputs, digits = self.cells.shape
        found = []
        for rows in self._blocks():
            each, cells = pulse[..., rows], self.cells[:, rows].flatten(2)
            together = torch.bmm(each.transpose(1, 2), each)
            found.append(torch.bmm(together, cells).mul_(cells).view(groups, -1, digits).sum(1))
        return torch.stack(found).mean(0).clamp_min_(0) / (pulse.shape[1] * outputs)


def _digits(whole: Tensor, bits: int, each: int) -> Iterator[Tensor]:
    """Magnitudes of ``bits`` as digits of ``each`` bits, the lowest first, each with the sign of ``whole``."""
    for _ in range(math.ceil(bits / each) - 1):
        high = (whole / 2**each).trunc_()
        yield whole.sub(high, alpha=2**each)
        whole = high
    yield whole


@dataclass(frozen=True)
class EquivalentNoise:
    """The equivalent-noise form of a layer: y -> gain * y + offset + std * standard normal noise; (outputs,) each.

    ``common``: the standard deviation of what is added besides, drawn once for all positions of an image; None: nothing.
    """

    gain: Tensor
    offset: Tensor
    std: Tensor
    common: Tensor | None = None

    def scaled(self, factor: Tensor, bias: Tensor) -> EquivalentNoise:
        """What it is after ``factor`` * y + ``bias``, the gain being in the weights."""
        common = None if self.common is None else self.common * factor
        return EquivalentNoise(self.gain, self.offset * factor + bias, self.std * factor, common)


def equivalent_noise(product: BitAccurateMVM, inputs: Tensor, each: int = 1) -> EquivalentNoise:
    """What ``product`` makes of its own weights' plain product with ``inputs`` (groups, samples, rows), measured.

    Each output has a gain of its own: where a few strong ones set the range, the weak ones drown in the first step.
    ``each``: so many samples in a row are positions of one image. What they have in common is told from the rest by a
    one-way analysis of variance with random effects.
    """
    plain, exact = torch.bmm(inputs, product.weight.transpose(1, 2)), product(inputs)
    around, around_exact = (y - y.mean(1, keepdim=True) for y in (plain, exact))
    gain = (around_exact * around).sum(1, keepdim=True) / around.square().sum(
        1, keepdim=True
    ).clamp_min(1e-30)
    left = exact - gain * plain
    if each == 1 or left.shape[1] <= each:
        return EquivalentNoise(gain.flatten(), left.mean(1).flatten(), left.std(1).flatten())
    images = left.unflatten(1, (-1, each))
    within, between = images.var(2).mean(1), images.mean(2).var(1)
    common = (between - within / each).clamp_min(0).sqrt()
    return EquivalentNoise(
        gain.flatten(), left.mean(1).flatten(), within.sqrt().flatten(), common.flatten()
    )


@dataclass(frozen=True)
class OutputNoise:
    """An ``ArrayNonideality`` where layers are not deployed: to train under, and for networks that know no dies.

    Gaussian noise as large as what the arrays make of a Gaussian layer of so many rows (:func:`relative_error`); of
    ``generator``, or of torch's own.
    """

    chip: Arrays
    generator: torch.Generator | None = None

    def __call__(self, product: Tensor, rows: int) -> Tensor:
        noise = _stretch(product.numel(), self._place).view(product.shape)
        size = product.detach().std() if product.requires_grad else product.std()
        return torch.addcmul(product, noise, relative_error(self.chip, rows) * size)

    def _place(self, most: int) -> int:
        return int(torch.randint(most + 1, (1,), generator=self.generator))


@cache
def relative_error(chip: Arrays, rows: int) -> float:
    """Standard deviation of the exact form's error as a share of the product's, for a layer of Gaussian inputs and weights."""
    draw = torch.Generator().manual_seed(chip.seed)
    weight, inputs = (torch.randn(1, n, rows, generator=draw) for n in (32, N_CALIBRATION_INPUTS))
    product = BitAccurateMVM(chip, weight, draw, common=False)
    product.calibrate(inputs)
    plain = torch.bmm(inputs, weight.transpose(1, 2))
    return ((product(inputs) - plain).std() / plain.std()).item()


def signal_to_noise_db(ideal: Tensor, delivered: Tensor) -> float:
    """10 log10 of the variance of ``ideal`` over the mean square of what ``delivered`` is off by."""
    return 10 * math.log10(
        ideal.var().item() / max((delivered - ideal).square().mean().item(), 1e-300)
    )
