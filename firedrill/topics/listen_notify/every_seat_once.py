"""Every seat once: a seat map that survives a PostgreSQL which is killed twice."""

from __future__ import annotations

import time

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.server import ROLE
from .morning import MORNING, SELL, SESSIONS, morning
from .ongoing import SOON, in_part

TITLE = "every seat once"

HINTS = (
    "What happens to the connection when PostgreSQL is killed, and who is told? Where is what was "
    "sold meanwhile?",
    "The notification is lost, the row is not. A loop connects, listens, and only then reads the "
    "table; and reads it again at each notification. Two tills commit in another order than their "
    "numbers were drawn.",
    "Keep a set of the ids that were delivered. In a `while True`: connect, add_listener and "
    "add_termination_listener that both set an asyncio.Event; then clear it, read, deliver what "
    "is not in the set, wait for it (2 s at most). `finally: conn.terminate()`; after an error, a "
    "short sleep.",
)

TRAPS = {
    "polls": "It asks the table from time to time, sold or not. With a hundred processes that is "
    "an additional load.",
    "larger number": "C1 has the smaller number and came later: who remembers the largest number "
    "never sees it.",
    "dead connection": "PostgreSQL came back, and nobody connected to it. A connection that was "
    "closed stays closed, and listens to nothing.",
    "no catching up": "It listens again, and what was sold in between is missing: PostgreSQL "
    "keeps notifications for nobody.",
    "gap": "It reads, then it listens. What was sold between the two is missing until something "
    "else is sold.",
    "twice": "What had been delivered before was delivered again.",
    "blocks": "The event loop stood still: in this process, nobody is served meanwhile.",
}

FIRST = 1.5  # seconds that it runs before it is cancelled
SOLD = f"""
    create table sold (
        id bigint generated always as identity primary key,
        seat text not null,
        xact xid8 not null default pg_current_xact_id());
    grant all on sold to {ROLE};
    create function tell() returns trigger language plpgsql as $$
    begin
        perform pg_notify('sold', new.id::text);
        return null;
    end $$;
    create trigger tell after insert on sold for each row execute function tell()"""


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await admin(stack)
        await look.execute(SOLD)
        await look.executemany(SELL, [("A1",), ("A2",), ("A3",)])
        before: list[str] = []
        begin = time.monotonic()
        running = exam.start(tap.dsn(), before.append, limit=FIRST)
        await running.wait(FIRST)
        blocked = time.monotonic() - begin > FIRST + 0.9  # this task was not run either
        runs = not running.done()
        ended = await running.end()
        first = await running
        exam.criterion(
            "it runs until it is cancelled, and lets the rest of the program run",
            runs and not blocked,
            "nothing else could run" if blocked else "running" if runs else str(first),
        )
        exam.criterion(
            "what was sold before it began is delivered, once",
            sorted(before) == ["A1", "A2", "A3"],
            f"{', '.join(before) or 'nothing'} came",
        )
        if blocked:
            exam.trap("blocks")
            return
        if not runs:
            return
        exam.criterion(
            "cancelled, it ends", ended, "it does" if ended else "it goes on", timed=not ended
        )
        if not ended:
            return

        async def gone() -> bool:
            return not await look.fetch(SESSIONS)

        exam.criterion(
            "cancelled, it leaves no connection behind",
            await until(gone, "its connection is gone", SOON),
            f"{len(await look.fetch(SESSIONS))} left",
        )
        await look.execute("delete from sold")
        await in_part(exam, morning, stack, tap, limit=MORNING)
