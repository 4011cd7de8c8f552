"""Settings of one run of a network: batch, lengths of prompt and answer, shares of ones and copies of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cimbo.errors import BadInput
from cimbo.problem.space import Choice
from cimbo.workloads.decoder import LONGEST_SEQUENCE
from cimbo.workloads.layers import Workload
from cimbo.workloads.sparsity import (
    MEASURED_ACTIVITY,
    Copies,
    Shares,
    at_copies,
    at_shares,
    read_copies,
    read_shares,
    shares_to_json,
)

if TYPE_CHECKING:
    from cimbo.workloads import Network

LARGEST_BATCH = 1_000_000  # inputs at once; sizes of any layer times it stay exact in float64


@dataclass(frozen=True)
class InferenceSettings:
    """Settings of one run of a network.

    Attributes:
        batch: Inputs at once.
        prompt: Tokens of a language model's prompt; None: as its family has it.
        tokens: Tokens of its answer; None: as its family has it.
        activity: Shares of the bits of inputs and weights that are one, by layer, as ``Shares`` or in any form that
            `read_shares` reads. Empty: as the chip has it.
        copies: Pattern of layers' names to their number of copies, for chips whose ``duplication`` is ``given``.

    Raises:
        BadInput: Where a number is no positive integer, or a share none from 0 to 1.
    """

    batch: int = 1
    prompt: int | None = None
    tokens: int | None = None
    activity: Shares | str | Mapping[str, Any] = ()
    copies: Copies | Mapping[str, int] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.activity, tuple) and self.activity != MEASURED_ACTIVITY:
            object.__setattr__(self, "activity", read_shares(self.activity))
        if isinstance(self.copies, Mapping):
            object.__setattr__(self, "copies", read_copies(self.copies))
        _check_count("batch", self.batch, LARGEST_BATCH)
        _check_count("prompt", self.prompt, LONGEST_SEQUENCE)
        _check_count("tokens", self.tokens, LONGEST_SEQUENCE)

    def shares(self, network: str) -> Shares:
        """Find the shares of bits that are one, of a network's layers.

        Args:
            network: Its name, for ``activity="measured"``.

        Returns:
            Shares by pattern of layers' names; empty where none are set.

        Raises:
            BadInput: When measured shares are wanted, and none were measured on this network.
        """
        if isinstance(self.activity, tuple):
            return self.activity
        return read_shares(self.activity, network)

    def to_json(self) -> dict[str, Any]:
        """The settings that differ from their defaults, by name."""
        settings: dict[str, Any] = {}
        if self.batch != 1:
            settings["batch"] = self.batch
        if self.prompt is not None:
            settings["prompt"] = self.prompt
        if self.tokens is not None:
            settings["tokens"] = self.tokens
        if isinstance(self.activity, tuple) and self.activity:
            settings["activity"] = shares_to_json(self.activity)
        elif self.activity:
            settings["activity"] = self.activity
        if self.copies:
            settings["copies"] = dict(self.copies)
        return settings


def _check_count(name: str, value: Any, most: int) -> None:
    """Refuse a setting that is neither None nor an integer from 1 to ``most``."""
    if value is None:
        return
    is_count = isinstance(value, int) and not isinstance(value, bool)
    if not is_count or not 1 <= value <= most:
        raise BadInput(name, f"is {value!r}", f"give an integer from 1 to {most}")


@dataclass(frozen=True)
class BatchedNetwork:
    """A family with the settings of a run: its workloads are batched, and their layers have shares of ones and copies.

    Attributes:
        family: The networks.
        batch: Inputs at once.
        shares: Shares of bits that are one, by pattern of layers' names.
        copies: Copies of layers, by pattern of layers' names.
    """

    family: Network
    batch: int = 1
    shares: Shares = ()
    copies: Copies = ()

    @property
    def name(self) -> str:
        """Of the family."""
        return self.family.name

    def choices(self) -> list[Choice]:
        """Of the family."""
        return self.family.choices()

    def workload(self, subnet: Mapping[str, Any]) -> Workload:
        """Make the layers of one sub-network, for the whole batch.

        Args:
            subnet: Each active gene to its value.

        Returns:
            The family's workload, with counts of the whole batch and shares of ones.

        Raises:
            BadInput: As the family does.
        """
        batched = self.family.workload(subnet).batched(self.batch)
        return at_copies(at_shares(batched, self.shares), self.copies)

    def largest(self) -> dict[str, Any]:
        """Of the family."""
        return self.family.largest()

    def smallest(self) -> dict[str, Any]:
        """Of the family."""
        return self.family.smallest()


def with_settings(family: Network, settings: InferenceSettings) -> Network:
    """Apply the settings of a run to a family of networks.

    Args:
        family: The networks.
        settings: Batch, lengths of prompt and answer, shares of ones and copies of layers.

    Returns:
        A family whose workloads have these settings; ``family`` itself where all are defaults.

    Raises:
        BadInput: When lengths are set for a family that generates no tokens.
    """
    family = _at_lengths(family, settings)
    shares = settings.shares(family.name)
    copies = read_copies(dict(settings.copies))
    if settings.batch == 1 and not shares and not copies:
        return family
    return BatchedNetwork(family, settings.batch, shares, copies)


def _at_lengths(family: Network, settings: InferenceSettings) -> Network:
    """The family for prompts and answers of the lengths in the settings; raises BadInput if it generates no tokens."""
    if settings.prompt is None and settings.tokens is None:
        return family
    generating = getattr(family, "generating", None)
    if generating is None:
        setting = "tokens" if settings.prompt is None else "prompt"
        what = f"is asked, but {family.name} generates no tokens"
        raise BadInput(setting, what, "leave it out, or name a language model such as gpt2-s")
    of_lengths: Network = generating(prompt=settings.prompt, tokens=settings.tokens)
    return of_lengths
