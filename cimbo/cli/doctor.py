"""``cimbo doctor``: what is installed, what a search would take, and whether a plug-in keeps its promises."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from cimbo.cli.options import json_object, positive, simulator_options_option
from cimbo.cli.output import emit, format_option, say
from cimbo.config.study_config import DEFAULT_PRESET, Config, load, preset
from cimbo.testing import Finding
from cimbo.testing.finding import guarded, judged, passed

#: extra -> (the module it brings, what it is for)
EXTRAS = {
    "parquet": ("pyarrow", "Parquet files and Study.frame"),
    "plot": ("matplotlib", "cimbo plot"),
    "onnx": ("onnx", "ONNX files in and out"),
    "optuna": ("optuna", "Optuna studies in and out"),
    "peers": ("pymoo", "other search methods in cimbo compare"),
    "imagenet": ("PIL", "ImageNet images for a checkpoint"),
    "zigzag": ("zigzag", "the simulator ZigZag"),
    "accelforge": ("accelforge", "the simulator AccelForge"),
    "dask": ("distributed", "workers on a Dask cluster"),
    "ray": ("ray", "workers on a Ray cluster"),
    "slurm": ("submitit", "workers on a Slurm cluster"),
}
_CORE = ("cimbo", "torch", "botorch", "gpytorch", "numpy", "scipy", "scikit-learn", "safetensors")
_PYTHON = (3, 11)
_MANY_H = 24.0
_SAID = {
    "PASS": "checks passed",
    "SKIP": "optional extras not installed",
    "WARN": "worth knowing",
    "FAIL": "failed",
}


@click.command()
@click.argument("name", required=False)
@click.option(
    "--preset", "preset_name", default=None, help=f"A shipped study [default: {DEFAULT_PRESET}]."
)
@click.option("--config", type=click.Path(path_type=Path), default=None, help="A study.toml.")
@click.option(
    "--budget",
    type=int,
    default=200,
    show_default=True,
    help="Evaluations to estimate the time of.",
)
@click.option(
    "--jobs", type=int, default=None, help="Evaluations at a time [default: one a core, at most 8]."
)
@simulator_options_option
@format_option
def doctor(*, name: str | None, simulator_options: str, style: str, **asked: Any) -> int:
    """What is installed, how large the space is, how long a search takes; with NAME, whether a plug-in conforms.

    NAME is a network, a simulator, a source of accuracy or a surrogate, shipped or installed. The exit code is 1 where a
    check fails.
    """
    if name is not None:
        findings = _plugin(name, json_object("--simulator-options", simulator_options))
    else:
        findings = [*_installed(), *_study(**asked)]
    rows = [
        {"check": f.check, "verdict": f.verdict, "found": f.detail, "next": f.todo}
        for f in findings
    ]
    emit(style, rows, rows)
    counted = Counter(f.verdict for f in findings)
    say(
        ", ".join(
            f"{counted[verdict]} {said}" for verdict, said in _SAID.items() if counted[verdict]
        )
    )
    return 1 if counted["FAIL"] else 0


def _plugin(name: str, options: dict[str, Any]) -> list[Finding]:
    from cimbo.testing.kits import kits

    return [
        Finding(f"{kind}: {f.check}", f.verdict, f.detail, f.todo)
        for kind, kit in kits(name, options).items()
        for f in kit()
    ]


def _installed() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield judged("Python", sys.version_info >= _PYTHON, version, "use Python 3.11 or newer")
    for name in _CORE:
        yield _package(name)
    boosted = any(_version(name) for name in ("xgboost", "xgboost-cpu"))
    yield judged(
        "xgboost",
        boosted,
        _version("xgboost") or _version("xgboost-cpu") or "",
        "pip install cimbo again",
    )
    for extra, (module, purpose) in EXTRAS.items():
        yield _extra(extra, module, purpose)
    yield passed("cores", str(os.cpu_count() or 1))


def _package(name: str) -> Finding:
    version = _version(name)
    return judged(name, version is not None, version or "is missing", "pip install cimbo again")


def _extra(extra: str, module: str, purpose: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        return Finding(
            f"extra {extra}",
            "SKIP",
            f"not installed: {purpose}",
            f"if you need it: pip install 'cimbo[{extra}]'",
        )
    return passed(f"extra {extra}", purpose)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _study(
    *, preset_name: str | None, config: Path | None, budget: int, jobs: int | None
) -> Iterator[Finding]:
    positive("--budget", budget)
    jobs = positive("--jobs", jobs) if jobs is not None else min(os.cpu_count() or 1, 8)
    about = load(config) if config else preset(preset_name or DEFAULT_PRESET)
    space = about.problem.space
    yield passed("study", about.title)
    size = f"{len(space.architecture)} + {len(space.hardware)} genes, {Decimal(space.size):.2g} designs"
    yield passed("space", size)
    yield from guarded("evaluation", lambda: _timed(about, budget, jobs))


def _timed(about: Config, budget: int, jobs: int) -> Iterator[Finding]:
    """Two real evaluations of mid-sized designs; the first also loads weights and images, so the second counts."""
    evaluator, designs = about.evaluator(), about.problem.space.sobol(2, 0)
    evaluator.check()
    evaluator(designs[0])
    start = time.perf_counter()
    metrics = evaluator(designs[1])
    seconds = time.perf_counter() - start
    measured = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    yield passed("one evaluation", measured)
    hours = seconds * budget / jobs / 3600
    spoken = f"{hours:.1f} h" if hours >= 2 else f"{60 * hours:.0f} min"
    total = f"{seconds:.2g} s an evaluation; {budget} of them, {jobs} at a time: about {spoken} and cimbo's own overhead"
    if hours > _MANY_H:
        yield Finding("time", "WARN", total, "lower --budget, or add workers")
    else:
        yield passed("time", total)
