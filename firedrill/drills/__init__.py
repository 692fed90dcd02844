"""The exercises' tasks, hints, checks and traps. In an exercise: `drill = drills.open("01_connecting")`, then `drill[1]`.

    await drill[1].check(my_function)       runs it against servers of its own and says what was seen
    drill[1].hint()                         the next of three hints
"""

from __future__ import annotations

from ..servers import Unavailable
from . import (
    bulk_loading,
    choosing_a_driver,
    connecting,
    cursors,
    exhaustion,
    fastapi_shop,
    json_and_codecs,
    listen_notify,
    migrations,
    parameters,
    pool_modes,
    pools,
    prepared_statements,
    progress,
    savepoints,
    testing,
    timeouts_and_cancellation,
    transactions,
)
from .drill import Drill, Report, Task

__all__ = ["DRILLS", "Drill", "Report", "Task", "open", "reset"]

DRILLS: dict[str, Drill] = {module.DRILL.name: module.DRILL for module in (
    connecting,
    pools,
    exhaustion,
    timeouts_and_cancellation,
    json_and_codecs,
    parameters,
    bulk_loading,
    transactions,
    savepoints,
    prepared_statements,
    pool_modes,
    migrations,
    cursors,
    listen_notify,
    fastapi_shop,
    testing,
    choosing_a_driver,
)}


def open(name: str | int) -> Drill:
    """The drill of exercise `name`; its number alone will do. Raises `Unavailable`, naming those that there are."""
    name = str(name)
    for known, drill in DRILLS.items():
        if known == name or (name.isdigit() and int(known.partition("_")[0]) == int(name)):
            return drill
    raise Unavailable(f"There is no exercise {name!r}. There are: {', '.join(DRILLS)}.")


def reset(name: str) -> str:
    """Write the exercise anew and forget its progress. The version of before is kept in exercises/kept. Says what it did."""
    import json

    from .. import notebooks

    drill = open(name)
    path = notebooks.REPOSITORY / f"exercises/{drill.name}.ipynb"
    kept = ""
    if path.exists():
        folder = path.parent / "kept"
        folder.mkdir(exist_ok=True)
        taken = len(list(folder.glob(f"{drill.name}-*.ipynb")))
        kept = f" Your version is kept in exercises/kept/{drill.name}-{taken + 1}.ipynb."
        path.rename(folder / f"{drill.name}-{taken + 1}.ipynb")
    solution = json.loads((notebooks.REPOSITORY / f"solutions/{drill.name}.ipynb").read_text(encoding="utf-8"))
    path.write_text(notebooks.text_of(notebooks.exercise(solution)), encoding="utf-8")
    progress.forget(drill.name)
    return (f"exercises/{drill.name}.ipynb is as it was at first.{kept}\n"
            "In JupyterLab: File, Reload Notebook from Disk.")
