"""Backends are called A, B, C in the order in which they were first seen, in views and on the wire.

Their process numbers differ from run to run.
"""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from .servers.server import Server

_letters: WeakKeyDictionary[Server, dict[int, str]] = WeakKeyDictionary()
_lock = threading.Lock()  # the wire's thread gives letters, too


def letter(postgres: Server, pid: int) -> str:
    """The name of the backend with this process number."""
    with _lock:
        known = _letters.setdefault(postgres, {})
        return known.setdefault(
            pid, chr(65 + len(known)) if len(known) < 26 else f"{len(known) + 1}"
        )


def start_letters(postgres: Server) -> None:
    """The next backend that is seen is A again."""
    with _lock:
        _letters.pop(postgres, None)
