"""Sphinx's configuration of the site. `python -m firedrill.authoring.site` makes its sources."""

import json
import os
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGES: dict[str, str] = json.loads((HERE / "build/pages.json").read_text(encoding="utf-8"))
ERRORS = [name for name in PAGES if name.startswith("errors/") and name != "errors/index"]

project = html_title = "asyncpg fire drills"
copyright = "the authors; text CC BY 4.0, code MIT"
language = "en"
highlight_language = "text"  # lessons show errors and logs without naming a language
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
extensions = ["myst_nb"]
nb_execution_mode = "off"  # the stored outputs are the ones that the checks compare
nb_merge_streams = True
myst_heading_anchors = 3
myst_heading_slug_func = "firedrill.authoring.site.slugs.anchor"
smartquotes = False  # code is quoted
suppress_warnings = [
    "toc.not_included",  # the pages of errors: errors/index lists them
    "misc.highlighting_failure",  # a cell that begins with ! is shown as what it is
]

templates_path = ["_templates"]
html_theme = "furo"
html_static_path = ["_static", "build/_static"]
html_css_files = ["site.css"]
html_baseurl = os.environ.get("SITE_URL", "")
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would fetch each page that was found
html_permalinks = False
html_use_index = False
html_domain_indices = False
html_theme_options = {"top_of_page_buttons": []}


def _page(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Its description; and for an error, the one before it and the next one."""
    if name in PAGES:
        described = escape(PAGES[name])
        context["metatags"] = (
            f'{context.get("metatags", "")}<meta name="description" content="{described}">'
        )
    if name in ERRORS:
        at = ERRORS.index(name)
        for key, other in (("prev", at - 1), ("next", at + 1)):
            if 0 <= other < len(ERRORS):
                title = app.env.titles[ERRORS[other]].astext()
                link = context["pathto"](ERRORS[other])
                context[key] = {"link": link, "title": escape(title)}


def setup(app: Any) -> None:
    app.connect("html-page-context", _page)
