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
    curves = {}
    for record in facts.front:
        if record.key in facts.by_noise:
            found = facts.by_noise[record.key]
            curves[record.key] = sorted((float(noise), value) for noise, value in found.items())
    noises = [noise for curve in curves.values() for noise, _ in curve]
    accuracies = [value for curve in curves.values() for _, value in curve]
    x = axis("noise of a reading, in steps of the converter", noises, zero=True)
    y = axis("accuracy in %", accuracies)
    dots, every = [], []
    for key, curve in curves.items():
        places = [(x.at(noise), y.down(value)) for noise, value in curve]
        every.append(places)
        for place, (noise, value) in zip(places, curve, strict=True):
            dots.append(svg.dot(place, f"{key}: {value:.2f} % at {noise:g} steps"))
    picture = svg.frame(
        x,
        y,
        svg.layer(svg.lines(every, "ours")),
        *dots,
        about="accuracy of the front over the noise of its converters",
    )
    note = "Measured on validation images, the rest of the chip as it is; one line is one design."
    return join([picture, tag("p", note, class_="fine")])
