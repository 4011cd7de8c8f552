"""A log of how many images of each batch were classified rightly, so that an interrupted evaluation can go on.

The file only grows, by one line for each batch; several processes may write to it. A line that a crash left incomplete is
ignored.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

from cimbo.errors import BadInput

# Quantile of the standard normal distribution, for two-sided 95 % intervals
NORMAL_QUANTILE_975 = 1.959963984540054


@dataclass(frozen=True)
class Tally:
    """The log in the file ``path``, which several evaluations may share."""

    path: Path

    def known(self, key: str) -> dict[int, tuple[int, int]]:
        """Read the batches of an evaluation that are in the file already.

        Args:
            key: Identifies the evaluation.

        Returns:
            Number of a batch's first image -> (right answers, images). If a batch was logged more
            than once, the last entry counts.

        Raises:
            BadInput: Where the file cannot be read.
        """
        batches: dict[int, tuple[int, int]] = {}
        for line in self._lines():
            try:
                entry = json.loads(line)
                if entry["key"] == key:
                    batches[int(entry["start"])] = (int(entry["right"]), int(entry["count"]))
            except (ValueError, KeyError, TypeError):
                continue  # torn by a crash; that batch is measured again
        return batches

    def _lines(self) -> list[bytes]:
        """The lines of the file; none where there is no file. Raises BadInput where it cannot be read."""
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BadInput(
                self.path,
                f"cannot be read ({error.strerror})",
                "name another cache in the options",
            ) from None

    def add(self, key: str, start: int, right: int, count: int) -> None:
        """Write one more batch in a single append, which other writers cannot interleave with.

        Args:
            key: Identifies the evaluation.
            start: Number of the batch's first image.
            right: Right answers in it.
            count: Images in it.

        Raises:
            BadInput: Where the file cannot be written.
        """
        line = json.dumps({"key": key, "start": start, "right": right, "count": count})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, f"\n{line}\n".encode())  # a line of its own even after a torn one
            finally:
                os.close(handle)
        except OSError as error:
            raise BadInput(
                self.path,
                f"cannot be written ({error.strerror})",
                "name another cache in the options",
            ) from None


def wilson(right: float, count: int, z: float = NORMAL_QUANTILE_975) -> tuple[float, float]:
    """Compute Wilson's score interval of a fraction of right answers (Wilson 1927).

    With p = right / n the ends are (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n).

    Args:
        right: Right answers; need not be whole.
        count: All answers.
        z: Half-width in standard deviations of the normal distribution; 95 % two-sided by default.

    Returns:
        Lower and upper end in percent, within 0 and 100.
    """
    p, w = right / count, z * z / count
    centre, half = p + w / 2, z * math.sqrt(p * (1 - p) / count + w / count / 4)
    return 100 * max(centre - half, 0.0) / (1 + w), 100 * min((centre + half) / (1 + w), 1.0)
