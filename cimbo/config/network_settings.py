"""What the table [network] of a study says beside the family: runs, bits of stages, and how far these fit its accuracy."""

from __future__ import annotations

from cimbo.config.genes import read_gene
from cimbo.config.tables import HardwareTable, NetworkTable, Scalar
from cimbo.errors import BadInput
from cimbo.evaluation.accuracy import published
from cimbo.workloads.inference import InferenceSettings
from cimbo.workloads.precision import GENE_NAMES, STAGE_BITS


def inference_settings(table: NetworkTable) -> InferenceSettings:
    """Gather what one run of the study's network is asked for.

    Args:
        table: What the study says of its network.

    Returns:
        Inferences, tokens, shares of bits that are one, and copies of layers.
    """
    activity = table.activity or ()
    return InferenceSettings(table.batch, table.prompt, table.tokens, activity, table.copies)


def stage_bits(table: NetworkTable) -> tuple[int, ...]:
    """List what the bits of a stage may be.

    Args:
        table: What the study says of its network.

    Returns:
        Numbers of bits; none where every stage has the chip's.

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
    """Check that a modelled accuracy knows the bits of the operands.

    Args:
        accuracy: Name of the source of accuracy; one that measures takes any bits.
        network: What the study says of its network.
        hardware: What the study says of its hardware.

    Raises:
        BadInput: For operands of bits that the model knows nothing of.
    """
    if accuracy not in published.names():
        return
    if network.precision == "stage":
        raise published.unknown_bits(accuracy, "network.precision", network.precision)
    for gene in GENE_NAMES:
        _check_gene_bits(accuracy, gene, hardware)


def _check_gene_bits(accuracy: str, gene: str, hardware: HardwareTable) -> None:
    for value in _listed_values(gene, hardware):
        if value not in published.KNOWN_BITS:
            raise published.unknown_bits(accuracy, f"hardware, {gene}", value)


def _listed_values(gene: str, hardware: HardwareTable) -> list[Scalar]:
    """What the study says that a gene of the chip may be, or is."""
    listed: list[Scalar] = []
    if gene in hardware.genes:
        listed.extend(read_gene(gene, hardware.genes[gene]).values)
    if gene in hardware.fixed:
        listed.append(hardware.fixed[gene])
    return listed
