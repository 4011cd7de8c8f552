"""A study with all that cimbo's commands can do with it, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cimbo.session import (
    asking,
    attribution,
    decision,
    importing,
    optimize,
    predictors,
    withdrawing,
)
from cimbo.session.attribution_result import Attribution
from cimbo.session.context import StudyContext
from cimbo.session.finalists import DEFAULT_BIT_ACCURATE_IMAGES
from cimbo.session.leases import Lease
from cimbo.session.looking import LookingSession
from cimbo.session.workers import Workers
from cimbo.storage import Record
from cimbo.study import events
from cimbo.study.asked import DEFAULT_LEASE_S, AskedDesign
from cimbo.study.withdrawal import Selection


class Session(LookingSession):
    """What ``cimbo.open_session`` opens. Each method is one command, with its defaults, and returns a frozen result.

    Every result has ``to_json()``, the document that the command prints with ``--format json``. What a user should
    know on the way goes to the logger ``cimbo``; progress goes to a ``listener`` (`cimbo.study.events`).

    Examples:
        >>> import cimbo
        >>> with cimbo.open_session("fmnist-vit") as session:
        ...     session.status().evaluations
        0
    """

    def optimize(
        self,
        budget: int = optimize.DEFAULT_BUDGET,
        *,
        cost_model: str = "auto",
        predictors: str | Path | None = None,
        warm_from: str | Path | None = None,
        accuracy_budget: int | None = None,
        until_converged: float | None = None,
        asynchronous: bool = False,
        bit_accurate_images: int = DEFAULT_BIT_ACCURATE_IMAGES,
        accept_changed: bool = False,
        retry_failed: bool = False,
        near: Mapping[str, float] | None = None,
        simulates_bounds: bool = True,
        prefer: Mapping[str, float] | None = None,
        workers: Workers | None = None,
        listener: events.Listener = events.log_progress,
    ) -> optimize.Optimization:
        """Search until ``budget`` evaluations stand in the study, then check its front on images it has not seen.

        A second call goes on where the first stopped. After KeyboardInterrupt all that was evaluated is kept.

        Args:
            budget: Verified evaluations in the study, in all.
            cost_model: ``analytic``, ``surrogate`` or ``auto``, see `SearchSettings`.
            predictors: Folder of bundles to start from.
            warm_from: Another study to start from.
            accuracy_budget: Accuracies to measure, in all.
            until_converged: Stop when 50 more evaluations are expected to add less than so many percent of hypervolume.
            asynchronous: Choose one design for each free worker instead of batches.
            bit_accurate_images: Test images on which the front is verified bit-accurately and ranked anew; 0: it is not.
            accept_changed: Go on although what evaluates, or a file that it reads, is not what it was.
            near: Objective -> value of a point on the front to search about; what is far from it does not count.
            retry_failed: First evaluate again what has failed.
            simulates_bounds: Whether ZigZag, where it is installed, simulates designs of the front whose costs are bounds.
            prefer: Objective -> how much it matters; the search goes on where the front is preferred. None as the study says.
            workers: Where evaluations run, by default on this machine.
            listener: Told of every proposal and evaluation.

        Returns:
            The verified front, and how the search went.

        Raises:
            BadInput: For impossible settings, and for a study that does not say what it evaluates.
        """
        settings = optimize.SearchSettings(
            cost_model,
            predictors,
            warm_from,
            accuracy_budget,
            until_converged,
            asynchronous,
            bit_accurate_images,
            accept_changed,
            retry_failed,
            near,
            simulates_bounds,
            prefer,
        )
        return optimize.optimize(self, budget, settings, workers=workers, listener=listener)

    def fit_predictors(
        self,
        samples: int = predictors.DEFAULT_SAMPLES,
        *,
        out: str | Path = "bundles",
        licence: str = "",
        accept_changed: bool = False,
        workers: Workers | None = None,
        listener: events.Listener = events.log_progress,
    ) -> predictors.FittedPredictors:
        """Sample the joint space, really evaluate, fit and judge surrogates of every objective, write bundles.

        Args:
            samples: Evaluations to fit on, in all; they are stored in the study.
            out: Folder for the bundles.
            licence: Terms under which the bundles may be used; kept in them.
            accept_changed: Go on although what evaluates, or a file that it reads, is not what it was.
            workers: Where evaluations run, by default on this machine.
            listener: Told of every evaluation.

        Returns:
            Scores and verdict by objective, and the bundles that were written.

        Raises:
            BadInput: When fewer than 10 evaluations succeeded.
        """
        return predictors.fit_predictors(
            self,
            samples,
            out=out,
            licence=licence,
            accept_changed=accept_changed,
            workers=workers,
            listener=listener,
        )

    def ask(
        self,
        n: int = 1,
        *,
        by: str | None = None,
        lease_s: float = DEFAULT_LEASE_S,
        budget: int | None = None,
    ) -> list[AskedDesign]:
        """Hand out designs to be evaluated by something else; the study remembers who has them.

        Args:
            n: How many; fewer come back when the space or the budget is exhausted.
            by: Who evaluates them; by default the job of a queue, or user and machine.
            lease_s: Seconds until they count as lost and are given out again.
            budget: Evaluations in the study, in all; what is being evaluated counts.

        Returns:
            At most ``n`` designs, with who took them and when.

        Raises:
            BadInput: For numbers below 1, and for an impossible lease.
        """
        return asking.ask(self, n, by=by, lease_s=lease_s, budget=budget)

    def tell(
        self,
        text: str,
        *,
        by: str | None = None,
        source: str | None = None,
        accept_changed: bool = False,
    ) -> asking.Told:
        """Record what was measured elsewhere, as rows of JSON with ``key`` and ``metrics``, or ``key`` and ``failed``.

        Args:
            text: The rows. One that is wrong is refused alone; one that is told twice changes nothing.
            by: Who tells.
            source: What measured, such as a program and its version; kept as provenance.
            accept_changed: Take rows of another source than before.

        Returns:
            How many rows were new or known, and why others were refused.

        Raises:
            BadInput: When the text is no JSON; StudyError for another source than before.
        """
        return asking.tell(self, text, by=by, source=source, accept_changed=accept_changed)

    def retry(self, keys: Sequence[str] = (), *, by: str | None = None) -> list[AskedDesign]:
        """Let designs be asked anew.

        Args:
            keys: Keys of failed or handed-out designs, which may be shortened; empty for all that
                failed or are lost. Ignored where ``by`` is given.
            by: Who holds the designs that are meant, as ``cimbo status`` shows it.

        Returns:
            The designs that may be asked again.

        Raises:
            BadInput: A key is that of nothing that failed or is handed out, or of several such
                designs, or ``by`` holds none.
        """
        return asking.retry(self, tuple(keys), by)

    def withdraw(
        self,
        keys: Sequence[str] = (),
        *,
        since: int | None = None,
        where: str | None = None,
        reason: str = "",
        again: bool = False,
    ) -> list[Record]:
        """Withdraw evaluations that are known to be wrong: they count no more, and their values are kept.

        Args:
            keys: Keys of designs, which may be shortened.
            since: Number of the first evaluation that is meant.
            where: A condition on genes, metrics and ``number``. What is given has to hold together.
            reason: Why, in words; it is kept.
            again: Whether their designs are measured anew, before any other.

        Returns:
            What was withdrawn.

        Raises:
            BadInput: Nothing is named, or what does not exist, or somebody is evaluating.
        """
        selection = Selection(tuple(keys), since, where)
        return withdrawing.withdraw(self, selection, reason=reason, again=again)

    def renew(
        self, keys: Sequence[str] = (), *, by: str | None = None, lease_s: float = DEFAULT_LEASE_S
    ) -> list[Lease]:
        """Let leases end later, or earlier.

        Args:
            keys: Keys of designs that are handed out, which may be shortened.
            by: Who holds further ones, all of which are meant.
            lease_s: Seconds from now until the leases end.

        Returns:
            The leases that were changed, as they are now.

        Raises:
            BadInput: Neither ``keys`` nor ``by`` is given, a key is not that of one design that is
                handed out, ``by`` holds none, or ``lease_s`` is not above 0 and at most a year.
        """
        return asking.renew(self, tuple(keys), by, lease_s=lease_s)

    def noise_sweep(self, levels: Sequence[float]) -> decision.NoiseSweep:
        """Measure the front's accuracy at each noise of its converters; kept in the study, whose report draws it.

        Args:
            levels: Standard deviations of a reading, in steps of the converter as built.

        Returns:
            The accuracy of each design at each noise.

        Raises:
            BadInput: Without levels, for a negative one, or where the accuracy knows no converters.
        """
        return decision.noise_sweep(self, levels)

    def attribute(
        self,
        *others: StudyContext,
        within: float = attribution.DEFAULT_WITHIN,
        complete: int = 0,
        measure: bool = False,
        workers: Workers | None = None,
        listener: events.Listener = events.log_progress,
    ) -> Attribution:
        """Return the speed-up over the baseline at its accuracy: architecture only, hardware only, joint.

        Args:
            others: Sessions on studies of the same problem with other seeds, for an interval over them.
            within: Points of accuracy that a design may lack.
            complete: Also search with the chip fixed and with the network fixed, so many evaluations each.
            measure: Measure winners on test images where that was not done yet.
            workers: Where the evaluations of ``complete`` run, by default one at a time.
            listener: Told of these evaluations.

        Raises:
            BadInput: When the studies are of different problems.
        """
        workers = workers or Workers(jobs=1)
        settings = attribution.AttributionSettings(within, complete, measure, workers, listener)
        return attribution.attribute([self, *others], settings)

    def import_evaluations(
        self,
        source: str | Path,
        *,
        names: Mapping[str, str] | None = None,
        hardware: Mapping[str, Any] | str | None = None,
    ) -> importing.Imported:
        """Tell the study the evaluations of a CSV file or an Optuna storage. One wrong row, and nothing is written.

        Args:
            source: The file.
            names: What a column is, a gene or a metric, where it is not called so.
            hardware: For networks without a chip: genes of one, or "baseline". Costs are then simulated, not read.

        Returns:
            How many evaluations the file holds, how many were new, and what was left out.

        Raises:
            BadInput: For a file, a row or a chip that does not fit the study.
        """
        return importing.import_evaluations(self, source, names=names, hardware=hardware)
