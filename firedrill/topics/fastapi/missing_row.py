"""Warm-up: an order that does not exist is 404."""

from __future__ import annotations

from typing import Any

import httpx

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from .serving import LIMIT, served

TITLE = "no such order is 404"

HINTS = (
    'Lesson 15, "200 null, and JSON in JSON": what does fetchrow return when there is no row, and '
    "what does FastAPI make of it?",
    "A function that returns has succeeded, whatever it returns. Which exception becomes an "
    "answer with another status?",
    'if row is None: raise HTTPException(404, "no such order")',
)

TRAPS = {
    "null": "200 was answered for an order that does not exist: the client takes it for a success.",
    "crash": "The missing row became an error of the service: 500 says that the shop is broken, "
    "not that the client asked for what is not there.",
}

MISSING = 999999


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        there = dict(await look.fetchrow("select id, total_cents from orders order by id limit 1"))
        async with served(exam, stack) as ask:
            if not ask:
                return
            found, body = await _get(ask.http, f"{ask.urls[0]}/orders/{there['id']}")
            missing, _ = await _get(ask.http, f"{ask.urls[0]}/orders/{MISSING}")
    exam.criterion(
        f"order {there['id']} is 200, with its id and total_cents; order {MISSING} is 404",
        (found, body, missing) == (200, there, 404),
        f"{found}{'' if body == there else ', another object'}, and {missing}",
    )
    if found == 200 and missing == 200:
        exam.trap("null")
    elif found == 200 and missing == 500:
        exam.trap("crash")


async def _get(client: httpx.AsyncClient, url: str) -> tuple[int | str, Any]:
    """The status and the JSON of the answer, or what came instead."""
    try:
        reply = await client.get(url, timeout=LIMIT)
    except httpx.HTTPError as error:
        return type(error).__name__, None
    is_json = reply.headers.get("content-type") == "application/json"
    return reply.status_code, reply.json() if is_json else None
