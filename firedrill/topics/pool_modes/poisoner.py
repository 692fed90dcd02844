"""One service of four poisons the pool: everything that can stay on a backend is looked for."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...servers.server import SUPERUSER
from .services import ROUNDS

TITLE = "one service of four poisons the pool"

HINTS = (
    "Lesson 11's matrix lists what can stay on a backend. PostgreSQL has a view or a function for "
    "each of them.",
    "Look through PgBouncer, with a second client: when no other client is there, it is given the "
    "backend that the service has just used. Look before and after each service, and compare.",
    "pg_settings, pg_locks (of pg_backend_pid()), pg_class (relpersistence = 't'), pg_cursors "
    "(is_holdable), pg_prepared_statements (from_sql), pg_listening_channels(): gather them into "
    "one value, as text, in one query.",
)

TRAPS = {
    "one kind": "Some kinds of poison were found, and others were not. A backend keeps more than "
    "that.",
    "stays": "The poison stays when the next service runs, and that one was blamed for it.",
    "elsewhere": "No service was ever found. Did the query reach the backend that the services had "
    "used?",
    "own client": "A service that sets its time zone was blamed. PgBouncer sets each client's time "
    "zone again, so no other client gets it. Look with another client than the service's.",
    "prepared by asyncpg": "A service was blamed that leaves nothing behind. What asyncpg and "
    "PgBouncer prepare for queries comes and goes, and harms no other client: in "
    "pg_prepared_statements `from_sql` is false for it.",
}


async def check(exam: Examination) -> None:
    right = silent = later = 0
    innocent: set[str] = set()  # named too early, or where none is to blame
    with servers.open() as stack:
        console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
        for number, (services, poisoner) in enumerate(ROUNDS, 1):
            names = [*services]
            await console.execute("reconnect")
            outcome = await exam.run(dict(services), stack.pgbouncer.dsn("transaction"), limit=5)
            named = outcome.value
            met = outcome.returned and named == poisoner
            leaves_nothing = "a set of services that leaves nothing behind"
            exam.criterion(
                f"set {number} of services" if poisoner else leaves_nothing,
                met,
                "right" if met else _said(outcome, names),
            )
            if outcome.returned and named in names and not met:
                if poisoner and names.index(named) > names.index(poisoner):
                    later += 1
                else:
                    innocent.add(named)
            if poisoner and outcome.returned:
                right += met
                silent += named is None
    if later:
        exam.trap("stays")
    elif innocent == {"mails"}:
        exam.trap("own client")
    elif innocent:
        exam.trap("prepared by asyncpg")
    elif silent == len(ROUNDS) - 1:
        exam.trap("elsewhere")
    elif right and silent:
        exam.trap("one kind")


def _said(outcome: Outcome, names: list[str]) -> str:
    if not outcome.returned:
        return str(outcome)
    if outcome.value is None:
        return "no service was named"
    if outcome.value in names:
        return "another service was named"
    return f"{type(outcome.value).__name__} came back, and no name of a service"
