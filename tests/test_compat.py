"""Each private part of another package that cimbo leans on, so that a new release of it that changes one fails here."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cimbo import compat


def test_functions_of_a_script_travel_with_their_code():
    factor = 3
    sent = compat.dump_with_code(lambda x: x * factor)
    assert compat.load_with_code(sent)(14) == 42


def report(pipe: object) -> None:
    pipe.send((os.getppid(), os.environ["CIMBO_TEST"], sys.argv[0]))  # type: ignore[attr-defined]


def test_a_process_starts_afresh_with_its_pipe_and_environment():
    ours, theirs = compat.make_pipe()
    process = compat.make_process(report, (theirs,), {"CIMBO_TEST": "told"})
    process.start()
    theirs.close()
    assert ours.poll(60)
    assert ours.recv()[:2] == (os.getpid(), "told")
    process.join(10)
    assert process.exitcode == 0


def test_a_daemon_may_have_children_while_it_is_allowed():
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    config["daemon"] = True
    try:
        with compat.children_allowed():
            assert not multiprocessing.current_process().daemon
        assert multiprocessing.current_process().daemon
    finally:
        del config["daemon"]


ADOPTS = """
import os, subprocess, sys, time
from cimbo import compat
assert compat.adopt_orphans()
# A shell that leaves a child behind: it becomes ours.
pid = int(subprocess.check_output(["sh", "-c", "sleep 60 > /dev/null & echo $!"]))
print(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1] == str(os.getpid()))
os.kill(pid, 9)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")
def test_orphans_are_adopted():
    done = subprocess.run([sys.executable, "-c", ADOPTS], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


def test_botorch_does_not_compile():
    logei = pytest.importorskip("botorch.acquisition.multi_objective.logei")
    compat.disable_compiled_kernels(logei)
    logei._try_load_fused_kernel()
    assert logei._C is None
    with pytest.raises(AttributeError, match="no longer says"):
        compat.disable_compiled_kernels(ModuleType("another"))
