"""Guard rails for nbval, which trusts a notebook more than it should.

`pytest --nbval notebooks/` needs no other flag: nbval has no ini options, so its command-line
options are set here. Session fixtures never run for its cells, hence hooks.
"""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
import uuid
from pathlib import Path
from typing import Any

import nbval.kernel
import nbval.plugin
import pytest
from jupyter_client.manager import KernelManager

from firedrill import servers
from firedrill.authoring import differences, kernels, notebooks

ROOT = Path(__file__).parent
CELL_TIMEOUT = 60  # seconds; nbval's own 2000 would outlast CI
# Their outputs are compared. The exercises, which have none, are only run.
COMPARED = ("notebooks", "solutions")


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin("nbval"):
        option = config.option
        option.nbval = not option.nbval_lax  # `pytest` alone checks the notebooks too
        option.nbval_sanitize_with = option.nbval_sanitize_with or str(notebooks.SANITIZE)
        option.nbval_cell_timeout = min(option.nbval_cell_timeout, CELL_TIMEOUT)
        if option.nbval_kernel_name is None:
            # Never a kernel of the same name that the user has elsewhere.
            option.nbval_current_env = True
            if hasattr(os, "fork"):
                nbval.plugin.RunningKernel = kernels.ForkedKernel
        nbval.kernel.KernelManager = _kernel_manager
    os.environ.update(notebooks.ENVIRONMENT)
    # A background job of a shell ignores SIGINT, one of nohup SIGHUP, and so would all that it
    # starts. Kernels and tests need both. This process goes on ignoring SIGHUP.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    if not hasattr(config, "workerinput"):  # xdist's workers inherit these
        own = tempfile.TemporaryDirectory(
            prefix="firedrill-tests-", dir="/tmp"
        )  # short: sockets have at most 104 bytes
        config.add_cleanup(own.cleanup)
        # Neither the learner's progress nor the learner's IPython profile has a part in a test.
        os.environ |= {
            "FIREDRILL_PROGRESS": f"{own.name}/progress.txt",
            "IPYTHONDIR": f"{own.name}/ipython",
            "JUPYTER_RUNTIME_DIR": own.name,
            "MPLCONFIGDIR": str(servers.cache.folder() / "matplotlib"),
        }


def pytest_sessionstart(session: pytest.Session) -> None:
    """Choose and fetch servers before a kernel starts: no cell prints that or waits for it."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        try:
            os.environ["FIREDRILL_SERVERS"] = servers.choose()[
                0
            ]  # asked once, and the same for all
            servers.fetch()
        except servers.Unavailable as error:
            pytest.exit(str(error), returncode=3)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    cells = [item for item in items if _is_cell(item)]
    if cells and not config.option.collectonly:
        _expect_what_holds_here(cells)
    if cells and nbval.plugin.RunningKernel is kernels.ForkedKernel:
        kernels.prepare()
    for item in cells:
        # Seconds. nbval has a fixed 5, which is too few on a busy machine.
        item.output_timeout = 30  # type: ignore[attr-defined]


def _expect_what_holds_here(items: list[pytest.Item]) -> None:
    """Other versions print other things in a few cells: see notebooks/differences.toml."""
    try:
        known, pair = differences.Differences(ROOT), differences.pair_here()
        for notebook, of_notebook in itertools.groupby(items, lambda item: item.path):
            cells = [item.cell for item in of_notebook]  # type: ignore[attr-defined]
            known.apply(notebook.relative_to(ROOT).as_posix(), cells, pair)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not _is_cell(item):
        return
    cell: Any = item.cell  # type: ignore[attr-defined]
    if failed := getattr(item.parent, "failed_cell", None):
        pytest.skip(f"{failed} failed before, and this cell builds on it")
    if item.path.parent.name in COMPARED and cell.source.strip() and cell.execution_count is None:
        pytest.fail(
            "This cell has no execution count: nbval would run it and compare nothing. "
            "Run `make notebooks`.",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if _is_cell(item) and report.failed and not getattr(item.parent, "failed_cell", None):
        item.parent.failed_cell = item.name  # type: ignore[union-attr]
    return report


def _kernel_manager(**options: Any) -> KernelManager:
    """Its kernel is reached by sockets: a free port may be taken by the time the kernel starts."""
    file = f"{os.environ['JUPYTER_RUNTIME_DIR']}/{uuid.uuid4()}.json"
    return KernelManager(transport="ipc", connection_file=file, **options)


def _is_cell(item: pytest.Item) -> bool:
    return type(item).__name__ == "IPyNbCell"
