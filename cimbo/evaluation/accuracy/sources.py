"""Sources of accuracy by name: the shipped ones, and those that plug-ins add under the entry points ``cimbo.accuracy``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.command import CommandAccuracy
from cimbo.evaluation.accuracy.function import FunctionAccuracy
from cimbo.evaluation.accuracy.published_table import PublishedTable
from cimbo.hardware.cell_errors import DEFAULT_AGE, ArrayConditions
from cimbo.plugins import Accuracy, find, has_entry_point, is_python_name

#: Super-networks whose weights come with cimbo, with what their accuracy is measured on.
_FASHION_IMAGES = "5,000 images of Fashion-MNIST that were not trained on; fronts besides on the 10,000 test images"
SHIPPED_SUPERNETS = {
    "fmnist-vit": _FASHION_IMAGES,
    "fmnist-mobilenet": _FASHION_IMAGES,
    "reviews-minilm": "1,520 rated sentences of film reviews that were not trained on; fronts besides on 1,428 others",
}


def is_source(name: str) -> bool:
    """Whether a family of networks has an accuracy of its own: a shipped one, a published one, or a plug-in's."""
    return name in (*SHIPPED_SUPERNETS, *published.names()) or has_entry_point("accuracy", name)


def is_own(name: str) -> bool:
    """Whether an accuracy is a user's own: a function, a program, or a plug-in."""
    return is_python_name(name) or name == "command" or has_entry_point("accuracy", name)


def accuracy_source(name: str, options: Mapping[str, Any] | None = None) -> Accuracy:
    """Makes a source of accuracy.

    Built in are the shipped super-networks, models of published accuracies
    (:mod:`cimbo.evaluation.accuracy.published`), a user's own checkpoint and a user's program.

    Args:
        name: A built-in source, a plug-in's source, or a user's function as "package:function".
        options: Options of the source, by name.

    Returns:
        The source.

    Raises:
        BadInput: When there is none of that name, or it takes no such options.
    """

    def shipped(supernet: str) -> Callable[..., Accuracy]:
        """Make the function that sets up the accuracy of a shipped super-network from its options."""

        def make(
            converters: str = "described",
            age: str = DEFAULT_AGE,
            noise_table: str | None = None,
            stuck_cells: float | None = None,
            noise_lsb: float | None = None,
            products: str = "float",
            inl_lsb: float | None = None,
            offset_lsb: float | None = None,
            errors: str = "noise",
            images: int | None = None,
            dies: int | None = None,
        ) -> Accuracy:
            """The accuracy of the super-network, on arrays as the options say."""
            from cimbo.evaluation.accuracy.shipped import ShippedAccuracy  # imports torch

            conditions = ArrayConditions(
                age=age,
                noise_table=noise_table,
                stuck_cells=stuck_cells,
                noise_lsb=noise_lsb,
                inl_lsb=inl_lsb,
                offset_lsb=offset_lsb,
            )
            return ShippedAccuracy(
                supernet,
                converters,
                conditions,
                products=products,
                errors=errors,
                images=images,
                dies=dies,
            )

        return make

    def checkpoint(**options: Any) -> Accuracy:
        """The accuracy of a user's checkpoint. Raises BadInput for options it does not take."""
        from cimbo.evaluation.accuracy.checkpoint import CheckpointAccuracy  # imports torch

        try:
            return CheckpointAccuracy(**options)
        except TypeError as error:
            raise BadInput(
                "network.options",
                f"do not set up a checkpoint ({error})",
                "see --data and --weights",
            ) from None

    built_in: dict[str, Callable[..., Accuracy]] = {n: shipped(n) for n in SHIPPED_SUPERNETS}
    built_in |= {n: partial(published.load, n) for n in published.names()} | {
        "checkpoint": checkpoint,
        "command": CommandAccuracy,
        "nasbench201-table": PublishedTable,
    }
    if name not in built_in and is_python_name(name):
        return FunctionAccuracy(name, options or {})
    return find("accuracy", name, built_in, options or {})
