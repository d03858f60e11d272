"""Checkpoints whose checksums are right and whose contents are not: refused, or gone on from to the end."""

from __future__ import annotations

import json
import shutil
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.errors import CheckpointError, EnvironmentRefused, NumericalError, ResourceError, SpecError
from teamnet.spec.change import changed
from teamnet.spec.presets import preset
from teamnet.study.evaluate import EvaluationSettings, evaluate
from teamnet.training.agent import TeamAgent
from teamnet.training.checkpoint import checkpoint_path, load_checkpoint, newest_checkpoint, save_checkpoint
from teamnet.training.session import resume, train
from teamnet.training.trained_policy import TrainedPolicy
from tests.hostile.golden_files import damaged_array
from tests.hostile.law import LOCAL, cases, obey
from tests.hostile.plain import ANYTHING, damaged

REFUSALS = CheckpointError, SpecError, NumericalError, ResourceError, EnvironmentRefused
END = 30
TASKS = {
    "cartpole": replace(preset("cartpole", "reinforce-part"), num_envs=2),
    "mountaincar": preset("mountaincar", "tuned"),
    "multiplexer": replace(preset("multiplexer"), address_bits=1, num_envs=2),
}
FIELDS = (
    "step", "seconds", "recoveries", "launch", "spec", "interface", "actions", "statistics", "metrics", "replayable",
)
KINDS = ("array", "array", "array", "missing", "extra", "renamed", "swapped", "counters", "counters", "task")


@st.composite
def _unfit(draw: st.DrawFn, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Arrays, JSON and a step, of which one thing is not as it was."""
    how, name = draw(st.sampled_from(KINDS)), draw(st.sampled_from(sorted(arrays)))
    arrays, about = dict(arrays), dict(about)
    other = draw(st.sampled_from(sorted(arrays)))
    if how == "array":
        arrays[name] = np.ascontiguousarray(draw(damaged_array(arrays[name])))
    elif how == "missing":
        del arrays[name]
    elif how == "extra":
        arrays[draw(st.sampled_from(["actor.9.x", "actor.1.x", "coordinator.x", "x", "", name + "."]))] = arrays[other]
    elif how == "renamed":
        arrays[name + "s"] = arrays.pop(name)
    elif how == "swapped":
        arrays[name], arrays[other] = arrays[other], arrays[name]
    elif how == "task":
        about["task"] = draw(damaged(about["task"], most=2) | ANYTHING)
    else:
        field = draw(st.sampled_from(FIELDS))
        within = isinstance(about[field], dict) and draw(st.booleans())
        about[field] = draw(damaged(about[field], most=2) if within else ANYTHING | st.integers(0, 60))
    return arrays, about, about.pop("step")


def _write(folder: Path, arrays: dict[str, np.ndarray], about: dict[str, Any], step: Any) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    save_checkpoint(checkpoint_path(folder, "0123456789ab", 20), "0123456789ab", 20, arrays, {**about, "step": step})


def _go_on(folder: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the environment does not come back: learning is refused
        agent = TeamAgent.load(folder)
    with agent:
        agent.learn(max(1, END - agent.summary()["env_steps"]))
        return agent.summary() | {"finite": all(np.isfinite(array).all() for array in agent.state().values())}


@pytest.mark.parametrize("task", TASKS)
def test_what_does_not_fit_is_refused_or_gone_on_from(task: str, tmp_path: Path):
    spec = changed(TASKS[task], hidden=(3, 2), env_steps=20, episodes=None, settle_steps=2)
    train(spec, LOCAL, tmp_path / "run")
    arrays, about = load_checkpoint(newest_checkpoint(tmp_path / "run"))
    about = {name: value for name, value in about.items() if name not in ("format", "run", "number", "sha256")}
    assert json.loads(json.dumps(about)) == about
    whole = _go_on(tmp_path / "run") | {"size": about["interface"]["observation_size"]}
    outcomes: Counter[str] = Counter()
    folder = tmp_path / "unfit"

    @cases(100)
    @given(_unfit(arrays, about))
    def check(its: tuple[Any, Any, Any]):
        _write(folder, *its)
        summary, error = obey(lambda: _go_on(folder))
        _, judged = obey(lambda: evaluate(folder, EvaluationSettings(1, greedy=True, max_steps=500)))
        _, acted = obey(lambda: TrainedPolicy.load(folder).predict(np.zeros(whole["size"])))
        _, resumed = obey(lambda: resume(folder, env_steps=END))
        for refusal in (error, judged, acted, resumed):
            assert refusal is None or isinstance(refusal, REFUSALS), refusal
        if summary is not None:
            assert summary["env_steps"] >= END
            assert summary["finite"]
            same = its[2] == about["step"] and its[1]["task"] == about["task"] and its[1]["spec"] == about["spec"]
            same &= its[0].keys() == arrays.keys()
            if same and all(np.array_equal(its[0][name], array) for name, array in arrays.items()):
                assert summary["digest"] == whole["digest"]
                outcomes["the same"] += 1
        outcomes["refused" if error else "right"] += 1

    check()
    assert outcomes["refused"] > 30, outcomes
    assert min(outcomes["right"], outcomes["the same"]) > 1, outcomes
