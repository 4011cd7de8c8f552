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
        name: of the operator.
        arguments: by the name that its schema gives them.
        known: what is known of a tensor among them.
        made: its first result.
    """

    name: str
    arguments: Mapping[str, Any]
    known: Callable[[Any], Tensor]
    made: Any

    def tensor(self, name: str) -> Tensor:
        """Finds what is known of an argument that is a tensor.

        Args:
            name: Of the argument.

        Returns:
            Its sizes and where its elements come from.
        """
        return self.known(self.arguments[name])

    def shape(self, name: str) -> tuple[int, ...]:
        """Finds the sizes of an argument that is a tensor.

        Args:
            name: Of the argument.

        Returns:
            The sizes.
        """
        return tuple(int(size) for size in self.arguments[name].shape)

    def biases(self, name: str) -> tuple[Tensor, ...]:
        """Finds an argument that is added to the result.

        Args:
            name: Of the argument.

        Returns:
            What is known of it, alone; nothing where the call has none.
        """
        given = self.arguments.get(name)
        if given is None:
            return ()
        return (self.known(given),)

    @property
    def produced(self) -> int:
        """Elements of the result."""
        return int(self.made.numel())


Rule = Callable[[Call], Sequence[Product]]


def convolution(call: Call) -> list[Product]:
    """Reads convolutions of one to three dimensions.

    Weights are (outputs, inputs / groups, *window); where transposed, (inputs, outputs / groups,
    *window).

    Args:
        call: The operator and its arguments.

    Returns:
        One product.
    """
    given, window = call.shape("input"), call.shape("weight")
    made = tuple(call.made.shape)
    groups, strides = int(call.arguments["groups"]), call.arguments["stride"]
    if call.arguments["transposed"]:
        positions = given[0] * math.prod(given[2:])
        reduction, outputs, width = window[0] // groups, math.prod(window[1:]), given[-1]
        depthwise = groups > 1 and window[0] == groups and window[1] == 1
        kernel, stride = 1, 1
    else:
        positions = made[0] * math.prod(made[2:])
        reduction, outputs, width = math.prod(window[1:]), window[0] // groups, made[-1]
        depthwise = groups > 1 and window[1] == 1
        square = len(window) == 4 and window[2] == window[3]
        kernel = window[2] if square else 1
        stride = int(strides[0]) if square else 1
    return [
        Product(
            "depthwise" if depthwise else "conv",
            groups,
            positions,
            reduction,
            outputs,
            call.tensor("input"),
            call.tensor("weight"),
            call.produced,
            call.biases("bias"),
            kernel=kernel,
            stride=stride,
            width=width,
        )
    ]


def matrix_product(left: str, right: str, bias: str = "") -> Rule:
    """The rule of an operator that multiplies two matrices, or as many pairs of them as there are.

    Args:
        left: its argument (..., rows, reduction), or a vector.
        right: its argument (..., reduction, columns), or a vector.
        bias: what it adds, where it does.

    Returns:
        The rule.
    """

    def rule(call: Call) -> list[Product]:
        """One product; a constant argument is held, of two activations the right one."""
        first, second = call.shape(left), call.shape(right)
        first = (1, *first) if len(first) == 1 else first
        second = (*second, 1) if len(second) == 1 else second
        pairs, rows, columns = math.prod(first[:-2]), first[-2], second[-1]
        moving, held = left, right
        if call.tensor(left).constant and not call.tensor(right).constant:
            moving, held = right, left
            rows, columns = columns, rows
        if _is_repeated(call.arguments[held]):
            groups = 1
        else:
            groups = pairs
        stationary = call.tensor(held)
        return [
            Product(
                "linear" if stationary.constant else "attention",
                groups,
                pairs // groups * rows,
                first[-1],
                columns,
                call.tensor(moving),
                stationary,
                call.produced,
                call.biases(bias) if bias else (),
            )
        ]

    return rule


def _is_repeated(held: Any) -> bool:
    """Whether all pairs share one matrix, which stands there once."""
    return bool(held.dim() == 3 and held.stride(0) == 0)


def linear(call: Call) -> list[Product]:
    """Reads a linear layer that was not taken apart: weights (outputs, inputs).

    Args:
        call: The operator and its arguments.

    Returns:
        One product.
    """
    given, (outputs, inputs) = call.shape("input"), call.shape("weight")
    stationary = call.tensor("weight")
    kind = "linear" if stationary.constant else "attention"
    moving, biases = call.tensor("input"), call.biases("bias")
    positions = math.prod(given[:-1])
    return [Product(kind, 1, positions, inputs, outputs, moving, stationary, call.produced, biases)]


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
