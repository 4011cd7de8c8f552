"""The page: sections one after another, one style sheet, one script, and a policy that lets nothing else in or out."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING

from cimbo.analysis.chip_view import ChipView
from cimbo.analysis.gene_importance import GeneImportance
from cimbo.analysis.space_ends import ends_told
from cimbo.analysis.surrogate_views import SurrogateViews
from cimbo.errors import BadInput
from cimbo.plots import svg
from cimbo.plots.markup import Markup, join, tag
from cimbo.plots.quantity import amount, label, number, spoken
from cimbo.problem.objectives import Candidate
from cimbo.report import (
    calibration,
    converter_noise,
    embedded,
    history,
    influence,
    losses,
    progress,
    provenance,
    scatter,
    shap,
    table,
    threads,
    upcoming,
)
from cimbo.report.facts import Facts, gather

if TYPE_CHECKING:
    from cimbo.study.study import Study

#: A comment that takes whole lines of a script or style; these are left out of the page.
COMMENT = re.compile(r"^[ ]*(//.*|/\*(?s:.*?)\*/)[ ]*$", re.MULTILINE)
STYLE_FILES = ("style/page.css", "style/charts.css", "style/print.css")
#: The order matters: each script uses names that the scripts before it define.
SCRIPT_FILES = tuple(
    f"scripts/{name}.js"
    for name in (
        "base",
        "state",
        "plot",
        "front",
        "panel",
        "threads",
        "chip",
        "surrogate",
        "tables",
        "start",
    )
)


def html(
    study: Study,
    *,
    title: str,
    about: Mapping[str, str] | None = None,
    extra_rows: Mapping[str, Mapping[str, str]] | None = None,
    predicted: Sequence[Candidate] = (),
    baselines: Mapping[str, Sequence[float]] | None = None,
    chips: Mapping[str, ChipView] | None = None,
    importances: Sequence[GeneImportance] = (),
    around: SurrogateViews | None = None,
    error_bars: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
    lite: bool = False,
) -> str:
    """Write the report of a study as one HTML file that opens offline and asks the network for nothing.

    Every string may be hostile; all of them are escaped. Encode the page as UTF-8.

    Args:
        study: The study.
        title: Title of the page.
        about: Lines of provenance in order, as they shall be shown (command, versions, date):
            nothing is taken from the clock.
        extra_rows: By a design's key, lines for its details.
        predicted: Designs that the search would evaluate next, with predicted metrics. They are
            drawn and listed as predictions.
        baselines: For other searches over the same problem, by name: the hypervolume after
            evaluation 1, 2, ...
        chips: By a design's key, how its network runs on its chip, layer by layer.
        importances: How much each gene matters to the predictions of trees (SHAP values), for each
            objective.
        around: What the search's surrogates predict for designs near some designs of the study.
        error_bars: By a design's key, for each cost the lower and the upper end of its error bar
            from published chips, in the cost's unit.
        lite: Make a smaller page: fewer digits, and no predictions for designs that were measured
            later.

    Returns:
        The page.

    Raises:
        BadInput: The title is empty, a row is for a design that is not in the study, or a baseline
            holds a value below 0 or not finite.
    """
    _check(study, title, extra_rows or {}, baselines or {})
    facts = gather(
        study,
        predicted=tuple(predicted),
        baselines=dict(baselines or {}),
        extra_rows=dict(extra_rows or {}),
        chips=dict(chips or {}),
        importances=tuple(importances),
        around=around,
        error_bars=dict(error_bars or {}),
        lite=lite,
    )
    return document(facts, title, dict(about or {}))


def _check(
    study: Study,
    title: str,
    extra_rows: Mapping[str, object],
    baselines: Mapping[str, Sequence[float]],
) -> None:
    if not title.strip():
        raise BadInput("report title", "is empty", "give the report a name")
    if extra_rows:
        unknown = set(extra_rows) - {r.key for r in study.evaluations()}
    else:
        unknown = set()
    if unknown:
        raise BadInput(
            f"report row {min(unknown)!r}",
            "belongs to no evaluation of the study",
            "use keys of evaluations",
        )
    for name, values in baselines.items():
        if not all(math.isfinite(v) and v >= 0 for v in values):
            raise BadInput(
                f"baseline {name!r}",
                "holds a hypervolume below 0 or not finite",
                "give finite numbers",
            )


def document(facts: Facts, title: str, about: Mapping[str, str]) -> str:
    """Write the page of facts; equal arguments give equal pages.

    Args:
        facts: The study, with all that the page shows besides.
        title: Title of the page.
        about: Lines of provenance in order.

    Returns:
        The page as HTML.
    """
    style, script = Markup(_assets(STYLE_FILES)), Markup(_script())
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", style),
    )
    main = tag("main", *_sections(facts, about))
    skip = tag("a", "To the designs", href="#designs", class_="skip")
    data = [embedded.element(facts), tag("script", script)]
    body = tag("body", skip, svg.shapes(), _header(facts, title, about), main, *data)
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _assets(names: Sequence[str]) -> str:
    """Files of this room, one after another, without their comments and indentation: a third of their size."""
    room = resources.files("cimbo.report")
    kept = []
    for name in names:
        code = COMMENT.sub("", room.joinpath(name).read_text(encoding="utf-8"))
        kept += [line.strip() for line in code.splitlines() if line.strip()]
    return "\n".join(kept)


def _script() -> str:
    """The script's files in one function, so that their names stay among themselves."""
    return f'"use strict";\n(() => {{\n{_assets(SCRIPT_FILES)}\n}})();'


def _policy(style: str, script: str) -> str:
    """Only this very style sheet and script run; nothing is fetched, sent or framed."""
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def _header(facts: Facts, title: str, about: Mapping[str, str]) -> Markup:
    subtitle = " · ".join([*([about["date"]] if "date" in about else []), f"seed {facts.seed}"])
    tiles = [_tile(*entry) for entry in _headlines(facts)]
    remark = []
    if "accuracy" in about:
        remark = [tag("p", about["accuracy"][:1].upper() + about["accuracy"][1:])]
    return tag(
        "header",
        tag("h1", title),
        tag("p", subtitle, class_="fine"),
        *remark,
        tag("div", *tiles, class_="tiles"),
    )


def _headlines(facts: Facts) -> list[tuple[str, float | None, str, str]]:
    """(name, exact value, as shown, remark)."""
    n, volume = len(facts.records), facts.hypervolume
    fitting = f"{len(facts.verified)} feasible"
    without = "above the references"
    if volume is None:
        without = "needs a reference for every objective"
    counts = [
        ("evaluations", float(n), f"{n:,}", fitting),
        (
            "failed",
            float(len(facts.failed)),
            f"{len(facts.failed):,}",
            f"{len(facts.infeasible)} infeasible",
        ),
        (
            "on the front",
            float(len(facts.front)),
            f"{len(facts.front):,}",
            "verified, not dominated",
        ),
        ("hypervolume", volume, number(volume), without),
    ]
    best = []
    for o in facts.problem.objectives if facts.front else ():
        record = max(facts.front, key=lambda r, o=o: o.sign * r.metrics[o.name])  # type: ignore[misc]
        value = record.metrics[o.name]
        name = f"{'highest' if o.goal == 'max' else 'lowest'} {facts.named(o.name).replace(label(o.name), spoken(o.name))}"
        best.append((name, value, amount(o.name, value), f"evaluation {record.number}"))
    return [*counts, *best]


def _tile(name: str, value: float | None, shown: str, remark: str) -> Markup:
    digits, _, unit = shown.partition("\u00a0")
    figure = tag(
        "data",
        digits,
        tag("i", f"\u00a0{unit}") if unit else "",
        value="" if value is None else repr(value),
    )
    return tag("div", tag("span", name), figure, tag("small", remark), class_="tile")


def _sections(facts: Facts, about: Mapping[str, str]) -> list[Markup]:
    goals = " and ".join(
        f"{facts.named(o.name)} {'up' if o.goal == 'max' else 'down'}"
        for o in facts.problem.objectives
    )
    return [
        _section(
            "front", "The verified front", f"{_points(facts)} Better is {goals}.", _front(facts)
        ),
        _section("threads-all", "All designs, all variables", _ends(facts), threads.section(facts)),
        _section("designs", "Designs of the front", _about_designs(facts), table.section(facts)),
        *_chip(facts),
        *_next(facts),
        _section("history", "Hypervolume over evaluations", "", history.section(facts)),
        _section(
            "spread",
            "How designs are distributed",
            "Further towards the better end sooner is better.",
            progress.distributions(facts),
        ),
        _section("timeline", "What evaluations took", "", progress.timeline(facts)),
        _section(
            "prediction",
            "Predicted against verified",
            "Each prediction was made before its design was measured; bars span the predicted 90 %. "
            "Tooltips: predicted → verified.",
            calibration.section(facts),
        ),
        _section(
            "influence",
            "Which genes matter",
            "",
            join([shap.section(facts), influence.section(facts)]),
        ),
        *_surrogate(facts),
        *_converter_noise(facts),
        _section("losses", "What did not count", "", losses.section(facts)),
        _section("provenance", "Provenance", "", provenance.section(facts, about)),
    ]


def _about_designs(facts: Facts) -> str:
    told = "Choose a design to see its genes beside the front; click a heading to sort."
    if not facts.error_bars:
        return told
    return f"{told} Absolute costs may be off: each row says by how much, one standard deviation of published chips."


def _ends(facts: Facts) -> str:
    """The genes that most designs of the front have at an end of their range, as a sentence."""
    told = ends_told(facts.at_an_end)
    if told is None:
        return ""
    return f"{told[:1].upper()}{told[1:]}."


def _next(facts: Facts) -> list[Markup]:
    if not facts.predicted:
        return []
    lead = "What the search would verify next, as its model sees it: none of these was measured. ± spans the predicted 90 %."
    return [_section("next", "Next candidates, predicted", lead, upcoming.section(facts))]


def _chip(facts: Facts) -> list[Markup]:
    if not facts.chips:
        return []
    return [
        _section(
            "chip", "The chosen design on its chip", "", tag("div", _unscripted(), id="chip-view")
        )
    ]


def _surrogate(facts: Facts) -> list[Markup]:
    if facts.around is None or not facts.around.designs:
        return []
    place = tag("div", _unscripted(), id="surrogate-view")
    return [_section("surrogate", "What one gene changes, and two together", "", place)]


def _unscripted() -> Markup:
    words = "This picture needs JavaScript, which is part of this file; nothing is loaded."
    return tag("p", words, class_="empty")


def _converter_noise(facts: Facts) -> list[Markup]:
    if not any(record.key in facts.by_noise for record in facts.front):
        return []
    drawn = converter_noise.section(facts)
    return [_section("noise", "The front under noise of its converters", "", drawn)]


def _points(facts: Facts) -> str:
    modelled = facts.named("accuracy") != label("accuracy")
    verified = f"Every point was {'simulated, its accuracy modelled' if modelled else 'measured'}"
    if facts.predicted:
        return f"{verified}, but for squares: those are the next candidates, predicted."
    return f"{verified}."


def _section(name: str, heading: str, lead: str, content: Markup) -> Markup:
    return tag(
        "section",
        tag("h2", heading),
        tag("p", lead, class_="lead") if lead else Markup(),
        content,
        id=name,
    )


def _front(facts: Facts) -> Markup:
    """The picture, and beside it a panel that a script fills with the chosen design."""
    if not facts.records:
        return tag("p", "Nothing was evaluated yet.", class_="empty")
    hint = "There is no front yet."
    if facts.front:
        hint = "Choose a design in the picture or in the table."
    panel = tag(
        "aside",
        tag("p", hint, class_="fine"),
        id="chosen",
        tabindex="0",
        aria_label="the chosen design",
    )
    picture = tag("div", scatter.section(facts), id="front-plot")
    return tag("div", picture, panel, class_="split")
