"""The one error people see."""

from __future__ import annotations

from collections.abc import Sequence

MAX_LISTED = 4


class PredictorError(ValueError):
    """Something the caller can correct. The message is one line: ``where: what is wrong; what to do``.

    Examples:
        >>> import predictors
        >>> try:
        ...     predictors.fit([{"depth": 2}], [1.0])
        ... except predictors.PredictorError as error:
        ...     print(error)
        y: has shape (1,), expected (n,), n >= 2; pass one measurement a row
    """

    def __init__(self, where: str, wrong: str, remedy: str) -> None:
        self.where, self.wrong, self.remedy = where, wrong, remedy
        super().__init__(" ".join(f"{where}: {wrong}; {remedy}".split()))


def shortened(words: Sequence[str]) -> str:
    """List the first few of some words in a message.

    Args:
        words: The words.

    Returns:
        Up to four of them, and how many more there are; empty for none.
    """
    listed = ", ".join(words[:MAX_LISTED])
    if len(words) > MAX_LISTED:
        listed += f" and {len(words) - MAX_LISTED} more"
    return listed
