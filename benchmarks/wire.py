"""The recording proxy, `firedrill.wire`: asyncpg's `fetchval("select 1")` on one warm connection
of each way, embedded servers. In each round each way makes 500 calls, and each round begins with
another way; one uncounted round comes first. A figure is the median latency of a round; of the
rounds the median is given and, in brackets, the worst. The ratio is that of the medians; in
brackets that of the round that was worst for the course.

- *recording proxy*: `wire.tap(stack, in_front_of="postgres")`: decodes and records both directions.
- *bare relay*: 25 lines of asyncio streams in this module, which copy bytes and know nothing. Like
  the proxy, it runs in a thread of the client's own process, so both share its interpreter lock
  with the client.
- *direct*: no proxy at all. *Both sides of PgBouncer* are two proxies, `wire.tap(stack)`, against
  another pair's PgBouncer.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from statistics import median

import asyncpg

from firedrill import servers, wire

from .row import Row

ROUNDS, CALLS = 12, 500
MOST = 2.0


def rows() -> list[Row]:
    with servers.open("embedded") as stack:
        with wire.tap(stack, in_front_of="postgres") as tap, relay(stack.postgres.port) as port:
            direct = stack.postgres.dsn()
            one = asyncio.run(
                _measure(
                    {
                        "tap": tap.dsn(),
                        "relay": stack.postgres.dsn(port=port),
                        "direct": direct,
                    }
                )
            )
        with wire.tap(stack) as tap, servers.open("embedded") as other:
            two = asyncio.run(
                _measure({"tap": tap.dsn("session"), "direct": other.pgbouncer.dsn("session")})
            )
    what = "`fetchval` through the recording proxy"
    return [
        _row(what, one["tap"], "a bare TCP relay in asyncio", one["relay"], MOST),
        _row(what, one["tap"], "direct", one["direct"]),
        _row("through two, both sides of PgBouncer", two["tap"], "PgBouncer direct", two["direct"]),
    ]


@contextlib.contextmanager
def relay(upstream: int) -> Iterator[int]:
    """The port of a relay to 127.0.0.1:`upstream`."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", upstream)
        await asyncio.gather(copy(reader, to_writer), copy(to_reader, writer))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(accept, "127.0.0.1", 0), loop
    ).result()
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _measure(ways: dict[str, str]) -> dict[str, list[float]]:
    """For each round the median latency, in seconds."""
    connections = {name: await asyncpg.connect(dsn) for name, dsn in ways.items()}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        turn = number % len(ways)
        for name in [*ways][turn:] + [*ways][:turn]:
            latencies = []
            for _ in range(CALLS):
                before = time.perf_counter()
                await connections[name].fetchval("select 1")
                latencies.append(time.perf_counter() - before)
            if number:
                found[name].append(median(latencies))
    for connection in connections.values():
        await connection.close()
    return found


def _row(
    what: str, own: list[float], peer: str, theirs: list[float], most: float | None = None
) -> Row:
    ratio = median(own) / median(theirs)
    worst = max(mine / other for mine, other in zip(own, theirs, strict=True))
    return Row(
        what,
        _in_microseconds(own),
        peer,
        _in_microseconds(theirs),
        f"{ratio:.2f}x ({worst:.2f}x)",
        f"≤ {most}x" if most else "",
        ratio <= most if most else None,
    )


def _in_microseconds(values: list[float]) -> str:
    return f"{median(values) * 1e6:.0f} µs ({max(values) * 1e6:.0f} µs)"
