"""A TCP proxy: a listening socket and the links of its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .line import Line
from .link import End, Link


class Proxy:
    """Listens on a free port and connects each client to `upstream`. `apply_faults` is called for each link that is new or
    has got a name."""

    def __init__(
        self,
        line: Callable[[], Line],
        upstream: tuple[str, int],
        apply_faults: Callable[[Link], None],
    ) -> None:
        self.links: set[Link] = set()
        self.upstream, self.apply_faults = upstream, apply_faults
        self._line = line
        self._server: asyncio.Server | None = None

    async def listen(self, host: str) -> int:
        """Returns the port. Raises OSError when `host` is no address of this machine."""
        self._server = await asyncio.get_running_loop().create_server(
            self._accept, host, 0, backlog=512
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def _accept(self) -> End:
        link = Link(self._line(), self)
        self.links.add(link)
        return link.client

    def forget(self, link: Link) -> None:
        self.links.discard(link)
        link.line.forget()

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server:
            self._server.close()
        for link in [*self.links]:
            link.connecting.cancel()
            for end in link.ends:
                if end.is_open:
                    end.transport.abort()
