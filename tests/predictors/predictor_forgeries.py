"""Bundles of predictors taken apart and put together again with hostile content, under digests that are right."""

from __future__ import annotations

import copy
import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as unpack_arrays
from safetensors.numpy import save as pack_arrays

from predictors.storage import bundle

HOSTILE: list[Any] = [
    -1,
    0,
    1,
    7,
    1000,
    10**8,
    2**31 - 2,
    2**31 - 1,
    -(2**31),
    2**63,
    10**400,
    1e308,
    -1e308,
    1e-320,
    0.5,
    float("nan"),
    float("inf"),
    True,
    None,
    "",
    "100000000",
    "-1",
    "x\x1b[2J\n",
    [],
    [0] * 1000,
    [[]],
    {},
    {"a": 1},
]


@dataclass(frozen=True)
class Content:
    """A bundle taken apart: manifest, arrays (member -> name -> array) and boosters (member -> JSON)."""

    manifest: dict[str, Any]
    arrays: dict[str, dict[str, np.ndarray]]
    boosters: dict[str, Any]

    @classmethod
    def of(cls, path: Path) -> Content:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(members.pop("manifest.json"))
        arrays, boosters = {}, {}
        for name, data in members.items():
            if name.endswith(".json"):
                boosters[name] = json.loads(data)
            else:
                arrays[name] = unpack_arrays(data)
        return cls(manifest, arrays, boosters)

    def write(self, path: Path) -> None:
        """The file under correct digests and seal."""
        members = {name: json.dumps(tree).encode() for name, tree in self.boosters.items()}
        members |= {name: pack_arrays(arrays) for name, arrays in self.arrays.items()}
        listed = {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in members.items()
        }
        manifest = json.dumps({**self.manifest, "members": listed}).encode()
        path.write_bytes(bundle._seal(bundle._pack({"manifest.json": manifest, **members})))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a JSON document."""
    keys: Any = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    for key in keys:
        yield value, key
        yield from places(value[key])


def forge_json(document: Any, rng: np.random.Generator) -> None:
    """One place of the document gets a hostile value, goes, or is doubled."""
    every = list(places(document))
    container, key = every[rng.integers(len(every))]
    what = rng.integers(6)
    if what == 0 and len(container) > 1:
        del container[key]
    elif what == 1 and isinstance(container, list):
        container.append(container[key])
    else:
        container[key] = copy.deepcopy(HOSTILE[rng.integers(len(HOSTILE))])


def forge_arrays(arrays: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """One array gets another shape, type or numbers, or goes."""
    name = sorted(arrays)[rng.integers(len(arrays))]
    array = arrays[name].copy()
    forms: list[Callable[[], np.ndarray]] = [
        lambda: array[:-1].copy(),
        lambda: np.concatenate([array, array]),
        lambda: array[None].copy(),
        lambda: array.ravel().copy(),
        lambda: array.astype(np.float32),
        lambda: array.astype(np.int64),
        lambda: np.full_like(array, np.nan),
        lambda: np.where(array == array.max(), np.inf, array),
        lambda: array * 1e300,
        lambda: array * 1e12,
        lambda: -array,
        lambda: np.zeros_like(array),
        lambda: np.zeros((0, *array.shape[1:])),
    ]
    what = rng.integers(len(forms) + 1)
    if what == len(forms):
        del arrays[name]
    else:
        with np.errstate(all="ignore"):
            arrays[name] = np.ascontiguousarray(forms[what]())


def forged(original: Content, rng: np.random.Generator) -> Content:
    content = copy.deepcopy(original)
    doors: list[Callable[[], None]] = [lambda: forge_json(content.manifest["model"], rng)]
    if content.boosters:
        names = sorted(content.boosters)
        doors += 2 * [lambda: forge_json(content.boosters[names[rng.integers(len(names))]], rng)]
    if content.arrays:
        names_ = sorted(content.arrays)
        doors += 2 * [lambda: forge_arrays(content.arrays[names_[rng.integers(len(names_))]], rng)]
    doors[rng.integers(len(doors))]()
    return content
