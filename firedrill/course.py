"""The lessons in their order, read from course.toml: the one manifest."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Lesson:
    number: int  # from 0
    slug: str
    title: str
    minutes: int
    breaks: str  # what it breaks, live: Markdown

    @property
    def name(self) -> str:
        """Of its notebook, exercise and solution: "02_pools"."""
        return f"{self.number:02}_{self.slug}"


@cache
def lessons() -> tuple[Lesson, ...]:
    manifest = Path(__file__).with_name("course.toml").read_text(encoding="utf-8")
    return tuple(
        Lesson(number, **one) for number, one in enumerate(tomllib.loads(manifest)["lesson"])
    )


def lesson(slug: str) -> Lesson:
    """Raises KeyError if there is none."""
    return {one.slug: one for one in lessons()}[slug]


def exercises() -> tuple[Lesson, ...]:
    """The lessons that have an exercise: all but the first one, which shows how they work."""
    return lessons()[1:]
