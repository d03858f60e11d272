"""Stable-Baselines3 beside a team: episodes counted and timed alike, and what each run leaves behind."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from teamnet.cli.main import main
from teamnet.errors import CheckpointError, ResourceError, SpecError
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.study.baselines import BaselineSpec, train_baseline
from teamnet.study.comparison import compare, result_lines
from teamnet.study.episode_log import EpisodeLog
from teamnet.study.experiment.execute import execute
from teamnet.study.kept_run import content_of_run, keep_run
from teamnet.training import owned_files
from teamnet.training.run import Run
from teamnet.training.run_files import read_run_files
from tests.commands import run_command
from tests.study.folders import contents


def _lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _returns(files: dict[str, bytes]) -> list[float]:
    return [json.loads(line)["return"] for line in files["metrics.jsonl"].splitlines()]


def _seconds(step: float) -> Iterator[float]:
    now = 0.0
    while True:
        yield now
        now += step


def test_a_log_counts_averages_and_times():
    ticks = _seconds(0.5)
    log = EpisodeLog(3, clock=lambda: next(ticks))
    log.begin()
    assert [log.ended(10, 1.0, 10), log.ended(14, -2.0, 4), log.ended(20, 7.0, 6)] == [False, False, True]
    assert log.summary() == {
        "env_steps": 20, "episodes": 3, "mean_return": 2.0, "seconds": 1.5, "env_steps_per_second": 13.3,
    }
    assert log.lines == [
        {"env_steps": 10, "episode": 1, "return": 1.0, "length": 10, "seconds": 0.5},
        {"env_steps": 14, "episode": 2, "return": -2.0, "length": 4, "seconds": 1.0},
        {"env_steps": 20, "episode": 3, "return": 7.0, "length": 6, "seconds": 1.5},
    ]


@pytest.mark.parametrize("stop_there", [True, False])
def test_a_log_waits_for_the_mean_of_a_hundred(stop_there: bool):
    ticks = _seconds(1.0)
    log = EpisodeLog(200, threshold=475.0, stop_there=stop_there, clock=lambda: next(ticks))
    log.begin()
    returns = [500.0] * 99 + [0.0] * 10 + [500.0] * 91
    over = [log.ended(number, total, 1) for number, total in enumerate(returns, 1)]
    means = [np.mean(returns[number - 100 : number]) for number in range(100, 201)]
    first = 100 + next(place for place, mean in enumerate(means) if mean >= 475)
    assert first == 100  # one 0 among a hundred returns of 500
    assert log.seconds_to_threshold == first
    assert over.index(True) == (first if stop_there else 200) - 1


def test_a_log_that_never_gets_there_says_so():
    log = EpisodeLog(150, threshold=475.0)
    while not log.over:
        log.ended(1, 474.9, 1)
    assert (len(log.lines), log.seconds_to_threshold) == (150, None)


@pytest.mark.parametrize("algorithm", ["a2c", "ppo"])
def test_a_baseline_trains_for_exactly_the_episodes_that_are_asked_for(algorithm: str, tmp_path: Path):
    files = execute(BaselineSpec("cartpole", algorithm, 3, 7))
    keep_run(tmp_path, files)
    kept = read_run_files(tmp_path)
    lines, summary = kept.lines, kept.summary
    assert summary is not None
    assert [line["episode"] for line in lines] == list(range(1, 8))
    assert all(line["return"] == line["length"] for line in lines)
    assert [line["env_steps"] for line in lines] == list(np.cumsum([line["length"] for line in lines]))
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    assert (summary["task"], summary["method"], summary["seed"]) == ("cartpole", f"sb3-{algorithm}", 3)
    assert (summary["episodes"], summary["env_steps"]) == (7, lines[-1]["env_steps"])
    assert summary["mean_return"] == np.mean([line["return"] for line in lines])
    assert set(summary["versions"]) == {"stable-baselines3", "torch"}
    spec = {"task": "cartpole", "algorithm": algorithm, "seed": 3, "episodes": 7, "env_steps": None}
    assert kept.about["spec"] == spec
    settings = kept.about["settings"]
    assert settings["policy_kwargs"] == {"net_arch": [64, 32]}
    assert (settings["environment"], settings["seed"], settings["device"]) == ("CartPole-v1", 3, "cpu")
    assert (settings["threads"], settings["gamma"]) == (1, 0.99)

    assert _returns(train_baseline(BaselineSpec("cartpole", algorithm, 3, 7))) == [line["return"] for line in lines]
    assert _returns(train_baseline(BaselineSpec("cartpole", algorithm, 4, 7))) != [line["return"] for line in lines]


@pytest.mark.parametrize("algorithm", ["a2c", "ppo"])
def test_a_baseline_leaves_nothing_in_the_temporary_folder(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert tempfile.gettempdir() == str(tmp_path)
    compare(["cartpole"], [algorithm], [0], until=None, episodes=2, out=None)
    assert list(tmp_path.iterdir()) == []


def test_a_baseline_has_the_layers_and_the_thread_that_it_says(monkeypatch: pytest.MonkeyPatch):
    import stable_baselines3
    import torch

    made: list[stable_baselines3.A2C] = []
    learn = stable_baselines3.A2C.learn
    monkeypatch.setattr(
        stable_baselines3.A2C, "learn", lambda self, *given, **named: (made.append(self), learn(self, *given, **named))
    )
    files = train_baseline(BaselineSpec("mountaincar", "a2c", 0, 1))
    extractor = made[0].policy.mlp_extractor
    for net in (extractor.policy_net, extractor.value_net):
        assert [layer.out_features for layer in net if isinstance(layer, torch.nn.Linear)] == [64, 32]
    assert made[0].n_envs == 1
    assert made[0].device.type == "cpu"
    assert torch.get_num_threads() == 1
    line = json.loads(files["metrics.jsonl"])
    assert line["length"] <= gymnasium.spec("MountainCarContinuous-v0").max_episode_steps
    assert line["return"] < -5 * 0.1  # unclipped: the environment takes 0.1 a^2 for each action


@pytest.mark.parametrize(
    ("task", "algorithm", "episodes", "where", "found"),
    [
        ("cartpole", "acc", 1, "algorithm", "acc"), ("multiplexer", "ppo", 1, "task", "multiplexer"),
        ("cartpole", "ppo", 0, "episodes", "0"),
    ],
)
def test_nonsense_is_refused(task: str, algorithm: str, episodes: int, where: str, found: str):
    with pytest.raises(SpecError) as refusal:
        train_baseline(BaselineSpec(task, algorithm, 0, episodes))
    assert refusal.value.where == where
    assert found in refusal.value.found


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    for action in (
        lambda: train_baseline(BaselineSpec("cartpole", "ppo", 0, 1)),
        lambda: compare(["cartpole"], ["map", "ppo"], [0], until=None, episodes=1, out=tmp_path / "new"),
    ):
        with pytest.raises(ResourceError) as refusal:
            action()
        assert "ppo" in refusal.value.where
        assert "teamnet[baselines]" in refusal.value.remedy
    assert not (tmp_path / "new").exists(), "nothing is run before all is checked"


def test_runs_are_replaced_only_if_that_is_asked_for_and_nothing_else_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    common = ("baselines", "--algorithms", "map", "--episodes", 2, "--out", tmp_path)
    run_command(capsys, *common)
    first = contents(tmp_path)
    run = read_run_files(tmp_path / "cartpole/map/seed-0").run
    run_command(capsys, *common, "--seeds", 2, code=2)
    run_command(capsys, *common, "--overwrite", "--episodes", 0, code=2)
    run_command(capsys, "baselines", "--out", "", code=2)
    assert contents(tmp_path) == first
    (tmp_path / "cartpole/map/seed-1").mkdir()
    (tmp_path / "cartpole/map/seed-1/metrics.jsonl").write_text("mine")
    first = contents(tmp_path)
    run_command(capsys, *common, "--overwrite", "--seeds", 2, code=2)
    assert contents(tmp_path) == first
    run_command(capsys, *common, "--overwrite")
    assert read_run_files(tmp_path / "cartpole/map/seed-0").run != run
    assert (tmp_path / "cartpole/map/seed-1/metrics.jsonl").read_text() == "mine"


@pytest.mark.parametrize("writes", range(8))
def test_a_kill_between_two_files_leaves_no_run_that_is_a_mixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
):
    old, new = (content_of_run({"seed": seed}, [{"env_steps": seed}], {"seed": seed}) for seed in (1, 2))
    keep_run(tmp_path, old)
    write, left = owned_files.write_atomically, writes

    def dies(path: Path, content: bytes) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(owned_files, "write_atomically", dies)
        with suppress(KeyboardInterrupt):
            keep_run(tmp_path, new)
    try:
        found = read_run_files(tmp_path)
    except CheckpointError:
        assert not (tmp_path / "summary.json").exists()
    else:
        if found.summary is not None:
            assert found.summary["seed"] == found.about["spec"]["seed"] == found.lines[0]["env_steps"]
    keep_run(tmp_path, new)
    assert {name: (tmp_path / name).read_bytes() for name in new} == new


def test_map_in_a_comparison_is_the_local_run(tmp_path: Path):
    (result,) = compare(["cartpole"], ["map"], [5], until=None, episodes=12, out=tmp_path)
    run = Run(replace(preset("cartpole"), seed=5, episodes=12), LaunchSpec(backend="local"))
    returns = []
    while not run.done:
        returns += [episode.total for episode in run.advance()]
    summary = run.summary()
    run.close()
    folder = tmp_path / "cartpole/map/seed-5"
    assert [line["return"] for line in _lines(folder)] == returns
    assert (result.mean_return, result.env_steps) == (summary["mean_return"], summary["env_steps"])
    assert (result.threshold, result.seconds_to_threshold) == (475, None)
    assert json.loads((folder / "spec.json").read_text())["spec"]["seed"] == 5


def test_the_command_compares_and_counts_the_ratio_to_map(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    with pytest.raises(SystemExit) as exit_:
        main(["baselines", "--until", "9", "--algorithms", "ppo", "map", "--json", "--out", str(tmp_path)])
    captured = capsys.readouterr()
    assert exit_.value.code == 0, captured.err
    results = json.loads(captured.out.splitlines()[-1])
    assert [(its["algorithm"], its["seed"]) for its in results] == [("ppo", 0), ("map", 0)]
    ppo, of_map = results
    assert ppo["episodes"] == 100  # no mean of a hundred before, and the mean return of any policy is above 9
    assert ppo["ratio"] == ppo["seconds_to_threshold"] / of_map["seconds_to_threshold"]
    assert of_map["ratio"] == 1
    assert len(list(tmp_path.glob("cartpole/*/seed-0/summary.json"))) == 2


def test_the_table_says_who_never_got_there():
    (result,) = compare(["cartpole"], ["map"], [0], until=475, episodes=2, out=None)
    lines = result_lines([result])
    assert lines[1].split()[:6] == ["cartpole", "map", "0", "475", "never", "-"]


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("--tasks", "cartpol"), "tasks"), (("--algorithms", "mop"), "algorithms"), (("--seeds", "0"), "seeds"),
        (("--first-seed", "-1"), "first_seed"),
    ],
)
def test_the_command_refuses_nonsense(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], where: str):
    with pytest.raises(SystemExit) as exit_:
        main(["baselines", *arguments])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.startswith(f"teamnet: {where}: ")


def test_an_environment_of_a_users_own_is_compared_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "place.py").write_text(
        "import gymnasium, numpy as np\nfrom gymnasium import spaces\n\n"
        "class Place(gymnasium.Env):\n"
        "    observation_space = spaces.Dict(at=spaces.Discrete(3), seen=spaces.Box(0.0, 1.0, (2,)))\n"
        "    action_space = spaces.Discrete(2)\n"
        "    def _observe(self):\n"
        "        return {'at': int(self.np_random.integers(3)), 'seen': np.ones(2, np.float32)}\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        super().reset(seed=seed)\n        self.steps = 0\n        return self._observe(), {}\n"
        "    def step(self, action):\n"
        "        self.steps += 1\n        return self._observe(), float(action), self.steps == 5, False, {}\n"
    )
    task, out = f"{tmp_path}/place.py:Place", tmp_path / "out"
    command = ("baselines", "--tasks", task, "--algorithms", "map", "a2c", "--episodes", 6, "--out", out, "--json")
    printed, _ = run_command(capsys, *command)
    rows = json.loads(printed.splitlines()[-1])
    assert [(row["task"], row["algorithm"], row["episodes"]) for row in rows] == [(task, "map", 6), (task, "a2c", 6)]
    assert all(0.0 <= row["mean_return"] <= 5.0 for row in rows)
    assert len(list(out.glob("*place.py-Place/*/seed-0/summary.json"))) == 2, "in one folder, not at the task's path"
