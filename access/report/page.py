"""A report as one HTML page: charts, styles and all in one file, without a script and without the network.

Everything goes through Jinja's automatic escaping, and that of the charts' Markup. A policy in the page forbids every
request and every script, so a mistake in the escaping could do no harm.
"""

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from access.report.document import Document
from access.report.numbers import Kind, shown

_FOLDER: Final = Path(__file__).parent


def page(document: Document) -> str:
    """Return the document as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = _shown
    style = Markup((_FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704  a file of the program
    return environment.get_template("page.html").render(report=document, style=style, Kind=Kind)


def _shown(value: Any, kind: Kind) -> str:
    return shown(kind, value)
