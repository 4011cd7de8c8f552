"""How much is asked of a network at once: inputs of a batch, and of a language model the lengths of prompt and answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cimbo.errors import BadInput
from cimbo.problem.space import Choice
from cimbo.workloads.decoder import LONGEST_SEQUENCE
from cimbo.workloads.layers import Workload
from cimbo.workloads.sparsity import (
    MEASURED,
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
    """What one run of a network is asked for.

    Attributes:
        batch: Inputs at once.
        prompt: Tokens of a language model's prompt; None: as its family has it.
        tokens: Tokens of its answer, likewise.
        activity: Shares of the bits of inputs and weights that are one, by layer; in another form than
            ``Shares`` whatever `read_shares` reads. Nothing said: as the chip has it.
        copies: Copies of layers by pattern of their names, for chips whose ``duplication`` is ``given``; a mapping
            becomes that.

    Raises BadInput where a number is no positive integer, or shares are none.
    """

    batch: int = 1
    prompt: int | None = None
    tokens: int | None = None
    activity: Shares | str | Mapping[str, Any] = ()
    copies: Copies | Mapping[str, int] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.activity, tuple) and self.activity != MEASURED:
            object.__setattr__(self, "activity", read_shares(self.activity))
        if isinstance(self.copies, Mapping):
            object.__setattr__(self, "copies", read_copies(self.copies))
        most = {"batch": LARGEST_BATCH, "prompt": LONGEST_SEQUENCE, "tokens": LONGEST_SEQUENCE}
        for name, limit in most.items():
            value = getattr(self, name)
            is_count = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (is_count and 1 <= value <= limit):
                raise BadInput(name, f"is {value!r}", f"give an integer from 1 to {limit}")

    def shares(self, network: str) -> Shares:
        """Finds the shares of ones of a network's layers.

        Args:
            network: Its name.

        Returns:
            Shares by pattern; none where nothing is said.

        Raises:
            BadInput: When those measured are asked for, and nothing was measured on this network.
        """
        if isinstance(self.activity, tuple):
            return self.activity
        return read_shares(self.activity, network)

    def to_json(self) -> dict[str, Any]:
        """What is said, by name; nothing where one input is asked at a time and nothing else said."""
        numbers = {"batch": self.batch, "prompt": self.prompt, "tokens": self.tokens}
        said: dict[str, Any] = {}
        for name, value in numbers.items():
            if value is not None:
                said[name] = value
        if self.batch == 1:
            said.pop("batch")
        if isinstance(self.activity, tuple) and self.activity:
            said["activity"] = shares_to_json(self.activity)
        elif self.activity:
            said["activity"] = self.activity
        if self.copies:
            said["copies"] = dict(self.copies)
        return said


@dataclass(frozen=True)
class BatchedNetwork:
    """A family whose workloads are of several inputs at once, or of layers of which more is said."""

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
        """Makes the layers of one sub-network, for the whole batch.

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
    """Makes the family whose workloads are of what is asked for.

    Args:
        family: The networks.
        settings: Batch, and lengths of prompt and answer.

    Returns:
        ``family`` itself where it is asked for one input and nothing else; otherwise a family of
        its own.

    Raises:
        BadInput: When tokens are asked of a family that generates none.
    """
    asked = {"prompt": settings.prompt, "tokens": settings.tokens}
    named = [name for name, value in asked.items() if value is not None]
    if named:
        generating = getattr(family, "generating", None)
        if generating is None:
            what = f"is asked, but {family.name} generates no tokens"
            raise BadInput(named[0], what, "leave it out, or name a language model such as gpt2-s")
        family = generating(**asked)
    shares = settings.shares(family.name)
    copies = read_copies(dict(settings.copies))
    if settings.batch == 1 and not shares and not copies:
        return family
    return BatchedNetwork(family, settings.batch, shares, copies)
