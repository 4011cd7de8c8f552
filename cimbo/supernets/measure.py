"""The real measurement: recalibrate a sub-network's batch norm, run it on images, count."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cimbo.supernets.data import Images
from cimbo.supernets.elastic import ElasticBatchNorm, SubNetwork

BATCH = 250


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
def logits(network: nn.Module, subnet: SubNetwork, images: Tensor) -> Tensor:
    """Logits (n, classes) of ``images`` (n, 1, 28, 28), in batches."""
    return torch.cat([network(batch, subnet) for batch in images.split(BATCH)])


def accuracy(network: nn.Module, subnet: SubNetwork, images: Images, calibration: Images) -> float:
    """Top-1 accuracy in percent of ``subnet`` on ``images``, its batch norm recalibrated on ``calibration``."""
    recalibrate(network, subnet, calibration.tensors()[0])
    pixels, labels = images.tensors()
    return 100 * (logits(network, subnet, pixels).argmax(1) == labels).double().mean().item()
