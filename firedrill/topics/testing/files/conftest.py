"""Task 2: what the learner's tests find next to them."""

import os

import asyncpg
import pytest
import pytest_asyncio
import shop


@pytest.fixture(
    autouse=True, params=os.environ.get("BUGS", "no").split(","), ids=lambda bug: f"bug:{bug}:"
)
def _bug(request):
    shop.BUG = request.param


@pytest_asyncio.fixture
async def conn():
    conn = await asyncpg.connect(os.environ["DATABASE_URL"])
    transaction = conn.transaction()
    await transaction.start()
    try:
        yield conn
        assert conn.is_in_transaction(), "the test has ended its transaction"
    finally:
        await transaction.rollback()
        await conn.close()


def pytest_collection_modifyitems(items):
    if os.environ.get("BACKWARDS"):
        items.reverse()
