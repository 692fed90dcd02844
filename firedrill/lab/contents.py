"""What JupyterLab reads and saves: the learner's copies in my/, before the course's own files.

A notebook of notebooks/, exercises/ or solutions/ is read from my/ if a copy is there, else from
the repository; saving it makes the copy. So git sees no change, and `git pull` meets none. Lessons
are read without the outputs that the repository stores, which answer the lessons' questions.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import hashlib
import platform
import shutil
from pathlib import Path
from typing import Any

from jupyter_server.files.handlers import FilesHandler
from jupyter_server.services.contents.filecheckpoints import AsyncGenericFileCheckpoints
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from nbformat import NotebookNode, from_dict, read
from tornado.web import HTTPError
from traitlets import default

from ..checking.exercise_files import keep, learners_folder

FOLDERS = ("notebooks", "exercises", "solutions")
OUTDATED = "firedrill-outdated"  # the id of a cell that is shown and never saved
# As ipykernel has it: JupyterLab writes this into a notebook when its kernel starts, and would call
# every notebook changed that has something else.
LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
    "version": platform.python_version(),
}


class Contents(AsyncLargeFileManager):
    @default("checkpoints_class")
    def _checkpoints_class_default(self) -> Any:
        return AsyncGenericFileCheckpoints  # asks this class for files, and does not copy them

    @default("files_handler_class")
    def _files_handler_class_default(self) -> Any:
        return FilesHandler  # the same, for downloads

    @default("files_handler_params")
    def _files_handler_params_default(self) -> dict[str, Any]:
        return {}

    def _get_os_path(self, path: str) -> str:
        mine = self._mine(path)
        return str(mine) if mine and not self._is_the_courses(path) else self._in_course(path)

    def _in_course(self, path: str) -> str:
        found: str = super()._get_os_path(path)
        return found

    def _mine(self, path: str) -> Path | None:
        """Where the learner's copy is, or would be. None: this path has none."""
        folder, _, name = path.strip("/").rpartition("/")
        if folder in FOLDERS and name.endswith(".ipynb"):
            return learners_folder() / folder / name
        return None

    def _is_the_courses(self, path: str) -> bool:
        """It is shown as the repository has it: the learner has no copy."""
        mine = self._mine(path)
        return mine is not None and not mine.exists() and Path(self._in_course(path)).is_file()

    async def save(self, model: dict[str, Any], path: str = "") -> Any:
        if mine := self._mine(path):
            mine.parent.mkdir(parents=True, exist_ok=True)
            if self._is_the_courses(path):
                shutil.copyfile(self._in_course(path), mine)
            if model.get("type") == "notebook":
                content = model["content"]
                content["cells"] = [c for c in content["cells"] if c.get("id") != OUTDATED]
        return await super().save(model, path)

    async def delete_file(self, path: str) -> None:
        """Of a notebook of the course, the learner's copy; then the course's own is shown again."""
        if self._is_the_courses(path):
            raise HTTPError(403, f"{path} is part of the course. Only your copy can be deleted.")
        await super().delete_file(path)

    async def rename_file(self, old_path: str, new_path: str) -> None:
        if self._is_the_courses(old_path):
            raise HTTPError(
                403, f"{old_path} is part of the course. Use File, Save Notebook As for a copy."
            )
        if mine := self._mine(new_path):
            mine.parent.mkdir(parents=True, exist_ok=True)
        await super().rename_file(old_path, new_path)

    async def _dir_model(self, path: str, content: bool = True) -> Any:
        model = await super()._dir_model(path, content=content)
        if content and path in FOLDERS:
            listed = {entry["name"] for entry in model["content"]}
            for file in sorted((learners_folder() / path).glob("*.ipynb")):
                if file.name not in listed:
                    model["content"].append(await self.get(f"{path}/{file.name}", content=False))
        return model

    async def _notebook_model(
        self, path: str, content: bool = True, require_hash: bool = False
    ) -> Any:
        outdated = content and self._settle(path)
        model = await super()._notebook_model(path, content=content, require_hash=require_hash)
        if content and self._mine(path):
            notebook = model["content"]
            if self._is_the_courses(path):
                if path.startswith("notebooks/"):
                    _clear(notebook)
                notebook.metadata["firedrill"] = {"copy_of": _digest(notebook)}
            notebook.metadata["language_info"] = LANGUAGE
            if outdated:
                notebook.cells.insert(0, _note(path))
        return model

    def _settle(self, path: str) -> bool:
        """Whether the learner's copy, with changes, is of another version than the course's is now.

        A copy without changes, which was only run, is put aside.
        """
        mine, course = self._mine(path), Path(self._in_course(path))
        if mine is None or not mine.exists() or not course.is_file():
            return False
        try:
            copy, original = (read(each, as_version=4) for each in (mine, course))
        except Exception:  # no notebook: reading it again says so, in the page
            return False
        copied = copy.metadata.get("firedrill", {}).get("copy_of")
        if copied in (None, _digest(original)):
            return False
        if copied == _digest(copy):
            keep(mine)
            return False
        return True


def _clear(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def _digest(notebook: NotebookNode) -> str:
    """Of what a reader can change in a lesson; outputs count for nothing."""
    cells = [(c.cell_type, c.source) for c in notebook.cells if c.get("id") != OUTDATED]
    return hashlib.sha256(repr(cells).encode()).hexdigest()[:16]


def _note(path: str) -> NotebookNode:
    way = f"delete `my/{path}` or move it elsewhere"
    if path.startswith("exercises/"):
        way = f"run `firedrill reset {Path(path).stem}` in a terminal, which keeps yours"
    text = (
        "**The course has a newer version of this notebook.** You see your own copy, which you "
        f"have changed. For the newer one, {way}; then choose File, Reload Notebook from Disk."
    )
    cell = {"cell_type": "markdown", "id": OUTDATED, "metadata": {}, "source": text}
    note: NotebookNode = from_dict(cell)
    return note
