"""A short slice of the fuzzer, and whether it sees what it is there to see."""

import os
import signal
import time
from pathlib import Path

import fuzz
import fuzz_doors
import pytest
from fuzz_python import FuzzInput

from cimbo.cli import run

N_INPUTS = 360  # some 20 s


def test_no_mutated_input_is_answered_by_anything_but_a_line():
    found = fuzz.fuzz(N_INPUTS, seed=7)
    assert sum(each.inputs for each in found.values()) == N_INPUTS
    assert [line for each in found.values() for line in each.wrong] == []
    refused = sum(each.codes.get("2", 0) for each in found.values())
    assert 0.3 * N_INPUTS < refused < 0.95 * N_INPUTS  # neither all nonsense nor all harmless


@pytest.mark.parametrize("door", fuzz_doors.FUZZ_DOORS)
def test_an_input_is_decided_by_seed_door_and_number(door: str):
    one, same, other = (fuzz.make_input(door, number, 3) for number in (4, 4, 5))
    assert (one.files, one.arguments, repr(one.values)[:99]) == (
        same.files,
        same.arguments,
        repr(same.values)[:99],
    )
    assert (one.files, one.arguments, repr(one.values)) != (
        other.files,
        other.arguments,
        repr(other.values),
    )


def _crash(_: FuzzInput) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stray(_: FuzzInput) -> None:
    Path("../../outside").write_text("x")


def _spin(_: FuzzInput) -> None:
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass


def _fill(_: FuzzInput) -> None:
    assert len(b"x" * (300 << 20)) > 1


def _raise(_: FuzzInput) -> None:
    raise KeyError("x")


def _order_the_terminal(_: FuzzInput) -> None:
    print("\x1b[2J")


VICES = {
    "crashed": _crash,
    "wrote": _stray,
    "took 0.": _spin,
    " MB": _fill,
    "ended with KeyError": _raise,
    "printed '\\x1b'": _order_the_terminal,
}


@pytest.mark.parametrize("told", VICES)
def test_the_fuzzer_sees(told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(fuzz.PYTHON_READERS, "python-vice", VICES[told])
    monkeypatch.setitem(fuzz.FUZZ_DOORS, "vice", lambda dice: FuzzInput({}, ["python-vice"]))
    monkeypatch.setattr(fuzz, "LONGEST_S", 0.25)
    monkeypatch.setattr(fuzz, "MOST_MEMORY", 250 << 20)
    found = fuzz.fuzz(2, doors=["vice"], into=tmp_path)["vice"]
    assert len(found.wrong) == 2
    assert all(told in line for line in found.wrong)
    assert len(list(tmp_path.glob("vice-*/verdict.json"))) == 2
    assert run(["presets"]) == 0  # this process is as it was
