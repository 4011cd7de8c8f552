"""Accuracy of shipped super-networks, really measured on real images."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from cimbo import _data
from cimbo.supernets import nonideal
from cimbo.supernets.build import load
from cimbo.supernets.data import shipped
from cimbo.supernets.measure import deployed, top1


@dataclass(frozen=True)
class ShippedAccuracy:
    """Top-1 accuracy in percent of a sub-network of a shipped super-network, on a chip with the given converters.

    The images of the search (5,000, "validation") were never trained on; the 10,000 "test" images are for final fronts.
    """

    supernet: str
    genes: tuple[str, ...] = field(default=nonideal.GENES)

    def measure(self, design: Mapping[str, Any], part: str = "validation") -> float:
        network, calibration = _network(self.supernet), _images("calibration")[0]
        images, labels = _images(part)
        noise = nonideal.effect(design, seed=zlib.crc32(part.encode()))
        with torch.inference_mode():
            return top1(deployed(network, design, calibration, noise), images, labels)


@cache
def _network(supernet: str) -> nn.Module:
    """Loaded once a process; workers of the engine stay alive between evaluations."""
    return load(supernet, _data.path(f"supernets/{supernet}.safetensors"))


@cache
def _images(part: str) -> tuple[Tensor, Tensor]:
    return shipped(part).tensors()
