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
        seed = zlib.crc32(part.encode()) % 1000
        chip = array_errors.arrays(design, seed, ideal=self.converters == "ideal")
        dies = (
            [array_errors.Die(chip, i, exact=exact) for i in range(chip.n_dies)] if chip else [None]
        )
        pixels, labels = (tensor[:images] for tensor in _images(part))
        right = 0.0
        with torch.inference_mode():
            for i, die in enumerate(dies):
                share = slice(i, None, len(dies))
                ready = deployed(
                    _network(self.supernet), design, _images("calibration")[0][share], die
                )
                right += top1(ready, pixels[share], labels[share]) * len(labels[share])
        return right / len(labels)


@cache
def _network(supernet: str) -> nn.Module:
    """Loaded once a process, to be measured and not trained; workers of the engine stay alive between evaluations."""
    return load(supernet, _data.path(f"supernets/{supernet}.safetensors")).requires_grad_(False)


@cache
def _images(part: str) -> tuple[Tensor, Tensor]:
    return shipped(part).tensors()
