"""Operators that are no products: what the vector unit does for each, counted on elements."""

from typing import Any

from cimbo.workloads.layers import vector_work
from cimbo.workloads.onnx.tensors import Tensor, names

# Vector function (section vector_ops of constants.toml) of each operator.
OPERATOR_NAMES = {
    "relu": "Relu Clip LeakyRelu PRelu Max Min ThresholdedRelu Abs Sign QLinearLeakyRelu",
    "add": "Add Sub Sum QLinearAdd BiasAdd",
    "scale": "Mul Div Pow Sqrt Neg Reciprocal Resize Upsample Mod QLinearMul",
    "tanh": "Tanh Exp Log Elu Selu Celu Softplus Softsign Sin Cos Tan Atan",
    "gelu": "Erf Gelu FastGelu BiasGelu QuickGelu Mish Swish",
    "hsigmoid": "Sigmoid HardSigmoid QLinearSigmoid",
    "hswish": "HardSwish",
    "softmax": "Softmax LogSoftmax Hardmax QLinearSoftmax",
    "layernorm": "InstanceNormalization GroupNormalization LayerNormalization RMSNormalization LRN "
    "SimplifiedLayerNormalization SkipLayerNormalization SkipSimplifiedLayerNormalization LpNormalization "
    "EmbedLayerNormalization MeanVarianceNormalization",
    "requantise": "BatchNormalization",
    "pool": "MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool GlobalLpPool ReduceMean ReduceSum ReduceMax "
    "ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp ArgMax ArgMin CumSum "
    "QLinearGlobalAveragePool QLinearAveragePool QLinearReduceMean",
}
VECTOR_FUNCTIONS = {
    name: function for function, listed in OPERATOR_NAMES.items() for name in names(listed)
}
# Operators that move, look up, compare or convert, and calculate nothing: they cost the vector
# unit nothing.
VIEW_OPERATORS = names(
    "Reshape Flatten Transpose Identity Dropout Squeeze Unsqueeze Concat Split Slice Gather GatherElements GatherND "
    "Shape Size Constant Cast CastLike Expand ConstantOfShape Pad Where Equal Greater GreaterOrEqual Less LessOrEqual "
    "And Or Not Xor IsNaN IsInf Range Tile DepthToSpace SpaceToDepth Trilu ScatterND ScatterElements OneHot EyeLike "
    "NonZero Compress ReverseSequence Floor Ceil Round TopK SplitToSequence SequenceAt ConcatFromSequence "
    "QLinearConcat GatherBlockQuantized RandomNormal RandomUniform RandomNormalLike RandomUniformLike "
    "QuantizeLinear DequantizeLinear DynamicQuantizeLinear"
)
# Views that take their first input's elements as they are, so that the bits they were stored with stay known.
SAME_ELEMENTS = names(
    "Reshape Flatten Transpose Identity Dropout Squeeze Unsqueeze Split Slice Gather Expand Tile Pad MaxPool "
    "DepthToSpace SpaceToDepth SplitToSequence SequenceAt"
)


def is_known(node: Any) -> bool:
    """Tells whether an operator's work is known.

    Of any other, one operation is counted for each element that it makes.

    Args:
        node: A NodeProto.

    Returns:
        True where it is known.
    """
    return node.op_type in VECTOR_FUNCTIONS or node.op_type in VIEW_OPERATORS


def work_of(
    node: Any, inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor, ...]
) -> int | None:
    """Counts the operations of the vector unit for a node: so many for each element of its first output.

    Pooling and reductions read far more elements than they make, so those of their first input count.

    Args:
        node: A NodeProto that is no product.
        inputs: What is known of its inputs.
        outputs: What is known of its outputs.

    Returns:
        How many; 0 for a node that only moves elements, None where its sizes depend on the data.
    """
    if node.op_type in VIEW_OPERATORS or not outputs:
        return 0
    function = VECTOR_FUNCTIONS.get(node.op_type, "add")
    if function == "pool" and inputs:
        counted = inputs[0]
    else:
        counted = outputs[0]
    if counted is None or counted.elements is None:
        return None
    return vector_work(**{function: counted.elements})
