"""The exercises' tasks, hints, checks and traps.

In an exercise: `drill = drills.open("01_connecting")`, then `drill[1]`.

await drill[1].check(my_function)       runs it against separate servers and says what was seen
drill[1].hint()                         the next of three hints
drill[1].replay()                       draws what the function did before it failed
shop = await drill[1].open()            leaves the servers running as they were then
drill[1].solution()                     the model answer, after the task was passed
"""

from __future__ import annotations

import importlib

from . import course, notebook, progress
from .checking import exercise_files
from .checking.drill import Drill, Task
from .checking.report import Report
from .servers import Unavailable

__all__ = ["Drill", "Report", "Task", "Unavailable", "open", "reset"]


def open(name: str | int) -> Drill:
    """The drill of exercise `name`; its number alone will do.

    Raises `Unavailable`, naming those that there are.
    """
    name = str(name)
    for lesson in course.exercises():
        if name in (lesson.name, lesson.slug) or (name.isdigit() and lesson.number == int(name)):
            notebook.wake_the_loop()
            drill: Drill = importlib.import_module(f".topics.{lesson.slug}", __package__).DRILL
            return drill
    there = ", ".join(lesson.name for lesson in course.exercises())
    raise Unavailable(f"There is no exercise {name!r}. There are: {there}.")


def reset(name: str | int, *, forget: bool = False) -> str:
    """Put the exercise back as it was; your version is kept in my/kept.

    Passes are forgotten with it, so it raises `Unavailable` when there are any, unless `forget`.
    """
    drill = open(name)
    passed = [str(task) for exercise, task in sorted(progress.done()) if exercise == drill.name]
    if passed and not forget:
        raise Unavailable(
            f"You have passed {_tasks(passed)} of {drill.name}, and a reset forgets that. "
            f"`firedrill reset {drill.name} --forget` does it."
        )
    try:
        done = exercise_files.restore(drill.name)
    except FileNotFoundError as error:
        raise Unavailable(
            f"Exercises are made from solutions, and there is no solutions/{drill.name}.ipynb. "
            "`git checkout solutions` brings it back."
        ) from error
    progress.forget(drill.name)
    forgotten = f" {_tasks(passed).capitalize()}: no longer passed." if passed else ""
    return f"{done}{forgotten}\nIn JupyterLab: File, Reload Notebook from Disk."


def _tasks(numbers: list[str]) -> str:
    return f"task{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"
