"""What broke in a minute: from its traces, PostgreSQL's log, and the numbers."""

from __future__ import annotations

from ... import servers
from ...checking.examination import Examination
from ...checking.outcome import shown
from .incidents import INCIDENTS
from .minute import prepared, record

TITLE = "what broke in this minute"

HINTS = (
    "A span that is slow says that somebody waited, or worked. Which of the numbers are above zero "
    "in each minute? Print them.",
    "Requests that wait for a lock keep their connections, so others wait for the pool: the first "
    "cause is behind the second. And a transaction is open in nearly every bad minute.",
    "Ask in this order: does the log say 'still waiting for'? Do clients wait in PgBouncer? Is the "
    "notification queue above 0? Do requests wait for the pool? Are there hundreds of dead rows?",
)

TRAPS = {
    "symptom": "Requests waited for the pool, and you named the pool. Its connections were held by "
    "requests that waited themselves: for what, PostgreSQL's log says.",
    "oldest": "A transaction was open, and you named it. It was a part of something else: somebody "
    "held a lock, or a server connection of PgBouncer, or did not read; or it was a report.",
    "slow": "You named a cause for the minute in which a report ran. Its span was slow, and nobody "
    "waited for anything.",
}

CAUSES = ("pool", "lock", "transaction", "pgbouncer", "listener", None)


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await prepared(stack)
        for number, (cause, incident) in enumerate(INCIDENTS, 1):
            outcome = await exam.run(await record(stack, look, incident))
            right = outcome.returned and _same(outcome.value, cause)
            exam.criterion(f"minute {number}: what broke", right, str(outcome))
            if not outcome.returned:
                return
            if not right and not any(_same(outcome.value, one) for one in CAUSES):
                exam.criterion("it is one of the causes", False, shown(outcome.value))
                return
            if cause == "lock" and outcome.value == "pool":
                exam.trap("symptom")
            if outcome.value == "transaction" != cause:
                exam.trap("oldest")
            elif cause is None and not right:
                exam.trap("slow")


def _same(value: object, cause: str | None) -> bool:
    return type(value) is type(cause) and value == cause
