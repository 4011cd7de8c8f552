"""Bundles whose content is hostile and whose digests are right: refused in a line, or usable; never a crash."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from predictor_forgeries import Content, forged
from predictors_data import designs, space, truth

import predictors
from predictors import PredictorError
from predictors.boosting import boosted, trees

N_FORGERIES = 120  # of each kind
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
