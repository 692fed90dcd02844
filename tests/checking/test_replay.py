"""`replay()`: what the learner's code did before the criterion that was not met."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from firedrill import pictures, servers, wire
from firedrill.checking.connections import admin
from firedrill.checking.examination import Examination
from firedrill.checking.replay import recorded
from firedrill.checking.sandbox import inside
from firedrill.checking.traffic import Line, Traffic
from firedrill.servers import Unavailable

from .tasks import Check, task_of


def replayed(check: Check, code: Any, patch: pytest.MonkeyPatch) -> list[str]:
    """The words of the pictures that are shown."""
    shown: list[str] = []
    patch.setattr(pictures, "show", lambda figure, words: shown.append(words))
    patch.setattr("firedrill.timeline.recording.show", lambda figure, words: shown.append(words))
    task = task_of(check)

    async def main() -> None:
        report = await task.check(code)
        assert report.status in ("failed", "could not judge"), report  # of a busy machine

    asyncio.run(main())
    task.replay()
    return shown


async def asks(conn: Any, query: str) -> None:
    await conn.execute(query)


def test_the_wire_of_the_failing_criterion_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            conn = await asyncpg.connect(stack.postgres.dsn())
            for what, met in (("first", True), ("second", False), ("third", False)):
                await conn.execute(f"select 'the check before the {what}'")
                await exam.run(conn, f"select 'they, the {what}'")
                await conn.execute(f"select 'the check after the {what}'")
                exam.criterion(f"the {what}", met, "")

    [words] = replayed(check, asks, monkeypatch)
    assert "client 1 → backend A" in words
    assert "select 'they, the second'" in words
    assert "first" not in words
    assert "third" not in words
    assert "check" not in words
    assert "the second" in capsys.readouterr().out


def test_criteria_that_are_noted_together_have_the_same_wire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            look = await admin(stack)
            await exam.run(look, "select 'both'")
            exam.criterion("one", True, "")
            exam.criterion("other", False, "")

    [words] = replayed(check, asks, monkeypatch)
    assert "select 'both'" in words


@pytest.mark.parametrize("passes", ["through PgBouncer", "through a tap"])
def test_pgbouncer_is_named(monkeypatch: pytest.MonkeyPatch, passes: str) -> None:
    async def check(exam: Examination) -> None:
        with servers.open() as stack, wire.tap(stack) as tap:
            through = tap if passes == "through a tap" else stack.pgbouncer
            conn = await asyncpg.connect(through.dsn("session"))
            await exam.run(conn, "select 1")
            exam.criterion("it", False, "")

    [words] = replayed(check, asks, monkeypatch)
    assert "client 1 → PgBouncer" in words


async def forgets(pool: Any) -> None:
    for _ in range(3):
        conn = await asyncio.wait_for(pool.acquire(), 0.2)
        await conn.fetchval("select 1")


def test_a_pool_without_a_free_connection_is_drawn_as_a_timeline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
            outcome = await exam.run(pool)
            exam.criterion("it returns", outcome.returned, str(outcome))
            pool.terminate()

    line, words = replayed(check, forgets, monkeypatch)
    assert [row.split()[-2:] for row in line.splitlines()[2:]] == [
        ["1", "no"],
        ["2", "no"],
        ["gives", "up"],
    ]
    assert "Parse" in words


async def fetches(conn: Any, rows: int) -> None:
    await conn.fetch("select repeat('x', 1000) from generate_series(1, $1::int)", rows)


def test_what_is_too_long_to_be_kept_does_not_spoil_what_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            conn = await asyncpg.connect(stack.postgres.dsn())
            await exam.run(conn, 3000)
            exam.criterion("it was long", True, "")
            await exam.run(conn, 2)
            exam.criterion("it was short", False, "")

    [words] = replayed(check, fetches, monkeypatch)
    assert "DataRow x 2" in words
    assert "garbage" not in words
    assert "unknown" not in words

    async def long(exam: Examination) -> None:
        with servers.open() as stack:
            conn = await asyncpg.connect(stack.postgres.dsn())
            await exam.run(conn, 3000)
            exam.criterion("it was long", False, "")

    [words] = replayed(long, fetches, monkeypatch)
    assert "there was more" in words


def test_a_record_that_begins_inside_a_message_begins_with_the_next_one() -> None:
    """As when a call was stopped while its rows came."""
    row, ready = b"D" + (200).to_bytes(4) + bytes(196), b"Z\0\0\0\5I"
    for cut in (2, 5, 100):
        with Traffic() as traffic:
            line = Line(traffic, ("127.0.0.1", 1))
            line.is_ready = True
            token = inside.set(True)
            line.said([b"S\0\0\0\4"])
            inside.reset(token)
            line.heard(row[:cut])
            traffic.noted("it was stopped", True)
            line.heard(row[cut:] + ready)
        kinds = [event.message for event in recorded(traffic).events]
        assert kinds == (["DataRow", "ReadyForQuery"] if cut < 5 else ["ReadyForQuery"])


async def asks_often(conn: Any) -> None:
    for number in range(100):
        await conn.execute(f"select {number}")


def test_of_many_steps_the_last_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            await exam.run(await asyncpg.connect(stack.postgres.dsn()))
            exam.criterion("it", False, "")

    [words] = replayed(check, asks_often, monkeypatch)
    assert words.startswith("The last 40 of 200 steps")
    assert "select 99" in words
    assert "select 79" not in words


def test_code_that_says_nothing_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def check(exam: Examination) -> None:
        await exam.run(None)
        exam.criterion("it asks", False, "it does not")

    async def nothing(_: object) -> None: ...

    assert replayed(check, nothing, monkeypatch) == []
    assert "said nothing" in capsys.readouterr().out
    with pytest.raises(Unavailable):
        task_of(check).replay()
