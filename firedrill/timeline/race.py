"""What two or three connections did, statement by statement: a lane for each, time goes down.

asyncpg's query loggers tell no result, and nothing of a statement that waits still. So while at
least one race is recorded, the four public methods through which statements go, and through
which `transaction()` sends its BEGIN and COMMIT, listen.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from asyncpg import Connection, Record

from ..pictures import show
from ..tables import Table

if TYPE_CHECKING:  # matplotlib takes half a second to import, and most kernels draw nothing
    from matplotlib.figure import Figure

METHODS = ("execute", "fetch", "fetchrow", "fetchval")
LONGEST = 60  # letters of a statement or an answer in the table


@dataclass
class Step:
    """One statement, in one line, with its arguments in place."""

    number: int  # in the order of sending, from 1
    who: str
    statement: str
    answer: str = (
        ""  # the command's tag, the value, the rows or the error's class; "" while there is none
    )
    failed: bool = False
    # The step that was sent last when the answer came: its own, or the one that it waited for.
    after: int | None = None

    @property
    def waited(self) -> bool:
        """The others went on before there was an answer."""
        return self.after != self.number


@dataclass(eq=False)
class Race:
    """`steps` in the order in which they were sent.

    Contents depend on that order only, not on time.

    `picture` draws it.
    """

    names: tuple[str, ...]
    picture: Callable[[Race], Figure] = field(repr=False)
    steps: list[Step] = field(default_factory=list)

    def draw(self) -> None:
        """Display the picture; its words are the table."""
        show(self.picture(self), repr(self))

    def __repr__(self) -> str:
        return repr(
            Table(
                ["step", "who", "statement", "answer"],
                [
                    (step.number, step.who, _cut(step.statement), _cut(_words(step)))
                    for step in self.steps
                ],
                empty="nobody sent a statement",
            )
        )


_races: dict[Connection, tuple[Race, str]] = {}
_originals: dict[str, Callable[..., Any]] = {}


@contextlib.contextmanager
def recorded(
    connections: dict[str, Connection], picture: Callable[[Race], Figure]
) -> Iterator[Race]:
    """See `timeline.race`."""
    for name, connection in connections.items():
        if Connection not in type(connection).__mro__:  # a pool's proxy is one for isinstance()
            raise TypeError(
                f"{name} is a {type(connection).__name__}. "
                "A race is between connections of asyncpg.connect()."
            )
        if connection in _races:
            raise ValueError(f"{name} is being recorded already: end that recording first.")
    race = Race(tuple(connections), picture)
    _races.update((connection, (race, name)) for name, connection in connections.items())
    if not _originals:
        for method in METHODS:
            _originals[method] = getattr(Connection, method)
            setattr(Connection, method, _listening(method, _originals[method]))
    try:
        yield race
    finally:
        for connection in connections.values():
            del _races[connection]
        while _originals and not _races:
            setattr(Connection, *_originals.popitem())


def _listening(method: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def call(connection: Connection, query: str, *args: Any, **options: Any) -> Any:
        if connection not in _races:
            return await original(connection, query, *args, **options)
        race, who = _races[connection]
        step = Step(len(race.steps) + 1, who, _one_line(query, args))
        race.steps.append(step)
        try:
            answer = await original(connection, query, *args, **options)
        except BaseException as error:
            step.failed = True
            step.answer = " ".join(
                filter(None, (getattr(error, "sqlstate", None), type(error).__name__))
            )
            raise
        else:
            step.answer = answer if method == "execute" else _short(answer)
            return answer
        finally:
            step.after = len(race.steps)

    return call


def _one_line(query: str, args: tuple[Any, ...]) -> str:
    def argument(place: re.Match[str]) -> str:
        value = args[int(place[1]) - 1] if 0 < int(place[1]) <= len(args) else place[0]
        return f"'{value}'" if isinstance(value, str) and value is not place[0] else str(value)

    return re.sub(r"\$(\d+)", argument, " ".join(query.split())).rstrip("; ")


def _short(answer: Any) -> str:
    if isinstance(answer, Record):
        return ", ".join(map(str, answer.values()))
    if isinstance(answer, list):
        return f"{len(answer)} rows" if len(answer) != 1 else _short(answer[0])
    return str(answer)


def _words(step: Step) -> str:
    if step.after is None:
        return "waits still"
    return f"waits; after step {step.after}: {step.answer}" if step.waited else step.answer


def _cut(text: str, width: int = LONGEST) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
