"""Reports are about the runs that there are: no sentence, row, line or picture of a method or task without runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teamnet.study.ablation.methods import ABLATION, VARIANTS
from teamnet.study.experiment.method import Method
from teamnet.study.experiment.recorded import Recorded
from teamnet.study.experiment.report import write_report
from teamnet.study.experiment.results import Curve, Result
from teamnet.study.experiment.study import Study
from teamnet.study.experiment.tasks import TASKS
from teamnet.study.paper.methods import METHODS, PAPER

TASK_WORDS = {
    "cartpole": "CartPole", "acrobot": "Acrobot", "lunarlander": "LunarLander|Box2D", "mountaincar": "MountainCar",
    "multiplexer": "[Mm]ultiplexer", "regression": "[Rr]egression",
}
METHOD_WORDS = {
    "map": "`map`", "tuned": "`tuned`", "scaled": "`scaled`", "frugal": "`frugal`|two descents", "backprop": "ackprop",
    "map-async": "[Aa]synchronous|`map-async`", "reinforce": "`reinforce`", "reinforce-part": "`reinforce-part`",
    "sb3-a2c": "A2C|a2c", "sb3-ppo": "PPO|ppo",
}
LENGTHS = {name: task.quick for name, task in TASKS.items()}


def _cells(methods: Mapping[str, Method]) -> st.SearchStrategy[dict[tuple[str, str], int]]:
    """How many runs some cells have."""
    every = [(task, name) for name, method in methods.items() for task in method.tasks]
    return st.dictionaries(st.sampled_from(every), st.integers(1, 3), max_size=5)


def _result(task: str, method: str, seed: int) -> Result:
    curve = Curve(np.array([1, 2]), np.array([-2.0, -1.0 - seed])) if seed > 1 else None
    return Result(
        task, method, seed, average_return=-1.0 - seed, episodes=9, env_steps=90, episodes_to_perfect=None,
        episodes_to_solved=None, final_return=-1.0, early_return=None, seconds=1.0, env_steps_per_second=90.0,
        digest=f"{seed}" * 64, version="0.1.0", curve=curve,
    )


def _recorded(cells: dict[tuple[str, str], int]) -> Recorded:
    return Recorded([_result(*cell, seed) for cell, runs in cells.items() for seed in range(1, 1 + runs)])


def _assert_only_of(text: str, words: Mapping[str, str], present: set[str]) -> None:
    for name, pattern in words.items():
        found = re.search(pattern, text)
        assert name in present or not found, f"{name}, which has no run: {found}"


def _assert_pictures_and_rows(folder: Path, text: str) -> None:
    named = set(re.findall(r"\(figures/(\S+?)\)", text))
    assert named == {path.name for path in (folder / "figures").glob("*")}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert not (line.startswith("|") and "0" in cells[1:2]), f"a row of no runs: {line}"
    assert not re.search(r"^#+ [^\n]*\n+(#|\Z)", text, re.MULTILINE), "a section with nothing in it"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(cells=_cells(METHODS), shortened=st.booleans())
def test_the_papers_report_is_about_the_runs_that_there_are(
    tmp_path: Path, cells: dict[tuple[str, str], int], shortened: bool
):
    folder = tmp_path / "study"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    study = Study(folder, PAPER, lengths=LENGTHS if shortened else {})
    text = write_report(study, _recorded(cells))[0].read_text().split("## Made with")[0]
    _assert_pictures_and_rows(folder, text)
    tasks = {task for task, _ in cells}
    methods = {name for cell in cells for name in (cell[1], *study.same_as(*cell))}
    _assert_only_of(text, TASK_WORDS, tasks)
    own = re.sub("published `[a-z-]+`", "", text)  # the published number below the average of ours
    _assert_only_of(own, METHOD_WORDS, methods)
    assert ("REINFORCE" in text) <= bool(methods & {"reinforce", "reinforce-part"})
    assert ("Stable-Baselines3" in text) <= bool(methods & {"sb3-a2c", "sb3-ppo"})
    for task, method in cells:
        assert TASKS[task].title in text
        assert f"{task} `{method}`" in text
    if shortened:
        assert not re.search(r"\| published|## Beside", text)
        assert ("were shortened" in text) == bool(cells)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(cells=_cells(VARIANTS))
def test_the_report_of_ways_is_about_the_runs_that_there_are(tmp_path: Path, cells: dict[tuple[str, str], int]):
    folder = tmp_path / "study"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    text = write_report(Study(folder, ABLATION), _recorded(cells))[0].read_text().split("## Made with")[0]
    _assert_pictures_and_rows(folder, text)
    _assert_only_of(text, TASK_WORDS, {task for task, _ in cells})
    _assert_only_of(text, {name: f"`{name}`|{re.escape(way.label)}\\b(?![,-])" for name, way in VARIANTS.items()}, {
        method for _, method in cells
    })


@pytest.mark.parametrize("shortened", [True, False])
@pytest.mark.parametrize("methods", [("reinforce", "reinforce-part"), ("reinforce",)])
def test_a_paragraph_is_shown_if_all_its_methods_have_runs_of_the_length_that_it_is_about(
    tmp_path: Path, methods: tuple[str, ...], shortened: bool
):
    study = Study(tmp_path, PAPER, lengths=LENGTHS if shortened else {})
    text = write_report(study, _recorded({("mountaincar", method): 1 for method in methods}))[0].read_text()
    assert ("The published deviations of both kinds of REINFORCE" in text) == (len(methods) == 2 and not shortened)
