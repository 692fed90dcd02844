"""Opening a pair: every time until asyncpg's `select 1` has answered.

Removal and imports are not counted. In each round each way is taken once, and each round begins
with another one; one uncounted round comes first. The ratio is that of the medians; in brackets the
ratio of the round that was worst for the course.

- *embedded*: `servers.open("embedded")`, PostgreSQL with the ticket shop's data and PgBouncer;
  `select 1` goes through PgBouncer. The course prepares the next pair's data directory in the
  background as soon as one is opened, and in this benchmark it always has the time to. *A second
  pair at once* is opened when the first has answered: its data directory is copied while it waits,
  in addition to the copy in the background.
- *docker compose*: `docker compose up --detach --wait` of the course's own docker-compose.yml,
  images present, the same data; `select 1` goes through PgBouncer. Its health checks come after 1 s
  at the earliest, which is part of what `--wait` costs. *Without health checks* is the course's own
  way to open the same containers, `servers.open("docker")`.
- *testcontainers*: PostgresContainer("postgres:17") alone, no PgBouncer, no data; polled each 0.1 s
  instead of 1 s, `initdb` without sync and the server without fsync, for speed. Its "ryuk"
  container, which would cost more, is switched off.
- *pytest-postgresql*: the executor behind its fixture `postgresql_proc`, alone, with the embedded
  PostgreSQL's programs; no PgBouncer, no data, and without the template database that the fixture
  makes after it. When the benchmark runs as root, which PostgreSQL refuses, the executor runs in a
  forked process that has become the user nobody.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from statistics import median

from .executor import pytest_postgresql
from .row import Row, in_seconds, not_measured
from .ways import compose, embedded, testcontainers, unchecked

ROUNDS = 12
SLOWEST = 0.3  # seconds: what a reader does not notice as waiting, once for each notebook

Way = Callable[[], contextlib.AbstractContextManager[float]]


def rows() -> list[Row]:
    second: list[float] = []

    @contextlib.contextmanager
    def embedded_twice() -> Iterator[float]:
        with embedded() as opening, embedded() as again:
            second.append(again)
            yield opening

    seconds, missing = _measure(
        {
            "embedded": embedded_twice,
            "compose": compose,
            "unchecked": unchecked,
            "testcontainers": testcontainers,
            "pytest-postgresql": pytest_postgresql,
        }
    )
    what = "open a pair, embedded"
    if "embedded" in missing:
        return [Row(what, missing["embedded"])]
    own = seconds["embedded"]
    del second[0]  # the uncounted round's
    found = [
        Row(what, in_seconds(own), target=f"worst ≤ {SLOWEST} s", reached=max(own) <= SLOWEST),
        Row(
            "a second pair at once",
            in_seconds(second),
            target=f"worst ≤ {SLOWEST} s",
            reached=max(second) <= SLOWEST,
        ),
    ]
    for name, peer, least in (
        ("compose", "`docker compose up --wait`, both servers", 20),
        ("unchecked", 'the same containers without health checks, `servers.open("docker")`', None),
        ("testcontainers", "testcontainers, PostgreSQL alone", 10),
        ("pytest-postgresql", "pytest-postgresql, PostgreSQL alone", None),
    ):
        target = f"≥ {least}x" if least else ""
        if name in missing:
            found.append(Row(what, in_seconds(own), peer, missing[name], target=target))
            continue
        ratio = median(seconds[name]) / median(own)
        worst = min(theirs / ours for theirs, ours in zip(seconds[name], own, strict=True))
        found.append(
            Row(
                what,
                in_seconds(own),
                peer,
                in_seconds(seconds[name]),
                f"{ratio:.1f}x ({worst:.1f}x)",
                target,
                ratio >= least if least else None,
            )
        )
    return found


def _measure(ways: dict[str, Way]) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of each round, and for what cannot be measured here the reason."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    missing: dict[str, str] = {}
    for number in range(ROUNDS + 1):
        print(
            f"opening: round {number} of {ROUNDS}"
            if number
            else "opening: a round that does not count",
            flush=True,
        )
        turn = number % len(ways)
        for name in [*ways][turn:] + [*ways][:turn]:
            if name in missing:
                continue
            try:
                with ways[name]() as opening:
                    if number:
                        seconds[name].append(opening)
            except Exception as error:
                missing[name] = not_measured(error)
                print(f"{name}: {missing[name]}", flush=True)
    return seconds, missing
