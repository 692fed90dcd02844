"""Wrong fixes for exercise 01."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

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


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "one character"): only_the_at_sign,
    (1, "slash"): quote_for_paths,
    (1, "form"): quote_for_forms,
    (2, "every error"): retry_every_error,
    (2, "for ever"): retry_for_ever,
    (2, "between tries"): deadline_between_tries,
    (2, "no pause"): retry_without_a_pause,
    (3, "prefer"): tls_if_offered,
    (3, "encrypted only"): no_verification,
    (3, "any name"): no_name_check,
    (3, "public authorities"): the_authorities_of_the_web,
    (3, "public authorities, too"): encores_authority_added,
}
