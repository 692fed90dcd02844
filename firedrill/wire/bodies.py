"""What a message says, in a few words: for each kind the name it is about, and a text."""

from __future__ import annotations

import struct

FRONTEND = {
    ord(letter): name
    for letter, name in {
        "B": "Bind",
        "C": "Close",
        "d": "CopyData",
        "c": "CopyDone",
        "f": "CopyFail",
        "D": "Describe",
        "E": "Execute",
        "H": "Flush",
        "F": "FunctionCall",
        "P": "Parse",
        "Q": "Query",
        "S": "Sync",
        "X": "Terminate",
    }.items()
}
BACKEND = {
    ord(letter): name
    for letter, name in {
        "K": "BackendKeyData",
        "2": "BindComplete",
        "3": "CloseComplete",
        "C": "CommandComplete",
        "d": "CopyData",
        "c": "CopyDone",
        "G": "CopyInResponse",
        "H": "CopyOutResponse",
        "W": "CopyBothResponse",
        "D": "DataRow",
        "I": "EmptyQueryResponse",
        "E": "ErrorResponse",
        "V": "FunctionCallResponse",
        "v": "NegotiateProtocolVersion",
        "n": "NoData",
        "N": "NoticeResponse",
        "A": "NotificationResponse",
        "t": "ParameterDescription",
        "S": "ParameterStatus",
        "1": "ParseComplete",
        "s": "PortalSuspended",
        "Z": "ReadyForQuery",
        "T": "RowDescription",
    }.items()
}
AUTHENTICATION = {
    0: "AuthenticationOk",
    3: "AuthenticationCleartextPassword",
    5: "AuthenticationMD5Password",
    10: "AuthenticationSASL",
    11: "AuthenticationSASLContinue",
    12: "AuthenticationSASLFinal",
}
WIDTH = 80  # characters of a query or an error: enough for the usual ones, few enough for a line


def short(text: str, width: int = WIDTH) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def frontend(kind: str, head: bytes) -> tuple[str, str]:
    """Name and text of a client's message. `head` may be cut off anywhere."""
    match kind:
        case "Parse":
            name, query = _strings(head, 2)
            return name, short(query)
        case "Bind":
            portal, statement = _strings(head, 2)
            arguments = [
                f"${number} = {value}"
                for number, value in enumerate(_arguments(head), 1)
                if value is not None
            ]
            return statement, short(", ".join([f"portal {portal}"] * bool(portal) + arguments))
        case "Describe" | "Close":
            return _strings(head[1:], 1)[0], "portal" if head[:1] == b"P" and len(head) > 2 else ""
        case "Execute":
            opened, _, limit = head.partition(b"\0")
            rows = int.from_bytes(limit[:4], "big")
            return _text(opened), f"at most {rows} row{'s' * (rows > 1)}" if rows else ""
        case "Query" | "CopyFail":
            return "", short(_strings(head, 1)[0])
        case _:
            return "", ""


def backend(kind: str, head: bytes) -> tuple[str, str]:
    """Name and text of a server's message. `head` may be cut off anywhere."""
    match kind:
        case "CommandComplete":
            return "", _strings(head, 1)[0]
        case "ReadyForQuery":
            return _text(head[:1]), ""
        case "ErrorResponse" | "NoticeResponse":
            fields = {field[:1]: _text(field[1:]) for field in head.split(b"\0")}
            return "", short(f"{fields.get(b'C', '')} {fields.get(b'M', '')}")
        case "NotificationResponse":
            channel, payload = _strings(head[4:], 2)
            return "", short(f"{channel}: {payload}")
        case "ParameterStatus":
            return "", short(" = ".join(_strings(head, 2)))
        case _:
            return "", ""


def is_fatal(head: bytes) -> bool:
    """Whether the server closes the connection after this error.

    Field V, which PgBouncer leaves out, is never translated.
    """
    return any(field in (b"VFATAL", b"VPANIC", b"SFATAL") for field in head.split(b"\0"))


def row(head: bytes) -> str:
    """The values of a DataRow, as far as they can be told."""
    values = _values(head, 2)
    return "" if None in values else short(", ".join(map(str, values)), 40)


def _arguments(head: bytes) -> list[str | None]:
    formats = head[head.find(b"\0", head.find(b"\0") + 1) + 1 :]
    return _values(formats, 2 + 2 * int.from_bytes(formats[:2], "big") + 2)


def _values(body: bytes, at: int) -> list[str | None]:
    """Values with their lengths before them, from `at` on, as far as they are there."""
    values: list[str | None] = []
    count = int.from_bytes(body[at - 2 : at], "big")
    while len(values) < count and at + 4 <= len(body):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        values.append("null" if size < 0 else _value(body[at : at + size]))
        at += max(size, 0)
    return values


def _value(data: bytes) -> str | None:
    """The types are not on the wire, so this guesses: text, which is the same in both formats,
    else a binary number.

    Numbers of PostgreSQL's binary format that are below a billion: as floats, these bytes would
    be too small to occur.
    """
    text = _text(data)
    if text.isprintable() and "\ufffd" not in text:
        return text
    number = int.from_bytes(data, "big", signed=True)
    return f"{number}" if len(data) in (2, 4, 8) and abs(number) < 10**9 else None


def authentication(head: bytes) -> str:
    code = int.from_bytes(head[:4], "big")
    return AUTHENTICATION.get(code, f"Authentication {code}")


def settings(body: bytes) -> dict[str, str]:
    """The pairs of a start-up message."""
    words = [_text(word) for word in body.rstrip(b"\0").split(b"\0")]
    return dict(zip(words[::2], words[1::2], strict=False))


def _strings(head: bytes, count: int) -> list[str]:
    """The first `count` strings, each of which ends with a zero byte."""
    found = [_text(part) for part in head.split(b"\0", count)[:count]]
    return found + [""] * (count - len(found))


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
