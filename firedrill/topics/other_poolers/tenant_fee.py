"""A tenant's fee, whatever the pooler does with search_path and with statements."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...servers.stack import Stack

TITLE = "a tenant's fee, behind each pooler"

HINTS = (
    'Lesson 18, "SET search_path for tenants": which of the two is shared, the setting or the '
    "statement?",
    "Two tables under one text are one statement of PgBouncer's. The name of the schema has to "
    "become part of the text, and a name is not a parameter.",
    "Ask PostgreSQL to quote the name: select quote_ident($1); then f'select cents from "
    "{quoted}.fees'.",
)

TRAPS = {
    "leaks": "The setting stayed on the server connection: another tenant was asked for its fee, "
    "and got this one's.",
    "shared": "One text stands for two tables: the tenant who came second gets an error, as "
    "PgBouncer hands it the first one's statement.",
    "in the SQL": "The name of the schema became part of the statement as it came: a name with a "
    "quote ends it.",
}

SCHEMAS = {"arena": "7.5", "public": "97", 'L\'Été "Nord"': "12"}
TABLES = """
    create schema {0};
    create table {0}.fees (cents numeric);
    insert into {0}.fees values ({1});
    grant usage on schema {0} to encore;
    grant select on {0}.fees to encore"""


async def check(exam: Examination) -> None:
    with (
        servers.open(postgres="17", pgbouncer="1.24") as old,
        servers.open(postgres="18", pgbouncer="1.26") as new,
    ):
        seen: dict[str, list[str]] = {}
        for name, pair in (("1.24", old), ("1.26", new)):
            await _tables(pair)
            dsn = pair.pgbouncer.dsn("transaction")
            clients = {schema: await asyncpg.connect(dsn) for schema in SCHEMAS}
            seen[name] = [
                await _asked(exam, clients[schema], schema) for _ in range(2) for schema in SCHEMAS
            ]
            for conn in clients.values():
                conn.terminate()
        right = [*SCHEMAS.values()] * 2
        for name, answers in seen.items():
            met = answers == right
            exam.criterion(
                f"PgBouncer {name}, three tenants in turns, twice: each has its fee",
                met,
                "each has" if met else ", ".join(answers),
            )
        every = [answer for answers in seen.values() for answer in answers]
        if any("PostgresSyntaxError" in answer for answer in every):
            exam.trap("in the SQL")
        elif any("InvalidCachedStatementError" in answer for answer in every):
            exam.trap("shared")
        elif any(
            answer != fee and answer in SCHEMAS.values()
            for answer, fee in zip(seen["1.24"], right, strict=True)
        ):
            exam.trap("leaks")


async def _tables(pair: Stack) -> None:
    look = await admin(pair)
    await look.execute("create table fees (cents int); insert into fees values (97)")
    await look.execute("grant select on fees to encore")
    for schema, fee in SCHEMAS.items():
        if schema != "public":
            quoted = await look.fetchval("select quote_ident($1)", schema)
            await look.execute(TABLES.format(quoted, fee))


async def _asked(exam: Examination, conn: Any, schema: str) -> str:
    outcome = await exam.run(conn, schema)
    return f"{outcome.value}" if outcome.returned else str(outcome)
