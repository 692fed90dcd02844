"""Builds the site: `make site`, or `make site SITE_URL=https://drills.example/`, which names it.

The address is for canonical links and the sitemap; no page needs it.
Runs with the Python of .venv/site. Pages that did not change are not built again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from xml.sax.saxutils import escape

from ... import course
from ...errors import source
from . import access, box, lessons, pages

SITE = course.REPOSITORY / "site"
BUILD = SITE / "build"
PAGES = BUILD / "source"
HTML = BUILD / "html"
DATA = "_static/explain-data.js"
# A sitemap needs whole addresses. This one says that none was given.
NO_ADDRESS = "http://localhost:8000/"


def main() -> int:
    began = time.monotonic()
    made, descriptions = _made()
    for name, text in made.items():
        _write(PAGES / name, text)
    for path in PAGES.rglob("*"):
        if path.is_file() and path.relative_to(PAGES).as_posix() not in made:
            path.unlink()
    _write(BUILD / "pages.json", json.dumps(descriptions, indent=1))
    _write(BUILD / DATA, box.script())
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    options: list[str | Path] = ["-c", SITE, "-d", BUILD / "doctrees", PAGES, HTML]
    if done := subprocess.run([*command, *options]).returncode:
        return done
    access.finish(HTML)
    _write(HTML / "sitemap.xml", sitemap([*descriptions]))
    print(f"{len(made)} pages in {time.monotonic() - began:.0f} s: {HTML / 'index.html'}")
    return 0


def _made() -> tuple[dict[str, str], dict[str, str]]:
    """The sources by their names, and the descriptions by page."""
    made, descriptions = {}, {}

    def add(name: str, page: pages.Page) -> None:
        made[name], descriptions[name.rpartition(".")[0]] = page

    add("index.md", pages.start())
    for lesson in course.lessons():
        breaks = pages.description(f"{lesson.title}: {lesson.breaks}".replace("`", ""))
        add(f"lessons/{lesson.name}.ipynb", (lessons.page(lesson), breaks))
    add("errors/index.md", pages.listed())
    for entry in source.all_entries():
        add(f"errors/{pages.name(entry)}.md", pages.error(entry))
    if atlas := pages.atlas():
        add("versions.md", atlas)
    return made, descriptions


def _write(path: Path, text: str) -> None:
    """Only if it differs: Sphinx goes by the time of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def sitemap(names: list[str]) -> str:
    address = os.environ.get("SITE_URL") or NO_ADDRESS
    urls = "".join(
        f"<url><loc>{escape(address.rstrip('/'))}/{escape(name)}.html</loc></url>\n"
        for name in sorted(names)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}</urlset>\n'
    )


if __name__ == "__main__":
    sys.exit(main())
