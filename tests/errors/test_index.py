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
# A test for each topic, not for each entry: two thousand tests take longer to collect than to run.
TOPICS = sorted({entry.slug for entry in ENTRIES})


def name(entry: errors.Entry) -> str:
    return f"{entry.slug}-{entry.id}"


def of(topic: str) -> list[errors.Entry]:
    return [entry for entry in ENTRIES if entry.slug == topic]


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


@pytest.mark.parametrize("topic", TOPICS)
def test_a_title_finds_its_own_entry_first(topic: str) -> None:
    for entry in of(topic):
        found = errors.find(entry.title)
        assert found, entry.title
        assert found[0].title == entry.title


@pytest.mark.parametrize("topic", TOPICS)
def test_a_link_names_the_heading_as_urllib_would(topic: str) -> None:
    for entry in of(topic):
        anchor = entry.link.partition("#")[2]
        assert anchor == quote(entry.section.replace(" ", "-")), entry.id


@pytest.mark.parametrize("topic", TOPICS)
def test_an_entry_is_complete(topic: str) -> None:
    known = {other.id for other in ENTRIES}
    for entry in of(topic):
        assert all((entry.means, entry.fix, entry.trap)), entry.id
        assert entry.text or entry.also or entry.frames or entry.words, (
            f"nothing would find {entry.id}"
        )
        heading = f'"## {entry.section}\\n"'
        lesson = course.REPOSITORY / f"notebooks/{entry.lesson}.ipynb"
        assert heading in lesson.read_text(encoding="utf-8"), f"{lesson.name} has no {heading}"
        if entry.source:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+|https://\S+", entry.source), entry.source
        assert set(entry.over) <= known, entry.id


@pytest.mark.parametrize("topic", TOPICS)
def test_examples_find_their_entry(topic: str) -> None:
    for entry in of(topic):
        for example in entry.examples:
            answer = errors.answer(example)
            assert answer.found, example
            assert answer.found[0].entry.id == entry.id, (example, answer.found)


@pytest.mark.parametrize("topic", TOPICS)
def test_each_expression_that_no_server_proves_has_an_example(topic: str) -> None:
    for entry in of(topic):
        unproven = entry.expressions if entry.source else entry.also
        for expression in unproven:
            assert any(
                re.search(expression, " ".join(example.split()), re.IGNORECASE)
                for example in (*entry.examples, entry.title)
            ), (entry.id, expression)


@pytest.mark.parametrize("topic", TOPICS)
def test_words_find_their_entry(topic: str) -> None:
    for entry in of(topic):
        for words in entry.words:
            assert entry.id in [one.id for one in errors.find(words)], words


PUBLIC = tomllib.loads(Path(__file__).with_name("public_texts.toml").read_text(encoding="utf-8"))
KINDS = sorted({case["kind"] for case in PUBLIC["text"]})


@pytest.mark.parametrize("kind", KINDS)
def test_texts_from_public_threads_are_answered(kind: str) -> None:
    for case in PUBLIC["text"]:
        if case["kind"] == kind:
            _is_answered(case)


def _is_answered(case: dict[str, object]) -> None:
    answer = errors.answer(str(case["text"]))
    wanted, thread = case["entry"], case["source"]
    assert isinstance(wanted, list)
    if wanted:
        assert answer.found, (thread, answer)
        assert answer.found[0].entry.id in wanted, (thread, answer.found)
        assert not answer.hedged, thread
    else:
        assert not answer.found or answer.hedged, (thread, answer.found)
