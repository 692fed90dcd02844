"""What the reader sees when the servers cannot be had."""

from __future__ import annotations


class Unavailable(RuntimeError):
    """The message says what was looked for, what was found and what to do next."""

    def _render_traceback_(self) -> list[str]:
        """IPython shows this instead of a traceback through code that the reader did not write."""
        return [f"{type(self).__name__}: {self}"]


class PortTaken(Unavailable):
    """Another program listens where the server would."""
