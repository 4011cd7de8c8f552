"""Nodes that multiply matrices, as products of a moving and a stationary operand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cimbo.errors import BadInput
from cimbo.workloads.onnx import attributes
from cimbo.workloads.onnx.tensors import MOST_GROUPS, Tensor


@dataclass(frozen=True)
class Product:
    """Matrix products of the same sizes: in each of ``groups``, (positions x reduction) by (reduction x outputs).

    Attributes:
        kind: of the layer, one of cimbo.workloads.layer.LAYER_KINDS.
        groups: independent products, each with a stationary operand of its own.
        positions: vectors that go through each.
        reduction: elements of a vector.
        outputs: columns of each stationary operand.
        moving: what the vectors are read from.
        stationary: the operand that stays; a weight where it is constant.
        biases: what is added to the result.
        produced: elements that the product leaves.
        suffix: of the layer's name, where one node makes several.
        kernel: side of a square window; 1 where there is none.
        stride: of that window.
        width: output positions in a row of the image.
        weight_bits: bits of a stored weight where its tensor's type does not say them (packed weights).
        weights: stored weights where the stationary tensor's elements do not say them.
        softmax: elements that a softmax follows on.
        steps: of a recurrence, one after the other, that the vectors come in; 0: they are all known at once.
    """

    kind: str
    groups: int
    positions: int
    reduction: int
    outputs: int
    moving: Tensor
    stationary: Tensor
    produced: int
    biases: tuple[Tensor, ...] = ()
    suffix: str = ""
    kernel: int = 1
    stride: int = 1
    width: int = 1
    weight_bits: int = 0
    weights: int | None = None
    softmax: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Operation:
    """A node with its tensors.

    Attributes:
        where: what messages call the node.
        node: its NodeProto.
        inputs: what is known of its inputs; None for an optional one that is left out.
        outputs: what is known of its outputs.
    """

    where: str
    node: Any
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    def input(self, index: int) -> Tensor:
        """Finds an input that has to be there.

        Args:
            index: Number of the input.

        Returns:
            What is known of it.

        Raises:
            BadInput: When it is not there.
        """
        tensor = self.optional(index)
        if tensor is None:
            raise BadInput(self.where, f"lacks its input {index}", "export the network again")
        return tensor

    def optional(self, index: int) -> Tensor | None:
        """Finds an input that may be missing.

        Args:
            index: Number of the input.

        Returns:
            What is known of it; None where it is missing.
        """
        if index < len(self.inputs):
            return self.inputs[index]
        return None

    def shape(self, index: int, rank: int | None = None) -> tuple[int, ...]:
        """Finds the shape of an input.

        Args:
            index: Number of the input.
            rank: Dimensions that it must have; None: any number.

        Returns:
            The sizes, all known and positive.

        Raises:
            BadInput: When the input is missing, a size is unknown or not positive, or the rank is
                another; it names the tensor.
        """
        return self._checked_sizes(self.input(index), rank)

    def output_shape(self, rank: int | None = None) -> tuple[int, ...]:
        """Finds the shape of the first output.

        Args:
            rank: Dimensions that it must have; None: any number.

        Returns:
            The sizes, all known and positive.

        Raises:
            BadInput: When there is no output, a size is unknown or not positive, or the rank is
                another.
        """
        if not self.outputs:
            raise BadInput(self.where, "has no output", "export the network again")
        return self._checked_sizes(self.outputs[0], rank)

    def integer(self, name: str, default: int = 0) -> int:
        """Reads an integer attribute.

        Args:
            name: The attribute's name.
            default: The value where the node has none of that name.

        Returns:
            The attribute, or the default.
        """
        return attributes.integer(self.node, name, default)

    def wrong(self, what: str) -> BadInput:
        """Makes the error that refuses this node.

        Args:
            what: What is wrong with it.

        Returns:
            The error, not raised.
        """
        return BadInput(self.where, what, "export the network again")

    def _checked_sizes(self, tensor: Tensor, rank: int | None) -> tuple[int, ...]:
        """The sizes of ``tensor``, all known and positive, and as many as ``rank`` where one is given."""
        sizes = tensor.sizes(self.where)
        if rank is not None and len(sizes) != rank:
            raise self.wrong(f"{tensor.name} has {len(sizes)} dimensions and needs {rank}")
        return sizes


@dataclass(frozen=True)
class Places:
    """Which inputs of an operator are what: their numbers in its schema.

    Attributes:
        left: the left operand; of a convolution the image.
        right: the right operand; of a convolution the weights.
        bias: what is added to the result; None where the operator adds nothing.
    """

    left: int = 0
    right: int = 1
    bias: int | None = 2


def present(*tensors: Tensor | None) -> tuple[Tensor, ...]:
    """The tensors that are there: an optional input that is left out is None."""
    return tuple(tensor for tensor in tensors if tensor is not None)


def bias_of(op: Operation, places: Places) -> tuple[Tensor, ...]:
    """Finds the biases of a product: none where its operator has no place for them, or it is empty."""
    if places.bias is None:
        return ()
    return present(op.optional(places.bias))


def check_product(where: str, product: Product) -> None:
    """Refuses a product that no network has.

    Args:
        where: The node, for the error.
        product: What it multiplies.

    Raises:
        BadInput: When the product has more than MOST_GROUPS groups.
    """
    if product.groups > MOST_GROUPS:
        what = f"has {product.groups} groups"
        raise BadInput(where, what, f"at most {MOST_GROUPS} are read")


Rule = Callable[[Operation], list[Product]]
