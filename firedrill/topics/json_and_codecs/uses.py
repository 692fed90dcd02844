"""Uses of a connection that has the learner's codec, which may raise, block or give anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ...checking.examination import Examination
from ...checking.outcome import Outcome

Use = Callable[[Any], Awaitable[Any]]


class Seen:
    """What came of each use, by its name."""

    def __init__(self, uses: dict[str, tuple[Use, object]], outcomes: dict[str, Outcome]) -> None:
        self._uses, self._outcomes = uses, outcomes

    def __getitem__(self, what: str) -> Outcome:
        return self._outcomes[what]

    def right(self, what: str) -> bool:
        outcome = self._outcomes[what]
        return outcome.returned and same(outcome.value, self._uses[what][1])

    def texts(self) -> str:
        return " ".join(map(str, self._outcomes.values()))


async def examine(exam: Examination, conn: Any, uses: dict[str, tuple[Use, object]]) -> Seen:
    """A criterion for each use: what should come of it does."""
    outcomes: dict[str, Outcome] = {}
    seen = Seen(uses, outcomes)
    for what, (use, _) in uses.items():
        outcomes[what] = await exam.call(use, conn)
        met = seen.right(what)
        exam.criterion(what, met, "right" if met else str(outcomes[what]))
    return seen


async def still_in_use(exam: Examination, conn: Any) -> None:
    after = await exam.call(lambda conn: conn.fetchval("select 1"), conn)
    met = same(after.value, 1)
    exam.criterion("and the connection is still in use", met, "it is" if met else str(after))


def same(found: object, wanted: object) -> bool:
    """Equal, and of the same type: True is no 1, and a str that equals everything is no dict."""
    try:
        return type(found) is type(wanted) and bool(found == wanted)
    except Exception:
        return False
