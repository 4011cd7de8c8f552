"""What arrays make of products: signal to noise as measured elsewhere, products by hand, the equivalent form beside them."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cimbo import BadInput
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.shipped import ShippedAccuracy
from cimbo.evaluation.joint import JointEvaluator
from cimbo.hardware import BASELINE_CHIP
from cimbo.hardware.array_description import WEIGHT_ENCODINGS, ArrayDescription, describe_array
from cimbo.hardware.cell_errors import ArrayConditions, rram_levels
from cimbo.supernets import quantisation
from cimbo.supernets.array_instance import ArrayInstance, arrays
from cimbo.supernets.bit_accurate import BitAccurateMVM
from cimbo.supernets.deployment import ArrayConv
from cimbo.supernets.die import N_IMAGE_ERROR_INPUTS, Die
from cimbo.supernets.equivalent_noise import equivalent_noise
from cimbo.supernets.measurement import deployed, logits
from cimbo.supernets.output_noise import OutputNoise, signal_to_noise_db
from cimbo.supernets.recipes import SUPERNET_CLASSES
from cimbo.supernets.transformer_functions import attention
from cimbo.workloads import network

NAMES = ["fmnist-mobilenet", "fmnist-vit"]
WHOLE = {"cell_bits": 8, "dac_bits": 8}  # one pulse, one cell a weight: nothing is sliced


def gaussian(samples: int, outputs: int, rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(1, samples, rows, generator=draw), torch.randn(
        1, outputs, rows, generator=draw
    )


def silent(bits: int, rows: int = 128, **genes) -> ArrayDescription:
    """An array whose converters and cells do not err: signed word lines, two cells a digit, unless ``genes`` say else."""
    usual = {"encoding": "differential", "signed_inputs": 1, "adc_range": "layer_and_digit"}
    found = describe_array({"rows": rows, "adc_bits": bits, **usual, **genes})
    return replace(found, noise_lsb=0.0, inl_lsb=0.0, offset_lsb=0.0, sum_noise=0.0, cell_levels=())


def noisy_cells(array: ArrayDescription, share: float) -> ArrayDescription:
    """Cells off by ``share`` of full scale, as the difference of two is."""
    return replace(array, cell_noise=share / 2**0.5)


def written(
    array: ArrayDescription, inputs: Tensor, weight: Tensor, seed: int = 0
) -> BitAccurateMVM:
    product = Die(ArrayInstance(array, seed), 1).product(weight, common=False)
    product.calibrate(inputs)
    return product


def quality_db(chip: ArrayDescription, inputs: Tensor, weight: Tensor) -> float:
    return signal_to_noise_db(inputs @ weight.mT, written(chip, inputs, weight)(inputs))


# ---- golden: a layer of 197 x 768 x 2304, Gaussian data, run with other code -------------------------------------------


@pytest.fixture
def unclipped(monkeypatch: pytest.MonkeyPatch):
    """That other code lets the largest activation set the range."""
    monkeypatch.setattr(quantisation, "CLIP_FRACTIONS", (1.0,))


@pytest.mark.parametrize(("bits", "expected_db"), [(4, 16.6), (5, 22.5), (6, 28.1), (8, 35.6)])
@pytest.mark.parametrize("rows", [64, 256])
@pytest.mark.usefixtures("unclipped")
def test_signal_to_noise_of_converters(bits: int, rows: int, expected_db: float):
    found = quality_db(silent(bits, rows, **WHOLE), *gaussian(197, 256, 768))
    assert found == pytest.approx(expected_db, abs=0.3)


@pytest.mark.parametrize(("cell_noise", "expected_db"), [(0.01, 28.5), (0.02, 23.1), (0.05, 15.4)])
@pytest.mark.usefixtures("unclipped")
def test_signal_to_noise_of_cells(cell_noise: float, expected_db: float):
    found = quality_db(noisy_cells(silent(8, 256, **WHOLE), cell_noise), *gaussian(197, 256, 768))
    assert found == pytest.approx(expected_db, abs=0.3)


# ---- the bit-accurate form ------------------------------------------------------------------------------------------


def digit(number: int, place: int, bits: int) -> int:
    return number >> (place * bits) & (2**bits - 1)


def by_hand(product: BitAccurateMVM, inputs: np.ndarray, weight: np.ndarray) -> float:
    """One output of whole inputs and whole weights, input step by step, block by block, slice by slice."""
    array, total = product.array, 0.0
    differential = array.encoding == "differential"
    for i, converter in enumerate(product.converters):
        for j, (step, most) in enumerate(
            zip(converter.step[0].tolist(), converter.largest_code[0].tolist(), strict=True)
        ):
            place = 2 ** (i * array.dac_bits + j * array.cell_bits)
            if array.encoding == "twos_complement" and j == len(product.places) - 1:
                place = -place
            for start in range(0, len(inputs), array.rows_active):
                partial = 0
                for x, w in zip(
                    inputs[start : start + array.rows_active],
                    weight[start : start + array.rows_active],
                    strict=True,
                ):
                    if differential:
                        driven = np.sign(x) * digit(abs(x), i, array.dac_bits)
                        held = np.sign(w) * digit(abs(w), j, array.cell_bits)
                    else:
                        driven = digit(x + product.range.zero_point, i, array.dac_bits)
                        offset = int(product.weight_offset)
                        code = w + offset if offset else w % 2**array.weight_bits
                        held = digit(code, j, array.cell_bits)
                    partial += driven * held
                lowest = -most - 1 if differential else 0
                total += place * step * max(lowest, min(most, np.round(partial / step)))
    if not differential:
        raised = inputs + product.range.zero_point
        total -= product.weight_offset * raised.sum() + product.range.zero_point * weight.sum()
    return total


KINDS = [
    (3, 4, {}),
    (3, 3, {"cell_bits": 2, "dac_bits": 4}),
    (4, 16, {"cell_bits": 1, "dac_bits": 2, "adc_range": "fixed"}),
    (3, 4, {"encoding": "twos_complement", "signed_inputs": 0, "adc_range": "layer"}),
    (4, 5, {"encoding": "offset", "signed_inputs": 0, "cell_bits": 2}),
    (4, 6, {"encoding": "twos_complement", "signed_inputs": 1, "dac_bits": 2}),
    (3, 10, {"encoding": "twos_complement", "rows_active": 4, "signed_inputs": 0}),
]


@pytest.mark.parametrize(("bits", "rows", "genes"), KINDS)
def test_the_bit_accurate_form_by_hand(bits: int, rows: int, genes: dict):
    rng = np.random.default_rng(0)
    inputs, weight = rng.integers(-127, 128, (6, 10)), rng.integers(-127, 128, (2, 10))
    inputs[0, :2], weight[:, 0] = (127, -127), -127  # so that a step of inputs and weights is known
    x, w = (torch.tensor(v, dtype=torch.float32)[None] for v in (inputs, weight))
    product = written(silent(bits, rows, **genes), x, w)
    product.converters = [  # no sum lies halfway between two codes
        replace(c, step=1.0137 * c.step) for c in product.converters
    ]
    whole = (product.range.whole(x) - product.range.zero_point)[0].numpy().astype(int)
    expected = [[by_hand(product, row, column) for column in weight] for row in whole]
    found = product(x)[0].numpy() / product.range.scale
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("policy", ["fixed", "layer", "layer_and_digit"])
@pytest.mark.parametrize(("cells", "inputs"), [(1, 1), (2, 4), (8, 8)])
@pytest.mark.parametrize("encoding", WEIGHT_ENCODINGS)
def test_many_bits_read_every_sum_as_it_is(encoding: str, cells: int, inputs: int, policy: str):
    genes = {"cell_bits": cells, "dac_bits": inputs, "encoding": encoding, "adc_range": policy}
    x, w = gaussian(20, 6, 150)
    for signed in (0, 1):
        product = written(silent(16, 64, **genes, signed_inputs=signed), x, w)
        product.converters = [replace(c, largest_code=1e9 * c.step) for c in product.converters]
        product.converters = [replace(c, step=torch.ones_like(c.step)) for c in product.converters]
        rounded = product.range.quantise(x)
        torch.testing.assert_close(product(x), rounded @ product.weight.mT, rtol=1e-4, atol=1e-2)
        assert signal_to_noise_db(x @ w.mT, product(x)) > 33  # 8-bit operands are left


def test_noise_of_half_a_step_decides_and_a_fine_converter_reads_through_it():
    data = gaussian(100, 16, 192)
    coarse, fine = (silent(bits, 64, adc_range="fixed", signed_inputs=0) for bits in (6, 10))
    quiet, loud = (quality_db(replace(coarse, noise_lsb=n), *data) for n in (0.0, 0.5))
    assert quiet > loud + 3
    assert quality_db(replace(fine, noise_lsb=0.5), *data) > 30


@pytest.mark.parametrize("field", ["noise_lsb", "inl_lsb", "offset_lsb", "cell_noise"])
@pytest.mark.parametrize("encoding", WEIGHT_ENCODINGS)
def test_every_error_costs_quality(field: str, encoding: str):
    data = gaussian(100, 16, 192)
    array = silent(6, 64, encoding=encoding, signed_inputs=0, adc_range="layer")
    found = [quality_db(replace(array, **{field: much}), *data) for much in (0.0, 0.3, 1.0)]
    assert (
        found[0] >= found[1] > found[2]
    )  # whole sums are read through what is less than half a step


@pytest.mark.parametrize("rows", [32, 256])
@pytest.mark.parametrize("policy", ["fixed", "layer", "layer_and_digit"])
@pytest.mark.parametrize(("cells", "inputs"), [(1, 1), (2, 2), (1, 4), (8, 8)])
def test_more_bits_are_never_worse(rows: int, policy: str, cells: int, inputs: int):
    data = gaussian(60, 16, 300)
    genes = {"cell_bits": cells, "dac_bits": inputs, "adc_range": policy}
    found = [quality_db(silent(b, rows, **genes), *data) for b in range(3, 13)]
    assert all(more >= fewer - 0.02 for fewer, more in pairwise(found))
    assert found[-1] > found[0] + 3


def test_one_bit_operands_are_signs():
    x, w = gaussian(5, 3, 20)
    product = written(silent(12, 64, weight_bits=1, act_bits=1), x, w)
    assert set((product.weight / product.scale).unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert torch.isfinite(product(x)).all()


def test_rows_matter_where_the_range_is_fixed_and_hardly_where_it_is_calibrated():
    def spread(bits: int, policy: str) -> float:
        data = gaussian(60, 16, 512)
        few, many = (
            quality_db(silent(bits, rows, **WHOLE, adc_range=policy), *data) for rows in (64, 256)
        )
        return few - many

    assert spread(10, "fixed") > 4  # half a bit each doubling
    assert abs(spread(5, "layer")) < 0.4


# ---- the equivalent form ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [4, 6])
@pytest.mark.parametrize(
    "more",
    [{}, {"cell_bits": 2, "dac_bits": 4}, WHOLE, {"adc_range": "fixed"}, {"encoding": "offset"}],
)
@pytest.mark.parametrize("errors", [{}, {"cell_noise": 0.05}, {"noise_lsb": 0.3, "inl_lsb": 0.3}])
def test_the_equivalent_noise_is_as_large_as_the_exact_error(bits: int, more: dict, errors: dict):
    x, w = gaussian(400, 16, 300)
    chip = replace(silent(bits, 128, **more), **errors)
    product = written(chip, x[:, :128], w)
    product.calibrate(x[:, :128], x)
    found = equivalent_noise(product, x[:, :128])
    plain, exact = x[:, 128:] @ product.weight.mT, product(x[:, 128:])
    numbers = torch.arange(plain.shape[1]) % len(found.errors)  # each of them as often
    equivalent = found.gain * plain + found.offset + found.errors[numbers]
    if found.slope is not None:
        equivalent += x[:, 128:] @ found.slope.mT
    assert signal_to_noise_db(plain, equivalent) == pytest.approx(
        signal_to_noise_db(plain, exact), abs=0.8
    )


def test_what_positions_of_an_image_are_off_by_in_common_is_told_from_the_rest():
    chip, (x, w) = silent(4, 128), gaussian(1600, 16, 300)
    product = written(chip, x[:, :200], w)
    for alike, share in ((0.0, 0.0), (1.0, 1.0)):
        image, own = x[:, :200].repeat_interleave(8, 1), x
        found = equivalent_noise(product, alike * image + (1 - alike) * own, 8)
        whole = found.common.square().mean() + found.errors.square().mean()
        assert (found.common.square().mean() / whole).item() == pytest.approx(share, abs=0.03)
        alone = equivalent_noise(product, x).errors
        assert whole.sqrt().item() == pytest.approx(alone.square().mean().sqrt().item(), rel=0.1)


def test_samples_by_image_are_positions_of_images_side_by_side():
    for images, positions, each in ((250, 49, 8), (40, 1, 1), (20, 5, 5)):
        numbers, found = Die(ArrayInstance(silent(4))).sample_by_image(images, positions)
        rows = (numbers // positions).view(-1, each)
        assert found == each
        assert (
            len(numbers.unique())
            == len(numbers)
            == each * min(images, N_IMAGE_ERROR_INPUTS // each)
        )
        assert (rows == rows[:, :1]).all()
        assert rows[-1, 0] >= images - images // len(rows) - 1  # spread over all images


def test_both_forms_set_their_converters_by_the_same_inputs():
    """A die that measures its errors between two layers draws for the second what one that does not measure draws."""
    measuring, computing = (Die(ArrayInstance(silent(4)), exact=exact) for exact in (False, True))
    assert measuring.sample(5000).equal(computing.sample(5000))
    measuring.error_sample(5000)
    measuring.sample_by_image(50, 49)
    assert measuring.sample(3000).equal(computing.sample(3000))


@pytest.mark.parametrize("geometry", [{}, {"stride": 2}, {"padding": 2, "groups": 6}])
def test_windows_are_those_of_the_convolution(geometry: dict):
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(3, 6, 9, 8, generator=draw)
    weight = torch.randn(12, 6 // geometry.get("groups", 1), 5, 5, generator=draw)
    layer = ArrayConv(weight, torch.zeros(12), **geometry)
    every = layer._inputs(images)
    at = torch.tensor([0, 7, 1, every.shape[1] - 1])
    assert layer._windows_at(images, at).equal(every[:, at])


def test_dies_share_the_samples_that_their_noise_is_measured_by():
    one, several = ArrayInstance(silent(5)), ArrayInstance(noisy_cells(silent(5), 0.1))
    shares = [Die(several, number).sample(10**6) for number in range(several.n_dies)]
    assert several.n_dies > 1
    assert sum(map(len, shares)) == len(Die(one).sample(10**6))
    assert len(torch.cat(shares).unique()) > len(shares[0])  # each looks at inputs of its own


def test_arrays_of_a_design():
    assert arrays({"depth": 3}, 0, ideal=True) is None
    digital = arrays({"array": "digital_sram", "adc_bits": 4}, 0, ideal=True)
    assert digital.array.is_digital
    assert digital.n_dies == 1
    sram, rram = (
        arrays({"array": kind, "adc_bits": 4, "rows": 64}, 0, ideal=True)
        for kind in ("analog_sram", "rram")
    )
    assert (sram.array.adc_bits, sram.array.rows, sram.array.cells_err) == (4, 64, False)
    assert rram.array.cells_err
    assert rram.n_dies > 2


def test_described_converters_cost_what_ideal_ones_do_not():
    large = network("fmnist-vit").largest()
    ideal, described = (ShippedAccuracy("fmnist-vit", kind) for kind in ("ideal", "described"))
    coarse = large | {"array": "charge_sram", "adc_bits": 5, "rows": 128}
    fine = large | {"array": "charge_sram", "adc_bits": 10, "rows": 64}
    assert ideal.measure(coarse, images=500) > described.measure(coarse, images=500) + 30
    assert described.measure(fine, images=500) == pytest.approx(
        ideal.measure(fine, images=500), abs=1.0
    )
    with pytest.raises(BadInput, match=r"network\.options\.converters: is 'none'"):
        ShippedAccuracy("fmnist-vit", "none")


def test_digital_arrays_round_their_operands():
    source, large = ShippedAccuracy("fmnist-vit"), network("fmnist-vit").largest()

    def measured(bits: int) -> float:
        chip = {"array": "digital_sram", "weight_bits": bits, "act_bits": bits}
        return source.measure(large | chip, images=1000)

    floating = source.measure(large, images=1000)
    assert measured(8) == pytest.approx(floating, abs=0.6)
    assert measured(1) < 20  # chance is 10
    assert measured(2) < measured(4)


@pytest.mark.parametrize("name", NAMES)
def test_networks_on_a_die(name: str):
    torch.manual_seed(0)
    supernet, images = SUPERNET_CLASSES[name]().eval(), torch.randn(24, 1, 28, 28)
    subnet = network(name).smallest()

    def off(array: ArrayDescription, number: int = 0, exact: bool = False) -> Tensor:
        die = Die(ArrayInstance(array), number, exact=exact)
        return logits(deployed(supernet, subnet, images, die), images) - clean

    clean = logits(deployed(supernet, subnet, images), images)
    genes = {"cell_bits": 2, "dac_bits": 2}
    few = noisy_cells(silent(4, 128, **genes), 0.02)
    many = silent(16, 128, **genes, weight_bits=14, act_bits=14)
    torch.testing.assert_close(off(few), off(few), rtol=0, atol=0)
    assert not torch.equal(off(few), off(few, 1))
    for exact in (False, True):
        assert 0 < off(many, exact=exact).std() < 0.01 * clean.std() < off(few, exact=exact).std()


@pytest.mark.parametrize("name", NAMES)
def test_the_last_layer_is_bit_accurate_in_either_form(name: str):
    torch.manual_seed(0)
    supernet, images = SUPERNET_CLASSES[name]().eval(), torch.randn(24, 1, 28, 28)
    die = Die(ArrayInstance(noisy_cells(silent(5, 32), 0.05)), 0)
    ready = deployed(supernet, network(name).smallest(), images, die)
    with torch.no_grad():
        features = ready.features(images[:8])
        found = ready.head(torch.cat([features, features]))
    plain = F.linear(features, supernet.head.weight[:, : features.shape[1]], supernet.head.bias)
    assert (found[:8] - plain).std() > 0.01 * plain.std()
    # No error of it is drawn: behind converters without noise equal inputs meet equal errors.
    torch.testing.assert_close(found[:8], found[8:], rtol=0, atol=0)


def test_an_accuracy_is_a_function_of_the_genes_that_shape_it():
    source, small = ShippedAccuracy("fmnist-vit"), network("fmnist-vit").smallest()
    chip = {"adc_bits": 4, "rows": 256, "array": "rram"}
    first = source.measure(small | chip)
    assert source.measure(small | chip | {"pes": 64, "columns_per_adc": 8}) == first
    assert source.measure(small | {"adc_bits": 8, "rows": 64}) > first


def test_the_exact_form_is_measured_where_there_is_one():
    evaluator = JointEvaluator("fmnist-vit", "fmnist-vit", fixed={"array": "digital_sram"})
    small = network("fmnist-vit").smallest()
    digital = small | {"array": "digital_sram"}
    assert evaluator.on_bit_accurate_arrays(small) == ShippedAccuracy("fmnist-vit").measure(digital)
    with pytest.raises(BadInput, match="has no exact form"):
        JointEvaluator("vit-b", published.names()[0]).on_bit_accurate_arrays({})


@pytest.mark.parametrize("more", [{}, {"cell_bits": 2, "dac_bits": 4}, WHOLE, {"cell_noise": 0.05}])
def test_noise_to_train_under_has_a_gradient_and_the_size_of_the_exact_error(more: dict):
    errors = {"cell_noise": more["cell_noise"]} if "cell_noise" in more else {}
    genes = {name: value for name, value in more.items() if name not in errors}
    chip, (x, w) = replace(silent(4, 128, **genes), **errors), gaussian(400, 16, 300)
    product = (x @ w.mT).requires_grad_()
    delivered = OutputNoise(chip).product(product, 300)
    exact = written(chip, x, w)(x)
    assert signal_to_noise_db(product, delivered) == pytest.approx(
        signal_to_noise_db(product, exact), abs=0.8
    )
    delivered.sum().backward()
    torch.testing.assert_close(product.grad, torch.ones_like(product))


def test_finalists_are_measured_in_both_forms_on_the_same_images():
    evaluator, small = JointEvaluator("fmnist-vit", "fmnist-vit"), network("fmnist-vit").smallest()
    assert evaluator.has_bit_accurate()
    coarse = small | {"adc_bits": 3, "rows": 256, "dac_bits": 4, "cell_bits": 2}
    source = ShippedAccuracy("fmnist-vit")
    exact, equivalent = (source.measure(coarse, "test", exact=e, images=100) for e in (True, False))
    assert evaluator.bit_accurate_difference(coarse, 100) == exact - equivalent
    assert not JointEvaluator("vit-b", published.names()[0]).has_bit_accurate()


# ---- cells ------------------------------------------------------------------------------------------------------------


def test_cells_hold_what_their_levels_say():
    array = replace(silent(8, 64, cell_bits=2, encoding="offset"), cell_levels=rram_levels(86400.0))
    _, w = gaussian(1, 400, 50)
    clean = Die(ArrayInstance(silent(8, 64, cell_bits=2, encoding="offset"))).product(
        w, common=False
    )
    off = (Die(ArrayInstance(array)).product(w, common=False).cells - clean.cells) / 3
    for level, deviation in ((0, 0.0175), (1, 0.099), (2, 0.089), (3, 0.0663)):
        held = off[clean.cells == level]
        assert held.mean().item() == pytest.approx(0, abs=0.004)
        assert held.std().item() == pytest.approx(deviation, rel=0.05)


def test_stuck_cells_hold_nothing_or_everything():
    array = replace(silent(8, 64, encoding="offset"), stuck_cells=0.2)
    cells = Die(ArrayInstance(array)).product(torch.zeros(1, 100, 100), common=False).cells
    assert set(cells.unique().tolist()) == {0.0, 1.0}
    highest = cells[..., -1]  # a weight of zero is a one in the highest cell alone
    assert (highest == 0).double().mean().item() == pytest.approx(0.1, abs=0.01)
    assert (cells[..., 0] == 1).double().mean().item() == pytest.approx(0.1, abs=0.01)


OTHER_FIELDS = {
    "cell_levels": rram_levels(86400.0),
    "stuck_cells": 0.05,
    "sum_noise": 2.0,
    "cell_noise": 0.1,
    "noise_lsb": 1.0,
    "inl_lsb": 1.0,
    "offset_lsb": 1.0,
    "encoding": "differential",
    "signed_inputs": True,
    "range_policy": "fixed",
    "rows_active": 16,
    "weight_bits": 4,
    "act_bits": 4,
    "cell_bits": 4,
    "columns_summed": 4,
    "dac_bits": 4,
    "adc_bits": 6,
}
HARMLESS_FIELDS = {
    "rows": "what is summed at once is rows_active; where one array ends and the next begins changes no sum of a whole block",
    "family": "decides the other fields, by which the errors are computed; digital arrays have no converter at all",
}


@pytest.mark.parametrize("name", OTHER_FIELDS)
def test_every_field_of_a_description_changes_what_an_array_delivers(name: str):
    array = silent(5, 64, signed_inputs=0, adc_range="layer", encoding="offset")
    x, w = gaussian(20, 4, 150)
    changed = replace(array, **{name: OTHER_FIELDS[name]})
    assert not torch.equal(written(array, x, w)(x), written(changed, x, w)(x))


def test_every_field_of_a_description_is_seen_by_the_accuracy_or_listed_with_a_reason():
    """A new field has to be put into one of the two lists."""
    assert not OTHER_FIELDS.keys() & HARMLESS_FIELDS.keys()
    listed = OTHER_FIELDS.keys() | HARMLESS_FIELDS.keys()
    assert listed == {field.name for field in fields(ArrayDescription)}


def test_where_an_array_ends_changes_no_sum():
    array = silent(5, 64, rows_active=16)
    x, w = gaussian(20, 4, 150)
    longer = replace(array, rows=128)
    assert torch.equal(written(array, x, w)(x), written(longer, x, w)(x))


@pytest.mark.parametrize("encoding", WEIGHT_ENCODINGS)
def test_columns_that_are_summed_are_read_as_one_cell_of_their_bits(encoding: str):
    """Where cells hold what was written, four columns of one bit are a column of four."""
    one = silent(5, 64, encoding=encoding)
    x, w = gaussian(20, 4, 150)
    summed, whole = (replace(one, **genes) for genes in ({"columns_summed": 4}, {"cell_bits": 4}))
    assert summed.largest_sum == whole.largest_sum
    assert torch.equal(written(summed, x, w)(x), written(whole, x, w)(x))


def test_an_age_and_dies_are_conditions_of_an_accuracy():
    large = network("fmnist-vit").largest() | {"array": "rram", "adc_bits": 10, "rows": 64}
    fresh, old = (
        ShippedAccuracy("fmnist-vit", "described", ArrayConditions(age=age))
        for age in ("1 s", "1 month")
    )
    assert fresh.measure(large, images=400) > old.measure(large, images=400)
    found = old.by_die(large, n_dies=3, images=200)
    assert len(set(found)) > 1


def test_the_accuracy_that_most_dies_reach_is_a_metric():
    evaluator = JointEvaluator("fmnist-vit", "fmnist-vit", more_costs=("accuracy_p05",))
    digital = network("fmnist-vit").smallest() | BASELINE_CHIP | {"array": "digital_sram"}
    found = evaluator(digital)
    assert found["accuracy_p05"] == found["accuracy"]  # such dies are all alike
    analog = digital | {"array": "charge_sram", "adc_bits": 5}
    behind_converters = evaluator(analog)
    least = behind_converters["accuracy"] - 20
    assert least < behind_converters["accuracy_p05"] < behind_converters["accuracy"]
    assert "accuracy_p05" not in evaluator.analytic_costs()  # it is measured, and never computed
    with pytest.raises(BadInput, match="accuracy_p05: is not measured by"):
        JointEvaluator("vit-b", published.names()[0], more_costs=("accuracy_p05",)).check()


@pytest.mark.parametrize("size", [1.0, 60.0, 3000.0])
def test_attention_is_a_softmax_at_every_size_of_its_scores(size):
    draw = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(4, 9, 16, generator=draw) for _ in range(3))
    query = query * size
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    delivered = attention(query.clone(), key, value)
    assert torch.allclose(delivered, expected, atol=1e-4)


@pytest.mark.parametrize("adc_bits", [1, 2])
def test_converters_of_hardly_any_bits_are_at_chance_and_no_failure(adc_bits):
    chip = {"array": "charge_sram", "rows": 32, "adc_bits": adc_bits}
    measured = ShippedAccuracy("fmnist-vit").measure(
        {**network("fmnist-vit").smallest(), **chip}, images=200
    )
    assert 0 <= measured < 40


def test_no_accuracy_is_measured_where_analog_arrays_would_hold_attention():
    analog = {"array": "charge_sram", "adc_bits": 8, "zigzag_counting": 1}
    with pytest.raises(BadInput, match="zigzag_counting: is 1"):
        arrays(analog, 0, ideal=False)
    assert arrays({"array": "digital_sram", "zigzag_counting": 1}, 0, ideal=False)
