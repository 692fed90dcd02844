"""The pages that are no lessons, in Markdown for Sphinx: the start, the list, one for each error.

Each is given with its description, which search engines show.
"""

from __future__ import annotations

import itertools
import re

from ... import course
from ...errors import Entry, source
from ..readme import TEN
from . import lessons, slugs

ATLAS = course.REPOSITORY / "VERSIONS.md"
Page = tuple[str, str]  # its Markdown and its description
LONGEST = 155  # characters of a description that search engines show


def plain(text: str) -> str:
    """As Markdown that shows it as it is."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def code(text: str) -> str:
    ticks = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def description(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST else f"{flat[:LONGEST].rpartition(' ')[0]} …"


def name(entry: Entry) -> str:
    return slugs.of_errors()[entry.lesson, entry.id]


def start() -> Page:
    rows = [
        f"| [{one.number:02} {one.title}](lessons/{one.name}.ipynb) | {one.breaks} "
        f"| {one.minutes} |"
        for one in course.lessons()
    ]
    by_key = {(one.lesson, one.id): one for one in source.all_entries()}
    ten = [f"- {_link(by_key[key], 'errors/')}" for key in TEN]
    toc = "\n".join(f"{one.number:02} {one.title} <lessons/{one.name}>" for one in course.lessons())
    atlas = "Which version does what <versions>" if ATLAS.exists() else ""
    template = course.REPOSITORY / "site/index.md"
    return template.read_text(encoding="utf-8").format(
        errors=len(by_key), ten="\n".join(ten), lessons="\n".join(rows), toc=toc, atlas=atlas
    ), (
        "Paste a traceback of asyncpg, PostgreSQL or PgBouncer and read what it means, what to do "
        "first, and which lesson breaks it live."
    )


def listed() -> Page:
    """All errors, by lesson."""
    parts = [
        "# All errors, by lesson\n\nThe page of each error says what it means, what to do first, "
        "and what does not help. To find yours by its traceback, "
        "[paste it on the start page](/index.md).\n"
    ]
    entries = source.all_entries()
    for key, of_lesson in itertools.groupby(entries, lambda entry: entry.lesson):
        lesson = course.lesson(key.partition("_")[2])
        links = "\n".join(f"- {_link(one)}" for one in of_lesson)
        parts.append(f"## {lesson.number:02} {lesson.title}\n\n{links}\n")
    return "\n".join(parts), f"{len(entries)} errors of asyncpg, PostgreSQL, PgBouncer and others."


def _link(entry: Entry, folder: str = "") -> str:
    return f"[{code(entry.title)}]({folder}{name(entry)}.md)"


def error(entry: Entry) -> Page:
    lesson = course.lesson(entry.slug)
    parts = [f"# {code(entry.title)}"]
    raised = [code(one) for one in entry.classes]
    if entry.sqlstate:
        raised.append(f"SQLSTATE {code(entry.sqlstate)}")
    if raised:
        parts.append(", ".join(raised))
    parts.append(plain(entry.means))
    if entry.apart:
        parts.append("## Which cause is it")
        parts.append("\n".join(f"- {plain(cause)}" for cause in entry.apart))
    parts += ["## What to do", plain(entry.fix), "## What does not help", plain(entry.trap)]
    if entry.versions:
        parts += ["## Versions", plain(entry.versions)]
    printed, output = lessons.proof(lesson, entry.section, entry.expressions)
    read = f"/lessons/{lesson.name}.ipynb#{slugs.anchor(entry.section)}"
    if output:
        parts += [
            "## Raised live",
            f"In [lesson {lesson.number:02}]({read}), with the output that is stored there:",
            _block(printed, "python"),
            _block(output, "text"),
        ]
    parts += [
        "## Read on",
        f"[{plain(entry.section)}]({read}) in lesson {lesson.number:02}, {plain(lesson.title)}: "
        f"{lesson.breaks}.",
    ]
    if entry.examples or entry.words:
        parts.append("## Other words for it")
        parts += [_block(one.strip(), "text") for one in entry.examples]
        parts += ["\n".join(f"- {plain(one)}" for one in entry.words)]
    if entry.source:
        parts += ["## Source", _source(entry.source)]
    return "\n\n".join(parts) + "\n", description(f"{entry.title}: {entry.means}")


def _block(text: str, language: str) -> str:
    fence = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _source(thread: str) -> str:
    """No server of the course raises it: the public thread that shows it."""
    repository, _, number = thread.partition("#")
    address = thread if "://" in thread else f"https://github.com/{repository}/issues/{number}"
    return f"The servers of this course do not raise it; [{plain(thread)}]({address}) shows it."


def atlas() -> Page | None:
    """VERSIONS.md, if the repository has it."""
    if not ATLAS.exists():
        return None
    text = lessons.linked(ATLAS.read_text(encoding="utf-8"), "lessons/")
    return text, "What each version of PostgreSQL, PgBouncer and asyncpg does differently."
