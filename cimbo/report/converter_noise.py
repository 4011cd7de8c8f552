"""What noise of the converters does to the front, where ``cimbo robust --noise-lsb`` measured it."""

from __future__ import annotations

from cimbo.plots import svg
from cimbo.plots.axes import axis
from cimbo.plots.markup import Markup, join, tag
from cimbo.report.facts import Facts


def section(facts: Facts) -> Markup:
    """Plot the accuracy of the front over the noise of its converters.

    Args:
        facts: The study, with accuracies by noise.

    Returns:
        A curve for each design of the front that was measured so, with a dot for each measurement.
    """
    curves = _curves(facts)
    every = [point for curve in curves.values() for point in curve]
    noises = [noise for noise, _ in every]
    x = axis("noise of a reading, in steps of the converter", noises, zero=True)
    y = axis("accuracy in %", [accuracy for _, accuracy in every])
    dots = []
    lines = []
    for key, curve in curves.items():
        places = []
        for noise, accuracy in curve:
            place = (x.at(noise), y.down(accuracy))
            places.append(place)
            dots.append(svg.dot(place, f"{key}: {accuracy:.2f} % at {noise:g} steps"))
        lines.append(places)
    picture = svg.frame(
        x,
        y,
        svg.layer(svg.lines(lines, "ours")),
        *dots,
        about="accuracy of the front over the noise of its converters",
    )
    note = "Measured on validation images, the rest of the chip as it is; one line is one design."
    return join([picture, tag("p", note, class_="fine")])


def _curves(facts: Facts) -> dict[str, list[tuple[float, float]]]:
    """Noise and accuracy of each design of the front that was measured so, the least noise first."""
    curves = {}
    for record in facts.front:
        by_noise = facts.by_noise.get(record.key)
        if by_noise is not None:
            points = [(float(noise), accuracy) for noise, accuracy in by_noise.items()]
            curves[record.key] = sorted(points)
    return curves
