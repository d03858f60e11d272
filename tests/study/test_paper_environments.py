"""Studies look at environments in Gymnasium's registry: none is made before the runs make theirs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from teamnet.errors import EnvironmentRefused
from teamnet.spec.presets import ENVIRONMENTS, PRESETS, preset
from teamnet.study.comparison import compare
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.workflow import Choice, run_study
from teamnet.study.interfaces import INTERFACES, interface_of
from teamnet.study.paper.methods import PAPER
from teamnet.study.sweep.session import SweepSpec, run_sweep
from teamnet.training.make_task import make_task
from teamnet.training.registry import reward_threshold


class Made(Exception):
    """An environment was made."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the environments that are made."""
    made: list[str] = []
    make = gymnasium.make

    def count(name: str, *arguments: Any, **named: Any) -> Any:
        made.append(name)
        return make(name, *arguments, **named)

    monkeypatch.setattr(gymnasium, "make", count)
    return made


@pytest.fixture
def without_box2d(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Box2D", None)


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_known_of_a_task_without_making_it_is_what_it_shows(name: str, counted: list[str]):
    spec = preset(name)
    known = interface_of(spec)
    assert counted == []
    task = make_task(spec)
    task.close()
    assert known == INTERFACES[name] == task.interface
    if name in ENVIRONMENTS:
        assert interface_of(replace(spec, task=ENVIRONMENTS[name])) == known


@pytest.mark.parametrize("task", ENVIRONMENTS)
def test_the_threshold_is_the_environments_own(task: str, counted: list[str]):
    threshold = reward_threshold(task)
    assert counted == []
    environment = gymnasium.make(ENVIRONMENTS[task])
    environment.close()
    assert environment.spec
    assert threshold == environment.spec.reward_threshold


def test_an_interface_that_no_preset_has_is_that_of_the_task(counted: list[str]):
    assert interface_of(replace(preset("multiplexer"), address_bits=2)).observation_size == 2 + 4
    assert counted == []
    assert interface_of(preset("Pendulum-v1")).observation_size == 3
    assert counted == ["Pendulum-v1"]


def test_a_study_makes_no_environment_before_its_runs_do(
    tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
):
    def run_jobs(*arguments: Any, **named: Any) -> Any:
        raise Made(*counted)

    monkeypatch.setattr("teamnet.team.ray_tasks.run_jobs", run_jobs)
    with pytest.raises(Made) as reached:
        run_study(Study(tmp_path, PAPER), Choice(tuple(INTERFACES), seeds=1))
    assert reached.value.args == ()


def test_a_comparison_makes_the_environments_of_its_runs_alone(counted: list[str]):
    compare(["cartpole"], ["map", "a2c"], [0], until=None, episodes=1, out=None)
    assert counted == ["CartPole-v1", "CartPole-v1"]


@pytest.mark.usefixtures("without_box2d")
def test_an_environment_that_is_not_installed_is_refused_before_anything_starts(
    tmp_path: Path, counted: list[str]
):
    for start in (
        lambda: run_study(Study(tmp_path / "study", PAPER), Choice(("cartpole", "lunarlander"), seeds=1)),
        lambda: compare(["cartpole", "lunarlander"], ["map"], [0], until=None, episodes=1, out=tmp_path / "race"),
        lambda: run_sweep(SweepSpec("lunarlander", ("step_size=0.1..1",), runs=1), tmp_path / "sweep"),
    ):
        with pytest.raises(EnvironmentRefused) as refusal:
            start()
        assert refusal.value.where == "LunarLander-v3"
        assert "box2d" in refusal.value.remedy
    assert counted == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
