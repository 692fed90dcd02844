"""`.venv/bin/python -m firedrill.authoring.bytecode`: compile what the course imports.

Packages are installed without bytecode. Where PYTHONDONTWRITEBYTECODE is set, as in most container
images, or .venv cannot be written to, each process would compile them again: 2.5 s instead of 1 s
for SQLAlchemy. Compiling all 5,000 files costs more than the rest of the set-up, so it is those
that lessons, JupyterLab and pytest import.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib
import os
import sys
import warnings
from pathlib import Path

from ..servers import Unavailable, cache

MODULES = (
    # JupyterLab, its extensions, and a kernel
    *(
        "jupyterlab.labapp",
        "jupyter_lsp.serverextension",
        "jupyter_server_terminals",
        "notebook_shim",
    ),
    *("jupyter_server.services.kernels.websocket", "jupyter_server.services.contents.handlers"),
    *("ipykernel.kernelapp", "ipykernel.debugger", "IPython.core.completerlib", "jedi.api"),
    *(
        "IPython.extensions.storemagic",
        "matplotlib_inline.backend_inline",
        "pygments.lexers.python",
    ),
    # the lessons
    *("asyncpg", "orjson", "psycopg", "psycopg_pool", "psutil", "trustme", "tabulate"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.pyplot"),
    *("sqlalchemy.ext.asyncio", "sqlalchemy.dialects.postgresql.asyncpg", "sqlalchemy.orm"),
    *("fastapi.testclient", "fastapi.responses", "uvicorn.protocols.http.h11_impl", "httpx"),
    *("uvicorn.lifespan.on", "uvicorn.loops.auto", "uvicorn.main", "uvloop"),
    # the checks
    *("pytest", "_pytest.junitxml", "_pytest.assertion.rewrite", "pytest_asyncio.plugin"),
    *("xdist.plugin", "xdist.looponfail", "xdist.scheduler", "xdist.workermanage", "xdist.remote"),
    *("nbval.plugin", "nbclient", "nbformat.v4", "jupyter_client.blocking.client"),
    *("playwright.sync_api", "mypy", "ruff"),
)


def main() -> None:
    sys.dont_write_bytecode = False
    warnings.simplefilter("ignore")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # debugpy would print a warning
    with contextlib.suppress(Unavailable):  # matplotlib looks for fonts once, for JupyterLab
        os.environ["MPLCONFIGDIR"] = str(cache.folder() / "jupyter/matplotlib")
    for module in MODULES:
        with contextlib.suppress(ImportError):  # not on this system, or not installed yet
            importlib.import_module(module)
    compileall.compile_dir(Path(__file__).parents[1], quiet=2)


if __name__ == "__main__":
    main()
