"""What JupyterLab reads and saves: the learner's copies, and a repository that git finds clean."""

# mypy: allow-untyped-calls

import asyncio
import base64
import json
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from tornado.web import HTTPError

from firedrill import course, drills, pictures, progress
from firedrill.checking import exercise_files
from firedrill.lab.contents import Contents

from . import browser

ROOT = Path(__file__).parents[1]
LESSON, EXERCISE = "notebooks/01_connecting.ipynb", "exercises/01_connecting.ipynb"
SOLUTION = "solutions/01_connecting.ipynb"


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return subprocess.run(
        ["git", *name, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def write(path: Path, code: str) -> None:
    stored = new_output("stream", text="the answer\n")
    cells = [new_markdown_cell("# A notebook", id="title")]
    cells.append(new_code_cell(code, id="code", execution_count=1, outputs=[stored]))
    path.parent.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course in git, with one notebook of each kind."""
    for path in (LESSON, EXERCISE, SOLUTION):
        write(tmp_path / path, "print('first version')")
    made = exercise_files.exercise(json.loads((tmp_path / SOLUTION).read_text()))
    (tmp_path / EXERCISE).write_text(exercise_files.text_of(made))
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text())
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "The course")
    monkeypatch.setattr(course, "REPOSITORY", tmp_path)
    monkeypatch.setenv("FIREDRILL_PROGRESS", str(tmp_path / "progress.txt"))
    return tmp_path


class Lab:
    """The requests of a page, one after the other."""

    def __init__(self, repository: Path) -> None:
        self.contents = Contents(root_dir=str(repository), delete_to_trash=False)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def request(*arguments: Any, **options: Any) -> Any:
            answer: Coroutine[Any, Any, Any] = getattr(self.contents, name)(*arguments, **options)
            return asyncio.run(answer)

        return request

    def sources(self, path: str) -> list[str]:
        return [cell.source for cell in self.get(path)["content"].cells]

    def run(self, path: str) -> None:
        model = self.get(path)
        model["content"].cells[-1].outputs = [new_output("stream", text="seen\n")]
        self.save(model, path)

    def edit(self, path: str, code: str) -> None:
        model = self.get(path)
        model["content"].cells[-1].source = code
        self.save(model, path)


@pytest.fixture
def lab(repository: Path) -> Lab:
    return Lab(repository)


def test_a_lesson_is_read_without_its_outputs_and_a_solution_with_them(lab: Lab) -> None:
    lesson, solution = (lab.get(path)["content"].cells[1] for path in (LESSON, SOLUTION))
    assert (lesson.outputs, lesson.execution_count) == ([], None)
    assert solution.outputs[0].text == "the answer\n"


@pytest.mark.parametrize("path", [LESSON, EXERCISE, SOLUTION])
def test_what_is_saved_is_read_again_and_git_sees_no_change(
    lab: Lab, repository: Path, path: str
) -> None:
    lab.create_checkpoint(path)  # as JupyterLab does when it opens a notebook
    lab.run(path)
    lab.edit(path, "print('mine')")
    assert lab.sources(path)[1] == "print('mine')"
    assert lab.get(path)["content"].cells[1].outputs[0].text == "seen\n"
    assert "mine" in lab.get(path, type="file")["content"]  # a download
    assert (repository / "my" / path).is_file()
    assert git(repository, "status", "--short") == ""


def test_a_checkpoint_brings_back_the_lesson_as_it_was_read(lab: Lab, repository: Path) -> None:
    [checkpoint] = [lab.create_checkpoint(LESSON)]
    lab.edit(LESSON, "print('mine')")
    lab.restore_checkpoint(checkpoint["id"], LESSON)
    assert lab.sources(LESSON)[1] == "print('first version')"
    assert lab.get(LESSON)["content"].cells[1].outputs == []
    assert git(repository, "status", "--short") == ""


def test_an_update_replaces_a_lesson_that_was_only_run(lab: Lab, repository: Path) -> None:
    lab.run(LESSON)
    write(repository / LESSON, "print('second version')")
    assert lab.sources(LESSON) == ["# A notebook", "print('second version')"]
    assert [path.name for path in (repository / "my/kept").iterdir()] == ["01_connecting-1.ipynb"]


@pytest.mark.parametrize(
    ("path", "way"), [(LESSON, f"delete `my/{LESSON}`"), (EXERCISE, "firedrill reset 01_connect")]
)
def test_after_an_update_a_changed_copy_stays_and_says_that_there_is_a_newer_version(
    lab: Lab, repository: Path, path: str, way: str
) -> None:
    lab.edit(path, "print('mine')")
    assert lab.sources(path) == ["# A notebook", "print('mine')"]
    write(repository / path, "print('second version')")
    for _ in range(2):  # also when it was saved
        said, *mine = lab.sources(path)
        assert "newer version" in said
        assert way in said
        assert mine == ["# A notebook", "print('mine')"]
        lab.run(path)
        assert "newer version" not in (repository / "my" / path).read_text()
    lab.delete(path)
    assert lab.sources(path) == ["# A notebook", "print('second version')"]


def test_an_outdated_output_does_not_make_a_copy_outdated(lab: Lab, repository: Path) -> None:
    lab.edit(LESSON, "print('mine')")
    text = (repository / LESSON).read_text()
    (repository / LESSON).write_text(text.replace("the answer", "another answer"))
    assert lab.sources(LESSON) == ["# A notebook", "print('mine')"]


def test_the_courses_own_notebooks_are_neither_deleted_nor_renamed(
    lab: Lab, repository: Path
) -> None:
    with pytest.raises(HTTPError, match="part of the course"):
        lab.delete(LESSON)
    with pytest.raises(HTTPError, match="part of the course"):
        lab.rename(LESSON, "notebooks/another.ipynb")
    assert git(repository, "status", "--short") == ""


def test_a_notebook_of_the_learners_in_a_folder_of_the_course_is_kept_apart_too(
    lab: Lab, repository: Path
) -> None:
    made = lab.new_untitled("notebooks", type="notebook")["path"]
    lab.copy(LESSON, "notebooks")
    lab.rename(made, "notebooks/tried.ipynb")
    listed = [entry["name"] for entry in lab.get("notebooks")["content"]]
    assert sorted(listed) == ["01_connecting-Copy1.ipynb", "01_connecting.ipynb", "tried.ipynb"]
    assert git(repository, "status", "--short") == ""


def test_reset_keeps_the_copy_and_shows_the_exercise_again(lab: Lab, repository: Path) -> None:
    lab.edit(EXERCISE, "print('mine')")
    progress.record("01_connecting", 1)
    assert "is kept in my/kept/01_connecting-1.ipynb." in drills.reset("1", forget=True)
    assert "mine" in (repository / "my/kept/01_connecting-1.ipynb").read_text()
    assert lab.sources(EXERCISE) == ["# A notebook", "print('first version')"]
    assert "kept" not in drills.reset("1"), "an exercise that is as it was needs no keeping"


@pytest.fixture(scope="module")
def served() -> Iterator[browser.Server]:
    with browser.server() as started:
        yield started


@pytest.fixture(scope="module")
def page(served: browser.Server) -> Iterator[browser.Page]:
    if missing := browser.missing():
        pytest.skip(missing)
    with browser.page(served, width=1920) as opened:
        yield opened


STATE = """() => {
  const {context, content} = jupyterapp.shell.currentWidget;
  const cells = content.widgets.filter(cell => cell.model.type === 'code');
  return [context.model.dirty, cells.map(cell => cell.model.outputs.length)];
}"""
RUN_ONE = """async () => {
  const {context, content} = jupyterapp.shell.currentWidget;
  content.activeCellIndex = content.widgets.findIndex(cell => cell.model.type === 'code');
  content.activeCell.model.sharedModel.setSource('6 * 7');
  await jupyterapp.commands.execute('notebook:run-cell');
  await context.save();
  return content.activeCellIndex;
}"""


def test_in_the_page_a_lesson_opens_without_outputs_and_unchanged_and_saving_makes_a_copy(
    served: browser.Server, page: browser.Page
) -> None:
    path = "notebooks/00_start_here.ipynb"
    before = git(ROOT, "status", "--short"), (ROOT / path).read_bytes()
    page.open(path)
    changed, outputs = page.tab.evaluate(STATE)
    assert not changed, "the kernel's start marks the lesson as changed"
    assert set(outputs) == {0}
    first = page.tab.evaluate(RUN_ONE)
    assert page.tab.locator(".jp-Dialog").count() == 0
    [output] = nbformat.read(served.copies / path, as_version=4).cells[first].outputs
    assert output.data["text/plain"] == "42"
    page.close(path)
    page.open(path)
    assert page.tab.evaluate(STATE) == [False, [1, *outputs[1:]]]
    assert (git(ROOT, "status", "--short"), (ROOT / path).read_bytes()) == before


SHOW = """
from firedrill import pictures
pictures.bars({'"a" < b': 1, 'b': 2}, 'time')
"""
DRAW = """async code => {
  const {content} = jupyterapp.shell.currentWidget;
  content.activeCellIndex = content.widgets.findIndex(cell => cell.model.type === 'code');
  content.activeCell.model.sharedModel.setSource(code);
  await jupyterapp.commands.execute('notebook:run-cell');
  return [...content.activeCell.node.querySelectorAll('img')].map(image => image.alt);
}"""
# Characters of the fullest line of the longest paragraph.
FULLEST_LINE = """() => {
  const panel = jupyterapp.shell.currentWidget.node;
  const paragraph = [...panel.querySelectorAll('.jp-MarkdownCell .jp-RenderedMarkdown > p')]
    .reduce((one, other) => one.textContent.length < other.textContent.length ? other : one);
  const height = parseFloat(getComputedStyle(paragraph).lineHeight);
  const above = paragraph.getBoundingClientRect().top;
  const texts = document.createTreeWalker(paragraph, NodeFilter.SHOW_TEXT);
  const lines = {}, range = document.createRange();
  while (texts.nextNode())
    for (let at = 0; at < texts.currentNode.length; at++) {
      range.setStart(texts.currentNode, at);
      range.setEnd(texts.currentNode, at + 1);
      const {top, bottom} = range.getBoundingClientRect();
      const line = Math.floor(((top + bottom) / 2 - above) / height);
      lines[line] = (lines[line] || 0) + 1;
    }
  return Math.max(...Object.values(lines));
}"""


def test_in_the_page_a_line_of_text_has_at_most_100_characters(page: browser.Page) -> None:
    page.open("notebooks/00_start_here.ipynb")
    assert 70 < page.tab.evaluate(FULLEST_LINE) <= 100


def test_in_the_page_a_picture_has_its_words_for_a_screen_reader(page: browser.Page) -> None:
    page.open("notebooks/00_start_here.ipynb")
    assert page.tab.evaluate(DRAW, SHOW) == ['Bars, time, for: "a" < b, b']
    page.close("notebooks/00_start_here.ipynb")


@pytest.mark.parametrize(
    ("template", "session"),
    [
        pytest.param("classic", None, id="stored output, template classic"),
        pytest.param("lab", "notebooks/00_start_here.ipynb", id="saved in JupyterLab"),
    ],
)
def test_as_a_page_of_nbconvert_a_picture_has_its_words_too(
    template: str, session: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if session:
        monkeypatch.setenv("JPY_SESSION_NAME", session)
    shown: list[Any] = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, raw, metadata: shown.append((data, metadata))
    )
    pictures.bars({'"a" < b': 1, "b": 2}, "time")
    [(data, metadata)] = shown
    data["image/png"] = base64.b64encode(data["image/png"]).decode()
    output = new_output("display_data", data=data, metadata=metadata)
    notebook = new_notebook(cells=[new_code_cell("", outputs=[output])])
    page, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
    image = BeautifulSoup(page, "html.parser").find("img")
    assert image is not None
    assert image["alt"] == 'Bars, time, for: "a" < b, b'
