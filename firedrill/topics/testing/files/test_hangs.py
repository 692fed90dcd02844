"""Task 3: a test that stands in the middle, until it may go on; or its run is killed."""

import asyncio
import os
from pathlib import Path

import pytest


@pytest.mark.asyncio
async def test_stands(pool):
    await pool.execute("select 1")
    name = os.environ["STANDS"]
    Path(name).touch()
    while not Path(f"{name}_on").exists():
        await asyncio.sleep(0.02)
    assert await pool.fetchval("select count(*) from orders") == 97
