"""What a learner's code said before the criterion that was not met, as a picture with its words."""

from __future__ import annotations

from .. import pictures
from ..wire.connection import Connection
from ..wire.recorder import Recorder
from ..wire.table import flights, table
from .traffic import Line, Traffic

SHOWN = 40  # flights: more make a picture that nobody reads
KEY = b"K\0\0\0\x0c"  # BackendKeyData
# A process number of Linux has at most 22 bits. What PgBouncer gives a client there is random.
LONGEST_PID = 22


def draw(traffic: Traffic) -> None:
    """The pool's timeline, where somebody had to wait or got no connection; then the wire."""
    if not traffic.about:
        print("The check noted no criterion, so there is nothing to show.")
        return
    print(f"What your code did before this was noted: {traffic.about}")
    borrowed = traffic.borrowed
    if any(one.waited or one.gave_up or one.returned is None for one in borrowed.borrows):
        borrowed.draw()
    if not traffic.kept:
        print("It said nothing to a server through asyncpg in this process.")
        return
    recorder = recorded(traffic)
    everything = flights(recorder.events)
    shown = everything[-SHOWN:]
    words = repr(table(shown))
    if forgotten := len(everything) - len(shown):
        words = f"The last {SHOWN} of {len(everything)} steps; {forgotten} came before.\n{words}"
    if traffic.lost:
        words += "\n(there was more, which was too long to be kept)"
    from ..wire import picture  # matplotlib takes half a second to import

    pictures.show(picture.draw(shown), words)


def recorded(traffic: Traffic) -> Recorder:
    """What was kept, read as the recording proxy would have."""
    letters: dict[int, str] = {}
    recorder = Recorder(lambda pid: letters.setdefault(pid, _letter(len(letters))))
    connections: dict[Line, Connection] = {}
    for line, _, _ in traffic.kept:
        if line not in connections:
            back = "PgBouncer" if _is_of_pgbouncer(line) else ""
            connections[line] = recorder.open("client", back=back)
            for direction, data in line.startup:
                recorder.sent(connections[line], direction, data)
    recorder.clear()
    for line, direction, data in traffic.kept:
        recorder.sent(connections[line], direction, data)
    return recorder


def _letter(number: int) -> str:
    return chr(65 + number) if number < 26 else f"{number + 1}"


def _is_of_pgbouncer(line: Line) -> bool:
    answers = b"".join(data for direction, data in line.startup if direction == "backend")
    _, key, rest = answers.rpartition(KEY)
    return bool(key) and int.from_bytes(rest[:4]).bit_length() > LONGEST_PID
