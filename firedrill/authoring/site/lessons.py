"""A lesson's notebook, made ready for Sphinx: its links lead to pages of the site, its pictures
have their texts.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from ... import course
from . import slugs

# A link to something in the repository: its text, its path, its place.
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:)([^()\s#]*)(?:#([^\s]*?))?\)")


def page(lesson: course.Lesson) -> str:
    notebook = source(lesson)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = linked("".join(cell["source"]))
        elif alt := _alt(cell):
            cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
    return json.dumps(notebook)


def source(lesson: course.Lesson) -> dict[str, Any]:
    path = course.REPOSITORY / f"notebooks/{lesson.name}.ipynb"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def linked(markdown: str, lessons: str = "") -> str:
    """Links to lessons lead to their pages, which lie in `lessons`; other files are only named."""

    def one(match: re.Match[str]) -> str:
        text, path, place = match[1], match[2], match[3]
        anchor = f"#{slugs.anchor(unquote(place))}" if place else ""
        if not path:
            return f"[{text}]({anchor})"
        name = path.rpartition("/")[2]
        if path.removeprefix("notebooks/") == name and name.endswith(".ipynb"):
            return f"[{text}]({lessons}{name}{anchor})"
        if name == "README.md":
            return f"[{text}](/index.md)"
        if name == "ERRORS.md":
            return f"[{text}](/errors/index.md)"
        return f"{text} (`{path.removeprefix('../')}`)"

    # Not in code, where it is no link.
    parts = re.split(r"(```.*?```|`[^`\n]*`(?!\]))", markdown, flags=re.S)
    return "".join(part if part.startswith("`") else LINK.sub(one, part) for part in parts)


def _alt(cell: dict[str, Any]) -> str:
    """What the picture in a cell's output shows, in words; white space as in a sentence."""
    for output in cell["outputs"]:
        alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
        if "image/png" in output.get("data", {}):
            return " ".join(alt.split())
    return ""


def proof(lesson: course.Lesson, section: str, expressions: tuple[str, ...]) -> tuple[str, str]:
    """The code and the stored output of the lesson in which one of the expressions is found.

    Those of the section first. Both are empty if the lesson prints it nowhere.
    """
    here = ""
    within: list[tuple[str, str]] = []
    elsewhere: list[tuple[str, str]] = []
    for cell in source(lesson)["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^## (.*)$", text, re.M)
            here = headings[-1] if headings else here
            continue
        (within if here == section else elsewhere).append((text, _printed(cell)))
    for code, printed in (*within, *elsewhere):
        flat = " ".join(printed.split())
        if any(re.search(one, flat, re.I) for one in expressions) and len(printed) < 2_500:
            return code.strip(), printed.rstrip()
    return "", ""


def _printed(cell: dict[str, Any]) -> str:
    return "".join(
        "".join(output["text"])
        for output in cell["outputs"]
        if output["output_type"] == "stream" and output["name"] == "stdout"
    )
