"""A report as one HTML page: charts, styles and all in one file, without a script and without the network.

Everything but the charts goes through Jinja's automatic escaping; the charts are SVG in which Vega has escaped the tex
A policy in the page forbids every request and every script, so that even a mistake here could do nothing.
"""

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from access.report.document import Document
from access.report.numbers import Kind, shown

_FOLDER: Final = Path(__file__).parent


def page(document: Document) -> str:
    """Write the document."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = _shown
    style = Markup((_FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704  a file of ours
    drawings = {
        chart: Markup(chart.svg)  # noqa: S704  Vega has escaped the texts in it
        for section in document.sections
        for chart in section.charts
    }
    return environment.get_template("page.html").render(
        report=document, style=style, drawings=drawings, Kind=Kind
    )


def _shown(value: Any, kind: Kind) -> str:
    return shown(kind, value)
