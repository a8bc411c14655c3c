"""Turn the parts of a page into one HTML file, by the template `page.html`.

Texts of reports, ids and names are hostile input. Every value that the template shows passes `printable`, which turns
control characters and marks of writing direction into visible escapes, and is then escaped for HTML. The page forbids
scripts and loads nothing (Content-Security-Policy), so that a hole in this would still run nothing.
"""

from __future__ import annotations

from cxr_rewards.errors import MissingDependencyError
from cxr_rewards.evaluation.report.blocks import Page, tick
from cxr_rewards.explain.looks import COLUMNS
from cxr_rewards.explain.words import printable


def to_html(page: Page) -> str:
    """Return a page as HTML: one text that needs no other file.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise MissingDependencyError("the HTML report needs jinja2: pip install 'cxr_rewards[report]'") from error

    def shown(value: object) -> object:
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=PackageLoader("cxr_rewards.evaluation.report", ""),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tick"] = tick
    return environment.get_template("page.html").render(page=page, finding_columns=COLUMNS[1:]).lstrip()
