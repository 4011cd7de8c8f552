"""Accuracy of the shipped super-networks, measured on real images or sentences."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from statistics import stdev
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cimbo import _data
from cimbo.errors import BadInput
from cimbo.evaluation.array_forms import FormDifference
from cimbo.evaluation.image_ranking import ImageRanking, shipped_ranking
from cimbo.hardware.array_description import USUAL_CONDITIONS
from cimbo.hardware.cell_errors import ArrayConditions
from cimbo.problem.calibration import Estimate
from cimbo.problem.scalars import integer
from cimbo.supernets.array_instance import ACCURACY_GENES, N_DIES, ArrayInstance, arrays
from cimbo.supernets.deployment import Deployed
from cimbo.supernets.die import Die
from cimbo.supernets.measurement import deployed, logits, top1
from cimbo.supernets.recipes import SHIPPED_EXAMPLES, load
from cimbo.workloads.layers import Workload

CONVERTER_MODELS = ("ideal", "described")
PRODUCT_FORMS = ("float", "whole")
ERROR_FORMS = ("noise", "bit-accurate")
# Fewer dies than N_DIES where writing a die's ten million cells takes as long as all sentences
MOST_DIES = {"reviews-minilm": 1}
N_SAMPLED_DIES = 8  # dies of one design that are measured to tell how accuracy differs between dies
IMAGES_PER_DIE = 1000  # that each of these is measured on
Z_95 = 1.645  # standard deviations below the mean that 95 % of a normal distribution exceed
# Images that set the batch norms of a bit-accurate die, where each takes a tenth of a second
EXACT_CALIBRATION_IMAGES = 100


@dataclass(frozen=True)
class ShippedAccuracy:
    """Top-1 accuracy in percent of a sub-network of a shipped super-network, on the arrays of a chip.

    The images of the search (5,000, "validation") were never trained on; the 10,000 "test" images are for final fronts.
    Of ``reviews-minilm`` an image is a sentence, of which there are 1,520 and 1,428.
    Where cells err, N_DIES chips differ: each gets its share of the images, so that averaging over them costs nothing.

    Attributes:
        supernet: name of the shipped super-network.
        converters: "described", what the chip's genes say and its cost is charged for: encoding, range policy, noise,
            non-linearity and offsets; or "ideal", converters that do not err and have a range of their own for every
            layer, input step and slice, for which no cost is charged.
        conditions: conditions on which errors depend: age, a user's table of cells, stuck cells, noise of converters.
        genes: the hardware genes that change the accuracy.
        products: "float", or "whole": linear layers on digital arrays are computed in whole numbers of eight bits, as the
            chip does, some three times as fast on processors that have such products. Sums differ in their last digits
            alone, but rounding makes whole steps of some, so that a few of a thousand images are classified otherwise.
        errors: form of the arrays' errors: "noise", equivalent noise on each layer's results; or "bit-accurate", every
            partial sum and every reading of a converter, at many times the cost (:mod:`cimbo.evaluation.array_forms`).
        images: only so many of the validation images, from the first; None: all.
        dies: over how many dies their errors are averaged, where dies differ; None: N_DIES, fewer for some networks.
    """

    supernet: str
    converters: str = "described"
    conditions: ArrayConditions = USUAL_CONDITIONS
    genes: tuple[str, ...] = field(default=ACCURACY_GENES)
    products: str = "float"
    errors: str = "noise"
    images: int | None = None
    dies: int | None = None
    rounds_stages: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_word("converters", self.converters, CONVERTER_MODELS)
        _check_word("products", self.products, PRODUCT_FORMS)
        _check_word("errors", self.errors, ERROR_FORMS)
        if self.images is not None:
            integer("network.options.images", self.images, least=1)
        if self.dies is not None:
            integer("network.options.dies", self.dies, least=1, most=N_DIES)

    def measure(
        self,
        design: Mapping[str, Any],
        part: str = "validation",
        *,
        exact: bool | None = None,
        images: int | None = None,
    ) -> float:
        """Measures the accuracy of ``design`` on the images of ``part``, shared out among the dies.

        Args:
            design: genes of a network and of a chip.
            part: "validation" for the search, "test" at the end.
            exact: on bit-accurate arrays instead of the equivalent-noise form, at many times the cost;
                None: in the form of ``errors``.
            images: only the part's first so many; None for all.

        Returns:
            Percent.
        """
        hits = self.hits(design, part, exact=exact, images=images)
        return 100.0 * int(hits.sum()) / len(hits)

    def hits(
        self,
        design: Mapping[str, Any],
        part: str = "validation",
        *,
        exact: bool | None = None,
        images: int | None = None,
    ) -> Tensor:
        """Tells which images of ``part`` are classified rightly, shared out among the dies.

        Args:
            design: genes of a network and of a chip.
            part: "validation" for the search, "test" at the end.
            exact: on bit-accurate arrays instead of the equivalent-noise form; None: in the form of ``errors``.
            images: only so many of the part's, from its first.

        Returns:
            True or False for each image, (images,).
        """
        count = self.image_count(part)
        last = count if images is None else min(images, count)
        is_exact = self._is_bit_accurate if exact is None else exact
        return self._hits(design, part, torch.arange(last), exact=is_exact)

    @property
    def _is_bit_accurate(self) -> bool:
        """Whether accuracies are measured on bit-accurate arrays."""
        return self.errors == "bit-accurate"

    def compare_forms(self, design: Mapping[str, Any], images: int) -> FormDifference:
        """Measures what bit-accurate arrays change in the accuracy, on the first test images.

        Args:
            design: genes of a network and of a chip.
            images: how many images both forms see.

        Returns:
            The difference with its sampling error.
        """
        exact = self.hits(design, "test", exact=True, images=images)
        equivalent = self.hits(design, "test", exact=False, images=images)
        changes = exact.double() - equivalent.double()  # 1, -1, or mostly 0
        differ = int(changes.abs().sum())
        return FormDifference(
            points=100 * int(changes.sum()) / len(changes),
            error=100 * differ**0.5 / len(changes),
            images=len(changes),
        )

    def image_count(self, part: str = "validation") -> int:
        """Counts the images of a part.

        Args:
            part: "validation" or "test".

        Returns:
            How many there are; of the validation images, how many the search looks at.
        """
        count = len(examples(self.supernet, part)[1])
        if part == "validation" and self.images is not None:
            return min(self.images, count)
        return count

    def count_right(self, design: Mapping[str, Any], first: int, last: int) -> int:
        """Counts the validation images of a stretch that are classified rightly.

        Images come in the order of their ranking: first those that tell sub-networks apart. On
        digital arrays counts of consecutive stretches add up to what `measure` counts. On analog arrays
        each image meets the same die, but noise is drawn anew in each stretch, so sums differ by chance.

        Args:
            design: Genes of a network and of a chip.
            first: Rank of the first image, from 0.
            last: Rank of the image after the last.

        Returns:
            How many are right.
        """
        numbers = torch.from_numpy(self.ranking.order[first:last])
        exact = self._is_bit_accurate
        return int(self._hits(design, "validation", numbers, exact=exact).sum())

    def estimate(self, right: int, seen: int) -> Estimate:
        """Estimates the share of all validation images that is classified rightly.

        Args:
            right: How many of the first ``seen`` images by rank are.
            seen: How many images were looked at, at least one.

        Returns:
            The share, 0 to 1, with its standard deviation (`cimbo.evaluation.image_ranking`).
        """
        return self.ranking.estimate(right, seen)

    @property
    def ranking(self) -> ImageRanking:
        """The ranking of the validation images that count."""
        return shipped_ranking(self.supernet, self.image_count())

    def _hits(self, design: Mapping[str, Any], part: str, images: Tensor, *, exact: bool) -> Tensor:
        """Tell which images are classified rightly.

        Image i of a part is classified by die i modulo the number of dies, whatever other images are
        looked at.

        Args:
            design: Genes of a network and of a chip.
            part: "validation" or "test".
            images: Their numbers in the part, (images,).
            exact: Whether arrays are bit-accurate.

        Returns:
            True or False for each image, (images,).
        """
        chip = self.chip_of(design, part)
        n_dies = chip.n_dies if chip else 1
        pixels, labels = (tensor[images] for tensor in examples(self.supernet, part))
        hits = torch.zeros(len(labels), dtype=torch.bool)
        with torch.inference_mode():
            for number in range(n_dies):
                own = images % n_dies == number
                if not own.any():
                    continue
                ready = self._on_die(design, chip, number, exact=exact)
                hits[own] = logits(ready, pixels[own]).argmax(1) == labels[own]
        return hits

    def by_die(
        self, design: Mapping[str, Any], part: str = "validation", *, n_dies: int, images: int
    ) -> list[float]:
        """Measures the accuracy of several dies of one design, all on the same images.

        Args:
            design: Genes of a network and of a chip.
            part: "validation" or "test".
            n_dies: How many dies.
            images: How many images, from the part's first.

        Returns:
            Percent of each die.
        """
        chip = self.chip_of(design, part)
        pixels, labels = (tensor[:images] for tensor in examples(self.supernet, part))
        accuracies = []
        with torch.inference_mode():
            for number in range(n_dies):
                accuracies.append(top1(self._on_die(design, chip, number), pixels, labels))
        return accuracies

    def accuracy_p05(
        self, design: Mapping[str, Any], part: str = "validation", mean: float | None = None
    ) -> float:
        """Estimate the accuracy that 95 % of dies reach.

        Accuracies of dies are taken as normally distributed: the estimate is mean - 1.645 deviation.
        The mean is the accuracy on all images, the deviation is that of N_SAMPLED_DIES dies, which
        all see the same images, so that the choice of images does not count. Random noise of the
        converters is drawn anew for each die and counts as a difference between dies, a few tenths
        of a point on IMAGES_PER_DIE images. Dies of digital arrays are all alike.

        Args:
            design: Genes of a network and of a chip.
            part: "validation" or "test".
            mean: The accuracy on all images of the part, in percent; None: it is measured.

        Returns:
            Percent, at most the mean.
        """
        if mean is None:
            mean = self.measure(design, part)
        chip = self.chip_of(design, part)
        if chip is None or chip.array.is_digital:
            return mean
        images = min(IMAGES_PER_DIE, self.image_count(part))
        accuracies = self.by_die(design, part, n_dies=N_SAMPLED_DIES, images=images)
        return mean - Z_95 * stdev(accuracies)

    def error_losses(self, design: Mapping[str, Any], workload: Workload) -> dict[str, Any]:
        """Measures what a design loses to each cause of its arrays' errors, and in which layer.

        Args:
            design: Genes of a network and of a chip.
            workload: The network's layers.

        Returns:
            What `cimbo.evaluation.accuracy.error_losses` finds, as JSON.

        Raises:
            BadInput: Nothing is known of a chip.
        """
        from cimbo.evaluation.accuracy.error_losses import (
            error_losses,  # imported here, because that module imports this one
        )

        return error_losses(self, design, workload).to_json()

    def chip_of(self, design: Mapping[str, Any], part: str = "validation") -> ArrayInstance | None:
        """Make the arrays that a design is measured on.

        Args:
            design: Genes of a network and of a chip.
            part: "validation" or "test", whose dies differ.

        Returns:
            The arrays; None where the design names none.
        """
        seed = zlib.crc32(part.encode()) % 1000
        ideal = self.converters == "ideal"
        chip = arrays(design, seed, ideal=ideal, conditions=self.conditions)
        if chip is None:
            return None
        usual = MOST_DIES.get(self.supernet, N_DIES)
        return replace(chip, most_dies=self.dies or usual)

    def _on_die(
        self,
        design: Mapping[str, Any],
        chip: ArrayInstance | None,
        number: int,
        *,
        exact: bool = False,
    ) -> Deployed:
        """Put a network on one die of a chip, with batch norms calibrated for it.

        Args:
            design: Genes of a network and of a chip.
            chip: The chip's arrays; None: the network runs in float.
            number: Number of the die.
            exact: Whether arrays are bit-accurate.

        Returns:
            The network, ready for inputs.
        """
        die = None
        if chip:
            in_whole_numbers = self.products == "whole"
            die = Die(chip, number, exact=exact, in_whole_numbers=in_whole_numbers)
        n_dies = chip.n_dies if chip else 1
        # Each die is calibrated on images of its own
        calibration = examples(self.supernet, "calibration")[0][number % n_dies :: n_dies]
        if exact and die is not None and not die.is_digital:
            calibration = calibration[:EXACT_CALIBRATION_IMAGES]
        return deployed(supernetwork(self.supernet), design, calibration, die)


def _check_word(option: str, word: str, known: tuple[str, ...]) -> None:
    """Refuse an option that is none of the known words."""
    if word not in known:
        where = f"network.options.{option}"
        raise BadInput(where, f"is {word!r}", f"use one of {', '.join(known)}")


@cache
def supernetwork(supernet: str) -> nn.Module:
    """Loads a shipped super-network, once a process, to be measured and not trained.

    Args:
        supernet: Its name.

    Returns:
        The super-network; worker processes keep it between evaluations.
    """
    return load(supernet, _data.path(f"supernets/{supernet}.safetensors")).requires_grad_(False)


@cache
def examples(supernet: str, part: str) -> tuple[Tensor, Tensor]:
    """Reads the shipped images or sentences of a super-network, once a process.

    Args:
        supernet: Its name.
        part: "validation", "calibration" or "test".

    Returns:
        Inputs as the super-network takes them, and labels (n,).
    """
    return SHIPPED_EXAMPLES[supernet](part).tensors()
