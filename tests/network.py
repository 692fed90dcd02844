"""Chromium gives up what it is loading when this machine gets or loses a network, as with each
pair of containers."""

from __future__ import annotations

import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

from firedrill.servers import cache


def to_oneself() -> AbstractContextManager[None]:
    """Held by tests that start containers and by those that open a page, also in other test runs
    of this user."""
    return cache.locked(Path(tempfile.gettempdir(), f"firedrill-network-{os.getuid()}"))
