"""`with expect(asyncpg.X):` prints the error that the block raises. It fails if there is none, or
another one."""

from __future__ import annotations

import sys
from collections import Counter
from types import TracebackType
from typing import Self


class expect:
    """Afterwards, `exception` is what was raised.

    The leaves of an ExceptionGroup are expected each.

    Raises `AssertionError` when nothing, or something else, was raised.
    """

    exception: BaseException

    def __init__(self, *classes: type[BaseException], hint: bool = True) -> None:
        """`hint=False` leaves the HINT below an error out: asyncpg's own fills a screen, each
        time."""
        self.classes, self.hint = classes, hint

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> bool:
        wanted = " or ".join(public_name(one) for one in self.classes)
        if error is None:
            raise AssertionError(f"Expected {wanted}, but nothing was raised.")
        leaves = [error] if isinstance(error, self.classes) else list(_leaves(error))
        if not all(isinstance(leaf, self.classes) for leaf in leaves):
            if isinstance(error, KeyboardInterrupt):
                return False
            raise AssertionError(f"Expected {wanted}, but got:\n{describe(error)}") from error
        self.exception = error
        print(describe(error) if self.hint else describe(error).partition("\n  HINT:")[0])
        return True


def describe(error: BaseException) -> str:
    """Class, SQLSTATE and text, as "asyncpg.InvalidPasswordError [28P01]: password
    authentication failed …"."""
    if isinstance(error, BaseExceptionGroup):
        counted = Counter(describe(leaf) for leaf in _leaves(error))
        return f"{public_name(type(error))} of {counted.total()}:\n" + "\n".join(
            f"  {count} x {text}" for text, count in sorted(counted.items())
        )
    sqlstate = getattr(error, "sqlstate", None)
    text = "\n  ".join(str(error).splitlines()) or "(no text)"
    return f"{public_name(type(error))}{f' [{sqlstate}]' if sqlstate else ''}: {text}"


def public_name(kind: type) -> str:
    """As users write it: `asyncpg.DataError` is defined in `asyncpg.exceptions`."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    package = kind.__module__.split(".")[0]
    offered = getattr(sys.modules.get(package), kind.__name__, None)
    return f"{package if offered is kind else kind.__module__}.{kind.__qualname__}"


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for part in error.exceptions for leaf in _leaves(part)]
