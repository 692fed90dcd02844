"""Warm-up: which status an error of the database is."""

from __future__ import annotations

from collections.abc import Awaitable

import asyncpg

from ... import servers
from ...checking.examination import Examination

TITLE = "a status for each error"

HINTS = (
    'Lesson 15, "status codes": whose fault is each of the errors, and may the client try again?',
    "4xx says: the request is wrong, do not repeat it. 503 says: try again. The rest is 500.",
    "TimeoutError and a lost connection: 503; UniqueViolationError: 409; DataError: 422.",
)

TRAPS = {
    "client": "The service was busy, or PostgreSQL was away, and the client was told that the "
    "request was wrong: it does not try again.",
    "server": "The request was wrong, and the answer says that the service has failed: somebody "
    "is woken up, and the client tries again.",
}

INSERT = "insert into customers (email, name, joined_at) values ($1, 'Ada', now())"
RIGHT = {"busy": 503, "away": 503, "twice": 409, "data": 422, "bug": 500}


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1)
        conn = await pool.acquire()
        errors = {
            "busy": await _raised(pool.acquire(timeout=0.05)),
            "twice": await _raised(conn.execute(INSERT, "customer1@example.com")),
            "data": await _raised(
                conn.fetchval("select price_cents from seats where id = $1", "A1")
            ),
            "bug": await _raised(conn.execute("select * from nope")),
        }
        stack.postgres.kill()
        errors["away"] = await _raised(asyncpg.connect(stack.postgres.dsn()))
        pool.terminate()
        outcomes = {name: await exam.run(error) for name, error in errors.items()}
        given = {name: outcome.value for name, outcome in outcomes.items()}
        exam.criterion(
            "a full pool and a PostgreSQL that is away: 503; a customer who is there already: 409; "
            "a seat that is no number: 422; a table that does not exist: 500",
            given == RIGHT,
            "as it should be"
            if given == RIGHT
            else "; ".join(
                f"{type(errors[name]).__name__}: {value}"
                for name, value in given.items()
                if value != RIGHT[name]
            ),
        )
        temporary, wrong = (given["busy"], given["away"]), (given["twice"], given["data"])
        if any(isinstance(value, int) and 400 <= value < 500 for value in temporary):
            exam.trap("client")
        elif any(isinstance(value, int) and value >= 500 for value in wrong):
            exam.trap("server")


async def _raised(doing: Awaitable[object]) -> Exception:
    try:
        await doing
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")
