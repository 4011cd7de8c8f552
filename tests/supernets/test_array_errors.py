"""What arrays make of products: signal to noise as measured elsewhere, the exact form by hand, the equivalent one beside it."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from cimbo import BadInput
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.evaluation.joint import JointEvaluator
from cimbo.supernets.array_errors import (
    Arrays,
    BitAccurateMVM,
    Die,
    OutputNoise,
    arrays,
    equivalent_noise,
    signal_to_noise_db,
)
from cimbo.supernets.measurement import deployed, logits
from cimbo.supernets.recipes import SUPERNETS
from cimbo.workloads import network

NAMES = sorted(SUPERNETS)
WHOLE = {"cell_bits": 8, "dac_bits": 8}  # one pulse, one cell a weight: nothing is sliced


def gaussian(samples: int, outputs: int, rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(1, samples, rows, generator=draw), torch.randn(
        1, outputs, rows, generator=draw
    )


def written(chip: Arrays, inputs: Tensor, weight: Tensor) -> BitAccurateMVM:
    product = Die(chip, 1).product(weight, common=False)
    product.calibrate(inputs)
    return product


def quality_db(chip: Arrays, inputs: Tensor, weight: Tensor) -> float:
    return signal_to_noise_db(inputs @ weight.mT, written(chip, inputs, weight)(inputs))


# ---- golden: a layer of 197 x 768 x 2304, Gaussian data, run with other code -------------------------------------------


@pytest.mark.parametrize(("bits", "expected_db"), [(4, 16.6), (5, 22.5), (6, 28.1), (8, 35.6)])
@pytest.mark.parametrize("rows", [64, 256])
def test_signal_to_noise_of_converters(bits: int, rows: int, expected_db: float):
    found = quality_db(Arrays(bits, rows, **WHOLE), *gaussian(197, 256, 768))
    assert found == pytest.approx(expected_db, abs=0.3)


@pytest.mark.parametrize(("cell_noise", "expected_db"), [(0.01, 28.5), (0.02, 23.1), (0.05, 15.4)])
def test_signal_to_noise_of_cells(cell_noise: float, expected_db: float):
    found = quality_db(
        Arrays(8, 256, **WHOLE, cell_noise=cell_noise, seed=3), *gaussian(197, 256, 768)
    )
    assert found == pytest.approx(expected_db, abs=0.3)


# ---- the exact form --------------------------------------------------------------------------------------------------


def by_hand(chip: Arrays, steps: list, inputs: np.ndarray, weight: np.ndarray) -> int:
    """One output of whole inputs and whole weights, pulse by pulse, block by block, digit by digit."""
    total = 0.0
    for i, pulse_steps in enumerate(steps):
        for j, step in enumerate(pulse_steps.flatten().tolist()):
            for start in range(0, len(inputs), chip.rows):
                block = range(start, min(start + chip.rows, len(inputs)))
                partial = sum(
                    np.sign(inputs[r])
                    * (abs(inputs[r]) >> (i * chip.dac_bits) & (2**chip.dac_bits - 1))
                    * np.sign(weight[r])
                    * (abs(weight[r]) >> (j * chip.cell_bits) & (2**chip.cell_bits - 1))
                    for r in block
                )
                code = max(
                    -(2 ** (chip.adc_bits - 1)),
                    min(2 ** (chip.adc_bits - 1) - 1, np.round(partial / step)),
                )
                total += code * step * 2 ** (i * chip.dac_bits + j * chip.cell_bits)
    return total


@pytest.mark.parametrize(
    "chip", [Arrays(3, 4), Arrays(3, 3, 2, 4), Arrays(4, 16, 1, 2, fixed_range=True)]
)
def test_the_exact_form_by_hand(chip: Arrays):
    rng = np.random.default_rng(0)
    inputs, weight = rng.integers(-127, 128, (6, 10)), rng.integers(-127, 128, (2, 10))
    inputs[0, 0], weight[:, 0] = 127, -127  # so that a step of inputs and weights is one
    x, w = (torch.tensor(v, dtype=torch.float32)[None] for v in (inputs, weight))
    product = written(chip, x, w)
    product.steps = [
        1.0137 * step for step in product.steps
    ]  # no sum lies halfway between two codes
    expected = [[by_hand(chip, product.steps, row, column) for column in weight] for row in inputs]
    np.testing.assert_allclose(product(x)[0].numpy(), expected, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(("cells", "inputs"), [(1, 1), (2, 4), (8, 8)])
def test_many_bits_read_every_sum_as_it_is(cells: int, inputs: int, fixed: bool):
    x, w = gaussian(20, 6, 150)
    product = written(Arrays(23, 64, cells, inputs, fixed_range=fixed), x, w)
    rounded = (x / product.input_scale).round() * product.input_scale
    torch.testing.assert_close(product(x), rounded @ product.weight.mT, rtol=1e-4, atol=1e-3)
    assert (
        quality_db(Arrays(23, 64, cells, inputs, fixed_range=fixed), x, w) > 35
    )  # 8-bit operands are left


@pytest.mark.parametrize("rows", [32, 256])
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize(("cells", "inputs"), [(1, 1), (2, 2), (1, 4), (8, 8)])
def test_more_bits_are_never_worse(rows: int, fixed: bool, cells: int, inputs: int):
    data = gaussian(60, 16, 300)
    found = [
        quality_db(Arrays(b, rows, cells, inputs, fixed_range=fixed), *data) for b in range(3, 13)
    ]
    assert all(more >= fewer - 0.02 for fewer, more in pairwise(found))
    assert found[-1] > found[0] + 3


def test_one_bit_operands_are_signs():
    x, w = gaussian(5, 3, 20)
    product = written(Arrays(12, 64, weight_bits=1, act_bits=1), x, w)
    assert set((product.weight / product.scale).unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert torch.isfinite(product(x)).all()


def test_rows_matter_where_the_range_is_fixed_and_hardly_where_it_is_calibrated():
    def spread(bits: int, fixed: bool) -> float:
        found = [
            quality_db(Arrays(bits, r, **WHOLE, fixed_range=fixed), *gaussian(60, 16, 512))
            for r in (64, 256)
        ]
        return found[0] - found[1]

    assert spread(10, True) > 4  # half a bit each doubling
    assert abs(spread(5, False)) < 0.4


# ---- the equivalent form ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [4, 6])
@pytest.mark.parametrize(
    "more",
    [{}, {"cell_bits": 2, "dac_bits": 4}, WHOLE, {"cell_noise": 0.05}, {"fixed_range": True}],
)
def test_the_equivalent_noise_is_as_large_as_the_exact_error(bits: int, more: dict):
    x, w = gaussian(400, 16, 300)
    chip = Arrays(bits, 128, **more)
    product = written(chip, x[:, :128], w)
    found = equivalent_noise(product, x[:, :128])
    plain, exact = x[:, 128:] @ product.weight.mT, product(x[:, 128:])
    drawn = torch.randn(plain.shape, generator=torch.Generator().manual_seed(9))
    equivalent = found.gain * plain + found.offset + found.std * drawn
    assert signal_to_noise_db(plain, equivalent) == pytest.approx(
        signal_to_noise_db(plain, exact), abs=0.8
    )


def test_what_positions_of_an_image_are_off_by_in_common_is_told_from_the_rest():
    chip, (x, w) = Arrays(4, 128), gaussian(1600, 16, 300)
    product = written(chip, x[:, :200], w)
    for alike, share in ((0.0, 0.0), (1.0, 1.0)):
        image, own = x[:, :200].repeat_interleave(8, 1), x
        found = equivalent_noise(product, alike * image + (1 - alike) * own, 8)
        whole = (found.common.square() + found.std.square()).mean()
        assert (found.common.square().mean() / whole).item() == pytest.approx(share, abs=0.03)
        assert whole.sqrt().item() == pytest.approx(
            equivalent_noise(product, x).std.square().mean().sqrt().item(), rel=0.1
        )


def test_samples_by_image_are_positions_of_images_side_by_side():
    for images, positions, each in ((250, 49, 8), (40, 1, 1), (20, 5, 5)):
        numbers, found = Die(Arrays(4)).sample_by_image(images, positions)
        rows = (numbers // positions).view(-1, each)
        assert found == each
        assert len(numbers.unique()) == len(numbers) == each * min(images, 256 // each)
        assert (rows == rows[:, :1]).all()
        assert rows[-1, 0] >= images - images // len(rows) - 1  # spread over all images


def test_dies_share_the_samples_that_their_noise_is_measured_by():
    one, several = Arrays(5), Arrays(5, cell_noise=0.1)
    shares = [Die(several, number).sample(10**6) for number in range(several.dies)]
    assert several.dies > 1
    assert sum(map(len, shares)) == len(Die(one).sample(10**6))
    assert len(torch.cat(shares).unique()) > len(shares[0])  # each looks at inputs of its own


def test_only_analog_arrays_err():
    assert arrays({"array": "digital_sram", "adc_bits": 4}, 0) is None
    assert arrays({}, 0) is None
    sram, rram = (
        arrays({"array": kind, "adc_bits": 4, "rows": 64}, 0) for kind in ("analog_sram", "rram")
    )
    assert (sram.adc_bits, sram.rows, sram.cell_noise, sram.dies) == (4, 64, 0, 1)
    assert rram.cell_noise > 0
    assert rram.dies > 2


@pytest.mark.parametrize("name", NAMES)
def test_networks_on_a_die(name: str):
    torch.manual_seed(0)
    supernet, images = SUPERNETS[name]().eval(), torch.randn(24, 1, 28, 28)
    subnet = network(name).smallest()

    def off(chip: Arrays, number: int = 0, exact: bool = False) -> Tensor:
        return (
            logits(deployed(supernet, subnet, images, Die(chip, number, exact=exact)), images)
            - clean
        )

    clean = logits(deployed(supernet, subnet, images), images)
    few, many = (
        Arrays(4, 128, 2, 2, cell_noise=0.02),
        Arrays(20, 128, 2, 2, weight_bits=14, act_bits=14),
    )
    torch.testing.assert_close(off(few), off(few), rtol=0, atol=0)
    assert not torch.equal(off(few), off(few, 1))
    for exact in (False, True):
        assert 0 < off(many, exact=exact).std() < 0.01 * clean.std() < off(few, exact=exact).std()


def test_an_accuracy_is_a_function_of_the_genes_that_shape_it():
    source, small = ShippedAccuracy("fmnist-vit"), network("fmnist-vit").smallest()
    chip = {"adc_bits": 4, "rows": 256, "array": "rram"}
    first = source.measure(small | chip)
    assert source.measure(small | chip | {"pes": 64, "columns_per_adc": 8}) == first
    assert source.measure(small | {"adc_bits": 8, "rows": 64}) > first


def test_the_exact_form_is_measured_where_there_is_one():
    evaluator = JointEvaluator("fmnist-vit", "fmnist-vit", fixed={"array": "digital_sram"})
    small = network("fmnist-vit").smallest()
    assert evaluator.on_exact_arrays(small) == ShippedAccuracy("fmnist-vit").measure(small)
    with pytest.raises(BadInput, match="has no exact form"):
        JointEvaluator("vit-b", published.names()[0]).on_exact_arrays({})


@pytest.mark.parametrize("more", [{}, {"cell_bits": 2, "dac_bits": 4}, WHOLE, {"cell_noise": 0.05}])
def test_noise_to_train_under_has_a_gradient_and_the_size_of_the_exact_error(more: dict):
    chip, (x, w) = Arrays(5, 128, **more), gaussian(400, 16, 300)
    product = (x @ w.mT).requires_grad_()
    delivered = OutputNoise(chip)(product, 300)
    exact = written(chip, x, w)(x)
    assert signal_to_noise_db(product, delivered) == pytest.approx(
        signal_to_noise_db(product, exact), abs=0.8
    )
    delivered.sum().backward()
    torch.testing.assert_close(product.grad, torch.ones_like(product))


def test_finalists_are_measured_in_both_forms_on_the_same_images():
    evaluator, small = JointEvaluator("fmnist-vit", "fmnist-vit"), network("fmnist-vit").smallest()
    assert evaluator.has_exact()
    coarse = small | {"adc_bits": 3, "rows": 256, "dac_bits": 4, "cell_bits": 2}
    source = ShippedAccuracy("fmnist-vit")
    exact, equivalent = (source.measure(coarse, "test", exact=e, images=100) for e in (True, False))
    assert evaluator.exact_difference(coarse, 100) == exact - equivalent
    assert not JointEvaluator("vit-b", published.names()[0]).has_exact()
