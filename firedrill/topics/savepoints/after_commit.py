"""Stretch: what happens outside the database, after COMMIT."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "what happens after COMMIT"

HINTS = (
    "When may an e-mail be sent: after the INSERT, after the inner block, or after the outer one?",
    "Keep a list of what is to be called, one for each block that is open. What becomes of a "
    "block's list when it ends well, and what when it is rolled back?",
    "An inner block that ends well hands its list to the block around it; the outermost one calls "
    "what it has after its transaction() block has ended.",
)

TRAPS = {
    "early": "It was called before COMMIT: nobody else sees the order yet, and it may still be "
    "rolled back.",
    "undone": "The inner block was rolled back, and what belongs to it was called all the same.",
}

INSERT = "insert into payments (order_id, amount_cents, method) values ($1, $2, 'card')"
SEEN = "select count(*) from payments where amount_cents = $1"


class Undo(Exception):
    """Leaves a block, so that it is rolled back."""


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        called: list[str] = []
        early: list[str] = []
        outcome = await exam.run(conn)
        unit = outcome.value
        if not (hasattr(unit, "transaction") and hasattr(unit, "after_commit")):
            exam.criterion("an object with the two methods comes back", False, str(outcome))
            return

        async def pay(name: str, cents: int) -> None:
            await conn.execute(INSERT, 1, cents)
            unit.after_commit(lambda: called.append(name))

        async def both_good() -> list[str]:
            async with unit.transaction():
                await pay("outer", 11)
                async with unit.transaction():
                    await pay("inner", 12)
                early.extend(called)
                await pay("last", 13)
            return list(called)

        async def inner_undone() -> list[str]:
            async with unit.transaction():
                await pay("outer", 21)
                try:
                    async with unit.transaction():
                        await pay("inner", 22)
                        raise Undo
                except Undo:
                    pass
            return list(called)

        async def outer_undone() -> list[str]:
            try:
                async with unit.transaction():
                    async with unit.transaction():
                        await pay("inner", 31)
                    raise Undo
            except Undo:
                pass
            return list(called)

        async def again() -> list[str]:
            async with unit.transaction():
                await pay("again", 41)
            return list(called)

        scenes = {
            "an outer and an inner block end well: all three are called, in order": (
                both_good,
                ["outer", "inner", "last"],
                (11, 12, 13),
            ),
            "the inner block is rolled back: that of the outer one alone": (
                inner_undone,
                ["outer"],
                (21,),
            ),
            "the outer block is rolled back: none": (outer_undone, [], ()),
            "the next transaction: its own": (again, ["again"], (41,)),
        }
        undone = False
        for what, (scene, right, cents) in scenes.items():
            called.clear()
            result = await exam.call(scene)
            stored = [await look.fetchval(SEEN, one) for one in cents]
            met = result.value == right and all(stored)
            undone |= scene is inner_undone and "inner" in called
            exam.criterion(what, met, f"{result.value}" if result.returned else str(result))
        exam.criterion(
            "none is called before COMMIT",
            not early,
            f"{early} before it" if early else "none was",
        )
        if early:
            exam.trap("early")
        elif undone:
            exam.trap("undone")
        conn.terminate()
