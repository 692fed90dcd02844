"""The exercises' tasks, hints, checks and traps. In an exercise: `drill = drills.open("01_connecting")`, then `drill[1]`.

await drill[1].check(my_function)       runs it against servers of its own and says what was seen
drill[1].hint()                         the next of three hints
"""

from __future__ import annotations

import importlib

from . import course, interrupts
from .checking import exercise_files, progress
from .checking.drill import Drill, Task
from .checking.report import Report
from .servers import Unavailable

__all__ = ["Drill", "Report", "Task", "open", "reset"]


def open(name: str | int) -> Drill:
    """The drill of exercise `name`; its number alone will do. Raises `Unavailable`, naming those that there are."""
    name = str(name)
    for lesson in course.exercises():
        if name in (lesson.name, lesson.slug) or (name.isdigit() and lesson.number == int(name)):
            interrupts.wake_the_loop()
            drill: Drill = importlib.import_module(f".topics.{lesson.slug}", __package__).DRILL
            return drill
    there = ", ".join(lesson.name for lesson in course.exercises())
    raise Unavailable(f"There is no exercise {name!r}. There are: {there}.")


def reset(name: str | int) -> str:
    """Put the exercise back as it was and forget its progress. Your version is kept in exercises/kept."""
    drill = open(name)
    try:
        done = exercise_files.restore(drill.name)
    except FileNotFoundError as error:
        raise Unavailable(
            f"Exercises are made from solutions, and there is no solutions/{drill.name}.ipynb. "
            f"`git checkout solutions` brings it back."
        ) from error
    progress.forget(drill.name)
    return f"{done}\nIn JupyterLab: File, Reload Notebook from Disk."
