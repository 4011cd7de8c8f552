"""Values that no silicon has, and layers that no network has, are refused in one line."""

import pytest

from cimbo.errors import BadInput
from cimbo.hardware import BASELINE_CHIP, simulate
from cimbo.session import simulation

NETWORK = simulation.workload("fmnist-vit")


@pytest.mark.parametrize(
    ("gene", "value"),
    [
        ("supply_v", 5),
        ("clock_ghz", 100),
        ("activity", 1.5),
        ("buffer_mb", 1e-6),
        ("cell_bits", 8),
    ],
)
def test_what_no_silicon_has_is_refused(gene, value):
    with pytest.raises(BadInput, match=rf"chip 0\.{gene}: .*give at (most|least)"):
        simulate(NETWORK, BASELINE_CHIP | {gene: value})


def test_copies_of_an_unknown_layer_are_refused_with_the_nearest():
    with pytest.raises(BadInput, match=r"copies: block_1\.qk: .*did you mean block_1\.qkv"):
        simulation.workload("fmnist-vit", copies={"block_1.qk": 3})
    assert simulation.workload("fmnist-vit", copies={"block_*.qkv": 3})
