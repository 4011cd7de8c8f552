"""PyTorch operators: which multiply matrices, as products, and what the vector unit does for each of the others.

Names are those of the operators that modules come down to (``torch.ops.aten``), without their overload.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cimbo.workloads.onnx.attention import Heads, attention_products
from cimbo.workloads.onnx.products import Product
from cimbo.workloads.onnx.tensors import Tensor, names

# Vector function (section vector_ops of constants.toml) of each operator; an in-place form has the same.
OPERATOR_NAMES = {
    "relu": "relu relu6 hardtanh clamp clamp_min clamp_max leaky_relu prelu _prelu_kernel maximum minimum abs sign threshold",
    "add": "add sub rsub sum_to_size addcmul addcdiv lerp",
    "scale": "mul div true_divide pow sqrt rsqrt neg reciprocal square upsample_bilinear2d upsample_nearest2d "
    "upsample_nearest1d upsample_linear1d upsample_bicubic2d upsample_nearest3d upsample_trilinear3d "
    "_upsample_nearest_exact2d _upsample_bilinear2d_aa remainder fmod dropout native_dropout",
    "tanh": "tanh exp expm1 log log1p elu selu celu softplus softsign sin cos tan atan log_sigmoid_forward",
    "gelu": "gelu erf silu mish",
    "hsigmoid": "sigmoid hardsigmoid",
    "hswish": "hardswish",
    "softmax": "_softmax _log_softmax _safe_softmax",
    "layernorm": "native_layer_norm native_group_norm _fused_rms_norm linalg_vector_norm norm native_instance_norm",
    "requantise": "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "_batch_norm_with_update cudnn_batch_norm",
    "pool": "max_pool2d_with_indices max_pool3d_with_indices avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool2d "
    "_adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d mean sum amax amin max min prod var var_mean std "
    "std_mean argmax argmin cumsum logsumexp any all",
}
VECTOR_FUNCTIONS = {
    name: function for function, listed in OPERATOR_NAMES.items() for name in names(listed)
}
# Operators that move, look up, compare or make values, and calculate nothing: like all views they
# cost the vector unit nothing.
FREE_OPERATORS = names(
    "clone contiguous _to_copy copy cat stack constant_pad_nd reflection_pad2d replication_pad2d roll "
    "flip repeat index index_select gather embedding scatter slice_scatter select_scatter index_put "
    "masked_fill masked_select where eq ne lt le gt ge logical_not logical_and logical_or bitwise_not "
    "bitwise_and bitwise_or isnan isinf arange zeros ones full empty empty_like zeros_like ones_like "
    "full_like new_zeros new_ones new_full new_empty new_empty_strided rand randn rand_like randn_like "
    "tril triu tril_indices triu_indices floor ceil round trunc sort topk pixel_shuffle pixel_unshuffle "
    "channel_shuffle im2col one_hot lift_fresh lift_fresh_copy _unsafe_view scalar_tensor zero fill "
    "_unsafe_index unsafe_split unsafe_chunk bernoulli eye linspace meshgrid split_with_sizes detach "
    "_assert_async _assert_scalar as_strided unfold_copy item _local_scalar_dense empty_strided randint "
    "native_channel_shuffle rot90 bucketize diagonal_scatter"
)


@dataclass(frozen=True)
class Call:
    """One operator that runs.

    Attributes:
        name: of the operator, without overload.
        arguments: by the name that its schema gives them.
        known: a function from a tensor among them to what is known of it.
        made: its first result, a torch.Tensor.
    """

    name: str
    arguments: Mapping[str, Any]
    known: Callable[[Any], Tensor]
    made: Any

    def tensor(self, name: str) -> Tensor:
        """Finds what is known of an argument that is a tensor.

        Args:
            name: The argument's name in the operator's schema.

        Returns:
            Its sizes and where its elements come from.
        """
        return self.known(self.arguments[name])

    def shape(self, name: str) -> tuple[int, ...]:
        """Finds the sizes of an argument that is a tensor.

        Args:
            name: The argument's name in the operator's schema.

        Returns:
            The sizes.
        """
        return tuple(int(size) for size in self.arguments[name].shape)

    def biases(self, name: str) -> tuple[Tensor, ...]:
        """Finds an argument that is added to the result, in the form that `Product` takes.

        Args:
            name: The argument's name in the operator's schema.

        Returns:
            What is known of it, alone; nothing where the call has none.
        """
        bias = self.arguments.get(name)
        if bias is None:
            return ()
        return (self.known(bias),)

    @property
    def produced(self) -> int:
        """Elements of the result."""
        return int(self.made.numel())


Rule = Callable[[Call], Sequence[Product]]


def convolution(call: Call) -> list[Product]:
    """Reads convolutions of one to three dimensions, transposed or not.

    Images are (batch, channels, *spatial). Weights are (outputs, inputs / groups, *window); where transposed,
    (inputs, outputs / groups, *window).

    Args:
        call: The operator and its arguments.

    Returns:
        One product.
    """
    if call.arguments["transposed"]:
        return [_transposed_convolution(call)]
    return [_plain_convolution(call)]


def _plain_convolution(call: Call) -> Product:
    """A convolution: a window of the image is multiplied for each position of the output."""
    weights, output = call.shape("weight"), tuple(call.made.shape)
    groups = int(call.arguments["groups"])
    is_square = len(weights) == 4 and weights[2] == weights[3]
    return Product(
        kind="depthwise" if groups > 1 and weights[1] == 1 else "conv",
        groups=groups,
        positions=output[0] * math.prod(output[2:]),
        reduction=math.prod(weights[1:]),
        outputs=weights[0] // groups,
        moving=call.tensor("input"),
        stationary=call.tensor("weight"),
        produced=call.produced,
        biases=call.biases("bias"),
        kernel=weights[2] if is_square else 1,
        stride=int(call.arguments["stride"][0]) if is_square else 1,
        width=output[-1],
    )


def _transposed_convolution(call: Call) -> Product:
    """A transposed convolution: each position of the image gives a window of the output."""
    image, weights = call.shape("input"), call.shape("weight")
    groups = int(call.arguments["groups"])
    is_depthwise = groups > 1 and weights[0] == groups and weights[1] == 1
    return Product(
        kind="depthwise" if is_depthwise else "conv",
        groups=groups,
        positions=image[0] * math.prod(image[2:]),
        reduction=weights[0] // groups,
        outputs=math.prod(weights[1:]),
        moving=call.tensor("input"),
        stationary=call.tensor("weight"),
        produced=call.produced,
        biases=call.biases("bias"),
        width=image[-1],
    )


def matrix_product(left: str, right: str, bias: str = "") -> Rule:
    """The rule of an operator that multiplies two matrices, or the pairs of two stacks of matrices.

    Args:
        left: Name of its argument (..., rows, reduction), or (reduction,).
        right: Name of its argument (..., reduction, columns), or (reduction,).
        bias: Name of the argument that it adds; empty where it adds none.

    Returns:
        A function from a call of the operator to its product.
    """

    def rule(call: Call) -> list[Product]:
        """One product; a constant argument is the stationary one, of two activations the right one."""
        left_shape, right_shape = call.shape(left), call.shape(right)
        # A vector counts as a matrix of one row (left) or one column (right).
        left_shape = (1, *left_shape) if len(left_shape) == 1 else left_shape
        right_shape = (*right_shape, 1) if len(right_shape) == 1 else right_shape
        pairs = math.prod(left_shape[:-2])
        rows, reduction, columns = left_shape[-2], left_shape[-1], right_shape[-1]
        moving, stationary = left, right
        if call.tensor(left).constant and not call.tensor(right).constant:
            moving, stationary = right, left
            rows, columns = columns, rows
        groups = pairs
        if _is_one_matrix(call.arguments[stationary]):
            groups = 1
        return [
            Product(
                kind="linear" if call.tensor(stationary).constant else "attention",
                groups=groups,
                positions=pairs // groups * rows,
                reduction=reduction,
                outputs=columns,
                moving=call.tensor(moving),
                stationary=call.tensor(stationary),
                produced=call.produced,
                biases=call.biases(bias) if bias else (),
            )
        ]

    return rule


def _is_one_matrix(stack: Any) -> bool:
    """Whether a stack of matrices is one matrix expanded: its stride over the stack is then 0."""
    return bool(stack.dim() == 3 and stack.stride(0) == 0)


def linear(call: Call) -> list[Product]:
    """Reads a linear layer that torch did not decompose: input (..., inputs), weights (outputs, inputs).

    Args:
        call: The operator and its arguments.

    Returns:
        One product.
    """
    outputs, inputs = call.shape("weight")
    weights = call.tensor("weight")
    return [
        Product(
            kind="linear" if weights.constant else "attention",
            groups=1,
            positions=math.prod(call.shape("input")[:-1]),
            reduction=inputs,
            outputs=outputs,
            moving=call.tensor("input"),
            stationary=weights,
            produced=call.produced,
            biases=call.biases("bias"),
        )
    ]


def dot_product_attention(call: Call) -> list[Product]:
    """Reads attention that one operator computes.

    Queries, keys and values have the shape (batch, heads, tokens, size). There may be fewer heads of
    keys and values than of queries; several heads of queries then share one of them.

    Args:
        call: The operator and its arguments.

    Returns:
        Two products: queries with keys (the scores), and scores with values (the context).
    """
    batch, heads, queries, size = call.shape("query")
    key_heads, keys = call.shape("key")[1:3]
    value_size = call.shape("value")[3]
    sizes = Heads(batch, heads, key_heads, queries, keys, size, value_size)
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    return attention_products(sizes, query, key, value)


PRODUCT_RULES: dict[str, Rule] = {
    "convolution": convolution,
    "linear": linear,
    "mm": matrix_product("self", "mat2"),
    "bmm": matrix_product("self", "mat2"),
    "mv": matrix_product("self", "vec"),
    "dot": matrix_product("self", "tensor"),
    "_int_mm": matrix_product("self", "mat2"),
    "addmm": matrix_product("mat1", "mat2", "self"),
    "addmv": matrix_product("mat", "vec", "self"),
    "baddbmm": matrix_product("batch1", "batch2", "self"),
    "_scaled_dot_product_flash_attention_for_cpu": dot_product_attention,
    "_scaled_dot_product_flash_attention": dot_product_attention,
    "_scaled_dot_product_efficient_attention": dot_product_attention,
    "_scaled_dot_product_cudnn_attention": dot_product_attention,
    "_scaled_dot_product_fused_attention_overrideable": dot_product_attention,
}
