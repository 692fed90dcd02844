"""Task 3: a run that is killed in the middle of its test."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_hangs(pool):
    await pool.execute("select 1")
    open("hangs", "w").close()
    await asyncio.sleep(60)
