"""The shape of the repository: where things stand, and which way imports run."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from firedrill import course, drills

ROOT = Path(__file__).parents[1]
# From the bottom up. A module may import from its own layer and from those below. The rest of
# what lies directly in firedrill/ is an instrument: what a lesson may import.
LAYERS = (
    ("course", "progress", "notebook", "errors"),
    ("servers",),
    ("instruments",),
    ("checking",),
    ("topics",),
    ("drills", "explain", "logs", "pytest_plugin"),
    ("overview", "lab", "atlas", "serve", "doctor", "authoring"),
    ("commands",),
    ("cli",),
    ("__main__",),
)
SLUGS = [lesson.slug for lesson in course.exercises()]


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / "firedrill").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: path for name, path in found.items() if ".files." not in name}


@cache
def imports_of(module: str) -> set[str]:
    """The modules of this package that it imports, at its top, inside a function, or for types."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join(
                (parents if node.level else []) + ([node.module] if node.module else [])
            )
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in modules() else base)
    return {name for name in found if name in modules()} - {module}


def layer(module: str) -> int:
    name = module.split(".")[1] if "." in module else "course"
    [found] = [number for number, names in enumerate(LAYERS) if name in names] or [2]
    return found


def topic(module: str) -> str:
    return module.split(".")[2] if module.startswith("firedrill.topics.") else ""


@pytest.mark.parametrize("slug", SLUGS)
def test_no_topic_imports_another(slug: str) -> None:
    for module in modules():
        if topic(module) == slug:
            others = {topic(one) for one in imports_of(module)} - {slug, ""}
            assert not others, f"{module} imports {others}"


def test_no_topic_goes_past_the_door_to_a_learners_code() -> None:
    for module in modules():
        if topic(module):
            assert "firedrill.checking.sandbox" not in imports_of(module), module


def test_imports_run_one_way() -> None:
    upwards = [
        f"{module} imports {one}"
        for module in modules()
        for one in imports_of(module)
        if layer(one) > layer(module)
    ]
    assert not upwards, "\n".join(upwards)


def test_no_module_imports_itself_in_a_circle() -> None:
    """Also not late, inside a function, or for its types only."""
    try:
        TopologicalSorter({module: imports_of(module) for module in modules()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("slug", SLUGS)
def test_a_topic_has_all_its_files(slug: str) -> None:
    name = course.lesson(slug).name
    for file in (
        f"notebooks/{name}.ipynb",
        f"exercises/{name}.ipynb",
        f"solutions/{name}.ipynb",
        f"firedrill/topics/{slug}/__init__.py",
        f"firedrill/topics/{slug}/errors.toml",
        f"tests/topics/{slug}/wrong_fixes.py",
        f"tests/topics/{slug}/live_errors.py",
        f"tests/topics/{slug}/test_{slug}.py",
    ):
        assert (ROOT / file).is_file(), f"{file} is missing"
    assert tomllib.loads((ROOT / f"firedrill/topics/{slug}/errors.toml").read_text())["error"]


def test_no_topic_or_lesson_is_missing_in_the_manifest() -> None:
    slugs = {path.parent.name for path in (ROOT / "firedrill/topics").glob("*/__init__.py")}
    assert slugs == {*SLUGS}
    names = {lesson.name for lesson in course.lessons()}
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == names


@pytest.mark.parametrize("slug", SLUGS)
def test_a_task_stands_in_its_file_in_one_order(slug: str) -> None:
    """Title, hints, traps, check: what a learner may see, before what they may not."""
    folder = ROOT / f"firedrill/topics/{slug}"
    assert not (folder / "checks.py").exists(), "a task is a file"
    tasks = 0
    for path in folder.glob("*.py"):
        order = re.findall(
            r"^(?:async def )?(TITLE|HINTS|TRAPS|check)\b", path.read_text(encoding="utf-8"), re.M
        )
        if "check" in order:
            tasks += 1
            assert order == ["TITLE", "HINTS", "TRAPS", "check"], path.name
    assert tasks == len(drills.open(slug).tasks)


@pytest.mark.parametrize("folder", ["notebooks", "exercises", "solutions"])
def test_a_notebook_imports_no_module_that_holds_a_check(folder: str) -> None:
    """Of a topic it may import what a task hands to its learner."""
    for path in (ROOT / folder).glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"from (firedrill[\w.]*) import (\w+)|import (firedrill[\w.]+)", text)
        for package, name, whole in named:
            full = whole or f"{package}.{name}"
            module = full if full in modules() else package
            assert not module.startswith("firedrill.checking"), f"{path.name} imports {module}"
            source = modules()[module].read_text(encoding="utf-8") if module in modules() else ""
            holds_one = module.startswith("firedrill.topics") and "def check(" in source
            assert not holds_one, f"{path.name} imports {module}"


def test_the_readme_is_short() -> None:
    assert (ROOT / "README.md").stat().st_size < 12_000
