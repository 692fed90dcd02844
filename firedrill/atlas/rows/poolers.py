"""What the version of PgBouncer decides, in part together with PostgreSQL's.

Pool mode transaction, unless it says so.
"""

from __future__ import annotations

import asyncio
import io

import asyncpg

from .. import row
from ..lab import Lab, said, tried, until

MODES, NAMES, LIMITS, COPY = (
    "11_pool_modes",
    "10_prepared_statements",
    "03_exhaustion",
    "07_bulk_loading",
)
RECORDS = [(number, "x") for number in range(5)]


async def _tenants(lab: Lab) -> None:
    conn = await lab.connect(user="postgres")
    await conn.execute(
        "drop schema if exists one, two cascade; create schema one; create schema two; "
        "create table one.t (v text); insert into one.t values ('text'); "
        "create table two.t (v int); insert into two.t values (42); "
        "grant usage on schema one, two to encore; "
        "grant select on all tables in schema one, two to encore"
    )


@row(
    "PgBouncer",
    "SET search_path = one by a client: seen by itself on another backend, and by another client "
    "on its backend",
    MODES,
)
async def set_search_path(lab: Lab) -> object:
    await _tenants(lab)
    a, b = await lab.connect("transaction"), await lab.connect("transaction")
    await a.execute("set search_path = one")
    other = await b.fetchval("show search_path")
    await lab.hold()
    own = await a.fetchval("show search_path")
    return (
        f"itself {'yes' if own == 'one' else 'no'}, the other {'yes' if other == 'one' else 'no'}"
    )


@row(
    "PgBouncer",
    "two clients with search_path one and two ask the same text in turn, column types differ",
    MODES,
)
async def two_tenants_one_text(lab: Lab) -> object:
    await _tenants(lab)
    lab.console("set default_pool_size = 1")
    a, b = await lab.connect("transaction"), await lab.connect("transaction")
    await a.execute("set search_path = one")
    await b.execute("set search_path = two")
    await tried(a.fetchval("select v from t"))
    return await tried(b.fetchval("select v from t"))


@row("PgBouncer", "set_config('search_path', '', false), then a query on another backend", MODES)
async def empty_search_path(lab: Lab) -> object:
    conn = await lab.connect("transaction")
    await conn.execute("select set_config('search_path', '', false)")
    await lab.hold()
    return await tried(conn.fetchval("select 1"))


def _startup(name: str, value: str) -> None:
    async def measure(lab: Lab) -> object:
        try:
            conn = await lab.connect("transaction", server_settings={name: value})
            return f"{name} = {await conn.fetchval(f'show {name}')}"
        except (asyncpg.PostgresError, OSError) as error:
            return said(error)

    measure.__name__ = f"startup_{name}"
    row("PgBouncer", f"connect(server_settings={{'{name}': '{value}'}})", MODES)(measure)


for parameter, given in (
    ("search_path", "one"),
    ("default_transaction_read_only", "on"),
    ("jit", "off"),
    ("statement_timeout", "5000"),
    ("application_name", "shop"),
    ("timezone", "Europe/Rome"),
):
    _startup(parameter, given)


@row(
    "PgBouncer",
    "twenty small copy_records_to_table: does any leave the server connection with its client",
    COPY,
)
async def small_copies(lab: Lab) -> object:
    await (await lab.connect()).execute("create table if not exists cp (a int, b text)")
    for _ in range(20):
        conn = await lab.connect("transaction")
        async with conn.transaction():
            await conn.copy_records_to_table("cp", records=RECORDS)
        if await lab.linked():
            return "yes, until the client disconnects"
        await conn.close()
    return "no"


@row(
    "PgBouncer",
    "a large COPY that the server refuses early: does the server connection stay with its client",
    COPY,
)
async def refused_copy(lab: Lab) -> object:
    await (await lab.connect()).execute("create table if not exists cp (a int, b text)")
    data = b"zzz\tx\n" + b"1\tx\n" * 1_000_000
    answers = set()
    for _ in range(3):
        conn = await lab.connect("transaction")
        error = await tried(conn.copy_to_table("cp", source=io.BytesIO(data)))
        answers.add(await lab.linked())
        conn.terminate()
    return f"{error.partition(':')[0]}; {'yes' if True in answers else 'no'}"


@row("PgBouncer", "get_settings() tells pgbouncer.version and pgbouncer.pool_mode", MODES)
async def told_version(lab: Lab) -> object:
    settings = (await lab.connect("transaction")).get_settings()
    return getattr(settings, "pgbouncer.pool_mode", "no")


@row(
    "PgBouncer", "query_wait_notify: what a client that waits for a server connection hears", LIMITS
)
async def wait_notify(lab: Lab) -> object:
    lab.stack.pgbouncer.restart()
    changed = await asyncio.to_thread(_set, lab, "query_wait_notify", "1")
    if changed:
        return changed
    lab.console("set default_pool_size = 1")
    holder, waiter = await lab.hold(), await lab.connect("transaction")
    heard: list[str] = []
    waiter.add_log_listener(lambda _, message: heard.append(message.message))
    waiting = asyncio.create_task(waiter.fetchval("select 1"))
    await until(lambda: heard, 4)
    await holder.execute("commit")
    await waiting
    return "; ".join(heard) or "nothing"


def _set(lab: Lab, name: str, value: str) -> str:
    """ "" where the console took the value."""
    try:
        lab.console(f"set {name} = {value}")
    except Exception as error:
        return f"no such setting ({said(error).partition(':')[2].strip()})"
    return ""


@row(
    "PgBouncer",
    "PgBouncer's own transaction_timeout, seen by a query in a transaction that idled too long",
    "08_transactions",
)
async def own_transaction_timeout(lab: Lab) -> object:
    if refused := await asyncio.to_thread(_set, lab, "transaction_timeout", "1"):
        return refused
    conn = await lab.connect("transaction")
    await conn.execute("begin")
    await conn.fetchval("select 1")
    for _ in range(150):
        if conn.is_closed():
            break
        await asyncio.sleep(0.02)
    return await tried(conn.fetchval("select 1"))


@row("PgBouncer", "PgBouncer's own transaction_timeout, seen by one long query", "08_transactions")
async def own_transaction_timeout_query(lab: Lab) -> object:
    if refused := await asyncio.to_thread(_set, lab, "transaction_timeout", "1"):
        return refused
    conn = await lab.connect("transaction")
    return await tried(conn.fetchval("select pg_sleep(6)"))


@row("PgBouncer", "DISCARD ALL by a client, then its cached query", NAMES)
async def discard_all(lab: Lab) -> object:
    conn = await lab.connect("transaction")
    await conn.fetchval("select 1 + $1::int", 1)
    await conn.execute("discard all")
    return await tried(conn.fetchval("select 1 + $1::int", 1))


@row("PgBouncer", "DISCARD ALL by a client, then another client's cached query", NAMES)
async def discard_all_others(lab: Lab) -> object:
    one, other = await lab.connect("transaction"), await lab.connect("transaction")
    await other.fetchval("select 1 + $1::int", 1)
    await one.execute("discard all")
    return await tried(other.fetchval("select 1 + $1::int", 1))


@row("PgBouncer", "max_prepared_statements = 0: a cached query on another backend", NAMES)
async def untracked_statement(lab: Lab) -> object:
    lab.console("set max_prepared_statements = 0")
    conn = await lab.connect("transaction")
    await conn.fetchval("select 1 + $1::int", 1)
    await lab.hold()
    return await tried(conn.fetchval("select 1 + $1::int", 1))


@row("PgBouncer", "max_prepared_statements by default", NAMES)
async def default_prepared(lab: Lab) -> object:
    found = {one["key"]: one["default"] for one in lab.console("show config")}
    return found["max_prepared_statements"]


@row("PgBouncer", "track_extra_parameters by default", MODES)
async def default_tracked(lab: Lab) -> object:
    found = {one["key"]: one["default"] for one in lab.console("show config")}
    return found.get("track_extra_parameters") or "empty"


@row("PgBouncer", "console: SHOW FDS", LIMITS)
async def show_fds(lab: Lab) -> object:
    try:
        lab.console("show fds")
    except Exception as error:
        return said(error).partition(":")[2].strip()
    return "works"


@row("PgBouncer", "console: KILL of the database, seen by a client in a query", LIMITS)
async def kill_database(lab: Lab) -> object:
    conn = await lab.connect("transaction")
    running = asyncio.create_task(tried(conn.fetchval("select pg_sleep(8)")))
    await until(lambda: lab._active(), 3)
    await asyncio.to_thread(lab.console, "kill transaction")
    return await running


@row("PgBouncer", "console: DISABLE of the database, seen by connect()", LIMITS)
async def disable_database(lab: Lab) -> object:
    lab.console("disable transaction")
    return await tried(lab.connect("transaction"))


@row("PgBouncer", "console: KILL_CLIENT, seen by a client in a query", LIMITS)
async def kill_client(lab: Lab) -> object:
    conn = await lab.connect("transaction")
    running = asyncio.create_task(tried(conn.fetchval("select pg_sleep(8)")))
    await until(lambda: lab._active(), 3)
    clients = [one for one in lab.console("show clients") if one["database"] == "transaction"]
    try:
        await asyncio.to_thread(
            lab.console,
            f"kill_client {clients[0]['id'] if 'id' in clients[0] else clients[0]['ptr']}",
        )
    except Exception as error:
        conn.terminate()
        return said(error).partition(":")[2].strip()
    return await running


@row("PgBouncer", "a temporary table of one client: seen by another", MODES)
async def temporary_table(lab: Lab) -> object:
    one, other = await lab.connect("transaction"), await lab.connect("transaction")
    await one.execute("create temp table mine (a int)")
    return await tried(other.fetchval("select count(*) from mine"))


@row("PgBouncer", "pg_advisory_lock by one client: held by another", MODES)
async def advisory_lock(lab: Lab) -> object:
    one, other = await lab.connect("transaction"), await lab.connect("transaction")
    await one.execute("select pg_advisory_lock(7)")
    return await other.fetchval("select pg_advisory_unlock(7)")


@row("PgBouncer", "SET statement_timeout by one client: in force for another", MODES)
async def leaked_timeout(lab: Lab) -> object:
    one, other = await lab.connect("transaction"), await lab.connect("transaction")
    await one.execute("set statement_timeout = '7s'")
    return await other.fetchval("show statement_timeout") == "7s"


@row("PgBouncer", "LISTEN through a pool: the notification arrives", "14_listen_notify")
async def listen_through(lab: Lab) -> object:
    listener, sender = await lab.connect("transaction"), await lab.connect()
    heard: list[str] = []
    await listener.add_listener("sales", lambda *message: heard.append(message[3]))
    await sender.execute("notify sales, 'A1'")
    return await until(lambda: heard, 1)


@row(
    "PgBouncer",
    "a query whose timeout passed, behind PgBouncer: still running 1 s later",
    "04_timeouts_and_cancellation",
)
async def cancel_through(lab: Lab) -> object:
    conn = await lab.connect("transaction")
    admin = await lab.admin()
    await tried(conn.fetch("select pg_sleep(15)", timeout=0.2))
    query = (
        "select count(*) from pg_stat_activity "
        "where query ~ '^select pg_sleep' and state = 'active'"
    )
    for _ in range(20):
        if not await admin.fetchval(query):
            return False
        await asyncio.sleep(0.05)
    return True


@row("PgBouncer", "statement mode: BEGIN", MODES)
async def begin_in_statement_mode(lab: Lab) -> object:
    return await tried((await lab.connect("statement")).execute("begin"))


@row("PgBouncer", "the pool is exhausted for longer than query_wait_timeout", LIMITS)
async def wait_timeout(lab: Lab) -> object:
    lab.console("set default_pool_size = 1", "set query_wait_timeout = 1")
    await lab.hold()
    conn = await lab.connect("transaction")
    return await tried(conn.fetchval("select 1"))


@row("PgBouncer", "more clients than max_client_conn", LIMITS)
async def client_limit(lab: Lab) -> object:
    lab.console("set max_client_conn = 1")
    await lab.connect("transaction")
    return await tried(lab.connect("transaction"))


@row("PgBouncer", "a database that is not configured", "01_connecting")
async def unknown_database(lab: Lab) -> object:
    return await tried(lab.connect("nowhere"))


@row("PgBouncer", "a wrong password", "01_connecting")
async def wrong_password(lab: Lab) -> object:
    return await tried(lab.connect("transaction", password="wrong"))


@row("PgBouncer", "the backend is terminated during a query", "01_connecting")
async def terminated_behind(lab: Lab) -> object:
    conn, admin = await lab.connect("transaction"), await lab.admin()
    running = asyncio.create_task(tried(conn.fetchval("select pg_sleep(8)")))
    while not await admin.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity "
        "where query = 'select pg_sleep(8)' and state = 'active'"
    ):
        await asyncio.sleep(0.02)
    return await running


@row(
    "PgBouncer",
    "a column is added to a table whose statement is cached: a new client asks the same text",
    "12_migrations",
)
async def changed_table_behind(lab: Lab) -> object:
    direct = await lab.connect()
    await direct.execute("create table if not exists ev (a int)")
    lab.console("set default_pool_size = 1")
    await (await lab.connect("transaction")).fetch("select * from ev")
    await direct.execute("alter table ev add column b int")
    answer = await tried((await lab.connect("transaction")).fetch("select * from ev"))
    await direct.execute("drop table ev")
    return "rows" if answer.startswith("[") else answer


@row(
    "PgBouncer",
    "ALTER ROLE SET search_path, then RECONNECT: a client from before sees the new value",
    MODES,
)
async def altered_role(lab: Lab) -> object:
    admin, conn = await lab.admin(), await lab.connect("transaction")
    await conn.fetchval("select 1")
    await admin.execute("alter role encore set search_path = public, pg_catalog")
    lab.console("reconnect")
    try:
        for _ in range(50):
            seen = await conn.fetchval("show search_path")
            if seen == "public, pg_catalog":
                return True
            await asyncio.sleep(0.02)
        return False
    finally:
        await admin.execute("alter role encore reset search_path")
