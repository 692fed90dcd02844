"""What the theme leaves out for those who read with a keyboard or by ear: added to the built pages.

Doing it again changes nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

_REPLACED = (
    ('role="heading">', 'role="heading" aria-level="2">'),
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="Pages">'),
    ('<aside class="toc-drawer">', '<aside class="toc-drawer" aria-label="Sections">'),
    # What is scrolled sideways: code, and tables on a phone.
    ("<pre>", '<pre tabindex="0">'),
    ('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
)
# Of a table that is a list of two columns: Markdown has no table without one.
_EMPTY_HEAD = re.compile(
    r"<thead>\s*<tr[^>]*>\s*(?:<th[^>]*>\s*(?:<p>\s*</p>)?\s*</th>\s*)+</tr>\s*</thead>"
)
_ARTICLE = '<article role="main" id="furo-main-content">'


def accessible(html: str) -> str:
    for left, made in _REPLACED:
        html = html.replace(left, made)
    html = _EMPTY_HEAD.sub("", html)
    if "<h1" not in html:
        html = html.replace(_ARTICLE, f"{_ARTICLE}\n<h1>Search</h1>")
    return html


def finish(folder: Path) -> None:
    for path in folder.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        if (made := accessible(text)) != text:
            path.write_text(made, encoding="utf-8")
