"""The learner's service in separate processes, and a client whose requests end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx

from ... import service
from ...checking.examination import Examination
from ...servers.errors import Unavailable
from ...servers.server import ROLE
from ...servers.stack import Stack

POOL_SIZE = 2
LIMIT = 4.0  # seconds for an answer; a right service needs a few hundredths
FIRST_SEAT = 401  # of 100 free ones
CONTESTED = 480
UNKNOWN = 999999  # a customer who does not exist
SESSIONS = f"select count(*) from pg_stat_activity where usename = '{ROLE}' and "
Answer = int | str  # the status, or what came instead of an answer


class Client:
    """Requests that end."""

    def __init__(self, exam: Examination, *urls: str) -> None:
        self.exam, self.urls, self.asked = exam, urls, 0
        self.http = httpx.AsyncClient(
            limits=httpx.Limits(max_keepalive_connections=0), timeout=None
        )

    async def __call__(
        self, method: str, path: str, limit: float = LIMIT, **parameters: int
    ) -> Answer:
        self.asked += 1
        self.headers: Any = {}
        begun = time.monotonic()
        try:
            async with asyncio.timeout(limit):
                reply = await self.http.request(
                    method, self.urls[self.asked % len(self.urls)] + path, params=parameters
                )
        except TimeoutError:
            self.exam.in_time(time.monotonic() - begun, limit)
            return f"no answer within {limit:g} s"
        except httpx.HTTPError as error:
            return type(error).__name__
        self.headers = reply.headers
        return reply.status_code


@contextlib.asynccontextmanager
async def served(
    exam: Examination, stack: Stack, processes: int = 1, **environment: str
) -> AsyncIterator[Client | None]:
    """The learner's file in separate processes, which are gone afterwards.

    None if it does not start, which is noted.
    """
    running: list[service.Service] = []
    client = None
    variables: dict[str, Any] = {
        "DSN": stack.postgres.dsn(),
        "POOL_SIZE": f"{POOL_SIZE}",
        **environment,
    }
    try:
        for _ in range(processes):
            running.append(
                await service.start(
                    exam.file.parent, f"{exam.file.stem}:app", timeout=10, **variables
                )
            )
        client = Client(exam, *[one.url for one in running])
        yield client
    except Unavailable as error:
        if client:
            raise
        exam.criterion("the service starts", False, str(error), timed=True)
        yield None
    finally:
        if client:
            await client.http.aclose()
        for one in running:
            one.kill()


def is_deaf(exam: Examination, answer: Answer) -> bool:
    """A service that does not answer its first request is asked nothing else.

    Each request would take its whole time.
    """
    if isinstance(answer, str):
        exam.criterion("the service answers", False, answer)
    return isinstance(answer, str)


def counted(answers: list[Answer]) -> str:
    return ", ".join(
        f"{count} x {answer}" for answer, count in sorted(Counter(answers).items(), key=str)
    )
