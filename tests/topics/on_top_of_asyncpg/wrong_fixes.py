"""Wrong fixes for exercise 19, and other right ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from firedrill.topics.on_top_of_asyncpg.files.models import Gift, Order, Payment

Gifts = list[tuple[str, int]]


async def catch_them_all(sessions: Any, gifts: Gifts) -> list[str]:
    skipped = []
    async with sessions.begin() as session:
        for code, order in gifts:
            try:
                session.add(Gift(code=code, order_id=order))
                await session.flush()
            except SQLAlchemyError:
                skipped.append(code)
    return skipped


async def with_core(sessions: Any, gifts: Gifts) -> list[str]:
    skipped = []
    async with sessions.begin() as session:
        for code, order in gifts:
            try:
                await session.execute(insert(Gift).values(code=code, order_id=order))
            except DBAPIError:
                skipped.append(code)
    return skipped


async def roll_back(sessions: Any, gifts: Gifts) -> list[str]:
    skipped = []
    async with sessions() as session:
        for code, order in gifts:
            try:
                session.add(Gift(code=code, order_id=order))
                await session.flush()
            except IntegrityError as error:
                await session.rollback()
                if error.orig.sqlstate != "23505":  # type: ignore[union-attr]
                    raise
                skipped.append(code)
        await session.commit()
    return skipped


async def commit_each(sessions: Any, gifts: Gifts) -> list[str]:
    skipped = []
    for code, order in gifts:
        try:
            async with sessions.begin() as session:
                session.add(Gift(code=code, order_id=order))
        except IntegrityError as error:
            if error.orig.sqlstate != "23505":  # type: ignore[union-attr]
                raise
            skipped.append(code)
    return skipped


async def any_integrity_error(sessions: Any, gifts: Gifts) -> list[str]:
    skipped = []
    async with sessions.begin() as session:
        for code, order in gifts:
            try:
                async with session.begin_nested():
                    session.add(Gift(code=code, order_id=order))
            except IntegrityError:
                skipped.append(code)
    return skipped


async def ask_first(sessions: Any, gifts: Gifts) -> list[str]:
    skipped = []
    async with sessions.begin() as session:
        for code, order in gifts:
            if await session.get(Gift, code):
                skipped.append(code)
            else:
                session.add(Gift(code=code, order_id=order))
                await session.flush()
    return skipped


async def on_conflict(sessions: Any, gifts: Gifts) -> list[str]:
    skipped = []
    async with sessions.begin() as session:
        for code, order in gifts:
            stored = await session.scalar(
                insert(Gift)
                .values(code=code, order_id=order)
                .on_conflict_do_nothing(index_elements=["code"])
                .returning(Gift.code)
            )
            if stored is None:
                skipped.append(code)
    return skipped


async def without_the_second(sessions: Any, gifts: Gifts) -> list[str]:
    """Of a code that comes twice it tells nothing."""
    return await on_conflict(sessions, list(dict(reversed(gifts)).items()))


async def on_conflict_for_all(sessions: Any, gifts: Gifts) -> list[str]:
    async with sessions.begin() as session:
        rows = [{"code": code, "order_id": order} for code, order in gifts]
        stored = set(
            await session.scalars(
                insert(Gift).on_conflict_do_nothing().returning(Gift.code).values(rows)
            )
        )
    skipped = []
    for code, _ in gifts:
        if code in stored:
            stored.remove(code)
        else:
            skipped.append(code)
    return skipped


async def _add(session: Any, order: int, total: int, receipt: str) -> int:
    payment = Payment(order_id=order, amount_cents=total, method=receipt)
    session.add(payment)
    await session.flush()
    number = payment.id
    await session.commit()
    return number


async def only_the_id(sessions: Any, charge: Any, order: int) -> int:
    async with sessions() as session:
        total = (await session.get_one(Order, order)).total_cents
        return await _add(session, order, total, await charge(total))


async def commit_and_refresh(sessions: Any, charge: Any, order: int) -> int:
    async with sessions() as session:
        found = await session.get_one(Order, order)
        await session.commit()
        await session.refresh(found)
        total = found.total_cents
        return await _add(session, order, total, await charge(total))


async def in_autocommit(sessions: Any, charge: Any, order: int) -> int:
    async with sessions() as session:
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        total = (await session.get_one(Order, order)).total_cents
        receipt = await charge(total)
    async with sessions() as session:
        return await _add(session, order, total, receipt)


async def read_after_commit(sessions: Any, charge: Any, order: int) -> int:
    async with sessions() as session:
        total = (await session.get_one(Order, order)).total_cents
    receipt = await charge(total)
    async with sessions() as session:
        payment = Payment(order_id=order, amount_cents=total, method=receipt)
        session.add(payment)
        await session.commit()
        return payment.id


async def store_first(sessions: Any, charge: Any, order: int) -> int:
    async with sessions() as session:
        total = (await session.get_one(Order, order)).total_cents
        number = await _add(session, order, total, "card")
    await charge(total)
    return number


async def store_and_delete(sessions: Any, charge: Any, order: int) -> int:
    number = None
    async with sessions() as session:
        total = (await session.get_one(Order, order)).total_cents
        number = await _add(session, order, total, "card")
    try:
        await charge(total)
    except Exception:
        async with sessions.begin() as session:
            await session.delete(await session.get_one(Payment, number))
        raise
    return number


async def commit_only(sessions: Any, charge: Any, order: int) -> int:
    async with sessions() as session:
        total = (await session.get_one(Order, order)).total_cents
        await session.commit()
        return await _add(session, order, total, await charge(total))


async def keep_after_commit(sessions: Any, charge: Any, order: int) -> int:
    async with sessions(expire_on_commit=False) as session:
        found = await session.get_one(Order, order)
    receipt = await charge(found.total_cents)
    async with sessions(expire_on_commit=False) as session, session.begin():
        payment = Payment(order_id=order, amount_cents=found.total_cents, method=receipt)
        session.add(payment)
    return payment.id


async def no_error_for_no_order(sessions: Any, charge: Any, order: int) -> int | None:
    async with sessions() as session:
        total = await session.scalar(select(func.max(Order.total_cents)).where(Order.id == order))
    receipt = await charge(total)
    with contextlib.suppress(IntegrityError):
        async with sessions() as session:
            return await _add(session, order, total, receipt)
    return None


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "swallowed"): catch_them_all,
    (1, "emptied"): roll_back,
    (1, "half"): commit_each,
    (1, "any reason"): any_integrity_error,
    (2, "transaction"): only_the_id,
    (2, "connection"): in_autocommit,
    (2, "expired"): read_after_commit,
    (2, "early"): store_first,
}
OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "swallowed", with_core),
    (1, "", without_the_second),
    (1, None, ask_first),
    (1, None, on_conflict),
    (1, None, on_conflict_for_all),
    (2, "transaction", commit_and_refresh),
    (2, "", store_and_delete),
    (2, "", no_error_for_no_order),
    (2, None, commit_only),
    (2, None, keep_after_commit),
)
