"""Where no text is known: a class or a SQLSTATE that stands alone, plain words, or nothing."""

from __future__ import annotations

import functools
import re

from . import general, paste
from .answers import POSSIBLE, Answer, Found, of_another_database
from .index import searched

_STOP = frozenset(
    (
        "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "has", "have",
        "i", "in", "is", "it", "its", "my", "no", "not", "of", "on", "or", "our", "so", "that",
        "the", "their", "them", "then", "there", "they", "this", "to", "was", "we", "when",
        "which", "who", "why", "will", "with", "after", "only", "does", "do", "did", "get",
        "gets", "got", "some", "all", "any", "each", "every", "been", "than", "just", "now", "into",
    "if", "can", "cannot", "when", "while", "until", "again", "also", "even", "sometimes", "you",
    "one", "same", "more", "most", "before", "between", "through", "behind", "via", "time",
    )
)  # fmt: skip
_LOGGED = r"SQLSTATE|[A-Z]{4,}:|Error:|Exception|Traceback"  # no plain words
# Words of one meaning, as their stems: what a reader may call it, and what it counts as.
_SAME = {
    one: meaning
    for meaning, words in {
        "hang": "stuck block freez frozen froze wait stall hung stop deadlock",
        "lost": "gone mis disappear vanish lose los missing dropp drop never",
        "stor": "writ sav persist insert inserted commit",
        "row": "record data entry result",
        "customer": "tenant user client account somebody someone people",
        "other": "another wrong different else foreign",
        "pgbouncer": "pooler bouncer supavisor pgcat odyssey",
        "notif": "notify notification event messag notifi",
        "listen": "listener subscriber subscrib add_listener",
        "query": "statement sql select quer",
        "slow": "slower latency degrad slowly",
        "connection": "conn session connect",
        "request": "call endpoint http api",
        "deploy": "deployment redeploy rollout release restart",
        "transaction": "tx trx",
        "test": "pytest fixture suite",
        "fail": "break broken error exception crash failure rais",
        "twice": "double duplicat two second",
        "grow": "increas leak climb",
        "standby": "replica primary",
        "dict": "json jsonb",
        "str": "string text",
        "queue": "job worker",
        "pool": "acquire create_pool",
        "full": "exhaust exhausted run-out uses",
    }.items()
    for one in words.split()
}


def alone(flat: str) -> list[Found]:
    """A class or a SQLSTATE that is all that was pasted, or an error without text and frames."""
    name = paste.class_alone(flat)
    last = paste.errors(flat)
    if (
        not name
        and last
        and not last[-1].text
        and (
            f"{last[-1].name} Traceback (most recent" in flat
            or (
                re.search(general.SUBJECT, flat, re.IGNORECASE)
                and flat.rstrip().lower().endswith((last[-1].name.lower(), "(no text)"))
            )
        )
    ):
        name = last[-1].name
    short = name.rpartition(".")[2].lower()
    found = [
        Found(one.entry, POSSIBLE, "only the class")
        for one in searched()
        if name and any(short == known.rpartition(".")[2].lower() for known in one.entry.classes)
    ]
    if name:
        textless = [one for one in found if one.entry.frames]
        return textless or found
    state = flat.strip().upper()
    if not paste.sqlstates(state):
        return []
    return [
        Found(one.entry, POSSIBLE, "only the SQLSTATE")
        for one in searched()
        if one.entry.sqlstate == state
    ]


@functools.lru_cache(2000)  # the words of the entries, which are the same for each paste
def _stems(text: str) -> frozenset[str]:
    return frozenset(
        _SAME.get(stem, stem)
        for word in re.findall(r"[a-z0-9_]+", text.lower())
        if word not in _STOP
        for stem in [re.sub(r"(?:ing|ed|es|s|e)$", "", re.sub(r"ies$", "y", word))]
    )


def by_words(flat: str) -> list[Found]:
    """A symptom, told in plain words: all words of one of an entry's descriptions but one."""
    if len(flat) > 400 or paste.errors(flat) or re.search(_LOGGED, flat):
        return []
    if of_another_database(flat):
        return []
    said = _stems(flat)
    scored = []
    for one in searched():
        for words in one.row.get("words", ()):
            meant = _stems(words)
            hit = len(meant & said)
            enough = len(meant) - (len(meant) > 3) - (len(meant) > 6)
            share = 3 if hit < 3 else 4  # of what was said, at least a third or a quarter
            if hit >= 2 and hit >= enough and hit * share >= len(said):
                scored.append((-hit / len(meant), -hit, one.entry))
                break
    scored.sort(key=lambda item: item[:2])
    return [Found(entry, POSSIBLE, "your words") for _, _, entry in scored[:3]]


def unknown(text: str) -> Answer:
    raised = paste.errors(text)
    states = paste.sqlstates(text)
    name = raised[-1].name if raised else paste.class_alone(text)
    short = name.rpartition(".")[2]
    family = name.partition(".")[0].lower()
    if family not in general.FOREIGN and short in general.CLASSES:
        return Answer([], short, general.CLASSES[short])
    if states and states[-1][:2] in general.STATES:
        return Answer([], states[-1], general.STATES[states[-1][:2]])
    return Answer([], short)
