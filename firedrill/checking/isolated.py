"""A learner's function in another process, without what it keeps in memory here.

async with exam.in_process() as there:
    await there.do("_conn = await asyncpg.connect(_dsn)", _dsn=dsn)  # our own names
    outcome = await there.run("_conn", limit=1.5)  # arguments as source text
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import pickle
import textwrap
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from .. import worker
from ..expect import describe
from .outcome import Elsewhere, Outcome

PREPARE = """
import pickle
from firedrill.expect import describe
"""
# Not a Sandbox, which takes this process seconds to import. Code that blocks the event loop is
# ended together with its process.
RUN = """
_call = asyncio.ensure_future(_learners_code({arguments}))
await asyncio.wait({{_call}}, timeout=_limit)
_hung, _error, _value = not _call.done(), None, None
if _hung:
    _call.cancel()
    await asyncio.wait({{_call}}, timeout=1)
elif _call.cancelled() or _call.exception():
    _error = "cancelled" if _call.cancelled() else describe(_call.exception())
else:
    _value = _call.result()
_value if isinstance(_value, bool | int | float | str | None) else repr(_value), _error, _hung
"""
PATIENCE = 5  # seconds that a call may take beyond its limit, before its process is ended


@dataclass(frozen=True)
class Process:
    """The process in which the learner's function is."""

    worker: worker.Worker

    async def do(self, source: str, **values: Any) -> Any:
        """Run the check's own code there. Returns the value of its last expression."""
        return await self.worker(source, **values)

    async def run(self, arguments: str, limit: float = 5.0) -> Outcome:
        """Await the function there. A value that is not plain comes as its repr, an error as
        `Elsewhere`."""
        try:
            async with asyncio.timeout(limit + PATIENCE):
                value, error, hung = await self.worker(
                    RUN.format(arguments=arguments), _limit=limit
                )
        except TimeoutError:
            self.worker.kill()
            return Outcome(hung=True, limit=limit)
        except Exception as failed:  # the process has ended, say
            return Outcome(error=Elsewhere(describe(failed)), limit=limit)
        return Outcome(value, Elsewhere(error) if error else None, hung, limit=limit)


@contextlib.asynccontextmanager
async def process(function: Callable[..., Any]) -> AsyncIterator[Process]:
    """A process that has `function`, and what it names as that is at this moment.

    Raises OSError or TypeError where there is no source text of it.
    """
    function = inspect.unwrap(function)
    source, values = _with_what_it_names(function)
    there = await worker.start()
    try:
        await there(PREPARE)
        for name, value in values.items():
            with contextlib.suppress(Exception):  # the function will miss it, and say so
                await there(f"{name} = pickle.loads(_value)", _value=value)
        await there(
            f"from __future__ import annotations\n{source}\n_learners_code = {function.__name__}"
        )
        yield Process(there)
    finally:
        there.kill()
        await there.stop()


def _with_what_it_names(function: Callable[..., Any]) -> tuple[str, dict[str, bytes]]:
    """Its source text, with that of the imports, functions and classes that it names; and the
    pickled values of its other names."""
    world: dict[str, Any] = getattr(function, "__globals__", {})
    sources: dict[str, str] = {}
    values: dict[str, bytes] = {}

    def source_of(thing: Any) -> str:
        source = textwrap.dedent(inspect.getsource(thing))
        for name in sorted(
            {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        ):
            if name not in world or name in sources or name in values:
                continue
            value = world[name]
            if isinstance(value, ModuleType):
                sources[name] = f"import {value.__name__} as {name}"
            elif getattr(value, "__module__", None) == function.__module__ and hasattr(
                value, "__qualname__"
            ):
                sources[name] = ""  # it may name itself
                own = source_of(value)
                del sources[name]  # after those that it names
                sources[name] = f"{own}\n{name} = {value.__name__}"
            else:
                with contextlib.suppress(Exception):
                    values[name] = pickle.dumps(value)
        return source

    own = source_of(function)
    return "\n".join([*sources.values(), own]), values
