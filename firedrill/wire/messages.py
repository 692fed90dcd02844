"""Messages of the PostgreSQL protocol, version 3, taken out of the two byte streams of a
connection.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

from .bodies import BACKEND, FRONTEND, authentication, backend, frontend, settings

Direction = Literal["frontend", "backend"]  # who sends, in the protocol's own words

# Of a longer body only the beginning is looked at, so a row of 20 MB costs no memory.
# Statement names and the fields of an error that count stand at the beginning.
HEAD = 1024
LONGEST = 1 << 30  # what the server takes, PQ_LARGE_MESSAGE_LIMIT; more is no length but garbage
LONGEST_STARTUP = 10_000  # MAX_STARTUP_PACKET_LENGTH
SSL, GSS, CANCEL = 80877103, 80877104, 80877102
TLS_HANDSHAKE = 0x16  # first byte of every TLS connection, and of no start-up packet
TYPED, LENGTH_AND_CODE = struct.Struct("!BI"), struct.Struct("!II")


class Message(NamedTuple):
    kind: str  # "Parse"
    name: str = ""  # of the statement or portal; the transaction status of ReadyForQuery
    text: str = ""  # query, command tag, error: shortened
    size: int = 0  # bytes on the wire
    head: bytes = b""  # the beginning of the body


class Conversation:
    """What both sides of one connection say.

    Fed with the streams in any pieces, it gives the same messages.

    Bytes that are no messages, because they are encrypted or garbage, become messages named
    "TLS", "GSS" or "garbage"; of these one comes for each piece.
    """

    def __init__(self) -> None:
        self._rest: dict[Direction, bytes] = {"frontend": b"", "backend": b""}
        self._skip: dict[Direction, int] = {"frontend": 0, "backend": 0}
        self._opaque: dict[Direction, str] = {}
        self._starting = True  # the client's first packets have no type
        self._encryption_asked = 0  # requests whose answer, one byte, is still to come
        self._authentication = ""

    def feed(self, direction: Direction, data: bytes) -> Iterator[Message]:
        """The messages whose beginning `data` completes."""
        skip = self._skip[direction]
        if skip:
            self._skip[direction] = max(0, skip - len(data))
            data = data[skip:]
        if not data:
            return
        data, at = self._rest[direction] + data, 0
        while direction not in self._opaque:
            found = (
                self._start(data, at)
                if direction == "frontend" and self._starting
                else self._answer(data, at)
                if direction == "backend" and self._encryption_asked
                else self._typed(direction, data, at)
            )
            if found is None:
                break
            if found.kind:
                yield found
            at += found.size
        if direction in self._opaque:
            if at < len(data):
                yield Message(self._opaque[direction], size=len(data) - at)
            self._rest[direction] = b""
            return
        self._skip[direction] = max(0, at - len(data))
        self._rest[direction] = data[at:]

    def give_up(self, direction: Direction) -> None:
        """Take all that follows for garbage."""
        self._opaque[direction] = "garbage"

    def _typed(self, direction: Direction, data: bytes, at: int) -> Message | None:
        if len(data) - at < TYPED.size:
            return None
        letter, size = TYPED.unpack_from(data, at)
        if not 4 <= size <= LONGEST:
            return self._is_opaque(direction, "garbage")
        if len(data) < at + 1 + min(size, HEAD):
            return None
        head = data[at + TYPED.size : at + 1 + min(size, HEAD)]
        if direction == "backend":
            if letter == 0x52:  # R
                self._authentication = authentication(head)
                return Message(self._authentication, size=size + 1)
            kind = BACKEND.get(letter)
            return (
                Message(kind, *backend(kind, head), size + 1, head)
                if kind
                else _unknown(letter, size + 1)
            )
        if (
            letter == 0x70
        ):  # p: its meaning depends on what the server asked for. Its body is a secret
            kind = {
                "AuthenticationSASL": "SASLInitialResponse",
                "AuthenticationSASLContinue": "SASLResponse",
            }.get(self._authentication, "PasswordMessage")
            return Message(kind, size=size + 1)
        kind = FRONTEND.get(letter)
        return (
            Message(kind, *frontend(kind, head), size + 1, head)
            if kind
            else _unknown(letter, size + 1)
        )

    def _start(self, data: bytes, at: int) -> Message | None:
        """A packet without a type.

        There may be several: requests for encryption come before the start-up message.
        """
        if data[at : at + 1] == bytes([TLS_HANDSHAKE]):
            if not self._encryption_asked:  # sslnegotiation=direct
                self._opaque.setdefault("backend", "TLS")
            return self._is_opaque("frontend", "TLS")
        if len(data) - at < LENGTH_AND_CODE.size:
            return None
        size, code = LENGTH_AND_CODE.unpack_from(data, at)
        if not 8 <= size <= LONGEST_STARTUP or not (code in (SSL, GSS, CANCEL) or code >> 16 == 3):
            return self._is_opaque("frontend", "garbage")
        if len(data) - at < size:
            return None
        body = data[at + 8 : at + size]
        if code in (SSL, GSS):
            self._encryption_asked += 1
            return Message("SSLRequest" if code == SSL else "GSSENCRequest", size=size)
        self._starting = False
        if code == CANCEL:
            return Message("CancelRequest", size=size, head=body)
        shown = ", ".join(f"{key}={value}" for key, value in settings(body).items())
        return Message("StartupMessage", text=shown, size=size, head=body)

    def _answer(self, data: bytes, at: int) -> Message | None:
        """To a request for encryption: S or G, yes; N, no.

        A server may also send an error, a message as usual.
        """
        letter = data[at : at + 1]
        if not letter:
            return None
        self._encryption_asked -= 1
        if letter in (b"S", b"G"):
            self._opaque["backend"] = "TLS" if letter == b"S" else "GSS"
            if (
                letter == b"G"
            ):  # a client of TLS shows by itself that it has begun, see TLS_HANDSHAKE
                self._opaque["frontend"] = "GSS"
        elif letter != b"N":
            return Message("")
        return Message("encryption: no" if letter == b"N" else "encryption: yes", size=1)

    def _is_opaque(self, direction: Direction, what: str) -> Message:
        self._opaque[direction] = what
        return Message("")


def _unknown(letter: int, size: int) -> Message:
    shown = repr(chr(letter)) if 0x20 < letter < 0x7F else f"{letter:#04x}"
    return Message(f"unknown {shown}", text=f"{size} bytes", size=size)
