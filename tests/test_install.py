"""Wheel and source distribution are built and installed alone, away from the clone; the other ways in name what exists."""

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import cimbo

ROOT = Path(__file__).resolve().parent.parent
BUILD = "import sys, hatchling.build as b; print(b.build_{}(sys.argv[1]))"


def python(*words, cwd, path=None):
    environment = {**os.environ, "PYTHONPATH": str(path or "")}
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_each_distribution_runs_the_demo_without_the_clone(kind, tmp_path):
    pytest.importorskip("hatchling")
    built = python("-c", BUILD.format(kind), tmp_path, cwd=ROOT).split()[-1]
    source = tmp_path / built
    if kind == "sdist":  # what is unpacked builds the wheel
        with tarfile.open(source) as archive:
            archive.extractall(tmp_path, filter="data")
        folder = tmp_path / built.removesuffix(".tar.gz")
        source = tmp_path / python("-c", BUILD.format("wheel"), tmp_path, cwd=folder).split()[-1]
    place = tmp_path / "place"
    install = ("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", place, source)
    python(*install, cwd=tmp_path)
    told = python("-m", "cimbo", "demo", "--format", "json", cwd=tmp_path, path=place)
    assert json.loads(told)["evaluations"] == 200
    where = python("-c", "import cimbo; print(cimbo.__file__)", cwd=tmp_path, path=place)
    assert where.startswith(str(place))


def test_image_and_environment_install_what_the_readme_installs():
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "-c /source/constraints.txt /source" in image
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert "- -c constraints.txt\n      - .\n" in environment
    assert re.fullmatch(r"\d+\.\d+\.\d+", cimbo.__version__)
