"""The lessons in a real JupyterLab and a real browser, for tests and for looking. For example:

>>> with browser.server() as lab, browser.page(lab) as page:
...     errors, outputs = page.run_all("notebooks/00_start_here.ipynb")
...     page.screenshot("lesson.png")
"""

import contextlib
import fcntl
import importlib.util
import math
import os
import queue
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import network

ROOT = Path(__file__).parents[1]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = [
    "--headless",
    "--no-sandbox",  # root's Chromium has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 60  # for any one step; the slowest takes 3 on two cores

# The notebook's own signals, not the page's looks: the status bar says "Idle" before there is a
# kernel.
OPEN = """async path => {
  const panel = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
  await panel.context.ready; await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  return panel.id;
}"""
RUN_ALL = """async ([path, seconds]) => {
  const panel = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
  await panel.context.ready; await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  await jupyterapp.commands.execute('notebook:clear-all-cell-outputs');
  await jupyterapp.commands.execute('notebook:run-all-cells');
  // The command returns early when a cell raises: look at the cells.
  const cells = panel.content.widgets.filter(
    c => c.model.type === 'code' && c.model.sharedModel.source.trim());
  const end = Date.now() + seconds * 1000;
  while (cells.some(c => c.model.executionCount === null || c.model.executionState === 'running')) {
    if (Date.now() > end) throw new Error('cells still running after ' + seconds + ' s in ' + path);
    await new Promise(done => setTimeout(done, 20));
  }
  return cells.map(c => c.model.outputs.toJSON());
}"""
CLOSE = """async path => {
  const panel = await jupyterapp.commands.execute('docmanager:open', {path, factory: 'Notebook'});
  await panel.sessionContext.shutdown(); await panel.context.revert(); panel.dispose();
}"""
# Not its scrollHeight, which counts the empty page that JupyterLab lets one scroll past the end.
HIDDEN = """panel => {
  const last = [...panel.querySelectorAll('.jp-Cell')].pop();
  if (!last) return 0;
  const [end, seen] = [last, panel].map(each => each.getBoundingClientRect().bottom);
  return end + 16 - seen + panel.scrollTop;
}"""
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer"


def missing() -> str:
    """What a test in the page lacks on this machine, and how to get it."""
    if CHROMIUM and importlib.util.find_spec("playwright"):
        return ""
    return "needs Chromium and playwright: apt install chromium; pip install playwright"


class Server:
    """A started `python -m firedrill.lab` on its own terminal, with what it has printed."""

    def __init__(self, home: Path, state: Path, copies: Path, terminal: bool) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        command = [sys.executable, "-m", "firedrill.lab", "--no-browser", "--port=0"]
        self.state, self.copies = state, copies
        self.terminal, inner = os.openpty()
        self.process = subprocess.Popen(
            [*command, "--LabApp.expose_app_in_browser=True"],
            cwd=ROOT,
            env=environment
            | {
                "HOME": str(home),
                "FIREDRILL_JUPYTER": str(state),
                "FIREDRILL_MY": str(copies),
            },
            stdin=inner if terminal else subprocess.DEVNULL,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if terminal else None,
        )
        os.close(inner)
        self.printed = ""
        self._chunks: queue.Queue[str] = queue.Queue()
        self._hanging_up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        # Never blocked in read(), which would keep the terminal open through its close().
        with contextlib.suppress(OSError):  # how Linux says that nobody is left on the terminal
            while not self._hanging_up.is_set():
                if select.select([self.terminal], [], [], 0.05)[0]:
                    chunk = os.read(self.terminal, 4096)
                    self._chunks.put(chunk.decode(errors="replace").replace("\r\n", "\n"))
        self._chunks.put("")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match in what is printed, as soon as it is there."""
        end = time.monotonic() + SECONDS
        while not (match := re.search(pattern, self.printed)):
            try:
                chunk = self._chunks.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                chunk = ""
            if not chunk:
                raise AssertionError(f"{pattern!r} never printed, but: {self.printed}")
            self.printed += chunk
        return match

    @property
    def address(self) -> str:
        return self.wait_for(r"http://\S+token=\w+")[0]

    def hang_up(self) -> None:
        """Close the terminal, as closing its window does."""
        if not self._hanging_up.is_set():
            self._hanging_up.set()
            self._reader.join()
            os.close(self.terminal)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("JupyterLab did not stop on SIGTERM and was killed") from None
            finally:
                self.hang_up()
        self.hang_up()


@contextmanager
def server(
    home: Path | None = None, state: Path | None = None, terminal: bool = True
) -> Iterator[Server]:
    """JupyterLab on a free port, listening; stopped at the end.

    Home and state are temporary unless given; the learner's copies always are.
    """
    (ROOT / "my").mkdir(exist_ok=True)  # ignored by git
    with (
        tempfile.TemporaryDirectory(prefix="lab") as folder,
        tempfile.TemporaryDirectory(prefix="tests-", dir=ROOT / "my") as copies,
    ):
        started = Server(
            home or Path(folder), state or Path(folder, "state"), Path(copies), terminal
        )
        try:
            started.wait_for("Stop it with")
            yield started
        finally:
            started.stop()


class Page:
    """JupyterLab's page in headless Chromium; `tab` is playwright's page."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab

    def open(self, path: str) -> None:
        """Show a notebook, its kernel ready."""
        self.tab.evaluate(OPEN, path)

    def run_all(self, path: str) -> tuple[list[str], list[list[dict[str, Any]]]]:
        """Run every cell: the errors, and the outputs per code cell.

        The file on disk stays as it is.
        """
        outputs = self.tab.evaluate(RUN_ALL, [path, SECONDS])
        errors = [
            f"{o['ename']}: {o['evalue']}"
            for cell in outputs
            for o in cell
            if o["output_type"] == "error"
        ]
        return errors, outputs

    def close(self, path: str) -> None:
        """Shut the notebook's kernel down and drop what running it changed."""
        self.tab.evaluate(CLOSE, path)

    def screenshot(self, path: str | Path, whole: bool = True) -> None:
        """A picture of the page, made as high as the notebook in front when `whole`."""
        size = self.tab.viewport_size
        if whole:
            hidden = self.tab.locator(PANEL).evaluate(HIDDEN)
            height = min(
                size["height"] + math.ceil(hidden), 16000
            )  # Chromium draws no higher picture
            self.tab.set_viewport_size({"width": size["width"], "height": height})
            self.tab.locator(PANEL).evaluate("panel => panel.scrollTo(0, 0)")
        self.tab.screenshot(path=path)
        self.tab.set_viewport_size(size)


@contextmanager
def page(lab: Server, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """The address that the server printed, opened; its layout restored.

    No network comes or goes meanwhile.
    """
    from playwright.sync_api import sync_playwright

    with (
        network.to_oneself(),
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory(prefix="browser") as home,
    ):
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, env={**os.environ, "HOME": home}
        )
        try:
            tab = chromium.new_page(viewport={"width": width, "height": height})
            tab.set_default_timeout(SECONDS * 1000)
            tab.goto(lab.address)
            tab.wait_for_function("window.jupyterapp")
            tab.evaluate("jupyterapp.restored.then(() => true)")
            yield Page(tab)
        finally:
            chromium.close()
