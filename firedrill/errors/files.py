"""Where the index is, and what it is made from."""

from __future__ import annotations

import os

_HERE = os.path.dirname(os.path.abspath(__file__))
PATH = os.path.join(_HERE, "index.json")


def sizes() -> list[int]:
    """Of the files that index.json is made from: if they differ, it is out of date."""
    package = os.path.dirname(_HERE)
    topics = os.path.join(package, "topics")
    files = [os.path.join(topics, name, "errors.toml") for name in sorted(os.listdir(topics))]
    files.append(os.path.join(package, "course.toml"))
    return [os.path.getsize(file) for file in files if os.path.exists(file)]
