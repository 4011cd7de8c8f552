"""Drawing in SVG: the one module under every picture and the report.

Two kinds of drawing. A plot of the report (`frame`, `layer`, `dot`, ...) takes the width it is given while its text, marks and
lines keep their size: places are percentages. SVG has no percentages in paths; those are drawn in a layer of 100 x 100 units
that is stretched over the plot. A picture in a file (`picture`, `box`, `label`, `rule`) has a size in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cimbo.plots.axes import Axis
from cimbo.plots.markup import Markup, join, tag

Place = tuple[float, float]  # percent from the left, percent from the top


def frame(x: Axis, y: Axis, *inside: object, about: str, class_: str = "") -> Markup:
    """Draws a plot with its grid, ticks and labels.

    Args:
        x: The axis across.
        y: The axis upwards.
        *inside: What is drawn in the plot, in order.
        about: What is read out to those who cannot see it.
        class_: Further classes of the element, for the style sheet.

    Returns:
        An HTML element.
    """
    grid = [_x_tick(x.at(v), name) for v, name in x.ticks()] + [
        _y_tick(y.down(v), name) for v, name in y.ticks()
    ]
    picture = tag("svg", tag("g", *grid, class_="axes"), *inside, role="img", aria_label=about)
    return tag(
        "div",
        tag("div", y.label + (" · log" if y.log else ""), class_="y-label"),
        picture,
        tag("div", x.label + (" · log" if x.log else ""), class_="x-label"),
        class_=f"plot {class_}".strip(),
    )


def _x_tick(at: float, name: str) -> Markup:
    line = tag("line", x1=f"{at}%", x2=f"{at}%", y1="0", y2="100%")
    return join([line, tag("text", name, x=f"{at}%", y="100%", dy="18", class_="x-tick")])


def _y_tick(at: float, name: str) -> Markup:
    line = tag("line", x1="0", x2="100%", y1=f"{at}%", y2=f"{at}%")
    return join([line, tag("text", name, x="0", y=f"{at}%", dx="-8", dy="4", class_="y-tick")])


def layer(*paths: object, width: int = 100, height: int = 100) -> Markup:
    """Stretches paths over the plot.

    Args:
        *paths: Paths in units of the layer.
        width: Units across; 100 makes them percent.
        height: Units down; 100 makes them percent.

    Returns:
        An SVG element.
    """
    return tag(
        "svg",
        *paths,
        viewBox=f"0 0 {width} {height}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
    )


def line(places: Iterable[Place], class_: str) -> Markup:
    """Draws a path through places, for a ``layer``.

    Args:
        places: (percent from the left, percent from the top) of each, one at least.
        class_: Class of the path, for the style sheet.

    Returns:
        An SVG path.
    """
    return tag("path", d="M" + "L".join(f"{x:g} {y:g}" for x, y in places), class_=class_)


def lines(every: Iterable[Sequence[Place]], class_: str) -> Markup:
    """Draws several lines as one path, for a ``layer``.

    Args:
        every: Places of each line, (percent from the left, percent from the top).
        class_: Class of the path, for the style sheet.

    Returns:
        An SVG path.
    """
    return tag(
        "path",
        d="".join("M" + "L".join(f"{x:.4g} {y:.4g}" for x, y in places) for places in every),
        class_=class_,
    )


def points(places: Iterable[Place], class_: str) -> Markup:
    """Draws round marks without tooltips as one path, for a ``layer``: a fraction of the size of dots.

    Args:
        places: (percent from the left, percent from the top) of each.
        class_: Class of the path, for the style sheet, which gives their size as a width of its stroke.

    Returns:
        An SVG path of strokes without length, whose round ends are the marks.
    """
    marks = "".join(f"M{x:.1f} {y:.1f}h.1" for x, y in places)
    return tag("path", d=marks or "M0 0", class_=f"points {class_}")


def bars(spans: Iterable[tuple[float, float, float]], class_: str) -> Markup:
    """Draws upright bars as one path, for a ``layer``.

    Args:
        spans: (x, top, bottom) of each bar, in percent.
        class_: Class of the path, for the style sheet.

    Returns:
        An SVG path; one of no length where there are no bars.
    """
    return tag(
        "path", d="".join(f"M{x:.3g} {a:.3g}V{b:.3g}" for x, a, b in spans) or "M0 0", class_=class_
    )


def steps(values: Sequence[float], x: Axis, y: Axis, class_: str) -> Markup:
    """Draws a staircase through the values after each evaluation, for a ``layer``.

    Args:
        values: Value after evaluation 1, 2, ...; it is 0 at the start.
        x: The axis of evaluation numbers.
        y: The axis of the values.
        class_: Class of the path, for the style sheet.

    Returns:
        An SVG path.
    """
    path, last = [f"M{x.at(0):g} {y.down(0):g}"], 0.0
    for i, value in enumerate(values, start=1):
        if value != last:
            path.append(f"H{x.at(i):g}V{y.down(value):g}")
            last = value
    return tag("path", d="".join([*path, f"H{x.at(len(values)):g}"]), class_=class_)


def dot(place: Place, tip: str, **attributes: object) -> Markup:
    """Draws a round mark with a tooltip that also works without a script.

    Args:
        place: (percent from the left, percent from the top).
        tip: Words of the tooltip; none when empty.
        **attributes: Further attributes, as :func:`cimbo.plots.markup.tag` takes them.

    Returns:
        An SVG circle, whose size the style sheet gives.
    """
    return tag("circle", _tip(tip), cx=f"{place[0]:.1f}%", cy=f"{place[1]:.1f}%", **attributes)


def mark(shape: str, place: Place, tip: str, **attributes: object) -> Markup:
    """Draws one of the shapes of ``shapes``, with a tooltip.

    Args:
        shape: ``triangle``, ``cross``, ``diamond`` or ``square``.
        place: (percent from the left, percent from the top).
        tip: Words of the tooltip; none when empty.
        **attributes: Further attributes, as :func:`cimbo.plots.markup.tag` takes them.

    Returns:
        An SVG element that uses the shape.
    """
    return tag(
        "use", _tip(tip), href=f"#{shape}", x=f"{place[0]:.1f}%", y=f"{place[1]:.1f}%", **attributes
    )


def _tip(tip: str) -> Markup:
    return tag("title", tip) if tip else Markup()


def shapes() -> Markup:
    """The marks other than dots, defined once a page: told apart by shape, not by colour alone."""
    return tag(
        "svg",
        tag(
            "defs",
            tag("path", id="triangle", d="M0 -4.2L4 3H-4Z"),
            tag("path", id="cross", d="M-3.2 -3.2L3.2 3.2M3.2 -3.2L-3.2 3.2"),
            tag("path", id="diamond", d="M0 -5L4.2 0L0 5L-4.2 0Z"),
            tag("path", id="square", d="M-4 -4H4V4H-4Z"),
        ),
        width="0",
        height="0",
        class_="hidden",
        aria_hidden="true",
    )


def lines_above(
    place: tuple[float, float], lines: Sequence[str], height: float, **style: str
) -> Iterator[Markup]:
    """Writes lines of text, the last of them at a place and the others above it.

    Args:
        place: Of the last line, in pixels.
        lines: The lines, from top to bottom.
        height: Of a line, in pixels.
        **style: Attributes of each.

    Yields:
        The lines, the last one first.
    """
    across, bottom = place
    for number, line in enumerate(reversed(lines)):
        yield label((across, bottom - height * number), line, **style)


MARK_SHAPES = {
    "infeasible": "triangle",
    "failed": "cross",
    "predicted": "diamond",
    "upcoming": "square",
}


def swatch(kind: str) -> Markup:
    """Draws a mark as it stands in a legend.

    Args:
        kind: Class of the mark; ``infeasible``, ``failed``, ``predicted`` and ``upcoming`` have a
            shape of their own, others are dots.

    Returns:
        An SVG element.
    """
    if kind in MARK_SHAPES:
        inside = tag("use", href=f"#{MARK_SHAPES[kind]}")
    else:
        inside = tag("circle")
    return tag(
        "svg",
        tag("g", inside, class_=kind),
        viewBox="-8 -8 16 16",
        class_="swatch",
        aria_hidden="true",
    )


def key(kind: str, name: str) -> Markup:
    """Makes a legend entry for a line.

    Args:
        kind: Class of the line, for the style sheet.
        name: What stands beside it.

    Returns:
        An HTML element.
    """
    sample = tag(
        "svg",
        tag("path", d="M0 5H22", class_=kind),
        viewBox="0 0 22 10",
        class_="key",
        aria_hidden="true",
    )
    return tag("span", sample, name, class_="entry")


# ---- pictures in files ----------------------------------------------------------------------------------------------


def picture(width: float, height: float, *inside: object, title: str = "") -> str:
    """A picture on white that needs nothing else.

    Args:
        width: Pixels.
        height: Pixels.
        inside: What is drawn, in order.
        title: What is read out to those who cannot see it.

    Returns:
        An SVG document.
    """
    drawn = tag(
        "svg",
        _tip(title),
        box((0, 0), (width, height), "#ffffff"),
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        role="img",
        font_family="sans-serif",
        font_size="12",
    )
    return drawn + "\n"


def box(corner: Place, size: tuple[float, float], colour: str, **attributes: object) -> Markup:
    """Draws a filled rectangle.

    Args:
        corner: Pixels from the left and from the top of its upper left corner.
        size: Width and height in pixels.
        colour: Of the filling, as SVG has it.
        **attributes: Further attributes, as :func:`cimbo.plots.markup.tag` takes them.

    Returns:
        An SVG element.
    """
    return tag(
        "rect",
        x=f"{corner[0]:.1f}",
        y=f"{corner[1]:.1f}",
        width=f"{size[0]:.1f}",
        height=f"{size[1]:.1f}",
        fill=colour,
        **attributes,
    )


def label(place: Place, words: object, **attributes: object) -> Markup:
    """Writes words whose base line begins at a place.

    Args:
        place: Pixels from the left and from the top; ``text_anchor`` lets the words end there or be
            centred.
        words: What is written.
        **attributes: Further attributes, as :func:`cimbo.plots.markup.tag` takes them.

    Returns:
        An SVG element.
    """
    return tag("text", words, x=f"{place[0]:.1f}", y=f"{place[1]:.1f}", **attributes)


def rule(start: Place, end: Place, colour: str, **attributes: object) -> Markup:
    """Draws a straight line.

    Args:
        start: Pixels from the left and from the top of one end.
        end: Those of the other end.
        colour: Of the line, as SVG has it.
        **attributes: Further attributes, as :func:`cimbo.plots.markup.tag` takes them.

    Returns:
        An SVG element.
    """
    return tag(
        "line",
        x1=f"{start[0]:.1f}",
        y1=f"{start[1]:.1f}",
        x2=f"{end[0]:.1f}",
        y2=f"{end[1]:.1f}",
        stroke=colour,
        **attributes,
    )
