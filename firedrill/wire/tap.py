"""`Tap`: proxies on the wires of a pair of servers, in a separate thread: they go on while
the notebook's loop is blocked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Coroutine, Iterator
from functools import partial
from typing import Any, Literal, Self, TypeVar

from .. import letters, pictures
from ..servers.errors import Unavailable
from ..servers.server import ROLE
from ..servers.stack import Stack
from ..tables import Table
from .event import Event
from .link import Link, Proxy
from .recorder import Recorder
from .table import Flight, flights, table

T = TypeVar("T")


class Tap:
    """Listens until it is closed: by its `with` block, by `close()`, with its pair, or with its
    process."""

    def __init__(
        self, stack: Stack, in_front_of: Literal["pgbouncer", "postgres"] = "pgbouncer"
    ) -> None:
        self._stack = stack
        has_both = in_front_of == "pgbouncer"  # sides of PgBouncer
        self._entry = stack.pgbouncer if has_both else stack.postgres
        letters.start_letters(stack.postgres)
        self._recorder = Recorder(partial(letters.letter, stack.postgres))
        self._delays: dict[str | None, float] = {}
        self._stalls: Counter[str | None] = Counter()
        self._routed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="firedrill-wire", daemon=True
        )
        self._thread.start()
        self._client_side = Proxy(
            self._recorder,
            partial(self._recorder.open, "client", back="PgBouncer" if has_both else ""),
            (self._entry.host, self._entry.port),
            self._apply_faults,
        )
        self._server_side = Proxy(
            self._recorder,
            partial(self._recorder.open, "server", front="PgBouncer"),
            (stack.postgres.host, stack.postgres.port),
            self._apply_faults,
        )
        stack.before_close.append(self._end)
        try:
            self.port = self._run(self._client_side.listen("127.0.0.1"))
            if has_both:
                self._enter_route()
        except BaseException:
            self._end()
            raise

    def dsn(self, database: str | None = None, *, user: str = ROLE) -> str:
        """As the server's own `dsn()`, through the wire."""
        return self._entry.dsn(database, user=user, host="127.0.0.1", port=self.port)

    @property
    def events(self) -> deque[Event]:
        """What was recorded since `clear()`, the last 10,000 events at most."""
        return self._ask(self._recorder.events.copy)

    def clear(self) -> None:
        self._ask(self._recorder.clear)

    def table(self, *, startup: bool = False, hide: Collection[str] = ()) -> Table:
        """Who said what to whom.

        Start-up, authentication, ParameterStatus, and the SET by which PgBouncer gives a server its
        client's settings, are left out unless `startup`; and the messages named in `hide`.
        """
        return table(self._flights(startup, hide), self._recorder.forgotten)

    def draw(
        self, *, startup: bool = False, hide: Collection[str] = (), mark: Collection[int] = ()
    ) -> None:
        """Show the same as a picture, whose text form is the table.

        The arrows with the numbers in `mark` are red and bold.
        """
        from .picture import draw  # which imports matplotlib

        shown = self._flights(startup, hide)
        pictures.show(draw(shown, mark), repr(table(shown, self._recorder.forgotten)))

    def round_trips(self, client: str | None = None) -> int:
        """How often the client, or all clients, sent something and then had an answer, since
        `clear()`; start-up apart."""
        trips = self._ask(self._recorder.trips.copy)
        return sum(count for names, count in trips.items() if client is None or client in names)

    def delay(self, seconds: float, client: str | None = None) -> None:
        """Deliver everything `seconds` later, each way, so a round trip takes twice that.

        0 ends it.

        Faults are for the connections of all clients, or of one, by its application_name or its
        name in the table.
        """
        self._delays[client] = seconds
        self._ask(self._apply_all)

    @contextlib.contextmanager
    def stalled(self, client: str | None = None) -> Iterator[Self]:
        """Nothing is delivered in this block, and nothing closed; afterwards everything comes,
        in order."""
        self._stalls[client] += 1
        self._ask(self._apply_all)
        try:
            yield self
        finally:
            self._stalls[client] -= 1
            self._ask(self._apply_all)

    def cut(self, client: str | None = None) -> None:
        """End the connections in an orderly way, FIN, as a load balancer that is shut down does."""
        self._each(Link.cut, client)

    def reset(self, client: str | None = None) -> None:
        """End the connections with a RST, as a firewall that has forgotten them does."""
        self._each(Link.reset, client)

    def close(self) -> None:
        """PgBouncer goes back to PostgreSQL itself, and the connections through the wire end.

        Raises `Unavailable` while PgBouncer is paused or its console does not answer: then it
        still goes through here.
        """
        if self._routed and self._thread.is_alive():
            self._stack.route()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self._thread.is_alive():
            return "wire: closed"
        return (
            f"wire: {len(self._client_side.links)} connections, {len(self._recorder.events)} events"
        )

    def _enter_route(self) -> None:
        """Listen where PgBouncer can reach it, and point PgBouncer there."""
        tried = []
        for listen, reached_as in self._stack.proxy_addresses():
            try:
                port = self._run(self._server_side.listen(listen))
            except OSError as error:
                tried.append(f"{listen}: {error}")
                continue
            if self._stack.pgbouncer_reaches((reached_as, port)):
                self._routed = True
                self._stack.route((reached_as, port))
                return
            self._run(self._server_side.close())
            tried.append(
                f"{listen}: PgBouncer does not reach it as {reached_as}. "
                "Does a firewall of this machine forbid it?"
            )
        raise Unavailable(
            "PgBouncer cannot be pointed to the recording proxy:\n" + "\n".join(tried)
        )

    def _end(self) -> None:
        """Close all sockets and end the thread. May be repeated."""
        if self._thread.is_alive():
            for proxy in (self._client_side, self._server_side):
                self._run(proxy.close())
            self._run(asyncio.sleep(0))  # the transports close in the loop's next round
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        with contextlib.suppress(ValueError):
            self._stack.before_close.remove(self._end)

    def _run(self, action: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(action, self._loop).result()

    def _ask(self, function: Callable[[], T]) -> T:
        """Call it in the proxies' thread, after what that has to record already."""

        async def call() -> T:
            return function()

        return self._run(call()) if self._thread.is_alive() else function()

    def _flights(self, startup: bool, hide: Collection[str]) -> list[Flight]:
        return flights(self.events, startup, hide)

    @property
    def _links(self) -> list[Link]:
        return [*self._client_side.links, *self._server_side.links]

    def _each(self, fault: Callable[[Link], None], client: str | None) -> None:
        def strike() -> None:
            for link in self._links:
                if _is_meant(link, client):
                    fault(link)

        self._ask(strike)

    def _apply_all(self) -> None:
        for link in self._links:
            self._apply_faults(link)

    def _apply_faults(self, link: Link) -> None:
        link.delay = max(
            (seconds for client, seconds in self._delays.items() if _is_meant(link, client)),
            default=0.0,
        )
        is_held = any(times and _is_meant(link, client) for client, times in self._stalls.items())
        if is_held != link.is_held:
            link.hold(is_held)


def _is_meant(link: Link, client: str | None) -> bool:
    connection = link.connection
    return connection.side == "client" if client is None else client in connection.names
