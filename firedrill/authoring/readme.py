"""README's tables of lessons and of ten errors, ERRORS.md, and the pictures of README.

Tables stand in README between two marks each. Pictures are taken out of the lessons.
"""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path
from urllib.parse import quote

from .. import course, errors
from ..course import REPOSITORY

README, ERRORS = REPOSITORY / "README.md", REPOSITORY / "ERRORS.md"
BEGIN, END = "<!-- {}: made by `make notebooks` -->\n", "<!-- end of {} -->\n"

# By lesson and id. The errors that a service with asyncpg meets most often.
TEN = (
    ("01_connecting", "refused"),
    ("01_connecting", "cannot connect now"),
    ("03_exhaustion", "acquire timed out"),
    ("03_exhaustion", "too many clients"),
    ("04_timeouts_and_cancellation", "another operation"),
    ("04_timeouts_and_cancellation", "aborted transaction"),
    ("06_parameters", "wrong type for a parameter"),
    ("08_transactions", "deadlock"),
    ("10_prepared_statements", "statement does not exist"),
    ("12_migrations", "cached statement invalid"),
)
# The file in notebooks/pictures, the lesson, and which of its pictures it is.
PICTURES = {
    "wrong-rows.png": ("10_prepared_statements", 1),
    "pool-modes.png": ("11_pool_modes", -1),
}

ERRORS_BEGIN = """\
# The errors that this course explains

Each link opens the section of a lesson that provokes the error, shows why it comes, and fixes it.
In a terminal the same index answers for a line or for a whole traceback:

    .venv/bin/firedrill explain "cannot perform operation: another operation is in progress"

`make notebooks` makes this page from the `errors.toml` of each topic.
"""


def pages() -> dict[Path, bytes]:
    text = README.read_text(encoding="utf-8")
    text = _between(text, "lessons", _lessons())
    text = _between(text, "errors", _table([_entry(*key) for key in TEN]))
    return {README: text.encode(), ERRORS: _errors().encode()}


def pictures() -> dict[Path, bytes]:
    """What each file in notebooks/pictures should hold: the stored output of a lesson."""
    folder = REPOSITORY / "notebooks"
    made = {}
    for name, (lesson, number) in PICTURES.items():
        cells = json.loads((folder / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
        found = [
            output["data"]["image/png"]
            for cell in cells
            for output in cell.get("outputs", [])
            if "image/png" in output.get("data", {})
        ]
        made[folder / "pictures" / name] = base64.b64decode("".join(found[number]))
    return made


def _lessons() -> str:
    rows = ["| lesson | breaks, live | minutes | |", "|---|---|---|---|"]
    with_exercise = course.exercises()
    for lesson in course.lessons():
        link = f"[{lesson.number:02} {lesson.title}](notebooks/{lesson.name}.ipynb)"
        has_one = lesson in with_exercise
        exercise = f"[exercise](exercises/{lesson.name}.ipynb)" if has_one else ""
        rows.append(f"| {link} | {lesson.breaks} | {lesson.minutes} | {exercise} |")
    return "\n".join(rows) + "\n"


def _errors() -> str:
    parts = [ERRORS_BEGIN]
    for name, entries in itertools.groupby(errors.entries(), lambda entry: entry.lesson):
        lesson = course.lesson(name.partition("_")[2])
        parts.append(f"## {lesson.number:02} {lesson.title}\n\n{_table([*entries])}")
    return "\n".join(parts)


def _table(entries: list[errors.Entry]) -> str:
    rows = ["| the error says | class, SQLSTATE | read |", "|---|---|---|"]
    for entry in entries:
        title = entry.title.replace("|", r"\|")
        classes = "<br>".join(f"`{one}`" for one in entry.classes)
        state = f" {entry.sqlstate}" if entry.sqlstate else ""
        link = f"notebooks/{entry.lesson}.ipynb#{_anchor(entry.section)}"
        rows.append(f"| `{title}` | {classes}{state} | [{entry.section}]({link}) |")
    return "\n".join(rows) + "\n"


def _anchor(section: str) -> str:
    """As JupyterLab and code hosts name a heading.

    JupyterLab compares it with the heading as it stands in the link: an escape that a link does not
    need (%2C for a comma) opens the lesson at its top.
    """
    return quote(section.replace(" ", "-"), safe="!$&'()*+,/:;=?@")


def _entry(lesson: str, name: str) -> errors.Entry:
    [found] = [one for one in errors.entries() if (one.lesson, one.id) == (lesson, name)]
    return found


def _between(text: str, what: str, made: str) -> str:
    """`text` with what is made between its two marks. Raises ValueError if it has not both."""
    begin, end = BEGIN.format(what), END.format(what)
    before, after = text.index(begin) + len(begin), text.index(end)
    return f"{text[:before]}\n{made}\n{text[after:]}"
