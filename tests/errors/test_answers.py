"""How sure an answer is, on what evidence, and what is said of what is not known."""

from __future__ import annotations

import pytest

from firedrill import errors
from firedrill.errors import general


def first(pasted: str) -> tuple[str, str]:
    found = errors.answer(pasted).found[0]
    return found.entry.id, found.sure


def test_a_text_is_evidence_enough() -> None:
    error = 'asyncpg.exceptions.InvalidPasswordError: password authentication failed for user "app"'
    found = errors.answer(error).found[0]
    assert (found.entry.id, found.sure) == ("wrong password", "sure")
    assert found.evidence == "the text and the class"


@pytest.mark.parametrize(
    "pasted", ["CannotConnectNowError", "asyncpg.exceptions.CannotConnectNowError:", "57P03"]
)
def test_a_class_or_a_sqlstate_alone_is_a_guess_and_says_so(pasted: str) -> None:
    answer = errors.answer(pasted)
    assert answer.found[0].entry.id == "cannot connect now"
    assert answer.hedged
    assert answer.found[0].evidence.startswith("only the ")


@pytest.mark.parametrize(
    "pasted",
    [
        "TypeError: book() got an unexpected keyword argument 'row'",
        "ValueError: a seat has a letter",
        "asyncpg.exceptions.InternalServerError: no such thing is known",
        "asyncpg.exceptions.DataError: cannot be",
        "KeyError: 'seat'",
        "sqlalchemy.exc.NoSuchModuleError: Can't load the seats",
    ],
)
def test_a_text_that_is_not_known_is_not_guessed_by_its_class(pasted: str) -> None:
    assert errors.answer(pasted).found == []


def test_what_is_not_known_is_said_in_general() -> None:
    answer = errors.answer("asyncpg.exceptions.InternalServerError: no such thing is known")
    assert answer.general == general.CLASSES["InternalServerError"]
    answer = errors.answer("ERROR: new and unheard of (SQLSTATE 40XYZ)")
    assert answer.general == general.STATES["40"]


@pytest.mark.parametrize(
    "pasted",
    [
        "redis.exceptions.ConnectionError: connection is closed",
        'pymysql.err.OperationalError: database "x" does not exist',
        "aiohttp.client_exceptions.ClientOSError: connection is closed",
    ],
)
def test_the_same_words_of_another_library_are_no_match_without_a_hedge(pasted: str) -> None:
    answer = errors.answer(pasted)
    assert not answer.found or answer.hedged


def test_a_timeout_is_told_by_the_frame_that_is_nearest() -> None:
    frames = {
        "connect timed out": ("asyncpg/connection.py", "connect"),
        "acquire timed out": ("asyncpg/pool.py", "_acquire"),
        "command timed out": ("asyncpg/protocol/protocol.pyx", "bind_execute"),
    }
    for entry, (path, function) in frames.items():
        paste = (
            f'  File "/app/lib/{path}", line 1016, in {function}\n    code\n'
            '  File "/usr/lib/python3.11/asyncio/timeouts.py", line 115, in __aexit__\n'
            "    raise TimeoutError from exc_val\nTimeoutError\n"
        )
        assert first(paste) == (entry, "sure")
        assert first(paste.replace("/", "\\")) == (entry, "sure"), "Windows"


def test_of_a_chain_the_error_that_matters_comes_first() -> None:
    chain = (
        "RuntimeError: Task <Task> got Future <Future> attached to a different loop\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n"
        "asyncpg.exceptions._base.InterfaceError: cannot perform operation: "
        "another operation is in progress\n"
    )
    assert [entry.id for entry in errors.find(chain)[:2]] == ["different loop", "another operation"]


@pytest.mark.parametrize(
    "pasted",
    [
        "IndexError: list index out of range",
        "ValueError: invalid literal for int() with base 10: 'abc'",
        "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        "httpx.ConnectError: [Errno 111] Connection refused",
    ],
)
def test_words_that_any_code_may_say_are_hedged(pasted: str) -> None:
    answer = errors.answer(pasted)
    assert not answer.found or answer.hedged
    frame = '  File "/app/lib/asyncpg/connect_utils.py", line 1, in connect\n    code\n'
    if "httpx" not in pasted:
        assert not errors.answer(frame + pasted).hedged


@pytest.mark.parametrize(
    "pasted",
    [
        'RuntimeError: Event loop is closed\n  File "sqlalchemy/dialects/mysql/asyncmy.py", line 3',
        "Error: connect ECONNREFUSED 127.0.0.1:6379",
        "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
        "fatal: unable to access 'https://x/y.git/': SSL certificate problem: self-signed",
        "kafka queue grows and the query hangs in mongodb",
        "the table in word does not fit on the page",
    ],
)
def test_what_other_programs_say_is_not_known(pasted: str) -> None:
    assert not errors.answer(pasted).found


def test_a_symptom_is_found_by_other_words_than_those_of_the_entry() -> None:
    said = {
        "nothing stored": "the endpoint answered with success, yet the new record never got saved",
        "migration stops the shop": "while we added a column to a big table all selects were stuck",
        "silent listener": "no more notifications reach our subscriber after a reconnect",
    }
    for entry, words in said.items():
        assert first(words) == (entry, "possible"), words


def test_what_an_error_has_caused_comes_last() -> None:
    cause = "socket.gaierror: [Errno -3] Temporary failure in name resolution"
    paste = f"{cause}\n\nERROR:    Application startup failed. Exiting.\n"
    assert [entry.id for entry in errors.find(paste)] == ["resolver", "startup failed"]
