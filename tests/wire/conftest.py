"""The pairs of servers that the wire is tested on."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest

from firedrill import servers
from firedrill.servers import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with servers.open("embedded") as stack:
        yield stack


@pytest.fixture(autouse=True)
def first_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncpg counts the names of its statements for the whole process: begin with 1."""
    monkeypatch.setattr(asyncpg.connection, "_uid", 0)


@pytest.fixture
def fresh() -> Iterator[Stack]:
    """A pair that a test may spoil."""
    with servers.open("embedded") as stack:
        yield stack
