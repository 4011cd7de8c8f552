"""Accuracy of shipped super-networks, really measured on real images."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cimbo import _data
from cimbo.errors import BadInput
from cimbo.supernets import array_errors
from cimbo.supernets.images import shipped
from cimbo.supernets.measurement import deployed, top1
from cimbo.supernets.recipes import load

CONVERTER_MODELS = ("ideal", "described")


@dataclass(frozen=True)
class ShippedAccuracy:
    """Top-1 accuracy in percent of a sub-network of a shipped super-network, on the arrays of a chip.

    The images of the search (5,000, "validation") were never trained on; the 10,000 "test" images are for final fronts.
    Where cells err, N_DIES chips differ: each gets its share of the images, so that averaging over them costs nothing.

    Attributes:
        supernet: name of the shipped super-network.
        converters: "ideal", converters that do not err and have a range of their own for every layer, input step and
            slice, which is what the shipped weights were trained for; or "described", what the chip's genes say and its
            cost is charged for: encoding, range policy, noise, non-linearity and offsets.
        genes: the hardware genes that change the accuracy.
        rounds_stages: that bits which stages have of their own are seen.
    """

    supernet: str
    converters: str = "ideal"
    genes: tuple[str, ...] = field(default=array_errors.ACCURACY_GENES)
    rounds_stages: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.converters not in CONVERTER_MODELS:
            raise BadInput(
                "network.options.converters",
                f"is {self.converters!r}",
                f"use one of {', '.join(CONVERTER_MODELS)}",
            )

    def measure(
        self,
        design: Mapping[str, Any],
        part: str = "validation",
        *,
        exact: bool = False,
        images: int | None = None,
    ) -> float:
        """``exact``: in the exact form of the arrays' errors instead of the equivalent one, at many times the cost.
        ``images``: only so many of the part's."""
        count = self.image_count(part)
        last = count if images is None else min(images, count)
        return self._right(design, part, slice(0, last), exact=exact) / last

    def image_count(self, part: str = "validation") -> int:
        """How many images a part has."""
        return len(_images(part)[1])

    def count_right(self, design: Mapping[str, Any], first: int, last: int) -> int:
        """Of the validation images from ``first`` to before ``last``, how many are classified rightly.

        Counts of consecutive stretches add up to what `measure` counts: each image meets the same chip.
        """
        return round(self._right(design, "validation", slice(first, last), exact=False) / 100.0)

    def _right(self, design: Mapping[str, Any], part: str, images: slice, *, exact: bool) -> float:
        """A hundred times as many as are classified rightly."""
        seed = zlib.crc32(part.encode()) % 1000
        chip = array_errors.arrays(design, seed, ideal=self.converters == "ideal")
        dies = (
            [array_errors.Die(chip, i, exact=exact) for i in range(chip.n_dies)] if chip else [None]
        )
        pixels, labels = _images(part)
        right = 0.0
        with torch.inference_mode():
            for i, die in enumerate(dies):
                mine = slice(images.start + (i - images.start) % len(dies), images.stop, len(dies))
                if mine.start >= mine.stop:
                    continue
                calibration = _images("calibration")[0][i :: len(dies)]
                ready = deployed(_network(self.supernet), design, calibration, die)
                right += top1(ready, pixels[mine], labels[mine]) * len(labels[mine])
        return right


@cache
def _network(supernet: str) -> nn.Module:
    """Loaded once a process, to be measured and not trained; workers of the engine stay alive between evaluations."""
    return load(supernet, _data.path(f"supernets/{supernet}.safetensors")).requires_grad_(False)


@cache
def _images(part: str) -> tuple[Tensor, Tensor]:
    return shipped(part).tensors()
