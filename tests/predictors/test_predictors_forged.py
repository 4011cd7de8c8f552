"""Bundles whose content is hostile and whose digests are right: refused in a line, or usable; never a crash."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from predictors_data import designs, space, truth
from safetensors.numpy import load as unpack_arrays
from safetensors.numpy import save as pack_arrays

import predictors
from predictors import PredictorError, boosted, bundle, trees

N_FORGERIES = 120  # of each kind
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
#: What looks at every file: a refusal in one line, or a model that predicts; a crash ends it.
READER = """
import json, sys
from pathlib import Path
import numpy as np
import predictors

rows = json.loads(Path(sys.argv[2]).read_text())
for path in sorted(Path(sys.argv[1]).glob("*.cimpred")):
    print(path.stem, end=" ", flush=True)
    try:
        predictors.inspect(path)
        model = predictors.load(path)
        same = set(model.schema.names) <= set(rows[0])
    except predictors.PredictorError as error:
        print("refused" if len(str(error).splitlines()) == 1 else "many lines", flush=True)
        continue
    with np.errstate(all="ignore"):
        shares = predictors.importances(model)
        encoded = model.schema.encode(rows) if same and model.schema.closed else None
        if encoded is not None:
            model.mean(encoded), model.joint(encoded), model.predict(rows), model.sample(rows, 2)
    print("usable", flush=True)
"""


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
        import hashlib

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


@pytest.fixture(scope="module")
def models() -> dict[str, predictors.Model]:
    """A small model of every kind, and one over an older one."""
    rows = designs(40)
    y = np.array([truth(row) for row in rows])
    schema = replace(
        space(log=True), features=tuple(replace(f, group=f.name[:6]) for f in space().features)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosted, "BOOSTING_ROUNDS", 4)
        kinds = ("gp", "hybrid", "posynomial", "xgboost")
        found = {kind: predictors.fit(rows[:30], y[:30], schema, kind) for kind in kinds}
        older = predictors.fit(rows[:20], y[:20], schema, "hybrid")
        found["base"] = predictors.fit(rows[20:30], y[20:30], schema, "gp", mean=older)
    return found


@pytest.mark.parametrize("kind", ["gp", "hybrid", "posynomial", "xgboost", "base"])
def test_sealed_forgeries_are_refused_or_usable(
    models: dict[str, predictors.Model], kind: str, tmp_path: Path
) -> None:
    folder = tmp_path / "forged"
    folder.mkdir()
    predictors.save(models[kind], tmp_path / "good.cimpred")
    original = Content.of(tmp_path / "good.cimpred")
    original.write(folder / "good.cimpred")
    rng = np.random.default_rng(5)
    for number in range(N_FORGERIES):
        forged(original, rng).write(folder / f"{kind}{number:03}.cimpred")
    (tmp_path / "rows.json").write_text(json.dumps(designs(10, 3)))
    done = subprocess.run(
        [sys.executable, "-c", READER, folder, tmp_path / "rows.json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-200:] + done.stderr[-2000:]
    outcomes = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert len(outcomes) == N_FORGERIES + 1
    assert outcomes.pop("good") == "usable"
    assert set(outcomes.values()) <= {"refused", "usable"}
    assert Counter(outcomes.values())["refused"] > 0.5 * N_FORGERIES


def booster(model: predictors.Model) -> dict[str, Any]:
    return json.loads(boosted.dump(model.core.members[0]))  # type: ignore[attr-defined]


TREE_FORGERIES: dict[str, Callable[[dict, dict], object]] = {
    "child far out": lambda model, tree: tree["left_children"].__setitem__(0, 10**8),
    "child of itself": lambda model, tree: tree["right_children"].__setitem__(0, 0),
    "one child twice": lambda model, tree: tree["left_children"].__setitem__(
        0, tree["right_children"][0]
    ),
    "half a leaf": lambda model, tree: tree["left_children"].__setitem__(0, -1),
    "another parent": lambda model, tree: tree["parents"].__setitem__(1, 2),
    "root with a parent": lambda model, tree: tree["parents"].__setitem__(0, 1),
    "feature far out": lambda model, tree: tree["split_indices"].__setitem__(0, 10**8),
    "feature of a leaf": lambda model, tree: tree["split_indices"].__setitem__(-1, 10**8),
    "categorical split": lambda model, tree: tree["split_type"].__setitem__(0, 1),
    "category segments": lambda model, tree: tree.update(categories_segments=[10**7]),
    "other size": lambda model, tree: tree["tree_param"].update(num_nodes="100000000"),
    "vector leaf": lambda model, tree: tree["tree_param"].update(size_leaf_vector="500"),
    "deleted nodes": lambda model, tree: tree["tree_param"].update(num_deleted="1"),
    "not finite": lambda model, tree: tree["split_conditions"].__setitem__(0, float("nan")),
    "beyond float32": lambda model, tree: tree["base_weights"].__setitem__(0, 1e39),
    "output of a tree": lambda model, tree: model.update(tree_info=[500] * len(model["trees"])),
    "rounds": lambda model, tree: model.update(iteration_indptr=[0, 10**7]),
    "number of trees": lambda model, tree: model["gbtree_model_param"].update(num_trees="1000000"),
    "forest": lambda model, tree: model["gbtree_model_param"].update(num_parallel_tree="9"),
    "encoder": lambda model, tree: model["cats"].update(sorted_idx=[10**8]),
    "unknown field": lambda model, tree: tree.update(more=1),
}


@pytest.mark.parametrize("what", TREE_FORGERIES)
def test_every_tree_is_checked_before_xgboost_sees_it(
    models: dict[str, predictors.Model], what: str
) -> None:
    document = booster(models["xgboost"])
    width = len(models["xgboost"].schema.owners)
    trees.checked(json.dumps(document).encode(), width)
    model = document["learner"]["gradient_booster"]["model"]
    tree = max(model["trees"], key=lambda tree: len(tree["parents"]))
    assert len(tree["parents"]) > 4
    TREE_FORGERIES[what](model, tree)
    with pytest.raises(PredictorError, match="its trees "):
        trees.checked(json.dumps(document).encode(), width)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"num_class":"0"', b'"num_class":"1000000000"'),
        (b'"num_target":"1"', b'"num_target":"7"'),
        (b'"name":"gbtree"', b'"name":"dart"'),
        (b'"name":"gbtree"', b'"name":"gbtree","name":"gbtree"'),
        (b'"version":[', b'"version":[-'),
        (b'"reg:squarederror"', b'"multi:softmax"'),
    ],
)
def test_so_is_what_stands_beside_the_trees(
    models: dict[str, predictors.Model], old: bytes, new: bytes
) -> None:
    data = boosted.dump(models["xgboost"].core.members[0])  # type: ignore[attr-defined]
    assert old in data
    with pytest.raises(PredictorError, match="its trees "):
        trees.checked(data.replace(old, new), len(models["xgboost"].schema.owners))


def test_what_was_checked_is_what_xgboost_reads(models: dict[str, predictors.Model]) -> None:
    """Numbers written anew are the same numbers: a booster that went through predicts the same bits."""
    core, schema = models["xgboost"].core, models["xgboost"].schema
    encoded = schema.encode(designs(50, 8))
    for member in core.members:  # type: ignore[attr-defined]
        again = boosted.parse(boosted.dump(member), len(schema.owners))
        np.testing.assert_array_equal(
            boosted.outputs(again, encoded), boosted.outputs(member, encoded)
        )
        assert boosted.dump(again) == boosted.dump(member)
