"""Wrong fixes for exercise 15, and other right ones: solutions or starters with a few changes."""

from __future__ import annotations

import json
from pathlib import Path

from firedrill import course
from firedrill.checking import exercise_files

from ..code import written


def _solution(task: int, *changes: tuple[str, str]) -> Path:
    solution = course.REPOSITORY / "solutions/15_fastapi.ipynb"
    cells = json.loads(solution.read_text(encoding="utf-8"))["cells"]
    (source,) = (
        "".join(cell["source"])
        for cell in cells
        if f"task-{task}" in cell["metadata"].get("tags", [])
    )
    return _changed(source, changes)


def _starter(task: int, *changes: tuple[str, str]) -> Path:
    return _changed(exercise_files.starter("15_fastapi", task), changes)


def _changed(source: str, changes: tuple[tuple[str, str], ...]) -> Path:
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return written(source.partition("\n")[2])  # below %%writefile


ON_SAME = (
    "async def get_transaction(request: Request):\n"
    "    async with request.app.state.pool.acquire() as conn, conn.transaction():\n"
    "        yield conn\n",
    "async def get_transaction(conn=Depends(get_conn)):\n"
    "    async with conn.transaction():\n"
    "        yield conn\n",
)
RAISES = (
    'return JSONResponse({"detail": "not free"}, status_code=409)',
    'raise HTTPException(409, "not free")',
)
FUNCTION = ("conn=Depends(get_transaction))", 'conn=Depends(get_transaction, scope="function"))')
IN_THE_FUNCTION = (
    """@app.post("/orders")
async def order(seat: int, customer=Depends(get_customer, scope="function"),
                conn=Transaction):
    number""",
    """@app.post("/orders")
async def order(seat: int, customer: int):
    async with app.state.pool.acquire() as conn, conn.transaction():
        return await in_transaction(seat, await get_customer(customer, conn), conn)


async def in_transaction(seat, customer, conn):
    number""",
)
AUTOCOMMIT = (
    '''    number = await conn.fetchval("""
        insert''',
    '''    if not await conn.fetchval("""update seats set status = 'sold'
                                  where id = $1 and status = 'free' returning true""", seat):
        raise HTTPException(409)
    return await conn.fetchval("""
        insert''',
)
HANDLER = (
    """async def get_conn(""",
    """@app.exception_handler(asyncpg.PostgresError)
async def refused(request, error):
    return JSONResponse({"detail": "refused"}, status_code=409)


async def get_conn(""",
)

LOOKS_FIRST = (
    '''    number = await conn.fetchval("""
        insert''',
    '''    if not await conn.fetchval("select status = 'free' from seats where id = $1", seat):
        raise HTTPException(409)
    await conn.execute("update seats set status = 'sold' where id = $1", seat)
    return await conn.fetchval("""
        insert''',
)
UNDOES = (
    '''    return await conn.fetchval("""
        insert into orders (customer_id, total_cents, basket)
        select $1, price_cents, jsonb_build_object('seat', id) from seats where id = $2
        returning id""", customer, seat)''',
    '''    try:
        return await conn.fetchval("""
            insert into orders (customer_id, total_cents, basket)
            select $1, price_cents, jsonb_build_object('seat', id) from seats where id = $2
            returning id""", customer, seat)
    except asyncpg.PostgresError:
        await conn.execute("update seats set status = 'free' where id = $1", seat)
        raise''',
)
ALL_409 = (
    """    async with app.state.pool.acquire() as conn, conn.transaction():
        return await in_transaction(seat, await get_customer(customer, conn), conn)
""",
    """    try:
        async with app.state.pool.acquire() as conn, conn.transaction():
            return await in_transaction(seat, await get_customer(customer, conn), conn)
    except asyncpg.PostgresError:
        raise HTTPException(409) from None
""",
)

LATE = (
    """    if not await pool.fetchval(CHANGE, seat, "free", "held"):
""",
    """    if await pool.fetchval("select status from seats where id = $1", seat) != "free":
""",
)
SOLD_LATE = (
    'price = await conn.fetchval(CHANGE, seat, "held", "sold")',
    """price = await conn.fetchval(CHANGE, seat, "free", "sold")
        if not price:
            raise HTTPException(409)""",
)
IN_MEMORY = (
    LATE[0],
    """    if seat in taken:
        raise HTTPException(409)
    taken.add(seat)
"""
    + LATE[1],
)
TAKEN = ('CHANGE = "', 'taken = set()\nCHANGE = "')
NOT_GIVEN_BACK = (
    """        await pool.execute(CHANGE, seat, "held", "free")
        raise""",
    "        raise",
)
ONLY_REFUSALS = (
    """    except httpx.HTTPError:
        failed = 502
""",
    """    except httpx.HTTPError:
        raise HTTPException(502) from None
""",
)
ORDERS_FIRST = (
    """    try:
        reply =""",
    """    number = await pool.fetchval(ORDER + " returning id", customer, 0, seat)
    try:
        reply =""",
)
FREES_ALL = (
    """await pool.execute(CHANGE, seat, "held", "free")""",
    """await pool.execute("update seats set status = 'free' where status = 'held'")""",
)
ASKS_AGAIN = (
    """    except httpx.HTTPError:
        failed = 502
""",
    """    except httpx.HTTPError:
        try:
            failed = (await app.state.http.post("/charge", params=charge)).status_code
        except httpx.HTTPError:
            failed = 502
""",
)

FREES_AFTER_SILENCE = (
    'raise HTTPException(504, "not known: the seat stays held") from None',
    "failed = 504",
)
TWO_TRANSACTIONS = (
    """    async with pool.acquire() as conn, conn.transaction():
        price""",
    """    async with pool.acquire() as conn:
        price""",
)
LEAVES_UNSOLD = (
    "    async with pool.acquire() as conn, conn.transaction():\n        price",
    """    if await request.is_disconnected():
        raise HTTPException(499)
    async with pool.acquire() as conn, conn.transaction():
        price""",
)
FIVE_HUNDRED_IS_SOLD = (
    "    if failed != 200:\n",
    "    if failed in (402, 502):\n",
)
HELD_IS_FREE = (
    "where id = $1 and status = 'free' returning",
    "where id = $1 and status <> 'sold' returning",
)
LOCKS_TABLE = (
    '    number = await conn.fetchval("""\n',
    """    await conn.execute("lock table seats in exclusive mode")
    number = await conn.fetchval(\"\"\"
""",
)

ASKS_FIRST = (
    """async def report(request: Request):
    async with""",
    """async def report(request: Request):
    if await request.is_disconnected():
        raise HTTPException(499)
    async with""",
)
SOON = (
    """    async with app.state.pool.acquire() as conn:
        return await conn.fetchval("select report()")""",
    """    try:
        conn = await app.state.pool.acquire(timeout=0.5)
    except TimeoutError:
        raise HTTPException(503, "busy", {"Retry-After": "1"}) from None
    try:
        return await conn.fetchval("select report()")
    finally:
        await app.state.pool.release(conn)""",
)
LIVES = ("return await app.state.pool.fetchval(\"select 'live'\")", 'return "live"')
IS_READY = (
    """    return await app.state.pool.fetchval("select 'ready'")""",
    """    try:
        async with asyncio.timeout(1):
            return await app.state.pool.fetchval("select 'ready'")
    except DOWN:
        raise HTTPException(503) from None""",
)
NOT_AT_ONCE = (
    """    try:
        conn =""",
    """    pool = app.state.pool
    if pool.get_size() == pool.get_max_size() and not pool.get_idle_size():
        raise HTTPException(503, "busy", {"Retry-After": "1"})
    try:
        conn =""",
)
EVERY_ERROR_IS_BUSY = """        try:
            return query.result()
        except asyncpg.PostgresError:
            raise HTTPException(503, "busy", {"Retry-After": "1"}) from None"""
POLLS = (
    """    while (await request.receive())["type"] != "http.disconnect":
        pass""",
    """    while not await request.is_disconnected():
        await asyncio.sleep(0.1)""",
)

LOCKED_KEYS = (
    "        is_new = ",
    '        await conn.execute("lock payment_keys in exclusive mode")\n        is_new = ',
)
ANSWERS_LATE = """        failed = reply.status_code
    except httpx.TimeoutException:
        import asyncio
        await asyncio.sleep(3)
"""
KNOWN_FIRST = (
    """        is_new = await conn.fetchval(\"""
            insert into payment_keys (key, order_id, amount_cents) values ($1, $2, $3)
            on conflict do nothing returning true\""", idempotency_key, order, cents)
        if not is_new:
            known = await conn.fetchrow(
                "select * from payment_keys where key = $1", idempotency_key)
""",
    """        known = await conn.fetchrow(
            "select * from payment_keys where key = $1", idempotency_key)
        if known:
""",
)
INSERTED_LATE = (
    """        await conn.execute("update payment_keys set payment_id = $2 where key = $1",
                           idempotency_key, payment)
""",
    """        await conn.execute("insert into payment_keys values ($1, $2, $3, $4)",
                           idempotency_key, order, cents, payment)
""",
)
KEPT_IN_MEMORY = (
    "    async with app.state.pool.acquire() as conn, conn.transaction():\n",
    """    async with LOCK, app.state.pool.acquire() as conn, conn.transaction():
        if idempotency_key in KNOWN:
            if KNOWN[idempotency_key][:2] != (order, cents):
                raise HTTPException(422)
            return {"payment": KNOWN[idempotency_key][2]}
        try:
            async with conn.transaction():
                payment = await conn.fetchval(PAY, order, cents)
                await conn.execute("set constraints all immediate")
        except asyncpg.ForeignKeyViolationError:
            raise HTTPException(404) from None
        KNOWN[idempotency_key] = (order, cents, payment)
        return {"payment": payment}
""",
)
A_LOCK = ("PAY = ", "import asyncio\nKNOWN, LOCK = {}, asyncio.Lock()\nPAY = ")
NOT_COMPARED = ("(known", "False and (known")
NO_TRANSACTION = ("acquire() as conn, conn.transaction():", "acquire() as conn:")
ADVISORY = (
    "        known = await conn.fetchrow(\n",
    """        await conn.execute(
            "select pg_advisory_xact_lock(hashtextextended($1, 4))", idempotency_key)
        known = await conn.fetchrow(
""",
)
IS_THERE = (
    "        try:\n            payment = await conn.fetchval(PAY, order, cents)\n"
    "        except asyncpg.ForeignKeyViolationError:\n",
    "        payment = None\n"
    '        if await conn.fetchval("select true from orders where id = $1", order):\n'
    "            payment = await conn.fetchval(PAY, order, cents)\n"
    "        else:\n",
)
IN_USE = (
    "    async with app.state.pool.acquire() as conn, conn.transaction():\n",
    """    async with app.state.pool.acquire() as conn, conn.transaction():
        if not await conn.fetchval(
                "select pg_try_advisory_xact_lock(hashtextextended($1, 4))", idempotency_key):
            raise HTTPException(409, "it is running")
""",
)
ALL_404 = ("asyncpg.ForeignKeyViolationError:", "asyncpg.PostgresError:")
BY_ITS_CONTENT = (
    "    if idempotency_key is None:\n",
    '    idempotency_key = idempotency_key and f"{order}/{cents}"\n'
    "    if idempotency_key is None:\n",
)
FOUND_BY_ITS_ERROR = (
    """        is_new = await conn.fetchval(\"""
            insert into payment_keys (key, order_id, amount_cents) values ($1, $2, $3)
            on conflict do nothing returning true\""", idempotency_key, order, cents)
""",
    """        try:
            async with conn.transaction():
                is_new = await conn.execute(
                    "insert into payment_keys (key, order_id, amount_cents) values ($1, $2, $3)",
                    idempotency_key, order, cents)
        except asyncpg.UniqueViolationError:
            is_new = False
""",
)

TRAPS = {
    (0, "null"): _solution(
        0,
        ("    if row is None:", "    if row is None and number < 0:"),
        ("dict(row)", "row and dict(row)"),
    ),
    (0, "crash"): _solution(0, ("    if row is None:", "    if row is None and number < 0:")),
    (1, "before COMMIT"): _starter(1, HANDLER, ON_SAME, RAISES),
    (1, "half"): _solution(
        1, ("acquire() as conn, conn.transaction():", "acquire() as conn:"), AUTOCOMMIT
    ),
    (1, "commits a refusal"): _solution(1, ('raise HTTPException(409, "not free")', RAISES[0])),
    (1, "sold twice"): _solution(1, LOOKS_FIRST),
    (1, "two connections"): _starter(1, RAISES, FUNCTION),
    (1, "larger pool"): _starter(1, RAISES, FUNCTION, ('int(os.environ["POOL_SIZE"])', "50")),
    (2, "charged twice"): _solution(2, LATE, SOLD_LATE),
    (2, "holds a connection"): _starter(
        2,
        ("        reply = await", "        try:\n            reply = await"),
        (
            "params=charge)\n",
            "params=charge)\n        except httpx.HTTPError:\n"
            "            raise HTTPException(502) from None\n",
        ),
    ),
    (2, "larger pool"): _solution(2, ('int(os.environ["POOL_SIZE"])', "20")),
    (2, "stays taken"): _solution(2, NOT_GIVEN_BACK),
    (2, "sells what may be paid"): _solution(2, FREES_AFTER_SILENCE),
    (2, "half"): _solution(2, TWO_TRANSACTIONS),
    (3, "runs on"): _starter(3, ASKS_FIRST, SOON, LIVES, IS_READY),
    (3, "ends all"): _solution(3, ("min_size=1,", "min_size=1, command_timeout=1,")),
    (3, "waits forever"): _solution(3, ("acquire(timeout=0.5)", "acquire()")),
    (3, "leaks"): _solution(
        3,
        (
            "        await app.state.pool.release(conn)\n",
            "        if not query.cancelled():\n            await app.state.pool.release(conn)\n",
        ),
    ),
    (3, "restarts all"): _solution(3, ('return "live"', "return await ready()")),
    (4, "looks first"): _solution(4, KNOWN_FIRST, INSERTED_LATE),
    (4, "in memory"): _solution(4, KEPT_IN_MEMORY, A_LOCK),
    (4, "any request"): _solution(4, NOT_COMPARED),
    (4, "burnt"): _solution(4, NO_TRANSACTION),
}
A_CONNECTION_EACH = (
    "    async with request.app.state.pool.acquire() as conn, conn.transaction():\n"
    "        yield conn\n",
    """
    conn = await asyncpg.connect(os.environ["DSN"])
    async with conn.transaction():
        yield conn
    await conn.close()
""",
)
OTHER_ANSWERS: tuple[tuple[int, str | None, Path], ...] = (
    (1, None, _solution(1, IN_THE_FUNCTION, ("customer: int, conn=Transaction", "customer, conn"))),
    (1, "", written("import nothing_of_the_kind\n")),
    (
        1,
        "",
        written(
            "async def app(scope, receive, send):\n"
            "    while True:\n"
            "        message = await receive()\n"
            "        await send({'type': message['type'] + '.complete'})\n"
            "        if 'http' in scope['type']:\n"
            "            raise ValueError('rubbish')\n"
        ),
    ),
    (
        1,
        "half",
        _solution(
            1, ("acquire() as conn, conn.transaction():", "acquire() as conn:"), AUTOCOMMIT, UNDOES
        ),
    ),
    (
        1,
        "",
        _solution(
            1, IN_THE_FUNCTION, ("customer: int, conn=Transaction", "customer, conn"), ALL_409
        ),
    ),
    (1, "larger pool", _solution(1, A_CONNECTION_EACH)),
    (2, "charged twice", _solution(2, TAKEN, IN_MEMORY, SOLD_LATE)),
    (2, "stays taken", _solution(2, ONLY_REFUSALS)),
    (
        2,
        "half",
        _solution(
            2,
            ORDERS_FIRST,
            (
                "        await conn.execute(ORDER, customer, price, seat)",
                '        await conn.execute("update orders set total_cents = $2 where id = $1",\n'
                "                           number, price)",
            ),
        ),
    ),
    (2, "sells what may be paid", _solution(2, FREES_ALL)),
    (2, "", _solution(2, ASKS_AGAIN)),
    (3, "", _solution(3, NOT_AT_ONCE)),
    (3, "", _solution(3, ("asyncio.timeout(1)", "asyncio.timeout(None)"))),
    (3, None, _solution(3, POLLS)),
    (1, "", _solution(1, ("select $1, price_cents,", "select $1, 0,"))),
    (1, "", _solution(1, ("select $1, price_cents,", "select least($1, 1), price_cents,"))),
    (1, "", _solution(1, HELD_IS_FREE)),
    (1, "", _solution(1, LOCKS_TABLE)),
    (1, None, _solution(1, ("jsonb_build_object('seat', id)", "jsonb_build_object('row', id)"))),
    (2, "", _solution(2, ("customer, price, seat)", "customer, 0, seat)"))),
    (2, "", _solution(2, ("ORDER, customer, price", "ORDER, 1, price"))),
    (2, "", _solution(2, FIVE_HUNDRED_IS_SOLD)),
    (2, "", _solution(2, ("402 if failed == 402 else 502", "402"))),
    (
        2,
        "",
        _solution(
            2,
            LEAVES_UNSOLD,
            ("HTTPException\n", "HTTPException, Request\n"),
            ("customer: int, seat: int)", "customer: int, seat: int, request: Request)"),
        ),
    ),
    (3, "ends all", _solution(3, ("min_size=1,", "min_size=1, command_timeout=2.5,"))),
    (
        3,
        "",
        _solution(
            3,
            ('{"Retry-After": "1"}) from None\n    except DOWN', "{}) from None\n    except DOWN"),
        ),
    ),
    (3, "", _solution(3, ("        return query.result()", EVERY_ERROR_IS_BUSY))),
    (
        3,
        "",
        _solution(
            3,
            (
                "    except DOWN:\n"
                '        raise HTTPException(503, "no database", {"Retry-After": "1"}) from None\n',
                "",
            ),
        ),
    ),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Path], ...] = (
    (0, None, _solution(0, ("dict(row)", "{'id': row[0], 'total_cents': row['total_cents']}"))),
    (0, "", _solution(0, ("HTTPException(404", "HTTPException(400"))),
    (
        2,
        "",
        _solution(2, ('os.environ["PROVIDER"], timeout=5', 'os.environ["PROVIDER"], timeout=2')),
    ),
    (
        2,
        "",
        _solution(
            2,
            ('os.environ["PROVIDER"], timeout=5', 'os.environ["PROVIDER"], timeout=2'),
            (
                "        failed = reply.status_code\n    except httpx.TimeoutException:\n",
                ANSWERS_LATE,
            ),
        ),
    ),
    (4, "", _solution(4, IN_USE)),
    (4, "", _solution(4, LOCKED_KEYS)),
    (4, "", _solution(4, ALL_404)),
    (4, "", _solution(4, BY_ITS_CONTENT)),
    (4, "", _solution(4, ("HTTPException(422", "HTTPException(409"))),
    (4, None, _solution(4, KNOWN_FIRST, INSERTED_LATE, ADVISORY)),
    (4, None, _solution(4, FOUND_BY_ITS_ERROR, IS_THERE)),
)
