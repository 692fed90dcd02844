"""Comparing what may have come from a learner's code."""

from __future__ import annotations


def equal(found: object, wanted: object) -> bool:
    """Also for what a learner's decoder made, which may refuse to be compared."""
    try:
        return type(found) is type(wanted) and bool(found == wanted)
    except Exception:
        return False
