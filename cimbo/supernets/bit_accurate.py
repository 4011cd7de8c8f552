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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription
from cimbo.supernets.noise_bank import stretch
from cimbo.supernets.quantisation import InputRange, input_range

RANGE_DEVIATIONS = 4.0  # of a partial sum, from its mean to the end of a calibrated range
FINEST_STEP = 0.25  # of a cell; a converter that is finer gets a wider range instead
SUMS_AT_ONCE = 1 << 17  # partial sums read at a time, so that they stay in the cache
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


@dataclass(frozen=True)
class WrittenStep:
    """The cells as the converters of one input step see them.

    Attributes:
        cells: (groups, rows, outputs * slices) in steps of the converter as built.
        constant: (groups, 1, outputs * slices) what a sum of nothing reads: the converters' offsets, less the centre of
            their curve.
        coarser: steps as built become readings by this factor, where a step is finer than a cell; None elsewhere.
        highest: the highest reading; a number where all are alike, else (groups or 1, 1, outputs * slices).
        noise: standard deviation of a reading in steps as built, likewise.
        worth: (groups or 1, slices) of one reading; of the one group where it is cut out.
    """

    cells: Tensor
    constant: Tensor
    coarser: Tensor | float | None
    highest: Tensor | float
    noise: Tensor | float
    worth: Tensor

    def of_groups(self, some: slice) -> WrittenStep:
        """Takes some groups out of the step; they have one converter range.

        Args:
            some: The groups.

        Returns:
            The step of these groups alone, ``worth`` being (slices,).
        """
        if len(self.worth) > 1:
            worth = self.worth[some][0]
        else:
            worth = self.worth[0]
        return WrittenStep(
            cells=self.cells[some],
            constant=self.constant[some],
            coarser=None if self.coarser is None else _of_groups(self.coarser, some),
            highest=_of_groups(self.highest, some),
            noise=_of_groups(self.noise, some),
            worth=worth,
        )


def _of_groups(values: Tensor | float, some: slice) -> Tensor | float:
    if isinstance(values, Tensor) and len(values) > 1:
        return values[some]
    return values


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
        if array.cells_err:
            self.cells = self._disturbed(self.cells, random)
        outputs = weight.shape[1]
        self.column_offsets = torch.zeros(len(weight), 1, outputs, len(self.places))
        if array.offset_lsb:
            drawn = torch.randn(self.column_offsets.shape, generator=random)
            self.column_offsets = array.offset_lsb * drawn

    # ---- cells ------------------------------------------------------------------------------------------------------

    @property
    def is_differential(self) -> bool:
        """Whether a slice is the difference of two cells."""
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

    def _disturbed(self, cells: Tensor, random: torch.Generator) -> Tensor:
        """What cells hold that were written as ``cells``; the difference of two where a digit has two."""
        full = float(2 ** min(self.array.cell_bits, self.array.magnitude_bits) - 1)
        if not self.is_differential:
            return self._held(cells / full, random) * full
        positive, negative = (
            self._held(sign.clamp_min(0) / full, random) for sign in (cells, -cells)
        )
        return (positive - negative) * full

    def _held(self, written: Tensor, random: torch.Generator) -> Tensor:
        """What cells hold, ``written`` being what was written into them; both as shares of full scale."""
        array, held = self.array, written
        deviation = torch.full_like(written, array.cell_noise)
        if array.cell_levels:
            known = [(level.level, level.mean, level.deviation) for level in array.cell_levels]
            levels, means, deviations = zip(*known, strict=True)
            held = interpolate(written, levels, means)
            deviation = torch.hypot(deviation, interpolate(written, levels, deviations))
        held = torch.addcmul(held, torch.randn(written.shape, generator=random), deviation)
        if array.stuck_cells:
            drawn = torch.rand(written.shape, generator=random)
            held = torch.where(
                drawn < array.stuck_cells, (drawn < array.stuck_cells / 2).float(), held
            )
        return held

    @property
    def weight(self) -> Tensor:
        """(groups, outputs, rows): the weights that the cells hold in effect."""
        held = (self.cells @ self.places).transpose(1, 2) - self.weight_offset
        result: Tensor = held * self.scale
        return result

    @property
    def _column_sums(self) -> Tensor:
        """(groups, outputs): what a column adds up to, in steps of a weight, as it was read once it was written.

        A chip subtracts it, times the inputs' zero point, behind its converters; taken from the weights that were meant it
        would leave an error as large as the products themselves.
        """
        return (self.cells.sum(1) @ self.places) - self.weight_offset * self.cells.shape[1]

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
        self.converters = self._converters(self._full_scales(moments))

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
            if self.is_differential:
                centre = torch.zeros_like(mean)
            else:
                centre = mean
            spread = (square - centre.square()).clamp_min_(0).sqrt_()
            needed = (centre + RANGE_DEVIATIONS * spread).clamp_min_(finest)
            found.append(needed.clamp_(max=largest))
        if self.array.range_policy == "fixed":
            found = [torch.full_like(scale, largest) for scale in found]
        if self.array.range_policy == "layer":
            most = torch.stack(found).amax(0).amax(-1, keepdim=True)
            found = [most.expand_as(scale) for scale in found]
        return found

    def _converters(self, full_scales: list[Tensor]) -> list[ConverterRange]:
        """The converters of each input step, one object for all of them where they share a range."""
        first = self._converter(full_scales[0])
        if self.array.range_policy != "layer_and_digit":
            return [first] * len(full_scales)
        return [first, *(self._converter(full_scale) for full_scale in full_scales[1:])]

    def _converter(self, full_scale: Tensor) -> ConverterRange:
        codes = 2.0**self.array.adc_bits
        if self.is_differential:
            span = 2 * full_scale
        else:
            span = full_scale
        built = span / codes
        step = built.clamp_min(1.0)
        if self.is_differential:
            last = codes / 2 - 1
        else:
            last = codes - 1
        return ConverterRange(step, step / built, (last * built / step).floor())

    def _is_lossless(self) -> bool:
        """Whether every reading is the sum itself: whole numbers in range, errors below half a cell."""
        lsb = math.hypot(self.array.noise_lsb, self.array.offset_lsb)
        most = min(self.array.rows_active, self.cells.shape[1]) * (2**self.array.dac_bits - 1.0)
        most *= 2**self.array.cell_bits - 1.0
        fine = True
        for c in self.converters:
            random = torch.hypot(lsb / c.built_steps, torch.tensor(self.array.sum_noise))
            worst = self.array.inl_lsb / c.built_steps + SAFE_DEVIATIONS * random
            fine &= bool((c.step == 1).all() and (worst < 0.5).all())
        wide = all(bool((c.largest_code >= most).all()) for c in self.converters)
        return not self.array.cells_err and fine and wide

    # ---- the product ------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Tensor) -> Tensor:
        """Multiplies ``inputs`` (groups, vectors, rows) by the weights, bit step by bit step."""
        whole = self.range.whole(inputs)
        if self._is_lossless():
            product = torch.bmm(whole, self.whole.transpose(1, 2))
        else:
            product = self._read_all(whole)
            product -= self.weight_offset * whole.sum(-1, keepdim=True)
        product -= self.range.zero_point * self._column_sums.unsqueeze(1)
        result: Tensor = product * self.range.scale * self.scale.transpose(1, 2)
        return result

    def _read_all(self, whole: Tensor) -> Tensor:
        """What the readings sum up to, some groups and samples at a time."""
        groups, rows, outputs, slices = self.cells.shape
        size = max(outputs * slices, rows)
        samples = max(1, SUMS_AT_ONCE // size)
        together = 1  # groups with a range of their own are few; others are taken so that each gets many samples
        if self.shared_range:
            together = max(1, SUMS_AT_ONCE // (size * min(samples, whole.shape[1])))
        found, steps = [], self._written_steps()
        for start in range(0, groups, together):
            some = slice(start, start + together)
            each = [step.of_groups(some) for step in steps]
            found.append(torch.cat([self._read(p, each) for p in whole[some].split(samples, 1)], 1))
        return torch.cat(found)

    def _read(self, whole: Tensor, written: list[WrittenStep]) -> Tensor:
        """What the readings sum up to, (groups, samples, outputs), for whole inputs (groups, samples, rows)."""
        slices = len(self.places)
        outputs = written[0].cells.shape[-1] // slices
        total = torch.zeros(len(whole) * whole.shape[1] * outputs)
        sums = torch.empty(len(whole), whole.shape[1], outputs * slices)
        if self.array.inl_lsb:
            spare = torch.empty_like(sums)
        else:
            spare = sums
        parts = digits(whole, self.range.bits, self.array.dac_bits)
        for part, step in zip(parts, written, strict=True):
            for rows in self._blocks():
                torch.baddbmm(step.constant, part[..., rows], step.cells[:, rows], out=sums)
                total.addmv_(self._convert(sums, step, spare).view(-1, slices), step.worth)
        return total.view(len(whole), -1, outputs)

    def _written_steps(self) -> list[WrittenStep]:
        """The cells as each input step's converters read them."""
        outputs = self.cells.shape[2]
        found: list[WrittenStep] = []
        for number, converter in enumerate(self.converters):
            place = 2.0 ** (self.array.dac_bits * number)
            worth = place * self.places * converter.step
            if number and converter is self.converters[number - 1]:
                found.append(replace(found[-1], worth=worth))
                continue
            built = converter.step / converter.built_steps
            finer = converter.built_steps
            found.append(
                WrittenStep(
                    cells=(self.cells / built[:, None, None]).flatten(2),
                    constant=(self.column_offsets - self._curve_centre).flatten(2),
                    coarser=None if bool((finer == 1).all()) else one_or_each(1 / finer, outputs),
                    highest=one_or_each(converter.largest_code, outputs),
                    noise=self._noise(built, outputs),
                    worth=worth,
                )
            )
        return found

    @property
    def _curve_centre(self) -> float:
        """The middle of the converters' range in steps as built, about which their curve is bent."""
        if self.is_differential or not self.array.inl_lsb:
            return 0.0
        return 2.0**self.array.adc_bits / 2

    def _convert(self, sums: Tensor, step: WrittenStep, spare: Tensor) -> Tensor:
        """Reads sums (groups, samples, outputs * slices), in steps as built from the curve's centre; in place.

        ``spare``: room for as many numbers, where the curve is bent.
        """
        self._disturbed_sums(sums, step, spare)
        lowest: float | Tensor = 0.0
        if self.is_differential:
            lowest = -1.0 - step.highest
        return clamp_between(sums.round_(), lowest, step.highest)

    def _disturbed_sums(self, sums: Tensor, step: WrittenStep, spare: Tensor) -> Tensor:
        """Sums as `_convert` takes them, bent and noisy, in steps of a reading; in place."""
        if self.array.inl_lsb:
            self._bend(sums, spare)
            sums.add_(self._curve_centre)
        if isinstance(step.noise, Tensor):
            sums.addcmul_(self._drawn(sums), step.noise)
        elif step.noise:
            sums.add_(self._drawn(sums), alpha=step.noise)
        if step.coarser is not None:
            sums.mul_(step.coarser)
        return sums

    def _noise(self, built: Tensor, outputs: int) -> Tensor | float:
        """Standard deviation of the readings of converters whose steps are ``built`` cells, in these steps."""
        of_sums = torch.tensor(self.array.sum_noise) / built
        return one_or_each(torch.hypot(of_sums, torch.tensor(self.array.noise_lsb)), outputs)

    def _drawn(self, sums: Tensor) -> Tensor:
        return stretch(sums.numel(), self._place).view(sums.shape)

    def _bend(self, sums: Tensor, spare: Tensor) -> None:
        """Adds the cubic that a converter's curve is off a straight line by, none beyond the curve's ends."""
        end = 2.0**self.array.adc_bits / 2
        slope = CUBIC_PEAK * self.array.inl_lsb / end
        # sums + x slope (1 - (x / end)^2), x clipped to the curve; where x is at an end the second term is zero, so that
        # clipping the square alone serves.
        torch.mul(sums, sums, out=spare)
        spare.clamp_max_(end**2)
        torch.add(torch.tensor(slope + 1.0), spare, alpha=-slope / end**2, out=spare)
        sums.mul_(spare)

    def _place(self, most: int) -> int:
        return int(torch.randint(most + 1, (1,), generator=self._random))

    def _blocks(self) -> list[slice]:
        """Rows of the layer that are summed at once."""
        count, each = self.cells.shape[1], self.array.rows_active
        return [slice(start, start + each) for start in range(0, count, each)]


def interpolate(values: Tensor, points: Sequence[float], heights: Sequence[float]) -> Tensor:
    """Reads the straight lines through some points at many values; level beyond the ends.

    Args:
        values: Where to read, of any shape.
        points: Places of the known points, rising; two at least.
        heights: Height at each of them.

    Returns:
        Heights at ``values``, of the same shape.
    """
    x, y = torch.tensor(points), torch.tensor(heights)
    above = torch.bucketize(values, x).clamp_(1, len(x) - 1)
    share = ((values - x[above - 1]) / (x[above] - x[above - 1])).clamp_(0, 1)
    return torch.lerp(y[above - 1], y[above], share)


def one_or_each(values: Tensor, outputs: int) -> Tensor | float:
    """Gives values as one number where all are alike, else for each column of cells.

    Args:
        values: (groups or 1, slices).
        outputs: Outputs of the layer.

    Returns:
        A number, or a tensor (groups or 1, 1, outputs * slices).
    """
    first = float(values.flatten()[0])
    if bool((values == first).all()):
        return first
    return values[:, None, None].expand(-1, -1, outputs, -1).flatten(2)


def clamp_between(values: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Clips values in place, in one pass where both ends are numbers.

    Args:
        values: What is clipped; changed.
        low: Lower end, a number or a tensor that broadcasts.
        high: Upper end, likewise.

    Returns:
        ``values``.
    """
    if isinstance(low, float) and isinstance(high, float):
        return values.clamp_(low, high)
    return values.clamp_min_(low).clamp_max_(high)


def digits(whole: Tensor, bits: int, each: int) -> Iterator[Tensor]:
    """Cuts whole numbers into digits.

    Args:
        whole: numbers of magnitude below 2^``bits``, of any shape.
        bits: of a magnitude.
        each: bits of a digit.

    Yields:
        Digits, the lowest first, each with the sign of its number.
    """
    # Of magnitudes, as rounding down is many times as fast as rounding towards zero.
    if whole.numel() and float(whole.min()) < 0:
        sign = whole.sign()
    else:
        sign = None
    left = whole if sign is None else whole.abs()
    for _ in range(math.ceil(bits / each) - 1):
        high = (left / 2**each).floor_()
        low = left.sub(high, alpha=2**each)
        yield low if sign is None else low.mul_(sign)
        left = high
    yield left if sign is None else left * sign
