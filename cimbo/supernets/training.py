"""Training of a weight-sharing super-network: sandwich rule, in-place distillation, weight averaging.

Each step runs the largest sub-network, the smallest one and ``random_subnets`` random ones on the same batch (the sandwich
rule of arXiv 1903.05134). The largest learns from the labels; the others learn from the labels and, with growing weight,
from the largest's output (in-place distillation, same source).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.hardware.array_description import describe_array
from cimbo.problem.space import Choice, SearchSpace
from cimbo.supernets.array_errors import OutputNoise, with_ideal_converters
from cimbo.supernets.elastic import SubNetwork, set_effect
from cimbo.supernets.images import Images
from cimbo.supernets.reference_chips import ReferenceChipEffect

FINE_CONVERTER_BITS = 16  # bits of converters that cause no error


@dataclass(frozen=True)
class Recipe:
    """How to train. ``distil`` is the final share of the distillation loss, reached after ``distil_after`` of the steps.

    ``reference_chips``: train under the mixture of :mod:`cimbo.supernets.reference_chips`, with operands of few bits.
    ``adc_bits`` (0: without error) and ``cell_noise`` (a share of full scale): of the arrays under whose noise to train, and
    the ``rows``, ``cell_bits`` and ``dac_bits`` that they have.
    """

    epochs: int = 12
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: float = 0.05
    random_subnets: int = 2
    label_smoothing: float = 0.05
    distil: float = 0.6
    distil_after: float = 0.25
    average: float = 0.998
    shift: int = 2
    adc_bits: int = 0
    cell_noise: float = 0.0
    rows: int = 128
    cell_bits: int = 1
    dac_bits: int = 1
    reference_chips: bool = False
    seed: int = 0

    @property
    def noise(self) -> OutputNoise | None:
        """What the arrays do to every product while training; None without arrays that err."""
        if not (self.adc_bits or self.cell_noise):
            return None
        genes = {
            "adc_bits": self.adc_bits or FINE_CONVERTER_BITS,
            "rows": self.rows,
            "cell_bits": self.cell_bits,
            "dac_bits": self.dac_bits,
        }
        ideal = with_ideal_converters(describe_array(genes))
        return OutputNoise(replace(ideal, cell_noise=self.cell_noise))


@dataclass(frozen=True)
class Progress:
    """After each epoch: the averaged network so far, the mean loss and the epoch (from 1)."""

    network: nn.Module
    loss: float
    epoch: int


def extremes(choices: Sequence[Choice]) -> tuple[dict[str, int], dict[str, int]]:
    """Finds the largest and the smallest sub-network: every gene at its last, at its first value.

    Args:
        choices: Genes of the super-network.

    Returns:
        Active genes of the largest sub-network, and of the smallest one.
    """
    space = SearchSpace(choices)
    return tuple(space.canonical({c.name: c.values[i] for c in choices}) for i in (-1, 0))  # type: ignore[return-value]


def train(
    network: nn.Module, choices: Sequence[Choice], images: Images, recipe: Recipe
) -> Iterator[Progress]:
    """Trains a super-network in place.

    Args:
        network: The super-network.
        choices: Genes over which it is trained.
        images: Images to train on.
        recipe: How to train.

    Yields:
        After every epoch the averaged network, the mean loss of the largest sub-network and the
        epoch. The network is the same module each time: later steps average it further, and the
        last one is the result.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    space = SearchSpace(choices)
    largest, smallest = extremes(choices)
    pixels, labels = images.tensors()
    averaged = copy.deepcopy(network)  # without the noise, which its measurement does not need
    mixture = ReferenceChipEffect(np.random.default_rng([recipe.seed, 1]))
    set_effect(network, mixture if recipe.reference_chips else recipe.noise)
    optimizer = torch.optim.AdamW(
        _decay_groups(network, recipe.weight_decay), lr=recipe.learning_rate
    )
    steps = len(images) // recipe.batch
    total = steps * recipe.epochs
    network.train()
    for epoch in range(recipe.epochs):
        losses = []
        order = torch.from_numpy(rng.permutation(len(images)))
        for step in range(steps):
            done = (epoch * steps + step) / total
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(done, recipe.warm_up)
            batch = order[step * recipe.batch : (step + 1) * recipe.batch]
            inputs = _augment(pixels[batch], recipe.shift, rng)
            others: list[Any] = [
                smallest,
                *space.designs(space.random_rows(recipe.random_subnets, rng)),
            ]
            share = recipe.distil * min(1.0, done / recipe.distil_after)
            losses.append(
                _sandwich(
                    network,
                    inputs,
                    labels[batch],
                    _Sandwich(largest, others, share, recipe.label_smoothing, mixture),
                )
            )
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            _average(
                averaged,
                network,
                min(recipe.average, (1 + epoch * steps + step) / (10 + epoch * steps + step)),
            )
        yield Progress(averaged, float(np.mean(losses)), epoch + 1)


@dataclass(frozen=True)
class _Sandwich:
    largest: SubNetwork
    others: Sequence[SubNetwork]
    distil: float
    smoothing: float
    mixture: ReferenceChipEffect


def _sandwich(network: Callable[..., Tensor], x: Tensor, y: Tensor, plan: _Sandwich) -> float:
    """Accumulate the gradients of one step; returns the largest sub-network's loss."""
    plan.mixture.next_chip(teacher=True)
    logits = network(x, plan.largest)
    loss = F.cross_entropy(logits, y, label_smoothing=plan.smoothing)
    loss.backward()
    teacher = logits.detach().softmax(-1)
    for subnet in plan.others:
        plan.mixture.next_chip(teacher=False)
        student = network(x, subnet)
        hard = F.cross_entropy(student, y, label_smoothing=plan.smoothing)
        soft = F.cross_entropy(student, teacher)
        ((1 - plan.distil) * hard + plan.distil * soft).backward()
    return loss.item()


def _decay_groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Matrices and kernels decay; norms, biases, positions and kernel transformations do not."""
    kept, decayed = [], []
    for name, weights in network.named_parameters():
        if weights.ndim < 2 or "position" in name or "shrink" in name:
            kept.append(weights)
        else:
            decayed.append(weights)
    return [{"params": decayed, "weight_decay": decay}, {"params": kept, "weight_decay": 0.0}]


def _schedule(done: float, warm_up: float) -> float:
    """Linear warm-up, then a cosine to zero; ``done`` is the share of all steps."""
    if done < warm_up:
        return (done + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


def _augment(images: Tensor, shift: int, rng: np.random.Generator) -> Tensor:
    """A random flip of each image and a random shift of it by at most ``shift`` pixels."""
    n, size = len(images), images.shape[-1]
    edge = images.amin().item()
    padded = F.pad(images, [shift] * 4, value=edge)
    dy, dx = (torch.from_numpy(rng.integers(0, 2 * shift + 1, n)) for _ in range(2))
    span = torch.arange(size)
    columns = (
        torch.where(torch.from_numpy(rng.random(n) < 0.5)[:, None], span.flip(0), span)
        + dx[:, None]
    )
    rows = span + dy[:, None]
    return padded[
        torch.arange(n)[:, None, None], 0, rows[:, :, None], columns[:, None, :]
    ].unsqueeze(1)


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    for mean, current in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(current, 1 - keep)
