"""Environments that answer anything: the run ends with an error that says where, or counts every step right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teamnet.errors import EnvironmentRefused, NumericalError
from teamnet.spec.change import changed
from teamnet.spec.presets import METHODS, preset
from tests.hostile.law import cases, obey, run_to_the_end
from tests.hostile.odd_environment import (
    ENDINGS,
    HUGE,
    NAME,
    OBSERVATIONS,
    REWARDS,
    RIGHT,
    WHOLES,
    WRONG,
    Answer,
    Odd,
    content,
    kind_of,
)

STEPS = 8


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    gymnasium.register(NAME, Odd, order_enforce=False)
    yield
    gymnasium.registry.pop(NAME)


def _names(table: dict[str, dict[str, Any]], *kinds: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name for kind in kinds for name in table.get(kind, ())])


def _answers(*kinds: str) -> st.SearchStrategy[Answer]:
    tables = (OBSERVATIONS, REWARDS, ENDINGS, WHOLES)
    return st.builds(Answer, *(_names(table, *kinds) for table in tables))


GOOD = _answers(RIGHT)
SCRIPTS = st.lists(GOOD, max_size=STEPS)
BAD = st.sampled_from(["observation", "reward", "ending", "whole"])


@st.composite
def spoilt(draw: st.DrawFn, kind: str) -> tuple[Answer, ...]:
    """Good answers, one of which has one part of another kind."""
    answers = draw(st.lists(GOOD, min_size=1, max_size=STEPS))
    place = draw(st.integers(0, len(answers) - 1))
    tables = {"observation": OBSERVATIONS, "reward": REWARDS, "ending": ENDINGS, "whole": WHOLES}
    part = draw(st.sampled_from([name for name, table in tables.items() if table.get(kind)]))
    answers[place] = answers[place]._replace(**{part: draw(_names(tables[part], kind))})
    return tuple(answers)


def _foretell(answers: tuple[Answer, ...]) -> tuple[str, float, int]:
    """What a run of one environment leads to: the worst answer it meets, the sum of returns, and the episodes."""
    left, worst, steps, episodes = list(answers), RIGHT, 0, 0
    total = return_sum = 0.0
    over = True
    while steps < STEPS:
        answer = left.pop(0) if left else Answer()
        kind = kind_of(answer, reset=over)
        if kind == WRONG:
            return WRONG, 0.0, 0
        worst = kind if kind == HUGE else worst
        if over:
            over, total = False, 0.0
            continue
        steps += 1
        total += float(content(REWARDS, answer.reward))
        if any(content(ENDINGS, answer.ending)):
            over, episodes, return_sum = True, episodes + 1, return_sum + total
    return worst, return_sum, episodes


def _spec(method: str) -> Any:
    small = {"hidden": (3, 2), "env_steps": STEPS, "episodes": None, "settle_steps": 2, "acting_steps": 2}
    scale = (1.0, 3.0) if method == "scaled" else ()  # CartPole's has four numbers
    return changed(preset("CartPole-v1", method), task=NAME, observation_scale=scale, **small)


@pytest.mark.parametrize("kind", [RIGHT, WRONG, HUGE])
def test_every_answer_is_counted_right_or_refused(kind: str):
    outcomes: Counter[str] = Counter()
    scripts = SCRIPTS.map(tuple) if kind == RIGHT else spoilt(kind)

    @cases(60 if kind == RIGHT else 160)
    @given(scripts, st.sampled_from(sorted(METHODS)))
    def check(answers: tuple[Answer, ...], method: str):
        gymnasium.registry[NAME].kwargs["answers"] = answers
        foretold, return_sum, episodes = _foretell(answers)
        summary, error = obey(lambda: run_to_the_end(_spec(method)))
        if error:
            assert foretold != RIGHT, error
            assert isinstance(error, EnvironmentRefused | NumericalError)
            assert re.search(r"step \d+", error.where), error
        else:
            assert summary is not None
            assert foretold != WRONG
            assert (summary["env_steps"], summary["episodes"]) == (STEPS, episodes)
            assert summary["mean_return"] == (return_sum / episodes if episodes else None)
        outcomes[f"{foretold}, {'refused' if error else 'right'}"] += 1

    check()
    if kind == RIGHT:
        assert outcomes.keys() == {f"{RIGHT}, right"}
    else:
        assert outcomes[f"{kind}, refused"] > 40, outcomes
        assert sum(count for name, count in outcomes.items() if name.endswith("right")) > 1, outcomes


def test_an_environment_that_does_not_close_is_refused_by_name():
    gymnasium.registry[NAME].kwargs["closing"] = False
    _, error = obey(lambda: run_to_the_end(_spec("map")))
    assert isinstance(error, EnvironmentRefused)
    assert NAME in error.where
    assert "does not close" in error.found  # the environment's own words
