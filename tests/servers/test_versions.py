"""Pairs of other versions: opened, kept next to the default pair, or refused with what there is."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from firedrill import servers
from firedrill.commands import main
from firedrill.servers import Unavailable, apt, debian, docker, prefixes, versions
from firedrill.servers.versions import Wanted


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIREDRILL_POSTGRES", "FIREDRILL_PGBOUNCER"):
        monkeypatch.delenv(name, raising=False)


def asked(dsn: str, query: str) -> str:
    async def main() -> str:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            return str(await connection.fetchval(query))
        finally:
            await connection.close()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("postgres (PostgreSQL) 19rc1 (Debian 19~rc1-1)", "19rc1"),
        ("postgres (PostgreSQL) 18beta2", "18beta2"),
        ("postgres (PostgreSQL) 17.12 (Debian 17.12-0+deb13u1)", "17.12"),
        ("postgres (PostgreSQL) 20devel", "20devel"),
        ("19~rc1-1", "19rc1"),
        ("1:1.26.1-1", "1.26.1"),
        ("PgBouncer 1.24.1\nlibevent 2.1.12-stable", "1.24.1"),
        ("nothing", ""),
    ],
)
def test_a_version_is_read_as_it_is_written(text: str, version: str) -> None:
    assert versions.read(text) == version


@pytest.mark.parametrize(
    ("wanted", "version", "fits"),
    [
        ("18", "18.6", True),
        ("18.6", "18.6", True),
        ("1.26", "1.26.1", True),
        ("19", "19rc1", True),
        ("19rc1", "19rc1", True),
        ("19rc1", "19.0", False),
        ("1.2", "1.26.1", False),
        ("18", "", False),
        ("18.5", "18.6", False),
    ],
)
def test_what_fits_a_version_that_was_asked_for(wanted: str, version: str, fits: bool) -> None:
    assert versions.fits(wanted, version) is fits


def test_versions_sort_by_number_and_a_candidate_comes_before_its_release() -> None:
    ordered = ["1.9", "1.22", "1.22.1", "1.26.1", "17.12", "19rc1", "19.0"]
    assert sorted([*ordered[3:], *ordered[:3]], key=versions.key) == ordered


@pytest.mark.parametrize(
    ("postgres", "pgbouncer", "told"),
    [
        ("14", None, "needs PostgreSQL 15 or newer, and 14 was asked for"),
        (None, "1.21", "needs PgBouncer 1.22.1 or newer(.|\n)*DISCARD ALL"),
        (None, "1.22.0", "needs PgBouncer 1.22.1 or newer(.|\n)*COPY"),
        ("newest", None, "'newest' is no version of PostgreSQL"),
        (None, "/usr/sbin/pgbouncer", "FIREDRILL_PGBOUNCER_BIN"),
    ],
)
def test_what_is_no_version_or_too_old_is_refused_at_once(
    postgres: str | None, pgbouncer: str | None, told: str
) -> None:
    with pytest.raises(Unavailable, match=told):
        versions.wanted(postgres, pgbouncer)


def test_the_environment_asks_where_the_call_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREDRILL_POSTGRES", "18")
    monkeypatch.setenv("FIREDRILL_PGBOUNCER", "1.26")
    assert versions.wanted() == Wanted("18", "1.26")
    assert versions.wanted(postgres="19") == Wanted("19", "1.26")


def test_containers_say_which_pair_they_have() -> None:
    assert docker.has(Wanted())
    assert docker.has(Wanted("17", "1.24"))
    with pytest.raises(Unavailable, match=r"PostgreSQL 17 and PgBouncer 1\.24"):
        docker.DockerStack(Wanted("18"))


@pytest.mark.downloads
@pytest.mark.parametrize("pgbouncer", ["1.24", "1.26"])
@pytest.mark.parametrize("postgres", ["17", "18", "19"])
def test_any_two_make_a_pair(postgres: str, pgbouncer: str) -> None:
    with servers.open("embedded", postgres=postgres, pgbouncer=pgbouncer) as stack:
        assert versions.fits(postgres, stack.postgres.version)
        assert stack.pgbouncer.version == pgbouncer
        through = stack.pgbouncer.dsn("transaction")
        assert asked(through, "show server_version_num").startswith(postgres)
        assert asked(through, "select count(*) from seats") == "500"
        console = subprocess.run(
            [stack.pgbouncer.argv[0], "--version"],  # type: ignore[attr-defined]
            capture_output=True,
            text=True,
        )
        assert versions.fits(pgbouncer, versions.read(console.stdout))


@pytest.mark.downloads
def test_the_default_pair_stays_what_it_was_next_to_others() -> None:
    for _ in debian.programs(Wanted("18", "1.26")):
        assert debian.programs(Wanted()) == prefixes.programs(debian.prefix())
    with servers.open("embedded") as stack:
        assert (stack.postgres.version, stack.pgbouncer.version) == ("17", "1.24")


@pytest.mark.downloads
def test_a_version_that_nobody_has_is_answered_with_what_there_is() -> None:
    """1.25 was in no suite that is asked here: the suite moved on from it."""
    with pytest.raises(Unavailable) as caught:
        debian.programs(Wanted(None, "1.25"))
    told = str(caught.value)
    assert "Asked for PgBouncer 1.25, and no source has it" in told
    assert "Debian 13 has PostgreSQL 17" in told
    assert "Debian testing has PostgreSQL" in told


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="firedrill versions ") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("FIREDRILL_CACHE", folder)
        yield Path(folder)


@pytest.mark.downloads
def test_a_half_unpacked_second_folder_is_made_again(own_cache: Path) -> None:
    """As kill -9 leaves it: files, and no stamp."""
    newest = _name_of_testing()
    half = own_cache / newest / "usr/lib/postgresql/18/bin"
    half.mkdir(parents=True)
    (half / "postgres").write_text("half a program")
    assert prefixes.unpacked() == []
    folder, _ = debian.programs(Wanted("18", "1.26"))
    assert folder == half
    assert versions.read(
        subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True).stdout
    ).startswith("18")
    assert [one.path.name for one in prefixes.unpacked()] == [newest]


def _name_of_testing() -> str:
    source = apt.SOURCES[1]
    with tempfile.TemporaryDirectory() as folder:
        there = apt.Apt(Path(folder, "apt"), source)
        return f"{source.name}-{there.offers['postgresql-18']}-{there.pgbouncer}"


@pytest.mark.downloads
def test_a_suite_with_the_wrong_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The release key of Debian 13 does not sign what is not released."""
    wrong = apt.SOURCES[1]._replace(key=apt.RELEASE_KEY)
    refused = pytest.raises(Unavailable, match=r"signature|signed|NO_PUBKEY")
    with tempfile.TemporaryDirectory() as folder, refused:
        apt.Apt(Path(folder, "apt"), wrong)


@pytest.mark.downloads
def test_the_machines_own_archive_is_read_with_its_own_keys() -> None:
    """With no key of ours: what /etc/apt has, and the keys that it trusts."""
    with tempfile.TemporaryDirectory() as folder:
        there = apt.Apt(Path(folder, "apt"), apt.MACHINE)
        assert any(name.startswith("postgresql-") for name in there.offers)
        assert "pgbouncer" in there.offers


@pytest.mark.downloads
def test_a_relative_of_debian_has_its_own_pair_or_says_why_not(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ubuntu and Mint are: apt is there, and what it trusts is no archive of Debian's."""
    monkeypatch.delenv("FIREDRILL_DEBIAN_ARCHIVE", raising=False)
    relative = {"ID": "relative", "PRETTY_NAME": "A relative of Debian"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: relative)
    with tempfile.TemporaryDirectory() as folder:
        has = apt.Apt(Path(folder, "apt"), apt.MACHINE)
        postgres, pgbouncer = max(has.offers), has.pgbouncer
    if pgbouncer:
        with servers.open("embedded") as stack:
            assert f"postgresql-{stack.postgres.version}" == postgres
            assert debian.ready() in list(own_cache.glob("machine-*"))
    else:
        with pytest.raises(Unavailable) as caught:
            debian.provide()
        assert "DISCARD ALL" in str(caught.value), "why an older PgBouncer will not do"
        assert "FIREDRILL_DEBIAN_ARCHIVE" in str(caught.value), "what to do next"
        assert debian.ready() is None


@pytest.mark.downloads
def test_the_command_lists_what_is_unpacked_and_what_can_be_fetched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    debian.provide()
    assert main(["servers", "--versions"]) == 0
    told = capsys.readouterr().out
    unpacked, _, fetched = told.partition("Can be fetched")
    assert "(debian-trixie)" in unpacked
    assert "Debian testing: PostgreSQL" in fetched
    assert "this machine's own apt archive: " in fetched
    assert "FIREDRILL_POSTGRES=18" in told


@pytest.mark.downloads
def test_a_pair_of_another_version_is_one_command_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREDRILL_POSTGRES", "18")
    monkeypatch.setenv("FIREDRILL_PGBOUNCER", "1.26")
    monkeypatch.setenv("FIREDRILL_SERVERS", "embedded")
    with servers.open() as stack:
        assert str(stack).startswith("PostgreSQL 18 and PgBouncer 1.26, ")
