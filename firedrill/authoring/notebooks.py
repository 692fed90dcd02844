"""`python -m firedrill.authoring.notebooks`: the one way to make outputs, exercises and links.

Lessons and solutions are executed and stored with the outputs of that run. Exercises and model
answers are made from solutions, and a model answer's figures are measured when it or its check has
changed; links between lessons and README's table of lessons from course.toml; README's errors and
ERRORS.md from the index; README's pictures from the lessons. With `--check` nothing is executed or
written: it fails where one of these is not what would be made. Names of notebooks limit what is
executed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from .. import course
from ..checking import model
from ..checking.exercise_files import METADATA, STARTERS, exercise, starters, text_of
from ..course import REPOSITORY
from . import links

SANITIZE = REPOSITORY / "notebooks/sanitize.cfg"
# The same output whatever the reader's shell says. The tests' notebooks run in the same world, see
# conftest.py.
ENVIRONMENT = {
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "COLUMNS": "100",
    "PYTHONHASHSEED": "0",
    "NO_COLOR": "1",
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
}  # for `!firedrill`


def rules() -> list[tuple[re.Pattern[str], str]]:
    """The sanitizing rules. nbval applies them as well.

    What they hide is stored as they write it, so no run leaves a diff.
    """
    return [
        (re.compile(pattern), replacement)
        for pattern, replacement in re.findall(
            r"^regex: (.*)\nreplace: (.*)$", SANITIZE.read_text(encoding="utf-8"), re.M
        )
    ]


def execute(path: Path) -> None:
    """Run a notebook in a fresh kernel, in its own folder, and store its outputs."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    before = [cell.get("outputs", []) for cell in notebook.cells]
    os.environ.update(ENVIRONMENT)
    NotebookClient(
        notebook,
        timeout=60,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    for cell in notebook.cells:
        for key in set(cell.metadata) - {"tags"}:
            del cell.metadata[key]
        for output in cell.get("outputs", []):
            _apply_rules(output)
    _keep_pictures(before, notebook.cells)
    stored = json.loads(nbformat.writes(notebook))  # type: ignore[no-untyped-call]
    path.write_text(text_of(stored | {"metadata": METADATA}), encoding="utf-8")


def _keep_pictures(before: list[list[Any]], cells: list[Any]) -> None:
    """Keep the stored plot unless its cell or its words have changed: what was measured differs
    with each run."""
    for earlier, cell in zip(before, cells, strict=True):
        stored = {
            output["metadata"].get("drawn_by"): output["data"]["image/png"]
            for output in pictures_of(earlier)
        }
        for output in pictures_of(cell.get("outputs", [])):
            output["metadata"]["drawn_by"] = stamp = drawn_by(cell.source, output)
            output["data"]["image/png"] = stored.get(stamp, output["data"]["image/png"])


def pictures_of(outputs: list[Any]) -> list[Any]:
    return [output for output in outputs if "image/png" in output.get("data", {})]


def drawn_by(source: str, output: Any) -> str:
    """Stands in a picture's metadata: the code and the words to which it belongs."""
    return hashlib.sha256(
        f"{source}\n{''.join(output['data'].get('text/plain', ''))}".encode()
    ).hexdigest()[:12]


def _apply_rules(output: Any) -> None:
    texts = output.get("data", output)
    for key in ("text", "text/plain", "text/html", "evalue"):
        if key in texts:
            for pattern, replacement in rules():
                texts[key] = pattern.sub(replacement, texts[key])


def everything_made() -> dict[Path, bytes]:
    """By path, what each file that is made, and not executed, should hold."""
    from . import readme

    made: dict[Path, bytes] = {}
    given: dict[str, dict[str, str]] = {}
    answers: dict[str, dict[str, dict[str, str]]] = {}
    for lesson in course.lessons():
        path = REPOSITORY / f"notebooks/{lesson.name}.ipynb"
        made[path] = text_of(links.in_lesson(_read(path), lesson)).encode()
    for lesson in course.exercises():
        path = REPOSITORY / f"solutions/{lesson.name}.ipynb"
        solution = links.in_solution(_read(path), lesson)
        given[lesson.name] = starters(solution)
        answers[lesson.name] = model.models(solution)
        made[path] = text_of(solution).encode()
        made[REPOSITORY / f"exercises/{lesson.name}.ipynb"] = text_of(exercise(solution)).encode()
    made[STARTERS] = (json.dumps(given, ensure_ascii=False, indent=1) + "\n").encode()
    made[model.MODELS] = (json.dumps(answers, ensure_ascii=False, indent=1) + "\n").encode()
    return made | readme.pages() | readme.pictures()


def _read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def main() -> int:
    known = sorted(
        {
            path.stem
            for folder in ("notebooks", "solutions")
            for path in (REPOSITORY / folder).glob("*.ipynb")
        }
    )
    parser = argparse.ArgumentParser(
        prog="python -m firedrill.authoring.notebooks", description=__doc__
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="01_connecting, for instance; all of them without a name",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing: is all that is made up to date?"
    )
    arguments = parser.parse_args()
    names, check = arguments.names, arguments.check
    if unknown := set(names) - {*known}:
        parser.error(f"there is no {', '.join(sorted(unknown))}. There are: {', '.join(known)}")
    if not check:
        from .. import servers

        servers.fetch()
        os.environ["FIREDRILL_PROGRESS"] = os.devnull
        made = everything_made()  # a check needs the starter and the answer of its task
        for path in (STARTERS, model.MODELS):
            path.write_bytes(made[path])
        for folder in ("notebooks", "solutions"):
            for path in sorted((REPOSITORY / folder).glob("*.ipynb")):
                if not names or path.stem in names:
                    is_measured = folder == "solutions" and model.outdated(path.stem)
                    os.environ[model.MEASURE] = path.stem if is_measured else ""
                    for _ in range(model.RUNS if is_measured else 1):
                        print(f"running {folder}/{path.name}", flush=True)
                        execute(path)
    outdated = []
    made = everything_made()
    for path, content in made.items():
        if not path.exists() or path.read_bytes() != content:
            outdated.append(str(path.relative_to(REPOSITORY)))
            if not check:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
    if check and outdated:
        print(
            f"Not what is made from course.toml, solutions and index: {', '.join(outdated)}. "
            "Run `make notebooks`."
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
