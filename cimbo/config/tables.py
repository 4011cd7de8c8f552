"""The tables of a study.toml, as types: what they may hold is said here and nowhere else.

The schema that editors use is made from them (`cimbo.config.schema`), and so is every check of a file
(`cimbo.config.checking`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from cimbo.workloads.precision import MOST_STAGE_BITS

DeclaredFiles = Annotated[
    list[str],
    Meta(
        description="Files and folders beside the study.toml that are read and that nothing else here names, "
        "such as weights: a study does not go on when one of them has changed."
    ),
]
Scalar = bool | int | float | str
AtLeastOne = Annotated[int, Meta(ge=1)]
Positive = Annotated[float, Meta(gt=0)]


class GeneTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gene written as a table: its values, or the ends of a range, and when it exists.

    Attributes:
        values: What the gene may be: numbers, texts, or true and false.
        low: The least number of a range.
        high: The greatest number of a range.
        step: From one number to the next: added, or multiplied where ``log`` is set.
        count: How many numbers, where no step says it.
        log: Whether the numbers are spaced by a factor instead of a difference.
        active_if: Genes that must have one of the listed values for this one to exist.
        role: What the gene is on a chip of another simulator than cimbo's.
    """

    values: Annotated[
        list[Scalar] | None, Meta(description="Numbers, texts, or true and false.")
    ] = None
    low: Annotated[float | None, Meta(description="First number of a range.")] = None
    high: Annotated[
        float | None,
        Meta(
            description="Last number of a range; steps that do not meet it end below it, with a warning."
        ),
    ] = None
    step: Annotated[
        float | None,
        Meta(description="From one number to the next (1 between whole ends); with log, a factor."),
    ] = None
    count: Annotated[
        AtLeastOne | None,
        Meta(description="How many numbers from low to high, both included, instead of a step."),
    ] = None
    log: Annotated[
        bool,
        Meta(description="Numbers spaced by a constant factor instead of a constant difference."),
    ] = False
    active_if: Annotated[
        dict[str, list[Scalar]],
        Meta(description="The gene exists while each named gene has one of the listed values."),
    ] = {}
    role: Annotated[
        str | None,
        Meta(description="What the gene is on another simulator's chip, such as rows or macros."),
    ] = None


Gene = list[Scalar] | GeneTable
Genes = dict[str, Gene]
KnownConstraints = Annotated[
    list[str],
    Meta(description='Expressions over genes that every design keeps: "rows * cols <= 65536".'),
]


class NetworkTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is searched on the side of the networks, and where accuracy comes from."""

    name: Annotated[
        str,
        Meta(
            description="A family such as fmnist-vit; an ONNX file beside the study.toml; timm:NAME, "
            "hf:NAME; or package:object of Python."
        ),
    ]
    sizes: Annotated[
        dict[str, AtLeastOne],
        Meta(description="Free sizes of an ONNX file, by name; image or tokens of timm and hf."),
    ] = {}
    batch: Annotated[AtLeastOne, Meta(description="Inferences of one run.")] = 1
    prompt: Annotated[
        AtLeastOne | None, Meta(description="Tokens of a language model's prompt.")
    ] = None
    tokens: Annotated[
        AtLeastOne | None, Meta(description="Tokens of a language model's answer.")
    ] = None
    activity: Annotated[
        str | dict[str, dict[str, float]],
        Meta(
            description="Shares of bits that are one by layer: a table NAME = { inputs, weights }, a "
            "TOML or JSON file beside the study.toml, or measured, of a shipped network."
        ),
    ] = {}
    copies: Annotated[
        dict[str, AtLeastOne],
        Meta(
            description="Copies of layers, by name or pattern, on chips whose duplication is given."
        ),
    ] = {}
    accuracy: Annotated[
        str | None,
        Meta(
            description="Where accuracy comes from: a shipped super-network, a plug-in, package:function "
            "of Python, or none. The family's name by default, none for what is no family."
        ),
    ] = None
    accuracy_kind: Annotated[
        str | None,
        Meta(description="measured, or what else is shown: modelled, illustration."),
    ] = None
    genes: Annotated[Genes, Meta(description="Narrows genes of the network: NAME = [values].")] = {}
    subnetwork: Annotated[
        Literal["largest", "smallest"] | None,
        Meta(
            description="Keeps the network at one sub-network: genes that the table genes does not name "
            "are not searched."
        ),
    ] = None
    options: Annotated[dict[str, Any], Meta(description="Set up the source of accuracy.")] = {}
    files: DeclaredFiles = []
    precision: Annotated[
        Literal["chip", "stage"],
        Meta(
            description="chip: every layer has the chip's weight_bits and act_bits. stage: each stage or "
            "block has genes weight_bits_N and act_bits_N besides."
        ),
    ] = "chip"
    stage_bits: Annotated[
        list[Annotated[int, Meta(ge=1, le=MOST_STAGE_BITS)]] | None,
        Meta(description="What the bits of a stage may be; 4, 5, 6 and 8 by default."),
    ] = None


class ArchitectureTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Architecture genes of one's own, which no family needs to know."""

    genes: Annotated[
        Genes, Meta(description="NAME = [values], or a table of values or a range.")
    ] = {}
    constraints: KnownConstraints = []


class HardwareTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is searched on the side of the chips, and what simulates them."""

    space: Annotated[
        str | None,
        Meta(
            description="core: eleven genes of a chip; extended: twenty; own: only those under genes; or a "
            "plug-in's. By default core; own where the simulator is not cimbo's and a gene is none of cimbo's."
        ),
    ] = None
    genes: Annotated[
        Genes,
        Meta(
            description="Values of a gene instead of the shipped ones, or genes that are searched "
            "besides. Any name where the simulator is not cimbo's."
        ),
    ] = {}
    constraints: KnownConstraints = []
    fixed: Annotated[
        dict[str, Scalar],
        Meta(description="Properties of every chip that are not searched, such as node_nm."),
    ] = {}
    complete: Annotated[
        bool,
        Meta(
            description="Whether fixed, with genes, gives the whole chip: a gene that neither names is "
            "then a mistake, and not searched."
        ),
    ] = False
    roles: Annotated[
        dict[str, str],
        Meta(
            description="What genes and fixed properties are on another simulator's chips, such as "
            'lanes = "macs_per_cycle": features for the surrogates of costs follow from it.'
        ),
    ] = {}
    simulator: Annotated[
        str, Meta(description="cimbo, zigzag, accelforge, command, table, or a plug-in.")
    ] = "cimbo"
    options: Annotated[dict[str, Any], Meta(description="What the simulator is set up with.")] = {}
    files: DeclaredFiles = []


class EvaluatorTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole evaluation by something else than a network's accuracy and a simulator."""

    command: Annotated[
        list[str] | None,
        Meta(description="Words of a program that evaluates a design: JSON in, JSON out."),
    ] = None
    python: Annotated[
        str | None,
        Meta(description='A function of a design, as "package:function".'),
    ] = None
    timeout_s: Annotated[
        Positive | None, Meta(description="Seconds that one answer of the program may take.")
    ] = None
    server: Annotated[
        bool, Meta(description="The program stays alive and answers a request a line.")
    ] = False
    batch: Annotated[
        AtLeastOne, Meta(description="Designs that the program is told at a time.")
    ] = 1
    weights: Annotated[
        str | None, Meta(description="File or folder of weights, whose path the program is told.")
    ] = None
    options: Annotated[
        dict[str, Any], Meta(description="What the function is called with besides.")
    ] = {}
    fixed: Annotated[
        dict[str, Scalar],
        Meta(
            description="What every design is told besides its genes, such as the length of a run; "
            "nothing of it is searched."
        ),
    ] = {}
    files: DeclaredFiles = []


class ExpensiveTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The metric whose measurements are counted, because one costs more than all else."""

    metric: Annotated[str, Meta(description="An objective, or a metric that has a constraint.")]
    budget: Annotated[
        AtLeastOne | None, Meta(description="How many measurements of it there may be in all.")
    ] = None
    genes: Annotated[
        list[str] | None,
        Meta(
            description="What it depends on; the architecture's genes by default. One measurement "
            "serves every design that agrees in them."
        ),
    ] = None


class ObjectiveTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A metric to maximise or minimise."""

    name: Annotated[
        str,
        Meta(
            description="A metric: accuracy, latency_ms, energy_uj, area_mm2, what else an evaluation "
            "returns, or one under metrics."
        ),
    ]
    goal: Literal["max", "min"]
    reference: Annotated[
        float | None, Meta(description="The worst value that counts for the hypervolume.")
    ] = None


class ConstraintTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bound on a metric."""

    metric: Annotated[str, Meta(description="A metric, as for objectives.")]
    relation: Literal["<=", ">="] = "<="
    bound: Annotated[float | None, Meta(description="In the metric's unit.")] = None
    baseline: Annotated[
        float | None,
        Meta(description="A factor of what the largest network costs on the baseline chip."),
    ] = None


class SearchTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How designs are chosen."""

    initial: Annotated[
        AtLeastOne | None, Meta(description="Designs drawn before the first surrogate.")
    ] = None
    batch: Annotated[AtLeastOne | None, Meta(description="Designs chosen at a time.")] = None
    surrogate: Annotated[
        str,
        Meta(
            description="Kind of surrogate: auto, gp, xgboost, hybrid, posynomial, botorch:NAME or an "
            "installed one."
        ),
    ] = "auto"
    prefer: Annotated[
        dict[str, float] | None,
        Meta(
            description="How much each objective matters; the search goes on where the front is preferred."
        ),
    ] = None


class FidelityTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cheaper measurement that comes before the full one, and may be all that a design gets.

    Attributes:
        metric: What is measured on a part of the images; the accuracy.
        images: On how many images; what it costs is their share of all images.
        set: Settings of the cheaper measurement. In the full one they are as they stand elsewhere in the study.
        cost: What the measurement with these settings costs, as a share of the full one.
        of: Whose settings they are.
    """

    metric: Annotated[
        Literal["accuracy"], Meta(description="What is measured on a part of the images.")
    ] = "accuracy"
    images: Annotated[AtLeastOne | None, Meta(description="On so many images first.")] = None
    set: Annotated[
        dict[str, Scalar],
        Meta(
            description="Or with these settings first. Those of the full measurement stand in "
            "[evaluator] fixed, in [hardware] fixed, or among [network] options."
        ),
    ] = {}
    cost: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None,
        Meta(
            description="What a measurement with these settings costs, as a share of the full one."
        ),
    ] = None
    of: Annotated[
        Literal["evaluator", "simulator", "accuracy"] | None,
        Meta(
            description="Whose settings they are. To be said only where both the simulator and the "
            "accuracy may have some."
        ),
    ] = None


class StudyTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A study of cimbo."""

    title: Annotated[str | None, Meta(description="Shown by cimbo and on the report.")] = None
    extends: Annotated[
        str | None,
        Meta(
            description="A shipped study, or a study.toml beside this one, to take the rest from."
        ),
    ] = None
    network: NetworkTable | None = None
    architecture: ArchitectureTable | None = None
    hardware: HardwareTable = HardwareTable()
    evaluator: EvaluatorTable | None = None
    metrics: Annotated[
        dict[str, str],
        Meta(description='Metrics that follow from others: edp = "energy_uj * latency_ms".'),
    ] = {}
    expensive: ExpensiveTable | None = None
    baseline: Annotated[
        dict[str, Scalar],
        Meta(
            description="Genes of the hand-made chip that results are compared with; it is no result of the "
            "search. Genes of cimbo's that are left out are at their defaults. Constraints may refer to what "
            "the largest network costs on it."
        ),
    ] = {}
    objectives: Annotated[list[ObjectiveTable], Meta(min_length=1)]
    constraints: list[ConstraintTable] = []
    fidelity: Annotated[
        list[FidelityTable],
        Meta(description="Cheaper measurements that stop what is not worth the full one."),
    ] = []
    search: SearchTable = SearchTable()
