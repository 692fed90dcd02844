"""From a regular expression of Python's to one of JavaScript's that finds the same.

    translated(r"(?i)\\bstate \\d+$")       # the source and the flags for `new RegExp`

It goes by Python's own parse of the expression. Their difference is in the details: \\d, \\w, \\s
and \\b know all of Unicode in Python, `$` also fits before a last line break, and so on. What has
no equal in JavaScript raises ValueError. Only the Turkish letters ı and İ are an i in Python alone.
"""

from __future__ import annotations

import re
from typing import Any

_parser: Any = re._parser  # type: ignore[attr-defined]

# The insides of classes. White space is what `str.isspace` says.
_DIGIT = r"\p{Nd}"
_SPACE = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_WORD = r"\p{L}\p{N}_"
_CATEGORIES = {"DIGIT": _DIGIT, "SPACE": _SPACE, "WORD": _WORD}
_ENDS = {
    "AT_BEGINNING": r"(?<![^])",
    "AT_BEGINNING_STRING": r"(?<![^])",
    "AT_END": r"(?=\n?(?![^]))",
    "AT_END_STRING": r"(?![^])",
    "AT_BOUNDARY": rf"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))",
    "AT_NON_BOUNDARY": rf"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))",
}
_FLAGS = re.IGNORECASE | re.UNICODE
_REPEATED = {(0, 1): "?", (0, None): "*", (1, None): "+"}


def translated(expression: str, flags: int = 0) -> tuple[str, str]:
    parsed = _parser.parse(expression, flags)
    if parsed.state.flags & ~_FLAGS:
        raise ValueError(f"only IGNORECASE is translated: {expression}")
    ignoring_case = bool(parsed.state.flags & re.IGNORECASE)
    made, always = "", set()  # the groups that are set when what follows is looked at
    for code, argument in parsed:
        if str(code) == "GROUPREF" and argument in always:  # of an unset one they differ
            made += rf"(?:\{argument})"
            continue
        made += _one(str(code), argument)
        if str(code) == "SUBPATTERN":
            always.add(argument[0])
    return made, "iu" if ignoring_case else "u"


def _sequence(parsed: Any) -> str:
    return "".join(_one(str(code), argument) for code, argument in parsed)


def _one(code: str, argument: Any) -> str:
    if code == "LITERAL":
        return _escaped(argument)
    if code == "NOT_LITERAL":
        return f"[^{_escaped(argument)}]"
    if code == "ANY":
        return r"[^\n]"
    if code == "IN":
        return _class([(str(kind), value) for kind, value in argument])
    if code == "BRANCH":
        return f"(?:{'|'.join(_sequence(branch) for branch in argument[1])})"
    if code in ("MAX_REPEAT", "MIN_REPEAT"):
        return _repeated(*argument) + ("?" if code == "MIN_REPEAT" else "")
    if code == "SUBPATTERN":
        group, added, removed, body = argument
        if not added and not removed:
            return f"({'' if group else '?:'}{_sequence(body)})"
    if code in ("ASSERT", "ASSERT_NOT"):
        direction, body = argument
        sign = "=" if code == "ASSERT" else "!"
        return f"(?{'<' if direction < 0 else ''}{sign}{_sequence(body)})"
    if code == "AT":
        return _ENDS[str(argument)]
    raise ValueError(f"JavaScript has nothing that is the same: {code} {argument}")


def _repeated(least: int, most: Any, body: Any) -> str:
    upper = None if most == _parser.MAXREPEAT else most
    made = _sequence(body)
    single = len(body) == 1 and str(body[0][0]) in ("LITERAL", "NOT_LITERAL", "ANY", "SUBPATTERN")
    count = _REPEATED.get((least, upper)) or (
        f"{{{least}}}" if least == upper else f"{{{least},{'' if upper is None else upper}}}"
    )
    return (made if single or re.fullmatch(r"\[[^\[\]]*\]", made) else f"(?:{made})") + count


def _class(members: list[tuple[str, Any]]) -> str:
    inside, outside = "", []
    negated = members[0][0] == "NEGATE"
    for kind, value in members[negated:]:
        if kind == "LITERAL":
            inside += _escaped(value)
        elif kind == "RANGE":
            inside += f"{_escaped(value[0])}-{_escaped(value[1])}"
        elif str(value).startswith("CATEGORY_NOT_"):
            outside.append(f"[^{_CATEGORIES[str(value).removeprefix('CATEGORY_NOT_')]}]")
        else:
            inside += _CATEGORIES[str(value).removeprefix("CATEGORY_")]
    if not outside:
        return f"[{'^' if negated else ''}{inside}]"
    one_of = "|".join([*([f"[{inside}]"] if inside else []), *outside])
    if negated:
        return f"(?:(?!{one_of})[^])"
    return one_of if len(outside) == 1 and not inside else f"(?:{one_of})"


def _escaped(character: int) -> str:
    if character > 0xFFFF:
        raise ValueError("explain.js counts on expressions without such characters")
    sign = chr(character)
    if sign == "-":
        return r"\x2d"
    if sign in r"\^$.*+?()[]{}|/":
        return rf"\{sign}"
    return sign if sign.isprintable() else rf"\u{character:04x}"
