"""The set-up, started for real on a small package, and what can stand in its way."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from firedrill.authoring import bytecode, uv
from firedrill.servers import cache

ROOT = Path(__file__).parents[2]
UV = uv.program(ROOT / ".venv/uv")
needs_uv = pytest.mark.skipif(
    UV is None, reason="no uv, as after `pip install -r requirements.txt`"
)
OF_THIS_MACHINE = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX")
# Builds the editable package without asking an index for flit.
BACKEND = """
import os, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/firedrill-0.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("firedrill.pth", os.getcwd())
        for name, text in FILES.items():
            text = text.format(name="firedrill", version="0.1")
            wheel.writestr(f"firedrill-0.1.dist-info/{name}", text)
    return "firedrill-0.1-py3-none-any.whl"
"""
FILES = {
    "METADATA": "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
    "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "RECORD": "",
}
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "firedrill"
version = "0.1"
"""


class Course:
    """A folder like a fresh clone, with a lock file of one package, in a folder of wheels."""

    def __init__(self, room: Path, bytes_of_package: int = 10) -> None:
        self.folder, self.wheels = room / "a clone", room / "wheels"
        shutil.copytree(ROOT / "firedrill", self.folder / "firedrill")
        self.wheels.mkdir()
        self.configuration = room / "pip.conf"
        self.configure(f"no-index = true\nfind-links = {self.wheels}")
        (self.folder / "backend.py").write_text(f"FILES = {FILES}\n{BACKEND}")
        (self.folder / "pyproject.toml").write_text(PROJECT)
        wheel = self.wheels / "tiny-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr("tiny.py", f"x = '{'y' * bytes_of_package}'\n")
            for name, text in FILES.items():
                file.writestr(f"tiny-1.0.dist-info/{name}", text.format(name="tiny", version="1.0"))
        self.lock(hashlib.sha256(wheel.read_bytes()).hexdigest())

    def lock(self, digest: str) -> None:
        (self.folder / "requirements.lock").write_text(f"tiny==1.0 --hash=sha256:{digest}\n")

    def configure(self, lines: str) -> None:
        self.configuration.write_text(f"[global]\n{lines}\n")

    def start(self) -> subprocess.Popen[str]:
        assert UV
        environment = {
            name: value for name, value in os.environ.items() if name not in OF_THIS_MACHINE
        }
        return subprocess.Popen(
            [sys.executable, "-m", "firedrill.authoring.bootstrap", "requirements.lock"],
            cwd=self.folder,
            env=environment
            | {
                "PATH": f"{Path(UV[0]).parent}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": "",
                "PIP_CONFIG_FILE": str(self.configuration),
                "UV_CACHE_DIR": str(self.folder.parent / "cache"),
                "UV_HTTP_RETRIES": "0",
                "FIREDRILL_CACHE": str(cache.folder()),
                "FIREDRILL_SERVERS": "host",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def set_up(self, status: int = 0) -> str:
        process = self.start()
        said = "".join(process.communicate(timeout=120))
        assert process.returncode == status, said
        return said

    def works(self) -> bool:
        code = "import sys, tiny, firedrill; print(firedrill.__file__)"
        python = self.folder / ".venv/bin/python"
        done = subprocess.run([python, "-c", code], cwd="/", env={}, capture_output=True, text=True)
        return done.stdout.strip() == str(self.folder / "firedrill/__init__.py")


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path)


@needs_uv
def test_a_package_comes_from_where_pip_is_configured_to_look_and_then_all_is_there(
    course: Course,
) -> None:
    said = course.set_up()
    for step in ("Making .venv", "Installing requirements.lock", "Compiling to bytecode"):
        assert any(
            line.startswith(f"{step}: ") and line.endswith(" s") for line in said.splitlines()
        ), said
    assert course.works()
    assert course.set_up() == "", "nothing to do, nothing to say"


@needs_uv
def test_a_package_with_another_hash_is_not_installed(course: Course) -> None:
    course.lock("0" * 64)
    assert "Hash mismatch" in course.set_up(status=1)
    assert not course.works()


@needs_uv
def test_a_folder_that_was_renamed_gets_a_new_environment(course: Course) -> None:
    course.set_up()
    course.folder = course.folder.rename(course.folder.with_name("another clone"))
    assert not course.works()
    assert "Making .venv again: it was made for " in course.set_up()
    assert course.works()


@needs_uv
def test_an_environment_of_another_python_is_made_again(course: Course) -> None:
    course.set_up()
    (course.folder / ".venv/bin/python").unlink()
    (course.folder / ".venv/bin/python").symlink_to("/nowhere/python3.9")
    assert "Making .venv again: its Python does not run" in course.set_up()
    assert course.works()


@needs_uv
def test_without_a_network_it_says_where_a_mirror_is_configured(course: Course) -> None:
    working = course.configuration.read_text()
    course.configure("index-url = http://127.0.0.1:9/simple")
    said = course.set_up(status=1)
    assert "http://127.0.0.1:9/simple/tiny/" in said, "pip's index is asked"
    assert "UV_DEFAULT_INDEX" in said
    assert "Traceback" not in said
    course.configuration.write_text(working)
    course.set_up()
    assert course.works()


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of an index that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@needs_uv
def test_a_step_that_takes_long_says_so_and_ctrl_c_ends_it(course: Course, silent: int) -> None:
    working = course.configuration.read_text()
    course.configure(f"index-url = http://127.0.0.1:{silent}/simple")
    process = course.start()
    assert process.stdout
    assert process.stderr
    while not process.stdout.readline().startswith("  ... Installing requirements.lock: 2 s"):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted. Run the same command again" in told
    assert "Traceback" not in told
    course.configuration.write_text(working)
    course.set_up()
    assert course.works()


@needs_uv
@pytest.mark.skipif(not cache.IS_ROOT, reason="only root can mount a small disk")
def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a disk")
    try:
        course = Course(tmp_path, bytes_of_package=8 << 20)
        shutil.move(course.folder, disk)
        course.folder = disk / course.folder.name
        said = course.set_up(status=1)
        assert "Make room" in said
        assert "Traceback" not in said
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        course.set_up()
        assert course.works()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_what_is_configured_for_pip_becomes_uvs_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "SSL_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://mirror/simple\nextra-index-url =\n    https://a/\n    https://b/\n"
        "proxy = http://proxy:3128\n[install]\nfind-links = /one /two\nindex-url = https://weightier/\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CERT", "/ca.pem")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "7")
    uv.configuration.cache_clear()
    found = uv.environment()
    uv.configuration.cache_clear()
    assert found["UV_DEFAULT_INDEX"] == "https://weightier/"
    assert found["UV_INDEX"].split()[-2:] == ["https://a/", "https://b/"]
    assert found["UV_FIND_LINKS"].endswith("/one,/two")
    assert found["HTTPS_PROXY"] == "http://proxy:3128"
    assert found["SSL_CERT_FILE"] == "/ca.pem"
    assert found["UV_HTTP_TIMEOUT"] == "7", "uv's own variables win"


def test_what_the_course_imports_has_its_bytecode() -> None:
    """In this environment: the set-up compiles, and pip does unless it is told not to."""
    code = (
        "import importlib, json, sys; sys.dont_write_bytecode = True\n"
        f"for name in {bytecode.MODULES!r}:\n"
        "    try: importlib.import_module(name)\n"
        "    except ImportError: pass\n"
        "print(json.dumps([m.__file__ for m in sys.modules.values() if getattr(m, '__file__', 0)]))"
    )
    done = subprocess.run([sys.executable, "-Wi", "-c", code], capture_output=True, text=True)
    files = [file for file in json.loads(done.stdout.splitlines()[-1]) if file.endswith(".py")]
    packages = [file for file in files if "site-packages" in file]
    assert len(packages) > 1000
    missing = [f for f in packages if not Path(importlib.util.cache_from_source(f)).exists()]
    assert missing == []
