"""Progress, hints, reset."""

from __future__ import annotations

from pathlib import Path

import pytest

from firedrill import course, drills, overview, progress, servers

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIREDRILL_PROGRESS", str(tmp_path / "progress.txt"))
    return tmp_path / "progress.txt"


def test_progress_is_a_line_for_each_task_and_survives_nonsense(own_progress: Path) -> None:
    own_progress.write_text("\nwhat is this\n01_connecting x\n")
    progress.record("01_connecting", 2)
    progress.record("01_connecting", 2)
    assert progress.done() == {("01_connecting", 2)}
    assert own_progress.read_text().count("01_connecting 2 ") == 1
    assert "–✔–" in overview.as_text()
    assert "1 of" in overview.as_text()
    assert "✔  Task 2" in repr(drills.open("01_connecting"))
    progress.forget("01_connecting")
    assert progress.done() == set()
    assert "what is this" in own_progress.read_text()


def test_hints_come_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    task = drills.open("1")[3]
    for _ in range(4):
        task.hint()
    task.hint(1)
    shown = [
        line.split(".")[0].strip()
        for line in capsys.readouterr().out.splitlines()
        if "Hint" in line
    ]
    assert shown == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3", "Hint 1 of 3"]


def test_reset_restores_the_exercise_and_keeps_the_learners(
    own_progress: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "solutions").mkdir()
    (tmp_path / "exercises").mkdir()
    solution = (ROOT / "solutions/01_connecting.ipynb").read_text(encoding="utf-8")
    (tmp_path / "solutions/01_connecting.ipynb").write_text(solution, encoding="utf-8")
    mine = ("exercises/01_connecting.ipynb", "my/exercises/01_connecting.ipynb")
    monkeypatch.setattr(course, "REPOSITORY", tmp_path)
    progress.record("01_connecting", 1)
    (tmp_path / "my/exercises").mkdir(parents=True)
    for round_, path in enumerate(mine, 1):  # changed in another editor, and in JupyterLab
        (tmp_path / path).write_text(f"mine {round_}")
        said = drills.reset("1", forget=True)
        assert f"my/kept/01_connecting-{round_}.ipynb" in said
        kept = tmp_path / f"my/kept/01_connecting-{round_}.ipynb"
        assert kept.read_text() == f"mine {round_}"
    restored = (tmp_path / "exercises/01_connecting.ipynb").read_text(encoding="utf-8")
    assert restored == (ROOT / "exercises/01_connecting.ipynb").read_text(encoding="utf-8")
    assert progress.done() == set()


def test_a_drill_that_does_not_exist_is_named() -> None:
    with pytest.raises(servers.Unavailable, match=r"There is no exercise '99'.*01_connecting"):
        drills.open("99")
    with pytest.raises(IndexError, match=r"drill\[0\] to drill\[4\]"):
        drills.open("01")[9]
