"""``teamnet train --seeds``: one folder each, resumable, stopped as a whole, with the mean and the band of a curve."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from teamnet.errors import SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.seeds.many import seeds_of
from teamnet.training.session import train
from tests.commands import run_command

SMALL = ("train", "cartpole", "--backend", "local", "--hidden", "4", "--settle-steps", "2")


@pytest.mark.parametrize(("text", "seeds"), [
    ("0..3", [0, 1, 2, 3]), ("5", [5]), ("1,4,7..9", [1, 4, 7, 8, 9]), (" 2 , 1", [2, 1]),
])
def test_seeds_as_texts(text: str, seeds: list[int]):
    assert seeds_of(text) == seeds


@pytest.mark.parametrize("text", ["x", "3..1", "1,1", "", "0..10000", "-1", "1..2..3", "1.5"])
def test_other_texts_are_refused(text: str):
    with pytest.raises(SpecError) as refusal:
        seeds_of(text)
    assert refusal.value.where == "seeds"


def test_each_seed_is_the_run_that_it_would_be_alone(tmp_path: Path, capsys: Any):
    command = (*SMALL, "--episodes", 15, "--seeds", "0..2", "--jobs", 2, "--out", tmp_path / "runs")
    out, error = run_command(capsys, *command, "--json")
    content = json.loads(out.splitlines()[-1])
    spec = changed(preset("cartpole"), hidden=(4,), settle_steps=2, episodes=15, env_steps=None)
    alone = [train(replace(spec, seed=seed), LaunchSpec("local"), None)[0] for seed in range(3)]
    assert [run["digest"] for run in content["runs"]] == [summary["digest"] for summary in alone]
    returns = [summary["mean_return"] for summary in alone]
    assert content["mean_return"]["mean"] == pytest.approx(np.mean(returns))
    assert content["mean_return"]["std"] == pytest.approx(np.std(returns, ddof=1))
    assert content["mean_return"]["low"] <= np.mean(returns) <= content["mean_return"]["high"]
    assert "3 of 3" in error
    assert json.loads((tmp_path / "runs/seeds.json").read_text()) == content
    assert Image.open(tmp_path / "runs/learning_curve.png").size[0] > 500
    again, _ = run_command(capsys, *command)
    assert "over 3 seeds" in again
    more, _ = run_command(capsys, *(word if word != "0..2" else "0..3" for word in map(str, command)), "--json")
    assert [run["digest"] for run in json.loads(more.splitlines()[-1])["runs"]][:3] == [
        summary["digest"] for summary in alone
    ]


def test_one_seed_has_neither_deviation_nor_interval(tmp_path: Path, capsys: Any):
    out, _ = run_command(capsys, *SMALL, "--episodes", 3, "--seeds", "4", "--out", tmp_path)
    assert "of one seed" in out
    assert "deviation" not in out
    found = json.loads((tmp_path / "seeds.json").read_text())["mean_return"]
    assert (found["n"], found["std"], found["low"], found["high"]) == (1, None, None, None)


def test_a_foreign_file_and_a_missing_folder_are_refused(tmp_path: Path, capsys: Any):
    run_command(capsys, *SMALL, "--seeds", "0..1", code=2)
    (tmp_path / "seeds.json").write_text("mine")
    run_command(capsys, *SMALL, "--seeds", "0..1", "--out", tmp_path, code=2)
    assert (tmp_path / "seeds.json").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_nothing_is_run_where_a_folder_has_another_run(tmp_path: Path, capsys: Any):
    run_command(capsys, *SMALL, "--episodes", 3, "--seeds", "1", "--out", tmp_path)
    _, error = run_command(capsys, *SMALL, "--episodes", 3, "--seeds", "0..1", "--out", tmp_path, "--discount", "0.5",
                           code=2)
    assert "discount" in error
    assert not (tmp_path / "seed-0").exists()


def test_a_run_that_fails_is_named_and_the_others_end(tmp_path: Path, capsys: Any):
    (tmp_path / "task.py").write_text(
        "import sys\nfrom gymnasium.envs.classic_control import CartPoleEnv\n\n"
        "class Fails(CartPoleEnv):\n    def reset(self, **options):\n"
        "        if sys.argv[sys.argv.index('--seed') + 1] == '1':\n            raise LookupError('of seed 1')\n"
        "        return super().reset(**options)\n"
    )
    command = ["train", f"{tmp_path}/task.py:Fails", *SMALL[2:], "--episodes", "5", "--seeds", "0..2"]
    done = subprocess.run(
        [sys.executable, "-m", "teamnet", *command, "--out", str(tmp_path / "runs")],
        capture_output=True, text=True, timeout=200,
    )
    assert done.returncode == 2
    assert "seed 1" in done.stderr
    assert "LookupError" in done.stderr
    assert [path.parent.name for path in sorted((tmp_path / "runs").glob("*/summary.json"))] == ["seed-0", "seed-2"]


def test_an_interrupt_saves_all_and_the_same_command_continues(tmp_path: Path):
    command = [sys.executable, "-m", "teamnet", *SMALL, "--env-steps", "15000", "--seeds", "0..2", "--jobs", "2",
               "--out", str(tmp_path / "runs"), "--save-every", "1000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "runs").glob("seed-*/checkpoint-*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "the same command does the rest" in error
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout.splitlines()[-1])["runs"]
    spec = changed(preset("cartpole"), hidden=(4,), settle_steps=2, env_steps=15000, episodes=None)
    assert runs[0]["digest"] == train(spec, LaunchSpec("local"), None)[0]["digest"]
    assert [run["env_steps"] for run in runs] == [15000] * 3


def test_seeds_that_are_added_are_summarised_with_the_earlier_ones(tmp_path: Path, capsys: Any):
    command = (*SMALL, "--episodes", 3, "--out", tmp_path, "--json")
    run_command(capsys, *command, "--seeds", "0..1")
    train(
        changed(preset("cartpole"), hidden=(5,), episodes=3, env_steps=None, seed=7), LaunchSpec("local"),
        tmp_path / "seed-7",
    )
    run_command(capsys, *command, "--seeds", "8", "--critic.rates", "0.5", "0.1")
    out, error = run_command(capsys, *command, "--seeds", "2")
    assert "1 of 1" in error
    content = json.loads(out.splitlines()[-1])
    assert [run["seed"] for run in content["runs"]] == [0, 1, 2], "seeds 7 and 8 have other specs"
    assert content["mean_return"]["n"] == 3


def test_the_summary_is_written_though_a_seed_failed(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("odd.py").write_text(
        "from gymnasium.envs.classic_control import CartPoleEnv\n\n\nclass Odd(CartPoleEnv):\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        if seed is not None and seed % 2:\n            raise LookupError\n"
        "        return super().reset(seed=seed, options=options)\n"
    )
    command = ("train", "odd.py:Odd", "--max-episode-steps", 20, "--backend", "local", "--hidden", "4")
    seeds = ",".join(str(seed) for seed in range(6))
    _, error = run_command(capsys, *command, "--episodes", 3, "--seeds", seeds, "--jobs", 2, "--out", "runs", code=2)
    runs = json.loads(Path("runs/seeds.json").read_text())["runs"]
    assert 0 < len(runs) < 6
    assert "LookupError" in error


@pytest.mark.parametrize("options", [("--overwrite", "--resume-if-present"), ("--seed", "3")])
def test_options_that_contradict_seeds_are_refused(options: tuple[str, ...], tmp_path: Path, capsys: Any):
    run_command(capsys, *SMALL, "--episodes", 3, "--seeds", "0", "--out", tmp_path / "runs", *options, code=2)
    assert not (tmp_path / "runs").exists()
