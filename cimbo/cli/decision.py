"""``cimbo robust`` and ``cimbo portfolio``: how sure a front is, and one chip for several networks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from cimbo.cli.options import existing, json_object, positive, study_option
from cimbo.cli.output import emit, format_option, genes, say
from cimbo.errors import BadInput


def _share(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not 0 <= value < 10:
        raise BadInput(
            f"--{param.name}", f"is {value}", "give a relative standard deviation such as 0.2"
        )
    return value


@click.command()
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
@click.option("--draws", type=int, default=200, show_default=True, help="How often to be wrong.")
@click.option("--seed", type=int, default=0, show_default=True)
@study_option
@format_option
def robust(*, draws: int, seed: int, file: str, style: str, **errors: float) -> None:
    """Each front design's chance to stay non-dominated when bandwidths, ADC energy and accuracy are off.

    Every verified design is simulated again with the wrong figures; nothing is measured.
    """
    from cimbo.analysis import Errors, chances
    from cimbo.analysis.mapped_design import place
    from cimbo.config.study_config import from_definition

    positive("--draws", draws)
    with existing(file) as study:
        config = from_definition(file, study.metadata)
        records = study.feasible_evaluations()
        if not records:
            raise BadInput(file, "holds no verified design", "search first: cimbo optimize")
        evaluator = config.evaluator()
        if evaluator.simulator != "cimbo":
            say("note: costs are another simulator's; cimbo's own chip model says how they change")
        placed = place(evaluator, study.problem.space, [r.params for r in records])
        found = chances(study.problem, records, placed, Errors(**errors), draws=draws, seed=seed)
        chance = {r.key: float(c) for r, c in zip(records, found, strict=True)}
        names = [o.name for o in study.problem.objectives]
        front = study.pareto()
        rows = [
            {"key": r.key, "chance": chance[r.key], "on_front": any(r.key == f.key for f in front)}
            | {n: r.metrics[n] for n in names}
            for r in sorted(records, key=lambda r: -chance[r.key])
            if chance[r.key] > 0.05 or any(r.key == f.key for f in front)
        ]
    emit(style, rows, {"errors": errors, "draws": draws, "seed": seed, "designs": rows})
    stated = ", ".join(f"{name.replace('_', ' ')} {value:.2g}" for name, value in errors.items())
    say(f"chance to be on the front over {draws} draws; relative standard deviations: {stated}")


@click.command()
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
)
@click.option(
    "--fix",
    "fixes",
    multiple=True,
    metavar="GENE=VALUE",
    help="Keep a gene of the chip [default: adc_bits=6].",
)
@click.option(
    "--samples",
    type=int,
    default=20_000,
    show_default=True,
    help="Chips to sample before improving the best.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@study_option
@format_option
def portfolio(
    *,
    networks: tuple[str, ...],
    weights: str | None,
    fixes: tuple[str, ...],
    samples: int,
    seed: int,
    file: str,
    style: str,
    **limits: Any,
) -> None:
    """One chip for several networks: best in the worst case, on the weighted mean, and in regret against specialists.

    NETWORKS are families (their largest network), NAME={GENES as JSON or @FILE}, or keys of a study's designs. Accuracy is
    not looked at, so the genes that shape it stay fixed.
    """
    import numpy as np

    from cimbo.analysis import Portfolio, serve
    from cimbo.hardware import chip_choices

    if len(set(networks)) < len(networks):
        raise BadInput(
            "NETWORKS", "name one twice", "give it a larger weight instead: --weights 2,1"
        )
    choices = chip_choices()
    asked = Portfolio(
        [_workload(name, file) for name in networks],
        np.array(_weights(weights, len(networks))),
        choices,
        _fixed(fixes or ("adc_bits=6",), choices),
        **limits,
    )
    rows, document = [], []
    for s in serve(asked, samples=positive("--samples", samples), seed=seed):
        each = zip(networks, s.costs.tolist(), s.regrets.tolist(), strict=True)
        shares = [
            {"network": name, asked.metric: cost, "regret": regret} for name, cost, regret in each
        ]
        document.append(
            {"for": s.criterion, "chip": s.chip, "area_mm2": s.area_mm2, "networks": shares}
        )
        rows.append(
            {"for": s.criterion, "area_mm2": s.area_mm2}
            | {f"{e['network']} {asked.metric}": e[asked.metric] for e in shares}
            | {f"{e['network']} regret %": round(100 * e["regret"], 1) for e in shares}
            | {"chip": genes(s.chip)}
        )
    emit(style, rows, document)
    if all(each["chip"] == document[0]["chip"] for each in document):
        say("one chip is the best for each network alone too: sharing it costs nothing")


def _workload(name: str, file: str) -> Any:
    from dataclasses import replace

    from cimbo.cli.view import find
    from cimbo.config.study_config import from_definition
    from cimbo.workloads import known, network

    family, _, text = name.partition("=")
    if family in known():
        built = network(family)
        return replace(
            built.workload(json_object(name, text) if text else built.largest()), name=name
        )
    with existing(file) as study:
        evaluator = from_definition(file, study.metadata).evaluator()
        return replace(evaluator.placed(find(study, name).params)[0], name=name)


def _weights(text: str | None, n: int) -> list[float]:
    if text is None:
        return [1.0] * n
    try:
        weights = [float(w) for w in text.split(",")]
    except ValueError:
        weights = []
    if len(weights) != n or not all(0 < w < float("inf") for w in weights):
        raise BadInput(
            "--weights",
            f"{text!r} is not {n} positive numbers",
            "give one for each network, as 3,1",
        )
    return weights


def _fixed(fixes: Sequence[str], choices: Sequence[Any]) -> dict[str, Any]:
    fixed = {}
    known = {c.name: c for c in choices}
    for text in fixes:
        name, _, value = text.partition("=")
        if name not in known:
            raise BadInput(
                f"--fix {text}",
                f"{name!r} is no gene of a chip",
                f"the genes are {', '.join(known)}",
            )
        try:
            fixed[name] = json.loads(value)
        except ValueError:
            raise BadInput(
                f"--fix {text}",
                f"{value!r} is no number",
                f"choose one of {list(known[name].values)}",
            ) from None
    return fixed
