"""`firedrill` as a separate tool: from a wheel, in pytest, and in a service's log."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from firedrill import course, logs

ERROR = 'asyncpg.exceptions.InvalidPasswordError: password authentication failed for user "app"'
ROUNDS = 20  # the best of them counts: others may use this machine


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from flit_core import buildapi; buildapi.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=course.REPOSITORY, check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The programs of an environment that has nothing but the wheel, and pip."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    install = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--no-index"]
    subprocess.run([*install, "--no-deps", "--compile", str(wheel)], check=True)
    return programs


def run(empty: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [str(empty / "firedrill"), *arguments],
        capture_output=True,
        text=True,
        cwd=empty,
        env=environment,
        **options,
    )


def test_the_wheel_has_what_explain_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    topics = {f"firedrill/topics/{lesson.slug}/errors.toml" for lesson in course.exercises()}
    assert {"firedrill/course.toml", "firedrill/errors/index.json", *topics} <= names


def test_explain_needs_no_dependency(empty: Path) -> None:
    assert "read   notebooks/01_connecting.ipynb" in run(empty, "explain", ERROR).stdout
    assert "read   notebooks/01_connecting.ipynb" in run(empty, "explain", input=ERROR).stdout


def test_the_answer_as_json(empty: Path) -> None:
    answer = json.loads(run(empty, "explain", "--json", ERROR).stdout)
    assert answer["known"]
    assert answer["answers"][0]["id"] == "wrong password"
    assert answer["answers"][0]["sure"] == "sure"
    unknown = json.loads(run(empty, "explain", "--json", "KeyError: 'seat'").stdout)
    assert not unknown["known"]
    assert unknown["answers"] == []
    assert unknown["collect"]


def test_it_says_which_it_is_and_what_it_can_do(empty: Path) -> None:
    assert run(empty, "--version").stdout.startswith("firedrill 0.")
    for greeting in (run(empty), run(empty, "--help")):
        assert greeting.returncode == 0
        assert "firedrill explain" in greeting.stdout
    wrong = run(empty, "explian")
    assert wrong.returncode == 2
    assert "there is no command 'explian'" in wrong.stderr


@pytest.mark.parametrize("command", ["lab", "servers", "doctor", "progress", "reset"])
def test_outside_of_a_clone_a_command_says_what_it_needs(empty: Path, command: str) -> None:
    done = run(empty, command, "1")
    assert done.returncode == 1
    assert "needs the course" in done.stderr
    assert "Traceback" not in done.stderr


def seconds(command: list[str], folder: Path) -> float:
    """The processor's time of the command, the smallest of some rounds."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    took = []
    for _ in range(ROUNDS):
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, text=True
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        took.append(usage.ru_utime + usage.ru_stime)
    return min(took)


def test_an_answer_takes_little_longer_than_python_itself(empty: Path) -> None:
    answer = seconds([str(empty / "firedrill"), "explain", ERROR], empty)
    python = seconds([str(empty / "python"), "-c", "pass"], empty)
    assert answer <= 3 * python, (answer, python)
    assert answer < 0.15, (answer, python)


def test_pytest_shows_the_answer_below_a_failed_test_if_asked(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(
        "import asyncpg\n\n"
        "def test_known():\n"
        "    raise asyncpg.InterfaceError('pool is closing')\n\n"
        "def test_unknown():\n"
        "    raise ValueError('seat')\n"
    )

    def pytest_run(*options: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "firedrill.pytest_plugin", *options],
            cwd=tmp_path,
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
        ).stdout

    asked = pytest_run("--firedrill")
    assert asked.count("firedrill explain") == 1
    assert 'read   notebooks/02_pools.ipynb, "' in asked
    assert "2 failed" in asked
    assert "firedrill explain" not in pytest_run()


def test_pytest_finds_the_plugin_by_itself(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        text = archive.read(name).decode()
    assert "[pytest11]\nfiredrill=firedrill.pytest_plugin" in text


def test_a_log_tells_each_kind_of_error_once() -> None:
    stream = io.StringIO()
    logger = logging.Logger("shop")
    logger.addHandler(logs.Explain(stream))
    for seat in ("A1", "A2", "A3"):
        try:
            raise OSError(f"[Errno 111] Connect call failed ('10.0.0.{seat[1]}', 5432)")
        except OSError:
            logger.exception("seat %s is not sold", seat)
    assert stream.getvalue().count("read   notebooks/01_connecting.ipynb") == 1
    logger.error("remaining connection slots are reserved for roles with the SUPERUSER attribute")
    assert stream.getvalue().count("  read   ") == 2
    logger.error("the box office is on fire")
    logger.info("pool is closing")
    assert stream.getvalue().count("  read   ") == 2


def test_a_log_shows_no_more_than_the_index() -> None:
    stream = io.StringIO()
    logger = logging.Logger("shop")
    logger.addHandler(logs.Explain(stream))
    logger.error('password authentication failed for user "s3cr3t" postgresql://a:s3cr3t@b/c')
    assert "  read   " in stream.getvalue()
    assert "s3cr3t" not in stream.getvalue()
