"""The real measurement: deploy a sub-network, calibrate it, run it on images, count."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from cimbo.supernets.array_errors import Die, OutputNoise
from cimbo.supernets.deployment import Deployable, Deployed
from cimbo.supernets.elastic import ElasticBatchNorm, SubNetwork, set_effect
from cimbo.supernets.images import Images

BATCH_SIZE = 16  # what a layer delivers for so many images stays in a core's cache

RANGE_IMAGES = 100  # enough to set a converter's range by; statistics of batch norms need all of the calibration


@torch.no_grad()
def recalibrate(network: nn.Module, subnet: SubNetwork, images: Tensor) -> None:
    """Set every batch norm's statistics to those of ``images`` (n, 1, 28, 28) under ``subnet``, in one pass.

    Without it a sub-network would be normalised with another one's statistics, and its accuracy would mean nothing.
    """
    if any(isinstance(m, ElasticBatchNorm) for m in network.modules()):
        network.train()
        network(images, subnet)
    network.eval()


@torch.no_grad()
def deployed(
    network: nn.Module, subnet: SubNetwork, calibration: Tensor, die: Die | None = None
) -> Deployed:
    """``subnet`` on ``die``, ready to measure: batch norm and converters calibrated by ``calibration`` (n, 1, 28, 28).

    A super-network that cannot deploy its sub-networks is run as it is, under noise of about the same size.
    """
    if not hasattr(network, "deploy"):
        errs = die is not None and not die.is_digital
        set_effect(network, OutputNoise(die.chip.array) if die and errs else None)
        recalibrate(network, subnet, calibration)
        return partial(network, subnet=subnet)
    ready = cast("Deployable", network).deploy(subnet, die)
    normed = any(isinstance(m, ElasticBatchNorm) for m in network.modules())
    if normed or die is not None:
        ready(calibration if normed else calibration[:RANGE_IMAGES])
    return ready


@torch.no_grad()
def logits(network: Deployed, images: Tensor) -> Tensor:
    """Logits (n, classes) of ``images`` (n, 1, 28, 28), in batches."""
    return torch.cat([network(batch) for batch in images.split(BATCH_SIZE)])


@torch.no_grad()
def top1(network: Deployed, images: Tensor, labels: Tensor) -> float:
    """Share of ``images`` in percent whose largest logit is their label's."""
    return 100 * (logits(network, images).argmax(1) == labels).double().mean().item()


def accuracy(network: nn.Module, subnet: SubNetwork, images: Images, calibration: Images) -> float:
    """Top-1 accuracy in percent of ``subnet`` on ``images``, its batch norm recalibrated on ``calibration``."""
    return top1(deployed(network, subnet, calibration.tensors()[0]), *images.tensors())
