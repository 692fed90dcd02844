"""Stop ends a cell that only waits, in a real kernel."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from queue import Empty
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

SET_UPS = {
    "a lesson": "from firedrill import servers; stack = servers.open_for_notebook()",
    "an exercise": "from firedrill import drills; drill = drills.open('pools')",
}
AN_EMPTY_POOL = """
import asyncpg
from firedrill import servers
with servers.open() as pair:
    async with asyncpg.create_pool(pair.postgres.dsn(), min_size=1, max_size=1) as pool:
        async with pool.acquire():
            print("waiting", flush=True)
            await pool.acquire()"""
AN_EVENT = 'import asyncio; print("waiting", flush=True); await asyncio.Event().wait()'
PATIENCE = 20  # seconds; without the cure, a cell waits until somebody else wakes the loop


class Kernel:
    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager, self.client = manager, client

    def run(self, source: str, stop_at: str = "") -> str:
        """Run a cell; interrupt it when it has printed `stop_at`. Returns its error's name."""
        cell = self.client.execute(source)
        ended, deadline = "", time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                message: dict[str, Any] = self.client.get_iopub_msg(timeout=0.5)
            except Empty:
                continue
            if message["parent_header"].get("msg_id") != cell:
                continue
            content = message["content"]
            if message["msg_type"] == "stream" and stop_at and stop_at in content["text"]:
                self.manager.interrupt_kernel()
            elif message["msg_type"] == "error":
                ended = content["ename"]
            elif content.get("execution_state") == "idle":
                return ended
        return "still running"


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    folder = os.environ["JUPYTER_RUNTIME_DIR"]
    manager = KernelManager(transport="ipc", connection_file=f"{folder}/stop-{os.getpid()}.json")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("waiting", [AN_EVENT, AN_EMPTY_POOL], ids=["an event", "an empty pool"])
@pytest.mark.parametrize("set_up", SET_UPS.values(), ids=SET_UPS)
def test_stop_ends_a_cell_that_only_waits(kernel: Kernel, set_up: str, waiting: str) -> None:
    assert kernel.run(set_up) == ""
    assert kernel.run(waiting, stop_at="waiting") == "CancelledError"
    kernel.run("pass")  # may be dropped, as the cell before ended in an error
    assert kernel.run("pass") == ""
