"""The tables [[fidelity]] of a study: cheaper measurements before the full one, on fewer images or with other settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from cimbo.config.tables import FidelityTable, StudyTable
from cimbo.errors import BadInput
from cimbo.evaluation.low_fidelity import LowFidelities, LowFidelity, Owner
from cimbo.evaluation.measured_accuracy import NO_ACCURACY
from cimbo.evaluation.simulators import SHIPPED_SIMULATORS
from cimbo.problem.scalars import shown
from cimbo.problem.space import SearchSpace

FIDELITY_PLACE = "fidelity"
# Where the settings of the full measurement stand, by whose they are
FULL_SETTINGS: dict[Owner, str] = {
    "evaluator": "[evaluator] fixed",
    "simulator": "[hardware] fixed",
    "accuracy": "[network] options",
}
KINDS_IN_WORDS = "images, or set and cost"


def image_stages(fidelities: Sequence[FidelityTable]) -> tuple[int, ...]:
    """Read the numbers of images after which the measurement of an accuracy may stop.

    Args:
        fidelities: What the study says of cheaper measurements.

    Returns:
        The numbers, ascending; none where measurements are cheaper by their settings.

    Raises:
        BadInput: A number is not above that before it.
    """
    stages = [fidelity.images for fidelity in fidelities if fidelity.images is not None]
    for before, after in pairwise(stages):
        if after <= before:
            what = f"has {after} images after {before}"
            raise BadInput(FIDELITY_PLACE, what, "write the stages in ascending order, each once")
    return tuple(stages)


def low_fidelities(tables: StudyTable, accuracy: str) -> LowFidelities | None:
    """Set up the measurements that are cheaper by their settings.

    Args:
        tables: The study.
        accuracy: Name of its source of accuracy.

    Returns:
        What measures in stages; None where the study names no settings.
    """
    stages = []
    for fidelity in tables.fidelity:
        if fidelity.set:
            assert fidelity.cost is not None
            stages.append(LowFidelity(fidelity.set, fidelity.cost))
    if not stages:
        return None
    return LowFidelities(_owner(tables, accuracy), tuple(stages))


def check_fidelities(tables: StudyTable, space: SearchSpace, accuracy: str) -> None:
    """Refuse tables [[fidelity]] that cannot be used.

    Args:
        tables: The study.
        space: Its genes.
        accuracy: Name of its source of accuracy.

    Raises:
        BadInput: The first mistake.
    """
    if tables.evaluator is not None:
        for name in tables.evaluator.fixed:
            _check_no_gene(name, space, "evaluator.fixed")
    if not tables.fidelity:
        return
    for fidelity in tables.fidelity:
        _check_kind(fidelity)
    kinds = {fidelity.images is None for fidelity in tables.fidelity}
    if len(kinds) > 1:
        what = "has stages by images and stages by settings"
        raise BadInput(FIDELITY_PLACE, what, "keep one kind of them")
    if kinds == {False}:
        _check_images(tables)
        return
    _check_costs(tables.fidelity)
    owner = _owner(tables, accuracy)
    full = _full_settings(tables, owner)
    for fidelity in tables.fidelity:
        _check_settings(fidelity.set, full, owner, space)


def _check_kind(fidelity: FidelityTable) -> None:
    """Refuse a table that says neither images nor settings, both, or what belongs to the other kind."""
    if fidelity.images is None and not fidelity.set:
        raise BadInput(FIDELITY_PLACE, "says neither images nor settings", f"give {KINDS_IN_WORDS}")
    if fidelity.images is not None:
        for name in ("set", "cost", "of"):
            if getattr(fidelity, name):
                what = f"has both images and {name}"
                raise BadInput(
                    FIDELITY_PLACE,
                    what,
                    f"give {KINDS_IN_WORDS}; images cost their share of all images",
                )
    elif fidelity.cost is None:
        todo = "give the share of the full measurement's cost, such as cost = 0.1"
        raise BadInput(f"{FIDELITY_PLACE}.cost", "is missing", todo)


def _check_images(tables: StudyTable) -> None:
    """Refuse images beside an evaluator of the user's, which would not be told of them, and stages that do not grow."""
    if tables.evaluator is not None:
        what = "images are for accuracies that cimbo measures, and [evaluator] measures by itself"
        todo = "leave it out, or give set and cost; an evaluator may return accuracy_fidelity and accuracy_std"
        raise BadInput(FIDELITY_PLACE, what, todo)
    image_stages(tables.fidelity)


def _check_costs(fidelities: Sequence[FidelityTable]) -> None:
    """Refuse costs that do not grow from stage to stage."""
    costs = [fidelity.cost or 0.0 for fidelity in fidelities]
    for before, after in pairwise(costs):
        if after <= before:
            what = f"is {after:g} after {before:g}"
            raise BadInput(f"{FIDELITY_PLACE}.cost", what, "write the cheapest stage first")


def _owner(tables: StudyTable, accuracy: str) -> Owner:
    """Whose settings the stages have. Raises BadInput where the study has no such thing, or does not say which of two."""
    said = {fidelity.of for fidelity in tables.fidelity}
    if len(said) > 1:
        raise BadInput(
            f"{FIDELITY_PLACE}.of", "is not the same in all stages", "write the same in each"
        )
    possible = _possible_owners(tables, accuracy)
    if not possible:
        what = "needs an [evaluator], a simulator of your own, or an accuracy that is measured"
        raise BadInput(FIDELITY_PLACE, what, "leave it out")
    (owner,) = said
    if owner is None:
        if len(possible) > 1:
            what = f"does not say whose settings they are, and there are {' and '.join(possible)}"
            raise BadInput(
                f"{FIDELITY_PLACE}.of", what, f'write of = "{possible[0]}" or "{possible[1]}"'
            )
        return possible[0]
    if owner not in possible:
        what = f"is {owner}, and this study has no {owner} that takes settings"
        raise BadInput(
            f"{FIDELITY_PLACE}.of", what, f"write {' or '.join(possible)}, or leave it out"
        )
    return owner


def _possible_owners(tables: StudyTable, accuracy: str) -> list[Owner]:
    """What of a study takes settings: its evaluator; or a simulator that is not shipped, and an accuracy."""
    if tables.evaluator is not None:
        return ["evaluator"]
    owners: list[Owner] = []
    if tables.network is not None and tables.hardware.simulator not in SHIPPED_SIMULATORS:
        owners.append("simulator")
    if accuracy not in (NO_ACCURACY, ""):
        owners.append("accuracy")
    return owners


def _full_settings(tables: StudyTable, owner: Owner) -> Mapping[str, Any]:
    """The settings of the full measurement, as far as the study gives them."""
    if owner == "evaluator":
        assert tables.evaluator is not None
        return tables.evaluator.fixed
    if owner == "simulator":
        return tables.hardware.fixed
    assert tables.network is not None
    return tables.network.options


def _check_settings(
    settings: Mapping[str, Any], full: Mapping[str, Any], owner: Owner, space: SearchSpace
) -> None:
    """Refuse settings of a stage that are genes, that have no value in full, or that are those of the full measurement."""
    for name in settings:
        where = f"{FIDELITY_PLACE}.set.{name}"
        if owner != "accuracy":  # whose settings are options, which may be called like a gene
            _check_no_gene(name, space, where)
        if owner != "accuracy" and name not in full:
            todo = f"write the value of the full measurement under {FULL_SETTINGS[owner]}"
            raise BadInput(where, "has no value in full", todo)
    if all(name in full and full[name] == value for name, value in settings.items()):
        told = ", ".join(f"{name} = {shown(value)}" for name, value in settings.items())
        what = f"is the full measurement: {told} stands under {FULL_SETTINGS[owner]}"
        raise BadInput(f"{FIDELITY_PLACE}.set", what, "give cheaper settings")


def _check_no_gene(name: str, space: SearchSpace, where: str) -> None:
    """Refuse a gene among what every design is told."""
    if name in space.column:
        todo = "leave it out there, or take it from the genes"
        raise BadInput(where, f"{name} is a gene, which the search chooses", todo)
