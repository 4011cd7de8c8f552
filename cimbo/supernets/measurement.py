"""Measures the accuracy of a sub-network: put it on a die, calibrate it, run it on images, count the right ones."""

from __future__ import annotations

from functools import partial
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from cimbo.supernets.deployment import Classifier, Deployable, Deployed
from cimbo.supernets.die import Die
from cimbo.supernets.elastic import ElasticBatchNorm, SubNetwork, set_effect
from cimbo.supernets.output_noise import OutputNoise

BATCH_SIZE = 16  # few enough images that a layer's outputs stay in a core's cache

RANGE_IMAGES = (
    100  # enough to set the ranges of converters; batch norms need all calibration images
)


@torch.no_grad()
def recalibrate(network: nn.Module, subnet: SubNetwork, images: Tensor) -> None:
    """Set every batch norm's statistics to those of some images under a sub-network, in one pass.

    Otherwise a sub-network would be normalised with another one's statistics, and its accuracy would
    be meaningless. The network is left in evaluation mode.

    Args:
        network: The super-network; changed in place.
        subnet: Genes of the sub-network.
        images: Normalised images to calibrate on, (n, 1, 28, 28).
    """
    if any(isinstance(m, ElasticBatchNorm) for m in network.modules()):
        network.train()
        network(images, subnet)
    network.eval()


@torch.no_grad()
def deployed(
    network: nn.Module, subnet: SubNetwork, calibration: Tensor, die: Die | None = None
) -> Deployed:
    """Put a sub-network on a die and calibrate it, ready to measure.

    A super-network without a method ``deploy`` is run as it is, under noise of about the same size.

    Args:
        network: The super-network.
        subnet: Genes of the sub-network.
        calibration: Normalised images that set the statistics of batch norms and the ranges of
            converters, (n, 1, 28, 28); without batch norms the first RANGE_IMAGES do.
        die: The chip that computes it; None: without error.

    Returns:
        A function from images (n, 1, 28, 28) to logits (n, classes).
    """
    if not hasattr(network, "deploy"):
        noise = None
        if die is not None and not die.is_digital:
            noise = OutputNoise(die.chip.array)
        set_effect(network, noise)
        recalibrate(network, subnet, calibration)
        return partial(network, subnet=subnet)
    ready = cast("Deployable", network).deploy(subnet, die)
    # The first images that a deployed network sees calibrate it.
    if any(isinstance(module, ElasticBatchNorm) for module in network.modules()):
        ready(calibration)
    elif die is not None:
        ready(calibration[:RANGE_IMAGES])
    return ready


@torch.no_grad()
def logits(network: Deployed, images: Tensor) -> Tensor:
    """Runs a network on images, in batches.

    Args:
        network: A function from images to logits, such as :func:`deployed` returns.
        images: Normalised images, (n, 1, 28, 28).

    Returns:
        Logits, (n, classes).
    """
    batches = images.split(getattr(network, "batch_size", BATCH_SIZE))
    if isinstance(network, Classifier) and network.head_sees_all:
        return network.head(torch.cat([network.features(batch) for batch in batches]))
    return torch.cat([network(batch) for batch in batches])


@torch.no_grad()
def top1(network: Deployed, images: Tensor, labels: Tensor) -> float:
    """Measures the share of images whose largest logit is their label's.

    Args:
        network: A function from images to logits, such as :func:`deployed` returns.
        images: Normalised images, (n, 1, 28, 28).
        labels: Their classes, (n,).

    Returns:
        Top-1 accuracy in percent.
    """
    return 100 * (logits(network, images).argmax(1) == labels).double().mean().item()


class Labelled(Protocol):
    """Labelled examples to measure on: images or sentences."""

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Inputs (n, ...) as a network takes them, and labels (n,)."""
        ...


def accuracy(
    network: nn.Module, subnet: SubNetwork, images: Labelled, calibration: Labelled
) -> float:
    """Measures the accuracy of a sub-network computed without a chip's errors.

    Args:
        network: The super-network.
        subnet: Genes of the sub-network.
        images: The images to measure on.
        calibration: Images that batch norms are recalibrated on.

    Returns:
        Top-1 accuracy in percent.
    """
    return top1(deployed(network, subnet, calibration.tensors()[0]), *images.tensors())
