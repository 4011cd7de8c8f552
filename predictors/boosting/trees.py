"""Boosted trees out of a file, checked number by number before XGBoost sees them.

XGBoost's parser trusts its input: a child or feature index out of range is read or written through, and the process ends.
So a file holds only what :mod:`predictors.boosting.boosted` trains: one output, numerical splits, one tree a round. Everything
that steers memory or a loop is compared with what it must be, and XGBoost is given what was checked, written
anew, so that no second reading of the same text can differ from ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from predictors.errors import PredictorError

MAX_BYTES = 32 * 2**20  # a booster of 80 rounds takes some 300 kB
MAX_TREES = 10_000
MAX_NODES = 2**16
MAX_DEPTH = 64
LARGEST_FLOAT32 = 3.4e38
ROOT_PARENTS = (2**31 - 1, -1)
LEAF_CHILD = -1

_NUMBER_LISTS = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
_EMPTY_LISTS = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
_INTEGER_LISTS = ("left_children", "parents", "right_children", "split_indices")
_FLAG_LISTS = ("default_left", "split_type")
_TREE_KEYS = {
    *_NUMBER_LISTS,
    *_EMPTY_LISTS,
    *_INTEGER_LISTS,
    *_FLAG_LISTS,
    "id",
    "tree_param",
}
_LEARNER_KEYS = {
    "feature_names",
    "feature_types",
    "gradient_booster",
    "learner_model_param",
    "objective",
}
_OBJECTIVE = {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}}
_ZERO_SCORES = ("[0E0]", "0E0", "[0]", "0")
_NO_CATEGORIES: dict[str, list[Any]] = {"enc": [], "feature_segments": [], "sorted_idx": []}


def checked(data: bytes, n_features: int) -> bytes:
    """Check a booster in XGBoost's JSON.

    Args:
        data: The file's bytes.
        n_features: Encoded columns that the model's schema has.

    Returns:
        The same booster, written anew.

    Raises:
        PredictorError: When anything is not as ``predictors.boosting.boosted`` would have trained it.
    """
    root = _checked_object(_parsed_json(data), "file", {"learner", "version"})
    _check_version(root["version"])
    learner = _checked_object(root["learner"], "learner", _LEARNER_KEYS, optional={"attributes"})
    _check_learner(learner)
    _check_learner_parameters(learner["learner_model_param"], n_features)
    booster = _checked_object(learner["gradient_booster"], "gradient_booster", {"model", "name"})
    _require(booster["name"] == "gbtree", "name another booster than gbtree")
    _check_model(booster["model"], n_features)
    return json.dumps(root, allow_nan=False, separators=(",", ":")).encode()


def _parsed_json(data: bytes) -> Any:
    """Parse JSON of a limited size; refuse repeated keys, NaN and infinities."""
    if len(data) > MAX_BYTES:
        _refuse(f"take {len(data)} bytes, the limit is {MAX_BYTES}")
    try:
        return json.loads(
            data, object_pairs_hook=_object_without_repeated_keys, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        _refuse("are no JSON")


def _check_learner(learner: Mapping[str, Any]) -> None:
    """Refuse a learner with names or types of features, attributes, or another objective than ours."""
    _require(learner["feature_names"] == [], "have feature_names")
    _require(learner["feature_types"] == [], "have feature_types")
    _require(learner.get("attributes", {}) == {}, "have attributes")
    _require(learner["objective"] == _OBJECTIVE, "have another objective than squared error")


def _check_learner_parameters(parameters: Any, n_features: int) -> None:
    """Refuse parameters other than those of one output of ``n_features``: XGBoost sizes its memory by them."""
    required = {"base_score", "num_class", "num_feature"}
    optional = {"boost_from_average", "num_target"}
    parameters = _checked_object(parameters, "learner_model_param", required, optional)
    _require(parameters["base_score"] in _ZERO_SCORES, "have a base score")
    _require(parameters["num_class"] == "0", "have classes")
    _require(parameters["num_feature"] == str(n_features), "are of another number of features")
    _require(parameters.get("num_target", "1") == "1", "have several outputs")
    _require(parameters.get("boost_from_average", "0") in ("0", "1"), "are malformed")


def _check_model(model: Any, n_features: int) -> None:
    """Refuse a list of trees of which any is malformed, or that is not as long as it says."""
    required = {"gbtree_model_param", "tree_info", "trees"}
    model = _checked_object(model, "model", required, optional={"cats", "iteration_indptr"})
    # Features are numbers alone, so the table of categories has to be missing or empty.
    _require(model.get("cats", _NO_CATEGORIES) == _NO_CATEGORIES, "have categories")
    trees = model["trees"]
    _require(isinstance(trees, list) and len(trees) <= MAX_TREES, "are too many or no list")
    _check_tree_counts(model, len(trees))
    for index, tree in enumerate(trees):
        _check_tree(tree, index, n_features)


def _check_tree_counts(model: Mapping[str, Any], n_trees: int) -> None:
    """Refuse a model that does not say: ``n_trees`` trees, one a round, each of the only output."""
    parameters = {"num_parallel_tree": "1", "num_trees": str(n_trees)}
    _require(model["gbtree_model_param"] == parameters, "are of another number than they say")
    _checked_integers(model["tree_info"], "tree_info", n_trees, lambda value: value == 0)
    # The tree at which each round starts, and the end of the last one
    if "iteration_indptr" in model:
        ends = _checked_integers(model["iteration_indptr"], "iteration_indptr", n_trees + 1)
        _require(ends == list(range(n_trees + 1)), "are not one a round")


def _check_tree(tree: Any, index: int, n_features: int) -> None:
    """Refuse a tree with lists of a wrong length, numbers out of range, or nodes that are no tree.

    Lists of numbers and of flags are replaced by what was checked, with one type throughout.

    Args:
        tree: The JSON of one tree; it is changed.
        index: Its number in the model.
        n_features: Encoded columns that the model's schema has.
    """
    tree = _checked_object(tree, "tree", _TREE_KEYS)
    _require(type(tree["id"]) is int and tree["id"] == index, "are out of order")
    n_nodes = _checked_node_count(tree, n_features)
    for name in _EMPTY_LISTS:
        _require(tree[name] == [], "have categories")
    for name in _NUMBER_LISTS:
        tree[name] = _checked_numbers(tree[name], name, n_nodes)
    tree["default_left"] = _checked_flags(tree["default_left"], "default_left", n_nodes)
    _checked_integers(tree["split_type"], "split_type", n_nodes, lambda value: value == 0)
    _checked_integers(
        tree["split_indices"], "split_indices", n_nodes, lambda j: 0 <= j < n_features
    )
    _check_structure(tree, n_nodes)


def _checked_node_count(tree: Mapping[str, Any], n_features: int) -> int:
    """The number of nodes, by the list of children; refuse a tree that says another number."""
    _require(isinstance(tree["left_children"], list), "are malformed")
    n_nodes = len(tree["left_children"])
    _require(1 <= n_nodes <= MAX_NODES, "have too many nodes or none")
    parameters = {
        "num_deleted": "0",
        "num_feature": str(n_features),
        "num_nodes": str(n_nodes),
        "size_leaf_vector": "1",
    }
    _require(tree["tree_param"] == parameters, "are of another size than they say")
    return n_nodes


def _check_structure(tree: Mapping[str, Any], n_nodes: int) -> None:
    """Refuse nodes that are no tree: children come after their parent, and all but the first node have one parent."""
    left = _checked_integers(tree["left_children"], "left_children", n_nodes)
    right = _checked_integers(tree["right_children"], "right_children", n_nodes)
    parents = _checked_integers(tree["parents"], "parents", n_nodes)
    _require(parents[0] in ROOT_PARENTS, "have a root with a parent")
    depth = [0] * n_nodes
    has_parent = [False] * n_nodes
    for node, children in enumerate(zip(left, right, strict=True)):
        if children == (LEAF_CHILD, LEAF_CHILD):
            continue
        for child in children:
            _require(node < child < n_nodes, "have a child out of range or before its parent")
            _require(not has_parent[child], "have a node with two parents")
            _require(parents[child] == node, "have a node whose parent is another")
            has_parent[child] = True
            depth[child] = depth[node] + 1
    _require(all(has_parent[1:]), "have a node without a parent")
    _require(max(depth) <= MAX_DEPTH, "are too deep")


def _checked_object(
    value: Any,
    name: str,
    required: set[str],
    optional: set[str] | None = None,
) -> dict[str, Any]:
    """``value`` itself; refuse it unless it is a JSON object with all required keys and no unknown ones."""
    if not isinstance(value, dict):
        _refuse(f"have a {name} that is no object")
    unknown = value.keys() - required - (optional or set())
    _require(not unknown and required <= value.keys(), f"have other fields in {name}")
    return value


def _checked_integers(
    values: Any,
    name: str,
    length: int,
    allowed: Callable[[int], bool] | None = None,
) -> Sequence[int]:
    """``values`` as a list; refuse it unless it has ``length`` 32-bit integers, all of them ``allowed``."""
    for value in _checked_list(values, name, length):
        is_int32 = type(value) is int and -(2**31) <= value < 2**31
        _require(is_int32, f"have no integers in {name}")
        _require(allowed is None or allowed(value), f"have a {name} out of range")
    return list(values)


def _checked_list(values: Any, name: str, length: int) -> list[Any]:
    """``values`` as a list; refuse it unless it is one of this length."""
    _require(isinstance(values, list) and len(values) == length, f"have a {name} of another length")
    return list(values)


def _checked_flags(values: Any, name: str, length: int) -> list[int]:
    """``values`` as zeros and ones; refuse others. Earlier releases of XGBoost write them as booleans."""
    for value in _checked_list(values, name, length):
        is_flag = type(value) in (int, bool) and value in (0, 1)
        _require(is_flag, f"have a {name} out of range")
    return list(map(int, values))


def _checked_numbers(values: Any, name: str, length: int) -> list[float]:
    """``values`` as floats; refuse them unless they are ``length`` finite numbers that fit a 32-bit float."""
    for value in _checked_list(values, name, length):
        _require(type(value) in (int, float), f"have no numbers in {name}")
        finite = abs(value) <= LARGEST_FLOAT32 and math.isfinite(value)
        _require(finite, f"have a {name} that is not finite")
    return [float(value) for value in values]


def _check_version(values: Any) -> None:
    """Refuse what is not the three numbers of an XGBoost release from 1.0 on."""
    for value in _checked_integers(values, "version", 3):
        _require(0 <= value < 1000, "are of an unknown version")
    _require(values[0] >= 1, "are of an unknown version")


def _object_without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object of its keys and values; with a repeated key, readers could see different values."""
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a repeated key")
    return unique


def _refuse_constant(name: str) -> NoReturn:
    """Stop at NaN and infinities, which Python's parser would take."""
    raise ValueError(name)


def _require(condition: bool, wrong: str) -> None:
    """Refuse the booster unless the condition holds; ``wrong`` completes "its trees ...", as in "have categories"."""
    if not condition:
        _refuse(wrong)


def _refuse(wrong: str) -> NoReturn:
    """Refuse the booster; ``wrong`` completes the sentence "its trees ..."."""
    raise PredictorError("model", f"its trees {wrong}", "save the model again")
