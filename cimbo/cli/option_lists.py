"""Every option that several commands have, in the order of their help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cimbo.cli.values import one_or_all
from cimbo.config.study_config import DEFAULT_PRESET

study_option = click.option(
    "--study", "file", default="cimbo.db", show_default=True, help="The study file."
)
simulator_option = click.option(
    "--simulator",
    default=None,
    help="cimbo, zigzag, accelforge, command, table, or a plug-in's name.",
)
simulator_options_option = click.option(
    "--simulator-options",
    default="{}",
    help='Options of the simulator as JSON, or @FILE, such as {"command": ["./simulate"]}.',
)


def _accuracy_options() -> list[Callable[..., Any]]:
    """What a user may say of weights and images of their own, and of published accuracies."""
    return [
        click.option(
            "--table",
            type=click.Path(path_type=Path),
            default=None,
            help="A file of accuracies that others measured, for a preset that models them.",
        ),
        click.option(
            "--expect",
            type=float,
            default=None,
            help="Accuracy in percent that --weights must have; the largest network is measured first.",
        ),
        click.option(
            "--normalise",
            default=None,
            metavar="NAME|M,M,M/D,D,D",
            help="Mean and deviation of pixels: imagenet, half, clip or numbers [default: as beside --weights].",
        ),
        click.option(
            "--crop",
            type=float,
            default=None,
            help="Share of an image's short side that --weights see [default: as beside them, or 0.875].",
        ),
        click.option(
            "--test-images",
            type=int,
            default=None,
            help="Images of --data for the final front [default: 10000].",
        ),
        click.option(
            "--image-batch",
            type=int,
            default=None,
            help="Images that --weights see at a time [default: 16].",
        ),
        click.option("--device", default=None, help="Where --weights run: cpu or cuda."),
        click.option(
            "--precision", default=None, help="Of --weights while they run: float32 or bfloat16."
        ),
    ]


# In the order of --help.
NEW_STUDY_OPTIONS = (
    study_option,
    click.option(
        "--preset",
        "preset_name",
        default=None,
        help=f"A shipped study [default: {DEFAULT_PRESET}].",
    ),
    click.option(
        "--network",
        multiple=True,
        metavar="FILE.onnx|NAME",
        help="Search chips for this network at its largest, by costs alone; with --weights, its sub-networks too, by "
        "accuracy. Given several times: chips for all.",
    ),
    click.option(
        "--set",
        "pairs",
        multiple=True,
        metavar="NAME=SIZE",
        help="A size that the ONNX file leaves open; may be given several times.",
    ),
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=None,
        help="A study.toml that describes the study.",
    ),
    click.option("--seed", type=int, default=None, help="Seed of a new study [default: 0]."),
    simulator_option,
    simulator_options_option,
    click.option(
        "--data",
        type=click.Path(path_type=Path),
        default=None,
        help="Images for --weights: val/ and train/ with a folder a class, or images.npy and labels.npy; of BERT, dev.tsv.",
    ),
    click.option(
        "--weights",
        type=click.Path(path_type=Path),
        default=None,
        help="A checkpoint (OFA, timm, Hugging Face): accuracy is measured, not modelled.",
    ),
    click.option(
        "--images",
        type=int,
        default=None,
        help="Images of --data that the search uses [default: 2000].",
    ),
    *reversed(_accuracy_options()),
)
WORKERS_OPTIONS = (
    click.option(
        "--jobs",
        type=int,
        default=None,
        callback=one_or_all,
        help="Evaluations at a time [default: one per core, at most 8; on a cluster as many as it allows].",
    ),
    click.option(
        "--timeout",
        "timeout_s",
        type=float,
        default=None,
        help="Seconds after which an attempt is ended.",
    ),
    click.option(
        "--retries",
        type=int,
        default=0,
        show_default=True,
        help="How often a failed evaluation is tried again.",
    ),
    click.option(
        "--memory-mb",
        type=int,
        default=None,
        help="Limit on the private memory of a worker process, in MiB (Linux).",
    ),
    click.option(
        "--backend",
        default="loky",
        show_default=True,
        help="loky (this machine), dask, ray or slurm.",
    ),
    click.option(
        "--scheduler",
        default=None,
        metavar="ADDRESS",
        help="A running Dask or Ray cluster [default: one here].",
    ),
    click.option(
        "--accept-changed",
        is_flag=True,
        help="Go on although the evaluator, its code, or a file that the study names (files) has changed; "
        "the study then mixes both results.",
    ),
)
