"""Wrong fixes for exercise 01."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import asyncpg


def only_the_at_sign(user: str, password: str, host: str, port: int, database: str) -> str:
    return f"postgresql://{user}:{password.replace('@', '%40')}@{host}:{port}/{database}"


def quote_for_paths(user: str, password: str, host: str, port: int, database: str) -> str:
    return f"postgresql://{user}:{quote(password)}@{host}:{port}/{database}"


def quote_for_forms(user: str, password: str, host: str, port: int, database: str) -> str:
    return f"postgresql://{user}:{quote_plus(password)}@{host}:{port}/{database}"


async def retry_every_error(dsn: str, patience: float) -> Any:
    deadline = time.monotonic() + patience
    while True:
        try:
            return await asyncpg.connect(dsn, timeout=patience)
        except Exception:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


async def retry_for_ever(dsn: str, patience: float) -> Any:
    while True:
        try:
            return await asyncpg.connect(dsn, timeout=1)
        except (OSError, asyncpg.CannotConnectNowError) as error:
            if isinstance(error, ssl.SSLError) or "rejected SSL" in str(error):
                raise
            await asyncio.sleep(0.1)


async def deadline_between_tries(dsn: str, patience: float) -> Any:
    deadline = time.monotonic() + patience
    while True:
        try:
            return await asyncpg.connect(dsn)
        except (OSError, asyncpg.CannotConnectNowError) as error:
            if (
                time.monotonic() > deadline
                or isinstance(error, ssl.SSLError)
                or "rejected SSL" in str(error)
            ):
                raise
        await asyncio.sleep(0.1)


async def retry_without_a_pause(dsn: str, patience: float) -> Any:
    deadline = time.monotonic() + patience
    while True:
        try:
            return await asyncpg.connect(dsn, timeout=max(deadline - time.monotonic(), 0.1))
        except (OSError, asyncpg.CannotConnectNowError) as error:
            if (
                time.monotonic() > deadline
                or isinstance(error, ssl.SSLError)
                or "rejected SSL" in str(error)
            ):
                raise


def tls_if_offered(ca_file: str) -> Any:
    return "prefer"


def no_verification(ca_file: str) -> Any:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def no_name_check(ca_file: str) -> Any:
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = False
    return context


def encores_authority_added(ca_file: str) -> Any:
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context


def the_authorities_of_the_web(ca_file: str) -> Any:
    return True


def the_known_characters(user: str, password: str, host: str, port: int, database: str) -> str:
    for character in "%@#/:+ ":
        encoded = f"%{ord(character):02X}"
        user = user.replace(character, encoded)
        password = password.replace(character, encoded)
    return f"postgresql://{user}:{password}@{host}:{port}/{quote(database, safe='')}"


def user_as_it_is(user: str, password: str, host: str, port: int, database: str) -> str:
    user, database = user.replace("@", "%40"), quote(database, safe="")
    return f"postgresql://{user}:{quote(password, safe='')}@{host}:{port}/{database}"


def latin_letters(user: str, password: str, host: str, port: int, database: str) -> str:
    user, database = quote(user, safe=""), quote(database, safe="")
    password = quote(password, safe="", encoding="latin-1", errors="replace")
    return f"postgresql://{user}:{password}@{host}:{port}/{database}"


def in_the_query(user: str, password: str, host: str, port: int, database: str) -> str:
    parts = {"host": host, "port": port, "user": user, "password": password, "dbname": database}
    return f"postgresql://?{urlencode(parts)}"


def _stays(error: Exception) -> bool:
    return isinstance(error, ssl.SSLError | FileNotFoundError) or "rejected SSL" in str(error)


def _patient(*errors: type[BaseException]) -> Callable[..., Any]:
    async def connect(dsn: str, patience: float) -> Any:
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + patience, 0.05
        while True:
            left = end - loop.time()
            try:
                return await asyncpg.connect(dsn, timeout=max(0.1, min(left, 2)))
            except errors as error:
                if loop.time() >= end or (isinstance(error, Exception) and _stays(error)):
                    raise
            await asyncio.sleep(min(pause * random.uniform(0.5, 1), max(end - loop.time(), 0)))
            pause *= 2

    return connect


async def any_host_comes(dsn: str, patience: float) -> Any:
    """A name that does not exist is asked for again."""
    errors = (
        OSError,
        asyncpg.CannotConnectNowError,
        asyncpg.TooManyConnectionsError,
        asyncpg.ConnectionDoesNotExistError,
    )
    return await _patient(*errors)(dsn, patience)


async def few_kinds(dsn: str, patience: float) -> Any:
    return await _patient(ConnectionError, TimeoutError, asyncpg.CannotConnectNowError)(
        dsn, patience
    )


async def deaf(dsn: str, patience: float) -> Any:
    """Takes its cancellation for one more failure."""
    return await _patient(
        ConnectionError, TimeoutError, asyncio.CancelledError, asyncpg.CannotConnectNowError
    )(dsn, patience)


class Patient:
    """A class, with a list of what stays."""

    def __init__(self, patience: float) -> None:
        self.end = time.monotonic() + patience

    def left(self) -> float:
        return self.end - time.monotonic()

    def is_final(self, error: Exception) -> bool:
        if isinstance(error, socket.gaierror):
            return error.errno != socket.EAI_AGAIN
        if isinstance(error, asyncpg.PostgresError):
            return error.sqlstate not in ("57P03", "53300", "08003", "08006")
        return _stays(error) or not isinstance(error, OSError)

    async def connect(self, dsn: str) -> Any:
        pause = 0.1
        while True:
            try:
                async with asyncio.timeout(max(self.left(), 0.1)):
                    return await asyncpg.connect(dsn)
            except Exception as error:
                if self.is_final(error) or self.left() <= 0:
                    raise
            await asyncio.sleep(max(0, min(pause, self.left())))
            pause *= 1.5


async def a_class(dsn: str, patience: float) -> Any:
    return await Patient(patience).connect(dsn)


def a_context_by_hand(ca_file: str) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    return context


def for_servers(ca_file: str) -> Any:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca_file)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "one character"): only_the_at_sign,
    (1, "slash"): quote_for_paths,
    (1, "form"): quote_for_forms,
    (2, "every error"): retry_every_error,
    (2, "forever"): retry_for_ever,
    (2, "between tries"): deadline_between_tries,
    (2, "no pause"): retry_without_a_pause,
    (3, "prefer"): tls_if_offered,
    (3, "encrypted only"): no_verification,
    (3, "any name"): no_name_check,
    (3, "public authorities"): the_authorities_of_the_web,
    (3, "public authorities, too"): encores_authority_added,
    (1, "known characters"): the_known_characters,
}

OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = ((1, None, in_the_query),)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "", user_as_it_is),
    (1, "", latin_letters),
    (2, "", any_host_comes),
    (2, "", few_kinds),
    (2, "", deaf),
    (2, None, a_class),
    (3, "", for_servers),
    (3, None, a_context_by_hand),
)
