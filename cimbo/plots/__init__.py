"""Drawing: scales, marks and words that every picture and the report share, and Plotly figures of a study for notebooks.

>>> cimbo.plots.front(study)                                                    # doctest: +SKIP

The figures are listed in ``NOTEBOOK_FIGURES``; they need ``pip install 'cimbo[plots]'``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cimbo.plots.notebook import distribution as distribution
    from cimbo.plots.notebook import front as front
    from cimbo.plots.notebook import hypervolume as hypervolume
    from cimbo.plots.notebook import parallel as parallel
    from cimbo.plots.notebook import timeline as timeline
    from cimbo.plots.notebook_models import contour as contour
    from cimbo.plots.notebook_models import gene_importances as gene_importances
    from cimbo.plots.notebook_models import parts as parts
    from cimbo.plots.notebook_models import roofline as roofline
    from cimbo.plots.notebook_models import slices as slices
    from cimbo.plots.notebook_predictions import predictions as predictions

#: Name of each figure to the module that draws it; loaded when it is asked for, since it loads more than drawing needs
NOTEBOOK_FIGURES = {
    "front": "notebook",
    "hypervolume": "notebook",
    "parallel": "notebook",
    "predictions": "notebook_predictions",
    "distribution": "notebook",
    "timeline": "notebook",
    "gene_importances": "notebook_models",
    "slices": "notebook_models",
    "contour": "notebook_models",
    "roofline": "notebook_models",
    "parts": "notebook_models",
}


def __getattr__(name: str) -> Any:
    if name not in NOTEBOOK_FIGURES:
        raise AttributeError(f"module 'cimbo.plots' has no attribute {name!r}")
    return getattr(import_module(f"cimbo.plots.{NOTEBOOK_FIGURES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *NOTEBOOK_FIGURES]
