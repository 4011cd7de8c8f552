"""``cimbo robust`` and ``cimbo portfolio``: how sure a front is, and one chip for several networks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from cimbo.cli.fixed_genes import fixed_genes, number_or_word
from cimbo.cli.grouped import command
from cimbo.cli.options import (
    at_least_one,
    existing,
    existing_to_write,
    json_object,
    study_option,
)
from cimbo.cli.output import emit, format_option, say
from cimbo.errors import BadInput, choose_from

UNLESS_FIXED = {
    "adc_bits": 6
}  # genes that every chip of a portfolio keeps where --fix says nothing


def _share(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not 0 <= value < 10:
        todo = "give a relative standard deviation such as 0.2"
        raise BadInput(f"--{param.name}", f"is {value}", todo)
    return value


@command()
@click.option(
    "--bandwidth",
    type=float,
    default=0.2,
    show_default=True,
    callback=_share,
    help="Relative standard deviation of every bandwidth.",
)
@click.option(
    "--adc-energy",
    type=float,
    default=0.3,
    show_default=True,
    callback=_share,
    help="Of the energy a conversion takes.",
)
@click.option(
    "--accuracy",
    type=float,
    default=0.005,
    show_default=True,
    callback=_share,
    help="Of an accuracy; on 5,000 images a binomial count at 88 % has 0.005.",
)
@click.option(
    "--silicon",
    type=float,
    is_flag=False,
    flag_value=1.0,
    default=1.0,
    metavar="[DEVIATIONS]",
    show_default=True,
    callback=_share,
    help="How far area, cycle, energy and leakage are off, in standard deviations of published chips.",
)
@click.option(
    "--metrics",
    type=float,
    default=0.05,
    show_default=True,
    callback=_share,
    help="Of each other metric, design by design, where cimbo's chip model does not know the chips.",
)
@click.option(
    "--draws",
    type=int,
    default=200,
    show_default=True,
    callback=at_least_one,
    help="How many times errors are drawn.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@click.option(
    "--noise-lsb",
    default=None,
    metavar="LEVELS",
    help="Measure the front's accuracy at these noises of its converters instead, such as 0,0.5,1,2.",
)
@study_option
@format_option
def robust(
    *, draws: int, seed: int, noise_lsb: str | None, file: str, style: str, **errors: float
) -> None:
    """Estimate the chance of each design to stay on the front if bandwidths, ADC energy and accuracies are off.

    Every verified design is simulated again with the wrong figures; nothing is measured. With --noise-lsb the front is
    measured on images again, its converters' readings varying by so many of their steps.

    Example: cimbo robust --bandwidth 0.3 --study demo.db
    """
    if noise_lsb is not None:
        _noise_sweep(noise_lsb, file, style)
        return
    with existing(file) as session:
        found = session.robustness(**errors, draws=draws, seed=seed)
    _refuse_unused(found.drawn, errors)
    emit(style, [design.to_json() for design in found.designs], found.to_json())
    stated = _deviations(found.drawn, errors)
    say(f"chance to be on the front over {draws} draws; relative standard deviations: {stated}")


def _refuse_unused(drawn: Sequence[str], errors: Iterable[str]) -> None:
    """Raises BadInput for an error that was asked for and drawn in no design of this study."""
    context = click.get_current_context()
    for name in errors:
        is_asked = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name not in drawn and is_asked:
            what = "has no effect here: cimbo's chip model does not know the chips of this study"
            todo = "give --metrics, an error of whole metrics"
            if name == "metrics":
                what = "has no effect here: cimbo's chip model knows the chips of this study"
                todo = "give --silicon, --bandwidth or --adc-energy"
            raise BadInput(f"--{name.replace('_', '-')}", what, todo)


def _deviations(drawn: Iterable[str], errors: Mapping[str, float]) -> str:
    """The errors that were drawn, in words."""
    return ", ".join(f"{name.replace('_', ' ')} {errors[name]:.2g}" for name in drawn)


def _noise_levels(text: str) -> list[float]:
    """The numbers of a list with commas. Raises BadInput where it is none."""
    try:
        return [float(level) for level in text.split(",")]
    except ValueError:
        todo = "give numbers with commas between them, such as 0,0.5,1,2"
        raise BadInput("--noise-lsb", f"is {text}", todo) from None


def _noise_sweep(levels: str, file: str, style: str) -> None:
    asked = _noise_levels(levels)
    with existing_to_write(file) as session:
        found = session.noise_sweep(asked)
    emit(style, found.rows(), found.to_json())
    say(
        f"accuracy in percent on {found.images} validation images, by the converters' noise in steps"
    )


@command()
@click.argument("networks", nargs=-1, required=True)
@click.option(
    "--weights",
    default=None,
    help="How often each network runs, such as 3,1 [default: equally often].",
)
@click.option(
    "--area", "area_mm2", type=float, required=True, help="The largest chip allowed, in mm2."
)
@click.option(
    "--metric",
    type=click.Choice(["latency_ms", "energy_uj"]),
    default="latency_ms",
    show_default=True,
    help="What a network costs.",
)
@click.option(
    "--fix",
    "fixes",
    multiple=True,
    metavar="GENE=VALUE|@FILE",
    help="Keep a gene of the chip, or all that the chip in a file has. adc_bits stays at 6 unless it is given.",
)
@click.option(
    "--samples",
    type=int,
    default=20_000,
    show_default=True,
    callback=at_least_one,
    help="Chips to sample before improving the best.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the samples.")
@study_option
@format_option
def portfolio(
    *,
    networks: tuple[str, ...],
    weights: str | None,
    fixes: tuple[str, ...],
    file: str,
    style: str,
    **limits: Any,
) -> None:
    """Find one chip for several networks: best in the worst case, in the weighted mean, and in regret.

    NETWORKS are families (their largest network), NAME={GENES as JSON or @FILE}, ONNX files, timm:NAME or hf:NAME, or keys
    of a study's designs. Accuracy is
    not looked at, so the genes that shape it stay fixed.

    Example: cimbo portfolio vit-b bert-base --area 200
    """
    from cimbo.session import decision

    shares = _weights(weights, len(networks))
    fixed = _with_kept_accuracy(_fixed(fixes))
    settings = decision.PortfolioSettings(weights=shares, fixed=fixed, **limits)
    if len(set(networks)) < len(networks):
        todo = "give it a larger weight instead: --weights 2,1"
        raise BadInput("NETWORKS", "name one twice", todo)
    workloads = {name: _workload(name, file) for name in networks}
    found = decision.portfolio(workloads, settings)
    emit(style, [chip.row() for chip in found.chips], found.to_json())
    if found.sharing_costs_nothing:
        told = "one chip is the best for each network alone too: sharing it costs nothing"
        say(told)


def _workload(label: str, file: str) -> Any:
    from cimbo.session import decision

    name, _, text = label.partition("=")
    genes = None
    if text:
        genes = json_object(name, text)
    found = decision.portfolio_workload(name, genes=genes, study=file)
    return decision.named_workload(label, found)


def _weights(text: str | None, n: int) -> list[float]:
    if text is None:
        return []
    try:
        weights = [float(word) for word in text.split(",")]
    except ValueError:
        weights = []
    if len(weights) != n or not all(0 < weight < math.inf for weight in weights):
        what = f"{text!r} is not {n} positive numbers"
        raise BadInput("--weights", what, "give one for each network, as 3,1")
    return weights


def _fixed(fixes: Sequence[str]) -> dict[str, Any]:
    """Genes of a chip and their values, as ``--fix`` gives them. Raises BadInput."""
    from cimbo.hardware import DEFAULT_GENES, chip_choices
    from cimbo.hardware.chip import refuse_replaced_gene

    known = {choice.name: choice for choice in chip_choices()}
    fixed = {}
    for gene in fixed_genes(fixes):
        refuse_replaced_gene(gene.asked, gene.name)
        if gene.name not in {**known, **DEFAULT_GENES}:
            todo = choose_from(gene.name, known, "the genes are")
            raise BadInput(gene.asked, f"{gene.name!r} is no gene of a chip", todo)
        fixed[gene.name] = number_or_word(gene.value)
    return fixed


def _with_kept_accuracy(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Fixed genes and, for chips that have converters, their bits: accuracy depends on these and is not looked at."""
    if fixed.get("array") == "digital_sram":
        return dict(fixed)
    return {**UNLESS_FIXED, **fixed}
