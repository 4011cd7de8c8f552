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
from cimbo.problem.objectives import Candidate, Objective
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
COMMENT_LINE = re.compile(r"^[ ]*(//.*|/\*(?s:.*?)\*/)[ ]*$", re.MULTILINE)
PROGRESS_NOTE = "The sooner a curve comes close to its better end, the better."
PREDICTIONS_NOTE = (
    "Each prediction was made before its design was measured; bars span the predicted 90 %. "
    "Tooltips: predicted → verified."
)
STYLE_FILES = ("style/page.css", "style/charts.css", "style/print.css")
#: The order matters: each script uses names that the scripts before it define.
SCRIPT_FILES = (
    "scripts/base.js",
    "scripts/state.js",
    "scripts/plot.js",
    "scripts/front.js",
    "scripts/panel.js",
    "scripts/threads.js",
    "scripts/chip.js",
    "scripts/surrogate.js",
    "scripts/tables.js",
    "scripts/start.js",
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
    known = {record.key for record in study.evaluations()} if extra_rows else set()
    unknown = set(extra_rows) - known
    if unknown:
        what = "belongs to no evaluation of the study"
        raise BadInput(f"report row {min(unknown)!r}", what, "use keys of evaluations")
    for name, values in baselines.items():
        if not all(math.isfinite(value) and value >= 0 for value in values):
            what = "holds a hypervolume below 0 or not finite"
            raise BadInput(f"baseline {name!r}", what, "give finite numbers")


def document(facts: Facts, title: str, about: Mapping[str, str]) -> str:
    """Write the page of facts; equal arguments give equal pages.

    Args:
        facts: The study, with all that the page shows besides.
        title: Title of the page.
        about: Lines of provenance in order.

    Returns:
        The page as HTML.
    """
    style = Markup(_assets(STYLE_FILES))
    script = Markup(_script())
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
    kept: list[str] = []
    for name in names:
        code = COMMENT_LINE.sub("", room.joinpath(name).read_text(encoding="utf-8"))
        kept += filter(None, map(str.strip, code.splitlines()))
    return "\n".join(kept)


def _script() -> str:
    """The script's files in one function, so that their names stay among themselves."""
    return f'"use strict";\n(() => {{\n{_assets(SCRIPT_FILES)}\n}})();'


def _policy(style: str, script: str) -> str:
    """Only this very style sheet and script run; nothing is fetched, sent or framed."""
    rules = (
        "default-src 'none'",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _digest(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()


def _header(facts: Facts, title: str, about: Mapping[str, str]) -> Markup:
    subtitle = f"seed {facts.seed}"
    if "date" in about:
        subtitle = f"{about['date']} · {subtitle}"
    parts = [tag("h1", title), tag("p", subtitle, class_="fine")]
    if "accuracy" in about:
        remark = about["accuracy"]
        parts.append(tag("p", remark[:1].upper() + remark[1:]))
    tiles = [_tile(*entry) for entry in (*_counts(facts), *_best_values(facts))]
    return tag("header", *parts, tag("div", *tiles, class_="tiles"))


Tile = tuple[str, float | None, str, str]
"""A name, the exact value, the value as it is shown, and a remark."""


def _counts(facts: Facts) -> list[Tile]:
    """How many designs there are of each kind, and the hypervolume."""
    remark = "above the references"
    if facts.hypervolume is None:
        remark = "needs a reference for every objective"
    return [
        _count("evaluations", len(facts.records), f"{len(facts.verified)} feasible"),
        _count("failed", len(facts.failed), f"{len(facts.infeasible)} infeasible"),
        _count("on the front", len(facts.front), "verified, not dominated"),
        ("hypervolume", facts.hypervolume, number(facts.hypervolume), remark),
    ]


def _count(name: str, n: int, remark: str) -> Tile:
    return (name, float(n), f"{n:,}", remark)


def _best_values(facts: Facts) -> list[Tile]:
    """The best value of each objective on the front."""
    if not facts.front:
        return []
    return [_best_value(facts, objective) for objective in facts.problem.objectives]


def _best_value(facts: Facts, objective: Objective) -> Tile:
    metric = objective.name
    record = max(facts.front, key=lambda each: objective.sign * each.metrics[metric])
    value = record.metrics[metric]
    extreme = "highest" if objective.goal == "max" else "lowest"
    # The unit stands behind the value, so that the name goes without it.
    name = facts.named(metric).replace(label(metric), spoken(metric))
    return (f"{extreme} {name}", value, amount(metric, value), f"evaluation {record.number}")


def _tile(name: str, value: float | None, shown: str, remark: str) -> Markup:
    digits, _, unit = shown.partition("\u00a0")
    exact = "" if value is None else repr(value)
    after = tag("i", f"\u00a0{unit}") if unit else ""
    figure = tag("data", digits, after, value=exact)
    return tag("div", tag("span", name), figure, tag("small", remark), class_="tile")


def _sections(facts: Facts, about: Mapping[str, str]) -> list[Markup]:
    """The sections of the page, in their order."""
    lead = f"{_points(facts)} Better is {_goals(facts)}."
    genes = join([shap.section(facts), influence.section(facts)])
    return [
        _section("front", "The verified front", lead, _front(facts)),
        _section("threads-all", "All designs, all variables", _ends(facts), threads.section(facts)),
        _section("designs", "Designs of the front", _about_designs(facts), table.section(facts)),
        *_chip(facts),
        *_next(facts),
        _section("history", "Hypervolume over evaluations", "", history.section(facts)),
        _section(
            "spread", "How designs are distributed", PROGRESS_NOTE, progress.distributions(facts)
        ),
        _section("timeline", "What evaluations took", "", progress.timeline(facts)),
        _section(
            "prediction", "Predicted against verified", PREDICTIONS_NOTE, calibration.section(facts)
        ),
        _section("influence", "Which genes matter", "", genes),
        *_surrogate(facts),
        *_converter_noise(facts),
        _section("losses", "What did not count", "", losses.section(facts)),
        _section("provenance", "Provenance", "", provenance.section(facts, about)),
    ]


def _goals(facts: Facts) -> str:
    """Where better designs lie, for each objective."""
    goals = []
    for objective in facts.problem.objectives:
        direction = "up" if objective.goal == "max" else "down"
        goals.append(f"{facts.named(objective.name)} {direction}")
    return " and ".join(goals)


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
    lead = "What the search would verify next, as its model sees it: none of these was measured. Intervals hold 90 %."
    return [_section("next", "Next candidates, predicted", lead, upcoming.section(facts))]


def _chip(facts: Facts) -> list[Markup]:
    if not facts.chips:
        return []
    place = tag("div", _unscripted(), id="chip-view")
    return [_section("chip", "The chosen design on its chip", "", place)]


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
    if facts.predicted:
        return f"{facts.how_evaluated}, but for squares: those are the next candidates, predicted."
    return f"{facts.how_evaluated}."


def _section(name: str, heading: str, lead: str, content: Markup) -> Markup:
    parts = [tag("h2", heading)]
    if lead:
        parts.append(tag("p", lead, class_="lead"))
    return tag("section", *parts, content, id=name)


def _front(facts: Facts) -> Markup:
    """The picture, and beside it a panel that a script fills with the chosen design."""
    if not facts.records:
        return tag("p", "Nothing was evaluated yet.", class_="empty")
    hint = "There is no front yet."
    if facts.front:
        hint = "Choose a design in the picture or in the table."
    words = tag("p", hint, class_="fine")
    panel = tag("aside", words, id="chosen", tabindex="0", aria_label="the chosen design")
    picture = tag("div", scatter.section(facts), id="front-plot")
    return tag("div", picture, panel, class_="split")
