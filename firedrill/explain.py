"""`firedrill explain`: what an error means, how sure that is, and which lesson treats it.

It imports nothing that it can do without: the answer should come before a reader lets go of Enter.
"""

from __future__ import annotations

import os
import sys

from . import errors
from .errors import places

USAGE = """usage: firedrill explain [--json] [ERROR ...]

What an error means, and which lesson treats it. ERROR is its text, a whole traceback, or a symptom
in plain words; without it, standard input is read.

  --json  the answer as JSON, for editors and bots

The last line of an answer opens the section in a browser if `make site` has built the pages in
this clone, or if FIREDRILL_SITE has the address of a site. Else it is a path in the repository.
"""
UNKNOWN = "This error is not in the index yet."
MOST = 5  # answers in full; of more, the titles


def main(arguments: list[str]) -> int:
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    as_json = "--json" in arguments[:1]
    pasted: str | bytes = " ".join(arguments[as_json:])
    if not pasted:
        if sys.stdin.isatty():
            print("Paste the error or the whole traceback, then press Ctrl-D:", file=sys.stderr)
        pasted = sys.stdin.buffer.read()
    answer = errors.answer(pasted)
    if as_json:
        import json

        print(json.dumps(as_data(answer), ensure_ascii=False, indent=1))
    else:
        print(as_text(answer, width()))
    return 0 if answer.found else 1


def width() -> int:
    try:
        return max(40, min(os.get_terminal_size().columns, 110))
    except OSError:  # no terminal
        return 110


def as_data(answer: errors.Answer) -> dict[str, object]:
    """For JSON. Its keys stay; new ones may come."""
    return {
        "known": bool(answer.found) and not answer.hedged,
        "answers": [
            {
                "id": one.entry.id,
                "title": one.entry.title,
                "sure": one.sure,
                "evidence": one.evidence,
                "means": one.entry.means,
                "fix": one.entry.fix,
                "trap": one.entry.trap,
                "apart": list(one.entry.apart),
                "versions": one.entry.versions,
                "lesson": one.entry.lesson,
                "section": one.entry.section,
                "link": one.entry.link,
                "url": places.opened(one.entry.lesson, one.entry.section),
            }
            for one in answer.found
        ],
        "name": answer.name,
        "general": answer.general,
        "collect": "" if answer.found else errors.COLLECT,
    }


def as_text(answer: errors.Answer, columns: int = 110) -> str:
    if not answer.found:
        return _unknown(answer, columns)
    blocks = []
    if answer.hedged:
        blocks.append(_hedge(answer, columns))
    full = (
        answer.found if len(answer.found) <= MOST else answer.found[: 1 if not answer.hedged else 0]
    )
    for at, one in enumerate(full):
        if at == 1 and not answer.hedged:
            blocks.append("Also in what you pasted, as a cause or a consequence:")
        blocks.append(_block(one, columns))
    rest = answer.found[len(full) :]
    if rest:
        blocks.append("\n".join(f"- {one.entry.title}" for one in rest))
    return "\n\n".join(blocks)


def _hedge(answer: errors.Answer, columns: int) -> str:
    evidence = answer.found[0].evidence
    if evidence == "your words":
        return _filled("Perhaps one of these; there was no error's text to go by:", columns)
    if not evidence.startswith("only"):
        return _filled(f"Not sure, by {evidence}. If it is PostgreSQL's after all:", columns)
    return _filled(
        f"Not sure, by {evidence}: which of these it is, its text or a traceback would tell.",
        columns,
    )


def _block(one: errors.Found, columns: int) -> str:
    entry = one.entry
    rows = [_filled(f"{entry.title}  [{one.sure}: {one.evidence}]", columns)]
    for label, text in (("means", entry.means), ("fix", entry.fix), ("trap", entry.trap)):
        rows.append(_filled(text, columns, f"  {label:7}"))
    rows += [
        _filled(cause, columns, "  or     " if at else "  apart  ")
        for at, cause in enumerate(entry.apart)
    ]
    if entry.versions:
        rows.append(_filled(entry.versions, columns, "  holds  "))
    rows.append(_filled(f'notebooks/{entry.lesson}.ipynb, "{entry.section}"', columns, "  read   "))
    rows.append(f"         {places.opened(entry.lesson, entry.section) or entry.link}")
    return "\n".join(rows)


def _unknown(answer: errors.Answer, columns: int) -> str:
    rows = [UNKNOWN]
    if answer.general:
        rows.append(f"In general, {answer.name}: {answer.general}")
    rows.append(f"Collect {errors.COLLECT}")
    return "\n".join(_filled(row, columns) for row in rows)


def _filled(text: str, columns: int, label: str = "") -> str:
    """In lines of at most `columns`, as `textwrap` does it, which takes longer to import."""
    rows, row = [], label
    for word in text.split():
        if len(row) > len(label) and len(row) + 1 + len(word) > columns:
            rows.append(row)
            row = " " * len(label)
        row += word if len(row) == len(label) else f" {word}"
    return "\n".join([*rows, row])
