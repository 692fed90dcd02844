"""What logs, terminals and JSON add to an error's text, taken off again; and secrets, masked."""

from __future__ import annotations

import re

LARGEST = 60_000  # characters that are looked at; of a larger paste, the end and the beginning
_END, _BEGINNING, _AROUND = 30_000, 10_000, 2_000

_COLOURS = re.compile(
    r"(?:\x1b|\\x1b|\\u001b|\\033|␛)?\[[0-9;]{1,12}m|\x1b\[[0-9;?]{0,12}[A-Za-z]", re.I
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\ufeff\ufffd]")
_ESCAPED = re.compile(
    r"\\n(?:\s{2}|\||Traceback|DETAIL|HINT|CONTEXT|During|The above"
    r"|[\w.]{3,60}(?:Error|Exception)\b)"
)
_NEWLINE = re.compile(r"\\+r?\\*n|\\+r")
_QUOTES = str.maketrans("“”„«»‘’‚`´\u00a0\u2028", "\"\"\"\"\"'''''  ")
_MARKUP = (
    ("&quot;", '"'),
    ("&#34;", '"'),
    ("&#39;", "'"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&amp;", "&"),
)
# Each at the beginning of a line, one after the other: a log may have several.
_PREFIX = re.compile(
    r"\s*(?:"
    r"\[pod/[^\]]{1,120}\]\s"  # kubectl logs --prefix
    r"|[\w.-]{1,60}\s*\|(?=\s|$)"  # docker compose
    r"|\d{4}-\d\d-\d\d[T ][\d:.,]{5,18}(?:Z|\s?[+-]\d\d:?\d\d|\sUTC)?\s"
    r"(?:(?:stdout|stderr)\s[FP]\s)?"
    r"|[A-Z][a-z]{2}\s{1,2}\d{1,2}\s[\d:]{8}\s\S{1,60}\s[^\s:]{1,60}:\s"  # journald, syslog
    r"|[E>](?=\s{2,})"  # pytest
    r"|[|│┃](?=\s|$)"  # an exception group, rich
    r")"
)
_LONGEST = 6_000  # characters of a line that are looked at: its two ends

_DSN = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,30}://[^\s:/@\"']{0,200}):([^\s/\"']{1,200})@")
_KEY = re.compile(
    r"(?i)\b((?:pg|db_?|postgres_?|database_?)?(?:password|passwd|pwd|secret|token|api_?key)"
    r"[\"']?\s{0,3}[=:]\s{0,3})"
    r"(\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|(?!authentication|\s)[^\s,;)&\"']{1,200})"
)


def masked(text: str) -> str:
    """With the passwords in DSNs, keyword arguments and settings replaced."""
    return _KEY.sub(r"\1***", _DSN.sub(r"\1:***@", text))


def decoded(pasted: str | bytes) -> str:
    """As text, whatever it is: bytes that are no UTF-8 are left out."""
    if isinstance(pasted, bytes):
        pasted = pasted.decode(
            "utf-16" if pasted[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace"
        )
    return pasted if len(pasted) <= LARGEST else _excerpt(pasted)


def _excerpt(text: str) -> str:
    """The beginning, the end, and what is around the last words that tell of an error."""
    parts = {0: _BEGINNING, len(text) - _END: len(text)}
    for word in ("Traceback", "Error", "Exception", "FATAL", "ERROR"):
        at = text.rfind(word, _BEGINNING, len(text) - _END)
        if at >= 0:
            parts[max(_BEGINNING, at - _AROUND)] = min(len(text) - _END, at + _AROUND)
    return "\n".join(text[begin : parts[begin]] for begin in sorted(parts))


def lines(pasted: str | bytes) -> list[str]:
    """The lines as they were before a terminal, a log or JSON got hold of them."""
    text = decoded(pasted)
    text = _COLOURS.sub("", text)
    if _ESCAPED.search(text):
        text = _NEWLINE.sub("\n", text)
    text = text.replace("\\t", " ") if "\\t " in text else text
    text = text.replace('\\\\"', '"').replace('\\"', '"').replace("\\'", "'")
    for markup, sign in _MARKUP:
        text = text.replace(markup, sign)
    text = _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n")).translate(_QUOTES)
    return [_bare(line) for line in _unwrapped(text).split("\n")]


def _unwrapped(text: str) -> str:
    """Without the line breaks of a terminal, which come after the same number of characters."""
    rows = text.split("\n")
    width = max(map(len, rows))
    if width < 40 or sum(len(row) == width for row in rows[:-1]) < 2:
        return text
    return "".join(row + ("" if len(row) == width else "\n") for row in rows)


def _bare(line: str) -> str:
    for _ in range(4):
        match = _PREFIX.match(line)
        if not match or not match.end():
            break
        line = line[match.end() :]
    at = line.find("[SQL: ")  # a statement of SQLAlchemy's is no error's text
    if at >= 0:
        line = line[:at]
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} {line[-_LONGEST // 2 :]}"
    return line.rstrip()
