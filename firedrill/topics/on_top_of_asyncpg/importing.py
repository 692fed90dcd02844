"""An import that skips what is there already: one transaction, and errors that are no surprise."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .service import Service, gives_back, running

TITLE = "an import that skips what is there already"

HINTS = (
    "What does PostgreSQL do with a transaction in which a statement has failed, and what does the "
    "session do at the next flush?",
    "Only a savepoint keeps the rows before the error: session.begin_nested(). And an "
    "IntegrityError has more than one reason: error.orig.sqlstate.",
    "For each gift: try: async with session.begin_nested(): session.add(Gift(...)). Except "
    "IntegrityError as error: if error.orig.sqlstate is 23505, note the code, else raise. Or no "
    "error at all: insert ... on conflict do nothing returning code.",
)

TRAPS = {
    "swallowed": "It returned as if all were well, and nothing is stored: the error ended the "
    "transaction, and its COMMIT was a rollback.",
    "emptied": "The gifts after the taken one are stored, those before it are gone: rollback() "
    "takes back all of the transaction, not only its last statement.",
    "half": "The error arrived, but gifts before it are stored: the import is several "
    "transactions.",
    "any reason": "An order that does not exist was taken for a code that is taken: both are an "
    "IntegrityError.",
}

NO_ORDER = 999_999


async def check(exam: Examination) -> None:
    async with running() as service:

        async def imported(what: str, gifts: list[tuple[str, int]]) -> tuple[Outcome, list[str]]:
            await service.admin.execute("delete from gifts where code <> 'TAKEN'")
            outcome = await exam.run(service.sessions, gifts)
            stored = await service.admin.fetch("select code from gifts order by code")
            return outcome, [row["code"] for row in stored if row["code"] != "TAKEN"]

        for what, gifts, skipped in (
            ("three new gifts", [("A", 1), ("B", 2), ("C", 3)], []),
            (
                "one in the middle is taken, and one comes twice",
                [("A", 1), ("TAKEN", 2), ("B", 3), ("B", 4), ("C", 5)],
                ["TAKEN", "B"],
            ),
            ("the last one is taken", [("A", 1), ("B", 2), ("TAKEN", 3)], ["TAKEN"]),
        ):
            outcome, stored = await imported(what, gifts)
            wanted = sorted({code for code, _ in gifts} - {"TAKEN"})
            exam.criterion(
                f"{what}: the others are stored, {skipped} comes back",
                stored == wanted and outcome.value == skipped,
                f"{stored} stored; {outcome}",
            )
            if outcome.returned and not stored:
                exam.trap("swallowed")
            if stored and wanted[-1] in stored and "A" not in stored:
                exam.trap("emptied")
            if stored != wanted:
                return
        await _refuses(exam, service)


async def _refuses(exam: Examination, service: Service) -> None:
    await service.admin.execute("delete from gifts where code <> 'TAKEN'")
    gifts = [("A", 1), ("TAKEN", 1), ("B", NO_ORDER), ("C", 2)]
    outcome = await exam.run(service.sessions, gifts)
    stored = await service.admin.fetchval("select count(*) from gifts where code <> 'TAKEN'")
    right = isinstance(outcome.error, IntegrityError)
    exam.criterion(
        "an order that does not exist: that error arrives, and nothing is stored",
        right and not stored,
        f"{stored} stored; {outcome}",
    )
    if right and stored:
        exam.trap("half")
    if outcome.returned:
        exam.trap("any reason")
    await gives_back(exam, service)
