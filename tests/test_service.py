"""Services in separate processes: that they start, say why they do not, and never outlive
who started them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from firedrill import service
from firedrill.servers import Unavailable

from .leftovers import eventually, processes_of

GOOD = """
import os, subprocess, sys
from contextlib import asynccontextmanager
from fastapi import FastAPI

sleeps = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleeps) if os.environ.get("CHILD") else None


@asynccontextmanager
async def lifespan(app):
    yield
    print("the lifespan has ended")

app = FastAPI(lifespan=lifespan)


@app.get("/")
async def root():
    return {"name": os.environ["NAME"], "child": child and child.pid}


@app.get("/forever")
async def forever():
    import asyncio
    print("waiting")
    await asyncio.Event().wait()
"""
NOT_EVEN_A_MODULE = "import nothing_of_the_kind"
NEVER_LISTENS = """
print("I begin")
while True:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(GOOD)
    return tmp_path


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_it_answers_with_its_environment_and_ends_its_lifespan_when_it_is_stopped(
    folder: Path,
) -> None:
    async def main() -> None:
        one, two = await asyncio.gather(
            *(service.start(folder, "app:app", NAME=name) for name in ("one", "two"))
        )
        async with httpx.AsyncClient() as client:
            for running, name in ((one, "one"), (two, "two")):
                assert (await client.get(running.url)).json()["name"] == name
        assert await one.stop()
        assert "the lifespan has ended" in one.log()
        assert is_gone(one.pid)
        assert two.is_running
        two.kill()
        assert "the lifespan has ended" not in two.log()
        assert is_gone(two.pid)
        two.kill()

    asyncio.run(main())


def test_one_that_does_not_end_is_killed(folder: Path) -> None:
    async def main() -> None:
        running = await service.start(folder, "app:app", NAME="")
        async with httpx.AsyncClient() as client:
            request = asyncio.create_task(client.get(f"{running.url}/forever"))
            async with asyncio.timeout(10):
                while "waiting" not in running.log():
                    await asyncio.sleep(0.01)
            assert not await running.stop(timeout=0.5)
            assert is_gone(running.pid)
            with pytest.raises(httpx.RemoteProtocolError):
                await request

    asyncio.run(main())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (NOT_EVEN_A_MODULE, "No module named 'nothing_of_the_kind'"),
        (NEVER_LISTENS, "did not listen within 0.5 s. Its log ends with:\nI begin"),
        ("", 'Attribute "app" not found'),
    ],
    ids=["import error", "never listens", "empty"],
)
def test_one_that_does_not_start_says_why_and_is_gone(
    tmp_path: Path, source: str, said: str
) -> None:
    (tmp_path / "app.py").write_text(source)
    with pytest.raises(Unavailable) as caught:
        asyncio.run(service.start(tmp_path, "app:app", timeout=0.5 if "while" in source else 20))
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) < 20
    assert not processes_of(tmp_path)


def test_a_killed_kernel_leaves_no_service_and_none_of_its_children(folder: Path) -> None:
    kernel = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"""
import asyncio, httpx, time
from firedrill import service
running = asyncio.run(service.start({str(folder)!r}, "app:app", NAME="", CHILD="1"))
print(running.pid, httpx.get(running.url).json()["child"], flush=True)
time.sleep(600)
""",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdout
    pids = [int(pid) for pid in kernel.stdout.readline().split()]
    assert len(pids) == 2
    assert not any(map(is_gone, pids))
    kernel.kill()
    assert eventually(lambda: all(map(is_gone, pids)), 5)
    kernel.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_when_the_process_that_forks_is_killed_its_services_end_and_the_next_one_starts(
    folder: Path,
) -> None:
    async def main() -> None:
        first = await service.start(folder, "app:app", NAME="")
        psutil.Process(first.pid).parent().kill()
        assert eventually(lambda: is_gone(first.pid), 5)
        second = await service.start(folder, "app:app", NAME="")
        assert not first.is_running
        second.kill()
        assert is_gone(second.pid)

    asyncio.run(main())
