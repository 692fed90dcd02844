"""Warm-up: a search whose query has a % in it, from asyncpg to psycopg."""

from __future__ import annotations

import psycopg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "a % in a query of psycopg"

HINTS = (
    'Lesson 17, "Trap: replace $1 by %s, and be done": what does psycopg take a % in the query '
    "for?",
    "In a query with parameters, a % that is not a placeholder is written twice. In a parameter, "
    "it is an ordinary character.",
    "where name like %s || '%%' order by id, (part,)",
)

TRAPS = {
    "a placeholder": "psycopg has taken the % of the LIKE for a placeholder, and sent nothing.",
    "sql": "The text of the visitor became part of the SQL: a ' in it ends the string.",
}

NAMES = """
    insert into customers (email, name, joined_at) values
        ('o1@example.com', 'O''Brien, Ann', now()), ('o2@example.com', 'O''Brien, Ben', now())"""
CASES = {
    "Customer 19": ["Customer 19", *[f"Customer {number}" for number in range(190, 200)]],
    "O'B": ["O'Brien, Ann", "O'Brien, Ben"],
    "Nobody": [],
}


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(NAMES)
        async with await psycopg.AsyncConnection.connect(
            stack.postgres.dsn(), autocommit=True
        ) as conn:
            outcomes = {part: await exam.run(conn, part) for part in CASES}
    wrong = [
        f"{part}: {outcome}"
        for part, outcome in outcomes.items()
        if not outcome.returned or outcome.value != CASES[part]
    ]
    exam.criterion(
        f"the names that begin with {', '.join(CASES)}: as the original's, in its order",
        not wrong,
        wrong[0] if wrong else f"{sum(map(len, CASES.values()))} names",
    )
    errors = [outcome.error for outcome in outcomes.values()]
    if isinstance(errors[0], psycopg.ProgrammingError) and "placeholder" in str(errors[0]):
        exam.trap("a placeholder")
    elif not errors[0] and isinstance(errors[1], psycopg.errors.SyntaxError):
        exam.trap("sql")
