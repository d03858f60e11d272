"""The command line as a user sees it."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from teamnet.cli.options import Choice, Keeping, fields_of
from teamnet.cli.plan_command import Planning
from teamnet.dataflow.slots import Messages
from teamnet.rules.registry import built_in_rules
from teamnet.spec.run import LaunchSpec, RunSpec, TeamSpec
from teamnet.training.endings import StoppingOnSignals
from tests.commands import run_command
from tests.conftest import GOLDEN

FIELDS = [
    "task", "rule", "backend", "transport", "grain", "seed", "actors", "env_steps", "episodes", "mean_return",
    "seconds", "startup_seconds", "env_steps_per_second", "digest", "pinning", "communication",
    "resumable", "recoveries",
]


SMALL = ("train", "cartpole", "--backend", "local", "--hidden", "6", "4", "--env-steps", "200", "--json")


def test_the_last_line_of_train_is_the_summary(capsys: pytest.CaptureFixture[str]):
    out, _ = run_command(capsys, *SMALL)
    summary = json.loads(out.splitlines()[-1])
    assert list(summary) == FIELDS
    assert summary["env_steps"] == 200


def test_the_terminal_says_what_the_units_said_and_who_held_them_up(capsys: pytest.CaptureFixture[str]):
    out, _ = run_command(capsys, *SMALL[:-1])
    lines = {line[:22].strip(): line[23:] for line in out.splitlines() if line[:22].strip()}
    size = 2 * 21 * (6 + 4) + 21 * (4 + 2) + 21 * (4 + 1)  # numbers of activations of both teams, and of errors
    signals = 2 * 4 + 6 + 2 + 1 + 1 + 2 + 6  # observations, TD errors, outputs with the value, gates, rows to keep
    assert lines["messages a step"] == f"180.0, {8 * (size + signals):,} bytes"
    assert lines["exchanges a step"] == "45, sequential"
    assert sum("the bottleneck" in line for line in out.splitlines()) == 1
    assert "digest" in lines


def test_any_preset_value_can_be_overridden(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    run_command(
        capsys, *SMALL, "--actor.temperature", "3", "--critic.variances", ".1", ".2", ".3", "--discount", ".9",
        "--rule", "reinforce", "--num-envs", "2", "--settle-steps", "7", "--function", "tanh", "--out", tmp_path,
    )
    spec = json.loads((tmp_path / "spec.json").read_text())["spec"]
    assert spec["actor"]["temperature"] == 3
    assert spec["critic"]["variances"] == [0.1, 0.2, 0.3]
    assert (spec["discount"], spec["rule"], spec["num_envs"]) == (0.9, {"name": "reinforce", "settings": {}}, 2)
    assert (spec["env_steps"], spec["episodes"]) == (200, None)


def test_an_unknown_flag_names_the_nearest(capsys: pytest.CaptureFixture[str]):
    _, err = run_command(capsys, *SMALL, "--setle-steps", "3", code=2)
    assert "--settle-steps" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian",), "no command 'trian'. Did you mean 'train'?"),
        (("train", "cartpol"), "teamnet: task: expected a preset"),
        (("train", "cartpole", "--rule", "mop"), "teamnet: rule: expected the name of a rule, a file"),
        (("train", "cartpole", "--backend", "local", "--grain", "blok:3"), "teamnet: grain: expected layer, block:K"),
        (("resume", "nowhere"), "teamnet: nowhere: expected"),
        (("train", "cartpole", "--address", "nowhere:1"), "address nowhere:1: expected a Ray cluster that takes"),
        (("eval", "nowhere", "--episodes", "0"), "teamnet: episodes: expected"),
        (("bench", "--repeats", "0"), "teamnet: repeats: expected a whole number from 1 to"),
        (("bench", "--steps", "0"), "teamnet: steps: expected a whole number from 1 to"),
        (("verify", "nowhere.npz"), "teamnet: nowhere.npz: expected a golden file"),
    ],
)
def test_refusals_are_one_line_without_a_traceback(capsys: pytest.CaptureFixture[str], arguments, message: str):
    _, err = run_command(capsys, *arguments, code=2)
    assert message in err
    assert "Traceback" not in err


def test_verify_passes_golden_files_and_fails_altered_ones(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    import numpy as np

    out, _ = run_command(capsys, "verify", GOLDEN[0], "--grain", "block:7")
    assert len(out.splitlines()) == 8
    arrays = dict(np.load(GOLDEN[0], allow_pickle=False))
    arrays["t2_trace_w1"] = arrays["t2_trace_w1"] + 1e-6
    np.savez(tmp_path / "altered.npz", **arrays)
    out, _ = run_command(capsys, "verify", tmp_path / "altered.npz", code=1)
    assert "trace_w        1.00e-06  ABOVE 1e-9" in out


def test_eval_reports_and_records(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    run_command(capsys, *SMALL, "--out", tmp_path)
    out, _ = run_command(capsys, "eval", tmp_path, "--episodes", "3", "--json")
    result = json.loads(out)
    assert len(result["returns"]) == 3
    assert result["mean_return"] == pytest.approx(sum(result["returns"]) / 3)
    again, _ = run_command(capsys, "eval", tmp_path, "--episodes", "3", "--json")
    assert again == out
    found = json.loads(again.splitlines()[-1])
    assert found["std_return"] == pytest.approx(statistics.stdev(found["returns"]))
    out, _ = run_command(capsys, "eval", tmp_path, "--episodes", "1", "--greedy", "--render")
    assert "deviation" not in out
    assert "mean return" in out
    (video,) = (tmp_path / "videos").glob("*.mp4")
    assert video.stat().st_size > 1000


def test_eval_of_single_step_tasks(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    for task, least in (("multiplexer", -0.5), ("regression", -50)):
        folder = tmp_path / task
        run_command(capsys, "train", task, "--backend", "local", "--env-steps", "1280", "--out", folder)
        out, _ = run_command(capsys, "eval", folder, "--episodes", "2", "--greedy", "--json")
        assert json.loads(out)["mean_return"] > least


def test_every_option_of_a_run_has_help():
    for more in (Keeping, Planning):
        for name, (_, _, purpose) in fields_of((Choice, RunSpec, Messages, LaunchSpec, more)).items():
            assert purpose or name in ("actor", "critic"), name
    for rule in built_in_rules().values():
        assert all(purpose for name, (_, _, purpose) in fields_of([rule]).items()), rule
    assert all(purpose for _, _, purpose in fields_of([TeamSpec]).values())


@pytest.mark.parametrize("rule", ["map", "reinforce"])
def test_the_help_shows_thirty_options_in_groups_before_those_of_the_rule(
    rule: str, capsys: pytest.CaptureFixture[str]
):
    text, _ = run_command(capsys, "train", "cartpole", "--rule", rule, "--help")
    general, _, rest = text.partition("rule options")
    for group in ("run", "network", "learning", "where-it-runs", "files"):
        assert f"{group} options" in general
    shown = re.findall(r"^. (--[a-z-]+)", general, re.MULTILINE)
    assert 20 < len(shown) <= 30
    assert len(shown) == len(set(shown))
    assert ("--schedule" in rest) == (rule == "map")
    assert "--free-running" not in text
    assert "--message-dtype" in rest
    assert "--critic.rates" in rest


def test_options_that_the_help_leaves_out_are_still_taken(capsys: pytest.CaptureFixture[str]):
    common = ("train", "cartpole", "--backend", "local", "--env-steps", 5, "--json")
    run_command(capsys, *common, "--action-scale", 1.5)
    _, err = run_command(capsys, *common, "--rule", "reinforce", "--feedback", "random", code=2)
    assert "feedback: expected" in err


def test_an_environment_that_fails_while_it_is_evaluated_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run_command(capsys, "train", "cartpole", "--backend", "local", "--env-steps", "20", "--out", tmp_path)

    def fail(its: CartPoleEnv, action: int) -> None:
        raise RuntimeError("the simulator is gone")

    monkeypatch.setattr(CartPoleEnv, "step", fail)
    _, err = run_command(capsys, "eval", tmp_path, code=2)
    assert "cartpole: expected" in err
    assert f"found RuntimeError: the simulator is gone, raised at {__file__}:" in err


def test_bench_prints_a_ratio(capsys: pytest.CaptureFixture[str]):
    out, _ = run_command(capsys, "bench", "--repeats", "1", "--steps", "200", "--only", "local", "--json")
    result = json.loads(out)
    assert result["ratio"] == pytest.approx(result["rate"] / result["reference"])
    assert result["megabytes"] > 10


def _ray_processes(session: int) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == session:
                found.append((entry / "cmdline").read_text())
        except (OSError, ValueError):
            continue
    return found


@pytest.mark.parametrize(
    ("backend", "number"),
    [
        ("local", signal.SIGINT), ("ray", signal.SIGINT), ("local", signal.SIGTERM), ("local", signal.SIGHUP),
        ("ray", signal.SIGHUP),
    ],
)
def test_being_asked_to_end_saves_and_leaves_nothing_behind(backend: str, number: signal.Signals, tmp_path: Path):
    code = "from teamnet.cli.main import main; main()"
    arguments = ["train", "cartpole", "--backend", backend, "--hidden", "6", "4", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "metrics.jsonl"
    deadline = time.monotonic() + 90
    while not (metrics.exists() and time.monotonic() > deadline - 88 and (tmp_path / "tensorboard").exists()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted; continue with: teamnet resume" in err
    assert "Traceback" not in err
    assert list(tmp_path.glob("checkpoint-*.json"))
    assert (tmp_path / "summary.json").exists()
    time.sleep(2)
    assert _ray_processes(process.pid) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_study_that_is_asked_to_end_says_so_and_leaves_nothing_behind(number: signal.Signals, tmp_path: Path):
    code = "from teamnet.cli.main import main; main()"
    arguments = ["paper", "--tasks", "multiplexer", "--methods", "map", "--seeds", "1", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    assert "0 of 1 runs finished" in process.stderr.readline()  # Ray has started the run
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "interrupted; what is finished is kept, and the same command continues"
    assert "Traceback" not in err
    deadline = time.monotonic() + 10
    while (left := _but_for_agents(_ray_processes(process.pid))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_under_nohup_a_terminal_that_closes_ends_nothing(tmp_path: Path):
    metrics, command = tmp_path / "run" / "metrics.jsonl", [sys.executable, "-m", "teamnet", *SMALL[:-3]]
    process = subprocess.Popen(
        ["nohup", *command, "--env-steps", "10000000", "--out", str(tmp_path / "run")], stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while not (metrics.exists() and metrics.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGHUP)
    size = metrics.stat().st_size
    while metrics.stat().st_size < size + 10000:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err


def _but_for_agents(lines: list[str]) -> list[str]:
    """Without two helpers of Ray's, which outlive a Ray that is interrupted while it starts by a minute or two."""
    return [line for line in lines if "Agent" not in line and "/agent" not in line]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_being_asked_to_end_while_it_starts_leaves_nothing_behind(number: signal.Signals, tmp_path: Path):
    code = "from teamnet.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "train", "cartpole", "--out", str(tmp_path)], start_new_session=True,
        stderr=subprocess.PIPE, text=True,
    )
    assert process.stderr
    assert "starting Ray for 6 actors" in process.stderr.readline()
    time.sleep(3)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    deadline = time.monotonic() + 10
    while (left := _but_for_agents(_ray_processes(process.pid))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_a_signal_whose_interrupt_nobody_heard_ends_the_run_once_it_has_started():
    stopped, before = [], signal.getsignal(signal.SIGTERM)
    with StoppingOnSignals() as signals:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("there is no step in hand to be waited for")
        signals.after_step(lambda: stopped.append(True))
        assert stopped == [True]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
