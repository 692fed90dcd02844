"""What the version of PostgreSQL decides."""

from __future__ import annotations

import asyncio
import re

import asyncpg

from .. import row
from ..lab import Lab, said, tried, until

SQL, COPY, POOLS, LISTEN = "05_json_and_codecs", "07_bulk_loading", "02_pools", "14_listen_notify"


@row("PostgreSQL", "a generated column that is not STORED", COPY)
async def generated_virtual(lab: Lab) -> object:
    conn = await lab.connect()
    return await tried(
        conn.execute("create table virtual_seat (a int, b int generated always as (a + 1))")
    )


@row("PostgreSQL", "copy_records_to_table on a table with a stored generated column", COPY)
async def copy_generated(lab: Lab) -> object:
    conn = await lab.connect()
    await conn.execute(
        "create table seat (price int, fee int, total int generated always as (price + fee) stored)"
    )
    return await tried(conn.copy_records_to_table("seat", records=[(10, 2)]))


@row("PostgreSQL", "update ... returning old.price, new.price", SQL)
async def returning_old(lab: Lab) -> object:
    conn = await lab.connect()
    return await tried(
        conn.fetchval(
            "update seats set price_cents = price_cents + 1 where id = 1 "
            "returning new.price_cents - old.price_cents"
        )
    )


@row("PostgreSQL", "record['price_cents'] after delete ... returning old.*, new.*", SQL)
async def deleted_by_name(lab: Lab) -> object:
    conn = await lab.connect()
    await conn.execute("create table gone (price_cents int); insert into gone values (5)")
    query = "delete from gone returning old.price_cents, new.price_cents"
    try:
        return (await conn.fetchrow(query))["price_cents"]
    except asyncpg.PostgresError as error:
        return said(error)


@row("PostgreSQL", "select uuidv7(): version of the UUID in Python", SQL)
async def uuid_version(lab: Lab) -> object:
    conn = await lab.connect()
    try:
        return (await conn.fetchval("select uuidv7()")).version
    except asyncpg.PostgresError as error:
        return said(error)


@row(
    "PostgreSQL",
    "NOT NULL constraint with a name: in pg_constraint, and in the error",
    "01_connecting",
)
async def not_null_name(lab: Lab) -> object:
    conn = await lab.connect()
    await conn.execute("create table c (id int constraint id_required not null)")
    kept = await conn.fetchval("select conname from pg_constraint where conrelid = 'c'::regclass")
    try:
        await conn.execute("insert into c values (null)")
    except asyncpg.NotNullViolationError as error:
        return f"{kept}; error.constraint_name {error.constraint_name}"
    return "no error"


@row(
    "PostgreSQL", "PRIMARY KEY (room, during WITHOUT OVERLAPS): the error of a double booking", SQL
)
async def without_overlaps(lab: Lab) -> object:
    admin, conn = await lab.admin(), await lab.connect()
    await admin.execute("create extension if not exists btree_gist")
    made = await tried(
        conn.execute(
            "create table stay (room int, during daterange, "
            "primary key (room, during without overlaps))"
        )
    )
    if made != "CREATE TABLE":
        return made
    await conn.execute("insert into stay values (1, '[2026-01-01,2026-01-05)')")
    try:
        await conn.execute("insert into stay values (1, '[2026-01-03,2026-01-07)')")
    except asyncpg.PostgresError as error:
        unique = isinstance(error, asyncpg.UniqueViolationError)
        return f"{type(error).__name__} {error.sqlstate}, a UniqueViolationError: {unique}"
    return "no error"


@row("PostgreSQL", "get_settings() knows search_path", "11_pool_modes")
async def search_path_reported(lab: Lab) -> object:
    return hasattr((await lab.connect()).get_settings(), "search_path")


@row("PostgreSQL", "messages for add_log_listener when an MD5 password is set", "01_connecting")
async def md5_warning(lab: Lab) -> object:
    admin = await lab.admin()
    heard: list[str] = []
    admin.add_log_listener(lambda _, message: heard.append(f"{message.sqlstate} {message.message}"))
    await admin.execute("set password_encryption = 'md5'")
    await admin.execute("create role m login password 'x'")
    await admin.fetchval("select 1")
    return "; ".join(heard) or "none"


@row("PostgreSQL", "rows of pg_stat_activity that are no clients", POOLS)
async def background_rows(lab: Lab) -> object:
    admin = await lab.admin()
    found = await admin.fetch(
        "select backend_type, count(*) n from pg_stat_activity "
        "where backend_type <> 'client backend' group by 1 order by 1"
    )
    return ", ".join(f"{one['n']} {one['backend_type']}" for one in found)


@row(
    "PostgreSQL",
    "statements that asyncpg sends to change jit for the first enum of a connection",
    "11_pool_modes",
)
async def enum_and_jit(lab: Lab) -> object:
    admin = await lab.admin()
    await admin.execute("alter role encore set jit = default")
    default = await admin.fetchval("select boot_val from pg_settings where name = 'jit'")
    await admin.execute(f"alter role encore set jit = {default}")
    await admin.execute("alter role encore set log_statement = 'all'")
    conn = await lab.connect()
    before = len(lab.stack.postgres.log())
    await conn.fetchval("select status from seats limit 1")
    await conn.fetchval("select 'the end'")
    await until(lambda: "the end" in lab.stack.postgres.log()[before:], 5)
    await admin.execute("alter role encore reset all")
    return len(re.findall(r"set_config\('jit'|SET jit", lab.stack.postgres.log()[before:]))


@row(
    "PostgreSQL",
    "NOTIFY when a listener of another channel sits in a transaction and the queue is full",
    LISTEN,
)
async def full_queue_other_channel(lab: Lab) -> object:
    admin = await lab.admin()
    await admin.execute("alter system set max_notify_queue_pages = 64")
    lab.stack.postgres.restart()
    listener, sender = await lab.connect(), await lab.connect()
    await listener.execute("listen a")
    await listener.execute("begin")
    try:
        for _ in range(200):
            await sender.execute(f"notify b, '{'x' * 7000}'")
    except asyncpg.PostgresError as error:
        return said(error)
    finally:
        await (await lab.admin()).execute("alter system reset max_notify_queue_pages")
        lab.close()
        lab.stack.postgres.restart()
    return "200 of 200 are sent"


@row("PostgreSQL", "select '18446744073709551615'::oid8", SQL)
async def oid8(lab: Lab) -> object:
    return await tried((await lab.connect()).fetchval("select '18446744073709551615'::oid8"))


@row("PostgreSQL", "insert ... on conflict do select: the status of a row that existed", SQL)
async def on_conflict_do_select(lab: Lab) -> object:
    conn = await lab.connect()
    await conn.execute("create table u (k int primary key); insert into u values (1)")
    return await tried(
        conn.execute("insert into u values (1) on conflict (k) do select returning k")
    )


@row(
    "PostgreSQL", "connect(server_settings={'standard_conforming_strings': 'off'})", "01_connecting"
)
async def nonconforming_strings(lab: Lab) -> object:
    try:
        await lab.connect(server_settings={"standard_conforming_strings": "off"})
    except asyncpg.PostgresError as error:
        return said(error)
    return "connects"


@row("PostgreSQL", "EXPLAIN (ANALYZE, FORMAT JSON): how Actual Rows is written", "13_cursors")
async def actual_rows(lab: Lab) -> object:
    plan = await (await lab.connect()).fetchval(
        "explain (analyze, format json) select * from generate_series(1, 10)"
    )
    return re.findall(r'"Actual Rows": ([\d.]+)', plan)[0]


@row("PostgreSQL", "EXPLAIN ANALYZE shows buffers without being asked", "13_cursors")
async def explain_buffers(lab: Lab) -> object:
    lines = await (await lab.connect()).fetch("explain analyze select * from seats")
    return any("Buffers" in line[0] for line in lines)


@row("PostgreSQL", "data_checksums of a new cluster", "00_start_here")
async def data_checksums(lab: Lab) -> object:
    return await (await lab.connect()).fetchval("show data_checksums")


@row("PostgreSQL", "jit by default", "11_pool_modes")
async def jit_default(lab: Lab) -> object:
    query = "select boot_val from pg_settings where name = 'jit'"
    return await (await lab.connect()).fetchval(query)


@row("PostgreSQL", "io_method by default", "00_start_here")
async def io_method(lab: Lab) -> object:
    return await tried((await lab.connect()).fetchval("show io_method"))


@row("PostgreSQL", "COPY FROM with (on_error ignore, reject_limit 1)", COPY)
async def reject_limit(lab: Lab) -> object:
    admin = await lab.admin()
    await admin.execute("create table rejects (a int)")
    return await tried(
        admin.execute(
            r"copy rejects from program 'printf 1\\nx\\n2\\n' with (on_error ignore, "
            r"reject_limit 1)"
        )
    )


@row("PostgreSQL", "get_server_version()", "00_start_here")
async def server_version(lab: Lab) -> object:
    found = (await lab.connect()).get_server_version()
    return f"major {found.major}, releaselevel {found.releaselevel}"


@row(
    "PostgreSQL",
    "a query whose timeout passed: still running on the server 1 s later",
    "04_timeouts_and_cancellation",
)
async def cancelled_query(lab: Lab) -> object:
    conn, admin = await lab.connect(), await lab.admin()
    await tried(conn.fetch("select pg_sleep(20)", timeout=0.2))
    for _ in range(20):
        if not await _running(admin):
            return False
        await asyncio.sleep(0.05)
    return True


async def _running(admin: asyncpg.Connection) -> int:
    query = (
        "select count(*) from pg_stat_activity "
        "where query ~ '^select pg_sleep' and state = 'active'"
    )
    return int(await admin.fetchval(query))
