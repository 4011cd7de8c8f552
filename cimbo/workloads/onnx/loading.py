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
# Names of sizes that are seldom a batch: where one comes first and is taken for the batch, the user is warned.
_LENGTH_NAME = re.compile(
    r"(?i)seq|length|time|token|frame|height|width|channel|num_(?!samples)|^[thwsl]$"
)
# Words that some exporters write for any unknown size. They are no names: two sizes with such a word may differ.
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
        named: name to value of the free sizes, which shapes inside the graph may refer to.
        batch: inferences that one run computes.
        free_batch: whether the file left the batch free.
        notes: one sentence for each size that was taken for the batch though its name says otherwise.
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
    except Exception as error:  # onnx's parsers raise exceptions of many kinds
        what = f"cannot be read as ONNX ({type(error).__name__})"
        raise BadInput(file, what, "give a valid .onnx file") from None
    if not _all_text(model.graph):
        raise BadInput(file, "has names that are no text", "give a valid .onnx file")
    return model


def _all_text(graph: Any) -> bool:
    """Whether every name in a graph and its subgraphs is text; protobuf gives bytes for what is not UTF-8."""
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
    _check_positive(file, given, batch)
    batch_names = _batch_names(inputs) - set(given)
    named = dict(given) | dict.fromkeys(batch_names, batch or 1)
    shapes = {value.name: _shape(file, value, named, batch or 1) for value in inputs}
    _check_given(file, inputs, given)
    free_batch = any(_has_free_batch(value, batch_names) for value in inputs)
    if batch is not None and not free_batch:
        _check_fixed(file, shapes, batch)
    notes = []
    for name in sorted(batch_names):
        note = _length_note(name, batch or 1)
        if note:
            notes.append(note)
    return InputSizes(shapes, named, batch or 1, free_batch, tuple(notes))


def _check_positive(file: Path, given: Mapping[str, int], batch: int | None) -> None:
    """Refuse sizes and a batch that are not positive."""
    sizes = dict(given)
    if batch is not None:
        sizes["batch"] = batch
    for name, size in sizes.items():
        if size < 1:
            raise BadInput(f"{file}: {name}", f"is set to {size}", "give an integer of at least 1")


def _length_note(name: str, batch: int) -> str:
    """A sentence for the user where a size that is taken for the batch has the name of a length; else empty."""
    if not _LENGTH_NAME.search(name) or _BATCH_NAME.match(name):
        return ""
    return f"the free leading size {name} is taken for the batch, {batch}: --set '{name}=SIZE' for another"


def _dims(value: Any) -> list[tuple[int, Any]]:
    """Position and description of each dimension of an input."""
    return list(enumerate(value.type.tensor_type.shape.dim))


def _is_free(dim: Any) -> bool:
    """Whether the file leaves the size of a dimension open."""
    return not dim.HasField("dim_value") or dim.dim_value <= 0


def _name(dim: Any) -> str:
    """The name of a free size; empty where it has none, or a word that means any size."""
    text = str(dim.dim_param)
    is_name = re.search(r"\w", text) is not None and text.lower() not in _NO_NAMES
    return text if is_name else ""


def _has_free_batch(value: Any, batch_names: set[str]) -> bool:
    """Whether an input has a free size that is the batch: by its name, or as a leading size without a name."""
    for position, dim in _dims(value):
        is_unnamed_leading = position == 0 and not _name(dim)
        if _is_free(dim) and (_name(dim) in batch_names or is_unnamed_leading):
            return True
    return False


def _batch_names(inputs: list[Any]) -> set[str]:
    """Find the names of free sizes that stand for the batch.

    These are names such as "batch" or "N"; where there are none, the name of the first free leading size.
    A name that one input has twice is another size, as the side of a square.

    Args:
        inputs: ValueInfoProtos of the graph's inputs.

    Returns:
        The names, none where no size is free.
    """
    free_dimensions = []
    for value in inputs:
        for position, dim in _dims(value):
            if _is_free(dim):
                free_dimensions.append((position, _name(dim)))
    like_batch = {name for _, name in free_dimensions if name and _BATCH_NAME.match(name)}
    repeated = set()
    for value in inputs:
        repeated.update(_repeated_names(value))
    if like_batch:
        return {name for name in like_batch - repeated if name.isidentifier()}
    leading_names = [name for position, name in free_dimensions if position == 0]
    return set(leading_names[:1]) - {"", *repeated}


def _repeated_names(value: Any) -> set[str]:
    """Names that more than one free size of an input has."""
    names = [_name(dim) for _, dim in _dims(value) if _is_free(dim)]
    return {name for name in names if names.count(name) > 1}


def _shape(file: Path, value: Any, named: Mapping[str, int], batch: int) -> tuple[int, ...] | None:
    """The shape of an input with its free sizes set; None where it is no tensor or has no rank.

    Args:
        file: The file, for messages.
        value: The input's ValueInfoProto.
        named: Name to value of the free sizes.
        batch: What a free leading size without a name is set to.

    Returns:
        The shape.

    Raises:
        BadInput: When a free size has no value.
    """
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    sizes = []
    for position, dim in _dims(value):
        size = dim.dim_value
        if _is_free(dim):
            size = _free_size(value, position, named)
            if size is None and position == 0 and not _name(dim):
                size = batch
            if size is None:
                label = _name(dim) or f"{value.name}[{position}]"
                what = f"the size {label} of its input {value.name} is free"
                raise BadInput(file, what, f"set it: --set '{label}=SIZE'")
        sizes.append(size)
    return tuple(sizes)


def _free_size(value: Any, position: int, named: Mapping[str, int]) -> int | None:
    """The value of a free size: given for INPUT[POSITION], for its name, or for the names in its expression; else None."""
    by_position = named.get(f"{value.name}[{position}]")
    if by_position is not None:
        return by_position
    label = _name(_dims(value)[position][1])
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
    """Evaluate a parsed expression of sizes; raises KeyError or ValueError where it cannot."""
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int):
        return tree.value
    if isinstance(tree, ast.Name):
        return named[tree.id]
    if isinstance(tree, ast.BinOp):
        arithmetic = SIGN_OPERATORS[type(tree.op)]
        return arithmetic(_evaluated(tree.left, named), _evaluated(tree.right, named))
    raise ValueError("no sum or product of sizes")


def _check_given(file: Path, inputs: list[Any], given: Mapping[str, int]) -> None:
    """Refuse a value for a size that no input of the file leaves free."""
    known = _names_of_free_sizes(inputs)
    for name in given:
        if name not in known:
            todo = "all its sizes are fixed"
            if known:
                todo = f"the free ones are {', '.join(known)}"
            raise BadInput(file, f"has no free size {name}", todo)


def _names_of_free_sizes(inputs: list[Any]) -> list[str]:
    """List all names by which values can be given to a file.

    A free size has its own name, which may be an expression of other names, and the name INPUT[POSITION]. An
    input that is a single integer has the name of the input.

    Args:
        inputs: ValueInfoProtos of the graph's inputs.

    Returns:
        The names, sorted.
    """
    names = {value.name for value in inputs if is_number(value)}
    for value in inputs:
        for position, dim in _dims(value):
            if _is_free(dim):
                names |= {_name(dim), f"{value.name}[{position}]"}
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
    """Refuse a batch for a file whose leading sizes are fixed at other numbers than 1 and that batch."""
    leading = {shape[0] for shape in shapes.values() if shape}
    if not leading <= {1, batch}:
        fixed = ", ".join(str(size) for size in sorted(leading))
        todo = f"leave the batch out or give {fixed}; or export with a free batch"
        raise BadInput(file, f"a batch of {batch}, but the leading size is fixed at {fixed}", todo)
