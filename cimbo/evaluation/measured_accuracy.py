"""Measures the accuracy of designs under their arrays' errors: the network's side of a joint evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from cimbo.errors import BadInput
from cimbo.evaluation import array_forms
from cimbo.evaluation.accuracy import published
from cimbo.evaluation.accuracy.sources import accuracy_source, is_own
from cimbo.evaluation.array_forms import FormDifference
from cimbo.evaluation.gene_notes import ABOUT_ACCURACY, GeneNotes, Noted, notes_in
from cimbo.evaluation.known_accuracies import Finding, KnownAccuracies
from cimbo.evaluation.simulated_costs import SimulatedCosts
from cimbo.hardware.chip import DEFAULT_GENES, REQUIRED_GENES
from cimbo.plugins import Accuracy, is_python_name
from cimbo.problem.noted_metrics import NotedMetrics, about
from cimbo.problem.objectives import at_target_fidelity
from cimbo.problem.space import Params, canonical_key

DIE_ACCURACY = "accuracy_p05"
"""The accuracy that 95 % of the dies of a design reach, measured where a study asks for it."""
NO_ACCURACY = "none"  # the source of accuracy of a study that measures costs alone


class MeasuredAccuracy(SimulatedCosts):
    """The part of a joint evaluator that measures accuracies; its attributes are described there (`JointEvaluator`)."""

    accuracy: str
    accuracy_options: Mapping[str, Any]
    known: KnownAccuracies
    notes: GeneNotes
    chip_genes: tuple[str, ...]
    told_genes: tuple[str, ...] | None

    @property
    def has_accuracy(self) -> bool:
        """Whether an accuracy is measured at all."""
        return self.accuracy != NO_ACCURACY

    @property
    def quality_metric(self) -> str:
        """Name of the metric that the source gives: ``accuracy``, or for language models ``perplexity``."""
        return published.metric_of(self.accuracy)

    def _interval(self, accuracy: float) -> dict[str, float]:
        """The 95 % confidence interval of an accuracy measured on a subset of the images.

        Returns:
            ``accuracy_low`` and ``accuracy_high``; nothing where the source gives no interval.
        """
        interval = getattr(self._accuracy, "interval", None)
        if interval:
            return dict(zip(("accuracy_low", "accuracy_high"), interval(accuracy), strict=True))
        return {}

    def _known_or_measured(self, design: Params) -> Finding:
        """The accuracy of a design: a known one, or else measured now and kept."""
        finding = self.known.find(design, self.quality_metric)
        if finding is None:
            finding = self._measured(design)
            self._keep(design, finding)
        return finding

    def _measured(self, design: Params, source: Accuracy | None = None) -> Finding:
        """Measure the accuracy of a design now, by the study's source or by another one.

        A source with a method ``answer``, such as a user's function, also says which genes it looked
        up. From such a source, genes that it was declared not to depend on are hidden.

        Returns:
            The metrics, and the genes that they depend on.
        """
        whole_design = {**self.fixed, **design}
        depends_on = self._declared_genes()
        source = source or self._accuracy
        ask = getattr(source, "answer", None)
        if ask is None:
            metrics = {self.quality_metric: source.measure(whole_design)}
            return Finding(metrics, depends_on)
        hidden: frozenset[str] = frozenset()
        if depends_on is not None:
            hidden = frozenset({*self._chip_names, *design}) - depends_on - self.fixed.keys()
        declared_by = "its attribute genes"
        if self.told_genes is not None:
            declared_by = "[expensive] genes"
        answer = ask(whole_design, hidden, declared_by, costs=self.costs_kept)
        if depends_on is None and answer.looked_up is not None:
            depends_on = frozenset({*self._architecture, *answer.looked_up})
        return Finding(dict(answer.metrics), depends_on)

    def _accuracy_with(self, design: Params, settings: Mapping[str, Any]) -> NotedMetrics:
        """Measure the accuracy of a design with other options of its source.

        Where the study wants the accuracy that 95 % of dies reach, the accuracy stands for it: which of
        the one follows from the other is learned as from any cheaper measurement.

        Args:
            design: Each active gene to its value.
            settings: The options, by name.

        Returns:
            The metrics, with the note of the genes that they depend on.
        """
        finding = self._measured(design, self._source_with(settings))
        metrics = dict(finding.metrics)
        if DIE_ACCURACY in self.more_costs and hasattr(self._accuracy, DIE_ACCURACY):
            metrics[DIE_ACCURACY] = metrics[self.quality_metric]
        return NotedMetrics(metrics, self._about(finding))

    def _source_with(self, settings: Mapping[str, Any]) -> Accuracy:
        """The source of accuracy with other options, set up once a process."""
        name = canonical_key(dict(settings))
        if name not in self._sources:
            self._sources[name] = accuracy_source(
                self.accuracy, {**self.accuracy_options, **settings}
            )
        return self._sources[name]

    @cached_property
    def _sources(self) -> dict[str, Accuracy]:
        """Sources of accuracy with options of cheaper measurements, by these options."""
        return {}

    def _keep(self, design: Mapping[str, Any], finding: Finding) -> None:
        """Keep a measurement for all designs that agree in the genes that it depended on."""
        self.known.add(design, finding.genes, finding.metrics)
        self.notes.learn(finding.genes, finding.metrics)

    def _about(self, finding: Finding) -> dict[str, Any]:
        """The note kept beside the metrics of a user's own source: which genes of the chip they depend on.

        Returns:
            The note as `cimbo.evaluation.gene_notes` reads it; empty for cimbo's own sources.
        """
        if not is_own(self.accuracy):
            return {}
        genes = None
        if finding.genes is not None:
            genes = sorted(finding.genes - self._architecture.keys())
        return {ABOUT_ACCURACY: {"genes": genes, "metrics": sorted(finding.metrics)}}

    def _of_dies(self, design: Params, quality: Mapping[str, float]) -> dict[str, float]:
        """The accuracy that 95 % of dies reach, where the study wants it and the source has a method for it.

        Args:
            design: Each active gene to its value.
            quality: The design's accuracy, which saves a measurement if it is of all images.

        Returns:
            The metric DIE_ACCURACY, or nothing.
        """
        measure: Callable[..., float] | None = getattr(self._accuracy, DIE_ACCURACY, None)
        if DIE_ACCURACY not in self.more_costs or measure is None:
            return {}
        finding = self.known.find(design, DIE_ACCURACY)
        if finding is None:
            mean = None
            if at_target_fidelity(quality, self.quality_metric):
                mean = quality[self.quality_metric]
            value = measure({**self.fixed, **design}, mean=mean)
            finding = Finding({DIE_ACCURACY: value}, self._declared_genes())
            self.known.add(design, finding.genes, finding.metrics)
        return {DIE_ACCURACY: finding.metrics[DIE_ACCURACY]}

    def remember(self, design: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Take in accuracies that were measured before, perhaps by another process.

        Args:
            design: Each active gene to its value.
            metrics: The metrics of its evaluation; an accuracy counts only if all images were looked
                at. A `cimbo.problem.noted_metrics.NotedMetrics` has a note of the genes that it
                depended on.
        """
        quality = self.quality_metric
        noted = notes_in(about(metrics))
        names = [quality, DIE_ACCURACY]
        if noted is not None:
            names += noted.metrics
        kept = {}
        for name in names:
            if name in metrics and at_target_fidelity(metrics, name):
                kept[name] = metrics[name]
        if not kept:
            return
        genes = self._declared_genes()
        if genes is None and noted is not None and noted.genes is not None:
            genes = frozenset({*self._architecture, *noted.genes})
        self._keep(design, Finding(kept, genes))

    def learn_notes(self, extra: Mapping[str, Any]) -> None:
        """Take in which genes a user's function looked up, without the accuracy itself.

        Args:
            extra: The ``extra`` of an evaluation's record; without a note, any gene may have counted.
        """
        if not is_python_name(self.accuracy):
            return
        note = notes_in(extra) or Noted(None, ())
        self.notes.learn(note.genes, note.metrics)

    def has_test(self) -> bool:
        """Whether there are images that the search never sees."""
        if not self.has_accuracy:
            return False
        return "test" in getattr(self._accuracy, "parts", ("validation", "test"))

    def on_test(self, design: Mapping[str, Any]) -> float:
        """Measures the accuracy on the test images, which the search never sees.

        Args:
            design: Each active gene to its value.

        Returns:
            Percent.
        """
        return self._accuracy.measure({**self.fixed, **design}, "test")

    def has_bit_accurate(self) -> bool:
        """Whether the accuracy can be measured on bit-accurate arrays."""
        if not self.has_accuracy:
            return False
        return array_forms.has_bit_accurate(self._accuracy.measure)

    def compare_forms(self, design: Mapping[str, Any], images: int) -> FormDifference:
        """Measures what bit-accurate arrays change in the accuracy on the first test images.

        Only an accuracy that `has_bit_accurate` can be asked.

        Args:
            design: Each active gene to its value.
            images: How many images both forms see.

        Returns:
            The difference; 0 without measuring where the arrays are digital.
        """
        if array_forms.is_exact_as_measured(self.chip_of(design)):
            return FormDifference(0.0, 0.0, images)
        return array_forms.compare_forms(self._accuracy, {**self.fixed, **design}, images)

    def bit_accurate_seconds(self, design: Mapping[str, Any], images: int) -> float:
        """Estimates how long the bit-accurate form of a design takes on one core.

        Args:
            design: Each active gene to its value.
            images: Images that are measured.

        Returns:
            Seconds; 0 where the arrays are digital.
        """
        workload, chip = self.placed(design)
        # Counts of the workload are those of a whole batch.
        batch_seconds = array_forms.bit_accurate_seconds(workload, chip, images)
        return batch_seconds / self.inference.batch

    def bit_accurate_difference(self, design: Mapping[str, Any], images: int) -> float:
        """Measures how bit-accurate arrays change the accuracy, compared with equivalent noise.

        Only an accuracy that `has_bit_accurate` can be asked.

        Args:
            design: Each active gene to its value.
            images: How many test images are looked at, from the first.

        Returns:
            Points of percent; negative where bit-accurate arrays are worse.
        """
        return self.compare_forms(design, images).points

    def on_bit_accurate_arrays(self, design: Mapping[str, Any], part: str = "validation") -> float:
        """Measure the accuracy on bit-accurate arrays.

        Args:
            design: Each active gene to its value.
            part: "validation" or "test".

        Returns:
            Percent.

        Raises:
            BadInput: When the accuracy knows no such form.
        """
        if not self.has_bit_accurate():
            raise BadInput(
                f"accuracy {self.accuracy!r}",
                "has no exact form of the arrays' errors",
                "leave out --bit-accurate",
            )
        measure: Callable[..., float] = self._accuracy.measure
        return measure({**self.fixed, **design}, part, exact=True)

    def check_knows_errors(self) -> None:
        """Check that the accuracy can be measured with single causes of errors switched off.

        Raises:
            BadInput: It cannot; only that of a shipped super-network can.
        """
        if self.has_accuracy and hasattr(self._accuracy, "error_losses"):
            return
        todo = "only shipped super-networks have it; see cimbo presets"
        raise BadInput(f"accuracy {self.accuracy!r}", "knows no causes of errors", todo)

    def error_losses(self, design: Mapping[str, Any]) -> Mapping[str, Any]:
        """Measure what a design loses to each cause of its arrays' errors, and in which layer.

        Args:
            design: Each active gene to its value.

        Returns:
            JSON: ``images``, ``in_float``, ``as_described`` and ``losses``, see
            `cimbo.evaluation.accuracy.error_losses`.

        Raises:
            BadInput: When the source of accuracy cannot switch single causes off.
        """
        self.check_knows_errors()
        measure: Callable[..., Mapping[str, Any]] = self._accuracy.error_losses  # type: ignore[attr-defined]
        losses: Mapping[str, Any] = measure({**self.fixed, **design}, self.workload_of(design))
        return losses

    def on_some_images(self, design: Mapping[str, Any], images: int) -> float:
        """Measures the accuracy on a part of the validation images.

        Only a source whose ``measure`` takes a number of images can be asked.

        Args:
            design: Each active gene to its value.
            images: How many, from the first.

        Returns:
            Percent.
        """
        measure: Callable[..., float] = self._accuracy.measure
        return measure({**self.fixed, **design}, images=images)

    def accuracy_genes(self) -> frozenset[str]:
        """The genes that the accuracy depends on; those of the network where none is measured."""
        architecture = frozenset(self._architecture)
        if not self.has_accuracy:
            return architecture
        declared = self._declared_genes()
        if declared is not None:
            return declared
        # Nothing is declared: those that were looked up so far, or every gene while that is not known.
        if self.notes.genes is None:
            return architecture | self._chip_names
        return architecture | (self.notes.genes & self._chip_names)

    def is_blind_to_chip(self) -> bool:
        """Whether the accuracy is a user's own and is known to depend on no gene of a chip."""
        if not self.has_accuracy or not is_own(self.accuracy):
            return False
        depends_on = self._declared_genes()
        if depends_on is None:
            depends_on = self.notes.genes
        if depends_on is None:
            return False
        return not depends_on & {*self._chip_names, *self.fixed}

    @property
    def quality_metrics(self) -> tuple[str, ...]:
        """Names of the metrics that the source of accuracy gives, as far as they are known."""
        named = dict.fromkeys((self.quality_metric, *sorted(self.notes.metrics)))
        if DIE_ACCURACY in self.more_costs and hasattr(self._accuracy, DIE_ACCURACY):
            named[DIE_ACCURACY] = None
        return tuple(named)

    def _declared_genes(self) -> frozenset[str] | None:
        """The genes that the accuracy is declared to depend on, by its source or by the study.

        Returns:
            Names, with all genes of the network; None where neither declares anything.
        """
        declared: Iterable[str] | None = self._accuracy.genes
        if declared is None:
            if self.told_genes is None:
                return None
            declared = ()
        return frozenset({*self._architecture, *declared, *(self.told_genes or ())})

    @cached_property
    def _chip_names(self) -> frozenset[str]:
        """Names of the chip's genes that are searched; of all genes of cimbo's chips where that is not known."""
        if self.chip_genes:
            return frozenset(self.chip_genes)
        return frozenset({*REQUIRED_GENES, *DEFAULT_GENES})

    @cached_property
    def _accuracy(self) -> Accuracy:
        """The source of accuracy, set up with its options; it may load a learning library."""
        return accuracy_source(self.accuracy, self.accuracy_options)
