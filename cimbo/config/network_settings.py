"""Settings in the table [network] of a study: those of a run, and the bits of stages, with a check against its accuracy."""

from __future__ import annotations

from cimbo.config.genes import read_gene
from cimbo.config.tables import HardwareTable, NetworkTable, Scalar
from cimbo.errors import BadInput
from cimbo.evaluation.accuracy import published
from cimbo.workloads.inference import InferenceSettings
from cimbo.workloads.precision import GENE_NAMES, STAGE_BITS


def inference_settings(table: NetworkTable) -> InferenceSettings:
    """Gather the settings of one run of the study's network.

    Args:
        table: What the study says of its network.

    Returns:
        Number of inferences and tokens, shares of bits that are one, and copies of layers.
    """
    activity = table.activity or ()
    return InferenceSettings(table.batch, table.prompt, table.tokens, activity, table.copies)


def stage_bits(table: NetworkTable) -> tuple[int, ...]:
    """List the numbers of bits that a stage of the network may have.

    Args:
        table: What the study says of its network.

    Returns:
        Numbers of bits; none where every stage has those of the chip.

    Raises:
        BadInput: Where the study gives stages bits of their own and lists none.
    """
    if table.precision == "chip":
        return ()
    if table.stage_bits is None:
        return STAGE_BITS
    if not table.stage_bits:
        raise BadInput("network.stage_bits", "lists nothing", "give bits such as [4, 8]")
    return tuple(table.stage_bits)


def check_bits(accuracy: str, network: NetworkTable, hardware: HardwareTable) -> None:
    """Check that a published model of accuracy covers the bits of weights and activations.

    Args:
        accuracy: Name of the source of accuracy; one that measures accuracy takes any bits.
        network: What the study says of its network.
        hardware: What the study says of its hardware.

    Raises:
        BadInput: For a number of bits that the model does not cover.
    """
    if accuracy not in published.names():
        return
    if network.precision == "stage":
        raise published.unknown_bits(accuracy, "network.precision", network.precision)
    for gene in GENE_NAMES:
        _check_gene_bits(accuracy, gene, hardware)


def _check_gene_bits(accuracy: str, gene: str, hardware: HardwareTable) -> None:
    """Refuse a gene of bits with a value that the model of accuracy does not cover."""
    for value in _listed_values(gene, hardware):
        if value not in published.KNOWN_BITS:
            raise published.unknown_bits(accuracy, f"hardware, {gene}", value)


def _listed_values(gene: str, hardware: HardwareTable) -> list[Scalar]:
    """The values that the study gives to a gene of the chip, searched or fixed; none where it gives none."""
    values: list[Scalar] = []
    if gene in hardware.genes:
        values.extend(read_gene(gene, hardware.genes[gene]).values)
    if gene in hardware.fixed:
        values.append(hardware.fixed[gene])
    return values
