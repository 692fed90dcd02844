"""What `make site` has built: links, weight, search, and the pages in a real browser.

Building takes a minute, so these tests are skipped until it has been done.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from firedrill import course, errors
from firedrill.authoring.site import slugs
from firedrill.errors import places

from .. import browser, network

HTML = course.REPOSITORY / "site/build/html"
AXE = next(
    (course.REPOSITORY / ".venv/site").glob("lib/*/site-packages/axe_playwright_python/axe.min.js"),
    Path("axe.min.js"),
)
ERROR = "errors/another-operation-is-in-progress.html"
LESSON = "lessons/02_pools.html"
PASTED = 'asyncpg.exceptions.InvalidPasswordError: password authentication failed for user "s3cr%t"'
KINDS = ["index.html", "errors/index.html", ERROR, LESSON, "versions.html", "search.html"]
VIEWS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]
FIRST_PAGE = 300_000  # bytes, without pictures
SEARCHED_WITHIN = 100  # ms

pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(not (HTML / "sitemap.xml").exists(), reason="`make site` was not run"),
]


class Parsed(HTMLParser):
    """The addresses, the names of places, the pictures and the head of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.places: set[str] = set()
        self.images: list[dict[str, str | None]] = []
        self.description, self.title, self._in_title = "", "", False
        self.levels: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.places |= {value for key in ("id", "name") if (value := found.get(key))}
        address = found.get("href") or found.get("src") or ""
        if tag == "a" and address:
            self.links.append(address)
        elif tag in ("script", "img", "link") and address and found.get("rel") != "canonical":
            self.loaded.append(address)
        if tag == "img":
            self.images.append(found)
        if tag == "meta" and found.get("name") == "description":
            self.description = found.get("content") or ""
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self._in_title = tag == "title"

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False


@cache
def pages() -> dict[Path, Parsed]:
    return {path: Parsed(path.read_text(encoding="utf-8")) for path in HTML.rglob("*.html")}


def test_no_link_is_broken() -> None:
    broken = []
    for path, page in pages().items():
        for address in (*page.links, *page.loaded):
            parts = urlsplit(address)
            if parts.scheme in ("http", "https", "data", "mailto"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.is_file() and target.is_relative_to(HTML)
            place = unquote(parts.fragment) if target.suffix == ".html" else ""
            if not there or (place and place not in pages()[target].places):
                broken.append((path.name, address))
    assert not broken
    assert sum(len(page.links) for page in pages().values()) > 5_000


def test_no_page_loads_anything_from_outside() -> None:
    outside = [
        address
        for page in pages().values()
        for address in page.loaded
        if urlsplit(address).scheme not in ("", "data")
    ]
    assert not outside


def test_each_error_has_a_page_that_its_text_finds() -> None:
    for entry in errors.entries():
        page = pages()[HTML / f"errors/{slugs.of_errors()[entry.lesson, entry.id]}.html"]
        assert page.title.startswith(entry.title), page.title
        begin = " ".join(entry.title.split())[:60]
        assert page.description.startswith(begin), page.description


def test_each_place_that_the_box_links_is_there() -> None:
    for entry in errors.entries():
        place = slugs.anchor(entry.section)
        assert place in pages()[HTML / f"lessons/{entry.lesson}.html"].places, entry.section


def test_each_link_that_explain_prints_opens_a_section() -> None:
    for entry in errors.entries():
        address = urlsplit(places.opened(entry.lesson, entry.section))
        page = Path(unquote(address.path))
        assert address.scheme == "file"
        assert address.fragment in pages()[page].places, entry.section


def test_each_lesson_has_its_pictures_with_words_for_them() -> None:
    for lesson in course.lessons():
        path = course.REPOSITORY / f"notebooks/{lesson.name}.ipynb"
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        outputs = [one for cell in cells for one in cell.get("outputs", [])]
        drawn = sum("image/png" in one.get("data", {}) for one in outputs)
        images = pages()[HTML / f"lessons/{lesson.name}.html"].images
        assert len(images) == drawn
        assert all(len(image.get("alt") or "") > 20 for image in images), lesson.name


def test_each_page_has_a_title_a_description_and_headings_in_order() -> None:
    named = {path: page for path, page in pages().items() if path.name != "search.html"}
    for path, page in named.items():
        assert page.description, path
        assert page.levels.count(1) == 1, path
        steps = zip(page.levels, page.levels[1:], strict=False)
        assert all(below <= above + 1 for above, below in steps), (path, page.levels)


def test_the_sitemap_names_each_page() -> None:
    text = (HTML / "sitemap.xml").read_text(encoding="utf-8")
    listed = re.findall(r"<loc>https?://[^/]+/(.*?)</loc>", text)
    there = {path.relative_to(HTML).as_posix() for path in pages()} - {"search.html"}
    assert set(listed) == there


class Tab:
    """A page of the site in Chromium, with what it asked for and what it complained of."""

    def __init__(self, context: Any) -> None:
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, name: str) -> None:
        self.page.goto(f"{HTML.as_uri()}/{name}")

    def explain(self, text: str) -> None:
        self.page.fill("#pasted", text)
        self.page.wait_for_selector("#answer h2")

    def violations(self) -> list[str]:
        self.page.add_script_tag(path=str(AXE))
        found = self.page.evaluate("axe.run({preload: false}).then(result => result.violations)")
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found
            for node in one["nodes"]
        ]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with (
        network.to_oneself(),
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory(prefix="browser") as home,
    ):
        started = playwright.chromium.launch(
            executable_path=browser.CHROMIUM,
            args=browser.FLAGS,
            env={**os.environ, "HOME": home},
        )
        yield started
        started.close()


@pytest.fixture
def tab(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Tab]:
    width, scheme = getattr(request, "param", (1280, "light"))
    size = {"width": width, "height": 900}
    context = chromium.new_context(viewport=size, color_scheme=scheme, offline=True)
    opened = Tab(context)
    yield opened
    context.close()
    assert not opened.complaints
    assert all(url.startswith(f"{HTML.as_uri()}/") for url in opened.asked)


@pytest.mark.parametrize("tab", VIEWS, ids=str, indirect=True)
@pytest.mark.parametrize("name", KINDS)
def test_a_page_is_accessible_and_fits(tab: Tab, name: str) -> None:
    tab.open(name)
    assert not tab.violations()
    width = tab.page.viewport_size["width"]
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("tab", VIEWS, ids=str, indirect=True)
def test_the_box_is_accessible_with_its_answer(tab: Tab) -> None:
    tab.open("index.html")
    tab.explain(PASTED)
    assert not tab.violations()


def test_the_box_answers_in_the_page_and_repeats_no_secret(tab: Tab) -> None:
    tab.open("index.html")
    tab.explain(PASTED)
    answer = tab.page.inner_text("#answer")
    entry = errors.find(PASTED)[0]
    assert answer.startswith(entry.title)
    assert "sure: the text and the class" in answer
    assert entry.fix in answer
    assert "s3cr" not in answer
    tab.page.fill("#pasted", "<img src=x onerror=alert(1)>: no error at all")
    tab.page.wait_for_function("/not in the index/.test(document.body.innerText)")
    tab.page.fill("#pasted", "57P03")
    tab.page.wait_for_function("/only the SQLSTATE/.test(document.body.innerText)")
    tab.page.click("#answer a >> nth=0")
    assert tab.page.inner_text("h1")


def test_the_box_is_used_with_the_keyboard_alone(tab: Tab) -> None:
    tab.open("index.html")
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.id") == "pasted":
            break
    tab.page.keyboard.insert_text(PASTED)
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("#answer h2")
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.closest('#answer') !== null")


def test_the_first_page_is_light(tab: Tab) -> None:
    tab.open("index.html")
    files = [
        HTML / unquote(url.removeprefix(f"{HTML.as_uri()}/")).split("?")[0] for url in tab.asked
    ]
    assert len(files) > 5
    assert sum(file.stat().st_size for file in files if file.suffix != ".png") < FIRST_PAGE


SEARCH = """async words => {
  const found = () => document.querySelectorAll('#search-results ul.search li');
  const began = performance.now();
  Search.performSearch(words);
  while (!/found|did not match/.test(document.querySelector('#search-results p').textContent)
         || !found().length) {
    if (performance.now() - began > 20000) break;
    await new Promise(done => setTimeout(done, 1));
  }
  return [performance.now() - began, [...found()].map(each => each.textContent)];
}"""


def test_a_search_answers_at_once(tab: Tab) -> None:
    times = []
    for words in ("deadlock detected", "statement does not exist", "pool acquire timeout"):
        tab.open("search.html")  # again, so that no earlier result is taken for an answer
        tab.page.wait_for_function("typeof Search !== 'undefined' && Search.hasIndex()")
        took, found = tab.page.evaluate(SEARCH, words)
        assert found, words
        times.append(took)
    assert sorted(times)[1] < SEARCHED_WITHIN, times
