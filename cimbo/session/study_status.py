"""How far a study is, and what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cimbo.config.reading import preset_names
from cimbo.evaluation.low_fidelity import FAILED_CHEAPLY_FIELD, cheap_values, is_measured_in_full
from cimbo.evaluation.racing import ACCURACY_METRIC, IMAGES_NAME
from cimbo.problem.objectives import FIDELITY_SUFFIX, Metrics, at_target_fidelity
from cimbo.session.context import StudyContext
from cimbo.session.front import accuracies_measured, front_records
from cimbo.session.leases import Lease, is_given_up, leases, lost
from cimbo.session.stopped_designs import stopped_records
from cimbo.session.text import genes_text
from cimbo.storage import Record
from cimbo.study.accuracy_cache import Network, network
from cimbo.study.provenance import told_sources
from cimbo.study.replicates import FAILURES_FIELD, measurements
from cimbo.study.study import Study
from cimbo.study.withdrawal import withdrawn

MEASURED_ELSEWHERE = ("told", "imported")  # origins of evaluations that cost nothing here
LISTED_FIELDS = ("lost", "given_up", "measured_by")
# Left out of a status where there is nothing to say.
OPTIONAL_FIELDS = (
    "preset",
    "config",
    "accuracy",
    "recorded",
    "leases",
    "failed_replicates",
    "withdrawn",
    "in_every_design",
    "worse_than_references",
    "expected_gain",
    "measured_in_part",
    "images",
    "cheaper_settings",
    *LISTED_FIELDS,
)


@dataclass(frozen=True)
class StudyStatus:
    """How far a study is, and what it is about. ``designs`` counts the space, ``running`` what is being evaluated.

    ``preset``, or ``config``, a file, describes it. ``accuracies_measured`` is None where it measures none. ``leases`` say
    who evaluates what until when, ``lost`` are keys that were asked for, not told in time, and will be asked again,
    ``given_up`` those that were lost too often, and ``measured_by`` the sources that tellers named. ``failed_replicates``
    counts further measurements of measured designs that failed, ``withdrawn`` evaluations that count no more.
    ``worse_than_references`` says where no design is better; ``in_every_design`` are genes and properties of chips that are not
    searched.
    ``expected_gain``: what so many more evaluations are expected to add to the hypervolume, from ``low`` to ``high`` nine times
    in ten; None while nothing can be said. ``images``: where accuracies are measured in stages, how many images were looked
    at, how many there would be in full, and how many designs were ``stopped_early``. ``cheaper_settings``: where designs are
    measured with cheaper settings first, what that and the full measurements cost (``used``, of ``in_full`` for measuring every
    design in full; a full measurement costs 1, a failed one too), and how many designs were ``stopped_early``.
    ``measured_in_part``: designs that are neither failed nor feasible, as a full measurement is missing.
    """

    study: str
    preset: str | None
    config: str | None
    seed: int
    genes: int
    designs: int
    evaluations: int
    accuracies_measured: int | None
    failed: int
    feasible: int
    running: int
    front: int
    hypervolume: float | None
    evaluation_seconds: float
    constraints: tuple[str, ...]
    versions: Mapping[str, str]
    accuracy: str | None = None
    recorded: str | None = None
    leases: tuple[Lease, ...] = ()
    lost: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    measured_by: tuple[str, ...] = ()
    failed_replicates: int = 0
    withdrawn: int = 0
    in_every_design: str = ""
    worse_than_references: str | None = None
    expected_gain: Mapping[str, float] | None = None
    images: Mapping[str, int] | None = None
    cheaper_settings: Mapping[str, float] | None = None
    measured_in_part: int = 0

    def to_json(self) -> dict[str, Any]:
        """The status as ``cimbo status --format json`` prints it."""
        document = {}
        for k, v in vars(self).items():
            if v or k not in OPTIONAL_FIELDS:
                document[k] = v
        if self.accuracies_measured is None:
            document.pop("accuracies_measured")
        document["constraints"] = list(self.constraints)
        for name in LISTED_FIELDS:
            if name in document:
                document[name] = list(document[name])
        if self.leases:
            document["leases"] = [lease.to_json() for lease in self.leases]
        return document


def status(context: StudyContext) -> StudyStatus:
    """Tell how far a study is.

    Args:
        context: The study.

    Returns:
        Counts of evaluations and designs, the hypervolume, and who is evaluating what.
    """
    study, records = context.study, context.study.evaluations()
    waiting = lost(context)
    return StudyStatus(
        context.path,
        *_described_by(context),
        study.seed,
        genes=len(study.problem.space.choices),
        designs=study.problem.space.size,
        evaluations=len(records),
        accuracies_measured=accuracies_measured(context) if _has_accuracy(context) else None,
        failed=sum(r.status == "failed" for r in records),
        feasible=len(study.feasible_evaluations()),
        running=len(study.running()),
        front=len(front_records(study)),
        hypervolume=study.hypervolume(),
        evaluation_seconds=sum(r.seconds for r in records),
        constraints=tuple(
            f"{c.metric} {c.relation} {c.bound:g}" for c in study.problem.constraints
        ),
        versions=context.metadata.get("versions", {}),
        accuracy=context.accuracy_provenance.get("label"),
        recorded=context.metadata.get("recorded"),
        leases=leases(context),
        lost=tuple(d.candidate.key for d in waiting if not is_given_up(d)),
        given_up=tuple(d.candidate.key for d in waiting if is_given_up(d)),
        measured_by=tuple(told_sources(study.store)),
        worse_than_references=study.worse_than_references(),
        expected_gain=_expected_gain(study),
        images=_images(study, records),
        cheaper_settings=_cheaper_settings(records),
        measured_in_part=len(stopped_records(study)),
        withdrawn=len(withdrawn(study.store)),
        in_every_design=genes_text({**_single_values(study), **context.chip_properties}),
        failed_replicates=sum(len(r.extra.get(FAILURES_FIELD, ())) for r in records),
    )


def _images(study: Study, records: Iterable[Record]) -> dict[str, int] | None:
    """Count the images that measurements in stages looked at.

    Returns:
        The counts; None where none was in stages. Designs that differ in nothing that the accuracy
        depends on share their images, which count once.
    """
    in_stages: dict[str, Metrics] = {}
    measured_here = []
    for record in records:
        if record.status != "done" or ACCURACY_METRIC not in record.metrics:
            continue
        for measured in measurements(record) or [record.metrics]:
            if IMAGES_NAME in measured:
                in_stages[record.key] = measured  # the last one has most images
        if record.key in in_stages or record.origin not in MEASURED_ELSEWHERE:
            measured_here.append(record)
    if not in_stages:
        return None
    genes = None
    if study.expensive_metric() == ACCURACY_METRIC:
        genes = study.expensive_parameters()
    whole = max(m[IMAGES_NAME] / _share_of_images(m) for m in in_stages.values())
    used: dict[Network, float] = {}
    stopped = 0
    for record in measured_here:
        shared = network(record.params, genes)
        images = whole  # where the study had no stages yet, or has none any more
        if not at_target_fidelity(record.metrics, ACCURACY_METRIC):
            stopped += 1
            images = in_stages.get(record.key, {}).get(IMAGES_NAME, 0.0)
        used[shared] = max(images, used.get(shared, 0.0))
    return {
        "used": round(sum(used.values())),
        "in_full": round(whole * len(used)),
        "stopped_early": stopped,
    }


def _share_of_images(measured: Metrics) -> float:
    """The share of the images that a measurement looked at."""
    return measured.get(ACCURACY_METRIC + FIDELITY_SUFFIX, 1.0)


def _cheaper_settings(records: Sequence[Record]) -> dict[str, float] | None:
    """What measurements with cheaper settings and in full cost; None where no design was measured with cheaper settings.

    Returns:
        The costs and counts. Designs that were measured before the study had stages, or after, count as
        one full measurement.
    """
    measured_here = [record for record in records if record.origin not in MEASURED_ELSEWHERE]
    if not any(cheap_values(record.extra) for record in measured_here):
        return None
    used, stopped = 0.0, 0
    cheap_costs = {}  # a design that is tried again is not measured with the same settings again
    for record in measured_here:
        cheap = cheap_values(record.extra)
        for values in cheap:
            cheap_costs[record.key, values.stage.name] = values.stage.cost
        # Full measurements that failed after cheaper ones
        used += len(record.extra.get(FAILURES_FIELD, ()))
        if record.status == "done" and cheap and not is_measured_in_full(record.metrics, cheap[-1]):
            stopped += 1
        else:
            used += record.extra.get(FAILED_CHEAPLY_FIELD, 1.0)
    used += sum(cheap_costs.values())
    return {"used": round(used, 2), "in_full": len(measured_here), "stopped_early": stopped}


def _single_values(study: Study) -> dict[str, Any]:
    """Genes that have one value alone, by name."""
    found = {}
    for gene in study.problem.space.choices:
        if len(gene.values) == 1 and not gene.active_if:
            found[gene.name] = gene.values[0]
    return found


def _expected_gain(study: Study) -> dict[str, float] | None:
    """What more evaluations are expected to add to the hypervolume; None while nothing can be said."""
    forecast = study.forecast()
    if forecast is None:
        return None
    return {
        "evaluations": forecast.more,
        "hypervolume": forecast.expected,
        "low": forecast.low,
        "high": forecast.high,
    }


def _described_by(context: StudyContext) -> tuple[str | None, str | None]:
    """The preset that a study was started from, or the file of its description; one of them is None."""
    name = (context.metadata.get("config") or {}).get("name")
    if name in preset_names():
        return name, None
    return None, name


def _has_accuracy(context: StudyContext) -> bool:
    """Whether a study measures an accuracy, or another metric whose measurements it counts."""
    if "accuracy" in context.study.problem.targets:
        return True
    return context.has_description and context.config.tables.expensive is not None
