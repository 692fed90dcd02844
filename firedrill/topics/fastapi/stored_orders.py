"""Exercise 15: an order service that means its 200, charges once, and works for nobody who has gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import httpx

from ... import servers, service
from ...servers.errors import Unavailable
from ...servers.server import ROLE, SUPERUSER
from ...servers.stack import Stack
from ...checking.examination import Examination

NAME = "15_fastapi"
POOL_SIZE = 2
LIMIT = 4.0  # seconds for an answer; a right service needs a few hundredths
FIRST_SEAT = 401  # of 100 free ones
CONTESTED = 480

SESSIONS = f"select count(*) from pg_stat_activity where usename = '{ROLE}' and "


class _Client:
    """Requests that end: with the status, or with what came in place of an answer."""

    def __init__(self, *urls: str) -> None:
        self.urls, self.asked = urls, 0
        self.http = httpx.AsyncClient(
            limits=httpx.Limits(max_keepalive_connections=0), timeout=None
        )

    async def __call__(
        self, method: str, path: str, limit: float = LIMIT, **parameters: int
    ) -> int | str:
        self.asked += 1
        self.headers: Any = {}
        try:
            async with asyncio.timeout(limit):
                reply = await self.http.request(
                    method, self.urls[self.asked % len(self.urls)] + path, params=parameters
                )
        except TimeoutError:
            return f"no answer within {limit:g} s"
        except httpx.HTTPError as error:
            return type(error).__name__
        self.headers = reply.headers
        return reply.status_code


@contextlib.asynccontextmanager
async def _served(
    exam: Examination, stack: Stack, processes: int = 1, **environment: str
) -> AsyncIterator[_Client | None]:
    """The learner's file in processes of their own, which are gone afterwards. None if it does not start, which is noted."""
    running: list[service.Service] = []
    client = None
    assert exam.file
    variables: dict[str, Any] = {
        "DSN": stack.postgres.dsn(),
        "POOL_SIZE": f"{POOL_SIZE}",
        **environment,
    }
    try:
        for _ in range(processes):
            running.append(
                await service.start(
                    exam.file.parent, f"{exam.file.stem}:app", timeout=10, **variables
                )
            )
        client = _Client(*[one.url for one in running])
        yield client
    except Unavailable as error:
        if client:
            raise
        exam.criterion("the service starts", False, str(error))
        yield None
    finally:
        if client:
            await client.http.aclose()
        for one in running:
            one.kill()


def _is_deaf(exam: Examination, answer: int | str) -> bool:
    """A service that does not answer its first request is asked nothing else: each would take its whole time."""
    if isinstance(answer, str):
        exam.criterion("the service answers", False, answer)
    return isinstance(answer, str)


async def _admin(stack: Stack) -> Any:
    return await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER), statement_cache_size=0)


async def _until(condition: Callable[[], Awaitable[Any]], seconds: float = LIMIT) -> bool:
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def _counted(answers: list[int | str]) -> str:
    return ", ".join(
        f"{count} x {answer}" for answer, count in sorted(Counter(answers).items(), key=str)
    )


# Task 1: 200 means stored

UNLUCKY = 13  # the customer whose COMMIT fails
CHECKED_AT_COMMIT = f"""
    create function at_commit() returns trigger language plpgsql as $$
    begin
        perform pg_advisory_xact_lock_shared(15);
        if new.customer_id = {UNLUCKY} then
            raise exception 'limit of this customer' using errcode = 'check_violation';
        end if;
        return null;
    end $$;
    create constraint trigger at_commit after insert on orders
        deferrable initially deferred for each row execute function at_commit()"""


async def _orders(exam: Examination) -> None:
    with servers.open() as stack:
        admin, holder = await _admin(stack), await _admin(stack)
        await admin.execute(CHECKED_AT_COMMIT)

        async def waiting(count: int, event: str) -> bool:
            return bool(
                await admin.fetchval(
                    f"{SESSIONS} wait_event_type = 'Lock' and wait_event like '{event}'"
                )
                >= count
            )

        async def stored(seat: int) -> tuple[int, str]:
            return (
                await admin.fetchval(
                    "select count(*) from orders where basket @> jsonb_build_object('seat', $1::int)",
                    seat,
                ),
                await admin.fetchval("select status::text from seats where id = $1", seat),
            )

        async with _served(exam, stack) as ask:
            if not ask:
                return
            before = await admin.fetchval("select count(*) from orders")
            unknown = await ask("POST", "/orders", customer=UNKNOWN, seat=FIRST_SEAT)
            if _is_deaf(exam, unknown):
                return
            exam.criterion("an unknown customer is 404", unknown == 404, f"{unknown}")

            await holder.execute("select pg_advisory_lock(15)")
            first = asyncio.create_task(
                ask("POST", "/orders", customer=1, seat=FIRST_SEAT, limit=3 * LIMIT)
            )
            held = await _until(lambda: waiting(1, "advisory"))
            await asyncio.wait({first}, timeout=0.3)
            early = first.done() and first.result() == 200
            meanwhile = (await stored(FIRST_SEAT))[1]
            await holder.execute("select pg_advisory_unlock(15)")
            answer, rows = await first, await stored(FIRST_SEAT)
            exam.criterion(
                "an order: 200, when it is stored and not before",
                held and not early and answer == 200 and rows == (1, "sold"),
                "200 came while COMMIT was waiting"
                if early
                else f"{answer}, {rows[0]} stored, the seat is {rows[1]}",
            )
            exam.criterion(
                "before that, the seat is free to everybody else",
                early or meanwhile == "free",
                f"it was {meanwhile}",
            )

            failed = await ask("POST", "/orders", customer=UNLUCKY, seat=FIRST_SEAT + 1)
            rows = await stored(FIRST_SEAT + 1)
            exam.criterion(
                "COMMIT fails: 500 or another 5xx, nothing is stored, the seat is free",
                not isinstance(failed, str) and failed >= 500 and rows == (0, "free"),
                f"{failed}, {rows[0]} stored, the seat is {rows[1]}",
            )
            half = rows[1] != "free" or meanwhile != "free"

            refused = await ask("POST", "/orders", customer=2, seat=FIRST_SEAT)
            await _until(lambda: _idle(admin), 2)
            extra = (
                await admin.fetchval("select count(*) from orders") - before - int(answer == 200)
            )
            missing = await ask("POST", "/orders", customer=2, seat=999999)
            exam.criterion(
                "a seat that is not free, or does not exist: 409, and nothing is stored",
                refused == missing == 409 and extra <= 0,
                f"{refused}, {missing}, {max(extra, 0)} stored",
            )

            await holder.execute("begin; lock customers in access exclusive mode")
            tasks = [
                asyncio.create_task(
                    ask("POST", "/orders", customer=number, seat=FIRST_SEAT + 10 + number)
                )
                for number in range(1, 9)
            ]
            await _until(lambda: waiting(POOL_SIZE, "relation"), 2)
            await _until(
                lambda: waiting(POOL_SIZE + 1, "relation"), 0.3
            )  # in vain, if all is right
            most = await admin.fetchval(f"{SESSIONS} true")
            await holder.execute("commit")
            answers = [await task for task in tasks]
            most = max(most, await admin.fetchval(f"{SESSIONS} true"))
            stuck = sum(answer != 200 for answer in answers)

            sold: list[int | str] = []
            if not stuck:
                await holder.execute(f"begin; select from seats where id = {CONTESTED} for update")
                tasks = [
                    asyncio.create_task(ask("POST", "/orders", customer=number, seat=CONTESTED))
                    for number in (1, 2)
                ]
                await _until(lambda: waiting(2, "%"), 2)
                await holder.execute("commit")
                sold = [await task for task in tasks]
                rows = await stored(CONTESTED)
    exam.criterion(
        f"8 customers order at once, the pool has {POOL_SIZE}: all get 200",
        not stuck,
        _counted(answers),
    )
    exam.criterion(f"it has {POOL_SIZE} connections at most", most <= POOL_SIZE, f"{most} open")
    if (
        sold
    ):  # 409 for both is right as well: of one who waits for no row that somebody else has locked
        exam.criterion(
            "two customers order one seat at the same time: one order at most, 409 for the other",
            rows[0] == sold.count(200) <= 1 and set(sold) <= {200, 409},
            f"{_counted(sold)}, {rows[0]} stored",
        )
    if early:
        exam.trap("before COMMIT")
    elif half:
        exam.trap("half")
    elif sold.count(200) > 1:
        exam.trap("sold twice")
    elif refused == 409 and extra > 0:
        exam.trap("commits a refusal")
    elif stuck == len(answers) and answer == 200:
        exam.trap("two connections")
    elif most > POOL_SIZE:
        exam.trap("larger pool")


async def _idle(admin: Any) -> bool:
    return not await admin.fetchval(f"{SESSIONS} state <> 'idle'")


# Task 2: one seat, one charge

CUSTOMERS, SEATS = 200, 40
REFUSED, BROKEN, UNKNOWN = 190, 191, 999999  # customers
QUIET = 2.0  # seconds without a charge


class _Provider:
    """A payment service that answers when `gate` is open, refuses one customer and hangs up on another. It counts who asks."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.charged: Counter[int] = Counter()  # by seat
        self.asked: Counter[int] = Counter()  # by customer
        self.now = self.most = 0
        self.arrived = 0.0
        self.connections: set[asyncio.Task[None]] = set()

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            asyncio.IncompleteReadError, ConnectionError, KeyError, ValueError
        ):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                query = httpx.URL(head.split()[1]).params
                customer, seat = int(query["customer"]), int(query["seat"])
                self.asked[customer] += 1
                self.now, self.arrived = self.now + 1, time.monotonic()
                self.most = max(self.most, self.now)
                await self.gate.wait()
                self.now -= 1
                if customer == BROKEN:
                    break
                status = b"402 Payment Required" if customer == REFUSED else b"200 OK"
                self.charged[seat] += customer != REFUSED
                writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
        writer.close()


async def _buying(exam: Examination) -> None:
    provider = _Provider()
    listener = await asyncio.start_server(provider, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        with servers.open() as stack:
            async with _served(exam, stack, processes=2, PROVIDER=url) as ask:
                if ask:
                    await _sale(exam, await _admin(stack), provider, ask)
    finally:
        listener.close()
        provider.gate.set()
        if provider.connections:  # the services that held them are gone
            await asyncio.wait(provider.connections, timeout=5)


async def _sale(exam: Examination, admin: Any, provider: _Provider, ask: _Client) -> None:
    before = await admin.fetchval("select count(*) from orders")

    async def status(seat: int) -> str:
        return str(await admin.fetchval("select status::text from seats where id = $1", seat))

    async def crowd() -> bool:
        nobody_comes = provider.now and time.monotonic() > provider.arrived + QUIET
        return bool(provider.now >= SEATS or nobody_comes or all(task.done() for task in tasks))

    tasks = [
        asyncio.create_task(
            ask(
                "POST",
                "/buy",
                customer=1 + number % 180,
                seat=FIRST_SEAT + number * SEATS // CUSTOMERS,
                limit=5 * LIMIT,
            )
        )
        for number in range(CUSTOMERS)
    ]
    await _until(crowd, 2 * LIMIT)
    most, open_ = provider.most, await admin.fetchval(f"{SESSIONS} true")
    holding = await admin.fetchval(f"{SESSIONS} state = 'idle in transaction'")
    provider.gate.set()
    if not most and not any(task.done() for task in tasks):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        _is_deaf(exam, f"of {CUSTOMERS} customers nobody got an answer, and nobody was charged")
        return
    answers = [await task for task in tasks]
    good = Counter(answers) == {200: SEATS, 409: CUSTOMERS - SEATS}
    exam.criterion(
        f"{CUSTOMERS} customers, {SEATS} seats: each seat is sold to one, the others get 409",
        good,
        _counted(answers),
    )
    twice = sum(count > 1 for count in provider.charged.values())
    exam.criterion(
        "nobody is charged for a seat that somebody else gets",
        not twice and provider.charged.total() <= SEATS,
        f"{provider.charged.total()} charges for {SEATS} seats",
    )
    rows = await admin.fetchval("select count(*) from orders") - before
    sold = await admin.fetchval("select count(*) from seats where event_id = 5 and status = 'sold'")
    exam.criterion(
        "each 200 has its order and its seat",
        rows == sold == answers.count(200),
        f"{rows} orders, {sold} seats sold",
    )
    exam.criterion(
        f"{SEATS} customers wait for the provider at once, with {POOL_SIZE} connections for each process",
        most >= SEATS and open_ <= 2 * POOL_SIZE and not holding,
        f"{min(most, SEATS)} waited, {open_} connections, {holding} idle in transaction",
    )
    await admin.execute(f"update seats set status = 'held' where id = {CONTESTED}")
    left = {}
    for customer, wanted in ((REFUSED, 402), (BROKEN, 502)):
        seat = FIRST_SEAT + SEATS + customer - REFUSED
        answer = await ask("POST", "/buy", customer=customer, seat=seat)
        left[wanted] = await status(seat)
        what = "the card is refused: 402" if wanted == 402 else "the provider hangs up: 502"
        exam.criterion(
            f"{what}, and the seat is free again",
            answer == wanted and left[wanted] == "free",
            f"{answer}, the seat is {left[wanted]}",
        )
    more = await admin.fetchval("select count(*) from orders") - before - rows
    exam.criterion("after 402 and 502 there is no order", not more, f"{more} stored")
    others = await status(CONTESTED)
    exam.criterion(
        "a seat that somebody else holds stays held", others == "held", f"it is {others}"
    )
    exam.criterion(
        "each charge is asked for once, refused or not",
        provider.asked[REFUSED] == provider.asked[BROKEN] == 1,
        f"{provider.asked[REFUSED]} x, refused; {provider.asked[BROKEN]} x, the provider hangs up",
    )
    seat = FIRST_SEAT + SEATS + 2
    answer, now = await ask("POST", "/buy", customer=UNKNOWN, seat=seat), await status(seat)
    exam.criterion(
        "an unknown customer: 404, nothing is charged, and the seat is free",
        answer == 404 and not provider.asked[UNKNOWN] and now == "free",
        f"{answer}, {provider.asked[UNKNOWN]} charges, the seat is {now}",
    )
    if twice:
        exam.trap("charged twice")
    elif 0 < most <= 2 * POOL_SIZE or holding:
        exam.trap("holds a connection")
    elif open_ > 2 * POOL_SIZE:
        exam.trap("larger pool")
    elif set(left.values()) != {"free"}:
        exam.trap("stays taken")


# Task 3: closed browsers and a full pool

REPORT = """
    create function report() returns bigint language plpgsql as $$
    begin
        perform pg_advisory_xact_lock_shared(16);
        return (select count(*) from seats where status = 'sold');
    end $$"""
PATIENCE = 0.3  # of the half second
HOLD, LET_GO = "select pg_advisory_lock(16)", "select pg_advisory_unlock_all()"


async def _reports(exam: Examination) -> None:
    with servers.open() as stack:
        admin = await _admin(stack)
        await admin.execute(REPORT)
        async with _served(exam, stack) as ask:
            if not ask:
                return

            if _is_deaf(exam, await ask("GET", "/live")):
                return

            async def running(count: int) -> bool:
                return bool(await admin.fetchval(f"{SESSIONS} wait_event = 'advisory'") == count)

            async def few_run() -> bool:
                return await running(0) or await running(1)

            ready = _Client(*ask.urls)
            await admin.execute(HOLD)
            patient = asyncio.create_task(ask("GET", "/report", limit=4 * LIMIT))
            await _until(lambda: running(1))
            leaving = asyncio.create_task(ask("GET", "/report", limit=4 * LIMIT))
            both = await _until(lambda: running(2))
            begun = time.monotonic()
            asking = asyncio.create_task(ready("GET", "/ready"))
            full = await ask("GET", "/report")
            took, later = time.monotonic() - begun, ask.headers.get("retry-after")
            told = full == 503 and bool(later)
            is_ready = await asking
            leaving.cancel()
            await asyncio.wait({leaving})
            ended = await _until(few_run, 3)
            await asyncio.sleep(max(0.0, begun + 1.5 - time.monotonic()))
            still = await running(1) or await running(2)
            await admin.execute(LET_GO)
            answer = await patient
            exam.criterion("two reports run at once", both, "they did" if both else "they did not")
            exam.criterion(
                "no connection is free: 503 with Retry-After, soon, and not before half a second",
                told and PATIENCE <= took < LIMIT,
                f"{full}, Retry-After: {later}, {'at once' if took < PATIENCE else 'after a while'}",
            )
            exam.criterion(
                "no connection is free: ready answers all the same",
                not isinstance(is_ready, str),
                f"{is_ready}",
            )
            exam.criterion(
                "the client has gone: its query ends", ended, "ended" if ended else "it runs on"
            )
            exam.criterion(
                "another one waits for its report as long as it takes: 200",
                answer == 200,
                f"{answer}",
            )
            await admin.execute(HOLD)
            two = [asyncio.create_task(ask("GET", "/report")) for _ in range(POOL_SIZE)]
            again = await _until(lambda: running(POOL_SIZE), 2)
            third, begun = asyncio.create_task(ask("GET", "/report")), time.monotonic()
            await asyncio.wait({third}, timeout=0.2)
            await admin.execute(LET_GO)
            late = (
                time.monotonic() > begun + PATIENCE
            )  # on a machine that is as busy as that, 503 is right
            answers, soon = [await task for task in two], await third
            if again:
                exam.criterion(
                    "a connection comes free in time: 200",
                    soon == 200 or (soon == 503 and late),
                    f"{soon}",
                )
            exam.criterion(
                "afterwards, two reports run at once, as before",
                again and set(answers) == {200},
                _counted(answers),
            )

            await ready.http.aclose()
            up = {path: await ask("GET", path) for path in ("/live", "/ready")}
            admin.terminate()
            with stack.postgres.down():
                down = {path: await ask("GET", path) for path in ("/live", "/ready")}
            back = {path: await ask("GET", path) for path in ("/live", "/ready")}
    exam.criterion(
        "PostgreSQL is up: live and ready are 200, and again after it was down",
        set(up.values()) == set(back.values()) == {200},
        f"{_counted([*up.values(), *back.values()])}",
    )
    exam.criterion(
        "it is down: live is 200, ready is 503",
        down == {"/live": 200, "/ready": 503},
        f"live {down['/live']}, ready {down['/ready']}",
    )
    if both and not still and answer != 200:
        exam.trap("ends all")
    elif both and not told:
        exam.trap("waits for ever")  # and may then get a connection for a client that has gone
    elif both and not ended:
        exam.trap("runs on")
    elif both and not again:
        exam.trap("leaks")
    elif down["/live"] != 200:
        exam.trap("restarts all")


DRILL = Drill(
    NAME,
    "Exercise 15: 200 means stored, one seat one charge, closed browsers and a full pool",
    (
        Task(
            1,
            "200 means stored",
            _orders,
            drill=NAME,
            hints=(
                "When does COMMIT run, and when is the answer sent? How many connections does one request hold?",
                "What follows the yield of a dependency runs after the answer, unless its scope says otherwise. Two functions that "
                "acquire are two connections. A transaction is rolled back by an exception, not by a status code.",
                "One get_transaction, Depends(get_transaction, scope=\"function\") in the customer's function and in the order's, "
                'Depends(get_customer, scope="function"), and raise HTTPException(409).',
            ),
            traps={
                "before COMMIT": "200 was sent while COMMIT was still waiting. When it fails, the client has an order that does "
                "not exist.",
                "half": "The seat was sold, and its order not stored: two transactions for what belongs together. When the second "
                "one fails, or the process ends between them, half of it is left.",
                "sold twice": "Two customers looked, both found the seat free, and both bought it: what one has seen may have "
                "changed when it writes.",
                "commits a refusal": "409 was answered, and the order is stored: a returned answer is a success for the transaction.",
                "two connections": "Each request held a connection and waited for a second one. As many customers as connections, "
                "and nobody is served any more.",
                "larger pool": "More connections than POOL_SIZE says. With all processes, PostgreSQL runs out of them.",
            },
        ),
        Task(
            2,
            "one seat, one charge",
            _buying,
            drill=NAME,
            hints=(
                "Which connections are in use while the provider thinks, and what do they hold?",
                "A seat has three states. What must be decided before the charge, for all processes? What has to be undone when "
                "the charge fails, in each way in which it can?",
                "pool.fetchval(CHANGE, seat, 'free', 'held'), then the call without a connection in a try with "
                "except httpx.HTTPError; then held to free, or a transaction with held to sold and the order.",
            ),
            traps={
                "charged twice": "Two customers were charged for one seat: nothing in the database had said that it was taken.",
                "holds a connection": "Only as many customers as connections were with the provider at once: each held one "
                "meanwhile.",
                "larger pool": "More connections than POOL_SIZE says. With all processes, PostgreSQL runs out of them.",
                "stays taken": "The charge failed, and nobody can buy the seat any more.",
            },
        ),
        Task(
            3,
            "closed browsers and a full pool",
            _reports,
            drill=NAME,
            hints=(
                "Who tells the function that its client has gone? What does each of the three addresses wait for?",
                "Two things have to be waited for at the same time: the query and the message http.disconnect. acquire() has a "
                "timeout. Only one of live and ready may depend on PostgreSQL.",
                "asyncio.wait({query, leaving}, return_when=asyncio.FIRST_COMPLETED), where leaving reads request.receive() until "
                'its type is "http.disconnect"; finally cancel both, wait for both, release.',
            ),
            traps={
                "runs on": "The client has gone, and PostgreSQL works on for nobody.",
                "ends all": "The report of a client that was still waiting was ended, too.",
                "waits for ever": "The pool was full, and the client heard nothing.",
                "leaks": "After a client had gone, its connection did not come back to the pool.",
                "restarts all": "live asked PostgreSQL. When that is down for a moment, the orchestrator restarts every process.",
            },
        ),
    ),
)
