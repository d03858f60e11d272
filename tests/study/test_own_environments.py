"""Studies with environments of a user's own, whose file is in the folder of the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from teamnet.cli.main import main
from teamnet.study.experiment.tasks import TASKS, in_order, task_of, task_of_file
from tests.commands import run_command
from tests.study.studies import table_row

GRID = '''
import gymnasium

class Grid(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Discrete(4), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = self.steps = 0
        return 0, {}

    def step(self, action):
        self.at, self.steps = max(0, self.at + (1 if action else -1)), self.steps + 1
        return min(self.at, 3), float(self.at == 3) - 0.1, self.at == 3 or self.steps == 12, False, {}
'''

@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grid.py").write_text(GRID)
    return tmp_path


def _exit_code(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.usefixtures("shared_ray")
def test_methods_are_compared_on_an_environment_of_ones_own(folder: Path):
    command = ["paper", "--tasks", "grid.py:Grid", "--methods", "map", "reinforce", "--seeds", "2", "--out", "out"]
    assert _exit_code([*command, "--episodes", "30", "--cpus", "1"]) == 0
    report = (folder / "out" / "results.md").read_text()
    for method in ("map", "reinforce"):
        cell = folder / "out" / "runs" / "grid.py=3AGrid" / method
        runs = [(cell / f"seed-{seed}" / "metrics.jsonl").read_text().splitlines() for seed in range(2)]
        returns = [[json.loads(line)["return"] for line in lines] for lines in runs]
        assert [len(values) for values in returns] == [30, 30]
        mean, deviation = table_row(report, "Average return", f"`{method}`")[1].split()
        assert float(mean) == pytest.approx(np.mean(returns), abs=0.006)
        assert float(deviation.strip("()")) == pytest.approx(np.std(np.mean(returns, axis=1), ddof=1), abs=0.006)
    assert "figures/grid.py=3AGrid.png" in report
    assert (folder / "out" / "figures" / "grid.py=3AGrid.png").read_bytes().startswith(b"\x89PNG")
    before = {path: path.stat().st_mtime_ns for path in (folder / "out" / "runs").rglob("*.*")}
    assert _exit_code([*command, "--episodes", "30", "--report-only", "--recorded", "out", "--docs", "copy"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "out" / "runs").rglob("*.*")} == before
    assert (folder / "copy" / "figures" / "grid.py=3AGrid.png").exists()
    assert _exit_code([*command, "--episodes", "20"]) == 2, "runs of other lengths are not mixed"
    (folder / "grid.py").write_text(f"{GRID}# edited\n")
    assert _exit_code([*command, "--episodes", "30", "--report-only"]) == 2, "nor are those of another environment"


def test_seeds_of_an_edited_environment_are_not_put_together(folder: Path, capsys: pytest.CaptureFixture[str]):
    command = ("train", "grid.py:Grid", "--backend", "local", "--hidden", "4", "--episodes", 3, "--out", "out")
    run_command(capsys, *command, "--seeds", "0")
    (folder / "grid.py").write_text(f"{GRID}# edited\n")
    _, err = run_command(capsys, *command, "--seeds", "0..1", code=2)
    assert err.startswith("teamnet: out/seed-0/spec.json: task: ")
    out, _ = run_command(capsys, *command, "--seeds", "1", "--json")
    assert [run["seed"] for run in json.loads(out.splitlines()[-1])["runs"]] == [1]


@pytest.mark.usefixtures("shared_ray")
def test_an_environment_of_ones_own_is_searched(folder: Path):
    command = ["sweep", "grid.py:Grid", "--vary", "discount=0.9,0.99", "--runs", "2", "--seeds", "1", "--out", "out"]
    assert _exit_code([*command, "--episodes", "8"]) == 0
    rows = [json.loads(line) for line in (folder / "out" / "trials.jsonl").read_text().splitlines()]
    assert [(row["episodes"], row["error"] is None) for row in rows] == [(8, True)] * 2, rows


@pytest.mark.parametrize("options", [
    ["--tasks", "no_such.py:Grid"], ["--tasks", "Cartpol-v7"], ["--tasks", "grid.py:Nothing"], ["--episodes", "0"],
])
def test_what_cannot_be_run_is_refused_before_anything_is_written(folder: Path, options: list[str]):
    assert _exit_code(["paper", "--methods", "map", "--seeds", "1", "--out", "out", *options]) == 2
    assert not (folder / "out").exists()


def test_the_id_of_a_task_of_the_paper_is_that_task():
    assert [task.name for task in in_order(["z.py:Z", "a:B", "acrobot", "cartpole"])] == [
        "cartpole", "acrobot", "a:B", "z.py:Z",
    ]


@pytest.mark.parametrize("name", [*TASKS, "a.py:B", "../x/y.py:Z", "ALE/Pong-v5", "a=3A", "ä%2F", "m.n:C"])
def test_file_names_are_plain_and_tell_the_task(name: str):
    file_name = task_of(name).file_name
    assert not set(file_name) & set("/:\\% ")
    assert task_of_file(file_name) == task_of(name)
