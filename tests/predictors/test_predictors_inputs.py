"""What the process is shown of genes that layers share."""

from __future__ import annotations

import numpy as np

from predictors import Feature, Schema
from predictors.gp.inputs import KernelFeatures, shared

BITS = [Feature(f"layer{i}_bits", "ordinal", (2, 4, 8), "bits") for i in range(4)]
OTHERS = [Feature(f"kind{i}", "nominal", ("a", "b"), "kind") for i in range(4)]
WIDTHS = [Feature(f"width{i}", "ordinal", (1, 2, 3)[: 2 + i // 3], "width") for i in range(5)]
SCHEMA = Schema((*BITS, *OTHERS, *WIDTHS, Feature("macs", "numeric")))
ONE = {f"layer{i}_bits": b for i, b in enumerate((8, 2, 2))} | {f"kind{i}": "a" for i in range(4)}
ONE |= {f"width{i}": 1 for i in range(5)} | {"macs": 7.0}


def test_ordinals_of_one_group_and_length_are_summed_up() -> None:
    assert shared(SCHEMA) == ((0, 1, 2, 3),)  # no texts, nor three of a length
    assert shared(Schema((*BITS[:3], *OTHERS))) == ()


def test_totals_are_of_ranks_and_counts_of_levels() -> None:
    encoded = SCHEMA.encode([ONE, ONE | {"layer3_bits": 4}, ONE | {"layer1_bits": 8, "macs": 9.0}])
    kernel_features = KernelFeatures.of(SCHEMA, encoded)
    k = encoded.shape[1]
    np.testing.assert_allclose(kernel_features.shift[k:], np.mean([5 / 3, 7 / 3, 7 / 3]))
    data = kernel_features.inputs(encoded)
    totals, counts = (data.linear[:, data.group == g] for g in (3, 4))
    np.testing.assert_allclose(
        totals[:, 0] * 2**0.5, [-(2**0.5), 0.5**0.5, 0.5**0.5]
    )  # standardised
    np.testing.assert_allclose(counts / counts[0, 2], [[2, 0, 1], [2, 1, 1], [1, 0, 2]])


def test_the_coarse_part_knows_no_single_layer() -> None:
    encoded = SCHEMA.encode(
        [ONE, ONE | {"layer0_bits": 2, "layer2_bits": 8}, ONE | {"width0": 2}, ONE | {"kind0": "b"}]
    )
    fine, coarse = KernelFeatures.of(SCHEMA, encoded).inputs(encoded).matern
    assert coarse.points.shape[1] == 1 + 2 * 4 + 5 + 1
    np.testing.assert_array_equal(coarse.points[0], coarse.points[1])
    assert (fine.points[0] != fine.points[1]).any()
    assert (coarse.points[0] != coarse.points[2]).any()
    lengths = np.unique(coarse.owners)
    assert (
        lengths == len(SCHEMA.features) + np.arange(1 + 4 + 5 + 1)
    ).all()  # a nominal's columns share theirs


def test_shares_name_whose_each_column_is() -> None:
    kernel_features = KernelFeatures.of(SCHEMA, SCHEMA.encode([ONE, ONE | {"layer3_bits": 4}]))
    for shares, width in (
        (kernel_features.linear_shares, None),
        (kernel_features.lengthscale_shares, sum(kernel_features.sizes.lengthscales)),
    ):
        np.testing.assert_allclose(shares.sum(1), 1.0)
        assert width is None or len(shares) == width
    assert (
        len(kernel_features.linear_shares)
        == kernel_features.inputs(SCHEMA.encode([ONE])).linear.shape[1]
    )


def test_without_groups_there_is_neither_coarse_part_nor_total() -> None:
    plain = Schema(tuple(Feature(f.name, f.kind, f.values) for f in SCHEMA.features))
    kernel_features = KernelFeatures.of(plain, plain.encode([ONE, ONE | {"layer3_bits": 4}]))
    data = kernel_features.inputs(plain.encode([ONE]))
    assert len(data.matern) == 1
    assert set(data.group) == {0, 1, 2}
    assert kernel_features.sizes.ends == [14, 15, 18]
    assert "group" not in plain.to_dict()["features"][0]
    assert Schema.from_dict(SCHEMA.to_dict()) == SCHEMA
