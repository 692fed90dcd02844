"""Where a lesson's section opens in a browser: on the site that `make site` builds.

places.opened("02_pools", "close() never ends")     # "file:///…", or "" without a site
"""

from __future__ import annotations

import os
import re

BUILT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../site/build/html")
# As `urllib.parse.quote` has it, which takes longer to import than the answer.
_UNQUOTED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/"


def opened(lesson: str, section: str) -> str:
    """The address of the section: on $FIREDRILL_SITE, else in the pages built in this clone.

    A page of JupyterLab may not open a file, so in a notebook only $FIREDRILL_SITE counts.
    """
    page = f"lessons/{lesson}.html"
    place = f"{page}#{anchor(section)}"
    if site := os.environ.get("FIREDRILL_SITE"):
        return f"{site.rstrip('/')}/{place}"
    folder = os.path.normpath(BUILT)
    if "JPY_PARENT_PID" in os.environ or not os.path.isfile(os.path.join(folder, page)):
        return ""
    path = folder.replace(os.sep, "/").lstrip("/")
    drive = path[:2] if path[1:2] == ":" else ""
    return f"file:///{drive}{quoted(path[len(drive) :])}/{place}"


def anchor(heading: str) -> str:
    """Of a heading in a lesson, as docutils makes it."""
    plain = heading.lower()
    if not plain.isascii():
        import unicodedata

        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"^[-0-9]+|-+$", "", re.sub(r"[^a-z0-9]+", "-", plain))


def quoted(text: str) -> str:
    """For an address."""
    signs = ((chr(byte), byte) for byte in text.encode())
    return "".join(sign if sign in _UNQUOTED else f"%{byte:02X}" for sign, byte in signs)
