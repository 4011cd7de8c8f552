"""One file a model: a stored zip of ``manifest.json``, safetensors and XGBoost JSON, checked before it is parsed.

The archive's comment is the sha256 of every byte before it, so that no flipped bit reaches a parser; the manifest holds
size and sha256 of each member. Both detect damage; neither is a signature, so ask where a file comes from. Nothing in a
bundle is code: no pickle, no eval, and nothing is decompressed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from predictors.errors import PredictorError
from predictors.model import Model
from predictors.schema import Schema
from predictors.storage import checks
from predictors.storage.description import SAVE_AGAIN, build, describe

FORMAT_VERSION = 1
MAX_FILE_BYTES = 256 * 2**20
MAX_MANIFEST_BYTES = 4 * 2**20
MAX_MEMBERS = 200
_MANIFEST_NAME = "manifest.json"
_COPY_AGAIN = "copy or save it again"
_SEAL_MARK = b"cimpred sha256:"
_SEAL_SIZE = len(_SEAL_MARK) + 64
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal models give equal files
_RECORDED_PACKAGES = ("numpy", "scipy", "xgboost", "xgboost-cpu", "safetensors", "scikit-learn")


def save(model: Model, path: str | os.PathLike[str], *, licence: str = "") -> None:
    """Write a model to one file, whole or not at all.

    Args:
        model: A fitted model.
        path: The file; one that exists is replaced. By custom its name ends in ``.cimpred``.
        licence: Under which terms the data may be reused; kept as text.

    Raises:
        PredictorError: When the model is of a kind that cannot be stored: BoTorch's, or a
            plug-in's; when there is no such folder.
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
    description = describe(model, members)  # which also fills the members
    manifest = {
        "format": FORMAT_VERSION,
        "licence": licence,
        "versions": _versions(),
        "model": description,
        "members": _listing(members),
    }
    manifest_bytes = json.dumps(manifest, indent=1, sort_keys=True).encode()
    archive = _pack({_MANIFEST_NAME: manifest_bytes} | members)
    _write(Path(path), _seal(archive))


def _listing(members: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What the manifest says of members: the size and the sha256 of each."""
    listed: dict[str, dict[str, Any]] = {}
    for name, data in members.items():
        listed[name] = {"size": len(data), "sha256": _sha256(data)}
    return listed


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


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
        model = build(manifest["model"], members)
    if schema is not None:
        difference = schema.difference(model.schema)
        if difference:
            wrong = f"belongs to another space: {difference}"
            raise PredictorError(where, wrong, "fit a model for this space")
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
    """Refuse a manifest whose schema, metadata or text fields are not of the types that readers rely on."""
    model = manifest["model"]
    checks.schema_size(Schema.from_dict(model["schema"]))
    checks.metadata(model["facts"])
    words = [manifest["licence"], model["kind"], model["why"]]
    for package, installed in manifest["versions"].items():
        words += [package, installed]
    if not all(isinstance(word, str) for word in words):
        raise TypeError


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Run a block that parses a file; whatever it raises becomes a PredictorError about the file.

    The file's checksum holds, so that only a forged file gets here with content that cannot be parsed.

    Args:
        where: The file, for the message.

    Yields:
        Nothing.

    Raises:
        PredictorError: When the block raises anything.
    """
    try:
        yield
    except PredictorError as error:
        wrong = f"{error.where} {error.wrong}"
        raise PredictorError(where, wrong, "it was not written by predictors.save") from None
    except Exception as error:
        raise _malformed(where, error) from None


def _malformed(where: str, error: Exception) -> PredictorError:
    return PredictorError(where, f"is malformed ({type(error).__name__})", SAVE_AGAIN)


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
    manifests: dict[str, dict[str, Any]] = {}
    for path in sorted(Path(directory).glob("*.cimpred")):
        try:
            manifests[path.name] = inspect(path)
        except PredictorError as error:
            manifests[path.name] = {"error": str(error)}
    return manifests


def _pack(members: Mapping[str, bytes]) -> bytes:
    """Write members into an uncompressed zip, with room for the seal at its end."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), data)
        archive.comment = b" " * _SEAL_SIZE
    return buffer.getvalue()


def _seal(archive: bytes) -> bytes:
    """Write the sha256 of all bytes before the seal over the blanks that ``_pack`` left for it."""
    body = archive[:-_SEAL_SIZE]
    return body + _SEAL_MARK + _sha256(body).encode()


def _write(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it: a crash leaves the old file or the new one, never half."""
    if not path.parent.is_dir():
        wrong = f"the folder {path.parent} does not exist"
        raise PredictorError(str(path), wrong, "make that folder, or name another")
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
    """Read manifest and members (name to bytes) of a file; refuse one whose seal, sizes or digests do not hold."""
    where = str(path)
    data = _read(Path(path))
    _check_seal(where, data)
    try:
        members = _unpack(data)
        manifest = json.loads(members.pop(_MANIFEST_NAME))
        is_whole = manifest["members"] == _listing(members)
        file_format = int(manifest["format"])
    except PredictorError as error:
        raise PredictorError(where, str(error), SAVE_AGAIN) from None
    except Exception as error:
        raise _malformed(where, error) from None
    if not 1 <= file_format <= FORMAT_VERSION:
        wrong = f"has format {file_format}, this release reads up to {FORMAT_VERSION}"
        raise PredictorError(where, wrong, "upgrade predictors")
    if not is_whole:
        raise PredictorError(where, "members do not match the manifest", _COPY_AGAIN)
    return manifest, members


def _check_seal(where: str, data: bytes) -> None:
    """Refuse a file that is no bundle, or of which a bit has changed."""
    body = data[:-_SEAL_SIZE]
    seal = data[-_SEAL_SIZE:]
    if not seal.startswith(_SEAL_MARK):
        raise PredictorError(where, "is not a predictor bundle or is cut short", _COPY_AGAIN)
    if seal.removeprefix(_SEAL_MARK) != _sha256(body).encode():
        raise PredictorError(where, "is damaged (its sha256 does not match)", _COPY_AGAIN)


def _read(path: Path) -> bytes:
    """Read a file that is not too large; raise PredictorError where it cannot be read."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            wrong = f"is {size} bytes, the limit is {MAX_FILE_BYTES}"
            raise PredictorError(str(path), wrong, "fit on fewer rows")
        return path.read_bytes()
    except OSError as error:
        wrong = f"cannot be read ({error.strerror})"
        raise PredictorError(str(path), wrong, "check the path") from None


def _unpack(data: bytes) -> dict[str, bytes]:
    """Read the members of an archive, name to bytes; refuse too many, too large or compressed ones."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        _check_entries(entries)
        return {entry.filename: archive.read(entry) for entry in entries}


def _check_entries(entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse too many members, repeated ones, and each that `_check_entry` refuses."""
    names = {entry.filename for entry in entries}
    if len(entries) > MAX_MEMBERS or len(names) != len(entries):
        raise PredictorError("archive", "has too many or repeated members", SAVE_AGAIN)
    for entry in entries:
        _check_entry(entry)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    """Refuse a member that is compressed or too large, before it is read."""
    limit = MAX_FILE_BYTES
    if entry.filename == _MANIFEST_NAME:
        limit = MAX_MANIFEST_BYTES
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > limit:
        raise PredictorError("archive", f"member {entry.filename!r} is too large", SAVE_AGAIN)


def _versions() -> dict[str, str]:
    """Name and version of every installed package that may have had a part in a model."""
    installed = {}
    for package in _RECORDED_PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
