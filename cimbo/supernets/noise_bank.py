"""Standard normal numbers from a fixed bank, because drawing new ones would take longer than running the network."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

BANK_SIZE = 1 << 22


def stretch(size: int, place: Callable[[int], int]) -> Tensor:
    """Take consecutive numbers of the bank, which is repeated where it is too short.

    Args:
        size: how many numbers.
        place: chooses where they begin: a function from ``most`` to a whole number from 0 to ``most``.

    Returns:
        (size,) standard normal numbers.
    """
    bank = _bank()
    if size >= len(bank):
        bank = bank.repeat(size // len(bank) + 2)
    return bank.narrow(0, place(len(bank) - size), size)


@cache
def _bank() -> Tensor:
    """(BANK_SIZE,) standard normal numbers, the same in every process."""
    return torch.empty(BANK_SIZE).normal_(generator=torch.Generator().manual_seed(0))
