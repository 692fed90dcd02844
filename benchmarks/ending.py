"""What a benchmark started ends with it, also when Ctrl-C is pressed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

from .row import REPOSITORY

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """For cleaning up: Ctrl-C is obeyed when the block is over."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    before = [signal.signal(number, note) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
        if received:
            raise KeyboardInterrupt


def run(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run`, in the repository.

    Interrupted, it lets the command end what it has started itself.

    In a separate session: Ctrl-C in a terminal reaches only this process, which decides.
    Raises `RuntimeError` with the end of what the command printed.
    """
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        with undisturbed():
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        raise
    if process.returncode:
        raise RuntimeError(
            f"`{' '.join(command[1:])}` ended with {process.returncode}: "
            f"{' / '.join(output.strip().splitlines()[-1:])}"
        )
    return subprocess.CompletedProcess(command, process.returncode, output)
