"""Callbacks: when each method is called, that no bit changes, and what those of the package do."""

from __future__ import annotations

import csv
import itertools
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from teamnet import TeamAgent, TrainedPolicy
from teamnet.callbacks import (
    Callback,
    CsvLogger,
    Evaluation,
    ProgressBar,
    StopAtReturn,
    StopWithoutImprovement,
    TensorBoardLogger,
)
from teamnet.callbacks.named import named_callbacks
from teamnet.errors import CheckpointError, ResourceError, SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec
from teamnet.training.callback import Callbacks
from teamnet.training.saving import IfPresent, Saving
from teamnet.training.session import resume, train
from teamnet.training.task import Episode
from tests.commands import run_command
from tests.training.event_files import events_in

SMALL: dict[str, Any] = {"backend": "local", "hidden": (4,), "settle_steps": 2, "seed": 3}


class Recorder(Callback):
    """Writes down each call."""

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.calls: list[Any] = []

    def on_start(self, run: Any) -> None:
        self.calls.append("start")

    def on_step(self, run: Any) -> None:
        self.calls.append(run.task.env_steps)

    def on_episode(self, run: Any, episode: Episode) -> None:
        self.calls.append(episode)

    def on_checkpoint(self, run: Any, path: Path) -> None:
        self.calls.append(path)

    def on_end(self, run: Any) -> None:
        self.calls.append("end")


def _digest(**options: Any) -> tuple[str, np.ndarray]:
    with TeamAgent("cartpole", **SMALL) as agent:
        agent.learn(episodes=12, **options)
        return agent.summary()["digest"], agent.returns


@pytest.mark.parametrize("every", [1, 7, 1000])
def test_each_method_is_called_when_it_says_and_no_bit_changes(every: int):
    recorder = Recorder(every)
    digest, returns = _digest(callback=recorder)
    assert digest == _digest()[0]
    first, *calls, last = recorder.calls
    steps = [call for call in calls if isinstance(call, int)]
    episodes = [call for call in calls if isinstance(call, Episode)]
    assert (first, last) == ("start", "end")
    assert steps == [number for number in range(1, int(returns.sum()) + 1) if number % every == 0]
    assert [episode.total for episode in episodes] == list(returns)
    for episode in episodes:
        place = calls.index(episode)
        assert all(step < episode.env_steps for step in calls[:place] if isinstance(step, int)), "episodes come first"


def test_with_several_environments_a_step_is_one_of_the_batch():
    recorder = Recorder(4)
    with TeamAgent("cartpole", num_envs=4, **SMALL) as agent:
        agent.learn(env_steps=60, callback=[recorder])
    steps = [call for call in recorder.calls if isinstance(call, int)]
    assert len(steps) == len(set(steps)) >= 13
    assert all(later - earlier <= 8 for earlier, later in itertools.pairwise(steps))


@pytest.mark.parametrize("method", ["on_start", "on_step", "on_episode", "on_end"])
def test_an_exception_passes_and_the_agent_continues(method: str, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: Any) -> None:
        raise LookupError("of the user")

    with TeamAgent("cartpole", **SMALL) as agent, TeamAgent("cartpole", **SMALL) as calm:
        recorder = Recorder()
        monkeypatch.setattr(Recorder, method, fail)
        with pytest.raises(LookupError):
            agent.learn(env_steps=30, callback=recorder)
        monkeypatch.undo()
        assert recorder.calls[-1] != "start" if method == "on_end" else recorder.calls[-1] == "end"
        agent.learn(env_steps=30)
        calm.learn(env_steps=agent.summary()["env_steps"])
        assert agent.summary()["digest"] == calm.summary()["digest"]


@pytest.mark.parametrize("wrong", [3, [print], "Evaluation", [Recorder]], ids=repr)
def test_what_is_no_callback_is_refused(wrong: Any):
    with TeamAgent("cartpole", **SMALL) as agent, pytest.raises(SpecError) as refusal:
        agent.learn(env_steps=10, callback=wrong)
    assert refusal.value.where == "callback"
    with pytest.raises(SpecError) as refusal:
        Callbacks([Recorder(0)])
    assert refusal.value.where == "Recorder.every"


class Stopping(Callback):
    every = 50

    def on_step(self, run: Any) -> None:
        run.stop("enough")


class Saved(Callback):
    every = 40

    def __init__(self, folder: Any) -> None:
        self.folder = folder

    def on_step(self, run: Any) -> None:
        run.save(self.folder)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_callback_saves_to_a_new_folder(kind: type, tmp_path: Path):
    with TeamAgent("cartpole", **SMALL) as agent:
        agent.learn(env_steps=100, callback=Saved(kind(tmp_path / "a/b")))
    with TeamAgent.load(tmp_path / "a/b") as loaded:
        assert loaded.summary()["env_steps"] == 80


def test_a_callback_ends_the_call_and_the_next_one_continues():
    with TeamAgent("cartpole", **SMALL) as agent, TeamAgent("cartpole", **SMALL) as calm:
        agent.learn(env_steps=10**9, callback=Stopping())
        assert (agent.summary()["env_steps"], agent.summary()["stopped"]) == (50, "enough")
        agent.learn(env_steps=30)
        assert "stopped" not in agent.summary()
        assert agent.summary()["digest"] == calm.learn(env_steps=80).summary()["digest"]


def test_a_run_with_a_folder_ends_early_as_a_success(tmp_path: Path, capsys: Any, monkeypatch: Any):
    (tmp_path / "mine.py").write_text(
        "from teamnet.callbacks import Callback\n\nclass Ends(Callback):\n    def __init__(self, every=10):\n"
        "        self.every = every\n\n    def on_step(self, run):\n        run.stop(f'at {run.task.env_steps}')\n"
    )
    monkeypatch.chdir(tmp_path)
    command = ("train", "cartpole", "--backend", "local", "--hidden", 4, "--settle-steps", 2, "--out", "run", "--json")
    for name in ("mine:Ends(every=40)", "mine.py:Ends(every=40)"):
        out, _ = run_command(capsys, *command, "--overwrite", "--callback", name, "StopAtReturn(value=1000.0)")
        summary = json.loads(out.splitlines()[-1])
        assert (summary["env_steps"], summary["stopped"]) == (40, "at 40")
    out, _ = run_command(capsys, "resume", "run", "--callback", "mine:Ends(every=100)", "--json")
    assert json.loads(out.splitlines()[-1])["env_steps"] == 100, "due at multiples, from wherever it was resumed"


def test_a_run_whose_callback_fails_is_saved_first(tmp_path: Path, monkeypatch: Any):
    (tmp_path / "bad.py").write_text(
        "from teamnet.callbacks import Callback\n\nclass Fails(Callback):\n    every = 77\n\n"
        "    def on_step(self, run):\n        raise LookupError('of the user')\n"
    )
    monkeypatch.chdir(tmp_path)
    from teamnet.spec.change import changed
    from teamnet.spec.presets import preset
    from teamnet.spec.run import LaunchSpec
    from teamnet.training.session import resume, train

    spec = changed(preset("cartpole"), hidden=(4,), settle_steps=2, env_steps=120, episodes=None)
    with pytest.raises(LookupError):
        train(spec, LaunchSpec("local"), tmp_path / "run", callbacks=named_callbacks(["bad.py:Fails"]))
    assert len(list((tmp_path / "run").glob("checkpoint-*.json"))) == 1
    summary, _ = resume(tmp_path / "run")
    assert summary["digest"] == train(spec, LaunchSpec("local"), None)[0]["digest"]


@pytest.mark.parametrize("text", ["Evaluate()", "Evaluation(evry=3)", "no_such_module:X", "Evaluation(3)", "Recorder"])
def test_unknown_names_are_refused(text: str):
    with pytest.raises(SpecError) as refusal:
        named_callbacks([text])
    assert refusal.value.where == "callback"


def _returns(callback: Callback, returns: list[float]) -> tuple[int, str]:
    """The number of returns after which a callback stops a run, and its reason."""
    class Run:
        stopped = ""

        def stop(self, reason: str) -> None:
            self.stopped = reason

    run: Any = Run()
    for number, total in enumerate(returns, 1):
        callback.on_episode(run, Episode(number, number, total, 1))
        if run.stopped:
            return number, run.stopped
    return 0, ""


def test_when_runs_are_stopped():
    assert _returns(StopAtReturn(5.0, 2), [9.0, 0.0, 4.0, 6.0, 9.0])[0] == 4
    assert _returns(StopAtReturn(5.0, 4), [9.0, 9.0, 9.0])[0] == 0
    rising, flat = [float(number) for number in range(20)], [5.0] * 20
    assert _returns(StopWithoutImprovement(3, 2), rising)[0] == 0
    assert _returns(StopWithoutImprovement(3, 2), rising + flat)[0] == 23
    assert _returns(StopWithoutImprovement(3, 2, least=0.5), rising)[0] == 0
    assert _returns(StopWithoutImprovement(1, 2, least=1.5), rising)[0] == 3
    for wrong in (lambda: StopAtReturn(math.nan), lambda: StopAtReturn(1.0, 0), lambda: StopWithoutImprovement(0)):
        with pytest.raises(SpecError):
            wrong()


def test_an_evaluation_keeps_the_best_policy(tmp_path: Path):
    evaluation = Evaluation(every=300, episodes=4, folder=tmp_path)
    with TeamAgent("cartpole", **SMALL) as agent, TeamAgent("cartpole", **SMALL) as calm:
        agent.learn(env_steps=1500, callback=evaluation)
        assert agent.summary()["digest"] == calm.learn(env_steps=1500).summary()["digest"]
    assert [steps for steps, _ in evaluation.results] == [300, 600, 900, 1200, 1500]
    [log] = tmp_path.glob("evaluations-*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["mean_return"] for line in lines] == [found.mean for _, found in evaluation.results]
    best = max(lines, key=lambda line: line["mean_return"])
    assert evaluation.best == best["mean_return"]
    with TeamAgent.load(tmp_path / "best") as loaded, TeamAgent("cartpole", **SMALL) as again:
        again.learn(env_steps=best["env_steps"])
        assert loaded.summary()["digest"] == again.summary()["digest"]
    policy, environment = TrainedPolicy.load(tmp_path / "best"), gymnasium.make("CartPole-v1")
    observation, _ = environment.reset(seed=0)
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = environment.step(policy.predict(observation)[0])
        total, over = total + float(reward), terminated or truncated
    assert total == best["returns"][0]


def test_evaluations_of_the_command_line_survive_a_resume(tmp_path: Path, capsys: Any):
    common = ("--backend", "local", "--hidden", 4, "--settle-steps", 2, "--out", tmp_path / "run", "--json")
    evaluation = ("--callback", "Evaluation(every=100, episodes=2)")
    run_command(capsys, "train", "cartpole", "--env-steps", 350, *common, *evaluation)
    run_command(capsys, "resume", tmp_path / "run", "--env-steps", 520, *evaluation)
    [log] = (tmp_path / "run").glob("evaluations-*.jsonl")
    assert [json.loads(line)["env_steps"] for line in log.read_text().splitlines()] == [100, 200, 300, 400, 500]
    assert len(list((tmp_path / "run/best").glob("*.json"))) == 1
    run_command(capsys, "train", "cartpole", "--env-steps", 50, *common, "--overwrite")
    assert not list((tmp_path / "run").glob("evaluations-*"))
    assert not list((tmp_path / "run/best").glob("*"))
    out, _ = run_command(capsys, "train", "cartpole", "--env-steps", 10**6, *common, "--overwrite", "--callback",
                         "Evaluation(every=100, episodes=2, stop_at=1.0)")
    assert json.loads(out.splitlines()[-1])["env_steps"] == 100
    _, error = run_command(capsys, "train", "multiplexer", *common[:-3], *evaluation, code=2)
    assert "callback" in error


def test_loggers_have_every_episode(tmp_path: Path):
    callbacks = [CsvLogger(tmp_path / "log/episodes.csv"), TensorBoardLogger(tmp_path)]
    with TeamAgent("cartpole", **SMALL) as agent:
        agent.learn(episodes=5, callback=callbacks)
        agent.learn(episodes=5, callback=callbacks)
        returns = agent.returns
    rows = list(csv.DictReader((tmp_path / "log/episodes.csv").open()))
    assert [float(row["return"]) for row in rows] == list(returns)
    assert [int(row["length"]) for row in rows] == list(returns), "CartPole gives 1 a step"
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_several_runs_write_to_one_file_of_whole_lines(tmp_path: Path):
    path, seeds = tmp_path / "all.csv", ["0", "1", "2"]
    command = [sys.executable, "-m", "teamnet", "train", "cartpole", "--backend", "local", "--episodes", "40"]
    command += ["--callback", f"CsvLogger(path='{path}')", "--seed"]
    runs = [subprocess.Popen([*command, seed], stderr=subprocess.DEVNULL) for seed in seeds]
    assert [run.wait() for run in runs] == [0] * 3
    assert path.read_text().count("env_steps") == 1, "one header"
    rows = list(csv.DictReader(path.open()))
    for seed in seeds:
        own = [row for row in rows if row["seed"] == seed]
        assert [int(row["episode"]) for row in own] == list(range(1, 41))
        assert int(own[-1]["env_steps"]) == sum(int(row["length"]) for row in own)


def _records(content: bytes) -> list[bytes]:
    """The records of a log in LevelDB's format: blocks of 32 KiB of checksum, length, kind and data."""
    block, place, records, parts = 32_768, 7, [], b""  # seven bytes name the format
    while place + 7 <= len(content):
        if block - place % block < 7:
            place += block - place % block
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            records.append(parts)
            parts = b""
    return records


def test_weights_and_biases_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import wandb

    from teamnet.callbacks import WandbLogger

    monkeypatch.setenv("WANDB_SILENT", "true")
    with TeamAgent("cartpole", **SMALL) as agent:
        agent.learn(episodes=5, callback=WandbLogger(mode="offline", dir=str(tmp_path), project="p"))
        returns, digest = agent.returns, agent.summary()["digest"]
    [file] = tmp_path.rglob("*.wandb")
    from wandb.proto import wandb_internal_pb2

    found, summary = [], {}
    for data in _records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            items = {item.key or ".".join(item.nested_key): item.value_json for item in record.history.item}
            found.append(float(items["return"]))
        if record.WhichOneof("record_type") == "summary":
            summary |= {item.key or ".".join(item.nested_key): item.value_json for item in record.summary.update}
    assert found == list(returns)
    assert json.loads(summary["digest"]) == digest
    assert json.loads(summary["mean_return"]) == returns.mean()
    assert wandb.run is None
    wandb.teardown()  # its service would stay until this process ends


def test_mlflow_in_a_file(tmp_path: Path):
    import mlflow

    from teamnet.callbacks import MlflowLogger

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with TeamAgent("cartpole", **SMALL) as agent:
        agent.learn(episodes=5, callback=MlflowLogger(uri, "e"))
        returns = agent.returns
    client = mlflow.MlflowClient(tracking_uri=uri)
    [found] = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    assert [metric.value for metric in client.get_metric_history(found.info.run_id, "return")] == list(returns)
    assert (found.data.params["task"], found.info.status) == ("cartpole", "FINISHED")


def test_a_missing_logger_is_refused_with_the_extra(monkeypatch: pytest.MonkeyPatch):
    from teamnet.callbacks import WandbLogger

    monkeypatch.setitem(sys.modules, "wandb", None)
    with TeamAgent("cartpole", **SMALL) as agent, pytest.raises(SpecError, match="teamnet\\[wandb\\]"):
        agent.learn(episodes=1, callback=WandbLogger())


def test_the_progress_bar_shows_episodes_and_rate(capsys: pytest.CaptureFixture[str]):
    digest, _ = _digest(progress_bar=True)
    error = capsys.readouterr().err
    assert "12 episodes" in error
    assert "steps/s" in error
    assert digest == _digest(callback=ProgressBar())[0] == _digest()[0]


class Refusing(Callback):
    """Refuses every run."""

    def on_start(self, run: Any) -> None:
        raise SpecError("callback", expected="another run", found="this one", remedy="Give another one.")


def test_a_callback_that_refuses_a_run_leaves_the_earlier_one_whole(tmp_path: Path):
    spec = changed(preset("cartpole"), hidden=(4,), env_steps=200, episodes=None)
    train(spec, LaunchSpec("local"), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    recorder = Recorder()
    for present in (IfPresent.OVERWRITE, IfPresent.RESUME):
        with pytest.raises(SpecError):
            train(
                replace(spec, env_steps=300), LaunchSpec("local"), tmp_path, if_present=present,
                callbacks=Callbacks([recorder, Refusing()]),
            )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert recorder.calls == ["start", "end"] * 2
    with pytest.raises(SpecError):
        train(spec, LaunchSpec("local"), tmp_path / "new", callbacks=Callbacks([Refusing()]))
    assert train(spec, LaunchSpec("local"), tmp_path / "new")[0]["env_steps"] == 200, "nothing is in the way"


def test_a_run_that_a_callback_ended_is_not_trained_further_by_the_same_command(tmp_path: Path):
    spec = changed(preset("cartpole"), hidden=(4,), env_steps=None, episodes=50)
    found = [
        train(
            spec, LaunchSpec("local"), tmp_path, if_present=IfPresent.RESUME,
            callbacks=Callbacks([StopAtReturn(1.0, episodes=5)]),
        )[0]
        for _ in range(2)
    ]
    assert found[0]["digest"] == found[1]["digest"]
    assert [summary["episodes"] for summary in found] == [5, 5]
    more, _ = resume(tmp_path)
    assert more["episodes"] == 50
    assert "stopped" not in more


def test_a_callback_that_raises_keeps_no_other_one_from_being_called():
    class Once(Callback):
        raised = False

        def on_episode(self, run: Any, episode: Episode) -> None:
            if episode.episode == 3 and not self.raised:
                self.raised = True
                raise LookupError

        def on_end(self, run: Any) -> None:
            raise ArithmeticError

    recorder = Recorder(10**9)
    with TeamAgent("cartpole", **SMALL) as agent:
        for _ in range(2):
            with pytest.raises(ArithmeticError):
                agent.learn(episodes=4, callback=[Once(), recorder])
        returns = agent.returns
    episodes = [call for call in recorder.calls if isinstance(call, Episode)]
    assert [episode.total for episode in episodes] == list(returns)
    assert recorder.calls.count("end") == 2


def test_an_episode_that_is_done_again_has_a_second_line_and_void_events(tmp_path: Path):
    """The process ends in the middle, without a checkpoint of its last steps."""
    class Ending(Callback):
        def on_episode(self, run: Any, episode: Episode) -> None:
            if episode.episode == 9:
                raise KeyboardInterrupt

    spec, log = changed(preset("cartpole"), hidden=(4,), env_steps=400, episodes=None), tmp_path / "log.csv"
    with pytest.raises(KeyboardInterrupt):
        train(
            spec, LaunchSpec("local"), tmp_path / "run", saving=Saving(every=100),
            callbacks=Callbacks([CsvLogger(log), Ending()]),
        )
    resume(tmp_path / "run", callbacks=Callbacks([CsvLogger(log)]))
    rows = list(csv.DictReader(log.open()))
    last = {row["episode"]: row for row in rows}
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert len(rows) > len(lines) == len(last)
    assert [float(row["return"]) for row in last.values()] == [line["return"] for line in lines]
    assert len({row["run"] for row in rows}) == 1
    files = sorted((tmp_path / "run/tensorboard").iterdir(), key=lambda path: int(path.suffix[1:]))
    assert [path.suffix for path in files] == [".0", ".1"]
    messages = events_in(files[1])
    void = [message.step for message in messages if message.session_log.status == event_pb2.SessionLog.START]
    steps = [message.step for message in messages if message.summary.value]
    assert len(void) == 1
    assert void[0] <= min(steps)
    old = {message.step for message in events_in(files[0]) if message.summary.value and message.step < void[0]}
    assert old | set(steps) == {line["env_steps"] for line in lines}


def test_a_log_with_other_columns_is_refused(tmp_path: Path):
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with TeamAgent("cartpole", **SMALL) as agent:
        with pytest.raises(SpecError) as caught:
            agent.learn(episodes=1, callback=CsvLogger(tmp_path / "log.csv"))
        assert caught.value.where == "path"
        (tmp_path / "folder").mkdir()
        with pytest.raises(ResourceError) as refused:
            agent.learn(episodes=1, callback=CsvLogger(tmp_path / "folder"))
    assert "room" not in refused.value.expected
    assert (tmp_path / "log.csv").read_text() == "a,b\n1,2\n"


def test_an_evaluation_that_was_not_completely_written_is_left_out(tmp_path: Path):
    spec = changed(preset("cartpole"), hidden=(4,), env_steps=200, episodes=None)
    train(spec, LaunchSpec("local"), tmp_path, callbacks=Callbacks([Evaluation(every=50, episodes=1)]))
    (log,) = tmp_path.glob("evaluations-*.jsonl")
    lines = log.read_text().splitlines()
    log.write_text("\n".join(lines)[:-20])
    resume(tmp_path, env_steps=300, callbacks=Callbacks([Evaluation(every=50, episodes=1)]))
    assert [json.loads(line)["env_steps"] for line in log.read_text().splitlines()] == [50, 100, 150, 250, 300]
    log.write_text("{\n" + log.read_text())
    with pytest.raises(CheckpointError):
        resume(tmp_path, env_steps=400, callbacks=Callbacks([Evaluation(every=50, episodes=1)]))


def test_a_rewind_voids_the_best_mean():
    stop = StopWithoutImprovement(4, episodes=2)
    assert _returns(stop, [100.0, 100.0, 50.0, 50.0])[0] == 0
    run: Any = None
    stop.on_rewind(run)
    assert _returns(stop, [float(number) for number in range(10)])[0] == 0
