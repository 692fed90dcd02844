"""A status is a member of SeatStatus: read, written, in arrays and rows, and with COPY."""

from __future__ import annotations

import enum
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from .uses import Use, examine, still_in_use

TITLE = "a status is a member of SeatStatus"

HINTS = (
    "In register, print str(member), member.name and member.value of each member. Which is a "
    "label of the type?",
    "The encoder has to make the label of a member, and the decoder a member of the label. COPY "
    "and whole rows ask for bytes.",
    'format="binary", encoder=lambda status: status.value.encode(), decoder=lambda data: '
    "SeatStatus(data.decode()).",
)

TRAPS = {
    "name": "PostgreSQL was given the name of the member in Python. The type has other labels.",
    "reading only": "Members are read, and none can be written.",
    "writing only": "Members are written, and what is read is no member.",
    "text": "INSERT and UPDATE have their codec; COPY and whole rows ask for bytes, and there is "
    "no codec for these.",
}


class SeatStatus(enum.Enum):
    FREE = "free"
    IN_A_BASKET = "held"  # a name from which nobody can guess the label
    SOLD = "sold"


FREE, HELD, SOLD = SeatStatus
OF_SEVERAL = "select count(*) from seats where event_id = 5 and status = any($1)"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        registered = await exam.run(conn, SeatStatus)
        if not registered.returned:
            exam.criterion("a codec is registered", False, str(registered))
            conn.terminate()
            return
        seen = await examine(exam, conn, _uses(look))
        await still_in_use(exam, conn)
        conn.terminate()
    names = "SeatStatus.", HELD.name, HELD.name.lower()
    if any(f'"{name}' in str(seen["writing"]) for name in names):
        exam.trap("name")
    elif seen.right("reading") and not seen.right("writing"):
        exam.trap("reading only")
    elif seen.right("writing") and not seen.right("reading"):
        exam.trap("writing only")
    elif seen.right("writing") and not seen.right("COPY"):
        exam.trap("text")


def _uses(look: Any) -> dict[str, tuple[Use, object]]:
    """And what should come of them. `look` sees what SQL sees."""

    async def written(conn: Any) -> Any:
        await conn.execute("update seats set status = $1 where id = 1", HELD)
        return await look.fetchval("select status::text from seats where id = 1")

    async def copied(conn: Any) -> Any:
        await conn.copy_records_to_table(
            "seats",
            columns=["event_id", "label", "price_cents", "status"],
            records=[(5, "balcony 1", 4500, SOLD)],
        )
        return await look.fetchval("select status::text from seats where label = 'balcony 1'")

    async def whole_row(conn: Any) -> Any:
        return (await conn.fetchval("select s from seats s where id = 401"))["status"]

    return {
        "reading": (lambda conn: conn.fetchval("select status from seats where id = 401"), FREE),
        "reading an array": (
            lambda conn: conn.fetchval("select enum_range(null::seat_status)"),
            [FREE, HELD, SOLD],
        ),
        "writing": (written, "held"),
        "= any($1), with a list of members": (
            lambda conn: conn.fetchval(OF_SEVERAL, [FREE, SOLD]),
            100,
        ),
        "a whole row": (whole_row, FREE),
        "COPY": (copied, "sold"),
    }
