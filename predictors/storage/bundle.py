"""One file a model: a stored zip of ``manifest.json``, safetensors and XGBoost JSON, checked before it is parsed.

The archive's comment is the sha256 of every byte before it, so that no flipped bit reaches a parser; the manifest holds
size and sha256 of each member. Both detect damage; neither is a signature, so ask where a file comes from. Nothing in a
bundle is code: no pickle, no eval, and nothing is decompressed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from predictors import gp
from predictors.boosting import boosted, hybrid
from predictors.core import Core, State
from predictors.errors import PredictorError
from predictors.gp import with_posynomials
from predictors.model import Base, Model
from predictors.schema import Schema
from predictors.storage import checks

FORMAT_VERSION = 1
MAX_FILE_BYTES = 256 * 2**20
MAX_MANIFEST_BYTES = 4 * 2**20
MAX_MEMBERS = 200
MAX_LOG_PREDICTION = 700.0  # beyond, its exponential is no number
MAX_PREDICTION = 1e150
MAX_BASES = 4  # older models under one another
_SEAL_MARK = b"cimpred sha256:"
_SEAL_SIZE = len(_SEAL_MARK) + 64
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal models give equal files
_RESTORE_FUNCTIONS: dict[str, Callable[[Schema, State], Core]] = {
    "gp": gp.restore,
    "hybrid": hybrid.restore,
    "posynomial": with_posynomials.restore,
    "xgboost": boosted.restore,
}
_RECORDED_PACKAGES = ("numpy", "scipy", "xgboost", "xgboost-cpu", "safetensors", "scikit-learn")


def save(model: Model, path: str | os.PathLike[str], *, licence: str = "") -> None:
    """Write a model to one file, whole or not at all.

    Args:
        model: A fitted model.
        path: The file; one that exists is replaced. By custom its name ends in ``.cimpred``.
        licence: Under which terms the data may be reused; kept as text.

    Raises:
        PredictorError: When the model is of a kind that cannot be stored: BoTorch's, or a
            plug-in's.
        OSError: When the file cannot be written.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import predictors
        >>> with TemporaryDirectory() as folder:
        ...     model = predictors.fit([{"width": w} for w in range(8)], list(range(8)), kind="gp")
        ...     predictors.save(model, f"{folder}/latency.cimpred")
        ...     Path(folder, "latency.cimpred").exists()
        True
    """
    members: dict[str, bytes] = {}
    manifest = {
        "format": FORMAT_VERSION,
        "licence": licence,
        "versions": _versions(),
        "model": _describe(model, "", members),
        "members": {
            n: {"size": len(b), "sha256": hashlib.sha256(b).hexdigest()} for n, b in members.items()
        },
    }
    data = _seal(
        _pack({"manifest.json": json.dumps(manifest, indent=1, sort_keys=True).encode()} | members)
    )
    _write(Path(path), data)


def load(path: str | os.PathLike[str], schema: Schema | None = None) -> Model:
    """Read a model from a file that ``save`` wrote. Formats of earlier releases keep opening.

    Args:
        path: The file.
        schema: The space that it must belong to; not compared when None.

    Returns:
        The model.

    Raises:
        PredictorError: When the file is missing, damaged, too large, of a newer format or of
            another space, whose difference is named.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> import predictors
        >>> with TemporaryDirectory() as folder:
        ...     model = predictors.fit([{"width": w} for w in range(8)], list(range(8)), kind="gp")
        ...     predictors.save(model, f"{folder}/latency.cimpred")
        ...     again = predictors.load(f"{folder}/latency.cimpred")
        >>> again.kind
        'gp'
    """
    where = str(path)
    manifest, members = _open(path)
    with _refusing(where):
        _check_description(manifest)
        model = _build(manifest["model"], "", members)
    if schema is not None:
        difference = schema.difference(model.schema)
    else:
        difference = ""
    if difference:
        raise PredictorError(
            where, f"belongs to another space: {difference}", "fit a model for this space"
        )
    return model


def inspect(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what a file says of its model, without building the model.

    Args:
        path: The file.

    Returns:
        The checked manifest: format, licence, versions and members. Under ``model`` it has the
        schema, the kind, why the kind was chosen (``why``), and rows, held-out error and data
        fingerprint (``facts``).

    Raises:
        PredictorError: When the file is missing, damaged, too large or of a newer format.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> import predictors
        >>> with TemporaryDirectory() as folder:
        ...     model = predictors.fit([{"width": w} for w in range(8)], list(range(8)), kind="gp")
        ...     predictors.save(model, f"{folder}/latency.cimpred", licence="MIT")
        ...     manifest = predictors.inspect(f"{folder}/latency.cimpred")
        >>> manifest["licence"], manifest["model"]["kind"]
        ('MIT', 'gp')
    """
    manifest = _open(path)[0]
    with _refusing(str(path)):
        _check_description(manifest)
    return manifest


def _check_description(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest whose words are not of the types that its readers print."""
    model = manifest["model"]
    checks.schema_size(Schema.from_dict(model["schema"]))
    checks.metadata(model["facts"])
    words = [manifest["licence"], model["kind"], model["why"]]
    words += [word for item in manifest["versions"].items() for word in item]
    if not all(isinstance(word, str) for word in words):
        raise TypeError


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Turns whatever a parser raises on content that only a forger can have sealed into a line about the file."""
    try:
        yield
    except PredictorError as error:
        wrong = f"{error.where} {error.wrong}"
        raise PredictorError(where, wrong, "it was not written by predictors.save") from None
    except Exception as error:
        raise PredictorError(
            where, f"is malformed ({type(error).__name__})", "save the model again"
        ) from None


def bundles(directory: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Read the manifest of every ``*.cimpred`` file in a directory.

    Args:
        directory: The directory; folders in it are not searched.

    Returns:
        File name to manifest, as ``inspect`` returns it; for a refused file ``{"error": line}``.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> import predictors
        >>> with TemporaryDirectory() as folder:
        ...     model = predictors.fit([{"width": w} for w in range(8)], list(range(8)), kind="gp")
        ...     predictors.save(model, f"{folder}/latency.cimpred")
        ...     list(predictors.bundles(folder))
        ['latency.cimpred']
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(directory).glob("*.cimpred")):
        try:
            found[path.name] = inspect(path)
        except PredictorError as error:
            found[path.name] = {"error": str(error)}
    return found


def _describe(model: Model, prefix: str, members: dict[str, bytes]) -> dict[str, Any]:
    """Describe a model for the manifest, and put its arrays and boosters into ``members``."""
    from safetensors.numpy import save as pack_arrays

    state = model.core.state()
    if state.arrays:
        arrays = {k: np.ascontiguousarray(v) for k, v in state.arrays.items()}
        members[f"{prefix}arrays.safetensors"] = pack_arrays(arrays)
    members.update({f"{prefix}{name}.json": data for name, data in state.boosters.items()})
    described: dict[str, Any] = {
        "kind": model.kind,
        "schema": model.schema.to_dict(),
        "schema_sha256": model.schema.fingerprint(),
        "numbers": dict(state.numbers),
        "boosters": list(state.boosters),
        "location": model.location,
        "scale": model.scale,
        "widen": model.std_scale,
        "why": model.selection_reason,
        "facts": dict(model.metadata),
    }
    if model.base is not None:
        below = _describe(model.base.model, f"{prefix}base/", members)
        described["base"] = {
            "slope": model.base.slope,
            "intercept": model.base.intercept,
            "model": below,
        }
        if math.isfinite(model.base.fitted_variance):  # not infinite: that is no JSON
            described["base"]["known"] = model.base.fitted_variance
    return described


def _build(described: Mapping[str, Any], prefix: str, members: Mapping[str, bytes]) -> Model:
    """Build a model from its description and its members; inverse of ``_describe``."""
    from safetensors.numpy import load as unpack_arrays

    if prefix.count("base/") > MAX_BASES:
        raise PredictorError(
            "base", f"more than {MAX_BASES} older models", "fit a model without so many"
        )
    schema = Schema.from_dict(described["schema"])
    checks.schema_size(schema)
    if schema.fingerprint() != described["schema_sha256"]:
        raise PredictorError("schema", "does not match its fingerprint", "save the model again")
    packed = members.get(f"{prefix}arrays.safetensors")
    if packed is not None:
        arrays = unpack_arrays(packed)
    else:
        arrays = {}
    boosters = {str(n): members[f"{prefix}{n}.json"] for n in described["boosters"]}
    numbers = {str(k): _finite(v) for k, v in described["numbers"].items()}
    core = _RESTORE_FUNCTIONS[described["kind"]](schema, State(numbers, arrays, boosters))
    below = described.get("base")
    base = None
    if below is not None:
        older = _build(below["model"], f"{prefix}base/", members)
        base = Base(
            older,
            _finite(below["slope"]),
            _finite(below["intercept"]),
            _fitted_variance(below),
        )
    scales = (
        _finite(described["location"]),
        _positive(described["scale"]),
        _positive(described["widen"]),
    )
    model = Model(
        described["kind"],
        schema,
        core,
        *scales,
        base,
        str(described["why"]),
        checks.metadata(described["facts"]),
    )
    _try_out(model)
    return model


def _try_out(model: Model) -> None:
    """A few predictions prove that arrays, trees and schema fit together; better now than in a search."""
    corners = np.stack([np.zeros(len(model.schema.owners)), np.ones(len(model.schema.owners))])
    mean, variance = model.latent_posterior(corners)
    if model.schema.log:
        most = MAX_LOG_PREDICTION
    else:
        most = MAX_PREDICTION
    sound = np.isfinite(mean).all() and np.isfinite(variance).all() and (variance >= 0).all()
    if not sound or (np.abs(mean) > most).any():
        raise PredictorError("model", "predicts no usable numbers", "save the model again")


def _fitted_variance(below: Mapping[str, Any]) -> float:
    """Of an older model; infinite, and then not in the file, where it adds none."""
    value = below.get("known")
    if value is None:
        return math.inf
    number = _finite(value)
    if number < 0:
        raise PredictorError("model", "holds a negative variance", "save the model again")
    return number


def _positive(value: Any) -> float:
    number = _finite(value)
    if number <= 0:
        raise PredictorError("model", "holds a scale that is not positive", "save the model again")
    return number


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise PredictorError("model", "holds a number that is not finite", "save the model again")
    return float(value)


def _pack(members: Mapping[str, bytes]) -> bytes:
    """Write members into an uncompressed zip, with room for the seal at its end."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), data)
        archive.comment = b" " * _SEAL_SIZE
    return buffer.getvalue()


def _seal(archive: bytes) -> bytes:
    """Write the sha256 of all bytes before it into that room."""
    body = archive[:-_SEAL_SIZE]
    return body + _SEAL_MARK + hashlib.sha256(body).hexdigest().encode()


def _write(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it, so that it is whole or not there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _open(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Manifest and members of a file whose seal, sizes and digests all hold."""
    where = str(path)
    data = _read(Path(path))
    body, seal = data[:-_SEAL_SIZE], data[-_SEAL_SIZE:]
    if not seal.startswith(_SEAL_MARK):
        raise PredictorError(
            where, "is not a predictor bundle or is cut short", "copy or save it again"
        )
    if seal[len(_SEAL_MARK) :] != hashlib.sha256(body).hexdigest().encode():
        raise PredictorError(
            where, "is damaged (its sha256 does not match)", "copy or save it again"
        )
    try:
        members = _unpack(data)
        manifest = json.loads(members.pop("manifest.json"))
        listed = manifest["members"]
        whole = listed.keys() == members.keys() and all(
            _matches(listed[n], b) for n, b in members.items()
        )
        number = int(manifest["format"])
    except PredictorError as error:
        raise PredictorError(where, str(error), "save the model again") from None
    except Exception as error:
        raise PredictorError(
            where, f"is malformed ({type(error).__name__})", "save the model again"
        ) from None
    if not 1 <= number <= FORMAT_VERSION:
        raise PredictorError(
            where,
            f"has format {number}, this release reads up to {FORMAT_VERSION}",
            "upgrade predictors",
        )
    if not whole:
        raise PredictorError(where, "members do not match the manifest", "copy or save it again")
    return manifest, members


def _read(path: Path) -> bytes:
    """Read a file that is not too large; raise PredictorError where it cannot be read."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise PredictorError(
                str(path), f"is {size} bytes, the limit is {MAX_FILE_BYTES}", "fit on fewer rows"
            )
        return path.read_bytes()
    except OSError as error:
        raise PredictorError(
            str(path), f"cannot be read ({error.strerror})", "check the path"
        ) from None


def _unpack(data: bytes) -> dict[str, bytes]:
    """Read the members of an archive that are few, small and not compressed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        names = [e.filename for e in entries]
        if len(entries) > MAX_MEMBERS or len(set(names)) != len(names):
            raise PredictorError(
                "archive", "has too many or repeated members", "save the model again"
            )
        for entry in entries:
            if entry.filename == "manifest.json":
                limit = MAX_MANIFEST_BYTES
            else:
                limit = MAX_FILE_BYTES
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > limit:
                raise PredictorError(
                    "archive", f"member {entry.filename!r} is too large", "save the model again"
                )
        return {e.filename: archive.read(e) for e in entries}


def _matches(listed: Mapping[str, Any], data: bytes) -> bool:
    """Tell whether a member has the size and the sha256 that the manifest says."""
    return bool(
        listed["size"] == len(data) and listed["sha256"] == hashlib.sha256(data).hexdigest()
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in _RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
