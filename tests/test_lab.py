"""`firedrill lab`, started for real: what the reader sees, what is left alone, and what is left
behind."""

import importlib.util
import json
import os
import signal
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped, unused-ignore]  # types-psutil is not required
import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from firedrill import lab

from . import browser
from .leftovers import eventually

LESSON = "notebooks/00_start_here.ipynb"

needs_browser = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())
needs_lesson = pytest.mark.skipif(not (browser.ROOT / LESSON).exists(), reason=f"no {LESSON} yet")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Empty, with a name that needs quoting and a path short enough for sockets, which pytest's
    own is not."""
    with tempfile.TemporaryDirectory(prefix="ein Büro ") as name:
        yield Path(name)


def kernel(server: browser.Server) -> BlockingKernelClient:
    """A client of a kernel that the server has just started, as JupyterLab starts it."""
    address = urlsplit(server.address)
    request = urllib.request.Request(
        f"http://{address.netloc}/api/kernels",
        data=b"{}",
        headers={"Authorization": "token " + address.query.removeprefix("token=")},
    )
    with urllib.request.urlopen(request) as reply:
        started = json.load(reply)
    client = BlockingKernelClient(
        connection_file=str(server.state / "run" / f"kernel-{started['id']}.json")
    )
    client.load_connection_file()
    client.start_channels()

    def ready() -> bool:
        try:
            client.wait_for_ready(timeout=browser.SECONDS)
        except RuntimeError:  # on a busy machine a heartbeat may be missed before the kernel is up
            return False
        return True

    assert eventually(ready, browser.SECONDS)
    return client


def printed(client: BlockingKernelClient, code: str) -> str:
    text = []
    client.execute_interactive(
        code,
        timeout=browser.SECONDS,
        output_hook=lambda message: text.append(message["content"].get("text", "")),
    )
    return "".join(text).strip()


def command(page: browser.Page, name: str, **arguments: str) -> None:
    # Its result stays in the page: a widget takes playwright ten seconds to copy.
    page.tab.evaluate(
        "([name, given]) => jupyterapp.commands.execute(name, given).then(() => true)",
        [name, arguments],
    )


def contents(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))
    }


@needs_browser
@needs_lesson
def test_the_first_start_opens_the_first_lesson_beside_its_contents_and_nothing_else() -> None:
    with browser.server() as server, browser.page(server) as page:
        page.tab.locator("#jp-main-statusbar >> text=/\\| Idle/").wait_for()
        assert page.tab.evaluate("jupyterapp.shell.currentWidget.context.path") == LESSON
        assert page.tab.locator(".jp-TableOfContents-tree").is_visible()
        page.tab.locator(".jp-TableOfContents-tree .jp-tocItem").first.wait_for()
        assert page.tab.locator(".jp-Dialog, .Toastify__toast").all_inner_texts() == []
        # Whether JupyterLab's own pages have to be built again is not asked: that starts node for
        # each page.
        assert not json.loads(page.tab.locator("#jupyter-config-data").inner_text())["buildCheck"]


@needs_browser
@needs_lesson
def test_a_lesson_runs_to_its_end_without_an_error() -> None:
    with browser.server() as server, browser.page(server) as page:
        errors, outputs = page.run_all(LESSON)
        assert errors == []
        assert any(outputs)


@needs_browser
def test_a_later_start_brings_back_what_the_reader_left(folder: Path) -> None:
    with browser.server(state=folder) as server, browser.page(server) as page:
        command(page, "docmanager:open", path="pyproject.toml")
        command(page, "apputils:change-theme", theme="JupyterLab Dark")
        with page.tab.expect_response(
            lambda reply: '"current":"filebrowser"' in (reply.request.post_data or "")
        ):
            page.tab.locator("[data-id=filebrowser]").click()  # saves the layout, a second later
    with browser.server(state=folder) as server, browser.page(server) as page:
        page.tab.locator(".lm-TabBar-tabLabel:text-is('pyproject.toml')").wait_for()
        page.tab.locator("#filebrowser").wait_for()
        page.tab.locator("body[data-jp-theme-name='JupyterLab Dark']").wait_for(state="attached")


def test_the_readers_own_jupyter_is_neither_read_nor_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, state = folder / "home", folder / "state"
    spec = json.dumps({"argv": ["false"], "display_name": "stray", "language": "python"})
    traps = {
        ".local/share/jupyter/kernels/python3/kernel.json": spec,
        "path/kernels/python3/kernel.json": spec,
        ".jupyter/jupyter_server_config.py": "raise SystemExit('read the config')",
        ".ipython/profile_default/startup/trap.py": "open(__file__ + '.was read', 'w')",
        "startup.py": "open(__file__ + '.was read', 'w')",
    }
    for name, text in traps.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    monkeypatch.setenv("JUPYTER_PATH", str(home / "path"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(home / ".jupyter"))
    monkeypatch.setenv("PYTHONSTARTUP", str(home / "startup.py"))
    before = contents(home)

    with browser.server(home, state) as server:
        client = kernel(server)
        assert printed(client, "import sys; print(sys.prefix)") == sys.prefix
        assert printed(client, "!command -v python") == str(Path(sys.executable).parent / "python")
        printed(client, "import matplotlib.pyplot")
        client.stop_channels()

    assert contents(home) == before


@needs_browser
def test_the_page_writes_nothing_to_the_readers_home(folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    with browser.server(home, folder / "state") as server, browser.page(server) as page:
        command(page, "docmanager:open", path="pyproject.toml")
    assert contents(home) == {}


def test_a_folder_too_deep_for_sockets_still_has_kernels(folder: Path) -> None:
    deep = folder / ("deep" * 20)
    with browser.server(state=deep) as server:
        client = kernel(server)
        assert printed(client, "print(6 * 7)") == "42"
        client.stop_channels()


def answer_ctrl_c(server: browser.Server) -> None:
    os.write(server.terminal, b"\x03")
    server.wait_for(r"Shut down this Jupyter server")
    os.write(server.terminal, b"y\n")


@pytest.mark.parametrize(
    ("stop", "terminal"),
    [
        pytest.param(lambda server: server.process.send_signal(signal.SIGTERM), True, id="SIGTERM"),
        pytest.param(answer_ctrl_c, True, id="Ctrl-C, then y"),
        pytest.param(
            lambda server: server.process.send_signal(signal.SIGINT),
            False,
            id="SIGINT, no terminal",
        ),
        pytest.param(browser.Server.hang_up, True, id="terminal closed"),
    ],
)
def test_stopping_leaves_no_process_and_lets_kernels_clean_up(
    folder: Path, stop: Callable[[browser.Server], None], terminal: bool
) -> None:
    with browser.server(state=folder, terminal=terminal) as server:
        client = kernel(server)
        pid = int(printed(client, "import os; print(os.getpid())"))
        printed(
            client,
            "import atexit, pathlib; "
            f"atexit.register(pathlib.Path({str(folder / 'left')!r}).touch)",
        )
        client.stop_channels()
        process = psutil.Process(pid)

        stop(server)

        server.process.wait(browser.SECONDS)
        process.wait(browser.SECONDS)
        assert (folder / "left").exists(), "the kernel was killed, or left in a hurry"
        assert [path.name for path in (folder / "run").iterdir()] == ["jupyter_cookie_secret"]


def test_the_address_is_on_this_machine_only_and_the_last_thing_said() -> None:
    with browser.server() as server:
        listening = {
            c.laddr.ip
            for c in psutil.Process(server.process.pid).net_connections()
            if c.status == "LISTEN"
        }
        assert listening <= {"127.0.0.1", "::1"}
        assert len(server.printed.splitlines()) <= 8, server.printed


@pytest.fixture
def never_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def execve(*_: object) -> None:
        raise AssertionError("started all the same")

    monkeypatch.setattr(os, "execve", execve)


@pytest.mark.usefixtures("never_starts")
def test_a_missing_jupyterlab_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert lab.launch([]) == 1
    assert "pip install -r requirements.txt" in capsys.readouterr().err


@pytest.mark.usefixtures("never_starts")
def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FIREDRILL_JUPYTER", str(tmp_path / "file" / "state"))
    assert lab.launch([]) == 1
    message = capsys.readouterr().err
    assert str(tmp_path / "file" / "state") in message
    assert "FIREDRILL_CACHE=" in message
