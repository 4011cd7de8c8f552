"""Commands that look at a study and change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from cimbo.cli.options import existing, study_option
from cimbo.cli.output import emit, format_option, genes
from cimbo.cli.what_if import narrowed, what_if_options
from cimbo.config.study_config import from_definition
from cimbo.errors import BadInput
from cimbo.storage import Record
from cimbo.study.study import Study


def metrics(study: Study, record: Record) -> dict[str, float]:
    """What was measured, with what was measured of the front afterwards: on test images, and in the arrays' exact form."""
    after = {
        "accuracy_test": study.test_accuracies(),
        "exact_form_points": {k: v["points"] for k, v in study.bit_accurate_differences().items()},
    }
    return record.metrics | {
        name: known[record.key] for name, known in after.items() if record.key in known
    }


def sides(study: Study, record: Record) -> dict[str, dict[str, Any]]:
    """A record's genes, split into architecture and hardware."""
    first = {c.name for c in study.problem.space.architecture}
    return {
        "architecture": {k: v for k, v in record.params.items() if k in first},
        "hardware": {k: v for k, v in record.params.items() if k not in first},
    }


def accuracy_provenance(study: Study) -> dict[str, Any]:
    """What the study's accuracies are worth, where they are anything else than measured; else empty."""
    definition = study.metadata
    if "config" not in definition:
        return {}
    found = from_definition(study.path, definition).accuracy_provenance()
    return found if found["kind"] != "measured" else {}


def labelled(about: Mapping[str, Any], origin: str) -> dict[str, str]:
    """The column that tells a modelled accuracy from one that was measured elsewhere and imported."""
    if "error_points" not in about:
        return {}
    return {
        "accuracy_is": "imported"
        if origin == "imported"
        else f"{about['kind']} ± {about['error_points']:g}"
    }


def front_rows(study: Study) -> list[dict[str, Any]]:
    """The front, a line a design."""
    about = accuracy_provenance(study)
    return [
        {"key": r.key}
        | metrics(study, r)
        | labelled(about, r.origin)
        | {side: genes(g) for side, g in sides(study, r).items()}
        for r in study.pareto()
    ]


def front_document(study: Study) -> dict[str, Any]:
    """The front as the JSON of ``optimize`` and ``pareto``; a modelled accuracy says so, with its error and range."""
    about = accuracy_provenance(study)
    front = [
        {"key": r.key, **sides(study, r), "metrics": metrics(study, r)} | labelled(about, r.origin)
        for r in study.pareto()
    ]
    counts = {
        "evaluations": len(study.evaluations()),
        "accuracies_measured": study.accuracies_measured(),
    }
    document = counts | {"hypervolume": study.hypervolume(), "pareto": front}
    return document | ({"accuracy": about} if about else {})


@click.command()
@what_if_options
@study_option
@format_option
def pareto(file: str, style: str, fixes: tuple[str, ...], limits: tuple[str, ...]) -> None:
    """The verified, feasible, non-dominated designs; with --fix and --limit those of a what-if question."""
    with existing(file) as whole:
        study = narrowed(whole, fixes, limits)
        emit(style, front_rows(study), front_document(study))


@click.command()
@click.argument("key")
@click.option(
    "--exact",
    is_flag=True,
    help="Measure its accuracy with the arrays' errors in exact form; takes minutes.",
)
@study_option
@format_option
def show(key: str, exact: bool, file: str, style: str) -> None:
    """One evaluated design; KEY may be shortened."""
    with existing(file) as study:
        r = find(study, key)
        front = any(r.key == p.key for p in study.pareto())
        about = {
            "key": r.key,
            "number": r.number,
            "status": r.status,
            "origin": r.origin,
            "on_front": front,
            "seconds": r.seconds,
        }
        about |= {"reason": r.reason} if r.reason else {}
        about |= labelled(accuracy_provenance(study), r.origin)
        if exact:
            evaluator = from_definition(file, study.metadata).evaluator()
            about |= {"accuracy_exact": evaluator.on_exact_arrays(r.params)}
        document = (
            about
            | sides(study, r)
            | {"metrics": metrics(study, r), "predicted": r.extra.get("predicted", {})}
        )
        flat = (
            about
            | {name: v for side in sides(study, r).values() for name, v in side.items()}
            | metrics(study, r)
        )
        emit(
            style,
            [{"what": k, "value": v} for k, v in flat.items()] if style == "table" else [flat],
            document,
        )


def find(study: Study, key: str) -> Record:
    """The last record whose key starts with ``key``. Raises BadInput for none or several."""
    found = {r.key: r for r in study.evaluations() if r.key.startswith(key)}
    if len(found) != 1:
        what = (
            "no evaluation has this key"
            if not found
            else f"{len(found)} evaluations have keys that start so"
        )
        raise BadInput(f"KEY {key}", what, "cimbo pareto lists keys")
    return next(iter(found.values()))


@click.command()
@study_option
@format_option
def status(file: str, style: str) -> None:
    """How far a study is, and what it is about."""
    with existing(file) as study:
        records = study.evaluations()
        space = study.problem.space
        document = {
            "study": file,
            "preset": (study.metadata.get("config") or {}).get("name"),
            "seed": study.seed,
            "genes": len(space.choices),
            "designs": space.size,
            "evaluations": len(records),
            "accuracies_measured": study.accuracies_measured(),
            "failed": sum(r.status == "failed" for r in records),
            "feasible": len(study.feasible_evaluations()),
            "running": len(study.running()),
            "front": len(study.pareto()),
            "hypervolume": study.hypervolume(),
            "evaluation_seconds": sum(r.seconds for r in records),
            "constraints": [
                f"{c.metric} {c.relation} {c.bound:g}" for c in study.problem.constraints
            ],
            "versions": study.metadata.get("versions", {}),
        }
        about = accuracy_provenance(study)
        document |= {"accuracy": about["label"]} if about else {}
        recorded = study.metadata.get("recorded")
        document |= {"recorded": recorded} if recorded else {}
        emit(
            style,
            [{"what": k, "value": v} for k, v in document.items()]
            if style == "table"
            else [document],
            document,
        )
