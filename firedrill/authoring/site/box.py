"""What the box of the start page knows: the index of the errors, as a script for `explain.js`.

Its expressions are those of `firedrill.errors`, translated. A page that was opened as a file may
not fetch JSON, hence a script.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ...errors import Entry, general, index, noise, paste, words
from . import slugs
from .patterns import translated

Pattern = tuple[str, str]  # source and flags
SHOWN = ("id", "title", "means", "fix", "trap", "lesson", "section", "versions", "sqlstate")
LISTS = ("classes", "over", "apart", "words")


def script() -> str:
    return f"window.FIREDRILL = {json.dumps(data(), ensure_ascii=False, separators=(',', ':'))};\n"


def data() -> dict[str, Any]:
    return {
        "entries": [_row(one) for one in index.searched()],
        "patterns": _patterns(),
        "signs": {chr(code): sign for code, sign in noise._SIGNS.items() if chr(code) != "\n"},
        "markup": noise._MARKUP,
        "sizes": [
            *(noise.LARGEST, noise._BEGINNING, noise._END, noise._AROUND, noise._LONGEST),
        ],
        "endings": paste._ENDINGS,
        "others": paste._OTHERS,
        "stop": sorted(words._STOP),
        "same": words._SAME,
        "own": sorted(words._OURS),
        "classes": general.CLASSES,
        "states": general.STATES,
        "foreign": [[word, translated(rf"\b{word}\b")] for word in general.FOREIGN],
        "databases": general.DATABASES,
        "collect": general.COLLECT,
    }


def _patterns() -> dict[str, Pattern]:
    return {
        "colours": translated(noise._COLOURS),
        "escaped": translated(noise._ESCAPED),
        "newline": translated(noise._NEWLINE),
        "prefix": translated(noise._PREFIX),
        "frame": translated(paste._FRAME),
        "notebook": translated(paste._NOTEBOOK),
        "pytest": translated(paste._PYTEST),
        "name": translated(paste._NAME),
        "state": translated(paste._STATE),
        "said": translated(paste._SAID),
        "subject": translated(general.SUBJECT, re.IGNORECASE),
        "logged": translated(words._LOGGED),
        "ours": translated(general.OURS),
    }


def _row(one: index.Searched) -> dict[str, Any]:
    """An entry; keys without a value are left out."""
    entry = one.entry
    flags = re.NOFLAG if entry.exact else re.IGNORECASE
    row = {name: getattr(entry, name) for name in (*SHOWN, *LISTS)} | {
        "page": slugs.of_errors()[entry.lesson, entry.id],
        "place": f"lessons/{entry.lesson}.html#{slugs.anchor(entry.section)}",
        "find": [[*translated(text, flags), needed] for text, needed in one.find],
        "loose": [[*translated(text, re.IGNORECASE), needed] for text, needed in one.loose],
        "frames": [translated(frame) for frame in entry.frames],
        "generic": entry.generic,
        "wraps": entry.wraps,
        "about": _foreign(entry),
    }
    return {key: value for key, value in row.items() if value}


def _foreign(entry: Entry) -> list[str]:
    """The other libraries that it speaks of itself."""
    own = " ".join((entry.text, *entry.also, *entry.classes)).lower()
    return [word for word in general.FOREIGN if word in own]
