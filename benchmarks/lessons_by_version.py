"""`make versions`: every lesson and every solution on every pair of servers, and on every Python.

Each line of the table is one `pytest --nbval`: outputs are compared as always, and the differences
that notebooks/differences.toml expects of a pair have to be there. ARGS names lines:
`make versions ARGS="18/1.26 python-3.13"`. The other lines stay as they are in the file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from firedrill.authoring.differences import FILE, PYTHON, Differences, Pair
from firedrill.servers import Unavailable

from . import pythons
from .row import REPOSITORY, not_measured

RESULTS = Path(__file__).with_name("LESSONS_BY_VERSION.md")
DEFAULT = "17/1.24"
ALL = ("notebooks", "solutions")
# A pre-release may still change what the other lessons print.
ON_19 = tuple(f"notebooks/{number}_*.ipynb" for number in ("01", "03", "08", "10", "12", "14"))


class Run(NamedTuple):
    pair: str = DEFAULT
    python: str = ""  # "": the one that runs this
    notebooks: tuple[str, ...] = ALL

    @property
    def name(self) -> str:
        return f"python-{self.python}" if self.python else self.pair

    @property
    def start(self) -> str:
        """How its line begins."""
        return f"| {self.pair} | {self.python or PYTHON} |"


RUNS = (
    Run(DEFAULT),
    Run("17/1.26"),
    Run("18/1.24"),
    Run("18/1.26"),
    Run("19/1.24", notebooks=ON_19),
    Run("19/1.26", notebooks=ON_19),
    *(Run(python=version) for version in ("3.12", "3.13", "3.14")),
)
BUSY = "could not judge"
HEAD = (
    "| PostgreSQL/PgBouncer | Python | notebooks | cells | expected differences | result | date |\n"
    "|---|---|---|---|---|---|---|"
)


def main(names: list[str]) -> int:
    if unknown := set(names) - {run.name for run in RUNS}:
        print(f"There is no {', '.join(unknown)}. There are: {', '.join(r.name for r in RUNS)}")
        return 2
    lines = _before()
    failed = False
    for run in RUNS:
        if not names or run.name in names:
            print(f"{run.name} ...", flush=True)
            lines[run.start] = line = _measured(run)
            failed |= "all pass" not in line
            print(line, flush=True)
            RESULTS.write_text(_page(lines), encoding="utf-8")
    return int(failed)


def _measured(run: Run) -> str:
    try:
        python = pythons.provide(run.python) if run.python else Path(sys.executable)
        return _line(run, python)
    except (Unavailable, RuntimeError) as error:
        return _row(run, "", "", "", not_measured(error))


def _line(run: Run, python: Path) -> str:
    """Raises `RuntimeError` where pytest does not come to an end."""
    paths = sorted(
        path.relative_to(REPOSITORY).as_posix()
        for pattern in run.notebooks
        for path in REPOSITORY.glob(pattern if "*" in pattern else f"{pattern}/*.ipynb")
    )
    postgres, pgbouncer = run.pair.split("/")
    versions = {"FIREDRILL_POSTGRES": postgres, "FIREDRILL_PGBOUNCER": pgbouncer}
    if run.python:
        versions["PATH"] = pythons.path_with_uv()
    with tempfile.TemporaryDirectory(prefix="firedrill-versions-") as own:
        report = Path(own, "report.xml")
        start = time.monotonic()
        options = ["-q", "-p", "no:cacheprovider", "--nbval", f"--junitxml={report}"]
        done = subprocess.run(
            [str(python), "-m", "pytest", *options, *paths],
            cwd=REPOSITORY,
            env=os.environ | versions | {"FIREDRILL_SERVERS": "embedded"},
            text=True,
            capture_output=True,
        )
        minutes = (time.monotonic() - start) / 60
        if not report.exists():
            raise RuntimeError((done.stderr or done.stdout).strip().splitlines()[-1])
        cases = list(ElementTree.parse(report).iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    failures = {_name(case): text for case in cases if (text := _failure(case))}
    result = f"all pass ({minutes:.0f} minutes)"
    if failures:
        # A check of a solution withholds its verdict where its own measure says that it would lie.
        busy = [name for name, text in failures.items() if BUSY in text]
        bad = [name for name in failures if name not in busy]
        told = (("fails", bad), ("not judged, the machine was too busy", busy))
        result = "; ".join(f"{what}: {', '.join(names)}" for what, names in told if names)
        result += f"; {skipped} cells not run after them"
    known = Differences(REPOSITORY).entries
    expected = sum(
        one.notebook in paths and one.holds(Pair(postgres, pgbouncer), run.python or PYTHON)
        for one in known
    )
    return _row(run, str(len(paths)), str(len(cases)), str(expected), result)


def _name(case: ElementTree.Element) -> str:
    notebook = case.get("classname", "").replace(".ipynb", "").replace(".", "/")
    return f"{notebook} {case.get('name')}"


def _failure(case: ElementTree.Element) -> str:
    return "".join(
        f"{found.get('message')} {found.text}"
        for found in case
        if found.tag in ("failure", "error")
    )


def _row(run: Run, *fields: str) -> str:
    return f"{run.start} {' | '.join((*fields, f'{datetime.now(UTC):%Y-%m-%d}'))} |"


def _before() -> dict[str, str]:
    """The lines of the file as it is, by how they begin."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    return {
        run.start: line for run in RUNS for line in text.splitlines() if line.startswith(run.start)
    }


def _page(lines: dict[str, str]) -> str:
    shown = [lines.get(run.start, f"{run.start} | | | not run | |") for run in RUNS]
    reasons = [
        f"| {', '.join((*one.pairs, *(f'Python {version}' for version in one.pythons)))} "
        f"| [{Path(one.notebook).stem}](../{one.notebook}) | {one.cell} | {one.reason} |"
        for one in Differences(REPOSITORY).entries
    ]
    return "\n".join(
        [
            "# The lessons on each pair of versions",
            "",
            "Written by `make versions`. Each line is one run of `pytest --nbval`; nothing is "
            "skipped or left uncompared.",
            "",
            HEAD,
            *shown,
            "",
            "## The expected differences",
            "",
            f"Stored outputs are those of {DEFAULT}. On these pairs nbval compares with the text "
            f"in [{FILE}](../{FILE})",
            "instead, as strictly. The name of the pair, which each lesson shows, is not counted.",
            "",
            "| on | lesson | cell | why |",
            "|---|---|---|---|",
            *reasons,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
