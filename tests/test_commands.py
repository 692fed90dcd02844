"""The command `firedrill`, as a reader types it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from .leftovers import eventually

ROOT = Path(__file__).parents[1]


def firedrill(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = os.environ | options.pop("environment", {})
    return subprocess.run(
        [sys.executable, "-m", "firedrill", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env=environment,
        **options,
    )


def test_explain_takes_arguments_or_standard_input() -> None:
    error = 'asyncpg.exceptions.InvalidPasswordError: password authentication failed for user "app"'
    by_argument = firedrill("explain", error)
    assert by_argument.returncode == 0
    for part in ("means", "fix", "trap", 'notebooks/01_connecting.ipynb, "PostgreSQL says no"'):
        assert part in by_argument.stdout
    assert firedrill("explain", *error.split()).stdout == by_argument.stdout
    assert (
        firedrill("explain", input=f"Traceback (most recent call last):\n  ...\n{error}\n").stdout
        == by_argument.stdout
    )


def test_explain_says_when_it_does_not_know() -> None:
    done = firedrill("explain", "KeyError: 'seat'")
    assert done.returncode == 1
    assert "not in the index yet" in done.stdout


def test_a_reader_of_its_output_that_leaves_is_no_error() -> None:
    gone, output = os.pipe()
    os.close(gone)
    with os.fdopen(output, "wb") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "firedrill", "explain", "query_wait_timeout"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            timeout=60,
        )
    assert done.returncode == 0
    assert done.stderr == b""


def test_doctor_finds_this_machine_well() -> None:
    done = firedrill("doctor", environment={"FIREDRILL_SERVERS": "embedded"})
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "All is well."
    assert "✔ servers: embedded (FIREDRILL_SERVERS says so)" in done.stdout
    assert "opened in" in done.stdout


def test_a_mistake_in_the_environment_is_told_without_a_traceback() -> None:
    done = firedrill("doctor", environment={"FIREDRILL_SERVERS": "nonsense"})
    assert done.returncode == 1
    assert "is no kind of servers" in done.stderr
    assert "Traceback" not in done.stderr


def test_progress_and_reset_name_their_exercises() -> None:
    assert "exercises/01_connecting.ipynb" in firedrill("progress").stdout
    done = firedrill("reset", "99")
    assert done.returncode == 1
    assert done.stderr.startswith("firedrill: There is no exercise '99'. There are: 01_connecting")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_servers_are_kept_until_an_interrupt_and_then_gone(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "firedrill", "servers"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"FIREDRILL_SERVERS": "embedded"},
    )
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(8)]
    addresses = [
        word for line in lines for word in line.split() if word.startswith("postgresql://")
    ]
    assert len(addresses) == 6
    assert "Ctrl-C" in lines[-1]

    import asyncio

    async def log_in(address: str) -> None:
        await (await asyncpg.connect(address, timeout=5)).close()

    for address in addresses:
        asyncio.run(log_in(address))
    process.send_signal(number)
    process.wait(10)

    async def refused() -> bool:
        try:
            await asyncpg.connect(addresses[0], timeout=1)
        except OSError:
            return True
        return False

    assert eventually(lambda: asyncio.run(refused()))


def test_an_exercise_opens_without_what_only_pictures_need() -> None:
    """matplotlib takes longer to import than all the rest."""
    code = (
        "import sys; from firedrill import drills; print({'matplotlib', 'PIL'} & set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
        ).stdout
        == "set()\n"
    )
