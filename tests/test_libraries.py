"""A lesson's own libraries: fetched once, pinned, and found after what the environment has."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import asyncpg
import pytest

from firedrill import libraries

SLUG = "on_top_of_asyncpg"


@pytest.mark.downloads
def test_they_are_fetched_once_and_are_the_pinned_ones() -> None:
    folder = libraries.provide(SLUG)
    written = (folder / "tortoise").stat().st_mtime_ns
    assert libraries.provide(SLUG) == folder
    assert (folder / "tortoise").stat().st_mtime_ns == written
    assert {name: metadata.version(name) for name in libraries.versions(SLUG)} == (
        libraries.versions(SLUG)
    )


@pytest.mark.downloads
def test_the_environments_own_packages_come_first() -> None:
    folder = str(libraries.provide(SLUG))
    own = str(Path(asyncpg.__file__).parents[1])
    assert sys.path.count(folder) == 1
    assert sys.path.index(own) < sys.path.index(folder)


def test_each_library_is_pinned_with_a_hash() -> None:
    text = (libraries.TOPICS / SLUG / "requirements.txt").read_text(encoding="utf-8")
    pins = [one for one in text.split("\n") if one and not one.startswith(("#", " "))]
    assert len(pins) == len(libraries.versions(SLUG)) > 0
    assert all(one.endswith(" \\") for one in pins), "a line without --hash after it"
