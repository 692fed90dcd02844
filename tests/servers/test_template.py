"""The shop's data in the cache: two versions of the course do not harm each other, and an old
one goes."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedrill import servers
from firedrill.servers import template

from ..leftovers import eventually, processes_of


def opened_with(settings: Path, monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Open a pair of the version that has these settings.

    Gives the originals that the cache then holds.
    """
    monkeypatch.setattr(template, "SETTINGS", settings)
    with servers.open("host"):
        return {
            path for path in servers.cache.folder().glob("shop-*") if not path.suffix
        }  # what is going has one


@pytest.fixture
def cache_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every user may enter it, unlike pytest's own folders."""
    prefix = servers.debian.provide()
    (postgres,) = prefix.glob("usr/lib/postgresql/*/bin")
    monkeypatch.setenv("FIREDRILL_POSTGRES_BIN", str(postgres))
    monkeypatch.setenv("FIREDRILL_PGBOUNCER_BIN", str(prefix / "usr/sbin/pgbouncer"))
    with tempfile.TemporaryDirectory(prefix="firedrill-cache-") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("FIREDRILL_CACHE", folder)
        yield
        assert eventually(lambda: not processes_of(Path(folder)), 30), (
            "copies for the next pairs are still being made"
        )


def test_another_version_keeps_its_data_until_it_was_not_used_for_a_day(
    cache_of_its_own: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = template.SETTINGS
    other = tmp_path / "postgresql.conf"
    other.write_text(ours.read_text() + "# another version\n")
    [first] = opened_with(ours, monkeypatch)
    [second] = opened_with(other, monkeypatch) - {first}
    assert opened_with(ours, monkeypatch) == {first, second}

    # A copy for the next pair, made in the background, counts as use as well.
    assert eventually(lambda: not processes_of(servers.cache.folder()), 30)
    os.utime(second, times=(time.time() - template.KEPT - 60,) * 2)
    other.write_text(ours.read_text() + "# a third version\n")
    kept = opened_with(other, monkeypatch)
    assert first in kept
    assert second not in kept
    assert len(kept) == 2


def test_a_password_is_never_read_before_it_is_whole(
    cache_of_its_own: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen once: of two first starts at the same time, one found the file when it was still
    empty."""
    file = servers.cache.folder() / "password"
    found: list[str] = []

    def meanwhile(_: int) -> str:
        found.extend([file.read_text()] if file.exists() else [])
        return "made by the first"

    monkeypatch.setattr(secrets, "token_urlsafe", meanwhile)
    assert template.password() == "made by the first"
    assert found == []
    assert file.stat().st_mode & 0o777 == 0o600
