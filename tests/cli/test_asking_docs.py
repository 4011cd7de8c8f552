"""The driver of SLURM and the Makefile of docs/ask-and-tell.md, run as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cimbo import Study

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "ask-and-tell.md"
FILE_BLOCK = re.compile(r"^```\w+\n# file: (\S+)\n(.*?)^```", re.DOTALL | re.MULTILINE)

#: Stands for SLURM: runs every task of the array as a process. The second task of the first array dies.
SBATCH = """#!/bin/sh
last=${2#--array=0-}
for i in $(seq 0 $last); do
    if [ $i = 1 ] && [ ! -e died ]; then touch died; continue; fi
    SLURM_JOB_ID=1 SLURM_ARRAY_TASK_ID=$i bash "$3" &
done
wait
"""


@pytest.fixture
def desk(tmp_path):
    """A folder with the files of the document, and programs called cimbo, python and sbatch."""
    for name, text in FILE_BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(text)
    programs = {
        "cimbo": f'#!/bin/sh\nexec "{sys.executable}" -m cimbo "$@"\n',
        "python": f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
        "sbatch": SBATCH,
    }
    (tmp_path / "bin").mkdir()
    for name, text in programs.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def shell(folder, *words, **variables):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_array_of_slurm(desk):
    shell(desk, "cimbo", "init", "study.toml", "--preset", "fmnist-vit")
    said = shell(desk, "bash", "drive.sh", STUDY="slurm.db", BUDGET="6")
    assert "latency_ms" in said
    with Study.open(desk / "slurm.db", readonly=True) as study:
        assert len(study.evaluations()) == 6
        assert not study.running()
    assert (desk / "died").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_the_makefile(desk):
    shell(desk, "cimbo", "init", "study.toml", "--preset", "fmnist-vit")
    for _ in range(2):
        shell(desk, "make", "-j2", "wave")
    with Study.open(desk / "made.db", readonly=True) as study:
        assert len(study.evaluations()) == 8
        assert all(r.status == "done" for r in study.evaluations())
