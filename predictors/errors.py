"""The one error people see."""

from __future__ import annotations


class PredictorError(ValueError):
    """Something the caller can correct. The message is one line: ``where: what is wrong; what to do``."""

    def __init__(self, where: str, wrong: str, remedy: str) -> None:
        self.where, self.wrong, self.remedy = where, wrong, remedy
        super().__init__(" ".join(f"{where}: {wrong}; {remedy}".split()))
