"""explain.js outside a page: started once, asked often.

with engine.started() as answer:
    answer(["57P03"])       # for each text: name, general, and per entry what Python's Found has
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from firedrill import course, errors
from firedrill.authoring.site import box

Answers = Callable[[list[str]], list[dict[str, Any]]]
NODE = shutil.which("node") or shutil.which("nodejs")
EXPLAIN = course.REPOSITORY / "site/_static/explain.js"
SERVE = """
const [explain, data] = [require(process.argv[1]), {}];
let engine = null;
require("node:readline").createInterface({input: process.stdin}).on("line", (line) => {
  const asked = JSON.parse(line);
  if (!engine) { engine = explain(asked); console.log("true"); return; }
  console.log(JSON.stringify(asked.map((text) => {
    const {found, name, general} = engine.answer(text);
    const each = found.map((one) => [one.entry.lesson, one.entry.id, one.sure, one.evidence]);
    return {found: each, name, general};
  })));
});
"""


@contextmanager
def started() -> Iterator[Answers]:
    assert NODE
    process = subprocess.Popen(
        [NODE, "-e", SERVE, str(EXPLAIN)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stdin
    assert process.stdout

    def ask(what: object) -> Any:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{json.dumps(what)}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with process:
        ask(box.data())
        yield ask
        process.stdin.close()


def of_python(text: str) -> dict[str, Any]:
    answer = errors.answer(text)
    found = [[one.entry.lesson, one.entry.id, one.sure, one.evidence] for one in answer.found]
    return {"found": found, "name": answer.name, "general": answer.general}
