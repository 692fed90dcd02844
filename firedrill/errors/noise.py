"""What logs, terminals and JSON add to an error's text, taken off again; and secrets, masked.

Expressions are compiled where they are used, and only if a quick look says that they may fit: all
of them together would take longer than a usual answer.
"""

from __future__ import annotations

import re

LARGEST = 60_000  # characters that are looked at; of a larger paste, the end and the beginning
_END, _BEGINNING, _AROUND = 30_000, 10_000, 2_000
_LONGEST = 6_000  # characters of a line that are looked at: its two ends

_COLOURS = r"(?:\x1b|\\x1b|\\u001b|\\033|␛)?\[[0-9;]{1,12}[mM]|\x1b\[[0-9;?]{0,12}[A-Za-z]"
_ESCAPED = (
    r"\\n(?:\s{2}|\||Traceback|DETAIL|HINT|CONTEXT|During|The above"
    r"|[\w.]{3,60}(?:Error|Exception)\b)"
)
_NEWLINE = r"\\+r?\\*n|\\+r"
# Quotation marks of word processors, and what is not to be seen.
_SIGNS = str.maketrans(
    dict.fromkeys("“”„«»", '"')
    | dict.fromkeys("‘’‚`´", "'")
    | dict.fromkeys([*map(chr, range(32)), "\x7f", "\u00a0", "\u2028", "\ufeff", "\ufffd"], " ")
    | dict.fromkeys("\u200b\u200c\u200d\u200e\u200f", "")
    | {"\n": "\n"}
)
_MARKUP = (
    ("&quot;", '"'),
    ("&#34;", '"'),
    ("&#39;", "'"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&amp;", "&"),
)
# Each at the beginning of a line, one after the other: a log may have several.
_PREFIX = (
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
_DSN = r"(?i)\b([a-z][a-z0-9+.-]{1,30}://[^\s:/@\"']{0,200}):([^\s/\"']{1,200})@"
_KEY = (
    r"(?i)\b((?:pg|db_?|postgres_?|database_?)?(?:password|passwd|pwd|secret|token|api_?key)"
    r"[\"']?\s{0,3}[=:]\s{0,3})"
    r"(\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|(?!authentication|\s)[^\s,;)&\"']{1,200})"
)


def masked(text: str) -> str:
    """With the passwords in DSNs, keyword arguments and settings replaced."""
    return re.sub(_KEY, r"\1***", re.sub(_DSN, r"\1:***@", text))


def decoded(pasted: str | bytes) -> str:
    """As text, whatever it is: bytes that are no UTF-8 are left out."""
    if isinstance(pasted, bytes):
        wide = pasted[:2] in (b"\xff\xfe", b"\xfe\xff")
        pasted = pasted.decode("utf-16" if wide else "utf-8", "replace")
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
    if "m" in text and "[" in text:
        text = re.sub(_COLOURS, "", text)
    if "\\" in text:
        if re.search(_ESCAPED, text):
            text = re.sub(_NEWLINE, "\n", text)
        text = text.replace("\\t ", "  ").replace('\\\\"', '"').replace('\\"', '"')
        text = text.replace("\\'", "'")
    if "&" in text:
        for markup, sign in _MARKUP:
            text = text.replace(markup, sign)
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_SIGNS)
    return [_bare(line) for line in _unwrapped(text).split("\n")]


def _unwrapped(text: str) -> str:
    """Without the line breaks of a terminal, which come after the same number of characters."""
    rows = text.split("\n")
    width = max(map(len, rows))
    if width < 40 or sum(len(row) == width for row in rows[:-1]) < 2:
        return text
    return "".join(row + ("" if len(row) == width else "\n") for row in rows)


def _bare(line: str) -> str:
    if "|" in line or line[:1] in "0123456789[E>│┃JFMASOND ":
        for _ in range(4):
            match = re.match(_PREFIX, line)
            if not match or not match.end():
                break
            line = line[match.end() :]
    at = line.find("[SQL: ")  # a statement of SQLAlchemy's is no error's text
    if at >= 0:
        line = line[:at]
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} {line[-_LONGEST // 2 :]}"
    return line.rstrip()
