"""`expect` prints what was raised and fails when it should."""

from __future__ import annotations

import asyncio
import socket

import asyncpg
import pytest

from firedrill.expect import describe, expect


def test_it_prints_class_sqlstate_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    with expect(asyncpg.UniqueViolationError) as caught:
        raise asyncpg.UniqueViolationError("seat is sold")
    assert capsys.readouterr().out == "asyncpg.UniqueViolationError [23505]: seat is sold\n"
    assert isinstance(caught.exception, asyncpg.UniqueViolationError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "TimeoutError: (no text)"),
        (
            ConnectionRefusedError(111, "Connect call failed"),
            "ConnectionRefusedError: [Errno 111] Connect call failed",
        ),
        (
            socket.gaierror(-2, "Name or service not known"),
            "socket.gaierror: [Errno -2] Name or service not known",
        ),
        (
            asyncpg.InterfaceError("connection is closed"),
            "asyncpg.InterfaceError: connection is closed",
        ),
        (asyncpg.DataError("no\nHINT:  yes"), "asyncpg.DataError [22000]: no\n  HINT:  yes"),
    ],
)
def test_a_class_is_named_as_users_write_it(error: BaseException, text: str) -> None:
    assert describe(error) == text


def test_nothing_raised_fails() -> None:
    with (
        pytest.raises(AssertionError, match=r"Expected asyncpg\.DataError, but nothing was raised"),
        expect(asyncpg.DataError),
    ):
        pass


def test_another_error_fails_and_is_shown() -> None:
    with (
        pytest.raises(
            AssertionError, match="Expected OSError or KeyError, but got:\nValueError: seat"
        ) as raised,
        expect(OSError, KeyError),
    ):
        raise ValueError("seat")
    assert isinstance(raised.value.__cause__, ValueError)


def test_a_subclass_will_do_and_an_interrupt_goes_through() -> None:
    with expect(OSError):
        raise ConnectionResetError
    with pytest.raises(KeyboardInterrupt), expect(OSError):
        raise KeyboardInterrupt


def test_the_leaves_of_a_task_group_are_expected_each(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail(kind: type[Exception]) -> None:
        raise kind("full")

    async def main(*kinds: type[Exception]) -> None:
        with expect(asyncpg.TooManyConnectionsError):
            async with asyncio.TaskGroup() as group:
                for kind in kinds:
                    group.create_task(fail(kind))

    asyncio.run(main(asyncpg.TooManyConnectionsError, asyncpg.TooManyConnectionsError))
    assert (
        capsys.readouterr().out
        == "ExceptionGroup of 2:\n  2 x asyncpg.TooManyConnectionsError [53300]: full\n"
    )
    with pytest.raises(AssertionError, match="1 x ValueError: full"):
        asyncio.run(main(asyncpg.TooManyConnectionsError, ValueError))
