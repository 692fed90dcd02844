"""Task 3: a test that never gives its connection back."""

import pytest


@pytest.mark.asyncio
async def test_leaks(pool):
    await (await pool.acquire()).execute("begin")
