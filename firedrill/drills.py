"""The exercises' tasks, hints, checks and traps. In an exercise: `drill = drills.open("01_connecting")`, then `drill[1]`.

    await drill[1].check(my_function)       runs it against servers of its own and says what was seen
    drill[1].hint()                         the next of three hints
"""

from __future__ import annotations

import importlib

from ..servers import Unavailable
from . import progress
from .drill import Drill, Report, Task

__all__ = ["MODULES", "Drill", "Report", "Task", "open", "reset"]

MODULES = {
    "01_connecting": "connecting",
    "02_pools": "pools",
    "03_exhaustion": "exhaustion",
    "04_timeouts_and_cancellation": "timeouts_and_cancellation",
    "05_json_and_codecs": "json_and_codecs",
    "06_parameters": "parameters",
    "07_bulk_loading": "bulk_loading",
    "08_transactions": "transactions",
    "09_savepoints": "savepoints",
    "10_prepared_statements": "prepared_statements",
    "11_pool_modes": "pool_modes",
    "12_migrations": "migrations",
    "13_cursors": "cursors",
    "14_listen_notify": "listen_notify",
    "15_fastapi": "fastapi_shop",
    "16_testing": "testing",
    "17_choosing_a_driver": "choosing_a_driver",
}


def open(name: str | int) -> Drill:
    """The drill of exercise `name`; its number alone will do. Raises `Unavailable`, naming those that there are."""
    name = str(name)
    for known, module in MODULES.items():
        if known == name or (name.isdigit() and int(known.partition("_")[0]) == int(name)):
            drill: Drill = importlib.import_module(f".{module}", __name__).DRILL
            return drill
    raise Unavailable(f"There is no exercise {name!r}. There are: {', '.join(MODULES)}.")


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
