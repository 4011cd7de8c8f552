"""What is set up anew, or wrongly, does not become results: a changed evaluator, and weights that are no network's."""

from __future__ import annotations

import contextlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from malformed import answer
from safetensors.numpy import save_file

from cimbo import Study

ASKED = ["optimize", "--jobs", "1", "--bit-accurate-images", "0"]


@dataclass(frozen=True)
class ChangedEvaluator:
    """A study that was started at one node and goes on at another.

    Attributes:
        refused: Exit code of the command with the other node.
        said: The last line that it said.
        kept: Evaluations in the study after it.
        mixed: Evaluations after the same command with ``--accept-changed``.
    """

    refused: int | str
    said: str
    kept: int
    mixed: int


@dataclass(frozen=True)
class WrongCheckpoint:
    """A search on weights that are of no network.

    Attributes:
        refused: Exit code.
        said: The last line that was said.
        left: Files that the command left behind.
    """

    refused: int | str
    said: str
    left: list[str]


def changed_evaluator_drill() -> ChangedEvaluator:
    """Searches at 22 nm, then at 65 nm in the same study, then says that both may be mixed."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        answer(["init", "plain.toml", "--preset", "vit-b-imagenet"])
        first, second = (_at_node(Path("plain.toml").read_text(), nm) for nm in (22, 65))
        answer([*ASKED, "--config", first, "--budget", "2", "--study", "s.db"])
        later = [*ASKED, "--config", second, "--budget", "3", "--study", "s.db"]
        found, kept = answer(later), _evaluations()
        answer([*later, "--accept-changed"])
        return ChangedEvaluator(found.code, _last_line(found.said), kept, _evaluations())


def wrong_checkpoint_drill() -> WrongCheckpoint:
    """Searches ViT-B on weights that hold one tensor of another name."""
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        save_file({"nothing": np.zeros((2, 2), np.float32)}, "wrong.safetensors")
        Path("data").mkdir()
        np.save("data/images.npy", np.zeros((4, 256, 256, 3), np.uint8))
        np.save("data/labels.npy", np.arange(4))
        before = set(Path().iterdir())
        given = ["--weights", "wrong.safetensors", "--data", "data", "--images", "2"]
        found = answer([*ASKED, "--preset", "vit-b-imagenet", *given, "--budget", "2"])
        left = sorted(str(path) for path in set(Path().iterdir()) - before)
        return WrongCheckpoint(found.code, _last_line(found.said), left)


def _at_node(text: str, node_nm: int) -> str:
    """A description like ``text`` of chips at another node; returns the file's name."""
    fixed = f"[hardware]\nfixed = {{ node_nm = {node_nm} }}"
    file = f"at-{node_nm}.toml"
    Path(file).write_text(re.sub(r"(?m)^\[hardware\]$", fixed, text, count=1))
    return file


def _evaluations() -> int:
    with Study.open("s.db", readonly=True) as study:
        return len(study.evaluations())


def _last_line(said: str) -> str:
    """The last line of ``said``, files by their names in the current folder."""
    lines = said.strip().splitlines()
    return lines[-1].replace(f"{Path.cwd()}/", "") if lines else ""
