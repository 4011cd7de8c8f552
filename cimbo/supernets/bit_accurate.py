"""The bit-accurate form of an array's products: digits in cells, bits on word lines, every sum read by a converter.

What is simulated follows from :class:`cimbo.hardware.array_description.ArrayDescription`, the description that the cost
model charges for:

* A weight is rounded to a whole number a column of weights (:mod:`cimbo.supernets.quantisation`) and cut into slices of
  ``cell_bits``. In two's complement the highest slice counts negative. With cells of several bits a sign bit cannot count
  by itself: weights then stand as offset codes, whose highest bit is the inverse of the sign's. In differential form a
  slice is the difference of two cells.
* An input is rounded to a whole number a layer and cut into steps of ``dac_bits``. Word lines that take no negative
  inputs get ``u = round(x / scale) + zero_point``; what the zero point adds is a constant of each column, known when the
  weights are written, and is subtracted behind the converters.
* ``rows_active`` rows are summed at once. The converter adds noise, an offset and its non-linearity, clips and rounds.
  Its full scale is the largest sum there can be (``fixed``), or set by references to the mean and RANGE_DEVIATIONS standard
  deviations of the sums of a calibration sample, or wider where the converter has codes to spare: once a layer (``layer``)
  or once a layer, input step and slice (``layer_and_digit``).
* Digital adders weigh the readings. Sums are whole numbers of cells, so a reading between two of them is rounded.

Where a converter is so fine that its errors cannot reach half a cell, every reading is the sum itself and the product is
computed in one piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription
from cimbo.supernets.noise_bank import stretch
from cimbo.supernets.quantisation import InputRange, input_range

RANGE_DEVIATIONS = 4.0  # of a partial sum, from its mean to the end of a calibrated range
FINEST_STEP = 0.25  # of a cell; a converter that is finer gets a wider range instead
SUMS_AT_ONCE = 1 << 18  # partial sums read at a time, so that they stay in the cache
SAFE_DEVIATIONS = 5.0  # of a converter's random errors, which a sum read as it is must withstand
CUBIC_PEAK = 1.5 * math.sqrt(3.0)  # x (1 - x^2) times this has its extremes at one and minus one


@dataclass(frozen=True)
class ConverterRange:
    """How the converters of one input step read, each field (groups or 1, slices).

    Attributes:
        step: distance of two readings, in cells; at least one, for sums are whole.
        built_steps: steps of the converter as built in one ``step``; below one where it is finer than a cell.
        largest_code: highest reading, in ``step``.
    """

    step: Tensor
    built_steps: Tensor
    largest_code: Tensor


class BitAccurateMVM:
    """A layer written into the cells of one die: inputs (groups, samples, rows) -> (groups, samples, outputs).

    Args:
        array: what the array computes with.
        weight: (groups, outputs, rows) weights in float.
        random: the die's generator; cells and converters draw their fixed errors from it at once.
        shared_range: whether the groups share one converter range (a depthwise convolution) or have one each (several
            layers in one).
    """

    def __init__(
        self,
        array: ArrayDescription,
        weight: Tensor,
        random: torch.Generator,
        *,
        shared_range: bool,
    ) -> None:
        self.array, self.shared_range, self._random = array, shared_range, random
        steps = max(1, 2 ** (array.weight_bits - 1) - 1)
        self.scale = weight.abs().amax(-1, keepdim=True).clamp_min_(1e-30) / steps
        self.whole = (weight / self.scale).round_()  # (groups, outputs, rows)
        self.cells, self.places = self._written(self.whole.transpose(1, 2))
        if array.cell_noise:
            self._disturb_cells(random)
        outputs = weight.shape[1]
        self.column_offsets = torch.zeros(len(weight), 1, outputs, len(self.places))
        if array.offset_lsb:
            drawn = torch.randn(self.column_offsets.shape, generator=random)
            self.column_offsets = array.offset_lsb * drawn

    # ---- cells ------------------------------------------------------------------------------------------------------

    @property
    def is_differential(self) -> bool:
        return self.array.encoding == "differential"

    @property
    def weight_offset(self) -> float:
        """What every weight is raised by in the cells, in steps of a weight."""
        if self.is_differential or (self.array.encoding == "twos_complement" and self._is_binary):
            return 0.0
        return 2.0 ** (self.array.weight_bits - 1)

    @property
    def _is_binary(self) -> bool:
        return self.array.cell_bits == 1

    def _written(self, whole: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (groups, rows, outputs, slices) of whole weights (groups, rows, outputs), and what a slice is worth."""
        bits, each = self.array.weight_bits, self.array.cell_bits
        if self.is_differential:
            slices = list(digits(whole, self.array.magnitude_bits, each))
        elif self.weight_offset:
            slices = list(digits(whole + self.weight_offset, bits, each))
        else:
            slices = list(digits(torch.where(whole < 0, whole + 2.0**bits, whole), bits, each))
        places = 2.0 ** (each * torch.arange(len(slices)))
        if not (self.is_differential or self.weight_offset):
            places[-1] = -places[-1]
        return torch.stack(slices, -1), places

    def _disturb_cells(self, random: torch.Generator) -> None:
        full = 2 ** min(self.array.cell_bits, self.array.magnitude_bits) - 1
        several = math.sqrt(2.0) if self.is_differential else 1.0  # two cells, each off by itself
        drawn = torch.randn(self.cells.shape, generator=random)
        self.cells += self.array.cell_noise * several * full * drawn

    @property
    def weight(self) -> Tensor:
        """(groups, outputs, rows): the weights that the cells hold in effect."""
        held = (self.cells @ self.places).transpose(1, 2) - self.weight_offset
        return held * self.scale

    # ---- inputs -----------------------------------------------------------------------------------------------------

    def calibrate(self, inputs: Tensor, every: Tensor | None = None) -> None:
        """Sets the range of the inputs and of the converters.

        Args:
            inputs: (groups, samples, rows), by which the converters are set.
            every: all activations of the layer, of any shape, by which the inputs' range is set; ``inputs`` if None.
        """
        magnitude_only = self.is_differential and self.array.signed_inputs
        self.range: InputRange = input_range(
            inputs if every is None else every,
            self.array.act_bits,
            signed=self.array.signed_inputs,
            sign_apart=magnitude_only,
        )
        moments = [self._moments(step) for step in self._input_steps(inputs)]
        self.converters = [self._converter(full_scale) for full_scale in self._full_scales(moments)]

    def _input_steps(self, inputs: Tensor) -> Iterator[Tensor]:
        """What the word lines carry, step by step: each (groups, samples, rows), whole."""
        return digits(self.range.whole(inputs), self.range.bits, self.array.dac_bits)

    # ---- converters -------------------------------------------------------------------------------------------------

    def _moments(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and mean square of one input step's partial sums, each (groups, slices).

        By way of the rows' products with each other: c' (P' P) c costs less than every sum of P c.
        """
        groups, _, outputs, slices = self.cells.shape
        means, squares = [], []
        for rows in self._blocks():
            each, cells = step[..., rows], self.cells[:, rows].flatten(2)
            together = torch.bmm(each.transpose(1, 2), each)
            square = torch.bmm(together, cells).mul_(cells).view(groups, -1, slices).sum(1)
            mean = torch.bmm(each.mean(1, keepdim=True), cells).view(groups, outputs, slices)
            squares.append(square / (step.shape[1] * outputs))
            means.append(mean.mean(1))
        return torch.stack(means).mean(0), torch.stack(squares).mean(0).clamp_min_(0)

    def _full_scales(self, moments: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """From zero to the end of the range of each input step's converters, each (groups or 1, slices)."""
        largest = float(self.array.largest_sum)
        codes = 2.0**self.array.adc_bits / (2 if self.is_differential else 1)
        finest = max(1.0, FINEST_STEP * codes)
        found = []
        for mean, square in moments:
            if self.shared_range:
                mean, square = mean.mean(0, keepdim=True), square.mean(0, keepdim=True)
            centre = torch.zeros_like(mean) if self.is_differential else mean
            spread = (square - centre.square()).clamp_min_(0).sqrt_()
            needed = (centre + RANGE_DEVIATIONS * spread).clamp_min_(finest)
            found.append(needed.clamp_(max=largest))
        if self.array.range_policy == "fixed":
            found = [torch.full_like(scale, largest) for scale in found]
        if self.array.range_policy == "layer":
            most = torch.stack(found).amax(0).amax(-1, keepdim=True)
            found = [most.expand_as(scale) for scale in found]
        return found

    def _converter(self, full_scale: Tensor) -> ConverterRange:
        codes = 2.0**self.array.adc_bits
        span = 2 * full_scale if self.is_differential else full_scale
        built = span / codes
        step = built.clamp_min(1.0)
        last = codes / 2 - 1 if self.is_differential else codes - 1
        return ConverterRange(step, step / built, (last * built / step).floor())

    def _is_lossless(self) -> bool:
        """Whether every reading is the sum itself: whole numbers in range, errors below half a cell."""
        random = math.hypot(self.array.noise_lsb, self.array.offset_lsb)
        worst_lsb = self.array.inl_lsb + SAFE_DEVIATIONS * random
        most = min(self.array.rows_active, self.cells.shape[1]) * (2**self.array.dac_bits - 1.0)
        most *= 2**self.array.cell_bits - 1.0
        fine = all(
            bool((c.step == 1).all() and (worst_lsb < 0.5 * c.built_steps).all())
            for c in self.converters
        )
        wide = all(bool((c.largest_code >= most).all()) for c in self.converters)
        return self.array.cell_noise == 0 and fine and wide

    # ---- the product ------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Tensor) -> Tensor:
        whole = self.range.whole(inputs)
        if self._is_lossless():
            product = torch.bmm(whole, self.whole.transpose(1, 2))
        else:
            groups, rows, outputs, slices = self.cells.shape
            some = max(1, SUMS_AT_ONCE // (groups * max(outputs * slices, rows)))
            product = torch.cat([self._read(part) for part in whole.split(some, 1)], 1)
            product -= self.weight_offset * whole.sum(-1, keepdim=True)
        product -= self.range.zero_point * self.whole.sum(-1).unsqueeze(1)
        return product * self.range.scale * self.scale.transpose(1, 2)

    def _read(self, whole: Tensor) -> Tensor:
        """What the readings sum up to, (groups, samples, outputs), for whole inputs (groups, samples, rows)."""
        groups, _, outputs, slices = self.cells.shape
        total = torch.zeros(groups, whole.shape[1] * outputs, 1)
        parts = digits(whole, self.range.bits, self.array.dac_bits)
        for number, (part, converter) in enumerate(zip(parts, self.converters, strict=True)):
            place = 2.0 ** (self.array.dac_bits * number)
            worth = (place * self.places * converter.step).unsqueeze(-1).expand(groups, -1, -1)
            for rows in self._blocks():
                cells = self.cells[:, rows] / converter.step[:, None, None]
                sums = torch.bmm(part[..., rows], cells.flatten(2)).unflatten(2, (outputs, slices))
                codes = self._convert(sums, converter)
                total.baddbmm_(codes.view(groups, -1, slices), worth)
        return total.view(groups, -1, outputs)

    def _convert(self, sums: Tensor, converter: ConverterRange) -> Tensor:
        """Sums (groups, samples, outputs, slices), in steps, as the converters read them; in place."""
        most = converter.largest_code[:, None, None]
        finer = converter.built_steps[:, None, None]
        if self.array.inl_lsb:
            share = (sums / most).clamp_(-1.0, 1.0)
            if not self.is_differential:
                share = 2 * share - 1
            bow = share * (1 - share.square())
            sums.addcmul_(bow, CUBIC_PEAK * self.array.inl_lsb / finer)
        if self.array.offset_lsb:
            sums.add_(self.column_offsets / finer)
        if self.array.noise_lsb:
            noise = stretch(sums.numel(), self._place).view(sums.shape)
            sums.addcmul_(noise, self.array.noise_lsb / finer)
        lowest = -most - 1 if self.is_differential else torch.zeros_like(most)
        return torch.clamp(sums.round_(), lowest, most)

    def _place(self, most: int) -> int:
        return int(torch.randint(most + 1, (1,), generator=self._random))

    def _blocks(self) -> list[slice]:
        """Rows of the layer that are summed at once."""
        count, each = self.cells.shape[1], self.array.rows_active
        return [slice(start, start + each) for start in range(0, count, each)]


def digits(whole: Tensor, bits: int, each: int) -> Iterator[Tensor]:
    """Cuts whole numbers into digits.

    Args:
        whole: numbers of magnitude below 2^``bits``, of any shape.
        bits: of a magnitude.
        each: bits of a digit.

    Yields:
        Digits, the lowest first, each with the sign of its number.
    """
    for _ in range(math.ceil(bits / each) - 1):
        high = (whole / 2**each).trunc_()
        yield whole.sub(high, alpha=2**each)
        whole = high
    yield whole
