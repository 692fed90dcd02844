"""The errors of lesson 07: many rows at once, and one of them bad."""

from __future__ import annotations

import io

import asyncpg

from firedrill import servers

from ..raising import raised_by

SEAT = (5, "A1", 4500)
INSERT = "insert into seats (event_id, label, price_cents) values ($1, $2, $3)"
UPSERT = """insert into seats (event_id, label, price_cents) select * from unnest($1::int[], $2::text[], $3::int[])
            on conflict ({}) do update set price_cents = excluded.price_cents"""


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    conn = await asyncpg.connect(stack.postgres.dsn())
    columns = ["event_id", "label", "price_cents"]

    async def copy(*rows: object) -> None:
        await conn.copy_records_to_table("seats", columns=columns, records=rows)

    async def copy_file(source: object, **options: object) -> None:
        await conn.copy_to_table("seats", columns=columns, source=source, format="csv", **options)

    twice = [[5, 5], ["A1", "A1"], [1, 2]]
    raised = {
        "duplicate key": await raised_by(copy(SEAT)),
        "check violation": await raised_by(copy((5, "Z1", -1))),
        "null violation": await raised_by(copy_file(io.BytesIO(b"5,Z1,\n"))),
        "row of executemany": await raised_by(
            conn.executemany(INSERT, [(5, "Z1", 4500), (5, "Z2", "4500")])
        ),
        "element no sequence": await raised_by(conn.executemany(INSERT, [{"label": "Z1"}])),
        "row twice": await raised_by(conn.execute(UPSERT.format("event_id, label"), *twice)),
        "no such conflict": await raised_by(conn.execute(UPSERT.format("label"), *twice)),
        "fields of a line": await raised_by(copy_file(io.BytesIO(b"5,Z1\n"))),
        "header mismatch": await raised_by(
            copy_file(io.BytesIO(b"label,event_id,price_cents\n"), header="match")
        ),
        "bare type error": await raised_by(copy((5, "Z1", "4500"))),
        "short row": await raised_by(copy((5, "Z1"))),
        "text for bytes": await raised_by(copy_file(io.StringIO("5,Z1,4500\n"))),
        "bytes for a path": await raised_by(copy_file(b"5,Z1,4500\n")),
    }
    transaction = conn.transaction()
    await transaction.start()
    await raised_by(copy(SEAT))
    raised["aborted transaction"] = await raised_by(conn.fetchval("select 1"))
    await transaction.rollback()
    await conn.close()
    return raised
