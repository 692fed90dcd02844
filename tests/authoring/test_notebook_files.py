"""What nbval does not see: that outputs are complete and made here, that links lead somewhere,
that exercises are made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from firedrill import course
from firedrill.authoring import links, notebooks
from firedrill.checking import exercise_files

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("notebooks", "solutions", "exercises")
    for path in (ROOT / folder).glob("*.ipynb")
)
COMPARED = [path for path in FILES if path.parent.name != "exercises"]
# Of the 100 KB that a lesson may weigh, pictures take most.
HEAVIEST = 150_000
# A heading begins with its part, and goes on with what people search for. Lesson 10 has one fix
# section for all of its failures.
PARTS = (
    "^### See",
    "^### .*[Ww]hy",
    "^### Fix it|^## Four remedies",
    "^### Prove it|^## .*under the same load",
    "^### Trap",
    "^### You may have read",
    "^## Recap",
)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind and "".join(cell["source"]).strip()]


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", COMPARED, ids=name)
def test_outputs_are_those_of_one_run_from_top_to_bottom(path: Path) -> None:
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert path.stat().st_size < HEAVIEST
    for cell in code:
        tags = set(cell["metadata"].get("tags", []))
        assert not {"raises-exception", "nbval-ignore-output"} <= tags, "this pair can never fail"
        for output in cell["outputs"]:
            assert output["output_type"] != "error" or "raises-exception" in tags
            assert output.get("name") != "stderr", "".join(output["text"])
            text = json.dumps(output)
            assert not re.search(r"/home/|/tmp/|/root/|/var/|site-packages|/ipykernel_", text), (
                "a path of somebody's machine"
            )
            assert "image/svg+xml" not in text, (
                "JupyterLab shows no SVG in a notebook that is not trusted"
            )
        for picture in notebooks.pictures_of(cell["outputs"]):
            expected = notebooks.drawn_by("".join(cell["source"]), picture)
            assert picture["metadata"].get("drawn_by") == expected, (
                "the picture of other code, or of other words"
            )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_its_form_is_the_one_that_make_notebooks_writes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert notebook["metadata"] == exercise_files.METADATA
    assert text == exercise_files.text_of(notebook)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        assert set(cell["metadata"]) <= {"tags"}


@pytest.mark.parametrize("path", FILES, ids=name)
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith("https://"):
            assert not target.startswith(("http:", "/")), target
            assert (path.parent / unquote(target.partition("#")[0])).exists(), (
                f"{target} does not exist"
            )


DOCUMENTS = ("README.md", "ERRORS.md", "CONTRIBUTING.md", "workshop/README.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_of_documents_land_on_their_section(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    # A target may hold a pair of parentheses: #close()-never-ends
    for target in re.findall(r"\]\(((?:[^()\s]|\([^()\s]*\))+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        linked = (ROOT / document).parent / file if file else ROOT / document
        assert linked.exists(), f"{document}: {target}"
        if anchor:
            assert anchor in anchors(linked), f"{document}: {target}"


def anchors(path: Path) -> set[str]:
    """Of its headings: JupyterLab keeps the text, code hosts' Markdown has lower case and words."""
    if path.suffix == ".md":
        lines = path.read_text(encoding="utf-8").splitlines()
        headings = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
        return {re.sub(r"[^\w\- ]", "", one).replace(" ", "-") for one in headings}
    found = [
        line.lstrip("# ").strip()
        for cell in cells(path, "markdown")
        for line in "".join(cell["source"]).splitlines()
        if line.startswith("#")
    ]
    return {one.replace(" ", "-") for one in found}


def test_every_lesson_has_an_exercise_and_a_solution() -> None:
    lessons = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} - {
        "00_start_here.ipynb",
        "18_game_day.ipynb",
    }
    assert lessons == {path.name for path in (ROOT / "exercises").glob("*.ipynb")}
    assert lessons == {path.name for path in (ROOT / "solutions").glob("*.ipynb")}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=name)
def test_a_lesson_has_its_parts(path: Path) -> None:
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    code = cells(path, "code")
    assert text.startswith("# ")
    assert "| Minutes |" in text
    assert "You will be able to" in text
    assert "servers.open_for_notebook()" in "".join(code[0]["source"])
    assert "".join(code[-1]["source"]).rstrip().endswith("stack.close()")
    if path.name != "00_start_here.ipynb":
        assert any("expect(" in "".join(cell["source"]) for cell in code), "nothing is broken"
        for part in PARTS:
            assert re.search(part, text, re.M), part


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=name)
def test_each_heading_says_what_it_is_about(path: Path) -> None:
    """In JupyterLab's contents, six lines "Why" lead nowhere."""
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    headings = re.findall(r"^###? (.+)$", text, re.M)
    assert len(set(headings)) == len(headings), [one for one in headings if headings.count(one) > 1]
    if path.name != "00_start_here.ipynb":  # it has one failure
        bare = r"(Break it|See it|Why|Fix it|Prove it)((,| and|, and) (why|fix it|prove it))*"
        assert not [one for one in headings if re.fullmatch(bare, one)]


@pytest.mark.parametrize("lesson", course.lessons(), ids=lambda lesson: lesson.slug)
def test_its_minutes_are_those_of_its_sections(lesson: course.Lesson) -> None:
    path = ROOT / f"notebooks/{lesson.name}.ipynb"
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    assert f"| Minutes | {lesson.minutes}" in text
    of_sections = [int(one) for one in re.findall(r"^## .+\n\n\*?(\d+) minutes", text, re.M)]
    if lesson.number:  # the first one has no failures
        assert abs(sum(of_sections) - lesson.minutes) <= 5


def test_exercises_and_the_error_table_are_made_from_their_sources() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "firedrill.authoring.notebooks", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_an_exercise_tells_nothing_of_the_answer() -> None:
    for path in (ROOT / "exercises").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "SOLUTION" not in text
        assert "### STARTER" not in text
        solution = json.loads((ROOT / "solutions" / path.name).read_text(encoding="utf-8"))
        for cell in solution["cells"]:
            for block in exercise_files.SOLUTION.finditer("".join(cell["source"]) + "\n"):
                assert block["answer"] not in json.loads(json.dumps(text))
            if "solution" in cell["metadata"].get("tags", []):
                assert cell["id"] not in [kept["id"] for kept in json.loads(text)["cells"]]


# The maker of exercises


def test_a_block_gives_way_to_its_starter() -> None:
    source = (
        "async def sell(seat):\n    ### BEGIN SOLUTION\n"
        "    async with pool.acquire() as conn:\n        return 2\n"
        "    ### STARTER (what the exercise gave)\n"
        "    # conn = await pool.acquire()\n    #\n    # if seat:\n"
        "    #     return 1\n    ### END SOLUTION\nprint(1)"
    )
    assert exercise_files.as_exercise(source) == (
        "async def sell(seat):\n    conn = await pool.acquire()\n    \n"
        "    if seat:\n        return 1\nprint(1)"
    )
    assert (
        exercise_files.as_exercise(
            "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION"
        )
        == "def f():\n    ..."
    )
    assert exercise_files.as_exercise("x = 1") == "x = 1"


@pytest.mark.parametrize(
    "source", ["### BEGIN SOLUTION\nx = 1", "x = 1\n### END SOLUTION", "### STARTER\n# x"]
)
def test_unbalanced_marks_are_refused(source: str) -> None:
    with pytest.raises(ValueError, match="unbalanced"):
        exercise_files.as_exercise(source)


# The links between lessons


def in_lesson(lesson: course.Lesson, *sources: str) -> list[str]:
    """The sources of its Markdown cells with their links."""
    given = [{"cell_type": "markdown", "source": one.splitlines(True)} for one in sources]
    return ["".join(cell["source"]) for cell in links.in_lesson({"cells": given}, lesson)["cells"]]


def test_the_links_at_both_ends_follow_the_manifest() -> None:
    first, second, *_, last = course.lessons()
    to_first = f"[00 {first.title}]({first.name}.ipynb)"
    to_second = f"[01 {second.title}]({second.name}.ipynb)"
    around = f"Lesson 0 of {last.number}. Next: {to_second}."
    begin, end = in_lesson(first, "# It hangs\n\nSince noon.", "## Links\n\n- Next: what was\n- x")
    assert begin == f"# It hangs\n\n*{around}*\n\nSince noon."
    assert end == f"## Links\n\n- {around}\n- x"
    around = f"Lesson 1 of {last.number}. Previous: {to_first}. Next: [02 "
    begin, end = in_lesson(course.lessons()[10], begin, end)
    begin, end = in_lesson(second, begin, end)
    assert begin.startswith(f"# It hangs\n\n*{around}")
    assert begin.count("Lesson") == 1
    assert end.startswith(f"## Links\n\n- {around}")
    assert end.count("Lesson") == 1
    assert not any("Next:" in one for one in in_lesson(last, begin, end))


@pytest.mark.parametrize("times", [0, 2])
def test_a_lesson_has_one_place_for_the_links_at_its_end(times: int) -> None:
    with pytest.raises(ValueError, match=f"{times} places"):
        in_lesson(course.lessons()[1], "# It hangs\n", "- Next: somewhere\n" * times)


def test_a_lesson_without_a_title_has_no_place_for_the_links_at_its_beginning() -> None:
    with pytest.raises(ValueError, match="0 places"):
        in_lesson(course.lessons()[1], "It hangs\n", "- Next: somewhere\n")
