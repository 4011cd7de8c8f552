"""Opening an ONNX file: the graph without its weights' bytes, and the sizes of its inputs."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cimbo.errors import BadInput

# Names that exporters give to the batch size, where the file leaves it open.
_BATCH_NAME = re.compile(r"(?i)^(b|n|bs|batch|.*batch.*)$")
# Names of sizes that are seldom a batch, even if they come first: then the user is warned.
_LENGTH_NAME = re.compile(
    r"(?i)seq|length|time|token|frame|height|width|channel|num_(?!samples)|^[thwsl]$"
)
# Words that some exporters write for any unknown size. They are no names: two sizes called so may differ.
_NO_NAMES = frozenset({"", "none", "unk", "unknown", "dynamic", "dyn"})
SIGN_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


@dataclass(frozen=True)
class InputSizes:
    """Sizes of a graph's inputs once every free one is set.

    Attributes:
        shapes: by input; None where the input is no tensor or its rank is not given.
        named: the value of each free size that has a name, which inner shapes may refer to.
        batch: inferences that one run computes.
        free_batch: whether the file left the batch free.
        notes: what was taken for the batch though its name says otherwise, one sentence each.
    """

    shapes: dict[str, tuple[int, ...] | None]
    named: dict[str, int]
    batch: int
    free_batch: bool
    notes: tuple[str, ...] = ()


def load_model(file: Path) -> Any:
    """Loads the model of a file, local functions inlined, external data left where they are.

    Args:
        file: Its path.

    Returns:
        The ModelProto.

    Raises:
        BadInput: When ``onnx`` is not installed, or the file is not readable as ONNX.
    """
    try:
        import onnx  # type: ignore[import-not-found, unused-ignore]
        from onnx import inliner
    except ImportError:
        raise BadInput(file, "needs the onnx package", "pip install 'cimbo[onnx]'") from None
    if not file.is_file():
        raise BadInput(file, "is no file", "give the path of an ONNX file")
    try:
        model = onnx.load(str(file), load_external_data=False, format="protobuf")
        if model.functions:
            model = inliner.inline_local_functions(model)
    except Exception as error:  # onnx's parsers raise exceptions of kinds of their own
        what = f"cannot be read as ONNX ({type(error).__name__})"
        raise BadInput(file, what, "give a valid .onnx file") from None
    if not _all_text(model.graph):
        raise BadInput(file, "has names that are no text", "give a valid .onnx file")
    return model


def _all_text(graph: Any) -> bool:
    """Whether every name of a graph is a string: protobuf gives the bytes of what is not UTF-8."""
    names = [tensor.name for tensor in (*graph.initializer, *graph.input, *graph.output)]
    for node in graph.node:
        names += [node.op_type, node.domain, node.name, *node.input, *node.output]
        for attribute in node.attribute:
            names.append(attribute.name)
            inner = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
            if not all(_all_text(each) for each in inner):
                return False
    return all(isinstance(name, str) for name in names)


def input_sizes(file: Path, graph: Any, batch: int | None, given: Mapping[str, int]) -> InputSizes:
    """Set every free size of a graph's inputs.

    Args:
        file: what messages name.
        graph: an onnx.GraphProto.
        batch: for the free leading size; 1 when None.
        given: sizes by the name that the file gives them.

    Returns:
        The inputs' shapes, and the batch.

    Raises:
        BadInput: a size other than the batch is free and not given, a given name is nowhere, or a batch is asked of
            a file whose leading size is fixed at another number than 1.
    """
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    for name, size in {**given, **({} if batch is None else {"batch": batch})}.items():
        if size < 1:
            raise BadInput(f"{file}: {name}", f"is set to {size}", "give an integer of at least 1")
    batch_names = _batch_names(inputs) - set(given)
    named = dict(given) | dict.fromkeys(batch_names, batch or 1)
    shapes = {value.name: _shape(file, value, named, batch or 1) for value in inputs}
    _check_given(file, inputs, given)
    free = any(
        _is_batch(place, dim, batch_names) for value in inputs for place, dim in _dims(value)
    )
    if batch is not None and not free:
        _check_fixed(file, shapes, batch)
    notes = tuple(_length_note(name, batch or 1) for name in sorted(batch_names))
    return InputSizes(shapes, named, batch or 1, free, tuple(note for note in notes if note))


def _length_note(name: str, batch: int) -> str:
    """Says that a size was taken for the batch whose name is that of a length; empty where it is not."""
    if not _LENGTH_NAME.search(name) or _BATCH_NAME.match(name):
        return ""
    return f"the free leading size {name} is taken for the batch, {batch}: --set '{name}=SIZE' for another"


def _dims(value: Any) -> list[tuple[int, Any]]:
    return list(enumerate(value.type.tensor_type.shape.dim))


def _is_free(dim: Any) -> bool:
    return not dim.HasField("dim_value") or dim.dim_value <= 0


def _name(dim: Any) -> str:
    """The name of a free size; empty where it has none, or a word that means any size."""
    text = str(dim.dim_param)
    is_name = re.search(r"\w", text) is not None and text.lower() not in _NO_NAMES
    return text if is_name else ""


def _is_batch(place: int, dim: Any, names: set[str]) -> bool:
    return _is_free(dim) and (_name(dim) in names or (place == 0 and not _name(dim)))


def _batch_names(inputs: list[Any]) -> set[str]:
    """The names that stand for the batch: those that say so, else that of the first free leading size.

    One that an input has twice is another size: of a square, say.

    Returns:
        The names, none where no size is free.
    """
    free = []
    for v in inputs:
        for place, dim in _dims(v):
            if _is_free(dim):
                free.append((place, _name(dim)))
    names = {name for _, name in free if name and _BATCH_NAME.match(name)}
    twice = set()
    for value in inputs:
        twice.update(_names_twice(value))
    if names:
        return {name for name in names - twice if name.isidentifier()}
    leading = [name for place, name in free if place == 0]
    return set(leading[:1]) - {"", *twice}


def _names_twice(value: Any) -> set[str]:
    names = [_name(dim) for _, dim in _dims(value) if _is_free(dim)]
    return {name for name in names if names.count(name) > 1}


def _shape(file: Path, value: Any, named: Mapping[str, int], batch: int) -> tuple[int, ...] | None:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    sizes = []
    for place, dim in _dims(value):
        size = dim.dim_value
        if _is_free(dim):
            size = _free_size(value, place, named)
            if size is None and place == 0 and not _name(dim):
                size = batch
            if size is None:
                label = _name(dim) or f"{value.name}[{place}]"
                what = f"the size {label} of its input {value.name} is free"
                raise BadInput(file, what, f"set it: --set '{label}=SIZE'")
        sizes.append(size)
    return tuple(sizes)


def _free_size(value: Any, place: int, named: Mapping[str, int]) -> int | None:
    """What was given for a free size: by its place, by its name, or for the names in its expression."""
    by_place = named.get(f"{value.name}[{place}]")
    if by_place is not None:
        return by_place
    label = _name(_dims(value)[place][1])
    if not label:
        return None
    return named.get(label, evaluate_size(label, named))


def evaluate_size(text: str, named: Mapping[str, int]) -> int | None:
    """Computes an expression of named sizes such as ``past + sequence``.

    Args:
        text: The expression: names and integers, joined by arithmetic.
        named: Values of the names.

    Returns:
        The size; None where a name is unknown or the text is no such expression.
    """
    try:
        return _evaluated(ast.parse(text, mode="eval").body, named)
    except (SyntaxError, ValueError, KeyError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _evaluated(tree: ast.expr, named: Mapping[str, int]) -> int:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int):
        return tree.value
    if isinstance(tree, ast.Name):
        return named[tree.id]
    if isinstance(tree, ast.BinOp):
        sign = SIGN_OPERATORS[type(tree.op)]
        return sign(_evaluated(tree.left, named), _evaluated(tree.right, named))
    raise ValueError("no sum or product of sizes")


def _check_given(file: Path, inputs: list[Any], given: Mapping[str, int]) -> None:
    """Raises BadInput for a size that no input of the file leaves open."""
    known = _names_of_free_sizes(inputs)
    for name in given:
        if name not in known:
            todo = "all its sizes are fixed"
            if known:
                todo = f"the free ones are {', '.join(known)}"
            raise BadInput(file, f"has no free size {name}", todo)


def _names_of_free_sizes(inputs: list[Any]) -> list[str]:
    """What the free sizes of a file can be called.

    A size has its own name, which may be an expression of other names, and the name INPUT[PLACE]; an input that is a single
    integer has the name of the input.

    Returns:
        The names, sorted.
    """
    names = {value.name for value in inputs if is_number(value)}
    for value in inputs:
        for place, dim in _dims(value):
            if _is_free(dim):
                names |= {_name(dim), f"{value.name}[{place}]"}
                names.update(re.findall(r"[A-Za-z_]\w*", _name(dim)))
    return sorted(names - {""})


def is_number(value: Any) -> bool:
    """Tells whether an input is a single integer, whose value ``--set`` may give.

    Args:
        value: A ValueInfoProto.

    Returns:
        True for an int32 or int64 of no dimension, or of one dimension of size 1.
    """
    tensor = value.type.tensor_type
    shape = [dim.dim_value for dim in tensor.shape.dim]
    return tensor.elem_type in (6, 7) and tensor.HasField("shape") and shape in ([], [1])


def _check_fixed(file: Path, shapes: Mapping[str, tuple[int, ...] | None], batch: int) -> None:
    leading = {shape[0] for shape in shapes.values() if shape}
    if not leading <= {1, batch}:
        fixed = ", ".join(str(size) for size in sorted(leading))
        todo = f"leave the batch out or give {fixed}; or export with a free batch"
        raise BadInput(file, f"a batch of {batch}, but the leading size is fixed at {fixed}", todo)
