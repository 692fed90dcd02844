"""A DSN for every user and password: each is logged in with, on a real server."""

from __future__ import annotations

import string

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome

TITLE = "a DSN for every user and password"

HINTS = (
    "Print the DSN for the password p@ss, and read it as a program must: where does the host "
    "begin?",
    "A DSN is a URL: a character that separates its parts has to be percent-encoded inside a "
    "part. asyncpg decodes user, password and database again.",
    "The standard library's urllib.parse has a function that percent-encodes a string. Read what "
    "its parameter `safe` is by default, and how it differs from its neighbour for HTML forms.",
)

TRAPS = {
    "one character": "Only the character that failed first is encoded. The password is somebody "
    "else's choice: the next one holds a # or a %.",
    "known characters": "The characters that were thought of are encoded, and the next password "
    "has another one.",
    "slash": "quote() leaves the slash as it is, since it was made for paths. In a password it "
    "ends the host.",
    "form": "quote_plus() writes a space as +, as HTML forms do. In a DSN a + is a plus.",
}

ODD = "sale/2026?"  # a database
ALL = "a password of all punctuation, spaces around it"
LOG_INS = {
    "a password of letters and digits": ("encore", "Spring2026"),
    "a password with @": ("encore", "p@ss"),
    "a password with #": ("encore", "p#ss"),
    "a password with / and :": ("encore", "a/b:c"),
    "a password with %": ("encore", "50%41"),
    "a password with a space": ("encore", "two words"),
    "a password with +": ("encore", "one+one"),
    ALL: ("encore", f" {string.punctuation} "),
    "a password with letters beyond ASCII": ("encore", "Größe€"),
    "a user with @": ("shop@encore", "Spring2026"),
    "a user with : and %": ("shop:50%40", "Spring2026"),
    "a database with / and ?": ("encore", "Spring2026"),
}


async def check(exam: Examination) -> None:
    good = {}
    with servers.open() as stack:
        look = await admin(stack)
        for role in ("shop@encore", "shop:50%40"):
            await look.execute(f'create role "{role}" login')
        await look.execute(f'create database "{ODD}"')
        for what, (user, password) in LOG_INS.items():
            quoted = await look.fetchval("select quote_literal($1)", password)
            await look.execute(f'alter role "{user}" password {quoted}')
            database = ODD if what.startswith("a database") else "encore"
            outcome = await exam.run(
                user, password, stack.postgres.host, stack.postgres.port, database, plain=True
            )
            good[what], seen = await _works(exam, outcome)
            exam.criterion(what, good[what], seen)
            if not outcome.returned:
                return  # ten times the same would tell no more
    bad = [what for what, works in good.items() if not works and "password" in what]
    if good["a password with @"] and not good["a password with #"]:
        exam.trap("one character")
    elif bad == ["a password with / and :", ALL]:
        exam.trap("slash")
    elif bad == ["a password with a space", ALL]:
        exam.trap("form")
    elif bad and bad[0] == ALL:
        exam.trap("known characters")


async def _works(exam: Examination, outcome: Outcome) -> tuple[bool, str]:
    if not isinstance(outcome.value, str):
        return False, f"no DSN came back: {outcome}"
    logged_in = await exam.call(_log_in, outcome.value, limit=8)
    return logged_in.returned, "logged in" if logged_in.returned else str(logged_in)


async def _log_in(dsn: str) -> None:
    await (await asyncpg.connect(dsn, timeout=5)).close()
