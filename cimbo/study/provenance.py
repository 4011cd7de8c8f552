"""Where the numbers of a study come from: versions, and the fingerprints of what evaluated its designs.

Every evaluation says by which evaluator it was made: by the ``fingerprint()`` that it has (see
`cimbo.evaluation.fingerprint`), or else by its code (see `cimbo.evaluation.function_identity`). The
fingerprints stand once each in the study file; a row refers to one by its identifier. A row that
refers to none was made by the configuration that the study was started with.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from cimbo import hardware
from cimbo._data import __version__
from cimbo.config.study_config import from_definition
from cimbo.errors import BadInput, StudyError
from cimbo.evaluation import accuracy
from cimbo.evaluation.function_identity import fingerprint_of_callable
from cimbo.storage import Record, Store
from cimbo.study.fingerprint_changes import changes, identity
from cimbo.study.stored_values import is_mapping, is_text, mapping_of, read, records

# Name under which a study file keeps the function that evaluated last, as "package:function"
EVALUATOR_NAME = "evaluator"
# Name under which a study file keeps its fingerprints, by identifier; the oldest comes first.
FINGERPRINTS_NAME = "fingerprints"
# Field of a row's ``extra``: the identifier of the fingerprint that it was measured under.
FINGERPRINT_REFERENCE = "fingerprint"
TOLD_PART = "told"  # field of the fingerprint of measurements that were made elsewhere and reported
IDENTIFIER_LENGTH = 12  # hexadecimal digits
# Field of a study's definition: the versions that it was started with
RESULTS_VERSIONS_NAME = "results_versions"
FIRST_RESULTS_VERSION = 1  # version of all results that are older than fingerprints
SHOWN_DIFFERENCES = 3

VERSIONED_PACKAGES = (
    "torch",
    "botorch",
    "numpy",
    "scipy",
    "xgboost-cpu",
    "xgboost",
    "scikit-learn",
)


def results_versions() -> dict[str, int]:
    """Return the versions of what cimbo measures and simulates, by the part of a fingerprint that they stand in."""
    return {"network": accuracy.RESULTS_VERSION, "hardware": hardware.RESULTS_VERSION}


def versions() -> dict[str, str]:
    """Versions of what decides the course of a study; what is not installed is left out."""
    found = {
        "cimbo": __version__
    }  # of the code that runs: what is installed may be older than a clone
    for name in VERSIONED_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def check_definition(definition: Mapping[str, Any]) -> None:
    """Check that what a file says of its origin has the form that `Study.open` writes.

    Args:
        definition: The definition in the study file.

    Raises:
        BadInput: A part has another form; it is named.
    """
    config = definition.get("config") or {}
    _check_kind("seed", definition.get("seed", 0), int)
    _check_kind("versions", definition.get("versions", {}), dict)
    _check_kind(RESULTS_VERSIONS_NAME, definition.get(RESULTS_VERSIONS_NAME, {}), dict)
    _check_kind("config", config, dict)
    _check_kind("config.data", config.get("data") or {}, dict)


def _check_kind(name: str, value: object, kind: type) -> None:
    """Raises BadInput for a part of a definition that is of another type."""
    if not isinstance(value, kind):
        raise BadInput(name, f"is {value!r:.40}, damaged", "restore the file from a copy")


@runtime_checkable
class Fingerprinted(Protocol):
    """An evaluator that can say what decides its numbers.

    ``fingerprint()`` returns that as JSON, equal for two evaluators that measure the same of a
    design. The name ``told`` is taken at its top level.
    """

    def fingerprint(self) -> dict[str, Any]:
        """Return what the measurements depend on besides the design."""
        ...


def identifier(fingerprint: Mapping[str, Any]) -> str:
    """Return a short name of ``fingerprint``, the same for equal ones.

    Args:
        fingerprint: JSON; the order of its names does not matter.

    Returns:
        `IDENTIFIER_LENGTH` hexadecimal digits of its SHA-256.
    """
    text = json.dumps(identity(fingerprint), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:IDENTIFIER_LENGTH]


def admit(store: Store, evaluator: object, *, accept_changed: bool = False) -> str:
    """Let ``evaluator`` add to the study in ``store``, if it measures what the study's rows measure.

    Args:
        store: The study file. A new fingerprint that is admitted is kept there.
        evaluator: What is going to evaluate.
        accept_changed: Admit another fingerprint too: its rows then share front and surrogates with the others.

    Returns:
        The identifier to record with each evaluation.

    Raises:
        StudyError: For another fingerprint, naming what differs.
    """
    fingerprint = _fingerprint(evaluator)
    name = identifier(fingerprint)
    if name in _stored(store):
        return name

    def add(known: dict[str, Any] | None) -> dict[str, Any]:
        """Add the new fingerprint to those of the file, or raise StudyError where it may not be added."""
        known = known or _of_the_first_rows(store)
        if not accept_changed:
            _refuse_unknown(store, known, fingerprint)
        return {**known, name: fingerprint}

    store.update_meta(FINGERPRINTS_NAME, add)
    return name


def admit_told(store: Store, source: str | None, *, accept_changed: bool = False) -> str:
    """Let somebody tell the study in ``store`` what was measured elsewhere.

    Args:
        store: The study file.
        source: What measured, in the user's words, such as ``nvsim 3.2, corner tt``; None for what was told of last.
        accept_changed: Admit another source than the study was told of before.

    Returns:
        The identifier to record with each evaluation.

    Raises:
        StudyError: For another source than before.
    """
    known = _stored(store)
    before = [told for told in known.values() if TOLD_PART in told]
    if source is None:
        source = before[-1][TOLD_PART]["source"] if before else ""
    fingerprint = {TOLD_PART: {"source": source}}
    name = identifier(fingerprint)
    if name in known:
        return name
    if before and not accept_changed:
        raise _refusal(store.path, before[-1], fingerprint)

    def add(known: dict[str, Any] | None) -> dict[str, Any]:
        """Add the new fingerprint to those of the file."""
        first = {}
        if store.count():
            # The file has rows without a reference. They belong to the fingerprint that comes first.
            first = _of_the_first_rows(store)
        return {**(known or first), name: fingerprint}

    store.update_meta(FINGERPRINTS_NAME, add)
    return name


def told_sources(store: Store) -> list[str]:
    """Return what measured the evaluations that were told from outside.

    Args:
        store: The study file.

    Returns:
        A source for each fingerprint of that kind, in the words of who told; "not said" where they
        gave none.

    Raises:
        BadInput: The fingerprints in the file are damaged.
    """
    found = []
    for fingerprint in _stored(store).values():
        told = fingerprint.get(TOLD_PART)
        if told is not None:
            found.append(str(told.get("source")) or "not said")
    return found


def _of_evaluators(known: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The fingerprints of ``known`` that are an evaluator's; what is told from outside goes beside any."""
    found = []
    for fingerprint in known.values():
        if TOLD_PART not in fingerprint:
            found.append(fingerprint)
    return found


def refuse_changed(store: Store, evaluator: object) -> None:
    """Refuse what `admit` would refuse; nothing is written.

    Args:
        store: The study file.
        evaluator: What would evaluate.

    Raises:
        StudyError: Its fingerprint is another one than those of the study; it names what differs.
    """
    _refuse_unknown(store, fingerprints(store), _fingerprint(evaluator))


def _refuse_unknown(
    store: Store, known: Mapping[str, dict[str, Any]], fingerprint: Mapping[str, Any]
) -> None:
    """Raises StudyError where other evaluators than that of ``fingerprint`` measured something.

    One by which every evaluation failed binds nobody: most likely it was corrected since.
    """
    if identifier(fingerprint) in known:
        return
    before = _that_measured(store, known)
    if not _of_evaluators(known):
        before = _of_an_older_release(store, fingerprint)
    if before and changes(before[-1], fingerprint):
        raise _refusal(store.path, before[-1], fingerprint)


def _that_measured(store: Store, known: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The fingerprints of ``known`` that are an evaluator's and by which an evaluation succeeded."""
    first = None
    if "config" in store.definition:  # else rows without a reference were told by a program
        first = next(iter(known), None)
    used = set()
    for record in records(store):
        if record.status == "done":
            used.add(record.extra.get(FINGERPRINT_REFERENCE, first))
    found = []
    for name, fingerprint in known.items():
        if name in used and TOLD_PART not in fingerprint:
            found.append(fingerprint)
    return found


def _of_an_older_release(store: Store, fingerprint: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The function that evaluated, where only its name was kept and it is not that of ``fingerprint``; else nothing."""
    name = read(store, EVALUATOR_NAME, is_text)
    if name is None or not store.count():
        return []
    if fingerprint.get("evaluator", {}).get("python") == name:
        return []
    return [{"evaluator": {"python": name}}]


def _fingerprint(evaluator: object) -> dict[str, Any]:
    """As it will be read back from the file."""
    if isinstance(evaluator, Fingerprinted):
        said = evaluator.fingerprint()
    else:
        said = fingerprint_of_callable(evaluator)
    found: dict[str, Any] = json.loads(json.dumps(said))
    return found


def fingerprints(store: Store) -> dict[str, dict[str, Any]]:
    """Return every fingerprint of the study by its identifier.

    Args:
        store: The study file.

    Returns:
        The fingerprints; the first one is that of the rows which refer to none. Empty where nothing
        is known.

    Raises:
        BadInput: The fingerprints in the file are damaged.
    """
    return _stored(store) or _of_the_first_rows(store)


def _stored(store: Store) -> dict[str, dict[str, Any]]:
    return read(store, FINGERPRINTS_NAME, mapping_of(is_mapping)) or {}


def reference(record: Record, known: Mapping[str, Any]) -> str | None:
    """Return the identifier of what evaluated ``record``.

    Args:
        record: An evaluation of the study.
        known: What `fingerprints` returned for it.

    Returns:
        The identifier that the record refers to; the first one of ``known`` where it refers to
        none; None where ``known`` is empty too.
    """
    first = next(iter(known), None)
    found = record.extra.get(FINGERPRINT_REFERENCE)
    if isinstance(found, str):
        return found
    return first


def measured_alike(store: Store, rows: Sequence[Record], evaluator: object) -> list[Record]:
    """Return the evaluations of a study that an evaluator would give again.

    Args:
        store: The study file.
        rows: Evaluations of it.
        evaluator: What would evaluate.

    Returns:
        Those of ``rows`` that were measured under the evaluator's fingerprint, or told from outside.
    """
    known, fingerprint = fingerprints(store), _fingerprint(evaluator)
    would_differ = set()
    for name, before in known.items():
        if TOLD_PART not in before and changes(before, fingerprint):
            would_differ.add(name)
    return [row for row in rows if reference(row, known) not in would_differ]


def _of_the_first_rows(store: Store) -> dict[str, Any]:
    """By its identifier, the fingerprint of the configuration that the study was started with; empty without one."""
    try:
        configured = from_definition(store.path, store.definition).evaluator().fingerprint()
    # The study was made in Python, or needs a plug-in that is not installed any more
    except BadInput:
        return {}
    if store.count():
        _set_results_versions(configured, store.definition.get(RESULTS_VERSIONS_NAME, {}))
    return {identifier(configured): configured}


def _set_results_versions(fingerprint: Mapping[str, Any], known: Mapping[str, int]) -> None:
    """Let a fingerprint say the versions that a study was started with, in place of today's."""
    for name, part in fingerprint.items():
        if isinstance(part.get("results_version"), int):
            part["results_version"] = known.get(name, FIRST_RESULTS_VERSION)


def _refusal(path: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> StudyError:
    found = changes(before, now)
    told = found[:SHOWN_DIFFERENCES]
    if len(found) > len(told):
        told.append(f"{len(found) - len(told)} more")
    what = f"was evaluated by something else: {'; '.join(told)}"
    todo = (
        "name another study (--study), or mix the two with --accept-changed (accept_changed=True)"
    )
    return StudyError(path, what, todo)
