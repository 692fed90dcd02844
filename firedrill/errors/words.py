"""A symptom, told in plain words: the entries whose descriptions say the same in other words."""

from __future__ import annotations

import functools
import re
from collections import Counter

from . import paste
from .answers import POSSIBLE, Found, of_another_database
from .entry import Entry
from .index import searched

_STOP = frozenset(
    (
        "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "has", "have", "i",
        "in", "is", "it", "its", "my", "no", "not", "of", "on", "or", "our", "so", "that", "the",
        "their", "them", "then", "there", "they", "this", "to", "was", "we", "when", "which",
        "who", "why", "will", "with", "after", "only", "does", "do", "did", "get", "gets", "got",
        "some", "all", "any", "each", "every", "been", "than", "just", "now", "into", "if", "can",
        "cannot", "while", "until", "again", "also", "even", "sometimes", "you", "one", "same",
        "more", "your", "use", "us", "still", "run", "once", "often", "randomly", "though", "he",
        "she", "his", "her", "what", "how", "where", "me", "am", "up", "out", "off", "here",
        "much", "most", "before", "between", "through", "behind", "via", "time",
    )
)  # fmt: skip
_LOGGED = r"SQLSTATE|[A-Z]{4,}:|Error:|Exception|Traceback"  # no plain words
# Words of one meaning, as their stems: what a reader may call it, and what it counts as.
_SAME = {
    one: meaning
    for meaning, words in {
        "hang": "stuck block freez frozen froze wait stall hung stop",
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
        "postgr": "pg postgresql psql",
        "held": "hold keep stay",
        "mov": "answer respond react",
        "fail": "break broken error exception crash failure rais",
        "twic": "double duplicat two",
        "grow": "increas leak climb",
        "standby": "replica primary",
        "dict": "json jsonb",
        "str": "string text",
        "queu": "job worker",
        "pool": "acquire create_pool",
        "full": "exhaust exhausted",
    }.items()
    for one in words.split()
}


@functools.lru_cache(2000)  # the words of the entries, which are the same for each paste
def _stems(text: str) -> frozenset[str]:
    return frozenset(
        _SAME.get(stem, stem)
        for word in re.findall(r"[a-z0-9_]+", text.lower())
        if word not in _STOP and not (word.isdigit() and len(word) < 4)
        for stem in [re.sub(r"(?:ing|ed|es|s|e)$", "", re.sub(r"ies$", "y", word))]
    )


# One of these has to be said: a symptom of something else is not known here.
_OURS = _stems(
    "postgres asyncpg pgbouncer pool transaction sqlalchemy commit database db prepare migration"
    " alembic executemany column advisory listen notify query insert write cursor copy vacuum lock"
    " row max_size table schema add_listener pg_advisory_lock upsert idle"
)


def by_words(flat: str) -> list[Found]:
    if len(flat) > 400 or paste.errors(flat) or re.search(_LOGGED, flat):
        return []
    if of_another_database(flat):
        return []
    said = _stems(flat)
    told = [one for one in searched() if one.row.get("words")]
    bags = [frozenset().union(*map(_stems, one.row["words"])) for one in told]
    known = Counter(stem for bag in bags for stem in bag)
    weights = {stem: _weight(known[stem]) for stem in said}
    whole = sum(weights.values())
    scored: list[tuple[int, int, Entry]] = []
    for one, bag in zip(told, bags, strict=True):
        hits = said & bag
        score = sum(weights[stem] for stem in hits)
        near = max(len(_stems(words) & said) for words in one.row["words"])
        if _described(said, one.row["words"]):
            scored.append((-score - near - whole, -len(hits), one.entry))
        elif said & _OURS and _enough(score, whole, len(hits)):
            scored.append((-score - near, -len(hits), one.entry))
    scored.sort(key=lambda item: item[:2])
    return [Found(entry, POSSIBLE, "your words") for _, _, entry in scored[:3]]


def _enough(score: int, whole: int, hits: int) -> bool:
    """Is it much of what was said? The more words fit, the less has to."""
    if hits > 3:
        return score * 3 >= whole
    return score * 5 >= whole * 2 if hits > 2 else score > 4 and score * 2 >= whole


def _weight(entries: int) -> int:
    """Of a word: one that few entries have says more; one that none has says little."""
    return 3 if 0 < entries < 3 else 2 if 0 < entries < 7 else 1


def _described(said: frozenset[str], descriptions: list[str]) -> bool:
    """Are they, but for a word or two, what one of the descriptions says?"""
    for words in descriptions:
        meant = _stems(words)
        hit = len(meant & said)
        enough = len(meant) - (len(meant) > 3) - (len(meant) > 6)
        share = 3 if hit < 3 else 4  # of what was said, at least a third or a quarter
        if hit >= 2 and hit >= enough and hit * share >= len(said):
            return True
    return False
