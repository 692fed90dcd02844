"""The entries themselves, and what they need to be found by."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import quote

import pytest

from firedrill import course, errors
from firedrill.errors import files, index, source

ENTRIES = source.all_entries()


def name(entry: errors.Entry) -> str:
    return f"{entry.slug}-{entry.id}"


def test_index_json_is_up_to_date() -> None:
    assert Path(files.PATH).read_text(encoding="utf-8") == source.built(), "run `make index`"


def test_the_index_is_read_from_errors_toml_where_it_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = tmp_path / "index.json"
    stale.write_text('{"sizes": [0], "entries": []}')
    monkeypatch.setattr(index, "PATH", str(stale))
    assert len(index.searched.__wrapped__()) == len(ENTRIES)


def test_an_id_is_used_once_in_a_topic() -> None:
    assert len({name(entry) for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_a_title_finds_its_own_entry_first(entry: errors.Entry) -> None:
    found = errors.find(entry.title)
    assert found, entry.title
    assert found[0].title == entry.title


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_its_link_names_the_heading_as_urllib_would(entry: errors.Entry) -> None:
    assert entry.link.partition("#")[2] == quote(entry.section.replace(" ", "-"))


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_an_entry_is_complete(entry: errors.Entry) -> None:
    assert all((entry.means, entry.fix, entry.trap))
    assert entry.text or entry.also or entry.frames or entry.words, "nothing would find it"
    heading = f'"## {entry.section}\\n"'
    lesson = course.REPOSITORY / f"notebooks/{entry.lesson}.ipynb"
    assert heading in lesson.read_text(encoding="utf-8"), f"{lesson.name} has no {heading}"
    if entry.source:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+|https://\S+", entry.source), entry.source
    known = {other.id for other in ENTRIES}
    assert set(entry.over) <= known


@pytest.mark.parametrize("entry", [one for one in ENTRIES if one.examples], ids=name)
def test_its_examples_find_it(entry: errors.Entry) -> None:
    for example in entry.examples:
        answer = errors.answer(example)
        assert answer.found, example
        assert answer.found[0].entry.id == entry.id, (example, answer.found)


@pytest.mark.parametrize("entry", ENTRIES, ids=name)
def test_each_expression_that_no_server_proves_has_an_example(entry: errors.Entry) -> None:
    unproven = entry.expressions if entry.source else entry.also
    for expression in unproven:
        assert any(
            re.search(expression, " ".join(example.split()), re.IGNORECASE)
            for example in (*entry.examples, entry.title)
        ), expression


@pytest.mark.parametrize("entry", [one for one in ENTRIES if one.words], ids=name)
def test_its_words_find_it(entry: errors.Entry) -> None:
    for words in entry.words:
        found = errors.find(words)
        assert entry.id in [one.id for one in found], words


PUBLIC = tomllib.loads(Path(__file__).with_name("public_texts.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "case", PUBLIC["text"], ids=lambda case: f"{case['source']}-{case['kind']}"
)
def test_a_text_from_a_public_thread_is_answered(case: dict[str, object]) -> None:
    answer = errors.answer(str(case["text"]))
    wanted = case["entry"]
    assert isinstance(wanted, list)
    if wanted:
        assert answer.found, answer
        assert answer.found[0].entry.id in wanted, answer.found
        assert not answer.hedged
    else:
        assert not answer.found or answer.hedged, answer.found
