"""The bit-accurate form of an array's products: digits in cells, bits on word lines, every sum read by a converter.

What is simulated follows from :class:`cimbo.hardware.array_description.ArrayDescription`, the description that the cost
model charges for:

* A weight is rounded to a whole number a column of weights (:mod:`cimbo.supernets.quantisation`) and cut into slices of
  ``cell_bits`` (:mod:`cimbo.supernets.cell_contents`).
* An input is rounded to a whole number a layer and cut into steps of ``dac_bits``. Word lines that take no negative
  inputs get ``u = round(x / scale) + zero_point``; what the zero point adds is a constant of each column, known when the
  weights are written, and is subtracted behind the converters.
* ``rows_active`` rows are summed at once. The converter adds noise, an offset and its non-linearity, clips and rounds; its
  full scale stands in :mod:`cimbo.supernets.converters`.
* Digital adders weigh the readings. Sums are whole numbers of cells, so a reading between two of them is rounded.

Where a converter is so fine that its errors cannot reach half a cell, every reading is the sum itself and the product is
computed in one piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cimbo.hardware.array_description import ArrayDescription
from cimbo.supernets.cell_contents import (
    cell_contents,
    digits,
    is_differential,
    summed_columns,
    weight_offset,
    weight_slices,
)
from cimbo.supernets.converters import (
    ConverterRange,
    converter_ranges,
    full_scales,
    is_lossless,
    row_blocks,
    sum_moments,
)
from cimbo.supernets.noise_bank import stretch
from cimbo.supernets.quantisation import InputRange, input_range

SUMS_AT_ONCE = 1 << 17  # partial sums read at a time, so that they stay in the cache
CUBIC_PEAK = 1.5 * math.sqrt(3.0)  # x (1 - x^2) times this has its extremes at one and minus one


@dataclass(frozen=True)
class WrittenStep:
    """The cells of a layer, scaled as the converters of one input step see them.

    "Steps as built" are the converter's own steps, full scale over 2^bits.

    Attributes:
        cells: Contents of the cells in steps as built, (groups, rows, outputs * slices).
        constant: Reading of an empty sum, in steps as built: the converters' offsets, less the centre of their curve,
            (groups, 1, outputs * slices).
        coarser: Factor that turns steps as built into readings where the former are finer than a cell; None elsewhere.
        highest: Highest reading; a number where all are alike, else (groups or 1, 1, outputs * slices).
        noise: Standard deviation of a reading in steps as built, a number or a tensor likewise.
        worth: Value of one reading in steps of a weight, (groups or 1, slices); (slices,) for a single group.
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
    """The values of some groups; a number, or values that all groups share, as they are."""
    if isinstance(values, Tensor) and len(values) > 1:
        return values[some]
    return values


class BitAccurateMVM:
    """A layer written into the cells of one die: inputs (groups, samples, rows) -> (groups, samples, outputs).

    Args:
        array: description of the array.
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
        self.weight_offset = weight_offset(array)
        slices = weight_slices(array, self.whole.transpose(1, 2))
        if array.cells_err:
            slices = replace(slices, cells=cell_contents(array, slices.cells, random))
        slices = summed_columns(array, slices)
        self.cells, self.places = slices.cells, slices.places
        outputs = weight.shape[1]
        self.column_offsets = torch.zeros(len(weight), 1, outputs, len(self.places))
        if array.offset_lsb:
            drawn = torch.randn(self.column_offsets.shape, generator=random)
            self.column_offsets = array.offset_lsb * drawn

    @property
    def weight(self) -> Tensor:
        """The weights that the cells hold in effect, errors included, (groups, outputs, rows)."""
        held = (self.cells @ self.places).transpose(1, 2) - self.weight_offset
        result: Tensor = held * self.scale
        return result

    @property
    def _column_sums(self) -> Tensor:
        """The sum of the weights of each column as its cells hold them, in steps of a weight, (groups, outputs).

        A chip subtracts it, times the inputs' zero point, behind its converters. It reads the column once after writing
        it: the sum of the intended weights would leave an error as large as the products themselves.

        Returns:
            Sums, (groups, outputs).
        """
        return (self.cells.sum(1) @ self.places) - self.weight_offset * self.cells.shape[1]

    # ---- inputs -----------------------------------------------------------------------------------------------------

    def calibrate(self, inputs: Tensor, every: Tensor | None = None) -> None:
        """Sets the range of the inputs and of the converters.

        Args:
            inputs: (groups, samples, rows), by which the converters are set.
            every: all activations of the layer, of any shape, by which the inputs' range is set; ``inputs`` if None.
        """
        magnitude_only = is_differential(self.array) and self.array.signed_inputs
        self.range: InputRange = input_range(
            inputs if every is None else every,
            self.array.act_bits,
            signed=self.array.signed_inputs,
            sign_apart=magnitude_only,
        )
        moments = []
        for step in self._input_steps(inputs):
            moments.append(sum_moments(self.array, self.cells, step))
        scales = full_scales(self.array, moments, shared_range=self.shared_range)
        self.converters: list[ConverterRange] = converter_ranges(self.array, scales)

    def _input_steps(self, inputs: Tensor) -> Iterator[Tensor]:
        """Yield what the word lines carry in each input step: whole numbers, (groups, samples, rows)."""
        return digits(self.range.whole(inputs), self.range.bits, self.array.dac_bits)

    def _is_lossless(self) -> bool:
        """Whether every reading is the sum itself."""
        return is_lossless(self.array, self.converters, self.cells.shape[1])

    # ---- the product ------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Tensor) -> Tensor:
        """Multiply ``inputs`` (groups, samples, rows) by the weights, input step by input step.

        Offsets and zero points that were added to make numbers positive are subtracted again.

        Returns:
            Products, (groups, samples, outputs).
        """
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
        """Sum up the readings for whole inputs, some groups and samples at a time.

        So many are taken at once that the sums stay in the cache (SUMS_AT_ONCE).

        Args:
            whole: Inputs as whole numbers, (groups, samples, rows).

        Returns:
            Sums, (groups, samples, outputs).
        """
        groups, rows, outputs, slices = self.cells.shape
        size = max(outputs * slices, rows)
        samples_at_once = max(1, SUMS_AT_ONCE // size)
        groups_at_once = (
            1  # groups with a range of their own are few, and differ in their converters
        )
        if self.shared_range:
            groups_at_once = max(1, SUMS_AT_ONCE // (size * min(samples_at_once, whole.shape[1])))
        sums, steps = [], self._written_steps()
        for start in range(0, groups, groups_at_once):
            some = slice(start, start + groups_at_once)
            own_steps = [step.of_groups(some) for step in steps]
            parts = whole[some].split(samples_at_once, 1)
            sums.append(torch.cat([self._read(part, own_steps) for part in parts], 1))
        return torch.cat(sums)

    def _read(self, whole: Tensor, written: list[WrittenStep]) -> Tensor:
        """Sum up the readings of all input steps, blocks of rows and slices.

        Args:
            whole: Inputs as whole numbers, (groups, samples, rows).
            written: The cells of these groups, for each input step.

        Returns:
            Sums, (groups, samples, outputs).
        """
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
            for rows in row_blocks(self.array, self.cells.shape[1]):
                torch.baddbmm(step.constant, part[..., rows], step.cells[:, rows], out=sums)
                total.addmv_(self._convert(sums, step, spare).view(-1, slices), step.worth)
        return total.view(len(whole), -1, outputs)

    def _written_steps(self) -> list[WrittenStep]:
        """The cells as each input step's converters see them; steps that share converters share cells."""
        outputs = self.cells.shape[2]
        written: list[WrittenStep] = []
        for number, converter in enumerate(self.converters):
            place = 2.0 ** (self.array.dac_bits * number)  # value of the step's input bits
            worth = place * self.places * converter.step
            if number and converter is self.converters[number - 1]:
                written.append(replace(written[-1], worth=worth))
                continue
            step_as_built = converter.step / converter.built_steps
            coarser = None
            if not bool((converter.built_steps == 1).all()):
                coarser = one_or_each(1 / converter.built_steps, outputs)
            written.append(
                WrittenStep(
                    cells=(self.cells / step_as_built[:, None, None]).flatten(2),
                    constant=(self.column_offsets - self._curve_centre).flatten(2),
                    coarser=coarser,
                    highest=one_or_each(converter.largest_code, outputs),
                    noise=self._noise(step_as_built, outputs),
                    worth=worth,
                )
            )
        return written

    @property
    def _curve_centre(self) -> float:
        """The middle of the converters' range in steps as built, about which their curve is bent."""
        if is_differential(self.array) or not self.array.inl_lsb:
            return 0.0
        return 2.0**self.array.adc_bits / 2

    def _convert(self, sums: Tensor, step: WrittenStep, spare: Tensor) -> Tensor:
        """Convert sums to readings, in place.

        Args:
            sums: (groups, samples, outputs * slices), in steps as built, counted from the curve's centre.
            step: The cells and converters of the input step.
            spare: Memory of the same shape, used where the curve is bent.

        Returns:
            The readings, in the memory of ``sums``.
        """
        self._disturbed_sums(sums, step, spare)
        lowest: float | Tensor = 0.0
        if is_differential(self.array):
            lowest = -1.0 - step.highest
        return clamp_between(sums.round_(), lowest, step.highest)

    def _disturbed_sums(self, sums: Tensor, step: WrittenStep, spare: Tensor) -> Tensor:
        """Add non-linearity and noise to sums as `_convert` takes them, in place; the result is in steps of a reading."""
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
        """Standard deviation of readings, in steps as built; ``built`` (groups or 1, slices) is a step in cells."""
        of_sums = torch.tensor(self.array.sum_noise) / built
        return one_or_each(torch.hypot(of_sums, torch.tensor(self.array.noise_lsb)), outputs)

    def _drawn(self, sums: Tensor) -> Tensor:
        """Standard normal numbers of the shape of ``sums``."""
        return stretch(sums.numel(), self._place).view(sums.shape)

    def _bend(self, sums: Tensor, spare: Tensor) -> None:
        """Add the deviation of the converters' curve from a straight line, in place.

        The deviation is the cubic slope x (1 - (x / end)^2), whose extremes are plus and minus ``inl_lsb``; it is 0 beyond
        the ends of the curve.

        Args:
            sums: In steps as built, counted from the curve's centre.
            spare: Memory of the same shape.
        """
        end = 2.0**self.array.adc_bits / 2
        slope = CUBIC_PEAK * self.array.inl_lsb / end
        # As x + slope x (1 - (x / end)^2) = x (1 + slope - slope x^2 / end^2). Clipping x^2 to end^2
        # makes the deviation 0 beyond the ends.
        torch.mul(sums, sums, out=spare)
        spare.clamp_max_(end**2)
        torch.add(torch.tensor(slope + 1.0), spare, alpha=-slope / end**2, out=spare)
        sums.mul_(spare)

    def _place(self, most: int) -> int:
        """A random whole number from 0 to ``most``."""
        return int(torch.randint(most + 1, (1,), generator=self._random))


def one_or_each(values: Tensor, outputs: int) -> Tensor | float:
    """Turn values of slices into one number where all are alike, else into one for each column of cells.

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
