"""Training of a weight-sharing super-network: sandwich rule, in-place distillation, weight averaging.

Each step runs the largest sub-network, the smallest one and ``random_subnets`` random ones on the same batch (the sandwich
rule of arXiv 1903.05134). The largest learns from the labels; the others learn from the labels and, with growing weight,
from the largest's output (in-place distillation, same source).
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cimbo.hardware.array_description import describe_array
from cimbo.problem.space import Choice, SearchSpace
from cimbo.supernets.array_instance import with_ideal_converters
from cimbo.supernets.elastic import SubNetwork, set_effect
from cimbo.supernets.output_noise import OutputNoise
from cimbo.supernets.reference_chips import ReferenceChipEffect

FINE_CONVERTER_BITS = 16  # bits of converters that cause no error
LARGEST_GRADIENT = 5.0  # norm to which a step's gradient is cut


@dataclass(frozen=True)
class Recipe:
    """How to train a super-network.

    Attributes:
        epochs: Passes over the training set.
        batch: Examples in a batch.
        learning_rate: Largest learning rate, after the warm-up.
        weight_decay: Of AdamW, for matrices and kernels.
        warm_up: Fraction of all steps in which the learning rate rises.
        random_subnets: Random sub-networks trained in each step, besides the largest and the smallest one.
        label_smoothing: Of the cross entropy with the labels.
        distil: Final weight of the distillation loss; the loss of the labels has the rest.
        distil_after: Fraction of all steps after which that weight is reached.
        average: Weight of the past in the moving average of the network.
        shift: Pixels by which images are shifted at most.
        adc_bits: Bits of the converters of arrays under whose noise to train; 0: converters without error.
        cell_noise: Standard deviation of the cells of these arrays, a fraction of full scale.
        rows: Rows of these arrays.
        cell_bits: Bits of a weight in one of their cells.
        dac_bits: Bits of an input that enter at once.
        reference_chips: Train under the mixture of :mod:`cimbo.supernets.reference_chips` instead, with operands of few
            bits.
        tuning_epochs: Epochs before all others in which only the largest sub-network of a pre-trained network is trained,
            without errors; then heads and hidden units are sorted by importance.
        bfloat16: Compute products in that format.
        seed: Seed of all randomness.
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
    tuning_epochs: int = 0
    bfloat16: bool = False
    seed: int = 0

    @property
    def noise(self) -> OutputNoise | None:
        """The noise of the arrays under which to train; None where they have no errors."""
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


class TrainingSet(Protocol):
    """Labelled examples to train on: images or sentences."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def batches(self, size: int, shift: int, rng: np.random.Generator) -> Iterator[Example]:
        """Goes through all examples once in random order; a last batch that is not full is left out.

        Args:
            size: Examples in a batch.
            shift: Pixels by which images are shifted at most.
            rng: Draws the order, and how examples are changed.

        Returns:
            Inputs and labels of one batch after another.
        """
        ...


Example = tuple[Tensor, Tensor]  # inputs of a batch, and their labels (n,)


@dataclass(frozen=True)
class Progress:
    """The state of training after an epoch.

    Attributes:
        network: The averaged network so far.
        loss: Mean loss of the epoch.
        epoch: Number of the epoch, from 1.
    """

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
    network: nn.Module, choices: Sequence[Choice], examples: TrainingSet, recipe: Recipe
) -> Iterator[Progress]:
    """Trains a super-network in place.

    Args:
        network: The super-network.
        choices: Genes over which it is trained.
        examples: What to train on.
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
    averaged = copy.deepcopy(network)  # without the noise, which its measurement does not need
    mixture = ReferenceChipEffect(np.random.default_rng([recipe.seed, 1]))
    set_effect(network, mixture if recipe.reference_chips else recipe.noise)
    optimizer = _optimizer(network, recipe)
    steps = len(examples) // recipe.batch
    total = steps * recipe.epochs
    network.train()
    for epoch in range(recipe.epochs):
        epoch_losses = []
        batches = examples.batches(recipe.batch, recipe.shift, rng)
        for step, (inputs, labels) in enumerate(batches, epoch * steps):
            done = step / total
            _set_rate(optimizer, recipe, done)
            random_subnets = space.designs(space.random_rows(recipe.random_subnets, rng))
            others: list[Any] = [smallest, *random_subnets]
            distil = recipe.distil * min(1.0, done / recipe.distil_after)
            plan = _Sandwich(
                largest, others, distil, recipe.label_smoothing, mixture, recipe.bfloat16
            )
            epoch_losses.append(_sandwich(network, inputs, labels, plan))
            _step(network, optimizer)
            # The average forgets its random start quickly at first.
            _average(averaged, network, min(recipe.average, (1 + step) / (10 + step)))
        yield Progress(averaged, float(np.mean(epoch_losses)), epoch + 1)


def tune(
    network: nn.Module, choices: Sequence[Choice], examples: TrainingSet, recipe: Recipe
) -> Iterator[Progress]:
    """Trains the largest sub-network alone, as a pre-trained network is fine-tuned, in place.

    Args:
        network: The super-network.
        choices: Its genes.
        examples: What to train on.
        recipe: How to train, ``tuning_epochs`` long.

    Yields:
        After every epoch the network, the mean loss and the epoch.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng([recipe.seed, 2])
    largest = extremes(choices)[0]
    optimizer = _optimizer(network, recipe)
    total = len(examples) // recipe.batch * recipe.tuning_epochs
    done = 0
    network.train()
    for epoch in range(recipe.tuning_epochs):
        epoch_losses = []
        for inputs, labels in examples.batches(recipe.batch, recipe.shift, rng):
            _set_rate(optimizer, recipe, done / total)
            with _precision(recipe.bfloat16):
                logits = network(inputs, largest).float()
            loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
            _step(network, optimizer)
            epoch_losses.append(loss.item())
            done += 1
        network.eval()
        yield Progress(network, float(np.mean(epoch_losses)), epoch + 1)
        network.train()


def losses(
    network: nn.Module, subnet: SubNetwork, examples: TrainingSet, recipe: Recipe, *, batches: int
) -> Iterator[Tensor]:
    """Computes the loss of a sub-network on some batches, ready to be differentiated.

    Args:
        network: The super-network; left in evaluation mode.
        subnet: Genes of the sub-network.
        examples: Labelled examples.
        recipe: Has the size of a batch.
        batches: How many batches.

    Yields:
        The loss of one batch after another.
    """
    network.eval()
    rng = np.random.default_rng([recipe.seed, 3])
    some = itertools.islice(examples.batches(recipe.batch, recipe.shift, rng), batches)
    for inputs, labels in some:
        with _precision(recipe.bfloat16):
            logits = network(inputs, subnet).float()
        yield F.cross_entropy(logits, labels)


def _precision(bfloat16: bool) -> torch.autocast:
    """The format in which products are computed while training."""
    return torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with the recipe's learning rate and weight decay."""
    return torch.optim.AdamW(_decay_groups(network, recipe.weight_decay), lr=recipe.learning_rate)


def _set_rate(optimizer: torch.optim.AdamW, recipe: Recipe, done: float) -> None:
    """Set the learning rate; ``done`` is the fraction of all steps that were made."""
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * _schedule(done, recipe.warm_up)


def _step(network: nn.Module, optimizer: torch.optim.AdamW) -> None:
    """Make one step with the gradients at hand, cut to LARGEST_GRADIENT, and clear them."""
    nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class _Sandwich:
    """What one step of the sandwich rule trains.

    Attributes:
        largest: Genes of the largest sub-network, which teaches the others.
        others: Genes of the others.
        distil: Weight of the teacher's output in their loss; the labels have the rest.
        smoothing: Label smoothing.
        mixture: Draws the chip that each sub-network meets.
        bfloat16: Whether products are computed in that format.
    """

    largest: SubNetwork
    others: Sequence[SubNetwork]
    distil: float
    smoothing: float
    mixture: ReferenceChipEffect
    bfloat16: bool


def _sandwich(network: Callable[..., Tensor], x: Tensor, y: Tensor, plan: _Sandwich) -> float:
    """Accumulate the gradients of one step on inputs ``x`` with labels ``y`` (n,).

    Returns:
        The largest sub-network's loss.
    """
    plan.mixture.next_chip(teacher=True)
    with _precision(plan.bfloat16):
        logits = network(x, plan.largest).float()
    loss = F.cross_entropy(logits, y, label_smoothing=plan.smoothing)
    loss.backward()
    teacher = logits.detach().softmax(-1)
    for subnet in plan.others:
        plan.mixture.next_chip(teacher=False)
        with _precision(plan.bfloat16):
            student = network(x, subnet).float()
        hard = F.cross_entropy(student, y, label_smoothing=plan.smoothing)
        soft = F.cross_entropy(student, teacher)
        ((1 - plan.distil) * hard + plan.distil * soft).backward()
    return loss.item()


def _decay_groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    """Parameters for the optimizer: matrices and kernels with weight decay, all others without.

    Norms, biases, positions and kernel transformations do not decay.

    Returns:
        Groups as torch's optimizers take them.
    """
    kept, decayed = [], []
    for name, weights in network.named_parameters():
        if weights.ndim < 2 or "position" in name or "shrink" in name:
            kept.append(weights)
        else:
            decayed.append(weights)
    return [{"params": decayed, "weight_decay": decay}, {"params": kept, "weight_decay": 0.0}]


def _schedule(done: float, warm_up: float) -> float:
    """Factor of the learning rate: linear warm-up, then a cosine to zero; ``done`` is the fraction of all steps."""
    if done < warm_up:
        return (done + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    """Update a moving average of parameters in place: keep * average + (1 - keep) * network."""
    for mean, current in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(current, 1 - keep)
