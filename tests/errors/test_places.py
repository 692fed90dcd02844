"""The link that `firedrill explain` prints opens the section, wherever a site is."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from firedrill import errors, explain
from firedrill.errors import places

FOUND = errors.answer("57P03")
ENTRY = FOUND.found[0].entry


@pytest.fixture(autouse=True)
def nothing_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the built pages, which is empty; neither in a notebook nor with an address."""
    folder = tmp_path / "a clone of ümlauts & # signs"
    monkeypatch.setattr(places, "BUILT", str(folder))
    for name in ("FIREDRILL_SITE", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def built(nothing_built: Path) -> Path:
    page = nothing_built / f"lessons/{ENTRY.lesson}.html"
    page.parent.mkdir(parents=True)
    page.write_text("")
    return page


def printed() -> str:
    return explain.as_text(FOUND).splitlines()[-1].strip()


def test_without_a_site_it_is_a_path_in_the_repository() -> None:
    assert places.opened(ENTRY.lesson, ENTRY.section) == ""
    assert printed() == ENTRY.link


def test_the_pages_of_this_clone_are_opened(built: Path) -> None:
    address = urlsplit(printed())
    assert address.scheme == "file"
    assert Path(url2pathname(address.path)) == built
    assert address.fragment == "not-now-57p03"
    assert explain.as_data(FOUND)["answers"][0]["url"] == printed()  # type: ignore[index]


def test_a_notebook_gets_no_link_that_its_page_may_not_open(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert printed() == ENTRY.link


def test_a_site_with_an_address_comes_first(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREDRILL_SITE", "https://drills.example/course/")
    assert printed() == ("https://drills.example/course/lessons/01_connecting.html#not-now-57p03")
