"""The report: a study as one HTML file that opens offline.

>>> page = cimbo.report.html(study, title="ViT on analog chips", about={"date": "2025-01-31", "command": "cimbo optimize"})

`facts` takes from the study what is shown, one module a section turns it into `markup`, which is escaped by construction,
and `page` puts the sections together. Plots are SVG written here; the script only adds what makes reading easier.
"""

from cimbo.report.page import html

__all__ = ["html"]
